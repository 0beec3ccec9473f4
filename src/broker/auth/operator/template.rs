//! What a scoped signing key lets its users do: permissions with `{{name()}}` and the like in them.
//!
//! *Invariant:* a template never permits more for a value that is missing: what allows is left out,
//! and what denies keeps everybody out.

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use config::options::SignedAccount;
use identity::claims::{Permission, Standard, User, UserLimits};
use protocol::subject;

/// How many subjects one list may grow to.
const SUBJECTS_MAX: usize = 4096;

/// Fills a template in for a user; none if that cannot be done safely.
pub(super) fn fill(
    template: &UserLimits,
    standard: &Standard,
    user: &User,
    account: &SignedAccount,
) -> Option<UserLimits> {
    let values = Values {
        standard,
        user,
        account,
    };
    let mut limits = template.clone();
    for side in [&mut limits.permissions.r#pub, &mut limits.permissions.sub] {
        values.fill_side(side)?;
    }
    Some(limits)
}

struct Values<'a> {
    standard: &'a Standard,
    user: &'a User,
    account: &'a SignedAccount,
}

impl Values<'_> {
    fn fill_side(&self, side: &mut Permission) -> Option<()> {
        let limited = !side.allow.is_empty();
        let mut allow = Vec::new();
        for subject in &side.allow {
            let subjects = self.expand(subject)?.unwrap_or_default();
            allow.extend(subjects.into_iter().filter(|s| is_valid(s)));
        }
        let mut deny = Vec::new();
        for subject in &side.deny {
            let subjects = self.expand(subject)??;
            if !subjects.iter().all(|s| is_valid(s)) {
                return None;
            }
            deny.extend(subjects);
        }
        if limited && allow.is_empty() {
            // An empty list would allow everything.
            deny.push(">".to_owned());
        }
        let fits = allow.len() <= SUBJECTS_MAX && deny.len() <= SUBJECTS_MAX;
        *side = Permission { allow, deny };
        fits.then_some(())
    }

    /// Returns what a subject stands for: `Some(None)` if a value is missing, none if it asks for
    /// something that there is not, or for too much.
    #[expect(
        clippy::option_option,
        reason = "missing values and wrong templates differ"
    )]
    fn expand(&self, subject: &str) -> Option<Option<Vec<String>>> {
        let mut done = Vec::from([String::new()]);
        let mut rest = subject;
        let mut missing = false;
        while let Some((before, after)) = rest.split_once("{{") {
            let Some((operation, after)) = after.split_once("}}") else {
                break;
            };
            let values = self.values(operation.trim())?;
            missing |= values.is_empty();
            if done.len() * values.len() > SUBJECTS_MAX {
                return None;
            }
            let filled = done.iter().flat_map(|start| {
                values
                    .iter()
                    .map(move |value| format!("{start}{before}{value}"))
            });
            done = filled.collect();
            rest = after;
        }
        for subject in &mut done {
            subject.push_str(rest);
        }
        Some((!missing).then_some(done))
    }

    /// Returns the values of an operation; none if there is no such one.
    fn values(&self, operation: &str) -> Option<Vec<String>> {
        let one = |value: &str| Some(Vec::from([value.to_owned()]));
        let lower = operation.to_ascii_lowercase();
        match lower.as_str() {
            "name()" => one(&self.standard.name),
            "subject()" => one(&self.standard.sub),
            "account-name()" => one(&self.account.name),
            "account-subject()" => one(&self.user.issuer_account),
            _ => {
                let own = lower
                    .strip_prefix("tag(")
                    .map(|name| (name, &self.user.tags));
                let account = lower.strip_prefix("account-tag(");
                let account = account.map(|name| (name, &self.account.claims.tags));
                let (name, tags) = own.or(account)?;
                let prefix = format!("{}:", name.strip_suffix(')')?);
                let values = tags.iter().filter_map(|tag| tag.strip_prefix(&prefix));
                Some(values.map(ToOwned::to_owned).collect())
            }
        }
    }
}

/// Says whether a subject, perhaps with a queue, can be. Values with blanks in them make none.
fn is_valid(subject: &str) -> bool {
    subject::is_valid(subject.as_bytes()) && !subject.contains(char::is_whitespace)
}

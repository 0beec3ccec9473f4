//! Which exports and imports fit each other: who may import what, and that nothing goes in a circle.
//!
//! *Invariant:* looked at once all accounts are known and each of their entries is right by itself, in
//! the order in which nats-server does: exports before imports, streams before services.

use alloc::collections::BTreeSet;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use protocol::subject::renaming::{Renaming, starred};
use protocol::subject::{has_wildcard, is_subset, is_valid, overlaps};

use super::super::reader::Reader;
use crate::options::{Account, Export, ExportKind, Import, ImportKind, ResponseType};
use crate::value::Pos;

/// How many accounts are searched for a circle.
const CYCLE_SEARCH_MAX: usize = 1024;

/// Why accounts do not share something, in nats-server's words.
#[derive(Debug, thiserror::Error)]
enum Refusal {
    #[error("sublist: invalid subject")]
    Subject,
    #[error("service import not authorized")]
    Service,
    #[error("stream import not authorized")]
    Stream,
    #[error("stream import prefix can not contain wildcard tokens")]
    Prefix,
    #[error("stream import already exists")]
    Twice,
    #[error("import forms a cycle")]
    Cycle,
    #[error("search cycle depth exhausted")]
    Depth,
    #[error(
        "failed to create mapping transform for {kind} import subject from {from:?} to {to:?}: {reason}"
    )]
    Renaming {
        kind: &'static str,
        from: String,
        to: String,
        reason: String,
    },
}

/// Checks what accounts share. All mistakes have the place of the `accounts` block.
pub(in super::super) fn check(read: &mut Reader, accounts: &[Account], at: &Pos) {
    for (account, export) in each(accounts, |account| &account.exports) {
        if let Err(reason) = check_export(accounts, account, export) {
            read.error(at, reason);
        }
    }
    let mut known = Known::default();
    for kind in [Kind::Stream, Kind::Service] {
        for (account, import) in each(accounts, |account| &account.imports) {
            if Kind::of(import) != kind {
                continue;
            }
            let Some(from) = accounts.iter().find(|a| a.name == import.account) else {
                let text = format!("{:?} account not defined for {kind} import", import.account);
                read.error(at, text);
                continue;
            };
            if let Err(refusal) = known.add(from, account, import) {
                let subject = &import.subject;
                read.error(
                    at,
                    format!("Error adding {kind} import {subject:?}: {refusal}"),
                );
            }
        }
    }
}

fn each<'a, T: 'a>(
    accounts: &'a [Account],
    list: impl Fn(&'a Account) -> &'a Vec<T> + 'a,
) -> impl Iterator<Item = (&'a Account, &'a T)> {
    let items = move |account| list(account).iter().map(move |item| (account, item));
    accounts.iter().flat_map(items)
}

fn check_export(accounts: &[Account], account: &Account, export: &Export) -> Result<(), String> {
    let subject = &export.subject;
    let kind = match export.kind {
        ExportKind::Stream => "stream",
        ExportKind::Service { .. } => "service",
    };
    for name in export.accounts.iter().flatten() {
        if !accounts.iter().any(|account| account.name == *name) {
            return Err(format!("{name:?} account not defined for {kind} export"));
        }
    }
    let position = export.account_token_position as usize;
    if position > 0 && subject.split('.').nth(position - 1) != Some("*") {
        let refusal = Refusal::Subject;
        return Err(format!("Error adding {kind} export {subject:?}: {refusal}"));
    }
    let (Some(latency), ExportKind::Service { response, .. }) = (&export.latency, export.kind)
    else {
        return Ok(());
    };
    let to = &latency.subject;
    let literal = is_valid(to.as_bytes()) && !has_wildcard(to.as_bytes());
    let own = account.exports.iter().any(|own| {
        matches!(own.kind, ExportKind::Service { .. })
            && is_subset(to.as_bytes(), own.subject.as_bytes())
    });
    let reason = match response {
        // Its own measurements would be measured too.
        _ if !literal || own => "invalid publish subject",
        ResponseType::Stream | ResponseType::Chunked => "bad service response type",
        ResponseType::Singleton => return Ok(()),
    };
    Err(format!(
        "Error adding service latency sampling for {subject:?} on subject {to:?}: {reason}"
    ))
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Stream,
    Service,
}

impl Kind {
    fn of(import: &Import) -> Self {
        match import.kind {
            ImportKind::Stream { .. } => Self::Stream,
            ImportKind::Service { .. } => Self::Service,
        }
    }

    fn exports(self, export: &Export) -> bool {
        match export.kind {
            ExportKind::Stream => self == Self::Stream,
            ExportKind::Service { .. } => self == Self::Service,
        }
    }

    fn refused(self) -> Refusal {
        match self {
            Self::Stream => Refusal::Stream,
            Self::Service => Refusal::Service,
        }
    }
}

impl core::fmt::Display for Kind {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::Stream => "stream",
            Self::Service => "service",
        })
    }
}

/// An import that has been found good.
struct Edge<'a> {
    importer: &'a str,
    exporter: &'a Account,
    kind: Kind,
    theirs: &'a str,
    /// The importer's subject, with `*` for each wildcard.
    ours: String,
}

/// The imports that have been found good.
#[derive(Default)]
struct Known<'a>(Vec<Edge<'a>>);

impl<'a> Known<'a> {
    fn add(
        &mut self,
        from: &'a Account,
        importer: &'a Account,
        import: &'a Import,
    ) -> Result<(), Refusal> {
        let kind = Kind::of(import);
        let (theirs, ours) = (import.subject.as_str(), ours(import)?);
        let valid = is_valid(theirs.as_bytes()) && is_valid(starred(&ours).0.as_bytes());
        if kind == Kind::Service && !valid {
            return Err(Refusal::Subject);
        }
        if !valid && !has_wildcard(theirs.as_bytes()) || !may_import(from, importer, theirs, kind) {
            return Err(kind.refused());
        }
        let edge = Edge {
            importer: &importer.name,
            exporter: from,
            kind,
            theirs,
            ours: starred(&ours).0,
        };
        self.check_cycles(&edge)?;
        if let Err(reason) = Renaming::new(theirs, &ours) {
            let (from, to) = match kind {
                Kind::Stream => (theirs, ours.as_str()),
                Kind::Service => (ours.as_str(), theirs),
            };
            return Err(Refusal::Renaming {
                kind: match kind {
                    Kind::Stream => "stream",
                    Kind::Service => "service",
                },
                from: from.to_string(),
                to: to.to_string(),
                reason: reason.to_string(),
            });
        }
        let mut others = self
            .0
            .iter()
            .filter(|other| other.importer == importer.name);
        let is_same = |other: &Edge<'_>| other.exporter.name == from.name && other.theirs == theirs;
        if kind == Kind::Stream && others.any(|other| other.kind == kind && is_same(other)) {
            return Err(Refusal::Twice);
        }
        self.0.push(edge);
        Ok(())
    }

    fn check_cycles(&self, edge: &Edge<'_>) -> Result<(), Refusal> {
        let starts = match edge.kind {
            Kind::Service => [Some(edge.ours.as_str()), None],
            Kind::Stream => [Some(edge.ours.as_str()), Some(edge.theirs)],
        };
        for start in starts.into_iter().flatten() {
            let mut visited = BTreeSet::from([edge.importer]);
            self.search(edge.kind, edge.exporter, start, &mut visited)?;
        }
        Ok(())
    }

    /// Follows what `account` imports of `subject`.
    fn search<'b>(
        &'b self,
        kind: Kind,
        account: &'b Account,
        subject: &str,
        visited: &mut BTreeSet<&'b str>,
    ) -> Result<(), Refusal> {
        if visited.len() >= CYCLE_SEARCH_MAX {
            return Err(Refusal::Depth);
        }
        let mut exports = account.exports.iter().filter(|export| kind.exports(export));
        let covers = |export: &Export| is_subset(subject.as_bytes(), export.subject.as_bytes());
        if kind == Kind::Stream && !exports.any(covers) {
            return Ok(());
        }
        let own = self.0.iter();
        for edge in own.filter(|edge| edge.kind == kind && edge.importer == account.name) {
            let (meets, next) = match kind {
                Kind::Service => (edge.theirs, edge.ours.as_str()),
                Kind::Stream => (edge.ours.as_str(), edge.ours.as_str()),
            };
            if !overlaps(subject.as_bytes(), meets.as_bytes()) {
                continue;
            }
            if visited.contains(edge.exporter.name.as_str()) {
                return Err(Refusal::Cycle);
            }
            visited.insert(&account.name);
            let next = match is_subset(next.as_bytes(), subject.as_bytes()) {
                true => next,
                false => subject,
            };
            self.search(kind, edge.exporter, next, visited)?;
        }
        Ok(())
    }
}

/// Returns what the importing account calls it.
fn ours(import: &Import) -> Result<String, Refusal> {
    let ours = match &import.kind {
        ImportKind::Service { to, .. } | ImportKind::Stream { prefix: None, to } => to.clone(),
        ImportKind::Stream {
            prefix: Some(prefix),
            ..
        } => {
            if has_wildcard(prefix.as_bytes()) {
                return Err(Refusal::Prefix);
            }
            let prefix = prefix.strip_suffix('.').unwrap_or(prefix);
            Some(format!("{prefix}.{}", import.subject))
        }
    };
    Ok(ours.unwrap_or_else(|| import.subject.clone()))
}

/// Says whether an account may import the other's subject: the export of exactly that subject decides,
/// or else the first that covers it.
fn may_import(from: &Account, importer: &Account, subject: &str, kind: Kind) -> bool {
    let exports = || from.exports.iter().filter(|export| kind.exports(export));
    let exact = exports().find(|export| export.subject == subject);
    let covers = |export: &&Export| is_subset(subject.as_bytes(), export.subject.as_bytes());
    let Some(export) = exact.or_else(|| exports().find(covers)) else {
        return false;
    };
    if export.account_token_position > 0 {
        let position = export.account_token_position as usize - 1;
        let token = subject.split('.').nth(position);
        return exact.is_none() && token == Some(importer.name.as_str());
    }
    let Some(approved) = &export.accounts else {
        return true;
    };
    approved.is_empty() || approved.contains(&importer.name)
}

//! `/subsz`: the subject tries, and the subscriptions in them.

use alloc::borrow::ToOwned;
use alloc::string::String;
use alloc::vec::Vec;

use protocol::subject;
use protocol::time::Wall;
use serde::{Deserialize, Serialize};

use crate::json::{self, Number};
use crate::query::{Problem, Query};
use crate::source::Source;
use crate::stats::{Sublist, Subscription};

/// How many subscriptions a page shows when nothing else is said.
const LIMIT: usize = 1024;

/// What is asked for. The names are those of system requests.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct SubszOptions {
    /// How many to leave out.
    pub offset: usize,
    /// How many to show; 0 is the default.
    pub limit: usize,
    /// Whether subscriptions are listed.
    pub subscriptions: bool,
    /// Only this account's.
    pub account: String,
    /// Only those that a message on this subject would reach.
    pub test: String,
}

impl SubszOptions {
    /// Reads the parameters of a URL.
    ///
    /// # Errors
    /// The first parameter that cannot be read.
    pub(crate) fn from_query(query: &Query) -> Result<Self, Problem> {
        Ok(Self {
            offset: query.int("offset")?,
            limit: query.int("limit")?,
            subscriptions: query.boolean("subs")?,
            account: query.text("acc").to_owned(),
            test: query.text("test").to_owned(),
        })
    }
}

/// The document.
#[derive(Debug, Serialize)]
pub struct Subsz {
    server_id: String,
    #[serde(serialize_with = "json::time")]
    now: Wall,
    #[serde(flatten)]
    sublist: SublistDocument,
    total: usize,
    offset: usize,
    limit: usize,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    subscriptions_list: Vec<SubscriptionDocument>,
}

/// A subject trie.
#[derive(Debug, Serialize)]
pub(crate) struct SublistDocument {
    num_subscriptions: u64,
    num_cache: u64,
    num_inserts: u64,
    num_removes: u64,
    num_matches: u64,
    cache_hit_rate: Number,
    max_fanout: u64,
    avg_fanout: Number,
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a ratio for people; counters beyond 2^53 are shown a little off"
)]
fn ratio(part: u64, of: u64) -> Number {
    match of {
        0 => Number::Whole(0),
        _ => (part as f64 / of as f64).into(),
    }
}

impl From<Sublist> for SublistDocument {
    fn from(list: Sublist) -> Self {
        Self {
            num_subscriptions: list.subscriptions,
            num_cache: list.cached,
            num_inserts: list.inserts,
            num_removes: list.removes,
            num_matches: list.matches,
            cache_hit_rate: ratio(list.cache_hits, list.matches),
            max_fanout: list.fanout_max,
            avg_fanout: ratio(list.fanout_total, list.cached),
        }
    }
}

/// A subscription.
#[derive(Debug, Serialize)]
pub(crate) struct SubscriptionDocument {
    #[serde(skip_serializing_if = "String::is_empty")]
    account: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    account_tag: String,
    subject: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    qgroup: String,
    sid: String,
    msgs: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    max: Option<u64>,
    cid: u64,
}

impl SubscriptionDocument {
    /// Shows a subscription under its connection, where the account is known.
    pub(crate) fn of_connection(sub: Subscription) -> Self {
        Self {
            account: String::new(),
            account_tag: String::new(),
            ..Self::of_server(sub)
        }
    }

    pub(crate) fn of_server(sub: Subscription) -> Self {
        Self {
            account_tag: sub.account.clone(),
            account: sub.account,
            subject: sub.subject,
            qgroup: sub.queue,
            sid: sub.sid,
            msgs: sub.msgs,
            max: Some(sub.max).filter(|max| *max > 0),
            cid: sub.cid,
        }
    }
}

/// Returns the document.
///
/// # Errors
/// When the subject to test cannot be published to.
pub(crate) fn subsz(source: &dyn Source, options: &SubszOptions) -> Result<Subsz, Problem> {
    let test = options.test.as_bytes();
    if !test.is_empty() && !subject::is_valid_literal(test) {
        return Err(Problem::TestSubject(options.test.clone()));
    }
    let limit = if options.limit == 0 {
        LIMIT
    } else {
        options.limit
    };
    let account = options.account.as_str();
    let mut subs = Vec::new();
    if options.subscriptions {
        subs = source.subscriptions();
        subs.retain(|sub| account.is_empty() || sub.account == account);
        subs.retain(|sub| test.is_empty() || subject::matches(sub.subject.as_bytes(), test));
    }
    let total = subs.len();
    let page = subs.into_iter().skip(options.offset).take(limit);
    Ok(Subsz {
        server_id: source.server().id,
        now: source.now().wall,
        sublist: sublist(source, account).into(),
        total,
        offset: options.offset,
        limit,
        subscriptions_list: page.map(SubscriptionDocument::of_server).collect(),
    })
}

fn sublist(source: &dyn Source, account: &str) -> Sublist {
    if account.is_empty() {
        return source.server().sublist;
    }
    let accounts = source.accounts();
    let found = accounts.into_iter().find(|a| a.name == account);
    found.map(|a| a.sublist).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;

    use super::*;
    use crate::testing::Fixture;

    fn subjects(query: &str) -> Result<Vec<String>, String> {
        let options = SubszOptions::from_query(&Query::parse(query)).map_err(|e| e.to_string())?;
        let document = subsz(&Fixture::default(), &options).map_err(|e| e.to_string())?;
        let list = document.subscriptions_list.into_iter();
        Ok(list.map(|sub| sub.subject).collect())
    }

    #[test]
    fn subscriptions_are_listed_when_asked_for() {
        let all = ["foo.*", "foo.bar", "bar"].map(String::from).to_vec();
        assert_eq!(subjects(""), Ok(Vec::new()));
        assert_eq!(subjects("subs=1"), Ok(all.clone()));
        assert_eq!(subjects("subs=1&limit=1&offset=2"), Ok(all[2..].to_vec()));
        assert_eq!(subjects("subs=1&test=foo.bar"), Ok(all[..2].to_vec()));
        assert_eq!(subjects("subs=1&acc=B"), Ok(all[2..].to_vec()));
    }

    #[test]
    fn a_subject_to_test_must_be_one_to_publish_to() {
        assert_eq!(
            subjects("test=foo.*"),
            Err("invalid test subject, must be valid publish subject: foo.*".to_string())
        );
    }
}

//! Where push consumers deliver to, so that a subscription finds those it concerns.
//!
//! *Invariant:* a consumer is listed from its activation to its end, under the subject that it
//! delivers to now. A literal subscription costs one lookup, however many streams there are.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::ops::Bound;

use protocol::id::{AccountId, ConsumerId, StreamId};
use protocol::subject;

/// The push consumers of all accounts by deliver subject.
#[derive(Debug, Default)]
pub struct Listeners {
    accounts: BTreeMap<AccountId, BySubject>,
}

type BySubject = BTreeMap<Box<[u8]>, Vec<(StreamId, ConsumerId)>>;

impl Listeners {
    /// Lists a consumer; it must not be listed under another subject.
    pub fn insert(&mut self, account: AccountId, subject: &[u8], of: (StreamId, ConsumerId)) {
        let subjects = self.accounts.entry(account).or_default();
        let listed = subjects.entry(subject.into()).or_default();
        if !listed.contains(&of) {
            listed.push(of);
        }
    }

    /// Takes a consumer off the list, if it is there.
    pub fn remove(&mut self, account: AccountId, subject: &[u8], of: (StreamId, ConsumerId)) {
        let Some(subjects) = self.accounts.get_mut(&account) else {
            return;
        };
        if let Some(listed) = subjects.get_mut(subject) {
            listed.retain(|other| *other != of);
            if listed.is_empty() {
                subjects.remove(subject);
            }
        }
        if subjects.is_empty() {
            self.accounts.remove(&account);
        }
    }

    /// Adds the consumers whose deliver subject matches `pattern` to `out`.
    pub fn find(&self, account: AccountId, pattern: &[u8], out: &mut Vec<(StreamId, ConsumerId)>) {
        let Some(subjects) = self.accounts.get(&account) else {
            return;
        };
        if subject::is_literal(pattern) {
            out.extend(subjects.get(pattern).into_iter().flatten());
            return;
        }
        let prefix = literal_prefix(pattern);
        let from = (Bound::Included(prefix), Bound::Unbounded);
        for (subject, listed) in subjects.range::<[u8], _>(from) {
            if !subject.starts_with(prefix) {
                break;
            }
            if subject::matches(pattern, subject) {
                out.extend(listed);
            }
        }
    }
}

/// Returns what all subjects that match `pattern` begin with: its tokens before the first wildcard.
fn literal_prefix(pattern: &[u8]) -> &[u8] {
    let mut end = 0;
    for token in pattern.split(|&b| b == b'.') {
        if token == b"*" || token == b">" {
            break;
        }
        end += token.len() + 1;
    }
    pattern.get(..end).unwrap_or(pattern)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: AccountId = AccountId(1);

    #[test]
    fn a_literal_finds_the_consumers_that_deliver_there() {
        let listeners = listeners(&["a.b", "a.c", "a.b"]);
        assert_eq!(found(&listeners, b"a.b"), [0, 2]);
        assert!(found(&listeners, b"a").is_empty());
    }

    #[test]
    fn a_wildcard_finds_what_it_matches_and_nothing_beside() {
        let listeners = listeners(&["a.b", "ab", "a.b.c", "b.b", "a"]);
        assert_eq!(found(&listeners, b"a.*"), [0]);
        assert_eq!(found(&listeners, b"a.>"), [0, 2]);
        assert_eq!(found(&listeners, b"*.b"), [0, 3]);
        assert_eq!(found(&listeners, b">").len(), 5);
        assert!(listeners.accounts.contains_key(&HERE));
    }

    #[test]
    fn other_accounts_and_consumers_that_ended_are_not_found() {
        let mut listeners = listeners(&["a"]);
        let of = (StreamId(1), ConsumerId(0));
        let mut out = Vec::new();
        listeners.find(AccountId(2), b"a", &mut out);
        assert!(out.is_empty());

        listeners.remove(HERE, b"a", of);

        assert!(found(&listeners, b">").is_empty());
        assert!(listeners.accounts.is_empty());
    }

    fn listeners(subjects: &[&str]) -> Listeners {
        let mut listeners = Listeners::default();
        for (number, subject) in (0..).zip(subjects) {
            listeners.insert(HERE, subject.as_bytes(), (StreamId(1), ConsumerId(number)));
        }
        listeners
    }

    fn found(listeners: &Listeners, pattern: &[u8]) -> Vec<u64> {
        let mut out = Vec::new();
        listeners.find(HERE, pattern, &mut out);
        let mut numbers: Vec<u64> = out.iter().map(|(_, consumer)| consumer.0).collect();
        numbers.sort_unstable();
        numbers
    }
}

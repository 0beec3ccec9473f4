//! Results by subject, for subjects that messages keep coming on.
//!
//! *Invariant:* bounded in entries and in values. A subject gets in when it is seen a second time,
//! so that subjects used once (inboxes) push nothing out and cost no allocation.

use alloc::boxed::Box;
use alloc::rc::Rc;
use alloc::vec;
use alloc::vec::Vec;

use hashbrown::HashTable;
use protocol::subject;
use slab::Slab;

use super::matches::Matches;
use crate::limits::{CACHED_SUBJECTS_MAX, CACHED_VALUES_MAX, SEEN_SUBJECTS};

#[derive(Debug)]
pub(super) struct Cache<T> {
    entries: Slab<Entry<T>>,
    by_subject: HashTable<usize>,
    /// Where the search for an entry to push out goes on.
    hand: usize,
    /// The values of all entries together.
    values: usize,
    /// Hashes of subjects seen once, each at its place; empty until the first is seen.
    seen: Vec<u64>,
}

#[derive(Debug)]
struct Entry<T> {
    hash: u64,
    subject: Box<[u8]>,
    result: Rc<Matches<T>>,
    /// Whether it was found since the hand passed.
    used: bool,
}

impl<T> Default for Cache<T> {
    fn default() -> Self {
        Self {
            entries: Slab::new(),
            by_subject: HashTable::new(),
            hand: 0,
            values: 0,
            seen: Vec::new(),
        }
    }
}

impl<T: Copy> Cache<T> {
    pub(super) fn len(&self) -> u64 {
        self.entries.len() as u64
    }

    /// Returns the longest result and the length of all together.
    pub(super) fn fanout(&self) -> (u64, u64) {
        let lens = self.entries.iter().map(|(_, entry)| entry.result.len());
        (lens.max().unwrap_or(0) as u64, self.values as u64)
    }

    #[inline]
    pub(super) fn find(&mut self, hash: u64, subject: &[u8]) -> Option<&Rc<Matches<T>>> {
        let entries = &self.entries;
        let &at = self.by_subject.find(hash, |&at| {
            entries
                .get(at)
                .is_some_and(|entry| *entry.subject == *subject)
        })?;
        let entry = self.entries.get_mut(at)?;
        entry.used = true;
        Some(&entry.result)
    }

    /// Reports whether a subject with this hash was seen lately, and remembers it if not.
    pub(super) fn seen_before(&mut self, hash: u64) -> bool {
        if self.seen.is_empty() {
            self.seen = vec![0; SEEN_SUBJECTS];
        }
        let place = usize::try_from(hash % SEEN_SUBJECTS as u64).unwrap_or(0);
        match self.seen.get_mut(place) {
            Some(seen) if *seen == hash => true,
            Some(seen) => {
                *seen = hash;
                false
            }
            None => false,
        }
    }

    /// Adds a result that is not in the cache.
    pub(super) fn insert(&mut self, hash: u64, subject: &[u8], result: Rc<Matches<T>>) {
        if result.len() > CACHED_VALUES_MAX {
            return;
        }
        while self.entries.len() >= CACHED_SUBJECTS_MAX
            || self.values + result.len() > CACHED_VALUES_MAX
        {
            self.push_one_out();
        }
        self.values += result.len();
        // One allocation per subject that enters, not per message.
        let at = self.entries.insert(Entry {
            hash,
            subject: subject.into(),
            result,
            used: false,
        });
        let entries = &self.entries;
        self.by_subject.insert_unique(hash, at, |&at| {
            entries.get(at).map_or(0, |entry| entry.hash)
        });
    }

    pub(super) fn forget(&mut self, hash: u64, subject: &[u8]) {
        let entries = &self.entries;
        let found = self.by_subject.find(hash, |&at| {
            entries
                .get(at)
                .is_some_and(|entry| *entry.subject == *subject)
        });
        if let Some(&at) = found {
            self.remove(at);
        }
    }

    /// Forgets every subject that `pattern` matches.
    pub(super) fn forget_matching(&mut self, pattern: &[u8]) {
        // Most entries are told apart by what stands before the first wildcard.
        let wildcard = memchr::memchr2(b'*', b'>', pattern).unwrap_or(pattern.len());
        let prefix = pattern.get(..wildcard).unwrap_or(pattern);
        let stale: Vec<usize> = self
            .entries
            .iter()
            .filter(|(_, entry)| {
                entry.subject.starts_with(prefix) && subject::matches(pattern, &entry.subject)
            })
            .map(|(at, _)| at)
            .collect();
        for at in stale {
            self.remove(at);
        }
    }

    /// Removes an entry that was not found for a whole round of the hand.
    fn push_one_out(&mut self) {
        loop {
            let at = self.hand;
            self.hand = (self.hand + 1) % CACHED_SUBJECTS_MAX;
            match self.entries.get_mut(at) {
                Some(entry) if entry.used => entry.used = false,
                Some(_) => return self.remove(at),
                None => {}
            }
        }
    }

    fn remove(&mut self, at: usize) {
        let Some(entry) = self.entries.try_remove(at) else {
            return;
        };
        self.values -= entry.result.len();
        if let Ok(link) = self.by_subject.find_entry(entry.hash, |&other| other == at) {
            link.remove();
        }
    }
}

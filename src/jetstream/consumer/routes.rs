//! Which consumers a message concerns.
//!
//! *Invariant:* a message touches only consumers that want it: those without a filter, those whose
//! literal filter it is, and those whose wildcard matches. The others cost nothing, however many they
//! are.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::cell::RefCell;

use hashbrown::HashMap;
use routing::sublist::{Frontier, Trie};

use crate::index::Filter;

/// The place of a consumer in its stream's table.
pub(super) type Key = usize;

/// Whether a consumer has to be told of each message that it wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Told {
    Yes,
    No,
}

/// The filters of a stream's consumers.
#[derive(Debug, Default)]
pub(super) struct Routes {
    all: Vec<Key>,
    /// Those of them that have to be told of each message.
    told: Vec<Key>,
    literal: HashMap<Box<[u8]>, Vec<Key>, foldhash::fast::FixedState>,
    /// Nothing as long as no filter has a wildcard.
    wild: Option<Trie<Key>>,
    /// Room for walks through it.
    frontier: RefCell<Frontier>,
}

impl Routes {
    /// Adds a consumer; one without filters is told of messages by [`Routes::each_told`] if `told`.
    pub(super) fn insert(&mut self, key: Key, filters: &[Filter], told: Told) {
        if filters.is_empty() {
            self.all.push(key);
            if told == Told::Yes {
                self.told.push(key);
            }
        }
        for filter in filters {
            match filter {
                Filter::All => {
                    self.all.push(key);
                    self.told.push(key);
                }
                Filter::Literal(subject) => {
                    self.literal.entry(subject.clone()).or_default().push(key);
                }
                Filter::Wild(pattern) => {
                    let wild = self.wild.get_or_insert_with(|| Trie::new(0));
                    wild.insert(pattern, None, key);
                }
            }
        }
    }

    pub(super) fn remove(&mut self, key: Key, filters: &[Filter]) {
        self.all.retain(|k| *k != key);
        self.told.retain(|k| *k != key);
        for filter in filters {
            match filter {
                Filter::All => {}
                Filter::Literal(subject) => {
                    if let Some(keys) = self.literal.get_mut(&**subject) {
                        keys.retain(|k| *k != key);
                        if keys.is_empty() {
                            self.literal.remove(&**subject);
                        }
                    }
                }
                Filter::Wild(pattern) => {
                    if let Some(wild) = &mut self.wild {
                        wild.remove(pattern, None, key);
                    }
                }
            }
        }
    }

    /// Calls `each` for every consumer that wants `subject`. The filters of one consumer do not
    /// overlap, so that nobody is called twice.
    pub(super) fn each(&self, subject: &[u8], mut each: impl FnMut(Key)) {
        self.all.iter().for_each(|key| each(*key));
        self.each_filtered(subject, each);
    }

    /// Calls `each` for every consumer that wants `subject` and has to be told of each message.
    pub(super) fn each_told(&self, subject: &[u8], mut each: impl FnMut(Key)) {
        self.told.iter().for_each(|key| each(*key));
        self.each_filtered(subject, each);
    }

    fn each_filtered(&self, subject: &[u8], mut each: impl FnMut(Key)) {
        if let Some(keys) = self.literal.get(subject) {
            keys.iter().for_each(|key| each(*key));
        }
        self.each_wild(subject, each);
    }

    /// Returns whether anyone wants `subject`.
    pub(super) fn any(&self, subject: &[u8]) -> bool {
        !self.all.is_empty() || self.literal.contains_key(subject) || {
            let mut found = false;
            self.each_wild(subject, |_| found = true);
            found
        }
    }

    fn each_wild(&self, subject: &[u8], mut each: impl FnMut(Key)) {
        if let Some(wild) = &self.wild {
            // What is called for a consumer never asks for routes.
            let mut frontier = self.frontier.borrow_mut();
            wild.matching(subject, &mut frontier, |keys| {
                keys.plain().iter().for_each(|key| each(*key));
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(routes: &Routes, subject: &str) -> Vec<Key> {
        let mut keys = Vec::new();
        routes.each(subject.as_bytes(), |key| keys.push(key));
        keys.sort_unstable();
        assert_eq!(routes.any(subject.as_bytes()), !keys.is_empty());
        keys
    }

    #[test]
    fn a_message_finds_the_consumers_that_want_it() {
        let mut routes = Routes::default();
        let filters = [
            Filter::new(b"a.b"),
            Filter::new(b"a.*"),
            Filter::new(b"c.>"),
        ];
        for (key, filter) in filters.iter().enumerate() {
            routes.insert(key, core::slice::from_ref(filter), Told::Yes);
        }
        routes.insert(3, &[Filter::new(b"x"), Filter::new(b"y.*")], Told::Yes);
        assert_eq!(wanted(&routes, "a.b"), [0, 1]);
        assert_eq!(wanted(&routes, "a.c"), [1]);
        assert_eq!(wanted(&routes, "c.d.e"), [2]);
        assert_eq!(wanted(&routes, "y.z"), [3]);
        assert_eq!(wanted(&routes, "c"), [] as [Key; 0]);
        routes.insert(4, &[], Told::No);
        routes.remove(1, &filters[1..2]);
        routes.remove(0, &filters[..1]);
        assert_eq!(wanted(&routes, "a.b"), [4]);
    }

    #[test]
    fn consumers_of_other_subjects_are_not_looked_at() {
        let mut routes = Routes::default();
        for key in 0..10_000 {
            let filter = alloc::format!("s.{key}.*");
            routes.insert(key, &[Filter::new(filter.as_bytes())], Told::Yes);
        }
        let mut calls = 0;
        routes.each(b"s.77.x", |_| calls += 1);
        assert_eq!(calls, 1);
    }
}

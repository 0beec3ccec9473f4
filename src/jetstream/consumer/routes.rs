//! Which consumers a message concerns.
//!
//! *Invariant:* a message touches only consumers that want it: those without a filter, those whose
//! literal filter it is, and those whose wildcard matches.

use alloc::boxed::Box;
use alloc::vec::Vec;

use hashbrown::HashMap;

use crate::index::Filter;

/// The place of a consumer in its stream's table.
pub(super) type Key = usize;

/// The filters of a stream's consumers.
#[derive(Debug, Default)]
pub(super) struct Routes {
    all: Vec<Key>,
    literal: HashMap<Box<[u8]>, Vec<Key>, foldhash::fast::FixedState>,
    wild: Vec<(Filter, Key)>,
}

impl Routes {
    pub(super) fn insert(&mut self, key: Key, filters: &[Filter]) {
        if filters.is_empty() {
            self.all.push(key);
        }
        for filter in filters {
            match filter {
                Filter::All => self.all.push(key),
                Filter::Literal(subject) => {
                    self.literal.entry(subject.clone()).or_default().push(key);
                }
                Filter::Wild(_) => self.wild.push((filter.clone(), key)),
            }
        }
    }

    pub(super) fn remove(&mut self, key: Key, filters: &[Filter]) {
        self.all.retain(|k| *k != key);
        self.wild.retain(|(_, k)| *k != key);
        for filter in filters {
            if let Filter::Literal(subject) = filter
                && let Some(keys) = self.literal.get_mut(&**subject)
            {
                keys.retain(|k| *k != key);
                if keys.is_empty() {
                    self.literal.remove(&**subject);
                }
            }
        }
    }

    /// Calls `each` for every consumer that wants `subject`. The filters of one consumer do not
    /// overlap, so that nobody is called twice.
    pub(super) fn each(&self, subject: &[u8], mut each: impl FnMut(Key)) {
        self.all.iter().for_each(|key| each(*key));
        if let Some(keys) = self.literal.get(subject) {
            keys.iter().for_each(|key| each(*key));
        }
        for (filter, key) in &self.wild {
            if filter.matches(subject) {
                each(*key);
            }
        }
    }

    /// Returns whether anyone wants `subject`.
    pub(super) fn any(&self, subject: &[u8]) -> bool {
        !self.all.is_empty()
            || self.literal.contains_key(subject)
            || self.wild.iter().any(|(filter, _)| filter.matches(subject))
    }
}

//! The subjects of a stream: their texts, and per subject the count and the ends of its messages.
//!
//! *Invariant:* an id is reused only when no live message carries it. `first` is a lower bound and
//! `last` an upper bound of where the subject's live messages are; both are exact unless a message at
//! that end was removed.

use alloc::vec::Vec;
use core::hash::BuildHasher;
use core::mem::size_of;

use foldhash::fast::FixedState;
use hashbrown::HashTable;
use protocol::id::Seq;

use protocol::subject::matches as subject_matches;

use super::name::Name;

/// A subject of one stream, while it has live messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SubjectId(pub(super) u32);

impl SubjectId {
    /// Marks the slot of a removed message.
    pub(super) const DEAD: Self = Self(u32::MAX);

    /// Returns the id's place in a table of all ids.
    pub(super) fn index(self) -> usize {
        index(self.0)
    }
}

/// The live messages of a subject.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SubjectInfo {
    /// How many there are.
    pub messages: u64,
    /// The first one.
    pub first: Seq,
    /// The last one.
    pub last: Seq,
}

#[derive(Debug)]
pub(super) struct Subject {
    name: Name,
    pub(super) count: u64,
    pub(super) first: u64,
    pub(super) last: u64,
}

/// The subject table of one stream.
#[derive(Debug, Default)]
pub(super) struct Subjects {
    by_name: HashTable<u32>,
    hasher: FixedState,
    entries: Vec<Subject>,
    free: Vec<u32>,
}

impl Subjects {
    /// Returns how many subjects have live messages.
    pub(super) fn len(&self) -> u64 {
        u64::try_from(self.by_name.len()).unwrap_or(u64::MAX)
    }

    /// Returns how many ids there are, in use or free.
    pub(super) fn ids(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn find(&self, name: &[u8]) -> Option<SubjectId> {
        let hash = self.hasher.hash_one(name);
        self.by_name
            .find(hash, |&id| named(&self.entries, id, name))
            .map(|&id| SubjectId(id))
    }

    /// Returns the id of a subject that is about to get a message.
    pub(super) fn intern(&mut self, name: &[u8]) -> SubjectId {
        let hash = self.hasher.hash_one(name);
        if let Some(&id) = self
            .by_name
            .find(hash, |&id| named(&self.entries, id, name))
        {
            return SubjectId(id);
        }
        let subject = Subject {
            name: Name::new(name),
            count: 0,
            first: 0,
            last: 0,
        };
        let id = match self.free.pop() {
            Some(id) => {
                if let Some(entry) = self.entries.get_mut(index(id)) {
                    *entry = subject;
                }
                id
            }
            None => {
                self.entries.push(subject);
                u32::try_from(self.entries.len() - 1).expect("fewer than 2^32 subjects")
            }
        };
        let Self {
            by_name,
            hasher,
            entries,
            ..
        } = self;
        by_name.insert_unique(hash, id, |&id| {
            entries
                .get(index(id))
                .map_or(0, |subject| hasher.hash_one(&*subject.name))
        });
        SubjectId(id)
    }

    /// Counts the message `seq`; returns the one before it on the subject, live or not.
    pub(super) fn pushed(&mut self, id: SubjectId, seq: u64) -> Option<u64> {
        let subject = self.entries.get_mut(index(id.0))?;
        subject.count += 1;
        let previous = core::mem::replace(&mut subject.last, seq);
        if subject.count == 1 {
            subject.first = seq;
            return None;
        }
        Some(previous)
    }

    /// Counts messages of a page, from `first` to `last`, behind all others; returns the one before them on
    /// the subject.
    pub(super) fn found(
        &mut self,
        id: SubjectId,
        count: u64,
        first: u64,
        last: u64,
    ) -> Option<u64> {
        let subject = self.entries.get_mut(index(id.0))?;
        let known = subject.count > 0;
        subject.count += count;
        let previous = core::mem::replace(&mut subject.last, last);
        if !known {
            subject.first = first;
        }
        known.then_some(previous)
    }

    /// Uncounts the message `seq`, which `next` follows on the subject if that is known.
    pub(super) fn removed(&mut self, id: SubjectId, seq: u64, next: Option<u64>) {
        let Some(subject) = self.entries.get_mut(index(id.0)) else {
            return;
        };
        subject.count -= 1;
        if subject.count > 0 {
            if subject.first == seq {
                subject.first = next.unwrap_or(seq + 1);
            }
            return;
        }
        let hash = self.hasher.hash_one(&*subject.name);
        subject.name = Name::default();
        if let Ok(found) = self.by_name.find_entry(hash, |&found| found == id.0) {
            found.remove();
        }
        self.free.push(id.0);
    }

    pub(super) fn entry(&self, id: SubjectId) -> Option<&Subject> {
        self.entries.get(index(id.0)).filter(|s| s.count > 0)
    }

    pub(super) fn name(&self, id: SubjectId) -> &[u8] {
        self.entries.get(index(id.0)).map_or(&[], |s| &s.name)
    }

    /// Returns the subjects that match `pattern`, in no useful order but always the same.
    pub(super) fn matching(&self, pattern: &[u8]) -> impl Iterator<Item = SubjectId> {
        self.all()
            .filter(move |&id| subject_matches(pattern, self.name(id)))
    }

    /// Returns all subjects, in no useful order but always the same.
    pub(super) fn all(&self) -> impl Iterator<Item = SubjectId> {
        (0u32..)
            .zip(&self.entries)
            .filter(|(_, subject)| subject.count > 0)
            .map(|(id, _)| SubjectId(id))
    }

    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    pub(super) fn memory(&self) -> usize {
        let names: usize = self.entries.iter().map(|s| s.name.memory()).sum();
        names
            + self.entries.capacity() * size_of::<Subject>()
            + self.by_name.capacity() * (size_of::<u32>() + 1)
            + self.free.capacity() * size_of::<u32>()
    }
}

fn named(entries: &[Subject], id: u32, name: &[u8]) -> bool {
    entries.get(index(id)).is_some_and(|s| *s.name == *name)
}

fn index(id: u32) -> usize {
    usize::try_from(id).unwrap_or(usize::MAX)
}

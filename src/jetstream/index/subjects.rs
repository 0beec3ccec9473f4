//! The subjects of a stream: their texts, and per subject the count and the ends of its messages.
//!
//! A million of them is a usual number: what a subject takes is what it needs, and what outgrows that lies
//! aside.
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

use super::aside::Aside;
use super::names::{Name, Texts};

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

/// The same, but that the ends are as exact as they are known.
#[derive(Clone, Copy, Debug)]
pub(super) struct Counted {
    pub(super) count: u64,
    pub(super) first: u64,
    pub(super) last: u64,
}

/// A place in the table.
#[derive(Debug)]
struct Subject {
    name: Name,
    /// How far above the table's base the last message is; of a subject whose numbers lie aside, where.
    last: u32,
    numbers: Numbers,
}

/// How many messages a subject has, and how far before the last one the first one is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Numbers(u32);

impl Counted {
    /// Returns what a place says of these numbers, if there is room for them.
    #[inline]
    fn near(self, base: u64) -> Option<(u32, Numbers)> {
        if self.count == 0 {
            return Some((0, Numbers::NONE));
        }
        let numbers = Numbers::new(self.count, self.last.saturating_sub(self.first))?;
        let last = u32::try_from(self.last.checked_sub(base)?).ok()?;
        Some((last, numbers))
    }
}

impl Numbers {
    /// There is no message.
    const NONE: Self = Self(0);
    /// The numbers are too large for their place.
    const ASIDE: Self = Self(u32::MAX);

    const SPAN_BITS: u32 = 24;
    const COUNT_MAX: u64 = 254;

    fn new(count: u64, span: u64) -> Option<Self> {
        let fits = count <= Self::COUNT_MAX && span >> Self::SPAN_BITS == 0;
        let packed = u32::try_from(count << Self::SPAN_BITS | span);
        packed.ok().filter(|_| fits).map(Self)
    }

    /// Returns what they say, with the place of the last message.
    #[inline]
    fn counted(self, base: u64, last: u32) -> Counted {
        let last = base + u64::from(last);
        let span = self.0 & ((1 << Self::SPAN_BITS) - 1);
        Counted {
            count: u64::from(self.0 >> Self::SPAN_BITS),
            first: last - u64::from(span),
            last,
        }
    }
}

/// The subject table of one stream. What every message reads comes first.
#[derive(Debug, Default)]
#[repr(C)]
pub(super) struct Subjects {
    /// Where the last message was: the next one is often there, too.
    latest: u32,
    entries: Vec<Subject>,
    by_name: HashTable<u32>,
    hasher: FixedState,
    texts: Texts,
    /// What the places of last messages are counted from.
    base: u64,
    /// The numbers that are too large for an entry.
    aside: Aside,
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
            .find(hash, |&id| self.text(id) == name)
            .map(|&id| SubjectId(id))
    }

    /// Returns the id that a subject has most likely, if it has one.
    pub(super) fn guess(&self, name: &[u8]) -> Option<SubjectId> {
        let hash = self.hasher.hash_one(name);
        self.by_name.find(hash, |_| true).map(|&id| SubjectId(id))
    }

    /// Returns the id of a subject that is about to get a message.
    pub(super) fn intern(&mut self, name: &[u8]) -> SubjectId {
        if self.is_used(self.latest) && self.text(self.latest) == name {
            return SubjectId(self.latest);
        }
        let id = self.find_or_add(name);
        self.latest = id.0;
        id
    }

    fn is_used(&self, id: u32) -> bool {
        let subject = self.entries.get(index(id));
        subject.is_some_and(|subject| subject.numbers != Numbers::NONE)
    }

    fn find_or_add(&mut self, name: &[u8]) -> SubjectId {
        let hash = self.hasher.hash_one(name);
        if let Some(&id) = self.by_name.find(hash, |&id| self.text(id) == name) {
            return SubjectId(id);
        }
        let subject = Subject {
            name: self.texts.put(name),
            last: 0,
            numbers: Numbers::NONE,
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
            texts,
            ..
        } = self;
        by_name.insert_unique(hash, id, |&id| {
            let subject = entries.get(index(id));
            subject.map_or(0, |subject| hasher.hash_one(texts.get(&subject.name)))
        });
        SubjectId(id)
    }

    /// Counts the message `seq`; returns the one before it on the subject, live or not.
    pub(super) fn pushed(&mut self, id: SubjectId, seq: u64) -> Option<u64> {
        self.found(id, 1, seq, seq)
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
        let known = self.entry(id);
        let counted = Counted {
            count: known.map_or(0, |known| known.count) + count,
            first: known.map_or(first, |known| known.first),
            last,
        };
        self.set(id, counted);
        known.map(|known| known.last)
    }

    /// Uncounts the message `seq`, which `next` follows on the subject if that is known.
    pub(super) fn removed(&mut self, id: SubjectId, seq: u64, next: Option<u64>) {
        let Some(mut counted) = self.entry(id) else {
            return;
        };
        counted.count -= 1;
        if counted.count > 0 && counted.first == seq {
            counted.first = next.unwrap_or(seq + 1);
        }
        self.set(id, counted);
        if counted.count == 0 {
            self.forget(id);
        }
    }

    /// Lets a subject go that has no message any more.
    fn forget(&mut self, id: SubjectId) {
        let hash = self.hasher.hash_one(self.text(id.0));
        if let Ok(found) = self.by_name.find_entry(hash, |&found| found == id.0) {
            found.remove();
        }
        self.free.push(id.0);
        let subject = self.entries.get_mut(id.index());
        let name = subject.map(|subject| core::mem::take(&mut subject.name));
        if name.is_some_and(|name| self.texts.give_up(name)) {
            let names = self.entries.iter_mut().map(|subject| &mut subject.name);
            self.texts.close_gaps(names);
        }
    }

    #[inline]
    pub(super) fn entry(&self, id: SubjectId) -> Option<Counted> {
        let subject = self.entries.get(id.index())?;
        match subject.numbers {
            Numbers::NONE => None,
            Numbers::ASIDE => self.aside.get(subject.last),
            numbers => Some(numbers.counted(self.base, subject.last)),
        }
    }

    #[inline]
    fn set(&mut self, id: SubjectId, counted: Counted) {
        if counted.last > self.base + u64::from(u32::MAX) {
            self.move_base(counted.last);
        }
        let near = counted.near(self.base);
        let Some(subject) = self.entries.get_mut(id.index()) else {
            return;
        };
        let was_aside = subject.numbers == Numbers::ASIDE;
        let (last, numbers) = match near {
            Some(near) => near,
            None if was_aside => return self.aside.set(subject.last, counted),
            None => (self.aside.put(counted), Numbers::ASIDE),
        };
        if was_aside {
            self.aside.give_up(subject.last);
        }
        (subject.last, subject.numbers) = (last, numbers);
    }

    /// Counts from a later base on, so that `last` is near and what comes next will be for long: two
    /// thousand million messages at least.
    #[cold]
    fn move_base(&mut self, last: u64) {
        let before = self.base;
        self.base = last - u64::from(u32::MAX / 2);
        for subject in &mut self.entries {
            if matches!(subject.numbers, Numbers::NONE | Numbers::ASIDE) {
                continue;
            }
            let counted = subject.numbers.counted(before, subject.last);
            (subject.last, subject.numbers) = counted
                .near(self.base)
                .unwrap_or_else(|| (self.aside.put(counted), Numbers::ASIDE));
        }
    }

    pub(super) fn name(&self, id: SubjectId) -> &[u8] {
        self.text(id.0)
    }

    #[inline]
    fn text(&self, id: u32) -> &[u8] {
        let subject = self.entries.get(index(id));
        subject.map_or(&[], |subject| self.texts.get(&subject.name))
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
            .filter(|(_, subject)| subject.numbers != Numbers::NONE)
            .map(|(id, _)| SubjectId(id))
    }

    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    pub(super) fn memory(&self) -> usize {
        self.texts.memory()
            + self.entries.capacity() * size_of::<Subject>()
            + self.by_name.capacity() * (size_of::<u32>() + 1)
            + self.aside.memory()
            + self.free.capacity() * size_of::<u32>()
    }
}

fn index(id: u32) -> usize {
    usize::try_from(id).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FAR: u64 = 1 << 33;

    #[test]
    fn a_subject_that_went_is_not_taken_for_the_latest() {
        let mut subjects = Subjects::default();
        let id = subjects.intern(b"a");
        subjects.pushed(id, 1);
        assert_eq!(subjects.intern(b"a"), id);
        subjects.removed(id, 1, None);
        let other = subjects.intern(b"b");
        subjects.pushed(other, 2);
        assert_eq!(other, id, "the id is free again");
        let again = subjects.intern(b"a");
        assert_ne!(again, other);
        assert_eq!(subjects.name(other), b"b");
    }

    #[test]
    fn a_subject_takes_the_room_of_three_words() {
        assert_eq!(size_of::<Subject>(), 24);
    }

    #[test]
    fn numbers_that_outgrow_a_place_are_still_counted_and_come_back() {
        let mut subjects = Subjects::default();
        let id = subjects.intern(b"a");
        assert_eq!(subjects.pushed(id, 7), None);
        assert_eq!(subjects.found(id, FAR, 8, FAR + 8), Some(7));
        assert_eq!(subjects.pushed(id, FAR + 9), Some(FAR + 8));
        let entry = subjects.entry(id).unwrap();
        assert_eq!(
            (entry.count, entry.first, entry.last),
            (FAR + 2, 7, FAR + 9)
        );
        let other = subjects.intern(b"b");
        subjects.pushed(other, 1);
        subjects.pushed(other, FAR);
        subjects.removed(other, 1, Some(FAR));
        let entry = subjects.entry(other).unwrap();
        assert_eq!((entry.count, entry.first, entry.last), (1, FAR, FAR));
        assert_eq!(subjects.aside.len(), 1);
        subjects.removed(other, FAR, None);
        assert!(subjects.entry(other).is_none());
        assert_eq!(subjects.find(b"b"), None);
        assert_eq!(subjects.intern(b"c"), other, "the id is free again");
    }

    #[test]
    fn numbers_are_the_same_wherever_they_lie() {
        let mut subjects = Subjects::default();
        let many = subjects.intern(b"many");
        for seq in 1..=300 {
            subjects.pushed(many, seq);
            let entry = subjects.entry(many).unwrap();
            assert_eq!((entry.count, entry.first, entry.last), (seq, 1, seq));
            assert_eq!(subjects.aside.len(), usize::from(seq > 254));
        }
        let old = subjects.intern(b"old");
        subjects.pushed(old, 301);
        let wide = subjects.intern(b"wide");
        for (seq, aside) in [(302, 1), (302 + (1 << 24), 2)] {
            subjects.pushed(wide, seq);
            assert_eq!(subjects.aside.len(), aside);
        }
        // Far beyond what a place can tell from where it began to count.
        for step in 1..6 {
            let new = subjects.intern(b"new");
            subjects.pushed(new, step << 31);
            let entry = subjects.entry(new).unwrap();
            assert_eq!((entry.count, entry.last), (step, step << 31));
        }
        let ends = |id| {
            let entry = subjects.entry(id).unwrap();
            (entry.count, entry.first, entry.last)
        };
        assert_eq!(ends(many), (300, 1, 300));
        assert_eq!(ends(old), (1, 301, 301));
        assert_eq!(ends(wide), (2, 302, 302 + (1 << 24)));
        for seq in 1..=300 {
            subjects.removed(many, seq, Some(seq + 1));
        }
        assert!(subjects.entry(many).is_none());
        subjects.removed(old, 301, None);
        assert_eq!(subjects.find(b"old"), None);
        assert_eq!(subjects.aside.len(), 2, "of what is wide and what is new");
    }
}

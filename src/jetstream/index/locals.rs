//! The subjects of a packed page, in the order in which they first appear in it.
//!
//! *Invariant:* nothing is kept of what is the same for all of them: that each has one message, or that
//! none has another behind the page. So a page of as many subjects as messages costs little more than one
//! of few.

use alloc::boxed::Box;
use alloc::vec;
use alloc::vec::Vec;
use core::mem::size_of;

use super::SubjectId;

/// Among more subjects than these none is searched for one by one.
const SEARCHED_MAX: usize = 512;

/// What a packed page knows of its subjects.
#[derive(Debug)]
pub(super) struct Locals {
    ids: Box<[SubjectId]>,
    /// How many messages each has; nothing where each has one.
    counts: Box<[u16]>,
    /// How far ahead of the page's first message the one is that follows the last one here, zero where there
    /// is none; nothing where there is none for any.
    next: Box<[u32]>,
    is_sorted: bool,
}

impl Locals {
    /// Takes the subjects with how many messages each has, and the message that follows the last one here
    /// on each; the first message of the page is `first`.
    pub(super) fn new(
        first: u64,
        subjects: impl Iterator<Item = (SubjectId, u64, Option<u64>)>,
    ) -> Self {
        let (mut ids, mut counts, mut nexts) = (Vec::new(), Vec::new(), Vec::new());
        for (id, count, next) in subjects {
            ids.push(id);
            // A page has fewer messages than that.
            counts.push(u16::try_from(count).unwrap_or(u16::MAX));
            nexts.push(next);
        }
        if counts.iter().all(|count| *count == 1) {
            counts = Vec::new();
        }
        let is_sorted = ids.is_sorted_by(|a, b| a < b);
        let mut locals = Self {
            ids: ids.into(),
            counts: counts.into(),
            next: Box::default(),
            is_sorted,
        };
        for (at, next) in nexts.into_iter().enumerate() {
            if let Some(next) = next {
                locals.put_next(at, first, next);
            }
        }
        locals
    }

    /// Returns how many there are.
    pub(super) fn len(&self) -> usize {
        self.ids.len()
    }

    /// Returns whether one of them is found soon: in a page where that is not so, a link costs too much.
    pub(super) fn is_searchable(&self) -> bool {
        self.is_sorted || self.ids.len() <= SEARCHED_MAX
    }

    /// Returns the subject of a number.
    pub(super) fn id(&self, at: usize) -> Option<SubjectId> {
        self.ids.get(at).copied()
    }

    /// Returns all of them, each with how many messages it has.
    pub(super) fn iter(&self) -> impl Iterator<Item = (SubjectId, u64)> + '_ {
        let count = |at| u64::from(self.counts.get(at).copied().unwrap_or(1));
        let numbered = self.ids.iter().enumerate();
        numbered.map(move |(at, id)| (*id, count(at)))
    }

    /// Returns the message that follows the last one here on the subject of a number; the first message of
    /// the page is `first`.
    pub(super) fn next(&self, at: usize, first: u64) -> Option<u64> {
        let ahead = self.next.get(at).filter(|ahead| **ahead > 0)?;
        Some(first + u64::from(*ahead))
    }

    /// Returns the same for a subject, if that is found without a search.
    pub(super) fn next_of(&self, id: SubjectId, first: u64) -> Option<u64> {
        if !self.is_sorted {
            return None;
        }
        self.next(self.find(id)?, first)
    }

    /// Records that `next` follows the last message here on a subject.
    pub(super) fn link(&mut self, id: SubjectId, first: u64, next: u64) {
        if let Some(at) = self.find(id) {
            self.put_next(at, first, next);
        }
    }

    /// Returns the number of a subject.
    fn find(&self, id: SubjectId) -> Option<usize> {
        if !self.is_sorted {
            return self.ids.iter().position(|local| *local == id);
        }
        // Subjects that came one after the other have ids in a row: then there is nothing to search, and of
        // a million subjects the ids are seldom at hand.
        let distance = id.index().checked_sub(self.ids.first()?.index())?;
        if self.ids.get(distance) == Some(&id) {
            return Some(distance);
        }
        self.ids.binary_search(&id).ok()
    }

    /// One that is too far ahead is looked for when it is wanted.
    fn put_next(&mut self, at: usize, first: u64, next: u64) {
        let Ok(ahead) = u32::try_from(next - first) else {
            return;
        };
        if self.next.is_empty() {
            self.next = vec![0; self.ids.len()].into();
        }
        if let Some(place) = self.next.get_mut(at) {
            *place = ahead;
        }
    }

    /// Returns what they take beside their place.
    pub(super) fn memory(&self) -> usize {
        self.ids.len() * size_of::<SubjectId>()
            + self.counts.len() * size_of::<u16>()
            + self.next.len() * size_of::<u32>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn locals(ids: &[u32], counts: &[u64]) -> Locals {
        let subjects = ids.iter().zip(counts);
        Locals::new(
            100,
            subjects.map(|(id, count)| (SubjectId(*id), *count, None)),
        )
    }

    #[test]
    fn a_subject_with_one_message_takes_its_id_only() {
        assert_eq!(locals(&[3, 5, 9], &[1, 1, 1]).memory(), 12);
        let mixed = locals(&[3, 5, 9], &[1, 4096, 1]);
        let counts: Vec<u64> = mixed.iter().map(|(_, count)| count).collect();
        assert_eq!(counts, [1, 4096, 1]);
    }

    #[test]
    fn links_are_found_again_in_any_order_of_ids() {
        for ids in [[3, 5, 9], [9, 3, 5], [3, 4, 9]] {
            let mut locals = locals(&ids, &[1, 1, 1]);
            locals.link(SubjectId(3), 100, 5000);
            locals.link(SubjectId(9), 100, u64::MAX);
            locals.link(SubjectId(2), 100, 200);
            locals.link(SubjectId(6), 100, 200);
            locals.link(SubjectId(10), 100, 200);
            for (at, id) in ids.into_iter().enumerate() {
                let next = (id == 3).then_some(5000);
                assert_eq!(locals.next(at, 100), next, "{ids:?}");
            }
        }
    }

    #[test]
    fn many_subjects_are_searchable_only_in_order() {
        let mut ids: Vec<u32> = (0..1000).collect();
        let counts = vec![1; ids.len()];
        assert!(locals(&ids, &counts).is_searchable());
        ids.swap(0, 1);
        assert!(!locals(&ids, &counts).is_searchable());
        assert!(locals(&ids[..10], &counts).is_searchable());
    }
}

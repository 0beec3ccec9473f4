//! Who gets a message: plain subscriptions, and queue groups of which one member gets it.

use alloc::vec::Vec;
use core::ops::Range;

use protocol::rng::Rng;

use super::queues::QueueId;
use super::trie::Values;

/// The subscriptions that match a subject.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Matches<T> {
    plain: Vec<T>,
    members: Vec<T>,
    groups: Vec<(QueueId, Range<usize>)>,
    /// Members as they were found, before they are put together by group.
    found: Vec<(QueueId, T)>,
}

/// One queue group: the members of all matching subscriptions with its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Group<'a, T> {
    /// Which group.
    pub queue: QueueId,
    /// Its members, at least one.
    pub members: &'a [T],
}

impl<T> Default for Matches<T> {
    fn default() -> Self {
        Self {
            plain: Vec::new(),
            members: Vec::new(),
            groups: Vec::new(),
            found: Vec::new(),
        }
    }
}

impl<T: Copy> Matches<T> {
    /// Returns the plain subscriptions: each gets the message.
    #[must_use]
    pub fn plain(&self) -> &[T] {
        &self.plain
    }

    /// Returns the queue groups, each name once: one member of each gets the message.
    pub fn groups(&self) -> impl Iterator<Item = Group<'_, T>> {
        self.groups.iter().map(|(queue, range)| Group {
            queue: *queue,
            members: self.members.get(range.clone()).unwrap_or(&[]),
        })
    }

    /// Returns all of them, members of groups included.
    pub fn iter(&self) -> impl Iterator<Item = T> {
        self.plain.iter().chain(&self.members).copied()
    }

    /// Reports whether nothing matches.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.plain.is_empty() && self.members.is_empty()
    }

    /// Returns how many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.plain.len() + self.members.len()
    }

    pub(super) fn clear(&mut self) {
        self.plain.clear();
        self.members.clear();
        self.groups.clear();
        self.found.clear();
    }

    pub(super) fn add(&mut self, values: &Values<T>) {
        self.plain.extend_from_slice(values.plain());
        self.found.extend_from_slice(values.queued());
    }

    /// Puts the members found together by group.
    pub(super) fn group(&mut self) {
        // Stable: within a group the members keep the order in which they subscribed.
        self.found.sort_by_key(|(queue, _)| *queue);
        for (queue, value) in self.found.drain(..) {
            let at = self.members.len();
            self.members.push(value);
            match self.groups.last_mut() {
                Some((last, range)) if *last == queue => range.end = at + 1,
                _ => self.groups.push((queue, at..at + 1)),
            }
        }
    }
}

impl<'a, T: Copy> Group<'a, T> {
    /// Returns a member, each with the same probability.
    #[must_use]
    pub fn pick(&self, rng: &mut Rng) -> Option<T> {
        self.candidates(rng).next()
    }

    /// Returns every member once, starting at one drawn evenly: take the first that can take the
    /// message.
    pub fn candidates(&self, rng: &mut Rng) -> impl Iterator<Item = T> + use<'a, T> {
        let members = self.members;
        let start = match members.len() {
            0 | 1 => 0,
            n => usize::try_from(rng.below(n as u64)).unwrap_or(0),
        };
        let (before, from) = members.split_at_checked(start).unwrap_or((&[], members));
        from.iter().chain(before).copied()
    }
}

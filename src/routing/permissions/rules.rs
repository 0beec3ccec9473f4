//! One allow list and one deny list.

use alloc::vec::Vec;

use protocol::subject;

use super::SubjectSpec;
use crate::sublist::{Frontier, InvalidSubject, Trie};

#[derive(Debug)]
pub(super) struct Rules {
    allow: Option<List>,
    deny: List,
}

/// Entries by subject; the values are indices into `entries`.
#[derive(Debug)]
struct List {
    entries: Vec<Entry>,
    by_subject: Trie<u32>,
}

#[derive(Debug)]
struct Entry {
    subject: Vec<u8>,
    queue: Option<Vec<u8>>,
}

/// Which entries cover a subscription.
#[derive(Clone, Copy, Debug, Default)]
struct Cover {
    /// One without a queue.
    plain: bool,
    /// One with a queue, whichever.
    queued: bool,
    /// One with the subscription's queue.
    queue: bool,
}

impl Rules {
    pub(super) fn new(spec: &SubjectSpec, seed: u64) -> Result<Self, InvalidSubject> {
        let allow = match &spec.allow {
            Some(entries) => Some(List::new(entries, seed)?),
            None => None,
        };
        Ok(Self {
            allow,
            deny: List::new(&spec.deny, seed)?,
        })
    }

    /// Reports whether there is no rule at all.
    pub(super) fn is_open(&self) -> bool {
        self.allow.is_none() && self.deny.entries.is_empty()
    }

    /// Reports whether the allow list covers `subject` wholly. For a subscription in a queue group the
    /// entries with queues decide, if any covers the subject.
    pub(super) fn allows(
        &self,
        subject: &[u8],
        queue: Option<&[u8]>,
        frontier: &mut Frontier,
    ) -> bool {
        let Some(allow) = &self.allow else {
            return true;
        };
        let cover = allow.cover(subject, queue, frontier, |entry| {
            // The trie takes the subject for a literal, whose token `>` a `*` matches; but who may
            // have `a.*` may not have `a.>`.
            subject::is_subset(subject, entry)
        });
        if queue.is_some() && cover.queued {
            cover.queue
        } else {
            cover.plain
        }
    }

    /// Reports whether the deny list covers `subject`, or the queue group on it.
    pub(super) fn denies(
        &self,
        subject: &[u8],
        queue: Option<&[u8]>,
        frontier: &mut Frontier,
    ) -> bool {
        if self.deny.entries.is_empty() {
            return false;
        }
        let cover = self.deny.cover(subject, queue, frontier, |_| true);
        cover.plain || cover.queue
    }

    /// Reports whether some deny entry has a literal in common with `subject`.
    pub(super) fn denies_part_of(&self, subject: &[u8]) -> bool {
        let entries = &self.deny.entries;
        entries
            .iter()
            .any(|entry| subject::overlaps(&entry.subject, subject))
    }
}

impl List {
    fn new(entries: &[Vec<u8>], seed: u64) -> Result<Self, InvalidSubject> {
        let mut list = Self {
            entries: Vec::with_capacity(entries.len()),
            by_subject: Trie::new(seed),
        };
        for text in entries {
            let mut parts = text
                .split(u8::is_ascii_whitespace)
                .filter(|part| !part.is_empty());
            let (Some(subject), queue, None) = (parts.next(), parts.next(), parts.next()) else {
                return Err(InvalidSubject);
            };
            if !subject::is_valid(subject) || queue.is_some_and(|queue| !subject::is_valid(queue)) {
                return Err(InvalidSubject);
            }
            let index = u32::try_from(list.entries.len()).map_err(|_| InvalidSubject)?;
            list.by_subject.insert(subject, None, index);
            list.entries.push(Entry {
                subject: subject.to_vec(),
                queue: queue.map(<[u8]>::to_vec),
            });
        }
        Ok(list)
    }

    fn cover(
        &self,
        subject: &[u8],
        queue: Option<&[u8]>,
        frontier: &mut Frontier,
        counts: impl Fn(&[u8]) -> bool,
    ) -> Cover {
        let mut cover = Cover::default();
        self.by_subject.matching(subject, frontier, |values| {
            for index in values.all() {
                let Some(entry) = self.entries.get(index as usize) else {
                    continue;
                };
                if !counts(&entry.subject) {
                    continue;
                }
                match (&entry.queue, queue) {
                    (None, _) => cover.plain = true,
                    (Some(_), None) => cover.queued = true,
                    (Some(pattern), Some(queue)) => {
                        cover.queued = true;
                        cover.queue |= pattern == queue || subject::matches(pattern, queue);
                    }
                }
            }
        });
        cover
    }
}

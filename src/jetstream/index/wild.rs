//! Finding the next message of a pattern.
//!
//! *Invariant:* what lies close is found message by message; beyond that the subjects are asked, so that
//! a consumer of a few messages behind a million others does not pay for the others.

use alloc::vec;

use super::chunk::CHUNK_LEN;
use super::{Index, SubjectId, subject_matches};

impl Index {
    /// Returns the first live message at or after `from` whose subject matches.
    pub(super) fn next_wild(&self, pattern: &[u8], from: u64) -> Option<u64> {
        let matches = |id: SubjectId| subject_matches(pattern, self.subjects.name(id));
        let near = from.saturating_add(CHUNK_LEN);
        if let Some(seq) = self.scan(from, near.min(self.last), matches) {
            return Some(seq);
        }
        let from = near.saturating_add(1);
        if from > self.last {
            return None;
        }
        if self.subjects.len() > self.last - from {
            return self.scan(from, self.last, matches);
        }
        self.next_of_subjects(from, matches)
    }

    /// Returns the first message at or after `from` on a subject that is wanted: from what is known of
    /// each subject, and for those with messages on both sides from the messages up to there.
    fn next_of_subjects(&self, from: u64, wanted: impl Fn(SubjectId) -> bool) -> Option<u64> {
        let mut first = None;
        let mut astride = vec![false; 0];
        for id in self.subjects.all().filter(|&id| wanted(id)) {
            let Some(entry) = self.subjects.entry(id).filter(|entry| entry.last >= from) else {
                continue;
            };
            if entry.first >= from {
                let next = self.next_of(id, from);
                first = first.into_iter().chain(next).min();
                continue;
            }
            let at = usize::try_from(id.0).unwrap_or(usize::MAX);
            if astride.len() <= at {
                astride.resize(at + 1, false);
            }
            if let Some(mark) = astride.get_mut(at) {
                *mark = true;
            }
        }
        if astride.is_empty() {
            return first;
        }
        let is_astride = |id: SubjectId| {
            let at = usize::try_from(id.0).unwrap_or(usize::MAX);
            astride.get(at).copied().unwrap_or(false)
        };
        let to = first.unwrap_or(self.last);
        self.scan(from, to, is_astride).or(first)
    }
}

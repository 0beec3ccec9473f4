//! Finding messages: the next and the last of a filter or a subject, and the first since a moment.
//!
//! *Invariant:* what the bookkeeping of subjects names is looked at first; a scan passes over packed pages
//! that hold nothing of what is wanted.

use protocol::id::Seq;
use protocol::time::Wall;

use super::chunk::{CHUNK_LEN, Chunk};
use super::{Filter, Index, SubjectId};

impl Index {
    /// Returns the first live message at or after `from` whose subject matches.
    #[must_use]
    pub fn next(&self, filter: &Filter, from: Seq) -> Option<Seq> {
        let from = from.0.max(self.first);
        match filter {
            Filter::All => self.next_live(from),
            Filter::Literal(subject) => {
                let id = self.subjects.find(subject)?;
                self.next_of(id, from)
            }
            Filter::Wild(pattern) => self.next_wild(pattern, from),
        }
        .map(Seq)
    }

    /// Returns the first live message at or after `from` that one of the filters matches; no filter
    /// means all messages.
    #[must_use]
    pub(crate) fn next_any(&self, filters: &[Filter], from: Seq) -> Option<Seq> {
        match filters {
            [] => self.next(&Filter::All, from),
            [one] => self.next(one, from),
            many => many.iter().filter_map(|f| self.next(f, from)).min(),
        }
    }

    /// Returns the last live message that matches.
    #[must_use]
    pub fn last(&self, filter: &Filter) -> Option<Seq> {
        match filter {
            Filter::All => self.last_live(),
            Filter::Literal(subject) => self.last_of(self.subjects.find(subject)?),
            Filter::Wild(pattern) => self
                .subjects
                .matching(pattern)
                .filter_map(|id| self.last_of(id))
                .max(),
        }
        .map(Seq)
    }

    /// Returns the sequence of the first live message stored at or after `time`; one past the last
    /// when there is none.
    #[must_use]
    pub(crate) fn first_since(&self, time: Wall) -> Seq {
        let found = self
            .chunks
            .iter()
            .filter(|held| held.folded().is_none_or(|page| page.last_time >= time))
            .find_map(|held| held.chunk()?.first_since(time))
            .and_then(|seq| self.next_live(seq));
        Seq(found.unwrap_or(self.last + 1))
    }

    /// Returns the first live sequence at or after `from`.
    pub(super) fn next_live(&self, from: u64) -> Option<u64> {
        if self.messages == self.last + 1 - self.first {
            return (from <= self.last).then_some(from.max(self.first));
        }
        self.scan(from, self.last, |_| true)
    }

    pub(super) fn last_live(&self) -> Option<u64> {
        let mut newest = self.chunks.iter().rev();
        newest.find_map(|held| match held.folded() {
            Some(page) => Some(page.last),
            None => held.unfolded()?.last_live(),
        })
    }

    /// Returns the first live sequence in `from..=to` whose subject is wanted.
    pub(super) fn scan(
        &self,
        from: u64,
        to: u64,
        mut wanted: impl FnMut(SubjectId) -> bool,
    ) -> Option<u64> {
        let mut at = from.max(self.first);
        while at <= to {
            let end = Chunk::end_of(at);
            let held = self.chunks.get(self.position(at)?)?;
            let may_have = held.folded().is_none_or(|page| page.has(&mut wanted));
            if may_have
                && let Some(chunk) = held.chunk()
                && let Some(seq) = chunk.find(at, to, &mut wanted)
            {
                return Some(seq);
            }
            at = end;
        }
        None
    }

    /// Returns the first live message of a subject at or after `from`.
    pub(super) fn next_of(&self, id: SubjectId, from: u64) -> Option<u64> {
        let entry = self.subjects.entry(id)?;
        if from > entry.last {
            return None;
        }
        if from <= entry.first {
            // The usual case: the bookkeeping names the first message itself.
            if self.is_of(entry.first, id) {
                return Some(entry.first);
            }
        } else if let Some(next) = self.linked(id, from - 1) {
            return Some(next);
        }
        let from = from.max(entry.first);
        if entry.count == 1 && self.is_of(entry.last, id) {
            return (entry.last >= from).then_some(entry.last);
        }
        self.scan(from, entry.last, |found| found == id)
    }

    /// Returns the next message of the subject of `seq`, when `seq` is on `id` and its link names it.
    pub(super) fn linked(&self, id: SubjectId, seq: u64) -> Option<u64> {
        if !self.is_of(seq, id) {
            return None;
        }
        let next = self.chunk(seq)?.next_link(seq)?;
        self.is_of(next, id).then_some(next)
    }

    /// Returns the next message of the same subject as the live message `seq`, if its link names it.
    pub(super) fn next_same(&self, seq: u64) -> Option<u64> {
        self.chunk(seq)?.next_link(seq)
    }

    /// Returns the last live message of a subject.
    pub(super) fn last_of(&self, id: SubjectId) -> Option<u64> {
        let entry = self.subjects.entry(id)?;
        if self.is_of(entry.last, id) {
            return Some(entry.last);
        }
        self.last_before(id, entry.last)
    }

    /// Returns the last live message of a subject at or before `at`.
    pub(super) fn last_before(&self, id: SubjectId, mut at: u64) -> Option<u64> {
        loop {
            let held = self.chunks.get(self.position(at)?)?;
            let may_have = held.folded().is_none_or(|page| page.has(|s| s == id));
            if may_have
                && let Some(chunk) = held.chunk()
                && let Some(seq) = chunk.rfind(at, id)
            {
                return Some(seq);
            }
            at = (at / CHUNK_LEN * CHUNK_LEN).checked_sub(1)?;
        }
    }

    fn is_of(&self, seq: u64, id: SubjectId) -> bool {
        self.slot(seq).is_some_and(|slot| slot.subject == id)
    }
}

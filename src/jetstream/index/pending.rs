//! Counting: how many messages a consumer still has before it, and what a filter selects.

use alloc::vec;
use alloc::vec::Vec;

use protocol::id::Seq;

use super::{Filter, Held, Index, SubjectId, SubjectInfo};

/// Going on to the next message of a subject costs as much as passing over so many in a row.
const LINK_COST: u64 = 8;

impl Index {
    /// Returns how many live messages at or after `from` match one of the filters, which must not
    /// overlap; no filter means all messages.
    #[must_use]
    pub fn num_pending(&self, filters: &[Filter], from: Seq) -> u64 {
        if filters.is_empty() {
            return self.pending(&Filter::All, from.0);
        }
        filters.iter().map(|f| self.pending(f, from.0)).sum()
    }

    /// Appends the last message of every subject that one of the filters matches to `out`, in
    /// ascending order; no filter means all subjects.
    pub fn last_per_subject(&self, filters: &[Filter], out: &mut Vec<Seq>) {
        let begin = out.len();
        if filters.is_empty() {
            out.extend(
                self.subjects
                    .all()
                    .filter_map(|id| self.last_of(id))
                    .map(Seq),
            );
        }
        for filter in filters {
            match filter {
                Filter::Literal(_) => out.extend(self.last(filter)),
                Filter::All | Filter::Wild(_) => out.extend(
                    self.selected(filter)
                        .filter_map(|id| self.last_of(id))
                        .map(Seq),
                ),
            }
        }
        if let Some(added) = out.get_mut(begin..) {
            added.sort_unstable();
        }
    }

    /// Appends what [`Index::last_per_subject`] did when `up_to` was the last message, as far as it is
    /// still there, without repetition.
    pub(crate) fn last_per_subject_up_to(
        &self,
        filters: &[Filter],
        up_to: Seq,
        out: &mut Vec<Seq>,
    ) {
        let begin = out.len();
        for filter in filters {
            let ids = self
                .subjects
                .all()
                .filter(|&id| filter.matches(self.subjects.name(id)));
            out.extend(ids.filter_map(|id| self.last_at(id, up_to.0)).map(Seq));
        }
        let mut added = out.split_off(begin);
        added.sort_unstable();
        added.dedup();
        out.append(&mut added);
    }

    /// Returns the last live message of a subject at or before `up_to`.
    fn last_at(&self, id: SubjectId, up_to: u64) -> Option<u64> {
        let last = self.last_of(id)?;
        if last <= up_to {
            return Some(last);
        }
        let first = self.next_of(id, 0)?;
        if first > up_to {
            return None;
        }
        self.last_before(id, up_to)
    }

    /// Returns the subjects that match, with what is stored on each, sorted by name.
    #[must_use]
    pub fn subjects(&self, filter: &Filter) -> Vec<(&[u8], SubjectInfo)> {
        let mut found: Vec<_> = match filter {
            Filter::Literal(name) => {
                let id = self.subjects.find(name);
                id.into_iter().filter_map(|id| self.listed(id)).collect()
            }
            Filter::All | Filter::Wild(_) => self
                .selected(filter)
                .filter_map(|id| self.listed(id))
                .collect(),
        };
        found.sort_unstable_by_key(|(name, _)| *name);
        found
    }

    /// Returns the subjects with more than `max` messages.
    #[must_use]
    pub(crate) fn subjects_above(&self, max: u64) -> Vec<(Vec<u8>, u64)> {
        self.subjects
            .all()
            .filter_map(|id| Some((id, self.subjects.entry(id)?.count)))
            .filter(|(_, count)| *count > max)
            .map(|(id, count)| (self.subjects.name(id).to_vec(), count))
            .collect()
    }

    fn listed(&self, id: SubjectId) -> Option<(&[u8], SubjectInfo)> {
        Some((self.subjects.name(id), self.subject_info_of(id)?))
    }

    fn selected<'a>(&'a self, filter: &'a Filter) -> impl Iterator<Item = SubjectId> + 'a {
        self.subjects
            .all()
            .filter(move |&id| filter.matches(self.subjects.name(id)))
    }

    fn pending(&self, filter: &Filter, from: u64) -> u64 {
        let from = from.max(self.first);
        if from > self.last {
            return 0;
        }
        if from == self.first && *filter == Filter::All {
            return self.messages;
        }
        match filter {
            Filter::All => self.live_from(from),
            Filter::Literal(name) => self
                .subjects
                .find(name)
                .map_or(0, |id| self.count(id, from)),
            Filter::Wild(_) => self.pending_wild(filter, from),
        }
    }

    fn live_from(&self, from: u64) -> u64 {
        if from > self.missing_upto || self.num_deleted() == 0 {
            return self.last + 1 - from;
        }
        let Some(at) = self.position(from) else {
            return self.messages;
        };
        let mut rest = self.chunks.iter().skip(at);
        let mut sum = 0u64;
        if let Some(chunk) = rest.next().and_then(Held::chunk) {
            chunk.each_from(from, |_| sum += 1);
        }
        sum + rest.map(|held| u64::from(held.live())).sum::<u64>()
    }

    /// Counts the messages of one subject, from whichever side has fewer links to follow.
    fn count(&self, id: SubjectId, from: u64) -> u64 {
        let Some(entry) = self.subjects.entry(id) else {
            return 0;
        };
        if from <= entry.first {
            return entry.count;
        }
        let mut before = 0;
        let mut at = self.next_of(id, entry.first);
        while let Some(seq) = at
            && seq < from
        {
            before += 1;
            at = self.next_of(id, seq + 1);
        }
        entry.count - before
    }

    /// Adds up the subjects that lie wholly at or after `from`. Of those on both sides the messages are
    /// looked at: their own, or all that follow, whichever are fewer.
    fn pending_wild(&self, filter: &Filter, from: u64) -> u64 {
        let mut sum = 0;
        let (mut astride, mut own) = (Vec::new(), 0);
        for id in self.selected(filter) {
            let Some(entry) = self.subjects.entry(id) else {
                continue;
            };
            if entry.first >= from {
                sum += entry.count;
            } else if entry.last >= from {
                astride.push(id);
                own += entry.count;
            }
        }
        if astride.is_empty() {
            return sum;
        }
        if own.saturating_mul(LINK_COST) < self.last - from {
            return sum + astride.iter().map(|&id| self.count(id, from)).sum::<u64>();
        }
        let mut marks = vec![false; self.subjects.ids()];
        for id in astride {
            if let Some(mark) = marks.get_mut(id.index()) {
                *mark = true;
            }
        }
        let marked = |id: SubjectId| marks.get(id.index()).copied().unwrap_or(false);
        let first = self.position(from).unwrap_or(0);
        for held in self.chunks.iter().skip(first) {
            if let Some(page) = held.folded()
                && (page.first >= from || !page.has(marked))
            {
                sum += page.count(marked);
            } else if let Some(chunk) = held.chunk() {
                chunk.each_from(from, |id| sum += u64::from(marked(id)));
            }
        }
        sum
    }
}

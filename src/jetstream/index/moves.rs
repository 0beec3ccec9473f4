//! Where entries lie: what is to leave the log or a wasteful segment, and what has moved.

use alloc::vec::Vec;

use protocol::id::{LogPos, Seq};
use protocol::store::{Loc, Place};

use super::chunk::{CHUNK_LEN, Chunk};
use super::{Held, Index};

/// How many chunks are looked through at most in one search for what lies in a wasteful segment: a few
/// milliseconds.
const CHUNKS_PER_SEARCH: usize = 1_024;

/// How far the search for the messages of a wasteful segment has come.
#[derive(Clone, Copy, Debug)]
pub(super) struct Search {
    segment: u32,
    /// None lies in a chunk of a smaller number.
    chunk: u64,
}

impl Index {
    /// Takes the numbers of segments that hold no live message.
    pub fn take_dead_segments(&mut self, each: impl FnMut(u32)) {
        self.segments.take_dead(each);
    }

    /// Returns whether a segment is mostly waste.
    #[must_use]
    pub(crate) fn has_wasteful_segment(&self) -> bool {
        self.segments.wasteful().is_some()
    }

    /// Appends live messages of a segment that is mostly waste to `out`, in order, about `max` of them;
    /// nothing if there is no such segment, or if looking on for them is left to the next call.
    pub(crate) fn wasteful_segment(&self, max: usize, out: &mut Vec<(Seq, Loc)>) {
        let Some(segment) = self.segments.wasteful() else {
            return;
        };
        let inside = |loc: Loc| match loc.place() {
            Place::Segment { number, .. } => number == segment,
            Place::Log(_) => false,
        };
        // Of parked messages there are few, and none in most streams.
        self.each_parked(|seq, loc| {
            if inside(loc) {
                out.push((seq, loc));
            }
        });
        let known = self.search.get().filter(|search| search.segment == segment);
        let begin = known.map_or(self.base, |search| search.chunk.max(self.base));
        let skipped = usize::try_from(begin - self.base).unwrap_or(usize::MAX);
        let mut looked = 0;
        for (chunk, held) in (begin..).zip(self.chunks.iter().skip(skipped)) {
            if out.len() >= max || looked >= CHUNKS_PER_SEARCH {
                self.search.set(Some(Search { segment, chunk }));
                return;
            }
            if held.folded().is_some_and(|page| !page.lies_in(segment)) {
                continue;
            }
            looked += 1;
            if let Some(chunk) = held.glance() {
                chunk.each_loc(|seq, loc| {
                    if inside(loc) {
                        out.push((seq, loc));
                    }
                });
            }
        }
        // What could not be moved is found again.
        self.search.set(None);
    }

    /// Appends the first messages whose entries still lie in the log, below `below`, to `out`, in order:
    /// about `max` of them.
    pub fn unflushed(&self, below: LogPos, max: usize, out: &mut Vec<(Seq, Loc)>) {
        let in_log = |loc: Loc| match loc.place() {
            Place::Log(pos) => pos < below,
            Place::Segment { .. } => false,
        };
        self.unflushed_parked(below, max, out);
        let first = self.position(self.flushed_below).unwrap_or(0);
        // A page is packed when none of its messages lies in the log.
        for chunk in self.chunks.iter().skip(first).filter_map(Held::unfolded) {
            if out.len() >= max {
                return;
            }
            chunk.each_loc(|seq, loc| {
                if in_log(loc) {
                    out.push((seq, loc));
                }
            });
        }
    }

    /// Calls `each` with every message that is parked or live and where its entry lies, each of the two in
    /// order. Packed pages stay packed.
    pub(crate) fn each_place(&self, mut each: impl FnMut(Seq, Loc)) {
        self.each_parked(&mut each);
        for held in &self.chunks {
            match held.folded() {
                Some(page) => page.unpack().each_loc(&mut each),
                None => {
                    if let Some(chunk) = held.unfolded() {
                        chunk.each_loc(&mut each);
                    }
                }
            }
        }
    }

    /// Records where entries have moved.
    pub fn relocated(&mut self, moved: &[(Seq, Loc)]) {
        for &(seq, loc) in moved {
            let held = self.position(seq.0).and_then(|at| self.chunks.get(at));
            let Some(slot) = held.and_then(|held| held.glance()?.slot(seq.0)) else {
                self.relocated_parked(seq, loc);
                continue;
            };
            let size = self.size_of(slot.len, slot.has_headers);
            self.segments.removed(slot.loc, size);
            self.segments.added(loc, size);
            if let Some((chunk, first_change)) = self.held_mut(seq.0).and_then(Held::change) {
                chunk.relocate(seq.0, loc);
                if first_change {
                    self.changed.push(seq.0 / CHUNK_LEN);
                }
            }
        }
        // Messages move in order, so each is looked at once over its life.
        let mut from = self.flushed_below.max(self.first);
        while from <= self.last {
            let held = self.position(from).and_then(|at| self.chunks.get(at));
            let chunk = held.and_then(Held::unfolded);
            if let Some(seq) = chunk.and_then(|chunk| chunk.first_in_log(from)) {
                from = seq;
                break;
            }
            from = Chunk::end_of(from).min(self.last + 1);
        }
        self.flushed_below = from;
    }
}

//! The index in a checkpoint: what concerns all of it, and the messages in pages of one chunk each.
//!
//! *Invariant:* the bytes are a function of the live messages and the last sequence alone, so that two
//! indexes that got there on different ways write the same. A page names its subjects itself, numbered
//! as they first appear in it, so that none needs another page.

use alloc::vec::Vec;

use bytes::BufMut;
use foldhash::fast::FixedState;
use hashbrown::HashMap;
use protocol::id::{LogPos, Seq};
use protocol::store::{Loc, Place};
use protocol::time::Wall;

use super::chunk::{CHUNK_LEN, Slot};
use super::{Index, NewMsg, SubjectId};
use crate::entry::{DecodeError, Reader, put_bytes, put_step, put_varint};

/// Names a page: its messages are those of the chunk of this number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Page(pub u64);

impl Page {
    /// Returns the first sequence that belongs to the page.
    #[must_use]
    pub fn first(self) -> Seq {
        Seq(self.0.saturating_mul(CHUNK_LEN))
    }

    /// Returns the last sequence that belongs to the page.
    #[must_use]
    pub fn last(self) -> Seq {
        Seq(self.first().0.saturating_add(CHUNK_LEN - 1))
    }
}

/// The message before, from which the next one is a short step: about ten bytes per message instead of
/// thirty.
#[derive(Clone, Copy, Debug, Default)]
struct Before {
    seq: u64,
    loc: u64,
    time: u64,
}

impl Index {
    /// Appends what concerns the whole index to a checkpoint.
    pub fn snapshot(&self, out: &mut Vec<u8>) {
        out.put_u64_le(self.last);
        out.put_u64_le(self.last_time.0);
        let segments = self.segments.iter();
        out.put_u32_le(u32::try_from(segments.len()).unwrap_or(u32::MAX));
        for (number, used) in segments {
            out.put_u32_le(number);
            out.put_u64_le(used.total_bytes);
        }
    }

    /// Takes over what a checkpoint says of the whole index; the pages follow, in order.
    ///
    /// # Errors
    /// If the bytes are cut short or contradict themselves.
    pub(crate) fn restore(&mut self, from: &mut Reader) -> Result<(), DecodeError> {
        (self.last, self.last_time) = (from.u64()?, from.time()?);
        self.first = self.last + 1;
        self.flushed_below = self.first;
        for _ in 0..from.u32()? {
            let (number, total_bytes) = (from.u32()?, from.u64()?);
            self.segments.set_total(number, total_bytes);
        }
        Ok(())
    }

    /// Returns the pages that hold live messages.
    pub fn pages(&self) -> impl Iterator<Item = Page> + '_ {
        let numbered = (self.base..).zip(&self.chunks);
        let live = |chunk: &super::Chunk| chunk.live() > 0;
        numbered
            .filter(move |(_, chunk)| chunk.as_deref().is_some_and(live))
            .map(|(number, _)| Page(number))
    }

    /// Returns the pages that have changed since the last call; those without messages are gone.
    pub fn take_changed(&mut self) -> Vec<Page> {
        let mut changed = core::mem::take(&mut self.changed);
        changed.sort_unstable();
        changed.dedup();
        for number in &changed {
            if let Some(chunk) = self.chunk_mut(number * CHUNK_LEN) {
                chunk.set_changed(false);
            }
        }
        changed.into_iter().map(Page).collect()
    }

    /// Has a page written again by the next checkpoint.
    pub fn touch(&mut self, page: Page) {
        self.changed.push(page.0);
    }

    /// Appends a page to a checkpoint; nothing if it holds no message.
    pub fn snapshot_page(&self, page: Page, out: &mut Vec<u8>) {
        let Some(chunk) = self.chunk(page.first().0).filter(|chunk| chunk.live() > 0) else {
            return;
        };
        put_varint(out, u64::from(chunk.live()));
        let mut numbers: HashMap<SubjectId, u64, FixedState> = HashMap::default();
        let (mut last, mut fresh) = (None, 0);
        let mut before = Before {
            seq: page.first().0,
            ..Before::default()
        };
        for (seq, slot) in chunk.live_slots() {
            put_varint(out, seq - before.seq);
            put_step(out, before.loc, slot.loc.to_bits());
            put_step(out, before.time, slot.time.0);
            put_varint(out, u64::from(slot.len) << 1 | u64::from(slot.has_headers));
            before = Before {
                seq,
                loc: slot.loc.to_bits(),
                time: slot.time.0,
            };
            // Neighbours are often on the same subject.
            let known = match last {
                Some((subject, number)) if subject == slot.subject => Some(number),
                _ => numbers.get(&slot.subject).copied(),
            };
            let number = known.unwrap_or(fresh);
            last = Some((slot.subject, number));
            put_varint(out, number);
            if known.is_none() {
                numbers.insert(slot.subject, number);
                put_bytes(out, self.subjects.name(slot.subject));
                fresh += 1;
            }
        }
    }

    /// Takes over a page of a checkpoint.
    ///
    /// # Errors
    /// If the bytes are cut short or contradict themselves.
    pub(crate) fn restore_page(
        &mut self,
        page: Page,
        from: &mut Reader,
    ) -> Result<(), DecodeError> {
        let messages = from.varint()?;
        let mut subjects = Vec::new();
        let mut before = Before {
            seq: page.first().0,
            ..Before::default()
        };
        let end = page.last().0.min(self.last);
        let mut least = before.seq;
        for _ in 0..messages {
            let seq = before.seq.checked_add(from.varint()?);
            let seq = seq.filter(|seq| (least..=end).contains(seq));
            let seq = seq.ok_or(DecodeError::Length)?;
            let loc = from.step(before.loc)?;
            let time = from.step(before.time)?;
            before = Before { seq, loc, time };
            least = seq + 1;
            let coded = from.varint()?;
            let len = u32::try_from(coded >> 1).map_err(|_| DecodeError::Length)?;
            let number = usize::try_from(from.varint()?).map_err(|_| DecodeError::Length)?;
            if number == subjects.len() {
                subjects.push(self.subjects.intern(&from.bytes()?));
            }
            let subject = *subjects.get(number).ok_or(DecodeError::Length)?;
            let msg = NewMsg {
                loc: Loc::from_bits(loc),
                time: Wall(time),
                len,
                has_headers: coded & 1 != 0,
            };
            self.restore_message(seq, subject, msg);
        }
        let next = self.last + 1;
        if let Some(chunk) = self.chunk_mut(page.first().0)
            && !chunk.accepts(next)
        {
            chunk.compact();
        }
        Ok(())
    }

    fn restore_message(&mut self, seq: u64, subject: SubjectId, msg: NewMsg) {
        if let Some(previous) = self.subjects.pushed(subject, seq) {
            self.link(previous, seq);
        }
        self.chunk_for_push(seq).push(seq, msg, subject);
        if self.messages == 0 {
            self.first = seq;
        }
        let size = self.size_of(msg.len, msg.has_headers);
        self.messages += 1;
        self.bytes += u64::from(size);
        self.segments.found(msg.loc, size);
        if matches!(msg.loc.place(), Place::Log(_)) {
            self.flushed_below = self.flushed_below.min(seq);
        }
    }

    /// Takes the numbers of segments that hold no live message.
    pub fn take_dead_segments(&mut self, each: impl FnMut(u32)) {
        self.segments.take_dead(each);
    }

    /// Returns whether a segment is mostly waste.
    #[must_use]
    pub fn has_wasteful_segment(&self) -> bool {
        self.segments.wasteful().is_some()
    }

    /// Appends the live messages of a segment that is mostly waste to `out`, in order; nothing if there
    /// is no such segment.
    pub fn wasteful_segment(&self, out: &mut Vec<(Seq, Loc)>) {
        let Some(wasteful) = self.segments.wasteful() else {
            return;
        };
        let inside = |loc: Loc| match loc.place() {
            Place::Segment { number, .. } => number == wasteful,
            Place::Log(_) => false,
        };
        for chunk in self.chunks.iter().flatten() {
            chunk.each_loc(|seq, loc| {
                if inside(loc) {
                    out.push((seq, loc));
                }
            });
        }
    }

    /// Appends the first messages whose entries still lie in the log, below `below`, to `out`, in order:
    /// about `max` of them.
    pub fn unflushed(&self, below: LogPos, max: usize, out: &mut Vec<(Seq, Loc)>) {
        let in_log = |loc: Loc| match loc.place() {
            Place::Log(pos) => pos < below,
            Place::Segment { .. } => false,
        };
        let first = self.position(self.flushed_below).unwrap_or(0);
        for chunk in self.chunks.iter().skip(first).flatten() {
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

    /// Records where entries have moved.
    pub fn relocated(&mut self, moved: &[(Seq, Loc)]) {
        for &(seq, loc) in moved {
            let Some(meta) = self.meta(seq) else {
                continue;
            };
            self.segments.removed(meta.loc, meta.size);
            self.segments.added(loc, meta.size);
            let mut known = true;
            if let Some(chunk) = self.chunk_mut(seq.0) {
                chunk.relocate(seq.0, loc);
                known = chunk.set_changed(true);
            }
            if !known {
                self.changed.push(seq.0 / CHUNK_LEN);
            }
        }
        // Messages move in order, so each is looked at once over its life.
        let in_log = |slot: &Slot| matches!(slot.loc.place(), Place::Log(_));
        let mut from = self.flushed_below;
        while let Some(seq) = self.next_live(from) {
            from = seq;
            if self.slot(seq).as_ref().is_some_and(in_log) {
                break;
            }
            from += 1;
        }
        self.flushed_below = from;
    }
}

//! The index in a checkpoint.
//!
//! *Invariant:* the bytes are a function of the live messages and the last sequence alone, so that two
//! indexes that got there on different ways write the same. Subjects are numbered as they first appear.

use alloc::vec;
use alloc::vec::Vec;

use bytes::BufMut;
use protocol::id::{LogPos, Seq};
use protocol::store::{Loc, Place};
use protocol::time::Wall;

use super::chunk::Slot;
use super::{Filter, Index, NewMsg, Overhead};
use crate::entry::{DecodeError, Reader, put_bytes, put_step, put_varint};

/// The message before, from which the next one is a short step: about ten bytes per message instead of
/// thirty.
#[derive(Clone, Copy, Debug, Default)]
struct Before {
    seq: u64,
    loc: u64,
    time: u64,
}

impl Index {
    /// Appends the index to a checkpoint.
    pub fn snapshot(&self, out: &mut Vec<u8>) {
        out.put_u64_le(self.last);
        out.put_u64_le(self.last_time.0);
        let segments = self.segments.iter();
        out.put_u32_le(u32::try_from(segments.len()).unwrap_or(u32::MAX));
        for (number, used) in segments {
            out.put_u32_le(number);
            out.put_u64_le(used.total_bytes);
        }
        out.put_u64_le(self.messages);
        let mut numbers = vec![None; self.subjects.slots()];
        let mut fresh = 0u64;
        let mut before = Before::default();
        let mut from = Seq(0);
        while let Some(seq) = self.next(&Filter::All, from) {
            from = seq.next();
            let Some(slot) = self.slot(seq.0) else {
                continue;
            };
            put_varint(out, seq.0 - before.seq);
            put_step(out, before.loc, slot.loc.to_bits());
            put_step(out, before.time, slot.time.0);
            put_varint(out, u64::from(slot.len) << 1 | u64::from(slot.has_headers));
            before = Before {
                seq: seq.0,
                loc: slot.loc.to_bits(),
                time: slot.time.0,
            };
            let at = usize::try_from(slot.subject.0).unwrap_or(usize::MAX);
            if let Some(known) = numbers.get(at).copied().flatten() {
                put_varint(out, known);
                continue;
            }
            if let Some(number) = numbers.get_mut(at) {
                *number = Some(fresh);
            }
            put_varint(out, fresh);
            put_bytes(out, self.subjects.name(slot.subject));
            fresh += 1;
        }
    }

    /// Returns the index of a checkpoint.
    ///
    /// # Errors
    /// If the bytes are cut short or contradict themselves.
    pub(crate) fn restore(from: &mut Reader, overhead: Overhead) -> Result<Self, DecodeError> {
        let (last, last_time) = (from.u64()?, from.time()?);
        let mut segments = Vec::new();
        for _ in 0..from.u32()? {
            segments.push((from.u32()?, from.u64()?));
        }
        let messages = from.u64()?;
        let mut index = Self::new(Seq(1), overhead);
        let mut subjects = Vec::new();
        let mut before = Before::default();
        for _ in 0..messages {
            let ahead = from.varint()?;
            let seq = before.seq.checked_add(ahead).ok_or(DecodeError::Length)?;
            let loc = from.step(before.loc)?;
            let time = from.step(before.time)?;
            before = Before { seq, loc, time };
            let coded = from.varint()?;
            let len = u32::try_from(coded >> 1).map_err(|_| DecodeError::Length)?;
            let number = usize::try_from(from.varint()?).map_err(|_| DecodeError::Length)?;
            if number == subjects.len() {
                subjects.push(index.subjects.intern(&from.bytes()?));
            }
            let subject = *subjects.get(number).ok_or(DecodeError::Length)?;
            if seq <= index.last || seq > last {
                return Err(DecodeError::Length);
            }
            index.last = seq - 1;
            let loc = Loc::from_bits(loc);
            let msg = NewMsg {
                loc,
                time: Wall(time),
                len,
                has_headers: coded & 1 != 0,
            };
            index.push_to(subject, msg);
            index
                .segments
                .added(loc, index.size_of(msg.len, msg.has_headers));
        }
        for (number, total_bytes) in segments {
            index.segments.set_total(number, total_bytes);
        }
        index.last = last;
        index.last_time = last_time;
        index.flushed_below = index.first;
        index.relocated(&[]);
        if index.messages == 0 {
            index.first = last + 1;
        }
        Ok(index)
    }

    /// Takes the numbers of segments that hold no live message.
    pub fn take_dead_segments(&mut self, each: impl FnMut(u32)) {
        self.segments.take_dead(each);
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

    /// Appends every message whose entry still lies in the log, below `below`, to `out`, in order.
    pub fn unflushed(&self, below: LogPos, out: &mut Vec<(Seq, Loc)>) {
        let in_log = |loc: Loc| match loc.place() {
            Place::Log(pos) => pos < below,
            Place::Segment { .. } => false,
        };
        let first = self.position(self.flushed_below).unwrap_or(0);
        for chunk in self.chunks.iter().skip(first).flatten() {
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
            if let Some(chunk) = self.chunk_mut(seq.0) {
                chunk.relocate(seq.0, loc);
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

//! 4096 consecutive sequences of a stream. Their subjects have an array of their own, so that looking for
//! one reads four bytes per message; what else there is lies together, so that a message of one of very many
//! streams waits for memory but once.
//!
//! *Invariant:* a full chunk never has more than four slots per live message: key-value streams keep a
//! few old messages for ever, and the dead ones around them must not cost memory.

use alloc::vec::Vec;
use core::mem::size_of;

use protocol::id::Seq;
use protocol::store::{Loc, Place};
use protocol::time::Wall;

use super::{NewMsg, SubjectId};

/// How many sequences share a chunk.
pub(super) const CHUNK_LEN: u64 = 4096;

/// How many slots a live message of a full chunk may cost.
const SLOTS_PER_LIVE_MAX: usize = 4;

/// Marks in a length that the message has headers.
const HAS_HEADERS: u32 = 1 << 31;

/// The messages of one chunk.
#[derive(Debug)]
pub(super) struct Chunk {
    /// The sequence of the first slot.
    start: u64,
    live: u32,
    /// The distance of each slot from `start`; empty while the slots are consecutive.
    offsets: Vec<u16>,
    subjects: Vec<u32>,
    rows: Vec<Row>,
}

/// What is not searched for.
#[derive(Clone, Copy, Debug)]
struct Row {
    loc: Loc,
    time: Wall,
    len: u32,
    /// How far ahead the next message on the same subject is; zero while there is none.
    next: u32,
}

/// One live message of a chunk.
#[derive(Clone, Copy, Debug)]
pub(super) struct Slot {
    pub(super) loc: Loc,
    pub(super) time: Wall,
    pub(super) len: u32,
    pub(super) has_headers: bool,
    pub(super) subject: SubjectId,
}

impl Chunk {
    /// Returns an empty chunk whose first slot is `start`, with room for `slots`.
    pub(super) fn new(start: u64, slots: usize) -> Self {
        Self {
            start,
            live: 0,
            offsets: Vec::new(),
            subjects: Vec::with_capacity(slots),
            rows: Vec::with_capacity(slots),
        }
    }

    /// Returns the first sequence of the chunk after that of `seq`.
    pub(super) fn end_of(seq: u64) -> u64 {
        (seq / CHUNK_LEN + 1) * CHUNK_LEN
    }

    pub(super) fn live(&self) -> u32 {
        self.live
    }

    /// Returns whether no two live messages are on different subjects.
    pub(super) fn has_one_subject(&self) -> bool {
        let mut live = self.subjects.iter().filter(|s| **s != SubjectId::DEAD.0);
        let first = live.next();
        live.all(|subject| Some(subject) == first)
    }

    /// Returns whether `seq` belongs into this chunk.
    pub(super) fn accepts(&self, seq: u64) -> bool {
        seq / CHUNK_LEN == self.start / CHUNK_LEN
    }

    /// Returns the subject and the length of the last slot, which the next one lies behind.
    pub(super) fn last_row(&self) -> Option<(u32, u32)> {
        Some((*self.subjects.last()?, self.rows.last()?.len))
    }

    /// Fills the slots before `seq` as dead.
    pub(super) fn pad(&mut self, seq: u64) {
        let time = self.rows.last().map_or(Wall(0), |row| row.time);
        while self.start + self.len() < seq {
            self.put(SubjectId::DEAD, 0, Loc::from_bits(0), time);
        }
    }

    /// Adds the message `seq`, the one after the last slot.
    pub(super) fn push(&mut self, seq: u64, msg: NewMsg, subject: SubjectId) {
        debug_assert_eq!(self.start + self.len(), seq, "padded before");
        let flag = if msg.has_headers { HAS_HEADERS } else { 0 };
        self.put(subject, msg.len | flag, msg.loc, msg.time);
        self.live += 1;
    }

    /// Marks `seq` as dead; its link stays, so that chains through it do not break.
    pub(super) fn kill(&mut self, seq: u64) {
        let Some(at) = self.at(seq) else { return };
        if let Some(subject) = self.subjects.get_mut(at) {
            *subject = SubjectId::DEAD.0;
            self.live -= 1;
        }
    }

    /// Lets the dead slots of a full chunk go once they are many.
    pub(super) fn compact(&mut self) {
        let live = usize::try_from(self.live).unwrap_or(usize::MAX);
        if live.saturating_mul(SLOTS_PER_LIVE_MAX) > self.subjects.len() {
            return;
        }
        let kept = || self.subjects.iter().map(|&s| s != SubjectId::DEAD.0);
        let offset = |at| u16::try_from(self.seq_at(at) - self.start).unwrap_or(u16::MAX);
        let offsets = (0..)
            .zip(kept())
            .filter(|(_, k)| *k)
            .map(|(at, _)| offset(at))
            .collect();
        self.rows = keep(&self.rows, kept());
        self.subjects = keep(&self.subjects, kept());
        self.offsets = offsets;
    }

    pub(super) fn slot(&self, seq: u64) -> Option<Slot> {
        let at = self.at(seq)?;
        let subject = SubjectId(*self.subjects.get(at)?);
        if subject == SubjectId::DEAD {
            return None;
        }
        let row = *self.rows.get(at)?;
        Some(Slot {
            loc: row.loc,
            time: row.time,
            len: row.len & !HAS_HEADERS,
            has_headers: row.len & HAS_HEADERS != 0,
            subject,
        })
    }

    /// Returns the first live sequence in `from..=to` whose subject is wanted.
    pub(super) fn find(
        &self,
        from: u64,
        to: u64,
        wanted: &mut impl FnMut(SubjectId) -> bool,
    ) -> Option<u64> {
        if self.live == 0 {
            return None;
        }
        let skip = self.first_at(from);
        let slots = self.subjects.get(skip..)?;
        let found = slots
            .iter()
            .position(|&s| s != SubjectId::DEAD.0 && wanted(SubjectId(s)))?;
        let seq = self.seq_at(skip + found);
        (seq <= to).then_some(seq)
    }

    /// Returns the last live sequence at or before `to` on `subject`.
    pub(super) fn rfind(&self, to: u64, subject: SubjectId) -> Option<u64> {
        let slots = self.subjects.get(..self.first_at(to + 1))?;
        let found = slots.iter().rposition(|&s| s == subject.0)?;
        Some(self.seq_at(found))
    }

    pub(super) fn last_live(&self) -> Option<u64> {
        let found = self
            .subjects
            .iter()
            .rposition(|&s| s != SubjectId::DEAD.0)?;
        Some(self.seq_at(found))
    }

    /// Returns the first slot's sequence, live or not, with a time of at least `time`.
    pub(super) fn first_since(&self, time: Wall) -> Option<u64> {
        let at = self.rows.partition_point(|row| row.time < time);
        (at < self.rows.len()).then(|| self.seq_at(at))
    }

    /// Calls `each` with the subject of every live message at or after `from`.
    pub(super) fn each_from(&self, from: u64, mut each: impl FnMut(SubjectId)) {
        for &s in self.subjects.get(self.first_at(from)..).unwrap_or_default() {
            if s != SubjectId::DEAD.0 {
                each(SubjectId(s));
            }
        }
    }

    /// Records that the message after `seq` on the same subject is `next`.
    pub(super) fn link(&mut self, seq: u64, next: u64) {
        let Some(at) = self.at(seq) else { return };
        if let (Some(row), Ok(ahead)) = (self.rows.get_mut(at), u32::try_from(next - seq)) {
            row.next = ahead;
        }
    }

    /// Returns the message that followed `seq` on the same subject, live or not.
    pub(super) fn next_link(&self, seq: u64) -> Option<u64> {
        let ahead = self.rows.get(self.at(seq)?)?.next;
        (ahead != 0).then(|| seq + u64::from(ahead))
    }

    pub(super) fn relocate(&mut self, seq: u64, loc: Loc) {
        if let Some(at) = self.at(seq)
            && let Some(row) = self.rows.get_mut(at)
        {
            row.loc = loc;
        }
    }

    /// Returns the live messages in order.
    pub(super) fn live_slots(&self) -> impl Iterator<Item = (u64, Slot)> + '_ {
        let slots = (0..self.subjects.len()).map(|at| self.seq_at(at));
        slots.filter_map(|seq| Some((seq, self.slot(seq)?)))
    }

    /// Returns the first live message at or after `from` whose entry lies in the log.
    pub(super) fn first_in_log(&self, from: u64) -> Option<u64> {
        let skip = self.first_at(from);
        let slots = self.subjects.iter().zip(&self.rows).skip(skip);
        let in_log = |row: &Row| matches!(row.loc.place(), Place::Log(_));
        let mut found = slots.map(|(s, row)| *s != SubjectId::DEAD.0 && in_log(row));
        let at = found.position(|found| found)?;
        Some(self.seq_at(skip + at))
    }

    /// Calls `each` with every live message and where its entry lies.
    pub(super) fn each_loc(&self, mut each: impl FnMut(Seq, Loc)) {
        for (at, (&subject, row)) in self.subjects.iter().zip(&self.rows).enumerate() {
            if subject != SubjectId::DEAD.0 {
                each(Seq(self.seq_at(at)), row.loc);
            }
        }
    }

    pub(super) fn memory(&self) -> usize {
        size_of::<Self>()
            + self.offsets.capacity() * size_of::<u16>()
            + self.subjects.capacity() * size_of::<u32>()
            + self.rows.capacity() * size_of::<Row>()
    }

    fn put(&mut self, subject: SubjectId, len: u32, loc: Loc, time: Wall) {
        self.subjects.push(subject.0);
        self.rows.push(Row {
            loc,
            time,
            len,
            next: 0,
        });
    }

    fn len(&self) -> u64 {
        u64::try_from(self.subjects.len()).unwrap_or(CHUNK_LEN)
    }

    /// Returns the slot of `seq`.
    fn at(&self, seq: u64) -> Option<usize> {
        let offset = seq.checked_sub(self.start)?;
        if self.offsets.is_empty() {
            return usize::try_from(offset).ok();
        }
        self.offsets
            .binary_search(&u16::try_from(offset).ok()?)
            .ok()
    }

    /// Returns the first slot at or after `seq`; one past the last if there is none.
    fn first_at(&self, seq: u64) -> usize {
        let offset = seq.saturating_sub(self.start);
        if self.offsets.is_empty() {
            let offset = usize::try_from(offset).unwrap_or(usize::MAX);
            return offset.min(self.subjects.len());
        }
        self.offsets.partition_point(|&o| u64::from(o) < offset)
    }

    /// Returns the sequence of a slot.
    fn seq_at(&self, at: usize) -> u64 {
        if self.offsets.is_empty() {
            return self.start + u64::try_from(at).unwrap_or(0);
        }
        self.start + u64::from(self.offsets.get(at).copied().unwrap_or(u16::MAX))
    }
}

fn keep<T: Copy>(values: &[T], kept: impl Iterator<Item = bool>) -> Vec<T> {
    let kept = values.iter().zip(kept).filter(|(_, kept)| *kept);
    kept.map(|(value, _)| *value).collect()
}

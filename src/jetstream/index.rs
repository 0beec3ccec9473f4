//! Where a stream's messages are: per message its location, length, time and subject; per subject how
//! many there are and the first and last of them.
//!
//! *Invariant:* this is a function of the applied log; it never looks at message bytes. Sequences
//! only grow, also after everything has been removed. Costs: push, remove, look-up by sequence and by
//! literal subject are constant; a wildcard costs per subject, or per message passed over if those are
//! fewer (next).

mod aside;
mod checkpoint;
mod chunk;
mod filter;
mod find;
mod held;
mod locals;
mod look;
mod moves;
mod names;
mod page;
mod parked;
mod pending;
mod segments;
mod subjects;
mod wild;

use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::cell::Cell;
use core::mem::size_of;

use protocol::id::Seq;
use protocol::store::Loc;
use protocol::time::Wall;

use chunk::{CHUNK_LEN, Chunk, Slot};
pub(crate) use filter::Filter;
use held::Held;
use moves::Search;
pub(crate) use page::{Page, in_log};
use parked::Parked;
pub(crate) use parked::parked_in_log;
pub(crate) use protocol::subject::matches as subject_matches;
use segments::Segments;
use subjects::Subjects;
pub(crate) use subjects::{SubjectId, SubjectInfo};

/// The index of one stream. What every message reads comes first and lies together: of ten thousand
/// streams none is at hand.
#[derive(Debug)]
#[repr(C)]
pub struct Index {
    /// The last sequence given out.
    last: u64,
    messages: u64,
    bytes: u64,
    /// The first live sequence; `last + 1` when there is none.
    first: u64,
    /// The time of the last message given a sequence.
    last_time: Wall,
    overhead: Overhead,
    base: u64,
    /// Chunk `i` holds the sequences of chunk number `base + i`.
    chunks: VecDeque<Held>,
    subjects: Subjects,
    /// No live message below this sequence has its entry in the log.
    flushed_below: u64,
    /// How many messages were ever removed.
    removed: u64,
    /// Above this sequence no message is missing.
    missing_upto: u64,
    segments: Segments,
    parked: Parked,
    /// Numbers of chunks that differ from what checkpoints hold of them, or are gone.
    changed: Vec<u64>,
    search: Cell<Option<Search>>,
}

/// What one stored message counts beyond its subject, headers and body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Overhead {
    /// For every message.
    pub fixed: u32,
    /// In addition for a message with headers.
    pub headers: u32,
}

/// What has come and gone, to tell how many messages there are more than before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tally {
    messages: u64,
    removed: u64,
}

impl Tally {
    /// Returns how many messages have come since `before`; nothing if one has gone meanwhile.
    #[must_use]
    pub(crate) fn added_since(self, before: Self) -> Option<u64> {
        (self.removed == before.removed).then(|| self.messages - before.messages)
    }
}

/// A message to be indexed.
#[derive(Clone, Copy, Debug)]
pub struct NewMsg {
    /// Where its entry lies.
    pub loc: Loc,
    /// Its time.
    pub time: Wall,
    /// The bytes of subject, headers and body together.
    pub len: u32,
    /// Whether it has headers.
    pub has_headers: bool,
}

/// What the index knows about a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Meta {
    /// Its sequence.
    pub seq: Seq,
    /// Where its entry lies.
    pub loc: Loc,
    /// Its time.
    pub time: Wall,
    /// Its subject, see [`Index::subject`].
    pub subject: SubjectId,
    /// What it counts in the stream's bytes.
    pub size: u32,
}

impl Index {
    /// Returns the empty index of a stream whose first message gets the sequence `first`.
    #[must_use]
    pub fn new(first: Seq, overhead: Overhead) -> Self {
        let first = first.0.max(1);
        Self {
            chunks: VecDeque::new(),
            base: 0,
            first,
            last: first - 1,
            last_time: Wall(0),
            flushed_below: first,
            messages: 0,
            bytes: 0,
            removed: 0,
            missing_upto: 0,
            overhead,
            subjects: Subjects::default(),
            segments: Segments::default(),
            parked: Parked::default(),
            changed: Vec::new(),
            search: Cell::new(None),
        }
    }

    /// Returns the first live sequence; one past the last when the stream is empty.
    #[must_use]
    pub fn first_seq(&self) -> Seq {
        Seq(self.first)
    }

    /// Returns the last sequence given out.
    #[must_use]
    pub fn last_seq(&self) -> Seq {
        Seq(self.last)
    }

    /// Returns the time of the last message, kept when it is removed; zero before the first.
    #[must_use]
    pub fn last_time(&self) -> Wall {
        self.last_time
    }

    /// Returns the time of the first live message; zero when there is none.
    #[must_use]
    pub(crate) fn first_time(&self) -> Wall {
        self.slot(self.first).map_or(Wall(0), |slot| slot.time)
    }

    /// Returns how many messages are live.
    #[must_use]
    pub fn messages(&self) -> u64 {
        self.messages
    }

    /// Returns the count of messages in a form to compare later ones with.
    #[must_use]
    pub(crate) fn tally(&self) -> Tally {
        Tally {
            messages: self.messages,
            removed: self.removed,
        }
    }

    /// Returns what the live messages count together.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Returns how many sequences between the first and the last live message are gone.
    #[must_use]
    pub fn num_deleted(&self) -> u64 {
        (self.last + 1 - self.first) - self.messages
    }

    /// Returns how many subjects have live messages.
    #[must_use]
    pub fn num_subjects(&self) -> u64 {
        self.subjects.len()
    }

    /// Returns what a message of `len` bytes counts.
    #[must_use]
    pub fn size_of(&self, len: u32, has_headers: bool) -> u32 {
        let extra = if has_headers {
            self.overhead.headers
        } else {
            0
        };
        len.saturating_add(self.overhead.fixed)
            .saturating_add(extra)
    }

    /// Returns the text of a subject; empty for one that has no live message.
    #[must_use]
    pub fn subject(&self, id: SubjectId) -> &[u8] {
        self.subjects.name(id)
    }

    /// Adds a message and returns its sequence.
    pub fn push(&mut self, subject: &[u8], msg: NewMsg) -> Seq {
        let id = self.subjects.intern(subject);
        self.push_to(id, msg)
    }

    fn push_to(&mut self, id: SubjectId, msg: NewMsg) -> Seq {
        let seq = self.last + 1;
        if let Some(previous) = self.subjects.pushed(id, seq) {
            self.link(id, previous, seq);
        }
        let (chunk, first_change) = self.chunk_for_push(seq);
        chunk.push(seq, msg, id);
        if first_change {
            self.changed.push(seq / CHUNK_LEN);
        }
        if self.messages == 0 {
            self.first = seq;
        }
        self.last = seq;
        self.last_time = msg.time;
        self.messages += 1;
        self.bytes += u64::from(self.size_of(msg.len, msg.has_headers));
        Seq(seq)
    }

    /// Gives out a sequence for a message that is not kept.
    pub fn skip(&mut self, time: Wall) -> Seq {
        self.last += 1;
        self.missing_upto = self.last;
        self.last_time = time;
        if self.messages == 0 {
            self.first = self.last + 1;
        }
        Seq(self.last)
    }

    /// Moves on so that the next message gets the sequence `next`, if that lies ahead.
    pub(crate) fn skip_to(&mut self, next: Seq) {
        if next.0 <= self.last {
            return;
        }
        self.last = next.0 - 1;
        self.missing_upto = self.last;
        if self.messages == 0 {
            self.first = next.0;
        }
    }

    /// Takes over the last sequence that was given out, at or behind the last message, and its time.
    pub fn set_last(&mut self, last: Seq, time: Wall) {
        self.skip_to(last.next());
        self.last_time = time;
    }

    /// Removes a message; returns what it was, or nothing if it is not there.
    pub fn remove(&mut self, seq: Seq) -> Option<Meta> {
        let seq = seq.0;
        let meta = self.meta(Seq(seq))?;
        let next_same = self.next_same(seq);
        let at = self.position(seq)?;
        let held = self.chunks.get_mut(at)?;
        let (chunk, first_change) = held.change()?;
        chunk.kill(seq);
        if first_change {
            self.changed.push(seq / CHUNK_LEN);
        }
        // The last chunk takes the next message, so its slots stay as they are.
        if !chunk.accepts(self.last + 1) {
            if chunk.live() == 0 {
                held.clear();
            } else {
                chunk.compact();
            }
        }
        self.subjects.removed(meta.subject, seq, next_same);
        self.segments.removed(meta.loc, meta.size);
        self.messages -= 1;
        self.removed += 1;
        self.missing_upto = self.missing_upto.max(seq);
        self.bytes -= u64::from(meta.size);
        if seq == self.first {
            self.first = self.next_live(seq + 1).unwrap_or(self.last + 1);
            self.drop_front();
        }
        Some(meta)
    }

    /// Removes everything and moves on to the sequence `next`, if that lies ahead.
    pub fn clear(&mut self, next: Seq) {
        self.changed.extend((self.base..).take(self.chunks.len()));
        self.chunks.clear();
        self.subjects.clear();
        self.segments.clear();
        self.keep_parked();
        self.removed += self.messages;
        self.messages = 0;
        self.bytes = 0;
        self.last = self.last.max(next.0.saturating_sub(1));
        self.missing_upto = self.last;
        self.first = self.last + 1;
    }

    /// Returns what is known about a live message.
    #[must_use]
    pub fn meta(&self, seq: Seq) -> Option<Meta> {
        let slot = self.slot(seq.0)?;
        Some(Meta {
            seq,
            loc: slot.loc,
            time: slot.time,
            subject: slot.subject,
            size: self.size_of(slot.len, slot.has_headers),
        })
    }

    /// Returns the first and the last live message and the count of a subject.
    #[must_use]
    pub(crate) fn subject_info(&self, subject: &[u8]) -> Option<SubjectInfo> {
        let id = self.subjects.find(subject)?;
        self.subject_info_of(id)
    }

    /// Returns the first and the last live message and the count of a subject.
    #[must_use]
    pub(crate) fn subject_info_of(&self, id: SubjectId) -> Option<SubjectInfo> {
        let counted = self.subjects.entry(id)?;
        Some(SubjectInfo {
            messages: counted.count,
            first: Seq(self.next_of(id, counted.first)?),
            last: Seq(self.last_of(id)?),
        })
    }

    /// Returns the bytes of memory that the index holds, roughly.
    #[must_use]
    pub fn memory(&self) -> usize {
        let chunks: usize = self.chunks.iter().map(Held::memory).sum();
        chunks + self.chunks.capacity() * size_of::<Held>() + self.subjects.memory()
    }

    fn link(&mut self, id: SubjectId, previous: u64, seq: u64) {
        if let Some(held) = self.held_mut(previous) {
            held.link(id, previous, seq);
        }
    }

    fn slot(&self, seq: u64) -> Option<Slot> {
        self.chunk(seq)?.slot(seq)
    }

    fn position(&self, seq: u64) -> Option<usize> {
        usize::try_from((seq / CHUNK_LEN).checked_sub(self.base)?).ok()
    }

    fn chunk(&self, seq: u64) -> Option<&Chunk> {
        self.chunks.get(self.position(seq)?)?.chunk()
    }

    fn held_mut(&mut self, seq: u64) -> Option<&mut Held> {
        let at = self.position(seq)?;
        self.chunks.get_mut(at)
    }

    /// Returns the place of the chunk that takes `seq`, which lies behind all others.
    fn held_for_push(&mut self, seq: u64) -> &mut Held {
        let number = seq / CHUNK_LEN;
        if self.chunks.is_empty() {
            self.base = number;
        }
        let at = usize::try_from(number - self.base).unwrap_or(usize::MAX);
        while self.chunks.len() <= at {
            self.chunks.push_back(Held::default());
        }
        self.chunks.get_mut(at).expect("pushed above")
    }

    /// Returns the chunk that takes `seq`, the sequence after the last, and whether that is its first
    /// change since the last checkpoint.
    fn chunk_for_push(&mut self, seq: u64) -> (&mut Chunk, bool) {
        // A stream that has filled a chunk will fill the next; a small one grows as it must.
        let is_first = self.chunks.is_empty() || seq / CHUNK_LEN == self.base;
        let slots = if is_first { 0 } else { CHUNK_LEN };
        let slots = usize::try_from(slots).unwrap_or(0);
        let held = self.held_for_push(seq);
        let (chunk, first_change) = held.change_or_insert(|| Chunk::new(seq, slots));
        chunk.pad(seq);
        (chunk, first_change)
    }

    /// Lets the chunks before the first live message go.
    fn drop_front(&mut self) {
        let keep = self.first / CHUNK_LEN;
        while self.base < keep && self.chunks.pop_front().is_some() {
            self.base += 1;
        }
    }
}

#[cfg(test)]
mod tests;

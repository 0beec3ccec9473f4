//! A chunk as a checkpoint holds it: in front what a start must know of it, behind that its messages,
//! about seven bytes each, which nobody unpacks before they are looked at.
//!
//! *Invariant:* the bytes are a function of the live messages alone, so that two indexes that got there
//! on different ways write the same. A page names its subjects itself, numbered as they first appear in
//! it, so that none needs another page.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::vec;
use alloc::vec::Vec;
use core::mem::size_of;

use bytes::Bytes;
use foldhash::fast::FixedState;
use hashbrown::HashMap;
use protocol::id::Seq;
use protocol::store::{Loc, Place};
use protocol::time::Wall;

use super::chunk::{CHUNK_LEN, Chunk, Slot};
use super::locals::Locals;
use super::{NewMsg, Overhead, SubjectId};
use crate::entry::{DecodeError, Reader, put_bytes, put_step, put_varint, take_step, take_varint};

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

/// What some messages count together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Tally {
    pub(super) messages: u64,
    /// The bytes of subjects, headers and bodies.
    len: u64,
    with_headers: u64,
}

impl Tally {
    fn add(&mut self, len: u32, has_headers: bool) {
        self.messages += 1;
        self.len += u64::from(len);
        self.with_headers += u64::from(has_headers);
    }

    /// Returns what they count in the stream's bytes.
    pub(super) fn bytes(self, overhead: Overhead) -> u64 {
        let fixed = self.messages.saturating_mul(u64::from(overhead.fixed));
        let headers = self
            .with_headers
            .saturating_mul(u64::from(overhead.headers));
        self.len.saturating_add(fixed).saturating_add(headers)
    }

    fn put(self, out: &mut Vec<u8>) {
        put_varint(out, self.messages);
        put_varint(out, self.len);
        put_varint(out, self.with_headers);
    }

    fn take(from: &mut Reader) -> Result<Self, DecodeError> {
        Ok(Self {
            messages: from.varint()?,
            len: from.varint()?,
            with_headers: from.varint()?,
        })
    }
}

/// What a page says of one subject.
#[derive(Debug)]
pub(super) struct PageSubject {
    pub(super) name: Bytes,
    pub(super) count: u64,
    pub(super) first: u64,
    pub(super) last: u64,
}

/// What a page says in front of its messages.
#[derive(Debug)]
pub(super) struct Summary {
    pub(super) all: Tally,
    /// How many of the messages lie in the log.
    pub(super) in_log: u64,
    pub(super) last_time: Wall,
    pub(super) segments: Vec<(u32, Tally)>,
    pub(super) subjects: Vec<PageSubject>,
    rows: Bytes,
}

impl Summary {
    /// Takes a page off the front of a section.
    ///
    /// # Errors
    /// If the bytes are cut short or contradict themselves.
    pub(super) fn take(page: Page, end: u64, from: &mut Reader) -> Result<Self, DecodeError> {
        let all = Tally::take(from)?;
        let (in_log, last_time) = (from.varint()?, Wall(from.varint()?));
        let mut segments = Vec::new();
        for _ in 0..from.varint()? {
            let number = u32::try_from(from.varint()?).map_err(|_| DecodeError::Length)?;
            segments.push((number, Tally::take(from)?));
        }
        let (mut subjects, mut counted) = (Vec::new(), 0u64);
        for _ in 0..from.varint()? {
            let (name, count) = (from.bytes()?, from.varint()?);
            let first = page.first().0.saturating_add(from.varint()?);
            let last = first.saturating_add(from.varint()?);
            if count == 0 || last > end || last > page.last().0 {
                return Err(DecodeError::Length);
            }
            counted = counted.saturating_add(count);
            subjects.push(PageSubject {
                name,
                count,
                first,
                last,
            });
        }
        let elsewhere = segments.iter().map(|(_, tally)| tally.messages);
        let placed = elsewhere.fold(in_log, u64::saturating_add);
        let consistent = counted == all.messages && placed == counted && counted <= CHUNK_LEN;
        if !consistent || counted == 0 {
            return Err(DecodeError::Length);
        }
        Ok(Self {
            all,
            in_log,
            last_time,
            segments,
            subjects,
            rows: from.bytes()?,
        })
    }

    /// Returns the first live sequence of the page.
    pub(super) fn first(&self) -> u64 {
        let firsts = self.subjects.iter().map(|subject| subject.first);
        firsts.min().unwrap_or(u64::MAX)
    }

    fn last(&self) -> u64 {
        let lasts = self.subjects.iter().map(|subject| subject.last);
        lasts.max().unwrap_or(0)
    }

    /// Returns whether the page may stay packed: what lies in the log moves soon.
    pub(super) fn is_cold(&self) -> bool {
        self.in_log == 0
    }

    /// Returns the page, packed; `subjects` are the ids of its subjects, in their order, and for each the
    /// message that follows its last one here.
    pub(super) fn pack(&self, subjects: impl Iterator<Item = (SubjectId, Option<u64>)>) -> Packed {
        let counts = self.subjects.iter().map(|subject| subject.count);
        let subjects = subjects.zip(counts);
        let locals = subjects.map(|((id, next), count)| (id, count, next));
        let first = self.first();
        Packed {
            // A slice would keep all that was read or written with it.
            rows: Box::from(&*self.rows),
            first,
            last: self.last(),
            last_time: self.last_time,
            live: u32::try_from(self.all.messages).unwrap_or(u32::MAX),
            locals: Locals::new(first, locals),
            segments: self.segments.iter().map(|(number, _)| *number).collect(),
        }
    }
}

/// Returns where the messages of a page lie that are in the log.
///
/// # Errors
/// If the bytes are cut short or contradict themselves.
pub(crate) fn in_log(page: Page, from: &mut Reader) -> Result<Vec<(Seq, Loc)>, DecodeError> {
    let summary = Summary::take(page, u64::MAX, from)?;
    let mut found = Vec::new();
    if summary.in_log > 0 {
        let nameless = summary.subjects.iter().map(|_| (SubjectId(0), None));
        summary.pack(nameless).unpack().each_loc(|seq, loc| {
            if matches!(loc.place(), Place::Log(_)) {
                found.push((seq, loc));
            }
        });
    }
    Ok(found)
}

/// A chunk that is not unpacked.
#[derive(Debug)]
pub(super) struct Packed {
    rows: Box<[u8]>,
    pub(super) first: u64,
    pub(super) last: u64,
    pub(super) last_time: Wall,
    pub(super) live: u32,
    locals: Locals,
    /// The segments that the messages lie in.
    segments: Box<[u32]>,
}

impl Packed {
    /// Returns how many messages are on subjects that are wanted.
    pub(super) fn count(&self, mut wanted: impl FnMut(SubjectId) -> bool) -> u64 {
        let locals = self.locals.iter().filter(|(id, _)| wanted(*id));
        locals.map(|(_, count)| count).sum()
    }

    /// Returns whether a message is on a subject that is wanted.
    pub(super) fn has(&self, mut wanted: impl FnMut(SubjectId) -> bool) -> bool {
        self.locals.iter().any(|(id, _)| wanted(id))
    }

    /// Returns whether it is worth to keep: what is asked of it is found soon.
    pub(super) fn is_handy(&self) -> bool {
        self.locals.is_searchable()
    }

    /// Returns whether a message lies in a segment.
    pub(super) fn lies_in(&self, segment: u32) -> bool {
        self.segments.contains(&segment)
    }

    /// Records that `next` follows the last message here on a subject.
    pub(super) fn link(&mut self, id: SubjectId, next: u64) {
        self.locals.link(id, self.first, next);
    }

    /// Returns what follows the last message here on a subject.
    pub(super) fn link_of(&self, id: SubjectId) -> Option<u64> {
        self.locals.next_of(id, self.first)
    }

    pub(super) fn memory(&self) -> usize {
        size_of::<Self>()
            + self.rows.len()
            + self.locals.memory()
            + self.segments.len() * size_of::<u32>()
    }

    /// Returns the chunk.
    pub(super) fn unpack(&self) -> Chunk {
        let slots = usize::try_from(self.last + 1 - self.first).unwrap_or(0);
        let mut chunk = Chunk::new(self.first, slots);
        let mut rows = Rows::new(&self.rows, self.first, self.locals.len());
        let mut ends: Vec<u64> = vec![0; self.locals.len()];
        while let Some((seq, msg, number)) = rows.next() {
            let (Some(id), Some(end)) = (self.locals.id(number), ends.get_mut(number)) else {
                break;
            };
            chunk.pad(seq);
            chunk.push(seq, msg, id);
            let before = core::mem::replace(end, seq);
            if before > 0 {
                chunk.link(before, seq);
            }
        }
        debug_assert_eq!(chunk.live(), self.live, "its checksum was right");
        for (number, end) in ends.into_iter().enumerate() {
            if let Some(next) = self.locals.next(number, self.first) {
                chunk.link(end, next);
            }
        }
        chunk
    }
}

/// The messages of a page, from its bytes.
struct Rows<'a> {
    rest: &'a [u8],
    before: Before,
    /// With a single subject its number is not written.
    one_subject: bool,
}

/// The message before, from which the next one is a short step.
#[derive(Clone, Copy, Debug, Default)]
struct Before {
    seq: u64,
    loc: u64,
    time: u64,
}

impl<'a> Rows<'a> {
    fn new(rows: &'a [u8], first: u64, subjects: usize) -> Self {
        let before = Before {
            seq: first,
            ..Before::default()
        };
        Self {
            rest: rows,
            before,
            one_subject: subjects == 1,
        }
    }

    fn next(&mut self) -> Option<(u64, NewMsg, usize)> {
        let rest = &mut self.rest;
        let seq = self.before.seq.checked_add(take_varint(rest)?)?;
        let loc = take_step(rest, self.before.loc)?;
        let time = take_step(rest, self.before.time)?;
        let coded = take_varint(rest)?;
        let subject = if self.one_subject {
            0
        } else {
            usize::try_from(take_varint(rest)?).ok()?
        };
        self.before = Before { seq, loc, time };
        let msg = NewMsg {
            loc: Loc::from_bits(loc),
            time: Wall(time),
            len: u32::try_from(coded >> 1).ok()?,
            has_headers: coded & 1 != 0,
        };
        Some((seq, msg, subject))
    }
}

/// A page being written.
#[derive(Default)]
struct Writing {
    all: Tally,
    in_log: u64,
    last_time: Wall,
    segments: BTreeMap<u32, Tally>,
    numbers: HashMap<SubjectId, usize, FixedState>,
    /// Each subject with its count, its first and its last message.
    subjects: Vec<(SubjectId, u64, u64, u64)>,
    one_subject: bool,
    before: Option<Before>,
    last_subject: Option<(SubjectId, usize)>,
    rows: Vec<u8>,
}

impl Writing {
    fn add(&mut self, seq: u64, slot: Slot) {
        self.all.add(slot.len, slot.has_headers);
        match slot.loc.place() {
            Place::Log(_) => self.in_log += 1,
            Place::Segment { number, .. } => {
                let tally = self.segments.entry(number).or_default();
                tally.add(slot.len, slot.has_headers);
            }
        }
        let number = self.number(slot.subject, seq);
        let from = self.before.unwrap_or(Before {
            seq,
            ..Before::default()
        });
        let to = Before {
            seq,
            loc: slot.loc.to_bits(),
            time: slot.time.0,
        };
        put_varint(&mut self.rows, seq - from.seq);
        put_step(&mut self.rows, from.loc, to.loc);
        put_step(&mut self.rows, from.time, to.time);
        let coded = u64::from(slot.len) << 1 | u64::from(slot.has_headers);
        put_varint(&mut self.rows, coded);
        if !self.one_subject {
            put_varint(&mut self.rows, count_of(number));
        }
        self.last_time = slot.time;
        self.before = Some(to);
    }

    /// Returns the number of a subject in the page, and counts the message.
    fn number(&mut self, subject: SubjectId, seq: u64) -> usize {
        // Neighbours are often on the same subject.
        let known = match self.last_subject {
            Some((last, number)) if last == subject => Some(number),
            _ => self.numbers.get(&subject).copied(),
        };
        let number = known.unwrap_or_else(|| {
            let fresh = self.subjects.len();
            self.numbers.insert(subject, fresh);
            self.subjects.push((subject, 0, seq, seq));
            fresh
        });
        self.last_subject = Some((subject, number));
        if let Some((_, count, _, last)) = self.subjects.get_mut(number) {
            *count += 1;
            *last = seq;
        }
        number
    }

    fn finish<'a>(self, page: Page, name: impl Fn(SubjectId) -> &'a [u8], out: &mut Vec<u8>) {
        self.all.put(out);
        put_varint(out, self.in_log);
        put_varint(out, self.last_time.0);
        put_varint(out, count_of(self.segments.len()));
        for (number, tally) in self.segments {
            put_varint(out, u64::from(number));
            tally.put(out);
        }
        put_varint(out, count_of(self.subjects.len()));
        for (subject, count, first, last) in self.subjects {
            put_bytes(out, name(subject));
            put_varint(out, count);
            put_varint(out, first - page.first().0);
            put_varint(out, last - first);
        }
        put_bytes(out, &self.rows);
    }
}

fn count_of(len: usize) -> u64 {
    u64::try_from(len).unwrap_or(u64::MAX)
}

/// Appends a chunk, in which messages live, to a checkpoint.
pub(super) fn put<'a>(
    page: Page,
    chunk: &Chunk,
    name: impl Fn(SubjectId) -> &'a [u8],
    out: &mut Vec<u8>,
) {
    let mut writing = Writing {
        one_subject: chunk.has_one_subject(),
        ..Writing::default()
    };
    for (seq, slot) in chunk.live_slots() {
        writing.add(seq, slot);
    }
    writing.finish(page, name, out);
}

//! Reading again what lies in segments, checkpoints and closed files of the log, at a bounded rate,
//! so that rot is found while something can be done about it, and not when somebody asks.
//!
//! *Invariants:* nothing is written here; one read is under way at a time; an answer about a file that
//! was given up meanwhile means nothing, and neither does a read that the disk refuses.

use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::mem;

use bytes::{Buf, Bytes};
use protocol::id::{LogPos, Seq};
use protocol::store::{Loc, Place, SectionKey};

use crate::checkpoint::{SectionPlace, Sections};
use crate::ids::OpIds;
use crate::log::files::Extent;
use crate::op::{DiskError, DiskOp, FileName, OpId};
use crate::places::{Places, epoch_at};
use crate::record::{ALIGN, EpochNo, Kind, Parsed, Record, Site, parse};
use crate::segments::{SegmentKey, file_of};

/// How much one read fetches, but for a longer record.
const READ_LEN: u64 = 256 << 10;

/// What is looked at next.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Item {
    Segment(SegmentKey),
    Section(SectionKey, SectionPlace),
    /// A file of the log that is not written to any more.
    Log(Extent),
}

/// What has rotted.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Rot {
    /// A part of a segment, and the entries that lay there, as far as the segment's indexes tell.
    Segment {
        key: SegmentKey,
        from: u64,
        to: u64,
        lost: Vec<(Seq, Loc)>,
    },
    /// A section of the newest checkpoint.
    Section(SectionKey, SectionPlace),
    /// A part of the log file at this base, by positions; which entries lay there, their user knows.
    Log { base: u64, from: u64, to: u64 },
}

/// A file that is read from front to back: records one behind the other.
enum Rows<'a> {
    /// A segment in the length that counts.
    Segment { key: SegmentKey, len: u64 },
    /// A file of the log, which ends where its end mark says.
    Log {
        file: Extent,
        epochs: &'a [(LogPos, EpochNo)],
    },
}

impl Rows<'_> {
    fn len(&self) -> u64 {
        match self {
            Self::Segment { len, .. } => *len,
            Self::Log { file, .. } => file.len,
        }
    }

    fn site(&self, offset: u64) -> Site {
        match *self {
            Self::Segment {
                key: (stream, number),
                ..
            } => Site::segment(stream, number, offset),
            Self::Log { file, epochs } => {
                let pos = file.base + offset;
                Site::log(pos, epoch_at(epochs, LogPos(pos)))
            }
        }
    }

    /// Returns what it means that these offsets are rotten and no index has told what lay there.
    fn rot(&self, from: u64, to: u64) -> Rot {
        match *self {
            Self::Segment { key, .. } => Rot::Segment {
                key,
                from,
                to,
                lost: Vec::new(),
            },
            Self::Log {
                file: Extent { base, .. },
                ..
            } => Rot::Log {
                base,
                from: base + from,
                to: base + to,
            },
        }
    }
}

/// One lap after the other through everything that lies still.
#[derive(Debug)]
pub(crate) struct Scrub {
    /// How many bytes a tick may read; none for no scrub.
    rate: u64,
    /// How many ticks pass between two laps.
    pause: u64,
    ticks: u64,
    budget: u64,
    queue: VecDeque<Item>,
    /// The offset reached in the first segment of the queue.
    cursor: u64,
    /// The length of the record at the cursor, if a read has shown that it is longer than that.
    need: u64,
    doing: Option<OpId>,
    /// Rotten parts of the segment that no index has named the entries of.
    bad: Vec<(u64, u64)>,
    pub(crate) bytes: u64,
    /// Laps that are over.
    pub(crate) laps: u64,
}

/// How many ticks pass before the first lap.
const FIRST_AFTER: u64 = 60;

impl Scrub {
    pub(crate) fn new(rate: u64, pause: u64) -> Self {
        Self {
            rate,
            pause,
            ticks: FIRST_AFTER.min(pause),
            budget: 0,
            queue: VecDeque::new(),
            cursor: 0,
            need: 0,
            doing: None,
            bad: Vec::new(),
            bytes: 0,
            laps: 0,
        }
    }

    /// Lets it read on, about once a second.
    pub(crate) fn tick(
        &mut self,
        places: &Places<'_>,
        sections: &Sections,
        ids: &mut OpIds,
        ops: &mut Vec<DiskOp>,
    ) {
        if self.rate == 0 {
            return;
        }
        self.ticks = self.ticks.saturating_sub(1);
        if self.queue.is_empty() {
            if self.ticks > 0 {
                return;
            }
            self.ticks = self.pause;
            let sections = sections
                .iter()
                .map(|(key, place)| Item::Section(key, place));
            let segments = places.segments.iter();
            let segments = segments.map(|(key, _)| Item::Segment(key));
            let log = places.files.below(places.synced.0).map(Item::Log);
            self.queue = log.chain(sections).chain(segments).collect();
        }
        self.budget = self.rate;
        if self.doing.is_none() {
            self.read_on(places, ids, ops);
        }
    }

    /// Returns how much is still to be read in this lap, in files and sections.
    pub(crate) fn waiting(&self) -> usize {
        self.queue.len()
    }

    /// Stops for good.
    pub(crate) fn stop(&mut self) {
        self.rate = 0;
        self.budget = 0;
        self.queue.clear();
    }

    fn read_on(&mut self, places: &Places<'_>, ids: &mut OpIds, ops: &mut Vec<DiskOp>) {
        while self.budget > 0
            && let Some(item) = self.queue.front()
        {
            let (file, offset, len) = match *item {
                Item::Segment(key) => {
                    let end = places.segments.len_of(key).unwrap_or(0);
                    (file_of(key), self.cursor, self.wanted(end))
                }
                Item::Log(file) => {
                    let is_there = places.files.covering(file.base) == Some(file);
                    let end = if is_there { file.len } else { 0 };
                    (FileName::Log(file.base), self.cursor, self.wanted(end))
                }
                Item::Section(_, place) => (
                    FileName::Checkpoint(place.file),
                    place.offset,
                    place.total(),
                ),
            };
            if len == 0 {
                self.next_item();
                continue;
            }
            self.budget = self.budget.saturating_sub(len);
            self.bytes += len;
            let (op, len) = (ids.take(), u32::try_from(len).unwrap_or(u32::MAX));
            self.doing = Some(op);
            ops.push(DiskOp::Read {
                op,
                file,
                offset,
                len,
            });
            return;
        }
    }

    /// Returns how much to read at the cursor of a file that ends at `end`.
    fn wanted(&self, end: u64) -> u64 {
        READ_LEN.max(self.need).min(end.saturating_sub(self.cursor))
    }

    fn next_item(&mut self) {
        self.queue.pop_front();
        self.laps += u64::from(self.queue.is_empty());
        (self.cursor, self.need) = (0, 0);
        self.bad.clear();
    }

    /// Takes the answer to its read, with what it shows to be rotten; none if it is to another.
    pub(crate) fn on_done(
        &mut self,
        op: OpId,
        result: &Result<Bytes, DiskError>,
        (places, sections): (&Places<'_>, &Sections),
        ids: &mut OpIds,
        ops: &mut Vec<DiskOp>,
    ) -> Option<Vec<Rot>> {
        if self.doing != Some(op) {
            return None;
        }
        self.doing = None;
        let mut rot = Vec::new();
        match (self.queue.front().cloned(), result) {
            (Some(Item::Segment(key)), Ok(bytes)) => match places.segments.len_of(key) {
                Some(len) => self.look_at(&Rows::Segment { key, len }, bytes, &mut rot),
                None => self.next_item(),
            },
            (Some(Item::Section(key, place)), Ok(bytes)) => {
                let current = sections.get(key) == Some(place);
                if current && !is_section(bytes, place) {
                    rot.push(Rot::Section(key, place));
                }
                self.next_item();
            }
            (Some(Item::Log(file)), Ok(bytes)) => {
                if places.files.covering(file.base) == Some(file) {
                    let epochs = places.epochs;
                    self.look_at(&Rows::Log { file, epochs }, bytes, &mut rot);
                } else {
                    self.next_item();
                }
            }
            (_, Err(_)) => self.next_item(),
            (None, Ok(_)) => {}
        }
        self.read_on(places, ids, ops);
        Some(rot)
    }

    /// Looks at what has been read of a file at the cursor.
    fn look_at(&mut self, rows: &Rows<'_>, bytes: &Bytes, rot: &mut Vec<Rot>) {
        let (start, len) = (self.cursor, rows.len());
        let (mut at, mut has_ended) = (0, false);
        while let Some(rest) = bytes
            .get(at..)
            .filter(|rest| !rest.is_empty() && !has_ended)
        {
            let offset = start + at as u64;
            match parse(rest, rows.site(offset)) {
                Parsed::Valid(record) => {
                    self.need = 0;
                    at += record.total;
                    match *rows {
                        Rows::Segment { key, .. } => self.take_record(key, &record, rot),
                        Rows::Log { .. } => has_ended = record.kind == Kind::End,
                    }
                }
                Parsed::Short { total }
                    if offset + total as u64 <= len && (at > 0 || self.need < total as u64) =>
                {
                    self.need = total as u64;
                    break;
                }
                Parsed::Short { .. } | Parsed::Invalid => {
                    self.need = 0;
                    self.note_bad(offset);
                    at += ALIGN;
                }
            }
        }
        // A file that is shorter than it was has no more to tell.
        let read = (at as u64).max(u64::from(bytes.is_empty()) * len);
        self.cursor = start.saturating_add(read);
        if has_ended || self.cursor >= len {
            let bad = mem::take(&mut self.bad).into_iter();
            rot.extend(bad.map(|(from, to)| rows.rot(from, to)));
            self.next_item();
        }
    }

    /// Notes that the eight bytes at `offset` begin no record and belong to none.
    fn note_bad(&mut self, offset: u64) {
        let end = offset + ALIGN as u64;
        match self.bad.last_mut() {
            Some(last) if last.1 == offset => last.1 = end,
            _ => self.bad.push((offset, end)),
        }
    }

    /// An index names the entries before it.
    fn take_record(&mut self, key: SegmentKey, record: &Record<'_>, rot: &mut Vec<Rot>) {
        if record.kind != Kind::Index || self.bad.is_empty() {
            return;
        }
        let entries = entries_of(record.body);
        for (from, to) in mem::take(&mut self.bad) {
            let inside = |loc: Loc| match loc.place() {
                Place::Segment { number, offset } => {
                    number == key.1 && (from..to).contains(&offset)
                }
                Place::Log(_) => false,
            };
            let lost = entries.iter().copied().filter(|(_, loc)| inside(*loc));
            rot.push(Rot::Segment {
                key,
                from,
                to,
                lost: lost.collect(),
            });
        }
    }
}

fn entries_of(mut body: &[u8]) -> Vec<(Seq, Loc)> {
    let mut entries = Vec::new();
    for _ in 0..body.try_get_u64_le().unwrap_or(0) {
        let (Ok(seq), Ok(loc)) = (body.try_get_u64_le(), body.try_get_u64_le()) else {
            break;
        };
        entries.push((Seq(seq), Loc::from_bits(loc)));
    }
    entries
}

fn is_section(bytes: &Bytes, place: SectionPlace) -> bool {
    match parse(bytes, Site::checkpoint(place.file, place.offset)) {
        Parsed::Valid(record) => {
            record.kind == Kind::Part && record.body.len() == place.len as usize
        }
        Parsed::Short { .. } | Parsed::Invalid => false,
    }
}

//! Flushes, checkpoints and the removal of what they make needless.
//!
//! *Invariants:* one flush and one checkpoint at a time. The two newest checkpoints stay, with the files
//! that their sections lie in and the log from the older one on: if the newest cannot be read, the one
//! before and the log give the same state. A full disk stops neither publishing nor reading; what it
//! stopped is tried again.

use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::vec::Vec;

use bytes::Bytes;
use protocol::id::{LogPos, Seq, StreamId};
use protocol::store::{Loc, SectionChange, SectionKey};

use super::{Phase, Store, places};
use crate::checkpoint::{self, Head, Sections, Writer};
use crate::events::StoreEvent;
use crate::flush::{self, Flush, Flushed, Order, Source};
use crate::op::{DiskError, DiskOp, FileName, OpId};
use crate::packing::Packing;
use crate::places::epoch_at;
use crate::report::{Damage, RecoveryReport};
use crate::scrub::Rot;
use crate::segments::{Segments, file_of};

/// How many times as long as a checkpoint is the part of the log between two of them, at least.
pub(super) const CHECKPOINT_SHARE: u64 = 4;

/// How many times as long as the state may the files be that it lies in.
const WASTE_MAX: u64 = 2;

/// How many bytes of files may be wasted in any case.
const WASTE_FREE: u64 = 4 << 20;

/// How many files the state may lie in before the smallest are merged.
const FILES_MAX: usize = 128;

/// Entries that are as long as this on average are written faster than the disk could take them twice.
const LONG_ENTRY: u64 = 8 << 10;

/// How far the log had come at some time.
#[derive(Clone, Copy, Debug, Default)]
struct Progress {
    bytes: u64,
    entries: u64,
}

/// A checkpoint on the disk.
#[derive(Clone, Copy, Debug)]
pub(super) struct Durable {
    pub(super) number: u64,
    pub(super) applied: LogPos,
    pub(super) keep: LogPos,
    /// How much had to be written for it.
    pub(super) len: u64,
}

impl Durable {
    /// Returns the position from which it needs the log.
    fn needs(self) -> LogPos {
        self.keep.min(self.applied)
    }
}

/// Everything beside the log.
#[derive(Debug, Default)]
pub(super) struct Bulk {
    pub(super) segments: Segments,
    queue: VecDeque<Order>,
    flush: Option<Flush>,
    writer: Option<Writer>,
    pub(super) newest: Option<Durable>,
    /// The sections of the newest one.
    pub(super) sections: Sections,
    /// Changes since then that no checkpoint holds yet: those that are being written, or that a full
    /// disk has kept from it.
    changes: Vec<SectionChange>,
    /// Sections that have been found rotten, and that memory holds.
    pub(super) rotten: BTreeSet<SectionKey>,
    /// Sections that could not be read.
    pub(super) sections_lost: Vec<SectionKey>,
    /// The lengths of all checkpoint files.
    pub(super) files: BTreeMap<u64, u64>,
    pub(super) next_number: u64,
    removing: Vec<OpId>,
    /// Whether the user has been asked to flush and has not finished.
    asked: bool,
    /// Whether the user has been asked for a checkpoint and none has been written since.
    asked_checkpoint: bool,
    /// The log before has been flushed.
    pub(super) flushed: LogPos,
    /// How far the log had come two ticks ago, and one.
    progress: [Progress; 2],
}

impl Bulk {
    /// Drops what is under way: nothing is written any more.
    pub(super) fn stop(&mut self) {
        self.queue.clear();
        self.flush = None;
        self.writer = None;
    }
}

impl Store {
    /// Copies live entries of a stream, given in log order, to the stream's segment;
    /// [`StoreEvent::Flushed`] follows once they are durable there. Entries that already lie in a
    /// segment may be among them: that is how a segment is rewritten.
    pub fn flush(&mut self, stream: StreamId, entries: Vec<(Seq, Loc)>) {
        self.flush_packed(stream, entries, Packing::Plain);
    }

    /// Does what [`Store::flush`] does; what comes from the log is stored as `packing` says.
    pub fn flush_packed(&mut self, stream: StreamId, entries: Vec<(Seq, Loc)>, packing: Packing) {
        if self.poisoned.is_some() {
            return;
        }
        if entries.is_empty() {
            let (moved, lost) = (Vec::new(), Vec::new());
            self.events.push(StoreEvent::Flushed {
                stream,
                moved,
                lost,
            });
            return;
        }
        self.bulk.queue.push_back(Order {
            stream,
            entries,
            packing,
        });
        self.begin_flush();
    }

    /// Whether [`Store::write_checkpoint`] can be called: nothing is being written.
    #[must_use]
    pub fn takes_checkpoint(&self) -> bool {
        self.poisoned.is_none() && self.bulk.writer.is_none() && self.log.is_some()
    }

    /// Writes a checkpoint if [`Store::takes_checkpoint`] says so: with these changes since the last call
    /// the state holds every entry below `applied` and none from there on, and refers to entries in the
    /// log from `keep` on only. [`StoreEvent::CheckpointWritten`] or
    /// [`StoreEvent::CheckpointRefused`] follows.
    pub fn write_checkpoint(&mut self, changes: Vec<SectionChange>, applied: LogPos, keep: LogPos) {
        self.bulk.changes.extend(changes);
        if !self.takes_checkpoint() {
            return;
        }
        let bulk = &mut self.bulk;
        // A user that has applied nothing since it was restored has still applied what it was
        // restored from.
        let applied = bulk
            .newest
            .map_or(applied, |newest| newest.applied.max(applied));
        let needs = keep.min(applied);
        let mut epochs = self.epochs.clone();
        let covering = epoch_at(&epochs, needs);
        epochs.retain(|&(pos, epoch)| pos > needs || epoch == covering);
        let head = Head {
            applied,
            keep,
            previous: bulk.newest.map_or(0, |newest| newest.number),
            end: 0,
            epochs,
            segments: bulk.segments.iter().collect(),
            doomed: bulk.segments.doomed().collect(),
            sections: Sections::default(),
        };
        let number = bulk.next_number;
        bulk.next_number += 1;
        bulk.asked_checkpoint = true;
        bulk.writer = Some(Writer::begin(
            number,
            head,
            &bulk.sections,
            &bulk.changes,
            self.vault.form(),
            &mut self.ids,
            &mut self.wanted,
        ));
    }

    /// Takes the answer to a read of the scrub; false if it is none.
    pub(super) fn on_scrubbed(
        &mut self,
        op: OpId,
        result: &Result<Bytes, DiskError>,
        ops: &mut Vec<DiskOp>,
    ) -> bool {
        let Some(log) = &self.log else {
            return false;
        };
        let places = places(log, &self.epochs, &self.bulk.segments);
        let tables = (&places, &self.bulk.sections);
        let found = self.scrub.on_done(op, result, tables, &mut self.ids, ops);
        let Some(found) = found else {
            return false;
        };
        // What the log lacks, or a section, memory has: a start must not need it.
        let heals = |rot: &Rot| !matches!(rot, Rot::Segment { .. });
        let wants_checkpoint = found.iter().any(heals);
        for rot in found {
            let (file, from, to, lost) = match rot {
                Rot::Segment {
                    key,
                    from,
                    to,
                    lost,
                } => (file_of(key), from, to, Some((key.0, lost))),
                Rot::Section(key, place) => {
                    self.bulk.rotten.insert(key);
                    let file = FileName::Checkpoint(place.file);
                    (file, place.offset, place.end(), None)
                }
                Rot::Log { base, from, to } => (FileName::Log(base), from, to, None),
            };
            let damage = Damage { file, from, to };
            self.events.push(StoreEvent::Rotten { damage, lost });
        }
        if wants_checkpoint {
            self.want_checkpoint();
        }
        true
    }

    /// Asks for a checkpoint, unless one has been asked for.
    pub(super) fn want_checkpoint(&mut self) {
        if !core::mem::replace(&mut self.bulk.asked_checkpoint, true) {
            self.events.push(StoreEvent::CheckpointWanted);
        }
    }

    /// Returns sections that the next checkpoint should write again, changed or not: those that have
    /// rotted, and those of files that hold little else and can go then.
    #[must_use]
    pub fn stale_sections(&mut self) -> Vec<SectionKey> {
        let mut stale = self.wasting_sections();
        stale.extend(core::mem::take(&mut self.bulk.rotten));
        stale
    }

    fn wasting_sections(&self) -> Vec<SectionKey> {
        let bulk = &self.bulk;
        let used = bulk.sections.used();
        let (live, total) = (used.values().sum::<u64>(), bulk.files.values().sum::<u64>());
        let wasteful = total > live.saturating_mul(WASTE_MAX).saturating_add(WASTE_FREE);
        if !wasteful && used.len() <= FILES_MAX {
            return Vec::new();
        }
        // Those that take the least writing to be rid of.
        let mut files: Vec<(u64, u64)> = used.iter().map(|(&file, &len)| (len, file)).collect();
        files.sort_unstable();
        let mut room = WASTE_FREE.max(bulk.newest.map_or(0, |newest| newest.len));
        let chosen: BTreeSet<u64> = files
            .into_iter()
            .take_while(|(len, _)| {
                let fits = *len <= room;
                room = room.saturating_sub(*len);
                fits
            })
            .map(|(_, file)| file)
            .collect();
        let sections = bulk.sections.iter();
        let sections = sections.filter(|(_, place)| chosen.contains(&place.file));
        sections.map(|(key, _)| key).collect()
    }

    /// Returns the position below which everything has been flushed.
    #[must_use]
    pub fn flushed(&self) -> LogPos {
        self.bulk.flushed
    }

    /// Notes that every entry below `below` has been flushed or is no longer alive.
    pub fn finish_flushing(&mut self, below: LogPos) {
        self.bulk.flushed = self.bulk.flushed.max(below);
        self.bulk.asked = false;
        self.check_bulk();
    }

    /// Gives up a segment that holds no live entry any more. It is removed once two checkpoints that
    /// do not refer to it are durable. Call it when the entry that emptied it is applied, and after a
    /// rewrite's [`StoreEvent::Flushed`].
    pub fn remove_segment(&mut self, stream: StreamId, number: u32) {
        let at = self.tail();
        self.bulk.segments.doom((stream, number), at);
    }

    /// Gives up all segments of a stream, and its flushes; for when its deletion or purge is applied.
    /// They are removed once two checkpoints that hold the deletion are durable.
    pub fn remove_stream(&mut self, stream: StreamId) {
        let at = self.tail();
        self.bulk.queue.retain(|order| order.stream != stream);
        if self
            .bulk
            .flush
            .as_ref()
            .is_some_and(|flush| flush.stream == stream)
        {
            self.bulk.flush = None;
        }
        self.bulk.segments.doom_stream(stream, at);
        self.begin_flush();
    }

    fn begin_flush(&mut self) {
        if self.bulk.flush.is_some() || self.poisoned.is_some() {
            return;
        }
        let Some(order) = self.bulk.queue.pop_front() else {
            return;
        };
        let len_max = self.options.segment_len_max;
        let (number, start) = self.bulk.segments.place_for(order.stream, len_max);
        self.bulk.flush = Some(Flush::new(order, number, start));
        self.drive_flush(Drive::Begin);
    }

    fn drive_flush(&mut self, drive: Drive) {
        let Some(log) = &self.log else {
            return;
        };
        let Some(flush) = &mut self.bulk.flush else {
            return;
        };
        let places = places(log, &self.epochs, &self.bulk.segments);
        let source = Source {
            cache: &self.cache,
            places: &places,
            vault: &mut self.vault,
        };
        match drive {
            Drive::Begin => flush.begin(source, &mut self.ids, &mut self.wanted),
            Drive::Advance => {
                flush.advance(source, &mut self.ids, &mut self.wanted);
            }
        }
    }

    /// Takes the answer to an operation of a flush, a checkpoint or a removal; false if it is none.
    pub(super) fn on_bulk_done(
        &mut self,
        op: OpId,
        result: &Result<Bytes, DiskError>,
        ops: &mut Vec<DiskOp>,
    ) -> bool {
        let flush = self.bulk.flush.as_mut();
        if let Some(outcome) = flush.and_then(|flush| flush.on_done(op, result)) {
            self.on_flush(outcome);
        } else if let Some(outcome) = self.bulk.writer.as_mut().and_then(|writer| {
            let result = result.as_ref().map(|_| ()).map_err(|error| *error);
            writer.on_done(op, result, &mut self.vault, &mut self.ids, &mut self.wanted)
        }) {
            self.on_checkpoint(outcome);
        } else if let Some(at) = self
            .bulk
            .removing
            .iter()
            .position(|&removing| removing == op)
        {
            self.bulk.removing.swap_remove(at);
        } else if !self.bulk.segments.on_done(op) {
            return false;
        }
        ops.append(&mut self.wanted);
        true
    }

    fn on_flush(&mut self, outcome: flush::Outcome) {
        match outcome {
            flush::Outcome::Going => self.drive_flush(Drive::Advance),
            flush::Outcome::Waiting => {}
            flush::Outcome::Failed(error) => self.poison(error),
            flush::Outcome::Done(flushed) => {
                let Flushed {
                    stream,
                    moved,
                    lost,
                    segment,
                    len,
                } = flushed;
                self.bulk.segments.insert(segment, len);
                self.bulk.flush = None;
                self.events.push(StoreEvent::Flushed {
                    stream,
                    moved,
                    lost,
                });
                self.begin_flush();
            }
        }
    }

    fn on_checkpoint(&mut self, outcome: checkpoint::Outcome) {
        match outcome {
            checkpoint::Outcome::Going => {}
            checkpoint::Outcome::Failed(error) => self.poison(error),
            checkpoint::Outcome::Full(error) => {
                if let Some(writer) = self.bulk.writer.take() {
                    self.remove_checkpoint(writer.number);
                }
                self.events.push(StoreEvent::CheckpointRefused(error));
            }
            checkpoint::Outcome::Done => {
                if let Some(writer) = self.bulk.writer.take() {
                    self.on_checkpoint_durable(writer);
                }
            }
        }
    }

    fn on_checkpoint_durable(&mut self, writer: Writer) {
        let newest = Durable {
            number: writer.number,
            applied: writer.head.applied,
            keep: writer.head.keep,
            len: writer.len(),
        };
        let file_len = writer.file_len();
        let bulk = &mut self.bulk;
        let previous = bulk.newest.replace(newest);
        let mut used = bulk.sections.files();
        bulk.sections = writer.head.sections;
        used.extend(bulk.sections.files());
        used.extend(previous.map(|previous| previous.number));
        used.insert(newest.number);
        bulk.changes.clear();
        bulk.asked_checkpoint = false;
        bulk.files.insert(newest.number, file_len);
        let files: Vec<u64> = bulk.files.keys().copied().collect();
        for number in files.into_iter().filter(|number| !used.contains(number)) {
            self.remove_checkpoint(number);
        }
        if let Some(log) = &mut self.log {
            log.note_checkpoint(newest.number);
        }
        if let Some(previous) = previous {
            self.trim(previous.needs());
            self.sweep(previous.applied);
        }
        self.events.push(StoreEvent::CheckpointWritten {
            applied: newest.applied,
        });
        self.check_bulk();
    }

    fn remove_checkpoint(&mut self, number: u64) {
        self.bulk.files.remove(&number);
        let op = self.ids.take();
        self.bulk.removing.push(op);
        let file = FileName::Checkpoint(number);
        self.wanted.push(DiskOp::Remove { op, file });
    }

    /// Gives up the log below `below`.
    fn trim(&mut self, below: LogPos) {
        let (reads, flush) = (&mut self.reads, &self.bulk.flush);
        if let Some(log) = &mut self.log {
            let busy = |file| reads.uses(file) || flush.as_ref().is_some_and(|f| f.uses(file));
            let freed = log.files.trim(below.0, busy);
            for base in freed {
                reads.forget(FileName::Log(base));
            }
        }
        let covering = epoch_at(&self.epochs, below);
        self.epochs
            .retain(|&(pos, epoch)| pos > below || epoch == covering);
    }

    /// Removes the segments that no checkpoint from `applied` on refers to.
    pub(super) fn sweep(&mut self, applied: LogPos) {
        let (reads, flush) = (&mut self.reads, &self.bulk.flush);
        let busy = |file| reads.uses(file) || flush.as_ref().is_some_and(|f| f.uses(file));
        let segments = &mut self.bulk.segments;
        let swept = segments.sweep(applied, busy, &mut self.ids, &mut self.wanted);
        for file in swept {
            reads.forget(file);
        }
    }

    /// Asks the user for a checkpoint when much has happened since the last one, and to flush when the
    /// log has grown long. How long a flush takes depends on how many streams it is for: what has come
    /// meanwhile is asked for in one, so that flushing keeps up however many there are. What has been
    /// flushed stays so with the next checkpoint, however often the process is killed.
    pub(super) fn check_bulk(&mut self) {
        let (Some(log), Phase::Live) = (&self.log, &self.phase) else {
            return;
        };
        let (synced, bulk) = (log.synced().0, &mut self.bulk);
        let applied = bulk.newest.map_or(0, |newest| newest.applied.0);
        let written = bulk.newest.map_or(0, |newest| newest.len);
        let step = written.saturating_mul(CHECKPOINT_SHARE);
        let step = step.max(self.options.checkpoint_step);
        // The first one is due at once: it tells, should the log be lost, that there was one.
        let is_first = bulk.newest.is_none() && synced > 0;
        let is_due = is_first || synced.saturating_sub(applied) >= step;
        if !bulk.asked_checkpoint && is_due {
            bulk.asked_checkpoint = true;
            self.events.push(StoreEvent::CheckpointWanted);
        }
        let threshold = self.options.flush_threshold;
        let since = bulk.progress[0];
        let poured = synced.saturating_sub(since.bytes);
        let entries = log.entries_synced().saturating_sub(since.entries);
        let is_pouring = poured >= threshold / 2 && poured / entries.max(1) >= LONG_ENTRY;
        let most = match is_pouring && log.lacks().is_none() {
            true => threshold.max(self.options.flush_backlog_max),
            false => threshold,
        };
        if !bulk.asked && synced.saturating_sub(bulk.flushed.0) >= most {
            bulk.asked = true;
            let below = LogPos(synced - threshold / 4 * 3);
            self.events.push(StoreEvent::FlushWanted { below });
        }
    }

    /// Tries again what a full disk has stopped, and what has been put off.
    pub(super) fn retry_bulk(&mut self) {
        if let Some(log) = &self.log {
            let now = Progress {
                bytes: log.synced().0,
                entries: log.entries_synced(),
            };
            self.bulk.progress = [self.bulk.progress[1], now];
        }
        if self.bulk.flush.as_ref().is_some_and(Flush::is_waiting) {
            self.drive_flush(Drive::Begin);
        }
        if self.bulk.writer.is_none() {
            self.bulk.asked_checkpoint = false;
        }
        if self.bulk.flush.is_none() && self.bulk.queue.is_empty() {
            self.bulk.asked = false;
        }
        self.check_bulk();
    }

    /// Takes over the segments that the checkpoint refers to, in the length that it knows: what a flush
    /// of an earlier life left behind that may not be durable. Segments that are missing or too short
    /// are reported; those that nothing refers to go, unless anything is damaged: then they may be the
    /// last copy of something.
    pub(super) fn take_segments(
        &mut self,
        listed: &[(FileName, u64)],
        head: Option<&Head>,
        report: &mut RecoveryReport,
    ) {
        let mut files = BTreeMap::new();
        for &(name, len) in listed {
            if let FileName::Segment { stream, number } = name {
                files.insert((stream, number), len);
            }
        }
        let segments = &mut self.bulk.segments;
        for &(key, len) in head.iter().flat_map(|head| &head.segments) {
            let found = files.remove(&key);
            let from = found.unwrap_or(0);
            // One that is gone stays in the table: were its number used again, what is left of it in the
            // state would mean other messages.
            segments.insert(key, len.min(from));
            if from < len {
                let file = file_of(key);
                report.damage.push(Damage {
                    file,
                    from,
                    to: len,
                });
            }
        }
        for key in head.iter().flat_map(|head| &head.doomed) {
            if files.remove(key).is_some() {
                segments.insert_doomed(*key, LogPos(0));
            }
        }
        for key in files.into_keys() {
            if report.damage.is_empty() {
                segments.insert_doomed(key, report.tail);
            } else {
                segments.insert_orphan(key);
                report.orphans += 1;
            }
        }
    }
}

#[derive(Clone, Copy)]
enum Drive {
    Begin,
    Advance,
}

#[cfg(test)]
#[expect(
    clippy::cast_possible_truncation,
    clippy::wildcard_enum_match_arm,
    reason = "small numbers; tests look for one event"
)]
mod tests;

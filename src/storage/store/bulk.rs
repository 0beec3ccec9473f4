//! Everything beside the log: when a flush or a checkpoint is due, and whose the disk's answers are. What
//! becomes of them is in the files below.
//!
//! *Invariants:* one flush and one checkpoint at a time. The two newest checkpoints stay, with the files
//! that their sections lie in and the log from the older one on: if the newest cannot be read, the one
//! before and the log give the same state. A full disk stops neither publishing nor reading; what it
//! stopped is tried again.

mod checkpointing;
mod flushing;
mod removing;

use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::vec::Vec;

use bytes::Bytes;
use protocol::id::LogPos;
use protocol::store::{SectionChange, SectionKey};

use super::{Phase, Store, places};
use crate::checkpoint::{Sections, Writer};
use crate::events::StoreEvent;
use crate::flush::{Flush, Order};
use crate::op::{DiskError, DiskOp, FileName, OpId};
use crate::report::Damage;
use crate::scrub::Rot;
use crate::segments::{Segments, file_of};
use flushing::Drive;

/// How many times as long as a checkpoint is the part of the log between two of them, at least.
pub(super) const CHECKPOINT_SHARE: u64 = 4;

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
}

#[cfg(test)]
#[expect(
    clippy::cast_possible_truncation,
    clippy::wildcard_enum_match_arm,
    reason = "small numbers; tests look for one event"
)]
mod tests;

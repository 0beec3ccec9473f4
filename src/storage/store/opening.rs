//! From the first look at the directory to the first append: lists the files, replays the log, makes
//! durable again what an earlier life may have left in the page cache only, begins a new epoch.
//!
//! *Invariants:* nothing is written before everything has been read. What no mark proves durable is
//! rewritten and synced (`proving`) before anything is built on it: after a failed sync of an earlier life the
//! page cache may hold, marked clean, what the disk does not.

mod choosing;
mod loading;
mod missed;
mod proving;

use alloc::vec::Vec;

use bytes::Bytes;
use protocol::id::LogPos;

use super::{Phase, Store};
use crate::checkpoint::{Head, Reader, newest_first};
use crate::events::StoreEvent;
use crate::ids::OpIds;
use crate::log::Log;
use crate::log::files::{Extent, Files};
use crate::op::{DiskAnswer, DiskError, DiskOp, FileName, OpId};
use crate::record::EpochNo;
use crate::recovery::{Next, Origin, Recovery};
use crate::report::{Damage, RecoveryReport};

/// How far opening has come.
#[derive(Debug)]
pub(super) struct Opening {
    /// The operation under way; none while the new log's first batch is.
    op: Option<OpId>,
    /// The read under way, or the one to try again.
    read: Option<ReadAt>,
    /// How often it has failed.
    failures: u32,
    step: Step,
    listed: Vec<(FileName, u64)>,
    /// Checkpoints not tried yet, the newest last.
    candidates: Vec<(u64, u64)>,
    /// Checkpoints that cannot be read, with their lengths.
    broken: Vec<(u64, u64)>,
    /// Checkpoints that were finished and have a damaged section, the newest first, and the one before
    /// each.
    damaged: Vec<(u64, u64)>,
    /// Of those that cannot be read whole, the ones of which something can be, the newest first.
    readable: Vec<u64>,
    reader: Option<Reader>,
    head: Option<Head>,
    recovery: Recovery,
    from: LogPos,
    report: RecoveryReport,
}

/// A part of a file.
#[derive(Clone, Copy, Debug)]
struct ReadAt {
    file: FileName,
    offset: u64,
    len: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Listing,
    /// Reading a checkpoint.
    Loading,
    Replaying,
    /// Reading, writing again and syncing the checkpoint, of which the log does not say that it was
    /// finished.
    Confirming(Confirm),
    /// Reading what is to be written again, at this offset of the log file at this base.
    Rereading {
        base: u64,
        offset: u64,
    },
    Rewriting {
        base: u64,
    },
    Syncing,
    /// The log is open; its first batch, the epoch mark, is not durable yet.
    Beginning,
}

/// How far a checkpoint has been made durable again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Confirm {
    /// What lies here is being read.
    Reading { offset: u64 },
    /// Everything before is being written again.
    Writing { next: u64 },
    /// All of it is being synced.
    Syncing,
}

impl Opening {
    pub(super) fn start(ids: &mut OpIds, ops: &mut Vec<DiskOp>) -> Self {
        let op = ids.take();
        ops.push(DiskOp::List { op });
        Self {
            op: Some(op),
            read: None,
            failures: 0,
            step: Step::Listing,
            listed: Vec::new(),
            candidates: Vec::new(),
            broken: Vec::new(),
            damaged: Vec::new(),
            readable: Vec::new(),
            reader: None,
            head: None,
            recovery: Recovery::new(&[], Origin::default(), 0),
            from: LogPos(0),
            report: RecoveryReport::default(),
        }
    }

    pub(super) fn op(&self) -> Option<OpId> {
        self.op
    }

    /// Returns the log files that exist.
    fn log_files(&self) -> Vec<Extent> {
        let files = self.listed.iter().filter_map(|&(name, len)| match name {
            FileName::Log(base) => Some(Extent { base, len }),
            FileName::Segment { .. } | FileName::Checkpoint(_) => None,
        });
        files.collect()
    }

    /// Asks for a part of a file.
    fn ask_read(&mut self, read: ReadAt, step: Step, ids: &mut OpIds, ops: &mut Vec<DiskOp>) {
        self.read = Some(read);
        self.failures = 0;
        self.step = step;
        self.read_again(ids, ops);
    }

    /// Asks for what the last read did not give.
    fn read_again(&mut self, ids: &mut OpIds, ops: &mut Vec<DiskOp>) {
        let Some(ReadAt { file, offset, len }) = self.read else {
            return;
        };
        let op = ids.take();
        self.op = Some(op);
        ops.push(DiskOp::Read {
            op,
            file,
            offset,
            len,
        });
    }

    fn ask(&mut self, op: DiskOp, step: Step, ops: &mut Vec<DiskOp>) {
        self.op = Some(op.id());
        self.step = step;
        ops.push(op);
    }
}

impl Store {
    pub(super) fn handle_opening(
        &mut self,
        result: Result<DiskAnswer, DiskError>,
        ops: &mut Vec<DiskOp>,
    ) {
        let Phase::Opening(opening) = &mut self.phase else {
            return;
        };
        match (opening.step, result) {
            (Step::Listing, Ok(DiskAnswer::Listed(files))) => self.on_listed(files, ops),
            (Step::Loading, Ok(DiskAnswer::Read(bytes))) => self.on_checkpoint_piece(bytes, ops),
            (Step::Replaying, Ok(DiskAnswer::Read(bytes))) => self.on_piece(&bytes, ops),
            (
                Step::Loading
                | Step::Replaying
                | Step::Rereading { .. }
                | Step::Confirming(Confirm::Reading { .. }),
                Err(error),
            ) => self.on_read_refused(error, ops),
            (Step::Confirming(step), Ok(answer)) => self.on_confirmed(step, answer, ops),
            (Step::Rereading { base, offset }, Ok(DiskAnswer::Read(data))) => {
                let (op, file) = (self.ids.take(), FileName::Log(base));
                let write = DiskOp::Write {
                    op,
                    file,
                    offset,
                    data,
                };
                opening.ask(write, Step::Rewriting { base }, ops);
            }
            (Step::Rewriting { base }, Ok(_)) => {
                let (op, file) = (self.ids.take(), FileName::Log(base));
                opening.ask(DiskOp::Sync { op, file }, Step::Syncing, ops);
            }
            (Step::Syncing, Ok(_)) => self.begin_log(ops),
            (_, Err(error)) => self.close(error),
            // A disk that answers another question is broken beyond use.
            (_, Ok(_)) => self.close(DiskError::Io(0)),
        }
    }

    /// A read that fails says nothing about what was stored: it is tried again, once at once
    /// and then at each tick. What
    /// stays unreadable keeps the store closed, since what was acknowledged lies there.
    fn on_read_refused(&mut self, error: DiskError, ops: &mut Vec<DiskOp>) {
        let attempts = self.options.recovery_read_attempts;
        let Phase::Opening(opening) = &mut self.phase else {
            return;
        };
        opening.op = None;
        opening.failures += 1;
        if opening.failures == 1 {
            opening.read_again(&mut self.ids, ops);
            return;
        }
        if opening.failures < attempts {
            return;
        }
        self.close(error);
    }

    /// Whether something has been met that only a key opens. Then nothing is told of it, least of all that
    /// it is damaged, and the store stays closed.
    fn is_locked(&mut self) -> bool {
        let is_locked = self.vault.is_missed;
        if is_locked {
            self.close(DiskError::Locked);
        }
        is_locked
    }

    /// Gives opening up: entries may have been told that are not known to be durable, or none at all.
    fn close(&mut self, error: DiskError) {
        let Phase::Opening(opening) = &mut self.phase else {
            return;
        };
        opening.op = None;
        opening.failures = 0;
        let part = opening.read.take();
        let part = part.map(|ReadAt { file, offset, len }| Damage {
            file,
            from: offset,
            to: offset + u64::from(len),
        });
        self.poisoned = Some(error);
        self.events.push(StoreEvent::Unreadable { part, error });
    }

    /// Tries a read again that has failed; for about once a second.
    pub(super) fn retry_opening(&mut self, ops: &mut Vec<DiskOp>) {
        if let Phase::Opening(opening) = &mut self.phase
            && opening.op.is_none()
            && opening.failures > 0
        {
            opening.read_again(&mut self.ids, ops);
        }
    }

    fn on_listed(&mut self, files: Vec<(FileName, u64)>, ops: &mut Vec<DiskOp>) {
        let Phase::Opening(opening) = &mut self.phase else {
            return;
        };
        opening.candidates = newest_first(&files);
        opening.candidates.reverse();
        opening.listed = files;
        self.bulk.files = opening.candidates.iter().copied().collect();
        self.bulk.next_number = opening
            .candidates
            .last()
            .map_or(1, |(number, _)| number + 1);
        self.load_next(ops);
    }

    fn begin_replay(&mut self, ops: &mut Vec<DiskOp>) {
        let Phase::Opening(opening) = &mut self.phase else {
            return;
        };
        let head = opening.head.as_ref();
        let is_log = |&(name, _): &(FileName, u64)| matches!(name, FileName::Log(_));
        let origin = Origin {
            from: opening.from,
            keep: head.map_or(LogPos(0), |head| head.keep),
            epochs: head.map_or_else(Vec::new, |head| head.epochs.clone()),
            file_len_max: self.options.log_file_len,
            step: opening.step_max(self.options.checkpoint_step),
            has_others: !opening.listed.iter().all(is_log),
        };
        let piece = self.options.recovery_read_len;
        opening.recovery = Recovery::new(&opening.log_files(), origin, piece);
        let next = opening.recovery.begin();
        self.drive_recovery(next, ops);
    }

    fn on_piece(&mut self, bytes: &Bytes, ops: &mut Vec<DiskOp>) {
        let Phase::Opening(opening) = &mut self.phase else {
            return;
        };
        let next = opening.recovery.handle(bytes, &mut self.vault);
        if self.is_locked() {
            return;
        }
        let Phase::Opening(opening) = &mut self.phase else {
            return;
        };
        while let Some(run) = opening.recovery.runs.pop_front() {
            opening.report.replayed += run.entries_from(opening.from);
            self.cache.push(run.clone());
            self.events.push_entries(run, opening.from);
        }
        while self.cache.evict().is_some() {}
        self.drive_recovery(next, ops);
    }

    fn drive_recovery(&mut self, next: Next, ops: &mut Vec<DiskOp>) {
        let Phase::Opening(opening) = &mut self.phase else {
            return;
        };
        // A hole is found behind the last record before it, and ahead of the first one after it.
        for hole in opening.recovery.holes.drain(..) {
            self.events.push(StoreEvent::Hole(hole));
        }
        match next {
            Next::Read { file, offset, len } => {
                let read = ReadAt { file, offset, len };
                opening.ask_read(read, Step::Replaying, &mut self.ids, ops);
            }
            Next::Finished => {
                let loaded = opening.report.checkpoint;
                if loaded.is_none() || loaded <= opening.recovery.checkpointed() {
                    self.rewrite_unproven(ops);
                } else {
                    self.confirm(0, ops);
                }
            }
        }
    }

    /// Opens the log for writing at the recovered tail; its first batch is the mark of the new epoch.
    fn begin_log(&mut self, ops: &mut Vec<DiskOp>) {
        let Phase::Opening(opening) = &mut self.phase else {
            return;
        };
        let known = opening.log_files();
        let missed = opening.missed_checkpoints();
        let recovery = &mut opening.recovery;
        let finished = recovery.checkpointed();
        let tail = recovery.tail;
        let epoch = EpochNo(recovery.epoch().0 + 1);
        let mut files = Files::new(&self.options);
        files.adopt(known, tail.0);
        self.epochs = recovery.epochs();
        self.epochs.push((tail, epoch));
        let mut report = core::mem::take(&mut opening.report);
        report.tail = tail;
        report.lost = recovery.lost();
        report.lost_max = recovery.lost_max();
        report.damage.append(&mut recovery.damage);
        report.cut = recovery.cut;
        for damage in missed {
            if !report.damage.iter().any(|known| known.file == damage.file) {
                report.damage.push(damage);
            }
        }
        let entries = recovery.entries();
        opening.op = None;
        opening.step = Step::Beginning;
        let (listed, head) = (core::mem::take(&mut opening.listed), opening.head.take());
        self.take_segments(&listed, head.as_ref(), &mut report);
        if let Phase::Opening(opening) = &mut self.phase {
            opening.report = report;
        }
        // The number of one that is gone is not used again: its file might come back.
        let next = finished.map_or(1, |number| number + 1);
        self.bulk.next_number = self.bulk.next_number.max(next);
        let mut log = Log::open(&self.options, files, tail, epoch, entries);
        log.pump(&mut self.vault, &mut self.ids, ops);
        self.log = Some(log);
    }

    /// Ends opening when the epoch mark is durable, or when it cannot be written for want of space:
    /// then what is stored can be read all the same.
    pub(super) fn check_open(&mut self, ops: &mut Vec<DiskOp>) {
        let Some(log) = &mut self.log else {
            return;
        };
        let Phase::Opening(opening) = &mut self.phase else {
            return;
        };
        if log.synced() <= opening.report.tail && log.refuses(0, 0).is_none() {
            log.pump(&mut self.vault, &mut self.ids, ops);
            return;
        }
        let report = core::mem::take(&mut opening.report);
        self.phase = Phase::Live;
        self.events.push(StoreEvent::Recovered(report));
        if !self.bulk.rotten.is_empty() {
            self.want_checkpoint();
        }
        self.check_bulk();
    }
}

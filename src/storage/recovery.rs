//! Recovery of the log: reads it from the checkpoint's position on, hands out what is valid in order,
//! and tells a torn tail from rot.
//!
//! Where a record is invalid, the rest of the log is searched. If a later record proves that the place
//! had been durable (a mark of a later batch, a later epoch), the place is damage: it is reported and
//! reading goes on behind it. If nothing proves that, no acknowledgement can have been sent for what
//! lay there, and the log is cut.
//!
//! *Invariants:* no position below the new tail is given out again; one read is under way at a time;
//! nothing is written or removed here. What the disk refuses to read is the caller's to try again: it
//! is neither a torn tail nor rot.

mod probe;
mod scan;

use alloc::collections::{BTreeMap, VecDeque};
use alloc::vec::Vec;
use core::mem;

use bytes::{Bytes, BytesMut};
use protocol::id::LogPos;

use crate::log::Chunk;
use crate::log::files::Extent;
use crate::marks::{End, FileHead};
use crate::op::FileName;
use crate::record::EpochNo;
use crate::report::Damage;
use crate::vault::Vault;
use probe::Probe;
use scan::{Scan, Stop};

/// What recovery needs next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    Read {
        file: FileName,
        offset: u64,
        len: u32,
    },
    Finished,
}

/// Where recovery begins.
#[derive(Clone, Debug, Default)]
pub(crate) struct Origin {
    /// Entries below need not be replayed; everything below was durable.
    pub(crate) from: LogPos,
    /// Entries below are not referred to any more.
    pub(crate) keep: LogPos,
    /// The epochs that the log was written in, as far as the checkpoint knows.
    pub(crate) epochs: Vec<(LogPos, EpochNo)>,
    /// No log file is longer, as far as the options say.
    pub(crate) file_len_max: u64,
    /// About how much was written behind `from` at most: the next checkpoint is due then.
    pub(crate) step: u64,
    /// Whether anything but the log is left of a store: then there has been a log.
    pub(crate) has_others: bool,
}

#[derive(Clone, Copy, Debug)]
enum Mode {
    Replay,
    Probe(Probe),
}

/// The reader of the log.
#[derive(Debug)]
pub(crate) struct Recovery {
    files: BTreeMap<u64, u64>,
    scan: Scan,
    from: u64,
    keep: u64,
    file_len_max: u64,
    step: u64,
    has_others: bool,
    known: Vec<(LogPos, EpochNo)>,
    mode: Mode,
    file: Extent,
    cursor: u64,
    /// The length asked for by the read under way.
    asked: u64,
    piece: u64,
    /// Rows of valid records, to be handed out.
    pub(crate) runs: VecDeque<Chunk>,
    pub(crate) damage: Vec<Damage>,
    /// The part of the damage where entries may have been, to be told in their order.
    pub(crate) holes: VecDeque<Damage>,
    /// Invalid file heads: damage if the file turns out to have been durable.
    heads: Vec<Extent>,
    pub(crate) tail: LogPos,
    /// Where the last valid record ends; no damage lies between what is proven durable and here.
    pub(crate) valid_to: LogPos,
    pub(crate) cut: u64,
}

impl Recovery {
    pub(crate) fn new(files: &[Extent], origin: Origin, piece: u32) -> Self {
        Self {
            scan: Scan::new(EpochNo(0), origin.from),
            from: origin.from.0,
            keep: origin.keep.min(origin.from).0,
            file_len_max: origin.file_len_max,
            step: origin.step,
            has_others: origin.has_others,
            known: origin.epochs,
            files: files.iter().map(|file| (file.base, file.len)).collect(),
            mode: Mode::Replay,
            file: Extent { base: 0, len: 0 },
            cursor: origin.from.0,
            asked: 0,
            piece: u64::from(piece),
            runs: VecDeque::new(),
            damage: Vec::new(),
            holes: VecDeque::new(),
            heads: Vec::new(),
            tail: origin.from,
            valid_to: LogPos(0),
            cut: 0,
        }
    }

    /// Returns the first read, from the start of the file that covers the origin.
    pub(crate) fn begin(&mut self) -> Next {
        let from = self.cursor;
        self.look_below(from);
        let covering = self.files.range(..=from).next_back();
        let covering = covering.filter(|&(&base, &len)| from < base.saturating_add(len));
        let first = covering.or_else(|| self.files.range(from..).next());
        let Some((&base, &len)) = first else {
            return self.begin_without_file(from);
        };
        if base > from {
            self.add_hole(FileName::Log(from), from, base);
        }
        let before = self.known.iter().rev().find(|(pos, _)| pos.0 <= base);
        self.scan.epoch = before.map_or(EpochNo(0), |&(_, epoch)| epoch);
        self.enter_file(Extent { base, len });
        self.read()
    }

    /// Tells what is not there of what is still referred to though it need not be replayed.
    fn look_below(&mut self, from: u64) {
        let mut at = self.keep;
        let below = self
            .files
            .range(..from)
            .map(|(&base, &len)| Extent { base, len });
        let below: Vec<Extent> = below.filter(|file| file.end() > self.keep).collect();
        for file in below {
            self.add_damage(FileName::Log(at), at, file.base.min(from));
            at = file.end();
        }
        self.add_damage(FileName::Log(at), at, from);
    }

    /// Of the log nothing is left from the origin on. A checkpoint's position lies in a file: that one
    /// is gone, or cut off before it, and so may others behind it be.
    fn begin_without_file(&mut self, from: u64) -> Next {
        if from == 0 && !self.has_others {
            return self.finish(LogPos(0));
        }
        if let Some(&(_, epoch)) = self.known.last() {
            self.scan.epoch = epoch;
        }
        let end = self.end_of_lost(from);
        self.add_hole(FileName::Log(from), from, end);
        self.finish(LogPos(end))
    }

    /// Returns where the longest file would end that covers `from`.
    fn longest_end(&self, from: u64) -> u64 {
        let longest = self.files.values().copied().max().unwrap_or(0);
        let end = from.saturating_add(longest.max(self.file_len_max));
        end.next_multiple_of(crate::record::ALIGN as u64)
    }

    /// Returns where the log may have ended of which the files from `at` on are gone: as far behind the
    /// checkpoint as the next one was due, and the longest file further, since that takes its time.
    fn end_of_lost(&self, at: u64) -> u64 {
        self.longest_end(self.from.saturating_add(self.step))
            .max(at)
    }

    pub(crate) fn epoch(&self) -> EpochNo {
        self.scan.epoch
    }

    /// Returns which epochs the log was written in.
    pub(crate) fn epochs(&mut self) -> Vec<(LogPos, EpochNo)> {
        let mut epochs = mem::take(&mut self.known);
        let read = mem::take(&mut self.scan.epochs);
        if let Some(&(first, _)) = read.first() {
            epochs.retain(|&(pos, _)| pos < first);
        }
        epochs.extend(read);
        epochs
    }

    /// Returns the newest checkpoint that was finished, as far as the log says.
    pub(crate) fn checkpointed(&self) -> Option<u64> {
        self.scan.checkpointed
    }

    pub(crate) fn entries(&self) -> u64 {
        self.scan.entries
    }

    /// Returns how many entries may be missing, at most.
    pub(crate) fn lost_max(&self) -> u64 {
        self.scan.lost_max()
    }

    pub(crate) fn lost(&self) -> u64 {
        self.scan.lost
    }

    /// Returns the position below which everything was synced by an earlier life.
    pub(crate) fn proven(&self) -> LogPos {
        self.scan.proven
    }

    /// Takes the answer to the read that was asked for.
    pub(crate) fn handle(&mut self, bytes: &Bytes, vault: &mut Vault) -> Next {
        match self.mode {
            Mode::Replay => self.replay(bytes, vault),
            Mode::Probe(probe) => self.probe(bytes, probe, vault),
        }
    }

    fn read(&mut self) -> Next {
        self.read_len(self.piece)
    }

    fn read_len(&mut self, len: u64) -> Next {
        let len = len.min(self.file.end().saturating_sub(self.cursor));
        self.asked = len;
        Next::Read {
            file: FileName::Log(self.file.base),
            offset: self.cursor - self.file.base,
            len: u32::try_from(len).unwrap_or(u32::MAX),
        }
    }

    fn enter_file(&mut self, file: Extent) {
        self.file = file;
        self.cursor = file.base;
        self.scan.begin_file();
    }

    fn replay(&mut self, bytes: &Bytes, vault: &mut Vault) -> Next {
        let start = self.cursor;
        let (done, stop) = self.run(bytes, vault);
        match stop {
            Stop::Short { total } => {
                let total = total as u64;
                let whole = self.cursor + total <= self.file.end();
                // A record that is longer than what is left, or a file that is shorter than listed.
                if !whole || (done == 0 && self.asked >= total) || bytes.is_empty() {
                    return self.begin_probe();
                }
                self.read_len(total.max(self.piece))
            }
            Stop::Invalid if start == self.file.base && done == 0 => {
                self.replay_headless(bytes, vault)
            }
            Stop::Invalid => self.begin_probe(),
            Stop::End => self.leave_file(),
        }
    }

    /// Takes the valid records at the cursor, which is where `bytes` begins.
    fn run(&mut self, bytes: &Bytes, vault: &mut Vault) -> (usize, Stop) {
        let at = LogPos(self.cursor);
        let (done, stop, opened) = self.scan.run(bytes, at, vault);
        if done > 0 {
            let rows = opened.map_or_else(|| bytes.clone(), BytesMut::freeze);
            self.runs.push_back(Chunk {
                start: at,
                bytes: rows.slice(..done),
            });
            self.cursor += done as u64;
            self.valid_to = LogPos(self.cursor);
        }
        (done, stop)
    }

    /// Goes on behind an invalid file head, if something valid follows it.
    fn replay_headless(&mut self, bytes: &Bytes, vault: &mut Vault) -> Next {
        let skip = usize::try_from(FileHead::TOTAL).unwrap_or(usize::MAX);
        self.cursor += FileHead::TOTAL;
        let (done, _) = self.run(&bytes.slice(skip.min(bytes.len())..), vault);
        if done == 0 {
            self.cursor = self.file.base;
            return self.begin_probe();
        }
        self.heads.push(self.file);
        if self.scan.end.is_some() {
            return self.leave_file();
        }
        self.read()
    }

    /// Goes on with the file behind the one whose end mark has been read.
    fn leave_file(&mut self) -> Next {
        let at = self.file.end();
        if let Some(&len) = self.files.get(&at) {
            self.enter_file(Extent { base: at, len });
            return self.read();
        }
        // The mark was written when the next file existed.
        let next_end = self.scan.end.map_or(at, |End { next_end, .. }| next_end.0);
        self.scan.proven = self.scan.proven.max(LogPos(at));
        match self.files.range(at..).next() {
            Some((&base, &len)) => {
                self.add_hole(FileName::Log(at), at, base);
                self.enter_file(Extent { base, len });
                self.read()
            }
            None => {
                // So may the files behind it be gone.
                let end = self.end_of_lost(next_end);
                self.add_hole(FileName::Log(at), at, end);
                self.finish(LogPos(end))
            }
        }
    }

    fn finish(&mut self, tail: LogPos) -> Next {
        self.tail = tail;
        for file in mem::take(&mut self.heads) {
            if self.scan.proven.0 > file.base + FileHead::TOTAL {
                let to = file.base + FileHead::TOTAL;
                self.add_damage(FileName::Log(file.base), file.base, to);
            }
        }
        Next::Finished
    }

    fn add_hole(&mut self, file: FileName, from: u64, to: u64) {
        self.add_damage(file, from, to);
        if to > self.from {
            self.scan.skip(to.saturating_sub(from));
            self.holes.push_back(Damage { file, from, to });
        } else {
            // What the checkpoint holds is not missed.
            self.scan.forgive();
        }
    }

    fn add_damage(&mut self, file: FileName, from: u64, to: u64) {
        if from < to && to > self.keep {
            self.damage.push(Damage { file, from, to });
        }
    }
}

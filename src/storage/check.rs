//! A look at everything that a store consists of while nobody serves it: each checksum that counts, and
//! each reference from one file to another.
//!
//! Driven like the store: [`Check::start`], then [`Check::handle`] for each answer, until
//! [`Check::outcome`] is there. *Invariants:* it asks for nothing but [`DiskOp::List`] and
//! [`DiskOp::Read`], one at a time; a file whose loss would cost nothing is no finding.

mod checkpoints;
mod log;
mod segment;

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use bytes::Bytes;
use protocol::id::{LogPos, StreamId};
use protocol::store::{Loc, Place};

use crate::ids::OpIds;
use crate::op::{DiskAnswer, DiskDone, DiskError, DiskOp, FileName, OpId};
use crate::options::StoreOptions;
use crate::report::Damage;
use crate::segments::SegmentKey;
use crate::vault::Vault;
use checkpoints::Checkpoints;
use log::LogScan;
use segment::Segments;

/// How a part of a file is damaged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flaw {
    /// It does not hold what was written there.
    Rotten,
    /// It is not there, although something refers to it.
    Missing,
}

/// A part of a file that is damaged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The part.
    pub damage: Damage,
    /// How.
    pub flaw: Flaw,
}

/// What a check has found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CheckReport {
    /// How many files of the store there are.
    pub files: usize,
    /// How many bytes have been read.
    pub bytes: u64,
    /// The checkpoint that a start would begin from.
    pub checkpoint: Option<u64>,
    /// How many entries the log holds from where the state refers to it.
    pub entries: u64,
    /// How many of the log's entries its marks count that are not there, at least.
    pub lost: u64,
    /// How many bytes lie behind the log's end, of a batch that was never acknowledged.
    pub cut: u64,
    /// How many files nothing refers to: what was being made, or is kept to be used again.
    pub unused: usize,
    /// What is damaged; empty if nothing is.
    pub findings: Vec<Finding>,
    /// Of a store with a key, the files that hold something of users as it is: what was there before the
    /// key, and has not been replaced.
    pub clear: BTreeSet<FileName>,
    /// The segments that the state refers to, in the length that counts.
    segments: BTreeMap<SegmentKey, u64>,
}

impl CheckReport {
    /// Returns the damaged parts, to look locations up in.
    #[must_use]
    pub fn places(&self) -> DamagedPlaces {
        let mut places = DamagedPlaces {
            lens: self.segments.clone(),
            ..DamagedPlaces::default()
        };
        for Damage { file, from, to } in self.findings.iter().map(|finding| finding.damage) {
            match file {
                FileName::Log(_) => places.log.push((from, to)),
                FileName::Segment { stream, number } => {
                    let parts = places.segments.entry((stream, number)).or_default();
                    parts.push((from, to));
                }
                FileName::Checkpoint(_) => {}
            }
        }
        places.log.sort_unstable();
        for parts in places.segments.values_mut() {
            parts.sort_unstable();
        }
        places
    }

    fn add(&mut self, file: FileName, (from, to): (u64, u64), flaw: Flaw) {
        let damage = Damage { file, from, to };
        if from < to && !self.findings.iter().any(|known| known.damage == damage) {
            self.findings.push(Finding { damage, flaw });
        }
    }
}

/// The damaged parts of the files that entries lie in.
#[derive(Clone, Debug, Default)]
pub struct DamagedPlaces {
    log: Vec<(u64, u64)>,
    segments: BTreeMap<SegmentKey, Vec<(u64, u64)>>,
    /// How long the segments are, or were before they were damaged.
    lens: BTreeMap<SegmentKey, u64>,
}

impl DamagedPlaces {
    /// Returns whether the record of `stream` at `loc` lies in a damaged part.
    #[must_use]
    pub fn contains(&self, stream: StreamId, loc: Loc) -> bool {
        match loc.place() {
            Place::Log(LogPos(pos)) => covers(&self.log, pos),
            Place::Segment { number, offset } => {
                let key = (stream, number);
                let parts = self.segments.get(&key);
                // Behind what is referred to lies what an earlier start has missed.
                let is_behind = self.lens.get(&key).is_none_or(|&len| offset >= len);
                is_behind || parts.is_some_and(|parts| covers(parts, offset))
            }
        }
    }

    /// Returns the segments with damaged parts.
    pub fn segments(&self) -> impl Iterator<Item = (StreamId, u32)> + '_ {
        self.segments.keys().copied()
    }

    /// Returns whether a segment has damaged parts.
    #[must_use]
    pub fn is_hit(&self, stream: StreamId, number: u32) -> bool {
        self.segments.contains_key(&(stream, number))
    }
}

/// Returns whether one of the parts, which are in order, covers `at`.
fn covers(parts: &[(u64, u64)], at: u64) -> bool {
    let after = parts.partition_point(|&(from, _)| from <= at);
    let before = parts.get(..after).unwrap_or_default();
    before.iter().rev().any(|&(_, to)| at < to)
}

/// The disk refused to read a part of a file, or to list the directory: nothing can be said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unreadable {
    /// The part; none if it is the directory.
    pub part: Option<Damage>,
    /// The disk's answer.
    pub error: DiskError,
}

/// A part of a file that is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Want {
    file: FileName,
    offset: u64,
    len: u32,
}

#[derive(Debug)]
enum Step {
    Listing,
    Checkpoints(Checkpoints),
    Segments(Segments),
    Log(LogScan),
    Done,
}

/// A check under way.
#[derive(Debug)]
pub struct Check {
    options: StoreOptions,
    ids: OpIds,
    doing: Option<(OpId, Option<Want>)>,
    step: Step,
    listed: Vec<(FileName, u64)>,
    /// What the checkpoints have said.
    known: checkpoints::Known,
    report: CheckReport,
    unreadable: Option<Unreadable>,
    vault: Vault,
}

impl Check {
    /// Returns a check that has not looked at anything. Of the options only the lengths and the key count.
    #[must_use]
    pub fn new(options: StoreOptions) -> Self {
        Self {
            options,
            ids: OpIds::default(),
            doing: None,
            step: Step::Listing,
            listed: Vec::new(),
            known: checkpoints::Known::default(),
            report: CheckReport::default(),
            unreadable: None,
            vault: Vault::new(options.key),
        }
    }

    /// Begins.
    pub fn start(&mut self, ops: &mut Vec<DiskOp>) {
        let op = self.ids.take();
        self.doing = Some((op, None));
        ops.push(DiskOp::List { op });
    }

    /// Returns what has been found, or why nothing can be said; none as long as it is under way.
    #[must_use]
    pub fn outcome(&self) -> Option<Result<&CheckReport, Unreadable>> {
        if let Some(unreadable) = self.unreadable {
            return Some(Err(unreadable));
        }
        matches!(self.step, Step::Done).then_some(Ok(&self.report))
    }

    /// Takes the answer to an operation.
    pub fn handle(&mut self, done: DiskDone, ops: &mut Vec<DiskOp>) {
        let Some((_, want)) = self.doing.take_if(|(op, _)| *op == done.op) else {
            return;
        };
        match (done.result, want) {
            (Ok(DiskAnswer::Listed(files)), None) => self.on_listed(files, ops),
            (Ok(DiskAnswer::Read(bytes)), Some(want)) => {
                self.report.bytes += bytes.len() as u64;
                self.on_read(want.file, bytes, ops);
            }
            (Err(error), want) => self.give_up(want, error),
            // A disk that answers another question is broken beyond use.
            (Ok(_), want) => self.give_up(want, DiskError::Io(0)),
        }
    }

    fn give_up(&mut self, want: Option<Want>, error: DiskError) {
        let part = want.map(|Want { file, offset, len }| Damage {
            file,
            from: offset,
            to: offset + u64::from(len),
        });
        self.unreadable = Some(Unreadable { part, error });
    }

    fn on_listed(&mut self, files: Vec<(FileName, u64)>, ops: &mut Vec<DiskOp>) {
        self.report.files = files.len();
        self.listed = files;
        let mut checkpoints = Checkpoints::new(&self.listed, self.options.recovery_read_len);
        let want = checkpoints.begin(&mut self.report);
        self.step = Step::Checkpoints(checkpoints);
        self.go_on(want, ops);
    }

    fn on_read(&mut self, file: FileName, bytes: Bytes, ops: &mut Vec<DiskOp>) {
        let (report, vault) = (&mut self.report, &mut self.vault);
        let in_clear = vault.in_clear;
        let want = match &mut self.step {
            Step::Listing | Step::Done => None,
            Step::Checkpoints(checkpoints) => checkpoints.handle(bytes, vault, report),
            Step::Segments(segments) => segments.handle(&bytes, vault, report),
            Step::Log(log) => log.handle(&bytes, vault, report),
        };
        if vault.in_clear > in_clear {
            report.clear.insert(file);
        }
        if vault.is_missed {
            self.give_up(None, DiskError::Locked);
            return;
        }
        self.go_on(want, ops);
    }

    /// Asks for what is wanted next, of the next kind of files if need be.
    fn go_on(&mut self, mut want: Option<Want>, ops: &mut Vec<DiskOp>) {
        while want.is_none() && !matches!(self.step, Step::Done) {
            want = self.next_step();
        }
        if let Some(want) = want {
            let Want { file, offset, len } = want;
            let op = self.ids.take();
            self.doing = Some((op, Some(want)));
            ops.push(DiskOp::Read {
                op,
                file,
                offset,
                len,
            });
        }
    }

    fn next_step(&mut self) -> Option<Want> {
        let piece = self.options.recovery_read_len;
        match core::mem::replace(&mut self.step, Step::Done) {
            Step::Listing => None,
            Step::Checkpoints(checkpoints) => {
                self.known = checkpoints.finish(&mut self.report);
                self.report.segments.clone_from(&self.known.segments);
                let mut segments = Segments::new(&self.known, &self.listed, piece);
                let want = segments.begin(&mut self.report);
                self.step = Step::Segments(segments);
                want
            }
            Step::Segments(_) => {
                let mut log = LogScan::new(&self.known, &self.listed, &self.options);
                let want = log.begin(&mut self.report);
                self.step = Step::Log(log);
                want
            }
            Step::Log(log) => {
                log.finish(&self.known, &mut self.report);
                self.count_unused();
                None
            }
            Step::Done => None,
        }
    }

    fn count_unused(&mut self) {
        let is_used = |&(name, _): &(FileName, u64)| match name {
            // What lies before the part that the state refers to is kept to be used again.
            FileName::Log(_) => true,
            FileName::Segment { stream, number } => {
                self.known.segments.contains_key(&(stream, number))
            }
            FileName::Checkpoint(number) => self.known.files.contains(&number),
        };
        let used = self.listed.iter().filter(|file| is_used(file)).count();
        self.report.unused = self.listed.len() - used;
    }
}

#[cfg(test)]
#[expect(
    clippy::cast_possible_truncation,
    clippy::wildcard_enum_match_arm,
    reason = "small numbers; tests look for one event"
)]
mod tests;

//! The checkpoints: the newest that is whole, the one before it, and all sections of both.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use bytes::Bytes;
use protocol::id::LogPos;

use super::{CheckReport, Flaw, Want};
use crate::checkpoint::{Head, Read, Reader, Rule, newest_first};
use crate::op::FileName;
use crate::record::EpochNo;
use crate::segments::SegmentKey;
use crate::vault::Vault;

/// What the checkpoints say of the other files.
#[derive(Debug, Default)]
pub(super) struct Known {
    /// Checkpoints that have no beginning or no end, with their lengths: torn or rotten, the log knows.
    pub(super) broken: Vec<(u64, u64)>,
    /// The newest whole one, and the position below which its state holds every entry.
    pub(super) newest: Option<(u64, LogPos)>,
    /// From here on the log is referred to.
    pub(super) needs: LogPos,
    /// The epochs of the log from there on.
    pub(super) epochs: Vec<(LogPos, EpochNo)>,
    /// The segments that are referred to, in the length that counts.
    pub(super) segments: BTreeMap<SegmentKey, u64>,
    /// The checkpoints that matter, and those in whose files their sections lie.
    pub(super) files: BTreeSet<u64>,
}

/// A look at them.
#[derive(Debug)]
pub(super) struct Checkpoints {
    files: BTreeMap<u64, u64>,
    /// Those that have not been tried, the newest last.
    candidates: Vec<u64>,
    reader: Option<Reader>,
    piece: u32,
    /// The newest whole one, once it has been read; the next is the one that it names.
    has_newest: bool,
    known: Known,
}

impl Checkpoints {
    pub(super) fn new(listed: &[(FileName, u64)], piece: u32) -> Self {
        let files: BTreeMap<u64, u64> = newest_first(listed).into_iter().collect();
        Self {
            candidates: files.keys().copied().collect(),
            files,
            reader: None,
            piece,
            has_newest: false,
            known: Known::default(),
        }
    }

    /// Returns the first read; none if there is nothing to read.
    pub(super) fn begin(&mut self, report: &mut CheckReport) -> Option<Want> {
        let number = self.candidates.pop()?;
        let mut reader = Reader::new(number, self.files.clone(), self.piece, Rule::Salvage);
        let read = reader.begin();
        self.reader = Some(reader);
        self.drive(read, report)
    }

    pub(super) fn handle(
        &mut self,
        bytes: Bytes,
        vault: &mut Vault,
        report: &mut CheckReport,
    ) -> Option<Want> {
        let read = self.reader.as_mut()?.handle(bytes, vault);
        self.drive(read, report)
    }

    fn drive(&mut self, read: Read, report: &mut CheckReport) -> Option<Want> {
        let reader = self.reader.as_mut()?;
        reader.found.clear();
        for (_, place) in reader.lost.drain(..).chain(reader.corrected.drain(..)) {
            let len = self.files.get(&place.file).copied();
            let flaw = match len {
                Some(len) if len >= place.end() => Flaw::Rotten,
                Some(_) | None => Flaw::Missing,
            };
            let file = FileName::Checkpoint(place.file);
            report.add(file, (place.offset, place.end()), flaw);
        }
        let number = reader.number;
        match read {
            Read::More { file, offset, len } => return Some(Want { file, offset, len }),
            Read::Broken | Read::Damaged if self.has_newest => {
                // It was finished: the newer one was begun behind it.
                let len = reader.len();
                report.add(FileName::Checkpoint(number), (0, len.max(1)), rotten(len));
                self.candidates.clear();
            }
            Read::Broken | Read::Damaged => {
                self.known.broken.push((number, reader.len()));
                self.known.files.insert(number);
            }
            Read::Done => {
                let head = reader.take_head();
                self.on_whole(number, head, report);
            }
        }
        self.begin(report)
    }

    /// Takes what a whole checkpoint says.
    fn on_whole(&mut self, number: u64, head: Head, report: &mut CheckReport) {
        let known = &mut self.known;
        known.files.insert(number);
        known.files.extend(head.sections.files());
        for (key, len) in head.segments {
            let most = known.segments.entry(key).or_default();
            *most = len.max(*most);
        }
        let needs = head.keep.min(head.applied);
        let is_newest = !core::mem::replace(&mut self.has_newest, true);
        if is_newest || needs < known.needs {
            (known.needs, known.epochs) = (needs, head.epochs);
        }
        self.candidates.clear();
        if !is_newest {
            return;
        }
        report.checkpoint = Some(number);
        known.newest = Some((number, head.applied));
        let previous = head.previous;
        if previous == 0 {
            return;
        }
        known.files.insert(previous);
        if self.files.contains_key(&previous) {
            self.candidates.push(previous);
        } else if known.broken.is_empty() {
            // Where a newer one is broken, that one may have let it go.
            report.add(FileName::Checkpoint(previous), (0, 1), Flaw::Missing);
        }
    }

    pub(super) fn finish(self, _: &mut CheckReport) -> Known {
        self.known
    }
}

fn rotten(len: u64) -> Flaw {
    if len == 0 {
        Flaw::Missing
    } else {
        Flaw::Rotten
    }
}

//! The segments, from front to back: records one behind the other, as far as checkpoints refer to them.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use super::checkpoints::Known;
use super::{CheckReport, Flaw, Want};
use crate::op::FileName;
use crate::record::{ALIGN, Parsed, Site, parse};
use crate::segments::{SegmentKey, file_of};
use crate::vault::Vault;

/// A look at all of them.
#[derive(Debug)]
pub(super) struct Segments {
    /// Those to come, the next last: how long each is referred to, and how long it is, if it is there.
    queue: Vec<(SegmentKey, u64, Option<u64>)>,
    /// The one being read: to where, and how far it has been.
    current: Option<(SegmentKey, u64)>,
    cursor: u64,
    /// The length of the record at the cursor, if a read has shown that it is longer than that.
    need: u64,
    piece: u64,
    /// The rotten part that reaches to the cursor.
    bad: Option<(u64, u64)>,
}

impl Segments {
    pub(super) fn new(known: &Known, listed: &[(FileName, u64)], piece: u32) -> Self {
        let files: BTreeMap<FileName, u64> = listed.iter().copied().collect();
        let queue = known.segments.iter().rev();
        let queue = queue.map(|(&key, &len)| (key, len, files.get(&file_of(key)).copied()));
        Self {
            queue: queue.collect(),
            current: None,
            cursor: 0,
            need: 0,
            piece: u64::from(piece),
            bad: None,
        }
    }

    /// Goes on with the next segment; returns none behind the last.
    pub(super) fn begin(&mut self, report: &mut CheckReport) -> Option<Want> {
        while let Some((key, len, found)) = self.queue.pop() {
            let there = found.unwrap_or(0).min(len);
            report.add(file_of(key), (there, len), Flaw::Missing);
            if there > 0 {
                self.current = Some((key, there));
                (self.cursor, self.need) = (0, 0);
                return self.read();
            }
        }
        None
    }

    fn read(&self) -> Option<Want> {
        let (key, end) = self.current?;
        let len = self.piece.max(self.need).min(end - self.cursor);
        Some(Want {
            file: file_of(key),
            offset: self.cursor,
            len: u32::try_from(len).unwrap_or(u32::MAX),
        })
    }

    pub(super) fn handle(
        &mut self,
        bytes: &[u8],
        vault: &mut Vault,
        report: &mut CheckReport,
    ) -> Option<Want> {
        let (key, end) = self.current?;
        let start = self.cursor;
        let mut at = 0;
        while let Some(rest) = bytes.get(at..).filter(|rest| !rest.is_empty()) {
            let offset = start + at as u64;
            let site = Site::segment(key.0, key.1, offset);
            match parse(rest, site) {
                Parsed::Valid(record) if !vault.can_read(&record, site) => {
                    self.need = 0;
                    self.note_bad(offset, offset + record.total as u64);
                    at += record.total;
                }
                Parsed::Valid(record) => {
                    self.end_bad(key, report);
                    self.need = 0;
                    at += record.total;
                }
                Parsed::Short { total }
                    if offset + total as u64 <= end && (at > 0 || self.need < total as u64) =>
                {
                    self.need = total as u64;
                    break;
                }
                Parsed::Short { .. } | Parsed::Invalid => {
                    self.need = 0;
                    self.note_bad(offset, (offset + ALIGN as u64).min(end));
                    at += ALIGN;
                }
            }
        }
        // A file that is shorter than it was has no more to tell.
        self.cursor = match bytes.len() {
            0 => end,
            _ => (start + at as u64).min(end),
        };
        if self.cursor < end {
            return self.read();
        }
        if bytes.is_empty() {
            report.add(file_of(key), (start, end), Flaw::Missing);
        }
        self.end_bad(key, report);
        self.begin(report)
    }

    /// Notes that what lies at `offset` begins no record and belongs to none.
    fn note_bad(&mut self, offset: u64, to: u64) {
        let (from, _) = self.bad.unwrap_or((offset, to));
        self.bad = Some((from, to));
    }

    fn end_bad(&mut self, key: SegmentKey, report: &mut CheckReport) {
        if let Some(bad) = self.bad.take() {
            report.add(file_of(key), bad, Flaw::Rotten);
        }
    }
}

//! The log, from where a checkpoint refers to it: what a start would replay, and what it would read
//! later.

use super::checkpoints::Known;
use super::{CheckReport, Flaw, Want};
use crate::log::files::Extent;
use crate::op::FileName;
use crate::options::StoreOptions;
use crate::recovery::{Next, Origin, Recovery};
use crate::report::Damage;
use crate::vault::Vault;

use alloc::vec::Vec;

/// A look at it.
#[derive(Debug)]
pub(super) struct LogScan {
    recovery: Recovery,
    files: Vec<Extent>,
}

impl LogScan {
    pub(super) fn new(known: &Known, listed: &[(FileName, u64)], options: &StoreOptions) -> Self {
        let files = listed.iter().filter_map(|&(name, len)| match name {
            FileName::Log(base) => Some(Extent { base, len }),
            FileName::Segment { .. } | FileName::Checkpoint(_) => None,
        });
        let files: Vec<Extent> = files.collect();
        let origin = Origin {
            from: known.needs,
            keep: known.needs,
            epochs: known.epochs.clone(),
            file_len_max: options.log_file_len,
            step: options.checkpoint_step,
            has_others: files.len() < listed.len(),
        };
        Self {
            recovery: Recovery::new(&files, origin, options.recovery_read_len),
            files,
        }
    }

    pub(super) fn begin(&mut self, report: &mut CheckReport) -> Option<Want> {
        let next = self.recovery.begin();
        self.drive(next, report)
    }

    pub(super) fn handle(
        &mut self,
        bytes: &bytes::Bytes,
        vault: &mut Vault,
        report: &mut CheckReport,
    ) -> Option<Want> {
        let next = self.recovery.handle(bytes, vault);
        self.drive(next, report)
    }

    fn drive(&mut self, next: Next, report: &mut CheckReport) -> Option<Want> {
        let runs = self.recovery.runs.drain(..);
        let entries = runs.map(|run| run.entries_from(protocol::id::LogPos(0)));
        report.entries += entries.sum::<u64>();
        match next {
            Next::Read { file, offset, len } => Some(Want { file, offset, len }),
            Next::Finished => None,
        }
    }

    /// Says what is missing, in the log and of what it says.
    pub(super) fn finish(self, known: &Known, report: &mut CheckReport) {
        let Self { recovery, files } = self;
        report.lost = recovery.lost();
        report.cut = recovery.cut;
        let damaged = !recovery.damage.is_empty();
        for &Damage { file, from, to } in &recovery.damage {
            let covering = files.iter().any(|f| f.base <= from && from < f.end());
            let flaw = if covering {
                Flaw::Rotten
            } else {
                Flaw::Missing
            };
            report.add(file, (from, to), flaw);
        }
        if let Some((_, applied)) = known.newest
            && recovery.tail < applied
        {
            // The state that was written holds entries from there: they had been durable.
            let covering = files
                .iter()
                .filter(|f| f.base <= recovery.tail.0)
                .max_by_key(|f| f.base);
            let base = covering.map_or(recovery.tail.0, |f| f.base);
            report.add(
                FileName::Log(base),
                (recovery.tail.0, applied.0),
                Flaw::Rotten,
            );
        }
        // A checkpoint without an end was never finished, unless the log says so, or the log before
        // it is gone.
        let finished = recovery.checkpointed();
        let trimmed = damaged && known.newest.is_none();
        if let Some(finished) = finished
            && known.newest.is_none_or(|(newest, _)| newest < finished)
            && !known.broken.iter().any(|&(number, _)| number == finished)
        {
            let file = FileName::Checkpoint(finished);
            report.add(file, (0, 1), Flaw::Missing);
        }
        for &(number, len) in &known.broken {
            if trimmed || finished.is_some_and(|finished| number <= finished) {
                report.add(FileName::Checkpoint(number), (0, len.max(1)), Flaw::Rotten);
            }
        }
    }
}

//! Making durable what the log does not prove to be: an earlier life may have been told by a failing
//! sync that it is not, while the page cache still shows it.

use alloc::vec::Vec;

use super::super::{Phase, Store};
use super::{Confirm, ReadAt, Step};
use crate::log::files::Extent;
use crate::op::{DiskAnswer, DiskError, DiskOp, FileName};

impl Store {
    /// Makes the checkpoint that was loaded durable: the log does not say that it was finished, and
    /// what comes next is built on it.
    pub(super) fn confirm(&mut self, offset: u64, ops: &mut Vec<DiskOp>) {
        let Phase::Opening(opening) = &mut self.phase else {
            return;
        };
        let number = opening.report.checkpoint.unwrap_or_default();
        let file = FileName::Checkpoint(number);
        let len = self.bulk.files.get(&number).copied().unwrap_or(0);
        if offset >= len {
            let op = self.ids.take();
            let step = Step::Confirming(Confirm::Syncing);
            opening.ask(DiskOp::Sync { op, file }, step, ops);
            return;
        }
        let piece = (len - offset).min(u64::from(self.options.recovery_read_len));
        let len = u32::try_from(piece).unwrap_or(u32::MAX);
        let step = Step::Confirming(Confirm::Reading { offset });
        opening.ask_read(ReadAt { file, offset, len }, step, &mut self.ids, ops);
    }

    pub(super) fn on_confirmed(
        &mut self,
        step: Confirm,
        answer: DiskAnswer,
        ops: &mut Vec<DiskOp>,
    ) {
        let Phase::Opening(opening) = &mut self.phase else {
            return;
        };
        match (step, answer) {
            (Confirm::Reading { offset }, DiskAnswer::Read(data)) if !data.is_empty() => {
                let number = opening.report.checkpoint.unwrap_or_default();
                let (op, file) = (self.ids.take(), FileName::Checkpoint(number));
                let next = offset + data.len() as u64;
                let write = DiskOp::Write {
                    op,
                    file,
                    offset,
                    data,
                };
                opening.ask(write, Step::Confirming(Confirm::Writing { next }), ops);
            }
            (Confirm::Reading { .. }, _) => self.close(DiskError::Io(0)),
            (Confirm::Writing { next }, _) => self.confirm(next, ops),
            (Confirm::Syncing, _) => self.rewrite_unproven(ops),
        }
    }

    /// Reads the part of the last batch that was replayed without proof that it is durable.
    pub(super) fn rewrite_unproven(&mut self, ops: &mut Vec<DiskOp>) {
        let Phase::Opening(opening) = &mut self.phase else {
            return;
        };
        let tail = opening.recovery.valid_to.0;
        let last = |file: &&Extent| file.base < tail && tail <= file.end();
        let files = opening.log_files();
        let Some(file) = files.iter().find(last).copied() else {
            self.begin_log(ops);
            return;
        };
        // Batches do not span files, and a file is begun when the one before it is durable.
        let from = opening.recovery.proven().0.max(file.base);
        if from >= tail {
            self.begin_log(ops);
            return;
        }
        let (base, offset) = (file.base, from - file.base);
        let read = ReadAt {
            file: FileName::Log(base),
            offset,
            len: u32::try_from(tail - from).unwrap_or(u32::MAX),
        };
        opening.ask_read(read, Step::Rereading { base, offset }, &mut self.ids, ops);
    }
}

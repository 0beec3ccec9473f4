//! One thread of the disk: runs operations in order, answers in bundles.

use std::sync::mpsc::Receiver;

use storage::{DiskDone, DiskOp};
use tokio::sync::mpsc::UnboundedSender;

use super::directory::Directory;

/// Runs operations until the queue is closed and empty. Answers are held back while more is to do, up
/// to the next sync: waking the shard for a write alone would gain nothing.
pub(super) fn drive_lane(
    directory: &Directory,
    ops: &Receiver<Vec<DiskOp>>,
    done: &UnboundedSender<Vec<DiskDone>>,
) {
    while let Ok(batch) = ops.recv() {
        let mut answers = Vec::with_capacity(batch.len());
        for op in batch {
            let result = directory.run(&op);
            let give = matches!(op, DiskOp::Sync { .. } | DiskOp::Read { .. });
            answers.push(DiskDone {
                op: op.id(),
                result,
            });
            if give && done.send(core::mem::take(&mut answers)).is_err() {
                return;
            }
        }
        if !answers.is_empty() && done.send(answers).is_err() {
            return;
        }
    }
}

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
        let mut rest = batch.as_slice();
        while let Some(first) = rest.first() {
            let (now, later) = rest.split_at(count_joined(rest));
            let result = match now {
                [op] => directory.run(op),
                row => directory.write_row(row),
            };
            answers.extend(now.iter().map(|op| DiskDone {
                op: op.id(),
                result: result.clone(),
            }));
            let give = matches!(first, DiskOp::Sync { .. } | DiskOp::Read { .. });
            if give && done.send(core::mem::take(&mut answers)).is_err() {
                return;
            }
            rest = later;
        }
        if !answers.is_empty() && done.send(answers).is_err() {
            return;
        }
    }
}

/// Returns how many operations at the beginning are to run as one: writes that go on where the one before
/// ends, as those of a batch of the log do, and otherwise one.
fn count_joined(ops: &[DiskOp]) -> usize {
    let mut end = None;
    let joined = ops.iter().take_while(|op| {
        let DiskOp::Write {
            file, offset, data, ..
        } = op
        else {
            return false;
        };
        let joins = end.is_none_or(|end| end == (*file, *offset));
        end = Some((*file, offset + data.len() as u64));
        joins
    });
    joined.count().max(1)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use storage::{FileName, OpId};

    use super::*;

    const FILE: FileName = FileName::Log(0);

    fn write(file: FileName, offset: u64, len: usize) -> DiskOp {
        DiskOp::Write {
            op: OpId(1),
            file,
            offset,
            data: Bytes::from(vec![7; len]),
        }
    }

    #[test]
    fn only_writes_that_go_on_where_the_one_before_ends_run_as_one() {
        let sync = DiskOp::Sync {
            op: OpId(2),
            file: FILE,
        };
        let of_other = write(FileName::Log(64), 15, 1);
        for (ops, joined) in [
            (vec![sync.clone(), write(FILE, 0, 1)], 1),
            (vec![write(FILE, 5, 10), write(FILE, 15, 1), sync], 2),
            (vec![write(FILE, 5, 10), write(FILE, 16, 1)], 1),
            (vec![write(FILE, 5, 10), write(FILE, 5, 10)], 1),
            (vec![write(FILE, 5, 10), of_other], 1),
        ] {
            assert_eq!(count_joined(&ops), joined, "{ops:?}");
        }
    }
}

//! Writing a checkpoint, one operation at a time.

use alloc::vec::Vec;

use bytes::{BufMut, Bytes, BytesMut};

use super::Head;
use crate::ids::OpIds;
use crate::op::{DiskError, DiskOp, FileName, OpId};
use crate::record::{self, HEAD, Kind, Site, padded};

/// How much of the state goes into one record and one write.
const PART_LEN: usize = 1 << 20;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Creating,
    Writing,
    Syncing,
}

/// A checkpoint being written.
#[derive(Debug)]
pub(crate) struct Writer {
    pub(crate) number: u64,
    pub(crate) head: Head,
    state: Bytes,
    offset: u64,
    begun: bool,
    ended: bool,
    doing: (OpId, Step),
}

/// What an answer leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Going,
    Done,
    /// Given up; the file is not a checkpoint.
    Full(DiskError),
    Failed(DiskError),
}

impl Writer {
    pub(crate) fn begin(
        number: u64,
        head: Head,
        state: Bytes,
        ids: &mut OpIds,
        ops: &mut Vec<DiskOp>,
    ) -> Self {
        let op = ids.take();
        let file = FileName::Checkpoint(number);
        ops.push(DiskOp::Create { op, file, len: 0 });
        Self {
            number,
            head,
            state,
            offset: 0,
            begun: false,
            ended: false,
            doing: (op, Step::Creating),
        }
    }

    /// Returns the length of the state.
    pub(crate) fn state_len(&self) -> u64 {
        self.state.len() as u64
    }

    /// Takes the answer to the operation under way; `None` if it is to another.
    pub(crate) fn on_done(
        &mut self,
        op: OpId,
        result: Result<(), DiskError>,
        ids: &mut OpIds,
        ops: &mut Vec<DiskOp>,
    ) -> Option<Outcome> {
        let (doing, step) = self.doing;
        if doing != op {
            return None;
        }
        Some(match (step, result) {
            (Step::Syncing, Ok(())) => Outcome::Done,
            (Step::Creating | Step::Writing, Ok(())) => {
                self.write(ids, ops);
                Outcome::Going
            }
            (Step::Creating, Err(error))
            | (Step::Writing, Err(error @ (DiskError::NoSpace | DiskError::TooManyFiles))) => {
                Outcome::Full(error)
            }
            (Step::Writing | Step::Syncing, Err(error)) => Outcome::Failed(error),
        })
    }

    fn write(&mut self, ids: &mut OpIds, ops: &mut Vec<DiskOp>) {
        let (op, file) = (ids.take(), FileName::Checkpoint(self.number));
        if self.ended {
            self.doing = (op, Step::Syncing);
            ops.push(DiskOp::Sync { op, file });
            return;
        }
        let mut out = BytesMut::with_capacity(PART_LEN + 4096);
        if !self.begun {
            self.begun = true;
            let (head, len) = (self.head.clone(), self.state.len());
            self.put(&mut out, Kind::Part, |out| {
                let state_len = len as u64;
                Head { state_len, ..head }.encode(out);
            });
        }
        let part = self.state.split_to(self.state.len().min(PART_LEN));
        if !part.is_empty() {
            self.put(&mut out, Kind::Part, |out| out.put_slice(&part));
        }
        if self.state.is_empty() {
            self.ended = true;
            self.put(&mut out, Kind::End, |_| {});
        }
        self.doing = (op, Step::Writing);
        let (data, offset) = (out.freeze(), self.offset);
        self.offset += data.len() as u64;
        ops.push(DiskOp::Write {
            op,
            file,
            offset,
            data,
        });
    }

    fn put(&self, out: &mut BytesMut, kind: Kind, encode: impl FnOnce(&mut BytesMut)) {
        let at = out.len();
        out.put_bytes(0, HEAD);
        encode(out);
        let len = out.len() - at - HEAD;
        out.put_bytes(0, padded(len) - HEAD - len);
        let site = Site::checkpoint(self.number, self.offset + at as u64);
        let record = out.get_mut(at..).unwrap_or_default();
        let len = u32::try_from(len).expect("heads and parts are far shorter");
        record::seal(record, len, site, kind);
    }
}

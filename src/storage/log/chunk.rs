//! Rows of records: while they are collected, and once they are whole.

use bytes::{BufMut, Bytes, BytesMut};
use protocol::id::LogPos;

use super::files::Extent;
use crate::record::{self, EpochNo, Form, HEAD, Kind, Peek, Site, padded};

/// Verified or just built records, one behind the other.
#[derive(Clone, Debug)]
pub(crate) struct Chunk {
    pub(crate) start: LogPos,
    pub(crate) bytes: Bytes,
}

impl Chunk {
    /// Counts the entries at `from` and above.
    pub(crate) fn entries_from(&self, from: LogPos) -> u64 {
        let skip = from.0.saturating_sub(self.start.0);
        let skip = usize::try_from(skip).unwrap_or(usize::MAX);
        count_entries(self.bytes.get(skip..).unwrap_or_default())
    }
}

/// Records that wait to be written.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) file: Extent,
    pub(super) start: u64,
    pub(super) bytes: BytesMut,
}

impl Waiting {
    pub(super) fn tail(&self) -> u64 {
        self.start + self.bytes.len() as u64
    }

    pub(super) fn seal_in(
        &mut self,
        epoch: EpochNo,
        kind: Kind,
        encode: impl FnOnce(&mut BytesMut),
    ) -> u64 {
        let (at, len) = put_record(&mut self.bytes, Form::Clear, encode);
        let pos = self.start + at as u64;
        let record = self.bytes.get_mut(at..).unwrap_or_default();
        record::seal(record, len, Site::log(pos, epoch), kind);
        pos
    }
}

/// Appends a record without its head, with room for a seal if it is to have one; returns where it begins
/// and the length of its body.
#[inline]
pub(super) fn put_record(
    out: &mut BytesMut,
    form: Form,
    encode: impl FnOnce(&mut BytesMut),
) -> (usize, u32) {
    let at = out.len();
    out.put_bytes(0, HEAD);
    encode(out);
    let len = out.len() - at - HEAD + form.room();
    out.put_bytes(0, form.room() + padded(len) - HEAD - len);
    (
        at,
        u32::try_from(len).expect("callers keep entries below half a log file"),
    )
}

pub(super) fn freeze(waiting: Waiting) -> Chunk {
    Chunk {
        start: LogPos(waiting.start),
        bytes: waiting.bytes.freeze(),
    }
}

/// Counts the entries in a row of records.
pub(super) fn count_entries(mut bytes: &[u8]) -> u64 {
    let mut count = 0;
    while let Some(Peek { kind, total, .. }) = record::peek(bytes) {
        count += u64::from(kind == Kind::Entry);
        bytes = bytes.get(total..).unwrap_or_default();
    }
    count
}

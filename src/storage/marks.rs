//! The records the log writes for itself: where a batch, a file and an epoch begin and end.

use bytes::{Buf, BufMut};
use protocol::id::LogPos;

use crate::record::{EpochNo, padded};

/// The end of a batch: what was written with one sync.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Commit {
    /// Everything below was durable when this was written: what is missing there is rot.
    pub(crate) synced: LogPos,
    /// How many entries the log held up to here since its beginning: tells how many are missing.
    pub(crate) entries: u64,
}

/// The end of a file, written once the next file is there; it is a [`Commit`] as well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct End {
    pub(crate) commit: Commit,
    /// The first position behind the next file: where to go on if that file is lost.
    pub(crate) next_end: LogPos,
}

/// The first record of a process's life; everything below it was durable when it was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Epoch {
    pub(crate) epoch: EpochNo,
    pub(crate) entries: u64,
}

/// The first record of a log file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FileHead {
    /// The file's length: a shorter file has been cut off.
    pub(crate) len: u64,
    /// Entries in the log before this file.
    pub(crate) entries: u64,
}

impl Commit {
    pub(crate) const LEN: usize = 16;
    /// The room that a commit mark takes in the log.
    pub(crate) const TOTAL: u64 = padded(Self::LEN) as u64;

    pub(crate) fn encode(self, out: &mut impl BufMut) {
        out.put_u64_le(self.synced.0);
        out.put_u64_le(self.entries);
    }

    pub(crate) fn decode(mut body: &[u8]) -> Option<Self> {
        Some(Self {
            synced: LogPos(body.try_get_u64_le().ok()?),
            entries: body.try_get_u64_le().ok()?,
        })
    }
}

impl End {
    const LEN: usize = 24;
    /// The room that an end mark takes in the log.
    pub(crate) const TOTAL: u64 = padded(Self::LEN) as u64;

    pub(crate) fn encode(self, out: &mut impl BufMut) {
        self.commit.encode(out);
        out.put_u64_le(self.next_end.0);
    }

    pub(crate) fn decode(body: &[u8]) -> Option<Self> {
        Some(Self {
            commit: Commit::decode(body)?,
            next_end: LogPos(body.get(Commit::LEN..)?.try_get_u64_le().ok()?),
        })
    }
}

impl Epoch {
    pub(crate) fn encode(self, out: &mut impl BufMut) {
        out.put_u64_le(self.entries);
        out.put_u32_le(self.epoch.0);
        out.put_u32_le(0);
    }

    pub(crate) fn decode(mut body: &[u8]) -> Option<Self> {
        let entries = body.try_get_u64_le().ok()?;
        let epoch = EpochNo(body.try_get_u32_le().ok()?);
        Some(Self { epoch, entries })
    }
}

impl FileHead {
    const LEN: usize = 16;
    /// The room that the head takes; the file's first batch begins behind it.
    pub(crate) const TOTAL: u64 = padded(Self::LEN) as u64;

    pub(crate) fn encode(self, out: &mut impl BufMut) {
        out.put_u64_le(self.len);
        out.put_u64_le(self.entries);
    }

    pub(crate) fn decode(mut body: &[u8]) -> Option<Self> {
        Some(Self {
            len: body.try_get_u64_le().ok()?,
            entries: body.try_get_u64_le().ok()?,
        })
    }
}

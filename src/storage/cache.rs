//! The newest entries of the log, in memory: the buffers they were written from, never sealed.

use alloc::collections::VecDeque;

use bytes::Bytes;
use protocol::id::LogPos;

use crate::log::Chunk;
use crate::record::{self, HEAD, Kind, Peek};

/// A ring of synced chunks in log order, limited in bytes.
#[derive(Debug)]
pub(crate) struct TailCache {
    chunks: VecDeque<Chunk>,
    bytes: usize,
    bytes_max: usize,
}

impl TailCache {
    pub(crate) fn new(bytes_max: usize) -> Self {
        Self {
            chunks: VecDeque::new(),
            bytes: 0,
            bytes_max,
        }
    }

    /// Adds a chunk that lies behind all others. Its bytes are not verified again.
    pub(crate) fn push(&mut self, chunk: Chunk) {
        debug_assert!(
            self.chunks
                .back()
                .is_none_or(|last| last.start.0 + last.bytes.len() as u64 <= chunk.start.0),
            "chunks come in log order"
        );
        self.bytes += chunk.bytes.len();
        self.chunks.push_back(chunk);
    }

    /// Takes out the oldest chunk if the limit is exceeded.
    pub(crate) fn evict(&mut self) -> Option<Bytes> {
        if self.bytes <= self.bytes_max {
            return None;
        }
        let chunk = self.chunks.pop_front()?;
        self.bytes -= chunk.bytes.len();
        Some(chunk.bytes)
    }

    /// Returns the whole record at `pos`, verified when it was written.
    pub(crate) fn record(&self, pos: LogPos) -> Option<Bytes> {
        let after = self.chunks.partition_point(|chunk| chunk.start <= pos);
        let chunk = self.chunks.get(after.checked_sub(1)?)?;
        let at = usize::try_from(pos.0 - chunk.start.0).ok()?;
        let Peek { kind, total, .. } = record::peek(chunk.bytes.get(at..)?)?;
        (kind == Kind::Entry).then(|| chunk.bytes.slice(at..at + total))
    }

    /// Returns the entry at `pos`.
    pub(crate) fn entry(&self, pos: LogPos) -> Option<Bytes> {
        let record = self.record(pos)?;
        let len = record::peek(&record)?.len;
        Some(record.slice(HEAD..HEAD + len))
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }
}

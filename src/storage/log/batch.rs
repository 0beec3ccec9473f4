//! Batches: what waits is written with one sync, and is durable with its answer.
//!
//! Each batch ends in a mark that says up to where everything was durable before it. The one that no
//! other follows at once is proved by a mark of its own.

use alloc::vec::Vec;

use bytes::BytesMut;
use protocol::id::LogPos;

use super::Log;
use super::chunk::{Chunk, Waiting, count_entries, freeze};
use super::files::Extent;
use crate::ids::OpIds;
use crate::marks::{Commit, End};
use crate::op::{DiskError, DiskOp, FileName, OpId};
use crate::record::Kind;
use crate::vault::Vault;

/// What has been handed to the disk and is not durable yet.
#[derive(Debug)]
pub(super) struct Batch {
    /// The batch's operations have the ids from here on; the last is the sync.
    first: OpId,
    sync: OpId,
    /// How many of them are unanswered.
    open: u64,
    chunks: Vec<Chunk>,
    end: u64,
    entries: u64,
    /// Whether it is nothing but the mark of an idle log.
    is_mark: bool,
}

impl Log {
    /// Writes what has arrived, with one sync, unless a sync is under way.
    pub(crate) fn write_batch(
        &mut self,
        vault: &mut Vault,
        ids: &mut OpIds,
        ops: &mut Vec<DiskOp>,
    ) {
        self.files.drive(self.building.file, ids, ops);
        if self.in_flight.is_some() {
            return;
        }
        let file = self.ready.front().map_or(self.building.file, |w| w.file);
        if !self.files.is_ready(file) {
            return;
        }
        let batch = if file == self.building.file {
            if self.ready.is_empty() && self.building.bytes.is_empty() {
                return;
            }
            self.take_current()
        } else {
            self.take_left(file)
        };
        if let Some((chunks, end)) = batch {
            self.write(file, (chunks, end), vault, ids, ops);
        }
    }

    /// Takes everything that waits; all of it lies in the file being collected for.
    fn take_current(&mut self) -> Option<(Vec<Chunk>, u64)> {
        self.is_urgent = false;
        self.put_commit();
        let mut chunks: Vec<Chunk> = self.ready.drain(..).map(freeze).collect();
        chunks.push(self.split_building());
        self.roll(0);
        Some((chunks, self.building.start))
    }

    /// Takes the rest of `file`, which collecting has left behind.
    fn take_left(&mut self, file: Extent) -> Option<(Vec<Chunk>, u64)> {
        let count = self.ready.iter().take_while(|w| w.file == file).count();
        let next = self.ready.get(count).map_or(self.building.file, |w| w.file);
        let commit = self.commit_mark_for(count);
        let epoch = self.epoch;
        let last = self.ready.get_mut(count.checked_sub(1)?)?;
        let mut rest = None;
        if self.files.is_ready(next) {
            let end = End {
                commit,
                next_end: LogPos(next.end()),
            };
            last.seal_in(epoch, Kind::End, |out| end.encode(out));
        } else if count == 1 && last.bytes.is_empty() {
            // Only the end mark is due, and it promises that the next file exists.
            return None;
        } else {
            last.seal_in(epoch, Kind::Commit, |out| commit.encode(out));
            rest = Some(Waiting {
                file,
                start: last.tail(),
                bytes: BytesMut::new(),
            });
        }
        let end = last.tail();
        let chunks = self.ready.drain(..count).map(freeze).collect();
        if let Some(rest) = rest {
            self.ready.push_front(rest);
        }
        Some((chunks, end))
    }

    /// Returns the mark for a batch of the first `count` waiting buffers.
    fn commit_mark_for(&self, count: usize) -> Commit {
        let waiting = self.ready.iter().take(count);
        let entries: u64 = waiting.map(|w| count_entries(&w.bytes)).sum();
        Commit {
            synced: LogPos(self.synced),
            entries: self.entries_synced + entries,
        }
    }

    fn put_commit(&mut self) {
        let commit = Commit {
            synced: LogPos(self.synced),
            entries: self.entries,
        };
        self.building
            .seal_in(self.epoch, Kind::Commit, |out| commit.encode(out));
    }

    fn split_building(&mut self) -> Chunk {
        let start = LogPos(self.building.start);
        self.building.start = self.building.tail();
        Chunk {
            start,
            bytes: self.building.bytes.split().freeze(),
        }
    }

    fn write(
        &mut self,
        file: Extent,
        (chunks, end): (Vec<Chunk>, u64),
        vault: &mut Vault,
        ids: &mut OpIds,
        ops: &mut Vec<DiskOp>,
    ) {
        let name = FileName::Log(file.base);
        let mut first = None;
        let mut entries = self.entries_synced;
        for chunk in &chunks {
            if chunk.bytes.is_empty() {
                continue;
            }
            let op = ids.take();
            first.get_or_insert(op);
            ops.push(DiskOp::Write {
                op,
                file: name,
                offset: chunk.start.0 - file.base,
                data: vault.seal_rows(&chunk.bytes, chunk.start, self.epoch),
            });
        }
        // What the file being collected for holds, all entries hold; a file left behind is counted.
        if file == self.building.file {
            entries = self.entries;
        } else {
            entries += chunks.iter().map(|c| count_entries(&c.bytes)).sum::<u64>();
        }
        let sync = ids.take();
        ops.push(DiskOp::Sync {
            op: sync,
            file: name,
        });
        let first = first.unwrap_or(sync);
        self.in_flight = Some(Batch {
            first,
            sync,
            open: sync.0 - first.0 + 1,
            chunks,
            end,
            entries,
            is_mark: false,
        });
    }

    /// Marks the last batch as durable when no other follows at once: should it rot, it is not taken
    /// for a batch that was never acknowledged.
    pub(super) fn write_idle_mark(&mut self, ids: &mut OpIds, ops: &mut Vec<DiskOp>) {
        if self.marked >= self.synced {
            return;
        }
        self.put_commit();
        self.marked = self.synced;
        self.mark_synced = false;
        let chunk = self.split_building();
        self.roll(0);
        let op = ids.take();
        self.mark = Some(op);
        ops.push(DiskOp::Write {
            op,
            file: FileName::Log(self.building.file.base),
            offset: chunk.start.0 - self.building.file.base,
            data: chunk.bytes,
        });
    }

    /// Makes the idle mark durable, and another one: should one of the two land in a wrong place, and be it on
    /// the batch that it proves, there is still the other. For when nothing has been appended for a while.
    pub(crate) fn settle(&mut self, vault: &mut Vault, ids: &mut OpIds, ops: &mut Vec<DiskOp>) {
        // What waits takes the mark along, when the file that it is for has been made.
        let waits = !self.ready.is_empty() || !self.building.bytes.is_empty();
        if self.in_flight.is_some() || self.mark_synced || waits {
            return;
        }
        self.put_commit();
        let mark = Vec::from([self.split_building()]);
        self.roll(0);
        let end = self.building.start;
        self.write(self.building.file, (mark, end), vault, ids, ops);
        if let Some(batch) = &mut self.in_flight {
            batch.is_mark = true;
        }
    }

    /// Takes the answer to one of the log's operations; `None` if it is none of them. The chunks of
    /// a batch come back with the answer that completes it.
    pub(crate) fn on_done(
        &mut self,
        op: OpId,
        result: Result<(), DiskError>,
    ) -> Option<Result<Vec<Chunk>, DiskError>> {
        if self.mark == Some(op) {
            self.mark = None;
            return Some(result.map(|()| Vec::new()));
        }
        let batch = self.in_flight.as_mut()?;
        if op < batch.first || op > batch.sync {
            return None;
        }
        if let Err(error) = result {
            return Some(Err(error));
        }
        batch.open -= 1;
        if batch.open > 0 {
            return Some(Ok(Vec::new()));
        }
        let batch = self.in_flight.take()?;
        self.mark_synced = true;
        self.synced = batch.end;
        if batch.is_mark {
            // Only a mark became durable. It needs none of its own: an idle store would never rest.
            self.marked = batch.end;
        }
        self.entries_synced = batch.entries;
        self.syncs += 1;
        Some(Ok(batch.chunks))
    }
}

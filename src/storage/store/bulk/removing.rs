//! Giving up what nothing needs any more: segments, checkpoints and the log's beginning; and, at a
//! start, finding out what earlier lives have left behind.

use alloc::collections::BTreeMap;

use protocol::id::{LogPos, StreamId};

use super::super::Store;
use crate::checkpoint::Head;
use crate::op::{DiskOp, FileName};
use crate::places::epoch_at;
use crate::report::{Damage, RecoveryReport};
use crate::segments::file_of;

impl Store {
    /// Gives up a segment that holds no live entry any more. It is removed once two checkpoints that
    /// do not refer to it are durable. Call it when the entry that emptied it is applied, and after a
    /// rewrite's [`StoreEvent::Flushed`](crate::StoreEvent::Flushed).
    pub fn remove_segment(&mut self, stream: StreamId, number: u32) {
        let at = self.tail();
        self.bulk.segments.doom((stream, number), at);
    }

    /// Gives up all segments of a stream, and its flushes; for when its deletion or purge is applied.
    /// They are removed once two checkpoints that hold the deletion are durable.
    pub fn remove_stream(&mut self, stream: StreamId) {
        let at = self.tail();
        self.bulk.queue.retain(|order| order.stream != stream);
        if self
            .bulk
            .flush
            .as_ref()
            .is_some_and(|flush| flush.stream == stream)
        {
            self.bulk.flush = None;
        }
        self.bulk.segments.doom_stream(stream, at);
        self.begin_flush();
    }

    pub(super) fn remove_checkpoint(&mut self, number: u64) {
        self.bulk.files.remove(&number);
        let op = self.ids.take();
        self.bulk.removing.push(op);
        let file = FileName::Checkpoint(number);
        self.wanted.push(DiskOp::Remove { op, file });
    }

    /// Gives up the log below `below`.
    pub(super) fn trim(&mut self, below: LogPos) {
        let (reads, flush) = (&mut self.reads, &self.bulk.flush);
        if let Some(log) = &mut self.log {
            let busy = |file| reads.uses(file) || flush.as_ref().is_some_and(|f| f.uses(file));
            let freed = log.files.trim(below.0, busy);
            for base in freed {
                reads.forget(FileName::Log(base));
            }
        }
        let covering = epoch_at(&self.epochs, below);
        self.epochs
            .retain(|&(pos, epoch)| pos > below || epoch == covering);
    }

    /// Removes the segments that no checkpoint from `applied` on refers to.
    pub(in crate::store) fn sweep(&mut self, applied: LogPos) {
        let (reads, flush) = (&mut self.reads, &self.bulk.flush);
        let busy = |file| reads.uses(file) || flush.as_ref().is_some_and(|f| f.uses(file));
        let segments = &mut self.bulk.segments;
        let swept = segments.sweep(applied, busy, &mut self.ids, &mut self.wanted);
        for file in swept {
            reads.forget(file);
        }
    }

    /// Takes over the segments that the checkpoint refers to, in the length that it knows: what a flush
    /// of an earlier life left behind that may not be durable. Segments that are missing or too short
    /// are reported; those that nothing refers to go, unless anything is damaged: then they may be the
    /// last copy of something.
    pub(in crate::store) fn take_segments(
        &mut self,
        listed: &[(FileName, u64)],
        head: Option<&Head>,
        report: &mut RecoveryReport,
    ) {
        let mut files = BTreeMap::new();
        for &(name, len) in listed {
            if let FileName::Segment { stream, number } = name {
                files.insert((stream, number), len);
            }
        }
        let segments = &mut self.bulk.segments;
        for &(key, len) in head.iter().flat_map(|head| &head.segments) {
            let found = files.remove(&key);
            let from = found.unwrap_or(0);
            // One that is gone stays in the table: were its number used again, what is left of it in the
            // state would mean other messages.
            segments.insert(key, len.min(from));
            if from < len {
                let file = file_of(key);
                report.damage.push(Damage {
                    file,
                    from,
                    to: len,
                });
            }
        }
        for key in head.iter().flat_map(|head| &head.doomed) {
            if files.remove(key).is_some() {
                segments.insert_doomed(*key, LogPos(0));
            }
        }
        for key in files.into_keys() {
            if report.damage.is_empty() {
                segments.insert_doomed(key, report.tail);
            } else {
                segments.insert_orphan(key);
                report.orphans += 1;
            }
        }
    }
}

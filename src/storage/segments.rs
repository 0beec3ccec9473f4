//! Which segments exist, how long they are, and which are given up.
//!
//! *Invariant:* a segment is removed only when a durable checkpoint covers the entry that made it
//! needless: until then a restart may need it.

use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::vec::Vec;

use protocol::id::{LogPos, StreamId};

use crate::ids::OpIds;
use crate::op::{DiskOp, FileName, OpId};

/// Names a segment.
pub(crate) type SegmentKey = (StreamId, u32);

/// The table of segments.
#[derive(Debug, Default)]
pub(crate) struct Segments {
    /// Lengths that are durable and referred to.
    table: BTreeMap<SegmentKey, u64>,
    /// Segments to be removed once a checkpoint from this position on is durable.
    doomed: VecDeque<(LogPos, SegmentKey)>,
    removing: Vec<OpId>,
    /// Files that nothing refers to and that stay all the same: their numbers are taken.
    orphans: BTreeSet<SegmentKey>,
    /// The segment that each stream's next flush continues; none after a restart, when the end of the
    /// last one may be torn.
    current: BTreeMap<StreamId, u32>,
}

pub(crate) fn file_of((stream, number): SegmentKey) -> FileName {
    FileName::Segment { stream, number }
}

impl Segments {
    /// Notes a segment of this length.
    pub(crate) fn insert(&mut self, key: SegmentKey, len: u64) {
        self.table.insert(key, len);
    }

    /// Notes a file that nothing refers to and that is kept.
    pub(crate) fn insert_orphan(&mut self, key: SegmentKey) {
        self.orphans.insert(key);
    }

    /// Notes a file that nothing refers to and that is to go once a checkpoint from `at` on is durable.
    pub(crate) fn insert_doomed(&mut self, key: SegmentKey, at: LogPos) {
        self.doomed.push_back((at, key));
    }

    pub(crate) fn len_of(&self, key: SegmentKey) -> Option<u64> {
        self.table.get(&key).copied()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (SegmentKey, u64)> + '_ {
        self.table.iter().map(|(&key, &len)| (key, len))
    }

    pub(crate) fn count(&self) -> usize {
        self.table.len()
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.table.values().sum()
    }

    pub(crate) fn doomed(&self) -> impl ExactSizeIterator<Item = SegmentKey> + '_ {
        self.doomed.iter().map(|&(_, key)| key)
    }

    /// Returns where the stream's next flush goes: the segment, and the offset in it.
    pub(crate) fn place_for(&mut self, stream: StreamId, len_max: u64) -> (u32, u64) {
        if let Some(&number) = self.current.get(&stream) {
            let len = self.len_of((stream, number)).unwrap_or(0);
            if len < len_max {
                return (number, len);
            }
        }
        let all = (stream, 0)..=(stream, u32::MAX);
        let last = self.table.range(all).next_back();
        let doomed = self.doomed.iter().filter(|(_, key)| key.0 == stream);
        let orphan = self
            .orphans
            .range((stream, 0)..=(stream, u32::MAX))
            .next_back();
        let numbers = last.map(|(key, _)| key.1).into_iter();
        let numbers = numbers.chain(orphan.map(|key| key.1));
        let last = numbers.chain(doomed.map(|(_, key)| key.1)).max();
        let number = last.map_or(0, |last| last + 1);
        self.current.insert(stream, number);
        (number, 0)
    }

    /// Notes that a segment is not needed by any state from log position `at` on.
    pub(crate) fn doom(&mut self, key: SegmentKey, at: LogPos) {
        let (stream, number) = key;
        if self.current.get(&stream) == Some(&number) {
            self.current.remove(&stream);
        }
        if self.table.remove(&key).is_some() {
            self.doomed.push_back((at, key));
        }
    }

    /// Notes that no segment of the stream is needed by any state from log position `at` on.
    pub(crate) fn doom_stream(&mut self, stream: StreamId, at: LogPos) {
        let all = (stream, 0)..=(stream, u32::MAX);
        let keys: Vec<SegmentKey> = self.table.range(all).map(|(&key, _)| key).collect();
        for key in keys {
            self.doom(key, at);
        }
    }

    /// Removes what a durable checkpoint of everything below `applied` makes needless; `busy` names
    /// files that are being read.
    pub(crate) fn sweep(
        &mut self,
        applied: LogPos,
        busy: impl Fn(FileName) -> bool,
        ids: &mut OpIds,
        ops: &mut Vec<DiskOp>,
    ) -> Vec<FileName> {
        let mut swept = Vec::new();
        let removing = &mut self.removing;
        self.doomed.retain(|&(at, key)| {
            let file = file_of(key);
            if at > applied || busy(file) {
                return true;
            }
            let op = ids.take();
            removing.push(op);
            ops.push(DiskOp::Remove { op, file });
            swept.push(file);
            false
        });
        swept
    }

    /// Takes the answer to a removal; false if it is none. One that failed is repeated after the next
    /// start only: the file costs space, nothing else.
    pub(crate) fn on_done(&mut self, op: OpId) -> bool {
        let at = self.removing.iter().position(|&removing| removing == op);
        at.map(|at| self.removing.swap_remove(at)).is_some()
    }
}

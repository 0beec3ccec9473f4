//! How long the disk takes: from when an operation is handed over until its answer is there.
//!
//! *Invariant:* an operation costs a map entry while it is under way, and batches are what is
//! handed over: nothing here is done for a message.

use std::collections::BTreeMap;

use monitor::stats::{DiskTimes, Histogram};
use protocol::time::Instant;
use storage::{DiskDone, DiskOp, OpId};

/// What is measured.
#[derive(Clone, Copy)]
enum Kind {
    Write,
    Sync,
    Read,
}

/// The stopwatches, and what they have shown.
#[derive(Default)]
pub(crate) struct DiskClock {
    running: BTreeMap<OpId, (Kind, Instant)>,
    times: DiskTimes,
}

impl DiskClock {
    /// Notes what is handed over.
    pub(crate) fn start(&mut self, ops: &[DiskOp], now: Instant) {
        for op in ops {
            let (id, kind) = match op {
                DiskOp::Write { op, .. } => (*op, Kind::Write),
                DiskOp::Sync { op, .. } => (*op, Kind::Sync),
                DiskOp::Read { op, .. } => (*op, Kind::Read),
                DiskOp::List { .. }
                | DiskOp::Create { .. }
                | DiskOp::Recycle { .. }
                | DiskOp::Remove { .. } => continue,
            };
            self.running.insert(id, (kind, now));
        }
    }

    /// Notes what has been answered, also with an error.
    pub(crate) fn stop(&mut self, done: &[DiskDone], now: Instant) {
        for done in done {
            let Some((kind, start)) = self.running.remove(&done.op) else {
                continue;
            };
            self.histogram(kind).note(now.since(start));
        }
    }

    /// Returns what has been seen so far.
    pub(crate) fn times(&self) -> DiskTimes {
        DiskTimes {
            waiting: self.running.len() as u64,
            ..self.times.clone()
        }
    }

    fn histogram(&mut self, kind: Kind) -> &mut Histogram {
        match kind {
            Kind::Write => &mut self.times.writes,
            Kind::Sync => &mut self.times.syncs,
            Kind::Read => &mut self.times.reads,
        }
    }
}

#[cfg(test)]
mod tests {
    use core::time::Duration;

    use storage::{DiskError, FileName};

    use super::*;

    #[test]
    fn each_kind_is_timed_by_itself_and_what_is_under_way_is_counted() {
        let mut clock = DiskClock::default();
        let start = Instant::default();
        let file = FileName::Log(1);
        let sync = DiskOp::Sync { op: OpId(2), file };
        let read = DiskOp::Read {
            op: OpId(3),
            file,
            offset: 0,
            len: 1,
        };
        clock.start(&[sync, read], start);
        assert_eq!(clock.times().waiting, 2);
        let done = DiskDone {
            op: OpId(2),
            result: Err(DiskError::NoSpace),
        };
        clock.stop(&[done], start + Duration::from_micros(150));
        let times = clock.times();
        assert_eq!(
            (times.waiting, times.syncs.count(), times.reads.count()),
            (1, 1, 0)
        );
        assert_eq!(times.syncs.sum(), Duration::from_micros(150));
        let within: Vec<u64> = times.syncs.cumulative().map(|(_, count)| count).collect();
        assert_eq!(within[..4], [0, 0, 1, 1]);
    }
}

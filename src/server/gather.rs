//! Who is likely to publish before the next sync begins. Publishers that wait for each answer send again
//! as soon as they have it: if the sync began with the first of them, the others would wait for the one
//! after, and half of the syncs would carry next to nothing.
//!
//! *Invariants:* a lone publisher never waits for anybody; a batch waits for at most [`LOOKS_MAX`] looks
//! at the network, and only for those who have just been answered.

use core::cell::Cell;

use protocol::time::Instant;
use storage::{DiskDone, DiskOp, FileName, OpId};

/// Looks at the network in a row that bring nothing before the rest is given up: together about as long as
/// a client on the same machine takes to send again, and a fraction of a sync.
const LOOKS_IDLE_MAX: u32 = 16;
/// Looks at the network for one batch.
const LOOKS_MAX: u32 = 256;
/// How long after their answers publishers are expected to send again.
const EXPECTED_NS: u64 = 1_000_000;
/// How long after its answer a publisher that waits for it sends again if its way here is so short that
/// hand-offs between threads count. One that sends at a rate of its own seldom keeps to that.
const PROMPT_NS: u64 = 200_000;

/// Counts the connections that publish, batch by batch.
#[derive(Debug, Default)]
pub(crate) struct Gathering {
    batch: Cell<u64>,
    /// Connections that have sent something for this batch.
    arrived: Cell<usize>,
    /// Whether the first of them did so promptly after the answers to the batch before, and nobody before.
    is_prompt: Cell<bool>,
    /// How many that will be when all who were answered last have sent again.
    expected: Cell<usize>,
    answered_at: Cell<Instant>,
    /// The last sync of the batch that is on its way to the disk.
    syncing: Cell<Option<OpId>>,
}

impl Gathering {
    /// Notes that a connection has sent something; `seen` is the batch that it did so for last.
    #[inline]
    pub(crate) fn arrive(&self, seen: &mut u64, now: Instant) {
        let batch = self.batch.get() + 1;
        if *seen != batch {
            *seen = batch;
            if self.arrived.replace(self.arrived.get() + 1) == 0 {
                let since = now.0.saturating_sub(self.answered_at.get().0);
                self.is_prompt
                    .set(self.syncing.get().is_none() && since < PROMPT_NS);
            }
        }
    }

    /// Notes what is handed to the disk. Where that is what has arrived, returns whether it is of one
    /// connection that waits for each answer.
    pub(crate) fn depart(&self, ops: &[DiskOp]) -> Option<bool> {
        let syncs = ops.iter().filter_map(|op| match op {
            DiskOp::Sync {
                op,
                file: FileName::Log(_),
            } => Some(*op),
            DiskOp::Sync { .. }
            | DiskOp::List { .. }
            | DiskOp::Create { .. }
            | DiskOp::Write { .. }
            | DiskOp::Read { .. }
            | DiskOp::Recycle { .. }
            | DiskOp::Remove { .. } => None,
        });
        let last = syncs.last()?;
        self.syncing.set(Some(last));
        self.batch.set(self.batch.get() + 1);
        self.expected.set(0);
        Some(self.arrived.take() == 1 && self.is_prompt.take())
    }

    /// Whether the disk's answers have what is on its way among them.
    pub(crate) fn is_answered(&self, done: &[DiskDone]) -> bool {
        let syncing = self.syncing.get();
        syncing.is_some_and(|sync| done.iter().any(|done| done.op == sync))
    }

    /// Notes that what was on its way to the disk is there, which has led to answers for connections that
    /// have sent something last for the batches `seen`.
    pub(crate) fn answered(&self, seen: impl Iterator<Item = u64>, now: Instant) {
        let batch = self.batch.get() + 1;
        // Who has not waited for the answer is here already.
        let missing = seen.filter(|&seen| seen != batch).count();
        self.expected.set(self.arrived.get() + missing);
        self.answered_at.set(now);
        self.syncing.set(None);
    }

    /// Begins to look for those who are missing, if that makes sense.
    pub(crate) fn patience(&self, now: Instant) -> Patience {
        let since = now.0.saturating_sub(self.answered_at.get().0);
        Patience {
            looks: if since < EXPECTED_NS { LOOKS_MAX } else { 0 },
            idle: 0,
            arrived: self.arrived.get(),
        }
    }

    /// Whether another look at the network is worth it.
    pub(crate) fn is_worth_waiting(&self, patience: &mut Patience) -> bool {
        let arrived = self.arrived.get();
        let is_useless = arrived >= self.expected.get() || self.syncing.get().is_some();
        if arrived == 0 || is_useless || patience.looks == 0 {
            return false;
        }
        patience.looks -= 1;
        if arrived != patience.arrived {
            (patience.arrived, patience.idle) = (arrived, 0);
        }
        patience.idle += 1;
        patience.idle <= LOOKS_IDLE_MAX
    }
}

/// How much longer a batch waits.
#[derive(Debug)]
pub(crate) struct Patience {
    looks: u32,
    idle: u32,
    arrived: usize,
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Instant = Instant(5_000_000);
    const LATER: Instant = Instant(NOW.0 + PROMPT_NS);

    /// A gathering whose batches are synced.
    #[derive(Default)]
    struct Log {
        gathering: Gathering,
        syncs: u64,
    }

    impl Log {
        fn arrive(&self, seen: &mut u64, now: Instant) {
            self.gathering.arrive(seen, now);
        }

        fn depart(&mut self) -> Option<bool> {
            self.syncs += 1;
            self.gathering.depart(&[sync(self.syncs, FileName::Log(0))])
        }

        fn answer(&self, seen: &[u64]) {
            assert!(self.gathering.is_answered(&[done(self.syncs)]));
            self.gathering.answered(seen.iter().copied(), NOW);
        }

        fn looks(&self, now: Instant) -> u32 {
            let mut patience = self.gathering.patience(now);
            let mut looks = 0;
            while self.gathering.is_worth_waiting(&mut patience) {
                looks += 1;
            }
            looks
        }
    }

    fn sync(op: u64, file: FileName) -> DiskOp {
        DiskOp::Sync { op: OpId(op), file }
    }

    fn done(op: u64) -> DiskDone {
        DiskDone {
            op: OpId(op),
            result: Ok(storage::DiskAnswer::Done),
        }
    }

    #[test]
    fn a_lone_publisher_waits_for_nobody() {
        let mut log = Log::default();
        let mut seen = 0;
        for _ in 0..3 {
            log.arrive(&mut seen, NOW);
            assert_eq!(log.looks(NOW), 0);
            log.depart();
            log.answer(&[seen]);
        }
    }

    #[test]
    fn a_batch_waits_for_those_who_were_answered_until_they_are_there() {
        let mut log = Log::default();
        let mut seen = [0; 3];
        log.depart();
        log.answer(&seen);
        assert_eq!(log.looks(NOW), 0, "there is nothing to sync");
        log.arrive(&mut seen[0], NOW);
        log.arrive(&mut seen[0], NOW);
        assert_eq!(log.looks(NOW), LOOKS_IDLE_MAX);
        log.arrive(&mut seen[1], NOW);
        log.arrive(&mut seen[2], NOW);
        assert_eq!(log.looks(NOW), 0);
    }

    #[test]
    fn who_arrived_during_the_sync_waits_for_those_whom_it_was_for() {
        let mut log = Log::default();
        let (mut a, mut b) = (0, 0);
        log.arrive(&mut a, NOW);
        log.depart();
        log.arrive(&mut b, NOW);
        assert_eq!(log.looks(NOW), 0, "the disk is busy");
        log.answer(&[a]);
        assert_eq!(log.looks(NOW), LOOKS_IDLE_MAX);
        log.arrive(&mut a, NOW);
        assert_eq!(log.looks(NOW), 0);
    }

    #[test]
    fn who_does_not_wait_for_answers_is_not_waited_for_when_it_has_sent_already() {
        let mut log = Log::default();
        let mut steady = 0;
        log.arrive(&mut steady, NOW);
        log.depart();
        log.arrive(&mut steady, NOW);
        log.answer(&[steady]);
        assert_eq!(log.looks(NOW), 0);
    }

    #[test]
    fn nobody_is_expected_for_long() {
        let mut log = Log::default();
        let mut seen = [0; 3];
        log.depart();
        log.answer(&seen);
        log.arrive(&mut seen[0], NOW);
        assert_eq!(log.looks(Instant(NOW.0 + EXPECTED_NS)), 0);
    }

    #[test]
    fn only_what_is_synced_departs() {
        let mut log = Log::default();
        let (mut a, mut b) = (0, 0);
        log.arrive(&mut a, NOW);
        let other = FileName::Checkpoint(1);
        assert_eq!(log.gathering.depart(&[sync(9, other)]), None);
        assert!(!log.gathering.is_answered(&[done(9)]));
        log.arrive(&mut b, NOW);
        assert_eq!(log.depart(), Some(false), "two have arrived");
        assert!(!log.gathering.is_answered(&[done(9)]));
    }

    #[test]
    fn a_batch_is_of_one_who_waits_if_it_comes_promptly_after_the_answer() {
        let mut log = Log::default();
        let (mut a, mut b) = (0, 0);
        log.depart();
        log.answer(&[]);
        log.arrive(&mut a, NOW);
        assert_eq!(log.depart(), Some(true));
        log.answer(&[a]);
        log.arrive(&mut a, LATER);
        assert_eq!(log.depart(), Some(false), "it has a rate of its own");
        log.arrive(&mut a, NOW);
        log.answer(&[a]);
        log.arrive(&mut a, NOW);
        assert_eq!(log.depart(), Some(false), "it has not waited");
        log.answer(&[a]);
        log.arrive(&mut a, NOW);
        log.arrive(&mut b, NOW);
        assert_eq!(log.depart(), Some(false), "there is another one");
    }
}

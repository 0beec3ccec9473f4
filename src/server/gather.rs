//! Who is likely to publish before the next sync begins. Publishers that wait for each answer send again
//! as soon as they have it: if the sync began with the first of them, the others would wait for the one
//! after, and half of the syncs would carry next to nothing.
//!
//! *Invariants:* a lone publisher never waits for anybody; a batch waits for at most [`LOOKS_MAX`] looks
//! at the network, and only for those who have just been answered.

use core::cell::Cell;

use protocol::time::Instant;

/// Looks at the network in a row that bring nothing before the rest is given up: together about as long as
/// a client on the same machine takes to send again, and a fraction of a sync.
const LOOKS_IDLE_MAX: u32 = 16;
/// Looks at the network for one batch.
const LOOKS_MAX: u32 = 256;
/// How long after their answers publishers are expected to send again.
const EXPECTED_NS: u64 = 1_000_000;

/// Counts the connections that publish, batch by batch.
#[derive(Debug, Default)]
pub(crate) struct Gathering {
    batch: Cell<u64>,
    /// Connections that have sent something for this batch.
    arrived: Cell<usize>,
    /// How many that will be when all who were answered last have sent again.
    expected: Cell<usize>,
    answered_at: Cell<Instant>,
}

impl Gathering {
    /// Notes that a connection has sent something; `seen` is the batch that it did so for last.
    #[inline]
    pub(crate) fn arrive(&self, seen: &mut u64) {
        let batch = self.batch.get() + 1;
        if *seen != batch {
            *seen = batch;
            self.arrived.set(self.arrived.get() + 1);
        }
    }

    /// Notes that the disk's answer has led to answers for so many connections.
    pub(crate) fn answered(&self, connections: usize, now: Instant) {
        self.expected.set(self.arrived.get() + connections);
        self.answered_at.set(now);
    }

    /// Notes that what has arrived is on its way to the disk. Returns whether it is one connection's.
    pub(crate) fn depart(&self) -> bool {
        let lone = self.arrived.get() == 1;
        self.batch.set(self.batch.get() + 1);
        self.arrived.set(0);
        self.expected.set(0);
        lone
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
        if arrived == 0 || arrived >= self.expected.get() || patience.looks == 0 {
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

    fn looks(gathering: &Gathering, now: Instant) -> u32 {
        let mut patience = gathering.patience(now);
        let mut looks = 0;
        while gathering.is_worth_waiting(&mut patience) {
            looks += 1;
        }
        looks
    }

    #[test]
    fn a_lone_publisher_waits_for_nobody() {
        let gathering = Gathering::default();
        let mut seen = 0;
        for _ in 0..3 {
            gathering.arrive(&mut seen);
            assert_eq!(looks(&gathering, NOW), 0);
            gathering.depart();
            gathering.answered(1, NOW);
        }
    }

    #[test]
    fn a_batch_waits_for_those_who_were_answered_until_they_are_there() {
        let gathering = Gathering::default();
        let mut seen = [0; 3];
        gathering.answered(3, NOW);
        assert_eq!(looks(&gathering, NOW), 0, "there is nothing to sync");
        gathering.arrive(&mut seen[0]);
        gathering.arrive(&mut seen[0]);
        assert_eq!(looks(&gathering, NOW), LOOKS_IDLE_MAX);
        gathering.arrive(&mut seen[1]);
        gathering.arrive(&mut seen[2]);
        assert_eq!(looks(&gathering, NOW), 0);
    }

    #[test]
    fn who_arrived_during_the_sync_waits_for_those_whom_it_was_for() {
        let gathering = Gathering::default();
        let (mut a, mut b) = (0, 0);
        gathering.arrive(&mut a);
        gathering.depart();
        gathering.arrive(&mut b);
        gathering.answered(1, NOW);
        assert_eq!(looks(&gathering, NOW), LOOKS_IDLE_MAX);
        gathering.arrive(&mut a);
        assert_eq!(looks(&gathering, NOW), 0);
    }

    #[test]
    fn nobody_is_expected_for_long() {
        let gathering = Gathering::default();
        let mut seen = 0;
        gathering.answered(3, NOW);
        gathering.arrive(&mut seen);
        assert_eq!(looks(&gathering, Instant(NOW.0 + EXPECTED_NS)), 0);
    }
}

//! The messages that a consumer has handed out and waits to hear about.
//!
//! First deliveries come in stream order, so the table is a ring sorted by stream sequence: adding is
//! a push at the back, acknowledging in order is a pop at the front, anything else a binary search.
//! What is settled out of order leaves a gap that is closed when more than half of the ring is gaps.
//!
//! *Invariant:* sequences grow along the ring, delivery numbers do not fall, and the entry at the front is
//! never a gap, so the front is what the ack floor waits for.

use alloc::collections::VecDeque;

use protocol::id::Seq;
use protocol::time::{Instant, Wall};

use super::state::DeliverySeq;

/// One message that is out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pending {
    /// The message.
    pub seq: Seq,
    /// The number of its first delivery.
    pub delivery: DeliverySeq,
    /// When its ack wait began.
    pub since: Wall,
    /// How much longer than the ack wait its redelivery was put off, in nanoseconds.
    pub put_off_ns: u64,
    /// When it is redelivered. Only the leader's clock knows: not part of the logged state.
    pub due: Instant,
    /// How often it was delivered.
    pub deliveries: u32,
    /// Where it stands.
    pub(super) stage: Stage,
}

impl Pending {
    /// Returns how often it was delivered again, as nats-server tells it of a message that goes: once at
    /// least.
    pub(super) fn redeliveries(&self) -> u32 {
        self.deliveries.saturating_sub(1).max(1)
    }
}

/// Where a pending message stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// With a client.
    Out,
    /// Waiting for its turn to be delivered again.
    Queued,
    /// Settled: a gap in the ring.
    Settled,
}

/// The table of [`Pending`] messages.
#[derive(Clone, Debug, Default)]
pub(super) struct PendingTable {
    ring: VecDeque<Pending>,
    live: usize,
}

impl PendingTable {
    /// The ring is never closed up below this size: it is not worth the copying.
    const COMPACT_MIN: usize = 64;

    pub(super) fn len(&self) -> usize {
        self.live
    }

    pub(super) fn is_empty(&self) -> bool {
        self.live == 0
    }

    /// Adds a first delivery; `entry.seq` lies above all that was ever added.
    pub(super) fn push(&mut self, entry: Pending) {
        debug_assert!(
            self.ring
                .back()
                .is_none_or(|last| last.seq < entry.seq && last.delivery <= entry.delivery),
            "first deliveries come in stream order"
        );
        self.ring.push_back(entry);
        self.live += 1;
    }

    /// Adds a message that was taken out before, with the delivery number of the one behind it.
    pub(super) fn insert(&mut self, mut entry: Pending) {
        let at = self.ring.partition_point(|p| p.seq < entry.seq);
        match self.ring.get_mut(at) {
            // Its own gap.
            Some(p) if p.seq == entry.seq => {
                entry.delivery = p.delivery;
                *p = entry;
            }
            Some(p) => {
                entry.delivery = p.delivery;
                self.ring.insert(at, entry);
            }
            None => self.ring.push_back(entry),
        }
        self.live += 1;
    }

    pub(super) fn first(&self) -> Option<&Pending> {
        self.ring.front()
    }

    /// Returns the last message that was added and is not yet behind the front.
    pub(super) fn last_seq(&self) -> Option<Seq> {
        self.ring.back().map(|p| p.seq)
    }

    pub(super) fn find(&self, seq: Seq) -> Option<&Pending> {
        let at = self.position(seq)?;
        self.ring.get(at)
    }

    pub(super) fn find_mut(&mut self, seq: Seq) -> Option<&mut Pending> {
        let at = self.position(seq)?;
        self.ring.get_mut(at)
    }

    /// Takes the message out of the table.
    pub(super) fn remove(&mut self, seq: Seq) -> Option<Pending> {
        let at = self.position(seq)?;
        let slot = self.ring.get_mut(at)?;
        let entry = *slot;
        slot.stage = Stage::Settled;
        self.live -= 1;
        if at == 0 {
            self.drop_front_gaps();
        } else {
            self.compact();
        }
        Some(entry)
    }

    /// Takes the first message out if it lies at or below `upto`.
    pub(super) fn pop_upto(&mut self, upto: Seq) -> Option<Pending> {
        let first = self.first().copied().filter(|p| p.seq <= upto)?;
        self.remove(first.seq)
    }

    pub(super) fn clear(&mut self) {
        self.ring.clear();
        self.live = 0;
    }

    /// Iterates in stream order.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Pending> {
        self.ring.iter().filter(|p| p.stage != Stage::Settled)
    }

    /// Iterates in stream order, for changes that keep the order.
    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Pending> {
        self.ring.iter_mut().filter(|p| p.stage != Stage::Settled)
    }

    fn position(&self, seq: Seq) -> Option<usize> {
        let first = self.ring.front()?.seq;
        let offset = seq.0.checked_sub(first.0)?;
        // Without filters and gaps the sequence is the offset, and what was just added is at the
        // back: no search.
        let guess = usize::try_from(offset)
            .unwrap_or(usize::MAX)
            .min(self.ring.len() - 1);
        let at = match self.ring.get(guess) {
            Some(p) if p.seq == seq => guess,
            Some(_) | None => self.ring.binary_search_by(|p| p.seq.cmp(&seq)).ok()?,
        };
        self.ring
            .get(at)
            .is_some_and(|p| p.stage != Stage::Settled)
            .then_some(at)
    }

    fn drop_front_gaps(&mut self) {
        while self.ring.front().is_some_and(|p| p.stage == Stage::Settled) {
            self.ring.pop_front();
        }
    }

    fn compact(&mut self) {
        if self.ring.len() >= Self::COMPACT_MIN && self.live < self.ring.len() / 2 {
            self.ring.retain(|p| p.stage != Stage::Settled);
        }
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::*;

    #[test]
    fn acking_in_any_order_leaves_the_front_at_the_oldest_message() {
        let mut table = table_of(&[1, 2, 3, 4]);

        assert!(table.remove(Seq(2)).is_some());
        assert_eq!(table.first().map(|p| p.seq), Some(Seq(1)));
        assert!(table.remove(Seq(1)).is_some());

        assert_eq!(table.first().map(|p| p.seq), Some(Seq(3)));
        assert_eq!(table.len(), 2);
    }

    #[test]
    fn a_settled_message_is_not_found_again() {
        let mut table = table_of(&[1, 2, 3]);

        assert!(table.remove(Seq(2)).is_some());

        assert!(table.find(Seq(2)).is_none());
        assert!(table.remove(Seq(2)).is_none());
        assert!(table.find(Seq(9)).is_none());
        assert!(table.find(Seq(0)).is_none());
    }

    #[test]
    fn sparse_sequences_are_found() {
        let table = table_of(&[10, 200, 3000]);

        assert_eq!(table.find(Seq(200)).map(|p| p.seq), Some(Seq(200)));
        assert!(table.find(Seq(11)).is_none());
    }

    #[test]
    fn gaps_are_closed_when_they_are_the_larger_half() {
        let seqs: Vec<u64> = (1..=1000).collect();
        let mut table = table_of(&seqs);

        for seq in 2..=1000 {
            table.remove(Seq(seq));
        }

        assert_eq!(table.len(), 1);
        assert!(table.ring.len() <= PendingTable::COMPACT_MIN);
        assert_eq!(table.first().map(|p| p.seq), Some(Seq(1)));
    }

    fn table_of(seqs: &[u64]) -> PendingTable {
        let mut table = PendingTable::default();
        for (i, seq) in seqs.iter().enumerate() {
            table.push(Pending {
                seq: Seq(*seq),
                delivery: DeliverySeq(i as u64 + 1),
                since: Wall(0),
                put_off_ns: 0,
                due: Instant(0),
                deliveries: 1,
                stage: Stage::Out,
            });
        }
        table
    }
}

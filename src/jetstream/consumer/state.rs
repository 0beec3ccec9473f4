//! How far a consumer has come: what it delivered, what is acknowledged, what is out.
//!
//! *Invariant:* the state changes only by [`ConsumerState::apply`], and the same changes in the same
//! order give the same state: the leader applies them at once and recovery applies them again from
//! the log. Deadlines and queues are not part of it; they belong to the leader and are rebuilt.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use protocol::id::Seq;
use protocol::time::{Instant, Wall};

use super::delta::{MalformedDelta, Op, Ops};
use super::pending::{Pending, PendingTable, Stage};

mod image;

/// The number of a delivery: every message handed out, also again, takes the next one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DeliverySeq(pub u64);

impl DeliverySeq {
    /// Returns the number after this one.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

/// A place in a consumer's history: a delivery and the message it was about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Position {
    /// The delivery.
    pub delivery: DeliverySeq,
    /// The message.
    pub stream: Seq,
}

impl Position {
    fn max_each(self, other: Self) -> Self {
        Self {
            delivery: self.delivery.max(other.delivery),
            stream: self.stream.max(other.stream),
        }
    }
}

/// What an ack says about other messages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Acks {
    /// Nothing is acknowledged: a delivery settles its message.
    #[default]
    None,
    /// An ack settles everything before it, too.
    All,
    /// Each message has its own ack.
    Explicit,
}

/// The state of one consumer.
#[derive(Clone, Debug, Default)]
pub struct ConsumerState {
    acks: Acks,
    delivered: Position,
    ack_floor: Position,
    delivered_at: Wall,
    acked_at: Wall,
    /// The time of the changes being applied.
    time: Wall,
    pending: PendingTable,
    /// How many pending messages were delivered more than once.
    redelivered: usize,
    /// Messages that used up their deliveries, with their count: no longer pending, but neither
    /// acknowledged nor gone.
    exhausted: BTreeMap<Seq, u32>,
}

impl ConsumerState {
    /// Returns the state of a consumer that starts at the message `next`.
    #[must_use]
    pub fn new(acks: Acks, next: Seq) -> Self {
        let mut state = Self {
            acks,
            ..Self::default()
        };
        state.reset(next);
        state
    }

    /// Returns the state of a consumer that was elsewhere and is to go on behind `floor`.
    #[must_use]
    pub fn resumed(acks: Acks, floor: Position) -> Self {
        let mut state = Self::new(acks, floor.stream.next());
        state.delivered = floor;
        state.ack_floor = floor;
        state
    }

    /// Returns the last delivery.
    #[must_use]
    pub fn delivered(&self) -> Position {
        self.delivered
    }

    /// Returns the place up to which everything is settled.
    #[must_use]
    pub fn ack_floor(&self) -> Position {
        self.ack_floor
    }

    /// Returns when a message was last delivered.
    #[must_use]
    pub(crate) fn delivered_at(&self) -> Wall {
        self.delivered_at
    }

    /// Returns when a message was last acknowledged.
    #[must_use]
    pub(crate) fn acked_at(&self) -> Wall {
        self.acked_at
    }

    /// Returns how many messages wait for their ack.
    #[must_use]
    pub(crate) fn num_pending_acks(&self) -> usize {
        self.pending.len()
    }

    /// Returns how many messages were delivered more than once and are not settled.
    #[must_use]
    pub fn num_redelivered(&self) -> usize {
        self.redelivered + self.exhausted.len()
    }

    /// Returns the message if it waits for its ack.
    #[must_use]
    pub fn pending(&self, seq: Seq) -> Option<&Pending> {
        self.pending.find(seq)
    }

    /// Iterates over the messages that wait for their ack, in stream order.
    pub(crate) fn pending_iter(&self) -> impl Iterator<Item = &Pending> {
        self.pending.iter()
    }

    /// Returns whether the message has used up its deliveries.
    #[must_use]
    pub(crate) fn is_exhausted(&self, seq: Seq) -> bool {
        self.exhausted.contains_key(&seq)
    }

    /// Returns whether the stream has to keep `seq` for this consumer, given that it matches.
    #[must_use]
    pub fn needs(&self, seq: Seq) -> bool {
        seq > self.delivered.stream || self.pending(seq).is_some() || self.is_exhausted(seq)
    }

    /// Applies a recorded delta.
    ///
    /// # Errors
    /// If the bytes are malformed; what stands before the damage is applied.
    pub(crate) fn apply_delta(&mut self, delta: &[u8]) -> Result<(), MalformedDelta> {
        for op in Ops::new(delta) {
            self.apply(op?);
        }
        Ok(())
    }

    /// Applies one change.
    pub fn apply(&mut self, op: Op) {
        match op {
            Op::Time(time) => self.time = time,
            Op::Deliver {
                first,
                delivery,
                count,
            } => {
                for i in 0..count {
                    self.on_delivered(Position {
                        delivery: DeliverySeq(delivery.0.saturating_add(i)),
                        stream: Seq(first.0.saturating_add(i)),
                    });
                }
            }
            Op::Redeliver { seq, delivery } => self.on_redelivered(seq, delivery),
            Op::Settle { first, count } => {
                for i in 0..count {
                    self.on_settled(Seq(first.0.saturating_add(i)));
                }
            }
            Op::SettleUpTo { seq, delivery } => self.on_settled_up_to(seq, delivery),
            Op::Touch { seq, since } => {
                if let Some(p) = self.pending.find_mut(seq) {
                    // The length counts, not the moment: clocks are set.
                    p.put_off_ns = since.0.saturating_sub(self.time.0);
                    p.since = since.min(self.time);
                }
            }
            Op::Exhaust { seq } => self.on_exhausted(seq),
            Op::Revive { seq } => self.on_revived(seq),
            Op::Forget { seq } => {
                self.acked_at = self.time;
                self.take_pending(seq);
                self.exhausted.remove(&seq);
            }
            Op::Place {
                delivered,
                ack_floor,
            } => {
                self.delivered = self.delivered.max_each(delivered);
                self.ack_floor = self.ack_floor.max_each(ack_floor);
            }
            Op::Reset { next } => self.reset(next),
        }
    }

    fn on_delivered(&mut self, at: Position) {
        // Already part of a checkpoint that is younger than this change.
        if at.delivery <= self.delivered.delivery || at.stream <= self.delivered.stream {
            return;
        }
        self.delivered = at;
        self.delivered_at = self.time;
        if self.acks == Acks::None {
            self.ack_floor = at;
            return;
        }
        self.pending.push(Pending {
            seq: at.stream,
            delivery: at.delivery,
            since: self.time,
            put_off_ns: 0,
            due: Instant::NEVER,
            deliveries: 1,
            stage: Stage::Out,
        });
    }

    fn on_redelivered(&mut self, seq: Seq, delivery: DeliverySeq) {
        if delivery <= self.delivered.delivery {
            return;
        }
        self.delivered.delivery = delivery;
        self.delivered_at = self.time;
        if let Some(p) = self.pending.find_mut(seq) {
            self.redelivered += usize::from(p.deliveries == 1);
            p.deliveries = p.deliveries.saturating_add(1);
            p.since = self.time;
            p.put_off_ns = 0;
            p.stage = Stage::Out;
        }
    }

    fn on_settled(&mut self, seq: Seq) {
        self.acked_at = self.time;
        let Some(p) = self.take_pending(seq) else {
            self.exhausted.remove(&seq);
            return;
        };
        if self.pending.is_empty() {
            self.ack_floor = self.delivered;
        } else if p.delivery == self.ack_floor.delivery.next() {
            self.raise_floor();
        }
    }

    /// Moves the floor to just below the oldest message that is out.
    fn raise_floor(&mut self) {
        if let Some(first) = self.pending.first() {
            self.ack_floor = Position {
                delivery: DeliverySeq(first.delivery.0.saturating_sub(1)),
                stream: Seq(first.seq.0.saturating_sub(1)),
            };
        }
    }

    fn on_settled_up_to(&mut self, seq: Seq, delivery: DeliverySeq) {
        if delivery <= self.ack_floor.delivery || seq <= self.ack_floor.stream {
            return;
        }
        self.acked_at = self.time;
        self.ack_floor = Position {
            delivery,
            stream: seq,
        };
        while let Some(p) = self.pending.pop_upto(seq) {
            self.redelivered -= usize::from(p.deliveries > 1);
        }
        self.exhausted = self.exhausted.split_off(&seq.next());
    }

    /// The ack floor stays below a message that nobody acknowledged: it moves on when nothing is
    /// pending, as nats-server's does.
    fn on_exhausted(&mut self, seq: Seq) {
        if let Some(p) = self.take_pending(seq) {
            self.exhausted.insert(seq, p.deliveries);
        }
    }

    /// Takes a message back among those that wait for their ack, as if it had been delivered once.
    fn on_revived(&mut self, seq: Seq) {
        self.exhausted.remove(&seq);
        if seq <= self.delivered.stream && self.pending.find(seq).is_none() {
            self.pending.insert(Pending {
                seq,
                delivery: self.delivered.delivery,
                since: self.time,
                put_off_ns: 0,
                due: Instant::NEVER,
                deliveries: 1,
                stage: Stage::Out,
            });
        }
    }

    fn take_pending(&mut self, seq: Seq) -> Option<Pending> {
        let p = self.pending.remove(seq)?;
        self.redelivered -= usize::from(p.deliveries > 1);
        Some(p)
    }

    fn reset(&mut self, next: Seq) {
        let start = Position {
            delivery: DeliverySeq(0),
            stream: Seq(next.0.saturating_sub(1)),
        };
        self.delivered = start;
        self.ack_floor = start;
        self.delivered_at = Wall(0);
        self.acked_at = Wall(0);
        self.pending.clear();
        self.redelivered = 0;
        self.exhausted.clear();
    }

    /// Sets when a pending message is redelivered.
    pub(super) fn set_due(&mut self, seq: Seq, due: Instant) {
        if let Some(p) = self.pending.find_mut(seq) {
            p.due = due;
        }
    }

    /// Notes that a pending message waits in the leader's redelivery queue, or no longer does.
    pub(super) fn set_stage(&mut self, seq: Seq, stage: Stage) {
        debug_assert!(stage != Stage::Settled, "settling is a change of its own");
        if let Some(p) = self.pending.find_mut(seq) {
            p.stage = stage;
        }
    }

    /// Iterates over the pending messages to give each its deadline.
    pub(super) fn pending_iter_mut(&mut self) -> impl Iterator<Item = &mut Pending> {
        self.pending.iter_mut()
    }

    /// Iterates over the messages that used up their deliveries.
    pub(super) fn exhausted(&self) -> impl Iterator<Item = Seq> {
        self.exhausted.keys().copied()
    }

    /// Appends the whole state to `out`, for a checkpoint.
    pub fn snapshot(&self, out: &mut Vec<u8>) {
        image::put(self, out);
    }

    /// Reads a state that [`ConsumerState::snapshot`] wrote.
    #[must_use]
    pub fn restore(bytes: &[u8]) -> Option<Self> {
        image::read(bytes)
    }
}

#[cfg(test)]
mod tests;

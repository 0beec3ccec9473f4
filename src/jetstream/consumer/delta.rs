//! What changed in a consumer, as it stands in the log.
//!
//! The leader changes its state at once and records each change here; once per batch of input the
//! record becomes one log entry. Neighbouring deliveries and acks are merged into runs, so that a
//! batch of a thousand messages costs a few bytes.
//!
//! *Invariant:* decoding what was recorded gives the same changes in the same order, and each change
//! names what it changes absolutely, so that replaying it over a later state does no harm.

use alloc::vec::Vec;

use protocol::id::Seq;
use protocol::time::Wall;

use super::state::{DeliverySeq, Position};

/// One change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op {
    /// The time of the changes that follow.
    Time(Wall),
    /// `count` neighbouring messages were delivered for the first time.
    Deliver {
        /// The first of them.
        first: Seq,
        /// Its delivery number.
        delivery: DeliverySeq,
        /// How many.
        count: u64,
    },
    /// A pending message was delivered again.
    Redeliver {
        /// The message.
        seq: Seq,
        /// The delivery number.
        delivery: DeliverySeq,
    },
    /// `count` neighbouring messages were acknowledged, terminated, or are gone from the stream.
    Settle {
        /// The first of them.
        first: Seq,
        /// How many.
        count: u64,
    },
    /// Everything up to a delivery was acknowledged.
    SettleUpTo {
        /// The last message.
        seq: Seq,
        /// Its delivery number.
        delivery: DeliverySeq,
    },
    /// The ack wait of a pending message began anew, possibly in the future.
    Touch {
        /// The message.
        seq: Seq,
        /// When its ack wait begins.
        since: Wall,
    },
    /// A pending message has used up its deliveries.
    Exhaust {
        /// The message.
        seq: Seq,
    },
    /// A message that was settled or has used up its deliveries is to be delivered again.
    Revive {
        /// The message.
        seq: Seq,
    },
    /// A message is gone from the stream; where everything is settled is told by what follows.
    Forget {
        /// The message.
        seq: Seq,
    },
    /// What lay before these places is behind the consumer.
    Place {
        /// The last delivery.
        delivered: Position,
        /// Everything up to here is settled.
        ack_floor: Position,
    },
    /// The consumer starts over.
    Reset {
        /// The message to start at.
        next: Seq,
    },
}

/// The bytes are not a delta of this version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the consumer delta is malformed")]
pub struct MalformedDelta;

/// The numbers of the changes in the log. They never change.
mod tag {
    pub(super) const TIME: u8 = 1;
    pub(super) const DELIVER: u8 = 2;
    pub(super) const REDELIVER: u8 = 3;
    pub(super) const SETTLE: u8 = 4;
    pub(super) const SETTLE_UP_TO: u8 = 5;
    pub(super) const TOUCH: u8 = 6;
    pub(super) const EXHAUST: u8 = 7;
    pub(super) const RESET: u8 = 8;
    pub(super) const REVIVE: u8 = 10;
    pub(super) const PLACE: u8 = 11;
    pub(super) const FORGET: u8 = 12;
}

/// Records changes and merges runs.
#[derive(Clone, Debug, Default)]
pub(super) struct Recorder {
    bytes: Vec<u8>,
    /// The last change, still open to be extended.
    open: Option<Op>,
    time: Wall,
}

impl Recorder {
    pub(super) fn is_empty(&self) -> bool {
        self.bytes.is_empty() && self.open.is_none()
    }

    /// Appends `op`, which happened at `time`.
    pub(super) fn record(&mut self, op: Op, time: Wall) {
        if self.time != time || self.is_empty() {
            self.close();
            put_op(&mut self.bytes, Op::Time(time));
            self.time = time;
        }
        if let Some(open) = &mut self.open
            && extend(open, op)
        {
            return;
        }
        self.close();
        self.open = Some(op);
    }

    /// Ends the record and gives its bytes to `write`; the buffer is kept for the next one.
    pub(super) fn take<R>(&mut self, write: impl FnOnce(&[u8]) -> R) -> R {
        self.close();
        let result = write(&self.bytes);
        self.bytes.clear();
        result
    }

    fn close(&mut self) {
        if let Some(op) = self.open.take() {
            put_op(&mut self.bytes, op);
        }
    }
}

/// Adds `op` to the run `open` if it continues it.
fn extend(open: &mut Op, op: Op) -> bool {
    match (open, op) {
        (
            Op::Deliver {
                first,
                delivery,
                count,
            },
            Op::Deliver {
                first: next,
                delivery: at,
                count: more,
            },
        ) if first.0 + *count == next.0 && delivery.0 + *count == at.0 => {
            *count += more;
            true
        }
        (
            Op::Settle { first, count },
            Op::Settle {
                first: next,
                count: more,
            },
        ) if first.0 + *count == next.0 => {
            *count += more;
            true
        }
        (
            Op::Deliver { .. }
            | Op::Settle { .. }
            | Op::Time(_)
            | Op::Redeliver { .. }
            | Op::SettleUpTo { .. }
            | Op::Touch { .. }
            | Op::Exhaust { .. }
            | Op::Revive { .. }
            | Op::Forget { .. }
            | Op::Place { .. }
            | Op::Reset { .. },
            _,
        ) => false,
    }
}

/// Iterates over the changes of a delta.
#[derive(Clone, Debug)]
pub struct Ops<'a> {
    rest: &'a [u8],
}

impl<'a> Ops<'a> {
    /// Returns the changes that `delta` records.
    #[must_use]
    pub fn new(delta: &'a [u8]) -> Self {
        Self { rest: delta }
    }

    fn op(&mut self) -> Option<Op> {
        let op = match self.byte()? {
            tag::TIME => Op::Time(Wall(self.number()?)),
            tag::DELIVER => Op::Deliver {
                first: self.seq()?,
                delivery: self.delivery()?,
                count: self.number()?,
            },
            tag::REDELIVER => Op::Redeliver {
                seq: self.seq()?,
                delivery: self.delivery()?,
            },
            tag::SETTLE => Op::Settle {
                first: self.seq()?,
                count: self.number()?,
            },
            tag::SETTLE_UP_TO => Op::SettleUpTo {
                seq: self.seq()?,
                delivery: self.delivery()?,
            },
            tag::TOUCH => Op::Touch {
                seq: self.seq()?,
                since: Wall(self.number()?),
            },
            tag::EXHAUST => Op::Exhaust { seq: self.seq()? },
            tag::REVIVE => Op::Revive { seq: self.seq()? },
            tag::FORGET => Op::Forget { seq: self.seq()? },
            tag::PLACE => Op::Place {
                delivered: self.position()?,
                ack_floor: self.position()?,
            },
            tag::RESET => Op::Reset { next: self.seq()? },
            _ => return None,
        };
        Some(op)
    }

    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(*first)
    }

    fn number(&mut self) -> Option<u64> {
        let mut value = 0u64;
        for shift in (0..u64::BITS).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }

    fn seq(&mut self) -> Option<Seq> {
        self.number().map(Seq)
    }

    fn delivery(&mut self) -> Option<DeliverySeq> {
        self.number().map(DeliverySeq)
    }

    fn position(&mut self) -> Option<Position> {
        let delivery = self.delivery()?;
        let stream = self.seq()?;
        Some(Position { delivery, stream })
    }
}

impl Iterator for Ops<'_> {
    type Item = Result<Op, MalformedDelta>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let op = self.op().ok_or(MalformedDelta);
        if op.is_err() {
            self.rest = &[];
        }
        Some(op)
    }
}

fn put_op(out: &mut Vec<u8>, op: Op) {
    match op {
        Op::Time(time) => put(out, tag::TIME, &[time.0]),
        Op::Deliver {
            first,
            delivery,
            count,
        } => put(out, tag::DELIVER, &[first.0, delivery.0, count]),
        Op::Redeliver { seq, delivery } => put(out, tag::REDELIVER, &[seq.0, delivery.0]),
        Op::Settle { first, count } => put(out, tag::SETTLE, &[first.0, count]),
        Op::SettleUpTo { seq, delivery } => put(out, tag::SETTLE_UP_TO, &[seq.0, delivery.0]),
        Op::Touch { seq, since } => put(out, tag::TOUCH, &[seq.0, since.0]),
        Op::Exhaust { seq } => put(out, tag::EXHAUST, &[seq.0]),
        Op::Revive { seq } => put(out, tag::REVIVE, &[seq.0]),
        Op::Forget { seq } => put(out, tag::FORGET, &[seq.0]),
        Op::Place {
            delivered,
            ack_floor,
        } => {
            let (d, f) = (delivered, ack_floor);
            let numbers = [d.delivery.0, d.stream.0, f.delivery.0, f.stream.0];
            put(out, tag::PLACE, &numbers);
        }
        Op::Reset { next } => put(out, tag::RESET, &[next.0]),
    }
}

fn put(out: &mut Vec<u8>, tag: u8, numbers: &[u64]) {
    out.push(tag);
    for number in numbers {
        put_number(out, *number);
    }
}

/// Appends `value` in groups of seven bits, the lowest first.
fn put_number(out: &mut Vec<u8>, mut value: u64) {
    while value > 0x7f {
        out.push((value.to_le_bytes().first().copied().unwrap_or(0)) | 0x80);
        value >>= 7;
    }
    out.push(value.to_le_bytes().first().copied().unwrap_or(0));
}

#[cfg(test)]
mod tests;

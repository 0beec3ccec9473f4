//! The state of a consumer as checkpoints hold it.
//!
//! *Invariant:* reading what was written gives a state that behaves the same; anything else is
//! refused, never repaired.

use alloc::vec::Vec;

use bytes::{Buf, BufMut};
use protocol::id::Seq;
use protocol::time::{Instant, Wall};

use super::super::pending::{Pending, Stage};
use super::{Acks, ConsumerState, DeliverySeq, Position};

/// The version of the layout.
const VERSION: u8 = 1;

pub(super) fn put(state: &ConsumerState, out: &mut Vec<u8>) {
    out.put_u8(VERSION);
    out.put_u8(match state.acks {
        Acks::None => 0,
        Acks::All => 1,
        Acks::Explicit => 2,
    });
    for position in [state.delivered, state.ack_floor] {
        out.put_u64_le(position.delivery.0);
        out.put_u64_le(position.stream.0);
    }
    for time in [state.delivered_at, state.acked_at, state.time] {
        out.put_u64_le(time.0);
    }
    out.put_u64_le(state.pending.len() as u64);
    for p in state.pending.iter() {
        out.put_u64_le(p.seq.0);
        out.put_u64_le(p.delivery.0);
        out.put_u64_le(p.since.0);
        out.put_u64_le(p.put_off_ns);
        out.put_u32_le(p.deliveries);
    }
    out.put_u64_le(state.exhausted.len() as u64);
    for (seq, deliveries) in &state.exhausted {
        out.put_u64_le(seq.0);
        out.put_u32_le(*deliveries);
    }
}

pub(super) fn read(mut bytes: &[u8]) -> Option<ConsumerState> {
    let r = &mut bytes;
    if r.try_get_u8().ok()? != VERSION {
        return None;
    }
    let acks = match r.try_get_u8().ok()? {
        0 => Acks::None,
        1 => Acks::All,
        2 => Acks::Explicit,
        _ => return None,
    };
    let mut state = ConsumerState {
        acks,
        delivered: position(r)?,
        ack_floor: position(r)?,
        delivered_at: Wall(number(r)?),
        acked_at: Wall(number(r)?),
        time: Wall(number(r)?),
        ..ConsumerState::default()
    };
    for _ in 0..number(r)? {
        let entry = pending(r)?;
        if state.pending.last_seq() >= Some(entry.seq) {
            return None;
        }
        state.redelivered += usize::from(entry.deliveries > 1);
        state.pending.push(entry);
    }
    for _ in 0..number(r)? {
        let seq = Seq(number(r)?);
        state.exhausted.insert(seq, r.try_get_u32_le().ok()?);
    }
    r.is_empty().then_some(state)
}

fn pending(r: &mut &[u8]) -> Option<Pending> {
    Some(Pending {
        seq: Seq(number(r)?),
        delivery: DeliverySeq(number(r)?),
        since: Wall(number(r)?),
        put_off_ns: number(r)?,
        due: Instant::NEVER,
        deliveries: r.try_get_u32_le().ok()?,
        stage: Stage::Out,
    })
}

fn position(r: &mut &[u8]) -> Option<Position> {
    Some(Position {
        delivery: DeliverySeq(number(r)?),
        stream: Seq(number(r)?),
    })
}

fn number(r: &mut &[u8]) -> Option<u64> {
    r.try_get_u64_le().ok()
}

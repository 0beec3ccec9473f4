//! The rules by which a consumer's state changes.

use super::*;

#[test]
fn the_floor_follows_acks_without_gaps_only() {
    let mut state = delivered(Acks::Explicit, 1..=4);

    state.apply(settle(2));
    assert_eq!(floor(&state), (0, 0));
    state.apply(settle(1));
    assert_eq!(floor(&state), (2, 2));
    state.apply(settle(4));
    assert_eq!(floor(&state), (2, 2));
    state.apply(settle(3));
    assert_eq!(floor(&state), (4, 4));
}

#[test]
fn a_redelivery_keeps_its_place_in_the_floor_and_takes_a_new_number() {
    let mut state = delivered(Acks::Explicit, 1..=2);

    state.apply(redeliver(1, 3));
    assert_eq!(state.num_redelivered(), 1);
    assert_eq!(state.delivered().delivery, DeliverySeq(3));
    state.apply(settle(1));

    assert_eq!(floor(&state), (1, 1));
    assert_eq!(state.num_redelivered(), 0);
    state.apply(settle(2));
    assert_eq!(floor(&state), (3, 2));
}

#[test]
fn the_floor_stays_below_exhausted_messages_until_nothing_is_out() {
    let mut state = delivered(Acks::Explicit, 1..=4);

    state.apply(Op::Exhaust { seq: Seq(1) });
    state.apply(Op::Exhaust { seq: Seq(2) });
    assert_eq!(state.num_pending_acks(), 2);
    assert_eq!(state.num_redelivered(), 2);
    state.apply(settle(3));
    assert_eq!(floor(&state), (0, 0));
    state.apply(settle(4));

    assert_eq!(floor(&state), (4, 4));
    assert!(state.needs(Seq(1)));
    state.apply(settle(1));
    assert!(!state.needs(Seq(1)));
}

#[test]
fn an_ack_of_all_settles_everything_before_it_once() {
    let mut state = delivered(Acks::All, 1..=4);

    state.apply(Op::SettleUpTo {
        seq: Seq(3),
        delivery: DeliverySeq(3),
    });
    assert_eq!((floor(&state), state.num_pending_acks()), ((3, 3), 1));
    state.apply(Op::SettleUpTo {
        seq: Seq(2),
        delivery: DeliverySeq(2),
    });

    assert_eq!((floor(&state), state.num_pending_acks()), ((3, 3), 1));
}

#[test]
fn without_acks_a_delivery_settles_its_message() {
    let state = delivered(Acks::None, 1..=3);

    assert_eq!(floor(&state), (3, 3));
    assert_eq!(state.num_pending_acks(), 0);
    assert!(!state.needs(Seq(3)));
    assert!(state.needs(Seq(4)));
}

#[test]
fn changes_that_a_checkpoint_already_holds_do_nothing() {
    let mut state = delivered(Acks::Explicit, 1..=4);
    state.apply(redeliver(2, 5));
    state.apply(settle(1));
    let before = image_of(&state);

    state.apply(Op::Deliver {
        first: Seq(1),
        delivery: DeliverySeq(1),
        count: 4,
    });
    state.apply(redeliver(2, 5));
    state.apply(settle(1));

    assert_eq!(image_of(&state), before);
}

#[test]
fn a_reset_starts_over() {
    let mut state = delivered(Acks::Explicit, 1..=4);

    state.apply(Op::Reset { next: Seq(2) });

    assert_eq!(floor(&state), (0, 1));
    assert_eq!(state.num_pending_acks(), 0);
    state.apply(deliver(2, 1));
    assert_eq!(state.delivered().stream, Seq(2));
}

#[test]
fn a_checkpoint_gives_the_same_state() {
    let mut state = delivered(Acks::Explicit, 5..=9);
    state.apply(redeliver(6, 6));
    state.apply(settle(5));
    state.apply(Op::Exhaust { seq: Seq(7) });

    let bytes = image_of(&state);
    let restored = ConsumerState::restore(&bytes).expect("just written");

    assert_eq!(image_of(&restored), bytes);
    assert_eq!(restored.num_redelivered(), state.num_redelivered());
    for len in 0..bytes.len() {
        assert!(ConsumerState::restore(&bytes[..len]).is_none());
    }
}

fn delivered(acks: Acks, seqs: core::ops::RangeInclusive<u64>) -> ConsumerState {
    let mut state = ConsumerState::new(acks, Seq(1));
    state.apply(Op::Time(Wall(7)));
    for (i, seq) in seqs.enumerate() {
        state.apply(deliver(seq, i as u64 + 1));
    }
    state
}

fn deliver(seq: u64, delivery: u64) -> Op {
    Op::Deliver {
        first: Seq(seq),
        delivery: DeliverySeq(delivery),
        count: 1,
    }
}

fn redeliver(seq: u64, delivery: u64) -> Op {
    Op::Redeliver {
        seq: Seq(seq),
        delivery: DeliverySeq(delivery),
    }
}

fn settle(seq: u64) -> Op {
    Op::Settle {
        first: Seq(seq),
        count: 1,
    }
}

fn floor(state: &ConsumerState) -> (u64, u64) {
    let floor = state.ack_floor();
    (floor.delivery.0, floor.stream.0)
}

fn image_of(state: &ConsumerState) -> Vec<u8> {
    let mut out = Vec::new();
    state.snapshot(&mut out);
    out
}

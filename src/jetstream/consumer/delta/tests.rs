//! What is recorded is read back.

use super::*;

#[test]
fn what_was_recorded_is_read_back_in_order() {
    let ops = [
        Op::Deliver {
            first: Seq(u64::MAX - 1),
            delivery: DeliverySeq(300),
            count: 1,
        },
        Op::Redeliver {
            seq: Seq(7),
            delivery: DeliverySeq(301),
        },
        Op::Settle {
            first: Seq(7),
            count: 1,
        },
        Op::SettleUpTo {
            seq: Seq(128),
            delivery: DeliverySeq(127),
        },
        Op::Touch {
            seq: Seq(1),
            since: Wall(u64::MAX),
        },
        Op::Exhaust { seq: Seq(0) },
        Op::Revive { seq: Seq(9) },
        Op::Forget { seq: Seq(2) },
        Op::Place {
            delivered: Position {
                delivery: DeliverySeq(1),
                stream: Seq(3),
            },
            ack_floor: Position {
                delivery: DeliverySeq(1),
                stream: Seq(2),
            },
        },
        Op::Reset { next: Seq(5) },
    ];
    let mut recorder = Recorder::default();

    for op in ops {
        recorder.record(op, Wall(9));
    }

    assert_eq!(decoded(&mut recorder), {
        let mut expected = alloc::vec![Op::Time(Wall(9))];
        expected.extend(ops);
        expected
    });
    assert!(recorder.is_empty());
}

#[test]
fn neighbouring_deliveries_and_acks_become_runs() {
    let mut recorder = Recorder::default();

    for i in 0..1000 {
        recorder.record(
            Op::Deliver {
                first: Seq(10 + i),
                delivery: DeliverySeq(1 + i),
                count: 1,
            },
            Wall(9),
        );
    }
    for i in 0..500 {
        recorder.record(
            Op::Settle {
                first: Seq(10 + i),
                count: 1,
            },
            Wall(9),
        );
    }

    assert_eq!(
        decoded(&mut recorder),
        [
            Op::Time(Wall(9)),
            Op::Deliver {
                first: Seq(10),
                delivery: DeliverySeq(1),
                count: 1000
            },
            Op::Settle {
                first: Seq(10),
                count: 500
            },
        ]
    );
}

#[test]
fn each_change_of_time_is_recorded_once() {
    let mut recorder = Recorder::default();
    let settle = |seq| Op::Settle {
        first: Seq(seq),
        count: 1,
    };

    recorder.record(settle(1), Wall(1));
    recorder.record(settle(2), Wall(2));
    recorder.record(settle(3), Wall(2));

    assert_eq!(
        decoded(&mut recorder),
        [
            Op::Time(Wall(1)),
            settle(1),
            Op::Time(Wall(2)),
            Op::Settle {
                first: Seq(2),
                count: 2
            },
        ]
    );
}

#[test]
fn cut_off_bytes_are_an_error_and_end_the_iteration() {
    let mut recorder = Recorder::default();
    recorder.record(
        Op::Settle {
            first: Seq(1000),
            count: 1000,
        },
        Wall(1),
    );
    let bytes = recorder.take(<[u8]>::to_vec);

    let ops: Vec<_> = Ops::new(&bytes[..bytes.len() - 1]).collect();

    assert_eq!(ops, [Ok(Op::Time(Wall(1))), Err(MalformedDelta)]);
    assert_eq!(Ops::new(&[99]).next(), Some(Err(MalformedDelta)));
}

fn decoded(recorder: &mut Recorder) -> Vec<Op> {
    recorder.take(|bytes| {
        Ops::new(bytes)
            .map(|op| op.expect("recorded ops decode"))
            .collect()
    })
}

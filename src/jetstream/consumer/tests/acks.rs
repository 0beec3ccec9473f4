//! Acks of all kinds, redelivery, and what a restart keeps.

use protocol::id::Seq;

use super::*;

#[test]
fn a_confirmed_ack_is_answered_when_it_is_synced() {
    let mut bench = bench(1);
    create(&mut bench, r#""ack_policy":"explicit""#);
    let got = pull(&mut bench, "in.1", "1");

    let (js, world) = (&mut bench.js, &mut bench.world);
    js.ack(world, ACCOUNT, got[0].reply.as_bytes(), b"confirm", b"");
    js.pump(world);
    assert!(take(&mut bench, "confirm").is_empty());
    bench.sync();

    assert_eq!(take(&mut bench, "confirm").len(), 1);
    assert!(
        ack(&mut bench, &got[0].reply, ""),
        "once more, to no effect"
    );
    assert_eq!(numbers(&bench), [1, 1, 1, 1, 0, 0, 0]);
}

#[test]
fn a_second_ack_does_not_overtake_the_first_to_the_disk() {
    let mut bench = bench(1);
    create(&mut bench, r#""ack_policy":"explicit""#);
    let got = pull(&mut bench, "in.1", "1");

    let (js, world) = (&mut bench.js, &mut bench.world);
    js.ack(world, ACCOUNT, got[0].reply.as_bytes(), b"", b"");
    js.pump(world);
    js.ack(world, ACCOUNT, got[0].reply.as_bytes(), b"confirm", b"");
    js.pump(world);
    assert!(take(&mut bench, "confirm").is_empty());
    bench.sync();

    assert_eq!(take(&mut bench, "confirm").len(), 1);
}

#[test]
fn acks_of_messages_never_delivered_are_ignored() {
    let mut bench = bench(3);
    create(&mut bench, r#""ack_policy":"explicit""#);
    pull(&mut bench, "in.1", "1");

    assert!(!ack(&mut bench, "$JS.ACK.S.c.1.3.3.1.0", ""));

    assert_eq!(numbers(&bench), [1, 1, 0, 0, 1, 0, 2]);
}

#[test]
fn nobody_listens_to_acks_of_a_consumer_without_acks() {
    let mut bench = bench(1);
    create(&mut bench, r#""ack_policy":"none""#);
    let got = pull(&mut bench, "in.1", "1");
    let (js, world) = (&mut bench.js, &mut bench.world);

    assert!(!js.ack(world, ACCOUNT, got[0].reply.as_bytes(), b"", b""));
    assert!(!js.ack(world, ACCOUNT, b"$JS.ACK.S.other.1.1.1.1.0", b"", b""));
}

#[test]
fn a_nak_brings_the_message_back_before_new_ones() {
    let mut bench = bench(3);
    create(&mut bench, r#""ack_policy":"explicit""#);
    let got = pull(&mut bench, "in.1", r#"{"batch":2}"#);

    ack(&mut bench, &got[0].reply, "-NAK");
    let again = pull(&mut bench, "in.1", r#"{"batch":2}"#);

    assert_eq!(bodies(&again), ["m0", "m2"]);
    assert!(again[0].reply.starts_with("$JS.ACK.S.c.2.1.3."));
    assert_eq!(numbers(&bench), [4, 3, 0, 0, 3, 1, 0]);
}

#[test]
fn a_nak_with_delay_waits() {
    let mut bench = bench(1);
    create(&mut bench, r#""ack_policy":"explicit""#);
    let got = pull(&mut bench, "in.1", "1");
    ack(&mut bench, &got[0].reply, r#"-NAK {"delay":500000000}"#);

    assert!(pull(&mut bench, "in.1", r#"{"batch":1,"expires":900000000}"#).is_empty());
    wait_ms(&mut bench, 499);
    assert!(take(&mut bench, "in.1").is_empty());
    wait_ms(&mut bench, 1);

    assert_eq!(bodies(&take(&mut bench, "in.1")), ["m0"]);
}

#[test]
fn term_ends_a_message_for_good_and_tells_why() {
    let mut bench = bench(1);
    bench.world.interest.push("$JS.EVENT.>".to_string());
    create(&mut bench, r#""ack_policy":"explicit""#);
    let got = pull(&mut bench, "in.1", "1");

    assert!(ack(&mut bench, &got[0].reply, "+TERM broken"));

    assert_eq!(numbers(&bench), [1, 1, 1, 1, 0, 0, 0]);
    let told = take(&mut bench, "$JS.EVENT.ADVISORY.CONSUMER.MSG_TERMINATED.S.c");
    assert!(
        told[0]
            .payload
            .contains(r#""consumer_seq":1,"stream_seq":1,"deliveries":1,"reason":"broken""#)
    );
}

#[test]
fn next_acks_and_asks_for_more() {
    let mut bench = bench(2);
    create(&mut bench, r#""ack_policy":"explicit""#);
    let got = pull(&mut bench, "in.1", "1");

    let (js, world) = (&mut bench.js, &mut bench.world);
    js.ack(world, ACCOUNT, got[0].reply.as_bytes(), b"in.2", b"+NXT");
    bench.sync();

    assert_eq!(bodies(&take(&mut bench, "in.2")), ["m1"]);
    assert_eq!(numbers(&bench), [2, 2, 1, 1, 1, 0, 0]);
}

#[test]
fn ack_all_settles_what_came_before() {
    let mut bench = bench(4);
    create(&mut bench, r#""ack_policy":"all""#);
    let got = pull(&mut bench, "in.1", r#"{"batch":4}"#);

    assert!(ack(&mut bench, &got[2].reply, ""));

    assert_eq!(numbers(&bench), [4, 4, 3, 3, 1, 0, 0]);
}

#[test]
fn messages_come_again_when_their_ack_does_not_come_in_time() {
    let mut bench = bench(2);
    create(
        &mut bench,
        r#""ack_policy":"explicit","ack_wait":200000000"#,
    );
    pull(&mut bench, "in.1", r#"{"batch":2}"#);

    wait_ms(&mut bench, 200);
    let again = pull(&mut bench, "in.1", r#"{"batch":2}"#);

    assert_eq!(bodies(&again), ["m0", "m1"]);
    assert_eq!(numbers(&bench), [4, 2, 0, 0, 2, 2, 0]);
}

#[test]
fn work_in_progress_puts_the_redelivery_off() {
    let mut bench = bench(1);
    create(
        &mut bench,
        r#""ack_policy":"explicit","ack_wait":200000000"#,
    );
    let got = pull(&mut bench, "in.1", "1");
    wait_ms(&mut bench, 150);
    ack(&mut bench, &got[0].reply, "+WPI");

    wait_ms(&mut bench, 100);
    assert!(pull(&mut bench, "in.1", "1").is_empty());
    wait_ms(&mut bench, 100);

    assert_eq!(bodies(&take(&mut bench, "in.1")), ["m0"]);
}

#[test]
fn each_delivery_has_its_own_wait_with_a_backoff() {
    let mut bench = bench(1);
    create(
        &mut bench,
        r#""ack_policy":"explicit","backoff":[100000000,300000000]"#,
    );
    pull(&mut bench, "in.1", "1");
    wait_ms(&mut bench, 100);
    assert_eq!(pull(&mut bench, "in.1", "1").len(), 1);

    wait_ms(&mut bench, 299);
    assert!(pull(&mut bench, "in.1", "1").is_empty());
    wait_ms(&mut bench, 1);

    assert_eq!(take(&mut bench, "in.1").len(), 1);
}

#[test]
fn a_message_is_given_up_after_its_last_delivery() {
    let mut bench = bench(1);
    bench.world.interest.push("$JS.EVENT.>".to_string());
    create(
        &mut bench,
        r#""ack_policy":"explicit","ack_wait":100000000,"max_deliver":2"#,
    );
    pull(&mut bench, "in.1", "1");
    wait_ms(&mut bench, 100);
    pull(&mut bench, "in.1", "1");

    wait_ms(&mut bench, 100);

    assert!(pull(&mut bench, "in.1", "1").is_empty());
    assert_eq!(numbers(&bench), [2, 1, 0, 0, 0, 1, 0]);
    let told = take(&mut bench, "$JS.EVENT.ADVISORY.CONSUMER.MAX_DELIVERIES.S.c");
    assert!(told[0].payload.contains(r#""stream_seq":1,"deliveries":2"#));
}

#[test]
fn a_restart_keeps_what_was_delivered_acknowledged_and_delayed() {
    let mut bench = bench(4);
    create(
        &mut bench,
        r#""ack_policy":"explicit","ack_wait":200000000"#,
    );
    let got = pull(&mut bench, "in.1", r#"{"batch":3}"#);
    ack(&mut bench, &got[0].reply, "");
    ack(&mut bench, &got[2].reply, "-NAK");
    pull(&mut bench, "in.1", "1");
    let before = numbers(&bench);

    let mut bench = restarted(bench);

    assert_eq!(numbers(&bench), before);
    wait_ms(&mut bench, 200);
    let again = pull(&mut bench, "in.1", r#"{"batch":9}"#);
    assert_eq!(bodies(&again), ["m1", "m2", "m3"]);
}

#[test]
fn a_message_that_is_deleted_while_it_is_out_counts_as_settled() {
    let mut bench = bench(2);
    create(&mut bench, r#""ack_policy":"explicit""#);
    pull(&mut bench, "in.1", r#"{"batch":2}"#);

    bench.ask("STREAM.MSG.DELETE.S", r#"{"seq":1}"#);

    assert_eq!(numbers(&bench), [2, 2, 1, 1, 1, 0, 0]);
}

#[test]
fn a_purge_moves_the_consumer_to_where_the_stream_begins() {
    let mut bench = bench(5);
    create(&mut bench, r#""ack_policy":"explicit""#);
    pull(&mut bench, "in.1", r#"{"batch":2}"#);

    bench.ask("STREAM.PURGE.S", "");

    assert_eq!(numbers(&bench), [2, 5, 2, 5, 0, 0, 0]);
    let bench = restarted(bench);
    assert_eq!(numbers(&bench), [2, 5, 2, 5, 0, 0, 0]);
}

#[test]
fn a_clock_set_back_before_a_restart_puts_no_redelivery_off() {
    let mut bench = bench(2);
    create(
        &mut bench,
        r#""ack_policy":"explicit","ack_wait":200000000"#,
    );
    wait_ms(&mut bench, 3_600_000);
    let got = pull(&mut bench, "in.1", r#"{"batch":2}"#);
    ack(&mut bench, &got[1].reply, r#"-NAK {"delay":300000000}"#);

    // The clock of the next life begins an hour earlier.
    let mut bench = restarted(bench);

    wait_ms(&mut bench, 200);
    let first = pull(&mut bench, "in.1", r#"{"batch":2,"no_wait":true}"#);
    assert_eq!(bodies(&first)[0], "m0");
    assert!(!bodies(&first).contains(&"m1"), "its delay is not over");
    wait_ms(&mut bench, 100);
    let second = pull(&mut bench, "in.1", r#"{"batch":2,"no_wait":true}"#);
    assert_eq!(bodies(&second)[0], "m1");
}

#[test]
fn a_message_without_deliveries_left_is_delivered_again_when_it_is_revived() {
    let mut bench = bench(2);
    create(
        &mut bench,
        r#""ack_policy":"explicit","ack_wait":100000000,"max_deliver":1"#,
    );
    let got = pull(&mut bench, "in.1", r#"{"batch":2}"#);
    ack(&mut bench, &got[1].reply, "");
    wait_ms(&mut bench, 200);
    assert!(
        pull(&mut bench, "in.1", r#"{"no_wait":true}"#)[0]
            .payload
            .is_empty()
    );

    let (js, world) = (&mut bench.js, &mut bench.world);
    assert!(js.revive(world, ACCOUNT, "S", "c", Seq(1)));
    assert!(
        !js.revive(world, ACCOUNT, "S", "c", Seq(1)),
        "it is under way"
    );
    assert!(
        !js.revive(world, ACCOUNT, "S", "c", Seq(9)),
        "there is none"
    );
    bench.sync();
    let again = pull(&mut bench, "in.1", "1");

    assert_eq!(bodies(&again), ["m0"]);
    ack(&mut bench, &again[0].reply, "");
    assert_eq!(numbers(&bench)[4..], [0, 0, 0], "nothing is out");
}

#[test]
fn a_revived_message_survives_a_restart() {
    let mut bench = bench(2);
    create(
        &mut bench,
        r#""ack_policy":"explicit","ack_wait":100000000"#,
    );
    let got = pull(&mut bench, "in.1", r#"{"batch":2}"#);
    ack(&mut bench, &got[0].reply, "+TERM");
    ack(&mut bench, &got[1].reply, "");

    let (js, world) = (&mut bench.js, &mut bench.world);
    assert!(js.revive(world, ACCOUNT, "S", "c", Seq(1)));
    bench.sync();
    let mut bench = restarted(bench);
    wait_ms(&mut bench, 200);
    let again = pull(&mut bench, "in.1", "1");

    assert_eq!(bodies(&again), ["m0"]);
}

#[test]
fn a_message_that_a_limit_pushes_out_no_longer_waits_for_its_ack() {
    let mut bench = bench(0);
    let config = r#"{"name":"S","subjects":["s.>"],"max_msgs":2}"#;
    bench.ask("STREAM.UPDATE.S", config);
    create(&mut bench, r#""ack_policy":"explicit""#);
    publish(&mut bench, "s.a", 1);
    assert_eq!(bodies(&pull(&mut bench, "in.1", "1")), ["m0"]);

    publish(&mut bench, "s.a", 2);

    assert_eq!(numbers(&bench), [1, 1, 1, 1, 0, 0, 2]);
}

#[test]
fn a_changed_ack_wait_counts_for_messages_that_are_out_already() {
    let mut bench = bench(1);
    create(
        &mut bench,
        r#""ack_policy":"explicit","ack_wait":60000000000"#,
    );
    pull(&mut bench, "in.1", "1");
    wait_ms(&mut bench, 1000);

    create(
        &mut bench,
        r#""ack_policy":"explicit","ack_wait":2000000000"#,
    );
    pull(&mut bench, "in.1", r#"{"expires":60000000000}"#);
    wait_ms(&mut bench, 900);
    assert!(take(&mut bench, "in.1").is_empty());
    wait_ms(&mut bench, 100);

    assert_eq!(bodies(&take(&mut bench, "in.1")), ["m0"]);
}

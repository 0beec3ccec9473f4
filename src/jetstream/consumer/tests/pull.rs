//! Pull consumers: requests, batches, filters and where deliveries begin.

use protocol::store::ReadError;

use super::*;

#[test]
fn a_batch_gets_messages_with_their_subject_and_ack_subject() {
    let mut bench = bench(3);
    create(&mut bench, r#""ack_policy":"explicit""#);

    let got = pull(&mut bench, "in.1", r#"{"batch":2}"#);

    assert_eq!(bodies(&got), ["m0", "m1"]);
    assert_eq!(got[0].subject, "s.a");
    let tokens: Vec<&str> = got[1].reply.split('.').collect();
    assert_eq!(tokens[..7], ["$JS", "ACK", "S", "c", "1", "2", "2"]);
    assert_eq!(tokens[8], "1");
    assert_eq!(numbers(&bench), [2, 2, 0, 0, 2, 0, 1]);
}

#[test]
fn a_waiting_request_gets_what_is_published_later() {
    let mut bench = bench(0);
    create(&mut bench, r#""ack_policy":"explicit""#);

    assert!(pull(&mut bench, "in.1", r#"{"batch":2,"expires":1000000000}"#).is_empty());
    bench.publish("s.a", &[], "late");
    bench.sync();

    assert_eq!(bodies(&take(&mut bench, "in.1")), ["late"]);
    wait_ms(&mut bench, 1001);
    let end = take(&mut bench, "in.1");
    assert_eq!(statuses(&end), ["408 Request Timeout"]);
    assert!(
        end[0]
            .headers
            .contains("Nats-Pending-Messages: 1\r\nNats-Pending-Bytes: 0\r\n")
    );
}

#[test]
fn no_wait_ends_with_404_when_nothing_is_left() {
    let mut bench = bench(1);
    create(&mut bench, r#""ack_policy":"explicit""#);

    let got = pull(&mut bench, "in.1", r#"{"batch":5,"no_wait":true}"#);
    assert_eq!(
        (bodies(&got), statuses(&got)),
        (alloc::vec!["m0", ""], alloc::vec!["404 No Messages"])
    );

    let got = pull(&mut bench, "in.1", r#"{"batch":5,"no_wait":true}"#);
    assert_eq!(statuses(&got), ["404 No Messages"]);
}

#[test]
fn a_no_wait_at_the_limit_of_acks_ends_when_its_heartbeat_is_due() {
    let mut bench = bench(3);
    create(&mut bench, r#""ack_policy":"explicit","max_ack_pending":2"#);
    let body = r#"{"batch":3,"no_wait":true,"expires":900000000,"idle_heartbeat":100000000}"#;
    assert_eq!(bodies(&pull(&mut bench, "in.1", body)), ["m0", "m1"]);
    // It got nothing yet, so it may hope until it expires.
    assert!(pull(&mut bench, "in.2", body).is_empty());

    wait_ms(&mut bench, 101);

    assert_eq!(statuses(&take(&mut bench, "in.1")), ["404 No Messages"]);
    let waiting = take(&mut bench, "in.2");
    assert_eq!(statuses(&waiting), ["100 Idle Heartbeat"]);
}

#[test]
fn requests_take_turns() {
    let mut bench = bench(0);
    create(&mut bench, r#""ack_policy":"explicit""#);
    request(&mut bench, "in.1", r#"{"batch":2}"#);
    request(&mut bench, "in.2", r#"{"batch":2}"#);

    publish_kept(&mut bench, 4);

    assert_eq!(bodies(&take(&mut bench, "in.1")), ["m0", "m2"]);
    assert_eq!(bodies(&take(&mut bench, "in.2")), ["m1", "m3"]);
}

#[test]
fn a_byte_budget_ends_a_request_before_a_message_that_does_not_fit() {
    let mut bench = bench(2);
    create(&mut bench, r#""ack_policy":"explicit""#);

    let got = pull(&mut bench, "in.1", r#"{"batch":9,"max_bytes":60}"#);

    assert_eq!(statuses(&got), ["409 Message Size Exceeds MaxBytes"]);
    assert_eq!(bodies(&got), ["m0", ""]);
}

#[test]
fn a_batch_that_completes_with_bytes_to_spare_says_so() {
    let mut bench = bench(2);
    create(&mut bench, r#""ack_policy":"explicit""#);

    let got = pull(&mut bench, "in.1", r#"{"batch":1,"max_bytes":1000}"#);

    assert_eq!(statuses(&got), ["409 Batch Completed"]);
}

#[test]
fn heartbeats_come_while_a_request_waits() {
    let mut bench = bench(1);
    create(&mut bench, r#""ack_policy":"explicit""#);
    let body = r#"{"batch":2,"expires":1000000000,"idle_heartbeat":400000000}"#;
    pull(&mut bench, "in.1", body);

    wait_ms(&mut bench, 400);

    let got = take(&mut bench, "in.1");
    assert_eq!(statuses(&got), ["100 Idle Heartbeat"]);
    assert!(
        got[0]
            .headers
            .contains("Nats-Last-Consumer: 1\r\nNats-Last-Stream: 1\r\n")
    );
}

#[test]
fn faulty_requests_are_refused() {
    let mut bench = bench(1);
    create(
        &mut bench,
        r#""ack_policy":"explicit","max_batch":10,"max_waiting":1"#,
    );
    for (body, status) in [
        (r#"{"batch":11}"#, "409 Exceeded MaxRequestBatch of 10"),
        (
            r#"{"batch":1,"priority":11}"#,
            "400 Bad Request - Priority must be between 0 and 9",
        ),
        (
            r#"{"batch":1,"id":"x"}"#,
            "400 Bad Request - Not a Pinned Client Priority consumer",
        ),
        (
            r#"{"idle_heartbeat":5}"#,
            "400 Bad Request - heartbeat value too large",
        ),
    ] {
        assert_eq!(statuses(&pull(&mut bench, "in.1", body)), [status]);
    }
    pull(&mut bench, "in.1", "5");
    assert_eq!(
        statuses(&pull(&mut bench, "in.2", "1")),
        ["409 Exceeded MaxWaiting"]
    );
}

#[test]
fn a_request_whose_client_is_gone_is_passed_over() {
    let mut bench = bench(1);
    create(&mut bench, r#""ack_policy":"explicit""#);
    bench.world.gone.push("in.1".to_string());
    request(&mut bench, "in.1", "1");
    request(&mut bench, "in.2", "1");

    bench.sync();

    assert_eq!(bodies(&take(&mut bench, "in.2")), ["m0"]);
    assert_eq!(numbers(&bench), [1, 1, 0, 0, 1, 0, 0]);
}

#[test]
fn nothing_more_is_handed_out_than_acks_may_be_pending() {
    let mut bench = bench(3);
    create(&mut bench, r#""ack_policy":"explicit","max_ack_pending":1"#);

    let got = pull(&mut bench, "in.1", r#"{"batch":3}"#);
    assert_eq!(bodies(&got), ["m0"]);
    ack(&mut bench, &got[0].reply, "");

    assert_eq!(bodies(&take(&mut bench, "in.1")), ["m1"]);
}

#[test]
fn filters_select_messages_and_their_counts() {
    let mut bench = bench(2);
    publish(&mut bench, "s.b", 2);
    publish(&mut bench, "s.c.d", 1);
    create(
        &mut bench,
        r#""ack_policy":"none","filter_subjects":["s.b","s.c.*"]"#,
    );
    assert_eq!(info(&bench).num_pending, 3);

    let got = pull(&mut bench, "in.1", r#"{"batch":9}"#);
    assert_eq!(
        got.iter().map(|d| d.subject.as_str()).collect::<Vec<_>>(),
        ["s.b", "s.b", "s.c.d"]
    );
    bench.publish("s.a", &[], "no");
    bench.publish("s.b", &[], "yes");
    bench.sync();

    assert_eq!(bodies(&take(&mut bench, "in.1")), ["yes"]);
    assert_eq!(info(&bench).num_pending, 0);
}

#[test]
fn deliver_policies_choose_where_to_begin() {
    for (policy, seq, pending) in [
        (r#""deliver_policy":"all""#, 1, 5),
        (r#""deliver_policy":"last""#, 5, 1),
        (
            r#""deliver_policy":"by_start_sequence","opt_start_seq":3"#,
            3,
            3,
        ),
        (
            r#""deliver_policy":"last_per_subject","filter_subject":"s.>""#,
            3,
            2,
        ),
    ] {
        let mut bench = bench(3);
        publish(&mut bench, "s.b", 2);
        create(&mut bench, policy);
        assert_eq!(info(&bench).num_pending, pending, "{policy}");
        let got = pull(&mut bench, "in.1", "1");
        assert_eq!(
            got[0].reply.split('.').nth(5),
            Some(&*seq.to_string()),
            "{policy}"
        );
    }
    let mut bench = bench(3);
    create(&mut bench, r#""deliver_policy":"new""#);
    assert!(pull(&mut bench, "in.1", "1").is_empty());
    publish_kept(&mut bench, 1);
    assert_eq!(
        take(&mut bench, "in.1")[0].reply.split('.').nth(5),
        Some("4")
    );
}

#[test]
fn the_last_message_of_each_subject_comes_first_and_then_what_is_new() {
    let mut bench = bench(2);
    publish(&mut bench, "s.b", 2);
    create(
        &mut bench,
        r#""deliver_policy":"last_per_subject","filter_subject":"s.>""#,
    );
    publish(&mut bench, "s.a", 1);
    assert_eq!(info(&bench).num_pending, 3);

    let got = pull(&mut bench, "in.1", r#"{"batch":9}"#);

    let seqs: Vec<&str> = got
        .iter()
        .filter_map(|d| d.reply.split('.').nth(5))
        .collect();
    assert_eq!(seqs, ["2", "4", "5"]);
    assert_eq!(info(&bench).num_pending, 0);
}

#[test]
fn messages_that_are_not_in_memory_are_waited_for() {
    let mut bench = bench(2);
    create(&mut bench, r#""ack_policy":"explicit""#);
    bench.world.slow_reads = true;

    assert!(pull(&mut bench, "in.1", r#"{"batch":2}"#).is_empty());
    bench.answer_reads();

    assert_eq!(bodies(&take(&mut bench, "in.1")), ["m0", "m1"]);
}

#[test]
fn a_message_that_the_disk_refuses_to_read_is_delivered_when_it_can_be_read() {
    let mut bench = bench(1);
    create(
        &mut bench,
        r#""ack_policy":"explicit","ack_wait":1000000000"#,
    );
    // Once for the first delivery and once for the second: neither is given up.
    for deliveries in ["1", "2"] {
        bench.world.slow_reads = true;
        assert!(pull(&mut bench, "in.1", r#"{"batch":1,"expires":60000000000}"#).is_empty());
        let (read, _) = bench.world.reads.pop().unwrap();
        bench
            .js
            .read_done(&mut bench.world, read, Err(ReadError::Io(5)));
        bench.sync();
        assert_eq!(bench.world.reads, [], "it is not asked for without end");
        bench.world.slow_reads = false;

        wait_ms(&mut bench, 1_100);

        let got = take(&mut bench, "in.1");
        assert_eq!(bodies(&got), ["m0"]);
        assert_eq!(got[0].reply.split('.').nth(4), Some(deliveries));
        wait_ms(&mut bench, 1_100);
    }
}

#[test]
fn headers_only_leaves_the_body_and_tells_its_size() {
    let mut bench = bench(1);
    create(&mut bench, r#""headers_only":true"#);

    let got = pull(&mut bench, "in.1", "1");

    assert_eq!(got[0].headers, "NATS/1.0\r\nNats-Msg-Size: 2\r\n\r\n");
    assert_eq!(got[0].payload, "");
}

/// Publishes and keeps what is delivered.
fn publish_kept(bench: &mut Bench, messages: usize) {
    for i in 0..messages {
        bench.publish("s.a", &[], &format!("m{i}"));
        bench.sync();
    }
}

#[test]
fn a_pull_consumer_repeats_the_publishers_pauses_if_asked_to() {
    let mut bench = bench(1);
    for i in 1..3 {
        bench.world.advance_ms(500);
        bench.publish_acked("s.a", &[], &format!("m{i}"));
    }
    create(
        &mut bench,
        r#""ack_policy":"explicit","replay_policy":"original""#,
    );

    let first = pull(&mut bench, "in.1", r#"{"batch":3,"no_wait":true}"#);
    assert_eq!(bodies(&first), ["m0"]);
    wait_ms(&mut bench, 499);
    assert!(take(&mut bench, "in.1").is_empty());
    wait_ms(&mut bench, 1);
    assert_eq!(bodies(&take(&mut bench, "in.1")), ["m1"]);
    wait_ms(&mut bench, 500);

    assert_eq!(bodies(&take(&mut bench, "in.1")), ["m2"]);
}

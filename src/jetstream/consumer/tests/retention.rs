//! What interest and work queue streams let go of.

use protocol::store::ReadError;

use super::*;

#[test]
fn a_work_queue_lets_go_of_a_message_when_its_ack_is_synced() {
    let mut bench = stream("workqueue", "file");
    create(&mut bench, r#""ack_policy":"explicit""#);
    publish(&mut bench, "s.a", 2);
    let got = pull(&mut bench, "in.1", r#"{"batch":2}"#);
    assert_eq!(messages(&bench), 2);

    assert!(ack(&mut bench, &got[1].reply, ""));

    assert_eq!(messages(&bench), 1);
    assert_eq!(messages(&restarted(bench)), 1);
}

#[test]
fn who_asks_about_a_work_queue_sees_what_was_acknowledged_before() {
    for pumped in [false, true] {
        let mut bench = stream("workqueue", "file");
        create(&mut bench, r#""ack_policy":"explicit""#);
        publish(&mut bench, "s.a", 3);
        let got = pull(&mut bench, "in.1", r#"{"batch":2}"#);

        for message in &got {
            let (js, world) = (&mut bench.js, &mut bench.world);
            js.ack(world, ACCOUNT, message.reply.as_bytes(), b"", b"");
            if pumped {
                js.pump(world);
            }
        }
        let info = bench.ask("STREAM.INFO.S", "");

        assert!(info.contains(r#""messages":1"#), "{info}");
    }
}

#[test]
fn who_asks_about_a_work_queue_on_a_full_disk_does_not_wait_for_acks() {
    let mut bench = stream("workqueue", "file");
    create(&mut bench, r#""ack_policy":"explicit""#);
    publish(&mut bench, "s.a", 3);
    let got = pull(&mut bench, "in.1", r#"{"batch":2}"#);
    bench.world.log_len_max = 0;
    let (js, world) = (&mut bench.js, &mut bench.world);
    js.ack(world, ACCOUNT, got[0].reply.as_bytes(), b"", b"");
    js.pump(world);

    bench.request("STREAM.INFO.S", "");

    let answers = bench.world.take("api");
    assert_eq!(answers.len(), 1, "nothing has been synced");
    assert!(answers[0].contains(r#""messages":3"#), "{}", answers[0]);
}

#[test]
fn an_interest_stream_keeps_a_message_until_everyone_has_acknowledged_it() {
    for storage in ["file", "memory"] {
        let mut bench = stream("interest", storage);
        create(&mut bench, r#""ack_policy":"explicit""#);
        let other =
            r#"{"stream_name":"S","config":{"durable_name":"d","name":"d","ack_policy":"none"}}"#;
        bench.ask("CONSUMER.CREATE.S.d", other);
        publish(&mut bench, "s.a", 1);
        let got = pull(&mut bench, "in.1", "1");

        ack(&mut bench, &got[0].reply, "");
        assert_eq!(messages(&bench), 1);
        bench.request_with_reply("CONSUMER.MSG.NEXT.S.d", "in.2", "1");
        bench.sync();

        assert_eq!(messages(&bench), 0, "{storage}");
    }
}

#[test]
fn ack_all_releases_every_message_before_it() {
    let mut bench = stream("interest", "file");
    create(&mut bench, r#""ack_policy":"all""#);
    publish(&mut bench, "s.a", 3);
    let got = pull(&mut bench, "in.1", r#"{"batch":3}"#);

    ack(&mut bench, &got[1].reply, "");

    assert_eq!(messages(&bench), 1);
}

#[test]
fn what_only_a_deleted_consumer_wanted_goes_with_it() {
    let mut bench = stream("interest", "file");
    create(&mut bench, r#""ack_policy":"explicit""#);
    publish(&mut bench, "s.a", 3);

    bench.ask("CONSUMER.DELETE.S.c", "");

    assert_eq!(messages(&bench), 0);
}

#[test]
fn a_consumer_in_memory_releases_messages_of_a_logged_stream_through_the_log() {
    let mut bench = stream("workqueue", "file");
    create(&mut bench, r#""ack_policy":"explicit","mem_storage":true"#);
    publish(&mut bench, "s.a", 2);
    let got = pull(&mut bench, "in.1", r#"{"batch":2}"#);

    ack(&mut bench, &got[0].reply, "");

    assert_eq!(messages(&restarted(bench)), 1);
}

#[test]
fn a_seal_does_not_keep_acks_of_a_consumer_in_memory_from_removing_messages() {
    let mut bench = stream("workqueue", "file");
    create(&mut bench, r#""ack_policy":"explicit","mem_storage":true"#);
    publish(&mut bench, "s.a", 2);
    let seal = r#"{"name":"S","subjects":["s.>"],"retention":"workqueue","sealed":true}"#;
    let sealed = bench.ask("STREAM.UPDATE.S", seal);
    assert!(sealed.contains(r#""sealed":true"#), "{sealed}");
    let got = pull(&mut bench, "in.1", "1");

    ack(&mut bench, &got[0].reply, "");

    assert_eq!(messages(&bench), 1);
    let refused = bench.ask("STREAM.MSG.DELETE.S", r#"{"seq":2}"#);
    assert!(refused.contains(r#""err_code":10109"#), "{refused}");
}

/// Creates a work queue whose first message, out of two, is found damaged at its `deliveries`th
/// delivery, after others that nobody acknowledged.
fn with_damage(deliveries: usize) -> Bench {
    let mut bench = stream("workqueue", "file");
    create(
        &mut bench,
        r#""ack_policy":"explicit","ack_wait":1000000000"#,
    );
    publish(&mut bench, "s.a", 2);
    for _ in 1..deliveries {
        assert_eq!(bodies(&pull(&mut bench, "in.1", "1")), ["m0"]);
        wait_ms(&mut bench, 1_000);
    }
    bench.world.slow_reads = true;
    assert!(pull(&mut bench, "in.1", "1").is_empty());
    bench.fail_reads(ReadError::Damaged);
    // The request is not used up.
    assert_eq!(bodies(&take(&mut bench, "in.1")), ["m1"]);
    bench
}

#[test]
fn a_damaged_message_is_passed_over_and_stays_in_a_work_queue() {
    for deliveries in 1..3 {
        let mut bench = with_damage(deliveries);
        wait_ms(&mut bench, 1_000);

        let got = pull(&mut bench, "in.2", r#"{"batch":2}"#);
        assert_eq!(bodies(&got), ["m1"]);
        assert!(ack(&mut bench, &got[0].reply, ""));

        assert_eq!(messages(&bench), 1);
        assert_eq!(messages(&restarted(bench)), 1);
    }
}

fn stream(retention: &str, storage: &str) -> Bench {
    let mut bench = Bench::new();
    bench.world.interest.push("in.>".to_string());
    let config = format!(
        r#"{{"name":"S","subjects":["s.>"],"retention":"{retention}","storage":"{storage}"}}"#
    );
    bench.ask("STREAM.CREATE.S", &config);
    bench
}

fn messages(bench: &Bench) -> u64 {
    bench
        .js
        .stream(ACCOUNT, "S")
        .expect("created")
        .core
        .index
        .messages()
}

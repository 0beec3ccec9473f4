//! Push consumers: interest, heartbeats, flow control, and how consumers end.

use super::*;

#[test]
fn messages_are_pushed_while_someone_listens() {
    let mut bench = bench(2);
    create(
        &mut bench,
        r#""deliver_subject":"push.1","ack_policy":"explicit""#,
    );
    assert!(take(&mut bench, "push.1").is_empty());

    subscribe(&mut bench, "push.1");
    assert_eq!(bodies(&take(&mut bench, "push.1")), ["m0", "m1"]);
    assert!(info(&bench).push_bound);
    bench.publish("s.a", &[], "m2");
    bench.sync();

    assert_eq!(bodies(&take(&mut bench, "push.1")), ["m2"]);
}

#[test]
fn a_message_that_nobody_takes_is_kept() {
    let mut bench = bench(1);
    bench.world.gone.push("push.1".to_string());
    bench.world.interest.push("push.1".to_string());
    create(
        &mut bench,
        r#""deliver_subject":"push.1","ack_policy":"explicit""#,
    );
    assert_eq!(numbers(&bench), [0, 0, 0, 0, 0, 0, 1]);

    bench.world.gone.clear();
    subscribe(&mut bench, "push.1");

    assert_eq!(bodies(&take(&mut bench, "push.1")), ["m0"]);
}

#[test]
fn only_members_of_the_deliver_group_count_as_listeners() {
    let mut bench = bench(1);
    create(
        &mut bench,
        r#""deliver_subject":"push.1","deliver_group":"q","ack_policy":"explicit""#,
    );
    subscribe(&mut bench, "push.1");
    assert!(take(&mut bench, "push.1").is_empty());
    assert!(!info(&bench).push_bound);

    let member = ("push.1".to_string(), "q".to_string());
    bench.world.members.push(member);
    subscribe(&mut bench, "push.1");

    assert_eq!(bodies(&take(&mut bench, "push.1")), ["m0"]);
}

#[test]
fn idle_heartbeats_tell_the_last_delivery() {
    let mut bench = bench(1);
    bench.world.interest.push("push.1".to_string());
    create(
        &mut bench,
        r#""deliver_subject":"push.1","idle_heartbeat":500000000"#,
    );
    take(&mut bench, "push.1");

    wait_ms(&mut bench, 500);

    let got = take(&mut bench, "push.1");
    let expected =
        "NATS/1.0 100 Idle Heartbeat\r\nNats-Last-Consumer: 1\r\nNats-Last-Stream: 1\r\n\r\n";
    assert_eq!(got[0].headers, expected);
}

#[test]
fn flow_control_stops_until_the_client_answers() {
    let mut bench = bench(0);
    bench.world.interest.push("push.1".to_string());
    let fields = r#""deliver_subject":"push.1","flow_control":true,"idle_heartbeat":500000000"#;
    create(&mut bench, fields);
    let body = "x".repeat(512 * 1024);
    for _ in 0..8 {
        bench.publish("s.a", &[], &body);
        bench.sync();
    }

    let got = take(&mut bench, "push.1");
    let asked: Vec<&Delivered> = got
        .iter()
        .filter(|d| d.headers.starts_with("NATS/1.0 100 FlowControl Request"))
        .collect();
    assert_eq!(
        (got.len(), asked.len()),
        (5, 1),
        "four messages fill the window of 2 MiB"
    );
    wait_ms(&mut bench, 500);
    let stalled = take(&mut bench, "push.1");
    assert!(
        stalled[0]
            .headers
            .contains(&format!("Nats-Consumer-Stalled: {}", asked[0].reply))
    );
    let (js, world) = (&mut bench.js, &mut bench.world);
    js.flow_reply(world, ACCOUNT, asked[0].reply.as_bytes());
    bench.sync();

    assert!(!take(&mut bench, "push.1").is_empty());
}

#[test]
fn an_ephemeral_consumer_ends_when_nobody_listens_any_more() {
    let mut bench = bench(1);
    bench.world.interest.push("push.1".to_string());
    let body = r#"{"stream_name":"S","config":{"deliver_subject":"push.1","inactive_threshold":1000000000}}"#;
    bench.ask("CONSUMER.CREATE.S", body);
    wait_ms(&mut bench, 2000);
    assert_eq!(consumers(&bench), 1);

    bench.world.interest.retain(|s| s != "push.1");
    interest_changed(&mut bench, "push.1");
    wait_ms(&mut bench, 999);
    assert_eq!(consumers(&bench), 1);
    wait_ms(&mut bench, 1);

    assert_eq!(consumers(&bench), 0);
}

#[test]
fn an_idle_pull_consumer_ends_only_after_its_threshold() {
    let mut bench = bench(1);
    let body =
        r#"{"stream_name":"S","config":{"ack_policy":"explicit","inactive_threshold":1000000000}}"#;
    bench.ask("CONSUMER.CREATE.S", body);
    wait_ms(&mut bench, 1000);
    assert_eq!(consumers(&bench), 1);
    wait_ms(&mut bench, 1100);
    assert_eq!(consumers(&bench), 0);
}

#[test]
fn a_shorter_threshold_counts_from_when_it_was_set() {
    let mut bench = bench(1);
    let create = |s: u64| {
        format!(
            r#"{{"stream_name":"S","config":{{"name":"C","ack_policy":"explicit","inactive_threshold":{s}000000000}}}}"#
        )
    };
    bench.ask("CONSUMER.CREATE.S.C", &create(3600));
    wait_ms(&mut bench, 60_000);
    bench.ask("CONSUMER.CREATE.S.C", &create(1));
    wait_ms(&mut bench, 1000);
    assert_eq!(consumers(&bench), 1);
    wait_ms(&mut bench, 1100);
    assert_eq!(consumers(&bench), 0);
}

fn subscribe(bench: &mut Bench, subject: &str) {
    bench.world.interest.push(subject.to_string());
    interest_changed(bench, subject);
}

fn interest_changed(bench: &mut Bench, subject: &str) {
    bench
        .js
        .interest_changed(&mut bench.world, ACCOUNT, subject.as_bytes());
    bench.sync();
}

fn consumers(bench: &Bench) -> usize {
    bench
        .js
        .stream(ACCOUNT, "S")
        .expect("created")
        .consumers
        .count()
}

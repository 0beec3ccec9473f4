//! Requests about consumers and their answers.

use super::*;

#[test]
fn a_created_consumer_is_told_as_nats_does() {
    let mut bench = bench(2);

    let told = create(&mut bench, r#""ack_policy":"explicit""#);

    assert!(told.starts_with(r#"{"type":"io.nats.jetstream.api.v1.consumer_create_response","stream_name":"S","name":"c","created":"2023"#), "{told}");
    assert!(told.contains(r#""config":{"durable_name":"c","name":"c","deliver_policy":"all","ack_policy":"explicit","ack_wait":30000000000,"max_deliver":-1,"replay_policy":"instant","max_waiting":512,"max_ack_pending":1000,"num_replicas":0,"metadata":{"_nats.level":"5","_nats.req.level":"0","_nats.ver":"2.15.1"}}"#), "{told}");
    assert!(told.contains(r#""delivered":{"consumer_seq":0,"stream_seq":0},"ack_floor":{"consumer_seq":0,"stream_seq":0},"num_ack_pending":0,"num_redelivered":0,"num_waiting":0,"num_pending":2,"ts":""#), "{told}");
}

#[test]
fn creating_the_same_consumer_again_is_fine_and_another_is_not() {
    let mut bench = bench(0);
    create(&mut bench, r#""ack_policy":"explicit""#);
    let again = |fields: &str| {
        format!(
            r#"{{"stream_name":"S","config":{{"name":"c","durable_name":"c",{fields}}},"action":"create"}}"#
        )
    };

    let same = bench.ask("CONSUMER.CREATE.S.c", &again(r#""ack_policy":"explicit""#));
    assert!(same.contains(r#""name":"c""#));
    let other = bench.ask(
        "CONSUMER.CREATE.S.c",
        &again(r#""ack_policy":"explicit","max_deliver":3"#),
    );
    assert!(other.contains(r#""err_code":10148"#), "{other}");
}

#[test]
fn a_change_takes_effect_and_survives_a_restart() {
    let mut bench = bench(3);
    publish(&mut bench, "s.b", 2);
    create(&mut bench, r#""ack_policy":"explicit""#);

    create(
        &mut bench,
        r#""ack_policy":"explicit","filter_subject":"s.b""#,
    );
    assert_eq!(info(&bench).num_pending, 2);

    let bench = restarted(bench);
    assert_eq!(info(&bench).config.filter_subject, "s.b");
    assert_eq!(info(&bench).num_pending, 2);
}

#[test]
fn missing_consumers_are_not_found() {
    let mut bench = bench(0);
    for what in ["CONSUMER.INFO.S.x", "CONSUMER.DELETE.S.x"] {
        assert!(
            bench.ask(what, "").contains(r#""err_code":10014"#),
            "{what}"
        );
    }
    assert!(!bench.request("CONSUMER.MSG.NEXT.S.x", ""));
}

#[test]
fn names_and_lists_are_sorted() {
    let mut bench = bench(0);
    for name in ["b", "a"] {
        let body = format!(r#"{{"stream_name":"S","config":{{"durable_name":"{name}"}}}}"#);
        bench.ask(&format!("CONSUMER.DURABLE.CREATE.S.{name}"), &body);
    }

    let names = bench.ask("CONSUMER.NAMES.S", "");
    assert!(
        names.ends_with(r#""total":2,"offset":0,"limit":1024,"consumers":["a","b"]}"#),
        "{names}"
    );
    let list = bench.ask("CONSUMER.LIST.S", r#"{"offset":1}"#);
    assert!(
        list.contains(
            r#""total":2,"offset":1,"limit":256,"consumers":[{"stream_name":"S","name":"b""#
        ),
        "{list}"
    );
}

#[test]
fn an_ephemeral_consumer_gets_a_name_of_eight_characters() {
    let mut bench = bench(0);
    let told = bench.ask(
        "CONSUMER.CREATE.S",
        r#"{"stream_name":"S","config":{"ack_policy":"none"}}"#,
    );
    let name = told
        .split(r#""name":""#)
        .nth(1)
        .and_then(|rest| rest.split('"').next());
    assert_eq!(name.map(str::len), Some(8));
    assert!(told.contains(r#""inactive_threshold":5000000000"#));
}

#[test]
fn deleting_a_consumer_ends_its_waiting_requests() {
    let mut bench = bench(0);
    create(&mut bench, r#""ack_policy":"explicit""#);
    pull(&mut bench, "in.1", "1");

    let told = bench.ask("CONSUMER.DELETE.S.c", "");

    assert!(told.contains(r#""success":true"#));
    assert_eq!(
        statuses(&take(&mut bench, "in.1")),
        ["409 Consumer Deleted"]
    );
}

#[test]
fn a_paused_consumer_delivers_nothing_until_then() {
    let mut bench = bench(1);
    create(&mut bench, r#""ack_policy":"explicit""#);
    let told = bench.ask(
        "CONSUMER.PAUSE.S.c",
        r#"{"pause_until":"2023-11-14T22:13:25Z"}"#,
    );
    assert!(
        told.contains(r#""paused":true,"pause_until":"2023-11-14T22:13:25Z","pause_remaining":5"#),
        "{told}"
    );

    assert!(pull(&mut bench, "in.1", "1").is_empty());
    assert!(info(&bench).paused);
    wait_ms(&mut bench, 5000);

    assert_eq!(bodies(&take(&mut bench, "in.1")), ["m0"]);
}

#[test]
fn the_end_of_a_pause_that_was_over_before_it_began_is_not_told() {
    let mut bench = bench(1);
    bench.world.interest.push("$JS.EVENT.>".to_string());
    create(&mut bench, r#""ack_policy":"explicit""#);
    bench.ask(
        "CONSUMER.PAUSE.S.c",
        r#"{"pause_until":"2020-01-01T00:00:00Z"}"#,
    );
    let got = pull(&mut bench, "in.1", "1");
    let told = "$JS.EVENT.ADVISORY.CONSUMER.PAUSE.S.c";
    assert_eq!(take(&mut bench, told).len(), 1, "of the request");

    ack(&mut bench, &got[0].reply, r#"-NAK {"delay":1000000}"#);
    wait_ms(&mut bench, 100);

    assert_eq!(bodies(&take(&mut bench, "in.1")).len(), 0);
    assert_eq!(take(&mut bench, told).len(), 0);
}

#[test]
fn a_consumer_that_others_copy_with_begins_behind_its_ack_floor_with_each_change() {
    let mut bench = bench(3);
    let config = r#""ack_policy":"explicit","sourcing":true"#;
    create(&mut bench, config);
    let got = pull(&mut bench, "in.1", r#"{"batch":3}"#);
    ack(&mut bench, &got[0].reply, "");

    create(&mut bench, config);

    assert_eq!(numbers(&bench), [0, 1, 0, 1, 0, 0, 2]);
    assert_eq!(numbers(&restarted(bench)), [0, 1, 0, 1, 0, 0, 2]);
}

#[test]
fn a_reset_delivers_again_from_the_ack_floor_or_where_it_is_told() {
    let mut bench = bench(3);
    create(&mut bench, r#""ack_policy":"explicit""#);
    let got = pull(&mut bench, "in.1", r#"{"batch":3}"#);
    ack(&mut bench, &got[0].reply, "");

    let told = bench.ask("CONSUMER.RESET.S.c", "");
    assert!(told.contains(r#""reset_seq":2"#), "{told}");
    assert_eq!(
        bodies(&pull(&mut bench, "in.1", r#"{"batch":2}"#)),
        ["m1", "m2"]
    );
    let told = bench.ask("CONSUMER.RESET.S.c", r#"{"seq":1}"#);
    assert!(told.contains(r#""reset_seq":1"#), "{told}");

    let mut bench = restarted(bench);
    assert_eq!(numbers(&bench), [0, 0, 0, 0, 0, 0, 3]);
    assert_eq!(
        bodies(&pull(&mut bench, "in.1", r#"{"batch":3}"#)),
        ["m0", "m1", "m2"]
    );
}

#[test]
fn a_pinned_client_is_served_alone() {
    let mut bench = bench(2);
    create(
        &mut bench,
        r#""ack_policy":"explicit","priority_groups":["g"],"priority_policy":"pinned_client""#,
    );
    let got = pull(&mut bench, "in.1", r#"{"batch":1,"group":"g"}"#);
    let pin = got[0]
        .headers
        .split("Nats-Pin-Id: ")
        .nth(1)
        .and_then(|r| r.split('\r').next());
    let pin = pin.expect("pinned").to_string();

    assert!(pull(&mut bench, "in.2", r#"{"batch":1,"group":"g"}"#).is_empty());
    let wrong = pull(&mut bench, "in.3", r#"{"batch":1,"group":"g","id":"x"}"#);
    assert_eq!(statuses(&wrong), ["423 Nats-Pin-Id mismatch"]);
    let body = format!(r#"{{"batch":1,"group":"g","id":"{pin}"}}"#);
    assert_eq!(bodies(&pull(&mut bench, "in.1", &body)), ["m1"]);
}

#[test]
fn the_request_that_pins_a_client_is_served_to_its_end() {
    let mut bench = bench(3);
    create(
        &mut bench,
        r#""ack_policy":"explicit","priority_groups":["g"],"priority_policy":"pinned_client""#,
    );
    let got = pull(&mut bench, "in.1", r#"{"batch":5,"group":"g"}"#);
    assert_eq!(bodies(&got), ["m0", "m1", "m2"]);
    assert!(got.iter().all(|m| m.headers.contains("Nats-Pin-Id: ")));
}

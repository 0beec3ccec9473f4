//! Publishing to streams: what is stored, what is refused, what is answered.

use alloc::string::String;

use protocol::id::Seq;

use crate::testing::{ACCOUNT, Bench};

pub(super) fn bench(config: &str) -> Bench {
    let mut bench = Bench::new();
    let body = String::from("{\"name\":\"S\",\"subjects\":[\"s.>\"]") + config + "}";
    let answer = bench.ask("STREAM.CREATE.S", &body);
    assert!(answer.contains("\"did_create\":true"), "{answer}");
    bench
}

pub(super) fn state(bench: &Bench) -> (u64, u64, u64) {
    let index = &bench.js.stream(ACCOUNT, "S").unwrap().core.index;
    (index.messages(), index.first_seq().0, index.last_seq().0)
}

#[test]
fn a_publish_is_acked_only_after_its_entry_was_synced() {
    let mut bench = bench("");
    bench.publish("s.1", &[], "x");
    assert!(bench.world.take("ack").is_empty());
    bench.sync();
    assert_eq!(bench.world.take("ack"), ["{\"stream\":\"S\",\"seq\":1}"]);
}

#[test]
fn acks_go_to_the_publishers_in_order() {
    let mut bench = bench("");
    for _ in 0..3 {
        bench.publish("s.1", &[], "x");
    }
    bench.sync();
    let acks = bench.world.take("ack");
    assert_eq!(
        acks,
        [
            "{\"stream\":\"S\",\"seq\":1}",
            "{\"stream\":\"S\",\"seq\":2}",
            "{\"stream\":\"S\",\"seq\":3}"
        ]
    );
}

#[test]
fn the_message_ids_of_memphis_count_on_partitions_only() {
    let mut bench = bench("");
    for (stream, doubled) in [("st$1", true), ("st$x", false), ("plain", false)] {
        let config = alloc::format!("{{\"name\":\"{stream}\",\"subjects\":[\"{stream}.>\"]}}");
        bench.ask(&alloc::format!("STREAM.CREATE.{stream}"), &config);
        let subject = alloc::format!("{stream}.final");
        let id = [("msg-id", "m1")];
        bench.publish_acked(&subject, &id, "x");
        let ack = bench.publish_acked(&subject, &id, "x");
        assert_eq!(ack.contains("duplicate"), doubled, "{ack}");
    }
    let both = [("Nats-Msg-Id", "m1")];
    let ack = bench.publish_acked("st$1.final", &both, "x");
    assert!(ack.contains("duplicate"), "{ack}");
}

#[test]
fn publish_with_same_msg_id_inside_window_is_acked_as_duplicate() {
    let mut bench = bench("");
    let id = [("Nats-Msg-Id", "m1")];
    bench.world.advance_ms(1);
    assert_eq!(bench.publish_acked("s.1", &id, "x"), ack(1));
    assert_eq!(
        bench.publish_acked("s.1", &id, "x"),
        "{\"stream\":\"S\",\"seq\":1,\"duplicate\": true}"
    );
    bench.world.advance_ms(120_000);
    assert_eq!(bench.publish_acked("s.1", &id, "x"), ack(2));
}

#[test]
fn a_duplicate_wins_over_a_wrong_last_id_and_loses_to_a_wrong_last_sequence() {
    let mut bench = bench("");
    bench.publish_acked("s.1", &[("Nats-Msg-Id", "m1")], "x");
    let wrong_id = [("Nats-Msg-Id", "m1"), ("Nats-Expected-Last-Msg-Id", "m0")];
    assert!(
        bench
            .publish_acked("s.1", &wrong_id, "x")
            .contains("duplicate")
    );
    let wrong_seq = [("Nats-Msg-Id", "m1"), ("Nats-Expected-Last-Sequence", "7")];
    assert_eq!(
        bench.publish_acked("s.1", &wrong_seq, "x"),
        refusal(400, 10071, "wrong last sequence: 1")
    );
}

#[test]
fn expectations_are_refused_with_the_texts_of_nats() {
    let mut bench = bench("");
    bench.publish_acked("s.1", &[("Nats-Msg-Id", "m1")], "x");
    for (key, value, code, err_code, text) in [
        (
            "Nats-Expected-Stream",
            "X",
            400,
            10060,
            "expected stream does not match",
        ),
        (
            "Nats-Expected-Last-Sequence",
            "abc",
            400,
            10071,
            "wrong last sequence: 1",
        ),
        (
            "Nats-Expected-Last-Subject-Sequence",
            "9",
            400,
            10071,
            "wrong last sequence: 1",
        ),
        (
            "Nats-Expected-Last-Subject-Sequence-Subject",
            "s.>",
            400,
            10193,
            "missing sequence for expected last sequence per subject",
        ),
        (
            "Nats-Expected-Last-Msg-Id",
            "m2",
            400,
            10070,
            "wrong last msg ID: m1",
        ),
        ("Nats-Rollup", "sub", 500, 10111, "rollup not permitted"),
        ("Nats-TTL", "1s", 400, 10166, "per-message TTL is disabled"),
        ("Nats-TTL", "x", 400, 10165, "invalid per-message TTL"),
        (
            "Nats-Stream-Source",
            "x",
            400,
            10227,
            "message stream source header is not allowed",
        ),
    ] {
        let answer = bench.publish_acked("s.1", &[(key, value)], "x");
        assert_eq!(answer, refusal(code, err_code, text), "{key}");
    }
    assert_eq!(state(&bench), (1, 1, 1));
}

#[test]
fn the_expected_sequence_of_a_subject_may_be_that_of_a_pattern() {
    let mut bench = bench("");
    bench.publish_acked("s.a.1", &[], "x");
    let headers = [
        ("Nats-Expected-Last-Subject-Sequence", "1"),
        ("Nats-Expected-Last-Subject-Sequence-Subject", "s.a.*"),
    ];
    assert_eq!(bench.publish_acked("s.a.2", &headers, "x"), ack(2));
    let first = [("Nats-Expected-Last-Subject-Sequence", "0")];
    assert_eq!(bench.publish_acked("s.b", &first, "x"), ack(3));
    assert_eq!(
        bench.publish_acked("s.b", &first, "x"),
        refusal(400, 10071, "wrong last sequence: 3")
    );
}

#[test]
fn a_rollup_replaces_what_came_before() {
    let mut bench = bench(",\"allow_rollup_hdrs\":true");
    for subject in ["s.1", "s.2", "s.1"] {
        bench.publish_acked(subject, &[], "x");
    }
    bench.publish_acked("s.1", &[("Nats-Rollup", "sub")], "x");
    assert_eq!(state(&bench), (2, 2, 4));
    assert_eq!(
        bench.publish_acked("s.1", &[("Nats-Rollup", "foo")], "x"),
        refusal(500, 10111, "rollup value invalid: \\\"foo\\\"")
    );
    bench.publish_acked("s.3", &[("Nats-Rollup", "all")], "x");
    assert_eq!(state(&bench), (1, 5, 5));
}

#[test]
fn a_rollup_on_a_subject_with_wildcards_replaces_all_that_match() {
    let mut bench = bench(",\"allow_rollup_hdrs\":true");
    for subject in ["s.1", "s.2", "s.1.x"] {
        bench.publish_acked(subject, &[], "x");
    }
    bench.publish_acked("s.*", &[("Nats-Rollup", "sub")], "x");
    assert_eq!(state(&bench), (2, 3, 4));
    bench.publish_acked("s.*", &[("Nats-Rollup", "sub")], "x");
    assert_eq!(state(&bench), (2, 3, 5));
}

#[test]
fn without_interest_a_message_gets_a_sequence_and_is_not_kept() {
    let mut bench = bench(",\"retention\":\"interest\"");
    let id = [("Nats-Msg-Id", "m1")];
    assert_eq!(bench.publish_acked("s.1", &id, "x"), ack(1));
    assert!(bench.publish_acked("s.1", &id, "x").contains("duplicate"));
    assert_eq!(state(&bench), (0, 2, 1));
}

#[test]
fn no_ack_streams_stay_silent() {
    let mut bench = bench(",\"no_ack\":true");
    assert_eq!(bench.publish_acked("s.1", &[], "x"), "");
    assert_eq!(state(&bench), (1, 1, 1));
}

#[test]
fn a_memory_stream_is_acked_at_once_and_never_logged() {
    let mut bench = bench(",\"storage\":\"memory\"");
    bench.publish("s.1", &[], "x");
    assert_eq!(bench.world.take("ack"), [ack(1)]);
    assert!(bench.world.log.is_empty());
    let answer = bench.ask("STREAM.MSG.GET.S", "{\"seq\":1}");
    assert!(answer.contains("\"data\":\"eA==\""), "{answer}");
}

#[test]
fn when_the_store_is_poisoned_everyone_who_waits_and_whoever_comes_is_told() {
    let mut bench = bench("");
    bench.publish("s.1", &[], "x");
    bench.request("STREAM.PURGE.S", "");
    bench.request("STREAM.INFO.S", "");
    bench.js.poison(&mut bench.world, "write error");
    let text = "\"err_code\":10077,\"description\":\"write error\"";
    assert!(bench.world.take("ack")[0].contains(text));
    let answers = bench.world.take("api");
    assert!(
        answers.len() == 2 && answers.iter().all(|a| a.contains(text)),
        "{answers:?}"
    );
    bench.publish("s.1", &[], "x");
    assert!(bench.world.take("ack")[0].contains(text));
    bench.request("STREAM.DELETE.S", "");
    assert!(bench.world.take("api")[0].contains(text));
}

#[test]
fn request_info_of_other_accounts_is_not_stored() {
    let mut bench = bench("");
    bench.publish_acked("s.1", &[("Nats-Request-Info", "x")], "x");
    let answer = bench.ask("STREAM.MSG.GET.S", "{\"seq\":1}");
    assert!(!answer.contains("hdrs"), "{answer}");
}

pub(super) fn ack(seq: u64) -> String {
    alloc::format!("{{\"stream\":\"S\",\"seq\":{seq}}}")
}

pub(super) fn refusal(code: u16, err_code: u16, text: &str) -> String {
    alloc::format!(
        "{{\"error\":{{\"code\":{code},\"err_code\":{err_code},\"description\":\"{text}\"}},\
         \"stream\":\"S\",\"seq\":0}}"
    )
}

#[test]
fn where_nobody_waits_for_the_disk_acks_come_at_once_and_in_order() {
    let mut bench = Bench::new();
    let config = r#"{"name":"S","subjects":["s"],"persist_mode":"async"}"#;
    bench.ask("STREAM.CREATE.S", config);

    bench.publish("s", &[], "1");
    bench.publish("s", &[], "2");
    let acks = [r#"{"stream":"S","seq":1}"#, r#"{"stream":"S","seq":2}"#];
    assert_eq!(bench.world.take("ack"), acks);

    // Whether this one is stored is known when it is applied, and what follows waits for it.
    bench.publish("s", &[("Nats-Expected-Last-Sequence", "7")], "no");
    bench.publish("s", &[], "3");
    assert_eq!(bench.world.take("ack"), [] as [String; 0]);
    bench.sync();
    let acks = bench.world.take("ack");
    assert!(acks[0].contains("wrong last sequence"), "{}", acks[0]);
    assert_eq!(acks[1], r#"{"stream":"S","seq":3}"#);

    // A change that is under way is waited for, too.
    bench.request(
        "STREAM.UPDATE.S",
        &config.replace('}', r#","sealed":true}"#),
    );
    bench.publish("s", &[], "4");
    assert_eq!(bench.world.take("ack"), [] as [String; 0]);
    bench.sync();
    assert!(bench.world.take("ack")[0].contains("sealed"));
}

#[test]
fn what_a_crash_took_before_it_was_synced_was_acknowledged_for_nothing_if_so_configured() {
    let mut bench = Bench::new();
    let config = r#"{"name":"S","subjects":["s"],"persist_mode":"async"}"#;
    bench.ask("STREAM.CREATE.S", config);
    bench.publish_acked("s", &[], "1");
    let synced = bench.world.log.clone();
    bench.publish("s", &[], "2");
    assert_eq!(bench.world.take("ack"), [r#"{"stream":"S","seq":2}"#]);

    let mut next = Bench::with_log(synced);

    assert_eq!(
        next.js.streams().map(|s| s.core.index.last_seq()).max(),
        Some(Seq(1))
    );
    next.publish("s", &[], "other");
    assert_eq!(next.world.take("ack"), [r#"{"stream":"S","seq":2}"#]);
}

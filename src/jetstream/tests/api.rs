//! Requests about streams and accounts, as clients send them.

use alloc::format;
use alloc::string::String;

use protocol::js::info::AccountLimits;

use crate::Options;
use crate::testing::{ACCOUNT, Bench};

const CONFIG: &str = "{\"name\":\"S\",\"subjects\":[\"s.>\"],\"allow_direct\":true}";

pub(super) fn bench() -> Bench {
    let mut bench = Bench::new();
    bench.ask("STREAM.CREATE.S", CONFIG);
    bench
}

pub(super) fn error(kind: &str, code: u16, err_code: u16, text: &str) -> String {
    format!(
        "{{\"type\":\"io.nats.jetstream.api.v1.{kind}_response\",\"error\":{{\"code\":{code},\
         \"err_code\":{err_code},\"description\":\"{text}\"}}}}"
    )
}

#[test]
fn a_new_stream_is_told_about_as_nats_does() {
    let answer = Bench::new().ask("STREAM.CREATE.S", CONFIG);
    let expected = "{\"type\":\"io.nats.jetstream.api.v1.stream_create_response\",\"config\":{\
        \"name\":\"S\",\"subjects\":[\"s.\\u003e\"],\"retention\":\"limits\",\"max_consumers\":-1,\
        \"max_msgs\":-1,\"max_bytes\":-1,\"max_age\":0,\"max_msgs_per_subject\":-1,\
        \"max_msg_size\":-1,\"discard\":\"old\",\"storage\":\"file\",\"num_replicas\":1,\
        \"duplicate_window\":120000000000,\"compression\":\"none\",\"allow_direct\":true,\
        \"mirror_direct\":false,\"sealed\":false,\"deny_delete\":false,\"deny_purge\":false,\
        \"allow_rollup_hdrs\":false,\"consumer_limits\":{},\"allow_msg_ttl\":false,\"metadata\":{\
        \"_nats.level\":\"5\",\"_nats.req.level\":\"0\",\"_nats.ver\":\"2.15.1\"}},\
        \"created\":\"2023-11-14T22:13:20Z\",\"state\":{\"messages\":0,\"bytes\":0,\"first_seq\":0,\
        \"first_ts\":\"0001-01-01T00:00:00Z\",\"last_seq\":0,\"last_ts\":\"0001-01-01T00:00:00Z\",\
        \"consumer_count\":0},\"ts\":\"2023-11-14T22:13:20Z\",\"did_create\":true}";
    assert_eq!(answer, expected);
}

#[test]
fn creating_the_same_again_succeeds_and_another_of_that_name_fails() {
    let mut bench = bench();
    let again = bench.ask("STREAM.CREATE.S", CONFIG);
    assert!(again.contains("\"did_create\":true"), "{again}");
    assert_eq!(
        bench.ask("STREAM.CREATE.S", "{\"name\":\"S\"}"),
        error(
            "stream_create",
            400,
            10058,
            "stream name already in use with a different configuration"
        )
    );
    assert_eq!(
        bench.ask("STREAM.CREATE.T", "{\"name\":\"T\",\"subjects\":[\"s.x\"]}"),
        error(
            "stream_create",
            400,
            10065,
            "subjects overlap with an existing stream"
        )
    );
}

#[test]
fn two_creates_under_way_at_once_are_decided_one_after_the_other() {
    let mut bench = Bench::new();
    bench.request("STREAM.CREATE.S", "{\"name\":\"S\",\"subjects\":[\"a\"]}");
    bench.request("STREAM.CREATE.T", "{\"name\":\"T\",\"subjects\":[\"a\"]}");
    bench.request("STREAM.NAMES", "");
    bench.sync();
    let answers = bench.world.take("api");
    assert!(answers[0].contains("did_create"), "{answers:?}");
    assert!(answers[1].contains("10065"), "{answers:?}");
    assert!(answers[2].contains("\"total\":1,"), "{answers:?}");
}

#[test]
fn a_connection_reads_its_own_publishes() {
    let mut bench = bench();
    bench.publish("s.1", &[], "x");
    bench.request("STREAM.INFO.S", "");
    assert!(bench.world.take("api").is_empty());
    bench.sync();
    let answer = bench.world.take("api").remove(0);
    assert!(answer.contains("\"messages\":1,"), "{answer}");
    assert!(
        answer.contains("\"cluster\":{\"leader\":\"srv\"}"),
        "{answer}"
    );
}

#[test]
fn a_waiting_request_is_not_held_up_by_what_is_published_later() {
    let mut bench = bench();
    bench.publish("s.1", &[], "x");
    bench.request("STREAM.INFO.S", "");
    bench.publish("s.1", &[], "x");
    bench.apply_one();
    assert_eq!(bench.world.take("api").len(), 1);
}

#[test]
fn a_deleted_stream_is_gone_and_publishes_under_way_find_nobody() {
    let mut bench = bench();
    let id = bench.world.bound[0].1;
    bench.request("STREAM.DELETE.S", "");
    bench.publish("s.1", &[], "late");
    bench.sync();
    assert!(bench.world.take("api")[0].contains("\"success\":true"));
    assert_eq!(bench.world.take("ack"), ["NATS/1.0 503\r\n\r\n"]);
    assert!(bench.world.bound.iter().all(|(_, bound)| *bound != id));
    let missing = bench.ask("STREAM.INFO.S", "");
    assert!(missing.contains("\"err_code\":10059"), "{missing}");
    assert!(
        missing.ends_with(",\"total\":0,\"offset\":0,\"limit\":0}"),
        "{missing}"
    );
}

#[test]
fn tighter_limits_trim_at_once() {
    let mut bench = bench();
    for i in 0..20 {
        bench.publish_acked(&format!("s.{}", i % 4), &[], "x");
    }
    let update = "{\"name\":\"S\",\"subjects\":[\"s.>\"],\"max_msgs_per_subject\":2}";
    let answer = bench.ask("STREAM.UPDATE.S", update);
    assert!(answer.contains("\"messages\":8,"), "{answer}");
    let update = "{\"name\":\"S\",\"subjects\":[\"s.>\"],\"max_msgs\":3}";
    let answer = bench.ask("STREAM.UPDATE.S", update);
    assert!(answer.contains("\"messages\":3,"), "{answer}");
    assert!(answer.contains("\"first_seq\":18,"), "{answer}");
}

#[test]
fn lists_are_paged_and_filtered() {
    let mut bench = Bench::new();
    for i in 0..300 {
        let name = format!("S{i:03}");
        bench.ask(
            &format!("STREAM.CREATE.{name}"),
            &format!("{{\"name\":\"{name}\"}}"),
        );
    }
    let names = bench.ask("STREAM.NAMES", "{\"offset\":298}");
    assert!(
        names.ends_with(
            "\"total\":300,\"offset\":298,\"limit\":1024,\"streams\":[\"S298\",\"S299\"]}"
        ),
        "{names}"
    );
    let list = bench.ask("STREAM.LIST", "");
    assert_eq!(list.matches("\"config\":").count(), 256);
    let list = bench.ask("STREAM.LIST", "{\"subject\":\"S007\"}");
    assert!(list.contains("\"total\":1,"), "{list}");
    assert!(!list.contains("_nats.ver"), "{list}");
    let none = bench.ask("STREAM.NAMES", "{\"subject\":\"nope\"}");
    assert!(
        none.ends_with("\"total\":0,\"offset\":0,\"limit\":1024,\"streams\":null}"),
        "{none}"
    );
}

#[test]
fn the_account_tells_what_it_uses() {
    let mut bench = bench();
    bench.publish_acked("s.1", &[], "x");
    let info = bench.ask("INFO", "");
    assert!(info.contains("\"memory\":0,\"storage\":34,"), "{info}");
    assert!(info.contains("\"streams\":1,\"consumers\":0,"), "{info}");
    assert!(
        info.ends_with("\"api\":{\"level\":5,\"total\":1,\"errors\":0}}"),
        "{info}"
    );
}

#[test]
fn requests_and_errors_are_counted_as_nats_does() {
    let mut bench = bench();
    bench.publish_acked("s.1", &[], "x");
    for (request, body) in [
        ("STREAM.MSG.GET.S", "{\"seq\":1}"),
        ("STREAM.MSG.GET.S", "{\"seq\":9}"),
        ("DIRECT.GET.S", "{\"seq\":9}"),
        ("STREAM.MSG.DELETE.S", "{\"seq\":1}"),
        ("STREAM.MSG.DELETE.S", "{\"seq\":1}"),
        ("STREAM.INFO.nope", ""),
    ] {
        bench.ask(request, body);
    }
    let info = bench.ask("INFO", "");
    let counted = "\"total\":5,\"errors\":2}}";
    assert!(info.ends_with(counted), "{info}");
}

#[test]
fn limits_of_a_tier_stand_under_its_name() {
    let mut bench = bench();
    let limits = AccountLimits {
        max_storage: 5_000,
        tiered: true,
        ..AccountLimits::UNLIMITED
    };
    bench.js.configure_account(ACCOUNT, "$G", Some(limits));
    bench.publish_acked("s.1", &[], "x");

    let info = bench.ask("INFO", "");

    assert!(
        info.contains(r#""limits":{"max_memory":0,"max_storage":0"#),
        "{info}"
    );
    let tier = info.split_once(r#""tiers":{"R1":"#).expect("a tier").1;
    assert!(tier.contains(r#""storage":34"#), "{tier}");
    assert!(
        tier.contains(r#""limits":{"max_memory":-1,"max_storage":5000"#),
        "{tier}"
    );
}

#[test]
fn an_account_without_jetstream_is_told_so() {
    let mut bench = bench();
    bench.js.configure_account(ACCOUNT, "$G", None);
    let expected = error(
        "stream_info",
        503,
        10039,
        "JetStream not enabled for account",
    );
    let answer = bench.ask("STREAM.INFO.S", "");
    assert!(
        answer.starts_with(expected.trim_end_matches('}')),
        "{answer}"
    );
}

#[test]
fn unknown_requests_and_those_of_clusters_are_met_with_silence() {
    let mut bench = bench();
    for subject in ["BOGUS", "STREAM.BOGUS.S", "META.LEADER.STEPDOWN"] {
        assert!(bench.request(subject, ""));
        bench.sync();
        assert!(bench.world.take("api").is_empty(), "{subject}");
    }
    assert_eq!(
        bench.ask("STREAM.LEADER.STEPDOWN.S", ""),
        error(
            "stream_leader_stepdown",
            503,
            10010,
            "JetStream clustering support required"
        )
    );
}

#[test]
fn unknown_fields_are_refused_when_strict() {
    assert_eq!(
        bench().ask("STREAM.CREATE.T", "{\"name\":\"T\",\"bogus\":1}"),
        error(
            "stream_create",
            400,
            10025,
            "invalid JSON: json: unknown field \\\"bogus\\\""
        )
    );
}

#[test]
fn advisories_come_before_the_answer_and_the_audit_after_it() {
    let mut bench = Bench::new();
    bench.world.interest.push("$JS.EVENT.>".into());
    bench.request("STREAM.CREATE.S", CONFIG);
    bench.sync();
    let to: alloc::vec::Vec<_> = bench.world.delivered.iter().map(|d| &*d.to).collect();
    assert_eq!(
        to,
        [
            "$JS.EVENT.ADVISORY.STREAM.CREATED.S",
            "api",
            "$JS.EVENT.ADVISORY.API"
        ]
    );
    let action = &bench.world.delivered[0].payload;
    assert!(
        action.ends_with("\"stream\":\"S\",\"action\":\"create\"}"),
        "{action}"
    );
    let audit = &bench.world.delivered[2].payload;
    assert!(
        audit.contains("\"server\":\"srv\",\"client\":{\"acc\":\"$G\"},\"subject\":"),
        "{audit}"
    );
}

#[test]
fn requests_beyond_the_limit_are_dropped_and_the_operator_is_told() {
    let options = Options {
        requests_max: 2,
        system_account: Some(ACCOUNT),
        ..Options::default()
    };
    let mut bench = Bench::with_options(options);
    let advisory = "$JS.EVENT.ADVISORY.API.LIMIT_REACHED";
    bench.world.interest.push(advisory.into());
    bench.request_with_reply("STREAM.CREATE.S", "r.0", CONFIG);
    for reply in ["r.1", "r.2", "r.3"] {
        bench.request_with_reply("STREAM.NAMES", reply, "");
    }
    let told = bench.world.take(advisory);
    assert!(told[0].contains("\"dropped\":3}"), "{told:?}");
    bench.request_with_reply("STREAM.NAMES", "r.4", "");

    bench.sync();

    let answered = ["r.0", "r.1", "r.2", "r.3", "r.4"].map(|r| bench.world.take(r).len());
    assert_eq!(answered, [1, 0, 0, 0, 1]);
}

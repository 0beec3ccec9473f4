//! Subjects that change: on the way into a stream, and when a message is published again.

use alloc::string::String;

use crate::testing::{ACCOUNT, Bench};

fn bench(storage: &str, config: &str) -> Bench {
    let mut bench = Bench::new();
    let body = alloc::format!(
        "{{\"name\":\"S\",\"subjects\":[\"in.>\"],\"storage\":\"{storage}\",{config}}}"
    );
    let answer = bench.ask("STREAM.CREATE.S", &body);
    assert!(answer.contains("\"did_create\":true"), "{answer}");
    bench
}

#[test]
fn a_transformed_subject_is_what_is_checked_and_stored() {
    for storage in ["file", "memory"] {
        let config = "\"subject_transform\":{\"src\":\"in.*\",\"dest\":\"out.{{wildcard(1)}}\"}";
        let mut bench = bench(storage, config);
        bench.publish_acked("in.a", &[], "1");
        bench.publish_acked("in.a.b", &[], "2");
        let expected = [("Nats-Expected-Last-Subject-Sequence", "1")];
        let ack = bench.publish_acked("in.a", &expected, "3");
        assert_eq!(ack, "{\"stream\":\"S\",\"seq\":3}");
        let core = &bench.js.stream(ACCOUNT, "S").unwrap().core;
        let counts = core.subject_counts(">");
        let count = |subject: &str, count| (String::from(subject), count);
        assert_eq!(counts, [count("in.a.b", 1), count("out.a", 2)]);
        assert_eq!(core.subject_counts("in.>"), [count("in.a.b", 1)]);
    }
}

#[test]
fn a_stored_message_is_published_again_but_not_at_recovery() {
    let config = "\"republish\":{\"src\":\"in.*\",\"dest\":\"re.{{wildcard(1)}}\"}";
    let mut bench = bench("file", config);
    bench.publish_acked("in.a", &[], "1");
    bench.publish_acked("in.a", &[("K", "V")], "2");
    let again = bench.world.take("re.a");
    assert_eq!(again.len(), 2);
    assert_eq!(
        again[1],
        "NATS/1.0\r\nK: V\r\nNats-Stream: S\r\nNats-Subject: in.a\r\nNats-Sequence: 2\r\n\
         Nats-Time-Stamp: 2023-11-14T22:13:20.000000002Z\r\nNats-Last-Sequence: 1\r\n\r\n2"
    );
    let replayed = Bench::with_log(bench.world.log.clone());
    assert!(replayed.world.delivered.is_empty());
    assert_eq!(replayed.js.state_hash(), bench.js.state_hash());
}

#[test]
fn republishing_headers_alone_tells_the_size_of_the_body() {
    let config = "\"republish\":{\"src\":\">\",\"dest\":\"re.>\",\"headers_only\":true}";
    let mut bench = bench("file", config);
    bench.publish_acked("in.a", &[], "hello");
    let again = bench.world.take("re.in.a").pop().unwrap_or_default();
    assert!(again.ends_with("Nats-Msg-Size: 5\r\n\r\n"), "{again}");
}

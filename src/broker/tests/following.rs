//! Messages that are followed on their way.

use alloc::format;
use alloc::string::String;

use config::Options;

use super::harness::World;

/// Returns a PUB with headers.
fn followed(subject: &str, headers: &str) -> String {
    let block = format!("NATS/1.0\r\nNats-Trace-Dest: way\r\n{headers}\r\n");
    let len = block.len();
    format!("HPUB {subject} {len} {}\r\n{block}hi\r\n", len + 2)
}

fn with_stream() -> (World, protocol::id::ConnId) {
    let mut options = Options::default();
    options.jetstream.enabled = true;
    let mut world = World::new(options);
    world.recover();
    let client = world.client();
    let body = r#"{"name":"S","subjects":["s.*"],"storage":"file"}"#;
    let len = body.len();
    let create = format!("SUB in 1\r\nPUB $JS.API.STREAM.CREATE.S in {len}\r\n{body}\r\n");
    world.say(client, &create);
    world.settle_disk();
    assert!(world.hear(client).contains("did_create"));
    world.say(client, "SUB way 2\r\n");
    (world, client)
}

#[test]
fn the_report_of_a_stored_message_waits_for_the_disk() {
    let (mut world, client) = with_stream();
    world.say(client, &followed("s.a", ""));
    assert_eq!(world.hear(client), "");
    world.settle_disk();
    let report = world.hear(client);
    assert!(report.starts_with("MSG way 2 "), "{report}");
    assert!(
        report.contains(r#""stream":"S","subject":"s.a"}]"#),
        "{report}"
    );
}

#[test]
fn a_message_that_is_only_followed_is_not_stored() {
    let (mut world, client) = with_stream();
    world.say(client, &followed("s.a", "Nats-Trace-Only: on\r\n"));
    let report = world.hear(client);
    assert!(
        report.contains(r#""stream":"S","subject":"s.a"}]"#),
        "{report}"
    );
    world.settle_disk();
    let machine = world.shard.jetstream().expect("JetStream is on");
    let stream = machine.streams().next().expect("a stream was made");
    assert_eq!(stream.core.index.messages(), 0);
}

#[test]
fn a_message_that_is_only_followed_does_not_use_up_a_subscription() {
    let mut world = World::new(Options::default());
    let (a, b) = (world.client(), world.client());
    world.say(a, "SUB way 1\r\n");
    world.say(b, "SUB foo 1\r\nUNSUB 1 1\r\n");
    world.say(a, &followed("foo", "Nats-Trace-Only: 1\r\n"));
    assert!(world.hear(a).contains(r#""sub":"foo"}]"#));
    assert_eq!(world.hear(b), "");
    world.say(a, "PUB foo 2\r\nhi\r\n");
    assert_eq!(world.hear(b), "MSG foo 1 2\r\nhi\r\n");
}

#[test]
fn events_that_a_followed_message_causes_are_no_part_of_its_way() {
    let (mut world, client) = with_stream();
    let report = world.ask(client, &followed("$JS.API.STREAM.INFO.S", ""));
    assert_eq!(report.matches(r#""type":"#).count(), 2, "{report}");
    assert!(report.contains(r#""type":"si""#), "{report}");
}

#[test]
fn the_report_of_a_message_that_is_too_large_says_so() {
    let mut options = Options::default();
    options.limits.payload_max = 100;
    let mut world = World::new(options);
    let (client, large) = (world.client(), world.client());
    world.say(client, "SUB way 1\r\n");
    let block = "NATS/1.0\r\nNats-Trace-Dest: way\r\nA: b\r\n\r\n";
    let line = format!("HPUB foo {} 2000\r\n", block.len());
    // The rest of the headers has not come.
    let come = block.get(..block.len() - 4).expect("longer");
    world.say(large, &format!("{line}{come}"));
    let report = world.hear(client);
    for part in [
        r#""request":{"header":{"Nats-Trace-Dest":["way"]},"msgsize":2000}"#,
        r#""acc":"$G","subj":"foo","error":"maximum payload exceeded"}]"#,
    ] {
        assert!(report.contains(part), "{report}");
    }
    assert_eq!(world.hear(large), "-ERR 'Maximum Payload Violation'\r\n");
}

//! Requests that make something new share a sync; all others wait for what is under way.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use crate::testing::Bench;

fn create_stream(bench: &mut Bench, name: &str, subject: &str, more: &str) {
    let config = format!(r#"{{"name":"{name}","subjects":["{subject}"]{more}}}"#);
    bench.request(&format!("STREAM.CREATE.{name}"), &config);
}

fn create_consumer(bench: &mut Bench, name: &str, more: &str) {
    let config = format!(r#"{{"durable_name":"{name}","ack_policy":"explicit"{more}}}"#);
    let body = format!(r#"{{"stream_name":"S","config":{config}}}"#);
    bench.request(&format!("CONSUMER.CREATE.S.{name}"), &body);
}

/// Returns the log entries that a sync would cover now.
fn under_way(bench: &Bench) -> usize {
    bench.world.log.len() - bench.world.synced
}

fn answers(bench: &mut Bench) -> Vec<String> {
    bench.sync();
    bench.world.take("api")
}

#[test]
fn a_thousand_streams_need_one_sync() {
    let mut bench = Bench::new();
    for i in 0..1000 {
        create_stream(&mut bench, &format!("S{i}"), &format!("s.{i}"), "");
    }
    assert_eq!(under_way(&bench), 1000);

    let answers = answers(&mut bench);

    assert_eq!(answers.len(), 1000);
    assert!(answers.iter().all(|answer| answer.contains("did_create")));
    assert!(answers[7].contains(r#""name":"S7""#));
}

#[test]
fn a_thousand_consumers_need_one_sync() {
    let mut bench = Bench::new();
    bench.ask("STREAM.CREATE.S", r#"{"name":"S","subjects":["s.>"]}"#);
    for i in 0..1000 {
        create_consumer(&mut bench, &format!("c{i}"), "");
    }
    assert_eq!(under_way(&bench), 1000);
    assert_eq!(answers(&mut bench).len(), 1000);
}

#[test]
fn of_two_streams_that_want_the_same_the_first_gets_it() {
    let mut bench = Bench::new();
    create_stream(&mut bench, "A", "a.>", "");
    create_stream(&mut bench, "A", "other", "");
    create_stream(&mut bench, "B", "a.*", "");
    create_stream(&mut bench, "A", "a.>", "");

    let answers = answers(&mut bench);

    assert!(answers[0].contains("did_create"), "{}", answers[0]);
    assert!(answers[1].contains("already in use"), "{}", answers[1]);
    assert!(answers[2].contains("overlap"), "{}", answers[2]);
    assert!(answers[3].contains("did_create"), "{}", answers[3]);
}

#[test]
fn a_consumer_of_the_same_name_waits_for_the_one_under_way() {
    let mut bench = Bench::new();
    bench.ask("STREAM.CREATE.S", r#"{"name":"S","subjects":["s.>"]}"#);
    create_consumer(&mut bench, "c", "");
    create_consumer(&mut bench, "c", r#","ack_policy":"none""#);
    assert_eq!(under_way(&bench), 1);

    let answers = answers(&mut bench);

    assert!(!answers[0].contains("error"), "{}", answers[0]);
    assert!(answers[1].contains("10012"), "{}", answers[1]);
}

#[test]
fn who_reads_sees_what_was_made_before_and_nobody_overtakes_it() {
    let mut bench = Bench::new();
    create_stream(&mut bench, "A", "a", "");
    create_stream(&mut bench, "B", "b", "");
    bench.request("STREAM.NAMES", "");
    create_stream(&mut bench, "C", "c", "");
    bench.request("STREAM.DELETE.A", "");
    create_stream(&mut bench, "D", "d", "");
    bench.request("STREAM.NAMES", "");
    assert_eq!(under_way(&bench), 2);

    let answers = answers(&mut bench);

    assert_eq!(answers.len(), 7);
    assert!(
        answers[2].contains(r#""streams":["A","B"]"#),
        "{}",
        answers[2]
    );
    assert!(
        answers[6].contains(r#""streams":["B","C","D"]"#),
        "{}",
        answers[6]
    );
}

#[test]
fn what_depends_on_others_waits_for_them() {
    let mut bench = Bench::new();
    create_stream(&mut bench, "A", "a", "");
    create_stream(&mut bench, "M", "m", r#","max_bytes":1000"#);
    assert_eq!(under_way(&bench), 1);
    assert!(answers(&mut bench)[1].contains("did_create"));

    bench.ask(
        "STREAM.CREATE.S",
        r#"{"name":"S","subjects":["s"],"max_consumers":1}"#,
    );
    create_consumer(&mut bench, "c1", "");
    create_consumer(&mut bench, "c2", "");
    assert_eq!(under_way(&bench), 1);
    assert!(answers(&mut bench)[1].contains("maximum consumers limit"));

    bench.request("STREAM.DELETE.S", "");
    create_consumer(&mut bench, "c3", "");
    assert_eq!(under_way(&bench), 1);
    assert!(answers(&mut bench)[1].contains("stream not found"));
}

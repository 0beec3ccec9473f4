//! Atomic batches: all messages or none, whatever happens on the way.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use crate::testing::{ACCOUNT, Bench};

fn bench(config: &str) -> Bench {
    let mut bench = Bench::new();
    let body =
        String::from("{\"name\":\"S\",\"subjects\":[\"s.>\"],\"allow_atomic\":true") + config + "}";
    let answer = bench.ask("STREAM.CREATE.S", &body);
    assert!(answer.contains("\"did_create\":true"), "{answer}");
    bench
}

/// Publishes one message of a batch and returns what its publisher is told.
fn part(bench: &mut Bench, id: &str, seq: u64, more: &[(&str, &str)]) -> String {
    let subject = format!("s.{seq}");
    part_on(bench, &subject, id, seq, more)
}

fn part_on(bench: &mut Bench, subject: &str, id: &str, seq: u64, more: &[(&str, &str)]) -> String {
    let seq = format!("{seq}");
    let mut headers = Vec::from([("Nats-Batch-Id", id), ("Nats-Batch-Sequence", seq.as_str())]);
    headers.extend(more);
    bench.publish_acked(subject, &headers, "x")
}

const COMMIT: (&str, &str) = ("Nats-Batch-Commit", "1");

fn messages(bench: &Bench) -> u64 {
    bench.js.stream(ACCOUNT, "S").unwrap().core.index.messages()
}

fn refused(err_code: u32) -> String {
    format!("\"err_code\":{err_code},")
}

#[test]
fn a_batch_is_stored_when_its_last_message_comes_and_acked_once() {
    for storage in ["", ",\"storage\":\"memory\""] {
        let mut bench = bench(storage);
        for seq in 1..=3 {
            assert_eq!(part(&mut bench, "b", seq, &[]), "");
            assert_eq!(messages(&bench), 0);
        }
        assert_eq!(
            part(&mut bench, "b", 4, &[COMMIT]),
            "{\"stream\":\"S\",\"seq\":4,\"batch\":\"b\",\"count\":4}"
        );
        assert_eq!(messages(&bench), 4);
    }
}

#[test]
fn a_batch_can_end_with_a_message_that_is_not_stored() {
    let mut bench = bench("");
    part(&mut bench, "b", 1, &[]);
    assert_eq!(
        part(&mut bench, "b", 2, &[("Nats-Batch-Commit", "eob")]),
        "{\"stream\":\"S\",\"seq\":1,\"batch\":\"b\",\"count\":1}"
    );
    assert_eq!(messages(&bench), 1);
}

#[test]
fn one_bad_message_refuses_the_whole_batch() {
    type Headers<'a> = &'a [(&'a str, &'a str)];
    let cases: [(Headers<'_>, u32); 7] = [
        (&[("Nats-Expected-Last-Sequence", "2")], 10164),
        (&[("Nats-Expected-Last-Msg-Id", "m")], 10177),
        (&[("Nats-Expected-Stream", "T")], 10060),
        (&[("Nats-Msg-Id", "known")], 10201),
        (&[("Nats-Rollup", "all")], 10111),
        (&[("Nats-TTL", "1s")], 10166),
        (&[("Nats-Expected-Last-Subject-Sequence", "9")], 10071),
    ];
    for (headers, err_code) in cases {
        let mut bench = bench(",\"allow_rollup_hdrs\":true");
        bench.publish_acked("s.0", &[("Nats-Msg-Id", "known")], "x");
        part(&mut bench, "b", 1, &[]);
        assert_eq!(part(&mut bench, "b", 2, headers), "");
        let answer = part(&mut bench, "b", 3, &[COMMIT]);
        assert!(answer.contains(&refused(err_code)), "{answer}");
        assert_eq!(messages(&bench), 1);
    }
}

#[test]
fn messages_of_a_batch_see_those_before_them() {
    let mut bench = bench(",\"discard\":\"new\",\"max_msgs\":3");
    for (header, err_code) in [
        (("Nats-Msg-Id", "twice"), 10201),
        (("Nats-Expected-Last-Subject-Sequence", "0"), 10164),
    ] {
        part_on(&mut bench, "s.a", "b", 1, &[header]);
        let answer = part_on(&mut bench, "s.a", "b", 2, &[header, COMMIT]);
        assert!(answer.contains(&refused(err_code)), "{answer}");
    }
    for seq in 1..=3 {
        part(&mut bench, "b", seq, &[]);
    }
    let answer = part(&mut bench, "b", 4, &[COMMIT]);
    assert!(answer.contains("maximum messages exceeded"), "{answer}");
    assert_eq!(messages(&bench), 0);
}

#[test]
fn a_message_out_of_turn_ends_its_batch() {
    let mut bench = bench("");
    let advisory = "$JS.EVENT.ADVISORY.STREAM.BATCH_ABANDONED.S";
    bench.world.interest.push(advisory.into());
    for seq in [3, 1] {
        part(&mut bench, "b", 1, &[]);
        assert!(part(&mut bench, "b", seq, &[]).contains(&refused(10176)));
        let told = bench.world.take(advisory).pop().unwrap();
        assert!(told.contains("\"reason\":\"incomplete\""), "{told}");
        assert!(part(&mut bench, "b", 2, &[COMMIT]).contains(&refused(10176)));
        assert!(bench.world.take(advisory).is_empty());
    }
}

#[test]
fn a_batch_that_falls_silent_is_abandoned() {
    let mut bench = bench("");
    let advisory = "$JS.EVENT.ADVISORY.STREAM.BATCH_ABANDONED.S";
    bench.world.interest.push(advisory.into());
    part(&mut bench, "b", 1, &[]);
    bench.world.advance_ms(6_000);
    part(&mut bench, "b", 2, &[]);
    bench.world.advance_ms(6_000);
    bench.js.handle_timeout(&mut bench.world);
    assert!(bench.world.take(advisory).is_empty());
    bench.world.advance_ms(4_000);
    bench.js.handle_timeout(&mut bench.world);
    let told = bench.world.take(advisory).pop().unwrap();
    assert!(told.contains("\"reason\":\"timeout\""), "{told}");
    assert!(part(&mut bench, "b", 3, &[COMMIT]).contains(&refused(10176)));
}

#[test]
fn batches_have_limits() {
    let mut bench = bench("");
    for batch in 0..50 {
        assert_eq!(part(&mut bench, &format!("{batch}"), 1, &[]), "");
    }
    assert!(part(&mut bench, "one more", 1, &[]).contains(&refused(10210)));
    for seq in 2..=1000 {
        assert_eq!(part(&mut bench, "0", seq, &[]), "");
    }
    assert!(part(&mut bench, "0", 1001, &[COMMIT]).contains(&refused(10199)));
    assert!(part(&mut bench, &"x".repeat(65), 1, &[]).contains(&refused(10179)));
    assert!(part(&mut bench, "1", 2, &[("Nats-Batch-Commit", "2")]).contains(&refused(10200)));
    assert_eq!(messages(&bench), 0);
}

#[test]
fn in_an_open_batch_a_broken_end_is_told_before_a_wrong_place() {
    let broken = ("Nats-Batch-Commit", "x");
    for (seq, unopened) in [(1, 10200), (3, 10176), (1001, 10199)] {
        let mut bench = bench("");
        assert!(part(&mut bench, "new", seq, &[broken]).contains(&refused(unopened)));
        part(&mut bench, "open", 1, &[]);
        assert!(part(&mut bench, "open", seq, &[broken]).contains(&refused(10200)));
        assert!(part(&mut bench, "open", 2, &[COMMIT]).contains(&refused(10176)));
    }
}

#[test]
fn a_crash_leaves_a_whole_batch_or_nothing_of_it() {
    let mut bench = bench("");
    bench.publish_acked("s.0", &[], "x");
    for seq in 1..=4 {
        part(&mut bench, "b", seq, &[]);
    }
    part(&mut bench, "b", 5, &[COMMIT]);
    let log = bench.world.log.clone();
    let begin = log.len() - 5;
    for cut in begin..=log.len() {
        let mut again = Bench::with_log(log[..cut].to_vec());
        let whole = if cut == log.len() { 6 } else { 1 };
        assert_eq!(messages(&again), whole, "cut at {cut}");
        // What follows does not complete the batch, in this run or in the next one.
        let ack = again.publish_acked("s.0", &[], "x");
        assert_eq!(ack, format!("{{\"stream\":\"S\",\"seq\":{}}}", whole + 1));
        part(&mut again, "c", 1, &[]);
        part(&mut again, "c", 2, &[COMMIT]);
        assert_eq!(messages(&again), whole + 3);
        let third = Bench::with_log(again.world.log.clone());
        assert_eq!(third.js.state_hash(), again.js.state_hash());
    }
}

#[test]
fn a_checkpoint_waits_for_the_end_of_a_batch() {
    let mut bench = bench("");
    part(&mut bench, "b", 1, &[]);
    bench.publish("s.2", &headers_of_last(), "x");
    bench.apply_one();
    assert!(bench.js.is_inside_batch());
    bench.apply_one();
    assert!(!bench.js.is_inside_batch());
}

fn headers_of_last() -> [(&'static str, &'static str); 3] {
    [("Nats-Batch-Id", "b"), ("Nats-Batch-Sequence", "2"), COMMIT]
}

#[test]
fn in_a_partition_of_a_station_the_message_ids_of_memphis_count() {
    for (stream, err_code) in [("st$1", Some(10201)), ("plain", None)] {
        let mut bench = Bench::new();
        let body =
            format!("{{\"name\":\"{stream}\",\"subjects\":[\"s.>\"],\"allow_atomic\":true}}");
        bench.ask(&format!("STREAM.CREATE.{stream}"), &body);
        bench.publish_acked("s.0", &[("msg-id", "known")], "x");
        part(&mut bench, "b", 1, &[]);
        let told = part(&mut bench, "b", 2, &[("msg-id", "known"), COMMIT]);
        match err_code {
            Some(err_code) => assert!(told.contains(&refused(err_code)), "{told}"),
            None => assert!(told.contains("\"count\":2"), "{told}"),
        }
    }
}

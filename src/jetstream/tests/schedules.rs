//! Scheduled messages: each fires once for each of its times, whatever happens in between.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use bytes::Bytes;
use protocol::id::Seq;
use protocol::store::ReadError;

use crate::entry::{Role, Stored};
use crate::testing::{ACCOUNT, Bench};

const EVERY: (&str, &str) = ("Nats-Schedule", "@every 2s");
/// Three seconds after the world begins.
const AT: (&str, &str) = ("Nats-Schedule", "@at 2023-11-14T22:13:23Z");
const TARGET: (&str, &str) = ("Nats-Schedule-Target", "s.out");

fn bench(config: &str) -> Bench {
    let mut bench = Bench::new();
    let body =
        format!("{{\"name\":\"S\",\"subjects\":[\"s.*\"],\"allow_msg_schedules\":true{config}}}");
    let answer = bench.ask("STREAM.CREATE.S", &body);
    assert!(answer.contains("\"did_create\":true"), "{answer}");
    bench
}

/// Lets time pass, tick by tick as a driver does.
fn run(bench: &mut Bench, ms: u64) {
    for _ in 0..ms / 50 {
        bench.world.advance_ms(50);
        bench.js.handle_timeout(&mut bench.world);
        bench.sync();
    }
}

fn bodies(bench: &Bench, subject: &str) -> Vec<String> {
    let fired = |entry: &Bytes| {
        let msg = Stored::of(entry).ok()?;
        let found = msg.subject == subject.as_bytes() && matches!(msg.role, Role::Fired(_));
        found.then(|| String::from_utf8_lossy(msg.payload).into_owned())
    };
    bench.world.log.iter().filter_map(fired).collect()
}

fn count(bench: &Bench, subject: &str) -> u64 {
    let core = &bench.js.stream(ACCOUNT, "S").unwrap().core;
    let info = core.index.subject_info(subject.as_bytes());
    info.map_or(0, |info| info.messages)
}

#[test]
fn a_single_one_fires_at_its_time_and_is_gone() {
    let mut bench = bench("");
    bench.publish_acked("s.plan", &[AT, TARGET], "now");
    run(&mut bench, 2_900);
    assert_eq!(count(&bench, "s.out"), 0);
    run(&mut bench, 200);
    assert_eq!(count(&bench, "s.out"), 1);
    assert_eq!(count(&bench, "s.plan"), 0);
    run(&mut bench, 10_000);
    assert_eq!(bodies(&bench, "s.out"), ["now"]);
}

#[test]
fn one_that_repeats_goes_on_after_a_restart_and_skips_what_it_missed() {
    let mut bench = bench("");
    bench.publish_acked("s.plan", &[EVERY, TARGET], "tick");
    run(&mut bench, 4_500);
    assert_eq!(count(&bench, "s.out"), 2);
    let mut later = Bench::with_log(bench.world.log.clone());
    assert_eq!(later.js.state_hash(), bench.js.state_hash());
    later.world.now = bench.world.now;
    // An hour without the server.
    later.world.advance_ms(3_600_000);
    later.js.handle_timeout(&mut later.world);
    run(&mut later, 1_500);
    assert_eq!(count(&later, "s.out"), 3);
    run(&mut later, 2_000);
    assert_eq!(count(&later, "s.out"), 4);
}

#[test]
fn one_that_was_proposed_and_lost_fires_again_and_one_that_was_kept_does_not() {
    let mut bench = bench("");
    bench.publish_acked("s.plan", &[AT, TARGET], "now");
    bench.world.advance_ms(3_100);
    bench.js.handle_timeout(&mut bench.world);
    let proposed = bench.world.log.clone();
    assert_eq!(bodies(&bench, "s.out").len(), 1);
    for lost in [true, false] {
        let mut log = proposed.clone();
        log.truncate(log.len() - usize::from(lost));
        let mut after = Bench::with_log(log);
        after.world.now = bench.world.now;
        run(&mut after, 1_000);
        assert_eq!(count(&after, "s.out"), 1, "lost: {lost}");
        assert_eq!(bodies(&after, "s.out").len(), 1, "lost: {lost}");
    }
}

#[test]
fn what_was_replaced_while_it_was_under_way_does_not_come() {
    let mut bench = bench("");
    bench.publish_acked("s.plan", &[AT, TARGET], "old");
    bench.world.advance_ms(3_100);
    // The new one stands in the log before what the old one brings.
    bench.publish("s.plan", &[EVERY, TARGET], "new");
    bench.js.handle_timeout(&mut bench.world);
    assert_eq!(bodies(&bench, "s.out"), ["old"], "it was proposed");
    bench.sync();
    assert_eq!(count(&bench, "s.out"), 0);
    assert_eq!(count(&bench, "s.plan"), 1);
    run(&mut bench, 2_500);
    assert_eq!(bodies(&bench, "s.out"), ["old", "new"]);
    assert_eq!(count(&bench, "s.out"), 1);
}

#[test]
fn a_disk_that_is_slow_or_fails_for_a_while_delays_it_only() {
    let mut bench = bench("");
    bench.publish_acked("s.in", &[], "sampled");
    let source = ("Nats-Schedule-Source", "s.in");
    bench.publish_acked("s.plan", &[AT, TARGET, source], "own");
    bench.world.slow_reads = true;
    run(&mut bench, 3_100);
    assert_eq!(bench.world.reads.len(), 1);
    bench.fail_reads(ReadError::Io(5));
    assert_eq!(count(&bench, "s.out"), 0);
    bench.world.slow_reads = true;
    run(&mut bench, 1_100);
    assert_eq!(bench.world.reads.len(), 1, "asked once more after a second");
    bench.answer_reads();
    assert_eq!(bodies(&bench, "s.out"), ["sampled"]);
}

#[test]
fn what_cannot_be_read_is_not_asked_for_for_ever() {
    let mut bench = bench("");
    bench.publish_acked("s.plan", &[AT, TARGET], "own");
    bench.world.slow_reads = true;
    run(&mut bench, 3_100);
    bench.fail_reads(ReadError::Damaged);
    bench.world.slow_reads = true;
    run(&mut bench, 10_000);
    assert!(bench.world.reads.is_empty());
    assert!(
        bench
            .js
            .stream(ACCOUNT, "S")
            .unwrap()
            .core
            .index
            .meta(Seq(1))
            .is_some()
    );
}

#[test]
fn a_stream_in_memory_has_schedules_too() {
    let mut bench = bench(",\"storage\":\"memory\"");
    bench.publish_acked("s.plan", &[EVERY, TARGET], "tick");
    run(&mut bench, 4_500);
    assert_eq!(count(&bench, "s.out"), 2);
    bench.ask("STREAM.PURGE.S", "{\"filter\":\"s.plan\"}");
    run(&mut bench, 4_500);
    assert_eq!(count(&bench, "s.out"), 2);
}

#[test]
fn many_that_come_together_fire_together() {
    let mut bench = bench("");
    for i in 0..600 {
        let target = format!("o{i}");
        let target = ("Nats-Schedule-Target", target.replace('o', "s.o"));
        bench.publish(&format!("s.p{i}"), &[AT, (target.0, &target.1)], "x");
    }
    bench.sync();
    run(&mut bench, 3_000);
    run(&mut bench, 1_000);
    assert_eq!(
        bench.js.stream(ACCOUNT, "S").unwrap().core.index.messages(),
        600
    );
    assert_eq!(count(&bench, "s.o599"), 1);
    assert_eq!(count(&bench, "s.p599"), 0);
}

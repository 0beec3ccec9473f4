//! A checkpoint that has lost a part of a stream closes this stream and no other.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::vec::Vec;

use bytes::Bytes;
use protocol::id::LogPos;
use protocol::store::{Loc, Place, SectionChange, SectionKey};

use crate::testing::{Bench, machine};

/// The kinds of sections, in the upper byte of their numbers.
const CONFIG: u64 = 0;
const STATE: u64 = 1;
const CONSUMERS: u64 = 4;

/// Two streams with a consumer each, of which the first is to suffer.
fn two_streams() -> Bench {
    let mut bench = Bench::new();
    for name in ["A", "B"] {
        let subject = name.to_lowercase();
        let body = format!("{{\"name\":\"{name}\",\"subjects\":[\"{subject}.>\"]}}");
        bench.ask(&format!("STREAM.CREATE.{name}"), &body);
        let create = format!("CONSUMER.CREATE.{name}.c");
        let body = format!(
            "{{\"stream_name\":\"{name}\",\"config\":{{\"name\":\"c\",\"durable_name\":\"c\",\
             \"ack_policy\":\"explicit\"}}}}"
        );
        bench.ask(&create, &body);
        for _ in 0..3 {
            bench.publish(&format!("{subject}.x"), &[], "stored");
        }
    }
    bench.sync();
    bench
}

/// What closes a stream: its state holds the configuration, too.
const CLOSING: [&[u64]; 3] = [&[CONFIG, STATE], &[STATE], &[CONSUMERS]];

/// Starts from sections, of which the first stream's of these kinds are lost.
fn start_without(lost: &[u64], sections: &BTreeMap<SectionKey, Bytes>, log: &Bench) -> Bench {
    let mut js = machine();
    for (key, body) in sections {
        if key.group == 1 && lost.contains(&(key.number >> 56)) {
            assert!(js.section_lost(*key), "the others can be gone on with");
        } else {
            js.restore(*key, body).expect("whole");
        }
    }
    let mut bench = Bench::new();
    bench.js = js;
    bench.world.log.clone_from(&log.world.log);
    bench.world.synced = bench.world.log.len();
    bench
}

fn sections(bench: &Bench) -> BTreeMap<SectionKey, Bytes> {
    bench.js.sections().into_iter().collect()
}

/// Writes a checkpoint over one that has lost sections.
fn checkpoint(bench: &mut Bench, lost: &[u64], old: &mut BTreeMap<SectionKey, Bytes>) {
    old.retain(|key, _| key.group != 1 || !lost.contains(&(key.number >> 56)));
    for change in bench.js.changes() {
        match change {
            SectionChange::Put(key, body) => drop(old.insert(key, body)),
            SectionChange::Drop(key) => drop(old.remove(&key)),
            SectionChange::DropGroup(group) => old.retain(|key, _| key.group != group),
        }
    }
}

#[test]
fn a_stream_that_lacks_a_section_is_closed_and_the_others_go_on() {
    for lost in CLOSING {
        let before = two_streams();
        let mut held = sections(&before);
        let mut bench = start_without(lost, &held, &before);
        for start in 0..2 {
            bench.js.recovered(&mut bench.world);
            let info = bench.ask("STREAM.INFO.A", "");
            assert!(
                info.contains("\"err_code\":10008"),
                "{lost:?} {start}: {info}"
            );
            let again = bench.ask("STREAM.CREATE.A", "{\"name\":\"A\"}");
            assert!(
                again.contains("\"err_code\":10008"),
                "it may be there: {again}"
            );
            let info = bench.ask("STREAM.INFO.B", "");
            assert!(info.contains("\"consumer_count\":1"), "{info}");
            let acked = bench.publish_acked("b.x", &[], "goes on");
            assert!(acked.contains(&format!("\"seq\":{}", 4 + start)), "{acked}");
            if !lost.contains(&CONFIG) {
                bench.publish("a.x", &[], "refused");
                bench.sync();
                let told = bench.world.take("ack").pop().unwrap_or_default();
                assert!(told.contains("10008"), "{told}");
            }
            assert_eq!(bench.js.closed_streams().count(), 1);
            // Another start finds it closed, though nothing is missing that the checkpoint names.
            checkpoint(&mut bench, lost, &mut held);
            bench = start_without(&[], &held, &bench);
        }
    }
}

#[test]
fn a_stream_without_its_configuration_has_it_from_its_state() {
    let before = two_streams();
    let mut held = sections(&before);
    let mut bench = start_without(&[CONFIG], &held, &before);
    assert_eq!(bench.js.closed_streams().count(), 0);
    assert_eq!(bench.js.state_hash(), before.js.state_hash());
    bench.js.recovered(&mut bench.world);
    let made = bench.ask("STREAM.CREATE.C", "{\"name\":\"C\",\"subjects\":[\"c\"]}");
    assert!(made.contains("\"did_create\":true"), "{made}");
    let acked = bench.publish_acked("a.x", &[], "goes on");
    assert!(acked.contains("\"seq\":4"), "{acked}");
    // The next start does not depend on it.
    checkpoint(&mut bench, &[CONFIG], &mut held);
    let bench = start_without(&[], &held, &bench);
    assert_eq!(bench.js.streams().count(), 3);
}

#[test]
fn a_repair_has_a_lost_configuration_from_the_state_if_that_is_there() {
    let before = two_streams();
    for (lost, name, told) in [
        (&[CONFIG][..], "A", 0),
        (&[CONFIG, STATE], "RECOVERED_1", 1),
    ] {
        let mut js = machine();
        for (key, body) in &sections(&before) {
            if key.group == 1 && lost.contains(&(key.number >> 56)) {
                drop(js.go_on_without(*key));
            } else {
                js.restore_what_is_left(*key, body).expect("whole");
            }
        }
        assert_eq!(js.reopen_closed().len(), told);
        let names: Vec<_> = js.streams().map(|stream| stream.core.name()).collect();
        assert_eq!(names, [name, "B"]);
        assert_eq!(js.losses(|_, _| false)[0].messages, 3);
    }
}

#[test]
fn a_closed_stream_can_be_deleted_and_made_again() {
    let before = two_streams();
    let mut bench = start_without(&[STATE], &sections(&before), &before);
    bench.js.recovered(&mut bench.world);
    let deleted = bench.ask("STREAM.DELETE.A", "");
    assert!(deleted.contains("\"success\":true"), "{deleted}");
    let made = bench.ask("STREAM.CREATE.A", "{\"name\":\"A\",\"subjects\":[\"a.>\"]}");
    assert!(made.contains("\"did_create\":true"), "{made}");
    let acked = bench.publish_acked("a.x", &[], "new");
    assert!(acked.contains("\"seq\":1"), "{acked}");
}

#[test]
fn messages_of_a_closed_stream_leave_the_log_for_its_segments() {
    for lost in CLOSING {
        let before = two_streams();
        let mut bench = start_without(lost, &sections(&before), &before);
        let entry = before.world.log.last().expect("a message of B").clone();
        let stored = before
            .world
            .log
            .iter()
            .position(|entry| entry.ends_with(b"stored"));
        let mine = before.world.log[stored.expect("a message of A")].clone();
        let end = LogPos(before.world.log.len() as u64 + 1);
        bench.js.apply(&mut bench.world, end, Loc::log(end), &mine);
        let next = LogPos(end.0 + 1);
        bench
            .js
            .apply(&mut bench.world, next, Loc::log(next), &entry);
        let streams = bench.js.unflushed_streams(LogPos(u64::MAX));
        let mut found = Vec::new();
        bench
            .js
            .unflushed(streams[0], LogPos(u64::MAX), 100, &mut found);
        bench
            .js
            .unflushed(streams[1], LogPos(u64::MAX), 100, &mut found);
        assert_eq!(
            found.len(),
            8,
            "three of each, and one of each: {streams:?}"
        );
    }
}

#[test]
fn a_repair_has_a_closed_streams_messages_where_they_have_been_moved_to() {
    let before = two_streams();
    let mut held = sections(&before);
    let mut bench = start_without(&[CONSUMERS], &held, &before);
    // One that has been acknowledged since.
    let mut more = two_streams();
    more.publish("a.x", &[], "last");
    more.sync();
    let entry = more.world.log.last().expect("the message").clone();
    let end = LogPos(before.world.log.len() as u64 + 1);
    bench.js.apply(&mut bench.world, end, Loc::log(end), &entry);
    bench.js.recovered(&mut bench.world);
    let mut found = Vec::new();
    let id = protocol::id::StreamId(1);
    bench.js.unflushed(id, LogPos(u64::MAX), 100, &mut found);
    let moved: Vec<_> = found
        .iter()
        .zip(0..)
        .map(|((seq, _), at)| (*seq, Loc::segment(7, at * 64)))
        .collect();
    assert_eq!(moved.len(), 4);
    bench.js.relocated(id, &moved);
    checkpoint(&mut bench, &[CONSUMERS], &mut held);

    let mut js = machine();
    for (key, body) in &held {
        js.restore_what_is_left(*key, body).expect("whole");
    }
    assert_eq!(js.reopen_closed().len(), 1);
    let losses = js.losses(|_, loc| matches!(loc.place(), Place::Log(_)));
    let closed = losses.first().expect("it is there");
    assert_eq!((closed.messages, closed.last.0), (3, 4), "{closed:?}");
    assert_eq!(closed.damaged, [], "they are in the segment: {closed:?}");
    assert_eq!(closed.missing.len(), 1, "{closed:?}");
}

//! A log that is replayed gives the state that was there before.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::vec::Vec;

use bytes::Bytes;
use protocol::id::{LogPos, Seq, StreamId};
use protocol::rng::Rng;
use protocol::store::{Loc, SectionChange, SectionKey};

use crate::entry::Stored;
use crate::testing::{ACCOUNT, Bench, machine, restored, restored_from};

/// Random work on a few streams; whatever is refused is part of it.
pub(super) fn busy(seed: u64) -> Bench {
    let mut rng = Rng::new(seed, 7);
    let mut bench = Bench::new();
    let configs = [
        ",\"max_msgs_per_subject\":3",
        ",\"max_msgs\":40,\"discard\":\"new\"",
        ",\"max_age\":2000000000,\"allow_rollup_hdrs\":true,\"allow_msg_ttl\":true,\
         \"subject_delete_marker_ttl\":1000000000",
        ",\"max_bytes\":4000,\"duplicate_window\":500000000,\
         \"metadata\":{\"memphis.tiered_storage_enabled\":\"true\"}",
        ",\"max_msgs\":60,\"allow_msg_schedules\":true,\"allow_msg_ttl\":true,\
         \"metadata\":{\"memphis.tiered_storage_enabled\":\"true\"}",
    ];
    for (i, config) in configs.iter().enumerate() {
        let body = format!(
            "{{\"name\":\"S{i}\",\"subjects\":[\"s{i}.>\"],\"allow_atomic\":true{config}}}"
        );
        bench.ask(&format!("STREAM.CREATE.S{i}"), &body);
    }
    let mirror = "{\"name\":\"M\",\"mirror\":{\"name\":\"S0\"},\"max_msgs\":50}";
    bench.ask("STREAM.CREATE.M", mirror);
    let sources = "{\"name\":\"C\",\"sources\":[{\"name\":\"S2\"},{\"name\":\"M\"}]}";
    bench.ask("STREAM.CREATE.C", sources);
    for _ in 0..2_000 {
        let i = rng.below(5);
        let subject = format!("s{i}.{}", rng.below(12));
        match rng.below(40) {
            0 => drop(bench.request(
                &format!("STREAM.PURGE.S{i}"),
                &format!("{{\"keep\":{}}}", rng.below(30)),
            )),
            1 => drop(bench.request(
                &format!("STREAM.PURGE.S{i}"),
                &format!("{{\"filter\":\"{subject}\"}}"),
            )),
            2..5 => drop(bench.request(
                &format!("STREAM.MSG.DELETE.S{i}"),
                &format!("{{\"seq\":{}}}", rng.below(500)),
            )),
            5 => {
                let body = changed(i, 10 + rng.below(90));
                bench.request(&format!("STREAM.UPDATE.S{i}"), &body);
            }
            6 => {
                bench.sync();
                bench.world.advance_ms(rng.below(900));
                bench.js.handle_timeout(&mut bench.world);
            }
            7 => bench.publish(&subject, &[("Nats-Rollup", "sub")], "rolled"),
            8..16 => {
                let id = format!("{}", rng.below(200));
                bench.publish(&subject, &[("Nats-Msg-Id", &id)], "with id");
            }
            16 => bench.sync(),
            19..22 => publish_batch(&mut bench, &subject),
            17 => bench.publish(&subject, &[("Nats-TTL", "1")], "short"),
            18 => bench.publish(&subject, &[("Nats-TTL", "never")], "long"),
            22..26 => publish_schedule(&mut bench, &subject, &mut rng),
            26 => release_some(&mut bench),
            _ => bench.publish(&subject, &[], "plain"),
        }
    }
    bench.sync();
    bench
}

/// Returns a changed configuration; what is changed goes on keeping what it lets go.
fn changed(i: u64, max_msgs: u64) -> alloc::string::String {
    let tiered = if i < 3 {
        ""
    } else {
        ",\"metadata\":{\"memphis.tiered_storage_enabled\":\"true\"}"
    };
    format!("{{\"name\":\"S{i}\",\"subjects\":[\"s{i}.>\"],\"max_msgs\":{max_msgs}{tiered}}}")
}

/// Lets messages go for good that some streams have kept.
fn release_some(bench: &mut Bench) {
    let parking = bench.js.parking(ACCOUNT);
    let some = |index: &crate::index::Index| index.parked(Seq(0)).step_by(2).take(30).collect();
    let found: Vec<(StreamId, Vec<Seq>)> = parking
        .map(|stream| (stream.core.id(), some(&stream.core.index)))
        .collect();
    for (stream, seqs) in found {
        bench.js.release_parked(stream, &seqs, &mut bench.world);
    }
}

#[test]
fn replaying_the_same_entries_gives_the_same_state() {
    let mut kept = 0;
    for seed in 0..5 {
        let bench = busy(seed);
        let replayed = Bench::with_log(bench.world.log.clone());
        assert_eq!(
            replayed.js.state_hash(),
            bench.js.state_hash(),
            "seed {seed}"
        );
        kept += bench.js.parking(ACCOUNT).count();
        assert!(
            replayed.world.delivered.is_empty(),
            "recovery answers nobody"
        );
        assert_eq!(replayed.world.bound.len(), 5);
    }
    assert!(kept > 0, "what streams keep is a part of it");
}

fn publish_schedule(bench: &mut Bench, subject: &str, rng: &mut Rng) {
    let (stream, _) = subject.split_once('.').unwrap();
    let target = format!("{stream}.{}", rng.below(12));
    let source = format!("{stream}.{}", rng.below(12));
    let pattern = ["@every 1s", "@at 2023-11-14T22:13:25Z", "*/2 * * * * *"];
    let pattern = pattern[usize::try_from(rng.below(3)).unwrap()];
    let mut headers = Vec::from([
        ("Nats-Schedule", pattern),
        ("Nats-Schedule-Target", &target),
        ("Nats-Schedule-TTL", "1"),
    ]);
    if rng.below(2) == 0 {
        headers.push(("Nats-Schedule-Source", &source));
    }
    bench.publish(subject, &headers, "planned");
    if rng.below(4) == 0 {
        let end = [("Nats-Scheduler", subject), ("Nats-Schedule-Next", "purge")];
        bench.publish(&target, &end, "ended");
    }
}

fn publish_batch(bench: &mut Bench, subject: &str) {
    for seq in ["1", "2", "3"] {
        let mut headers = Vec::from([("Nats-Batch-Id", "b"), ("Nats-Batch-Sequence", seq)]);
        if seq == "3" {
            headers.push(("Nats-Batch-Commit", "1"));
        }
        bench.publish(subject, &headers, "in a batch");
    }
}

/// Returns where a checkpoint can be taken at or before `cut`: not inside a batch.
fn before_batch(log: &[Bytes], mut cut: usize) -> usize {
    let goes_on = |entry: &Bytes| {
        let following = Stored::of(entry).ok().and_then(|msg| msg.following());
        following.is_some_and(|following| following > 0)
    };
    while cut > 0 && goes_on(&log[cut - 1]) {
        cut -= 1;
    }
    cut
}

#[test]
fn a_checkpoint_and_the_entries_after_it_give_the_same_state() {
    for seed in 0..5 {
        let bench = busy(seed);
        let log = &bench.world.log;
        for cut in [0, log.len() / 3, log.len()] {
            let cut = before_batch(log, cut);
            let mut first = Bench::with_log(log[..cut].to_vec());
            let mut js = restored(&first.js);
            for (pos, entry) in (1u64..).zip(log).skip(cut) {
                let pos = LogPos(pos);
                js.apply(&mut first.world, pos, Loc::log(pos), entry);
            }
            assert_eq!(
                js.state_hash(),
                bench.js.state_hash(),
                "seed {seed} cut {cut}"
            );
        }
    }
}

#[test]
fn a_checkpoint_of_a_later_version_is_refused() {
    let (key, shared) = machine().sections().remove(0);
    let mut shared = shared.to_vec();
    shared[0] = 10;
    let refused = machine().restore(key, &shared.into());
    assert_eq!(refused, Err(crate::RestoreError::Version(10)));
}

#[test]
fn a_checkpoint_cut_short_is_refused() {
    let bench = busy(1);
    let sections = bench.js.sections();
    let mut js = machine();
    for (key, body) in &sections {
        for len in (1..body.len()).step_by(97) {
            let mut copy = restored_from(&sections[..1]);
            if key.group != 0 && key.number != 0 {
                let before = sections.iter().filter(|(k, _)| k.group == key.group);
                for (key, body) in before.take_while(|(k, _)| k != key) {
                    copy.restore(*key, body).unwrap();
                }
            }
            let cut = body.slice(..len);
            assert!(copy.restore(*key, &cut).is_err(), "{key:?} {len}");
        }
        js.restore(*key, body).unwrap();
    }
    assert_eq!(js.state_hash(), bench.js.state_hash());
}

#[test]
fn streams_of_an_unknown_account_are_kept() {
    let bench = busy(2);
    let mut js = crate::JetStream::new(crate::Options::default());
    js.set_outlets(["$G"].into_iter());
    let mut world = crate::testing::World::new();
    for (pos, entry) in (1u64..).zip(&bench.world.log) {
        js.apply(&mut world, LogPos(pos), Loc::log(LogPos(pos)), entry);
    }
    assert!(js.stream(ACCOUNT, "S0").is_none());
    assert_eq!(js.streams().count(), 7);
    assert_eq!(js.state_hash(), bench.js.state_hash());
}

fn unflushed(bench: &Bench) -> Vec<(StreamId, Vec<(Seq, Loc)>)> {
    let all = LogPos(u64::MAX);
    let streams = bench.js.unflushed_streams(all).into_iter();
    let messages = |stream| {
        let mut messages = Vec::new();
        bench.js.unflushed(stream, all, usize::MAX, &mut messages);
        (stream, messages)
    };
    streams.map(messages).collect()
}

/// Puts a checkpoint's changes into what the ones before it have given.
fn merge(sections: &mut BTreeMap<SectionKey, Bytes>, changes: Vec<SectionChange>) {
    for change in changes {
        match change {
            SectionChange::Put(key, body) => {
                sections.insert(key, body);
            }
            SectionChange::Drop(key) => {
                sections.remove(&key);
            }
            SectionChange::DropGroup(group) => sections.retain(|key, _| key.group != group),
        }
    }
}

#[test]
fn the_changes_of_many_checkpoints_put_together_give_the_whole_state() {
    for seed in 0..4 {
        let log = busy(seed).world.log;
        let mut bench = Bench::with_log(Vec::new());
        let mut rng = Rng::new(seed, 7);
        let mut sections = BTreeMap::new();
        let mut segment = 0;
        for (pos, entry) in (1u64..).zip(&log) {
            let pos = LogPos(pos);
            bench.js.apply(&mut bench.world, pos, Loc::log(pos), entry);
            if bench.js.is_inside_batch() || rng.below(40) > 0 {
                continue;
            }
            if rng.below(3) == 0 {
                segment += 1;
                for (stream, messages) in unflushed(&bench) {
                    let place = |seq: Seq| Loc::segment(segment, seq.0 * 8);
                    let moved: Vec<_> = messages.iter().map(|&(s, _)| (s, place(s))).collect();
                    bench.js.relocated(stream, &moved);
                }
            }
            if let Some((&key, _)) = sections.iter().nth(usize::try_from(rng.below(9)).unwrap()) {
                bench.js.touch(key);
            }
            merge(&mut sections, bench.js.changes());
            let all: Vec<_> = sections.clone().into_iter().collect();
            let copy = restored_from(&all);
            assert_eq!(
                copy.state_hash(),
                bench.js.state_hash(),
                "seed {seed} {pos:?}"
            );
        }
    }
}

#[test]
fn a_checkpoint_writes_the_pages_that_have_changed_and_no_others() {
    let mut bench = Bench::new();
    bench.ask("STREAM.CREATE.S", "{\"name\":\"S\",\"subjects\":[\"s.*\"]}");
    for n in 0..10_000 {
        bench.publish(if n % 2 == 0 { "s.a" } else { "s.b" }, &[], "x");
    }
    bench.sync();
    assert_eq!(bench.js.changes().len(), 4 + 3, "three pages of messages");
    assert_eq!(bench.js.changes().len(), 1, "what concerns all streams");
    bench.publish_acked("s.a", &[], "x");
    bench.ask("STREAM.MSG.DELETE.S", "{\"seq\":5}");
    let numbers = |changes: Vec<SectionChange>| {
        let keys = changes.into_iter().filter_map(|change| match change {
            SectionChange::Put(key, _) => Some((key.group, key.number >> 56, key.number & 0xff)),
            SectionChange::Drop(_) | SectionChange::DropGroup(_) => None,
        });
        keys.collect::<Vec<_>>()
    };
    // What is small goes with them, the configuration too: two checkpoints hold a copy each.
    let expected = [
        (0, 0, 0),
        (1, 0, 0),
        (1, 1, 0),
        (1, 4, 0),
        (1, 3, 0),
        (1, 3, 2),
    ];
    assert_eq!(numbers(bench.js.changes()), expected);
    bench.ask("STREAM.PURGE.S", "");
    let changes = bench.js.changes();
    let dropped = changes
        .iter()
        .filter(|c| matches!(c, SectionChange::Drop(_)));
    assert_eq!(dropped.count(), 3);
    bench.ask("STREAM.DELETE.S", "");
    assert!(bench.js.changes().contains(&SectionChange::DropGroup(1)));
}

#[test]
fn moved_messages_are_no_longer_asked_for() {
    let mut bench = busy(3);
    let unflushed = unflushed(&bench);
    assert!(!unflushed.is_empty());
    for (stream, messages) in &unflushed {
        let moved: Vec<_> = messages
            .iter()
            .map(|(seq, _)| (*seq, Loc::segment(1, seq.0 * 100)))
            .collect();
        bench.js.relocated(*stream, &moved);
    }
    assert!(bench.js.unflushed_streams(LogPos(u64::MAX)).is_empty());
    assert_eq!(restored(&bench.js).state_hash(), bench.js.state_hash());
}

#[test]
fn segments_empty_out_and_are_given_up() {
    let mut bench = Bench::new();
    bench.ask("STREAM.CREATE.S", "{\"name\":\"S\",\"subjects\":[\"s\"]}");
    let move_all = |bench: &mut Bench, number: u32| {
        for (stream, messages) in unflushed(bench) {
            let moved: Vec<_> = messages
                .iter()
                .map(|(seq, _)| (*seq, Loc::segment(number, seq.0 * 100)))
                .collect();
            bench.js.relocated(stream, &moved);
        }
        let mut dead = Vec::new();
        bench.js.take_dead_segments(&mut dead);
        dead.into_iter()
            .map(|(_, number)| number)
            .collect::<Vec<_>>()
    };
    for number in 1..=3 {
        for _ in 0..10 {
            bench.publish_acked("s", &[], "x");
        }
        assert!(move_all(&mut bench, number).is_empty());
    }
    // The first segment loses everything, the second all but one message, which then moves.
    bench.ask("STREAM.PURGE.S", "{\"seq\":20}");
    assert_eq!(move_all(&mut bench, 4), [1, 2]);
    assert_eq!(bench.js.streams().next().unwrap().core.index.messages(), 11);
}

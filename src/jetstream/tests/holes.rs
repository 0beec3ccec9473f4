//! Entries that are missing from the log: what is left keeps its sequences.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::vec::Vec;

use bytes::Bytes;
use protocol::id::{LogPos, Seq, StreamId};
use protocol::rng::Rng;
use protocol::store::{Loc, SectionKey};

use crate::entry::Stored;
use crate::testing::{Bench, machine, restored};
use crate::tests::replay::busy;

/// Where each message that a stream holds lies in the log, and the stream's last sequence.
type Held = BTreeMap<StreamId, (BTreeMap<Seq, Loc>, Seq)>;

fn held(bench: &Bench) -> Held {
    let of = |stream: &crate::stream::Stream| {
        let index = &stream.core.index;
        let mut messages = Vec::new();
        index.unflushed(LogPos(u64::MAX), usize::MAX, &mut messages);
        let messages = messages.into_iter().collect();
        (stream.core.id(), (messages, index.last_seq()))
    };
    bench.js.streams().map(of).collect()
}

/// Replays a log from which the entries from `from` to `to` are missing.
fn replay(log: &[Bytes], (from, to): (usize, usize)) -> Bench {
    let mut bench = Bench::with_log(Vec::new());
    bench.js = machine();
    bench.world.log = log.to_vec();
    bench.world.synced = log.len();
    for (at, entry) in log.iter().enumerate() {
        if at == from {
            bench.js.hole(&mut bench.world);
        }
        if (from..to).contains(&at) {
            continue;
        }
        let pos = LogPos(at as u64 + 1);
        bench.js.apply(&mut bench.world, pos, Loc::log(pos), entry);
    }
    let lost = (to - from) as u64;
    bench.js.close_holes(lost, &mut bench.world);
    bench.js.recovered(&mut bench.world);
    bench
}

/// Every sequence that a message was ever stored under, by where it lies.
fn ever_stored(log: &[Bytes]) -> BTreeMap<(StreamId, Loc), Seq> {
    let mut all = BTreeMap::new();
    let mut bench = Bench::with_log(Vec::new());
    bench.js = machine();
    for (at, entry) in log.iter().enumerate() {
        let pos = LogPos(at as u64 + 1);
        bench.js.apply(&mut bench.world, pos, Loc::log(pos), entry);
        for (stream, (messages, _)) in held(&bench) {
            all.extend(messages.into_iter().map(|(seq, loc)| ((stream, loc), seq)));
        }
    }
    all
}

#[test]
fn no_message_behind_a_hole_has_another_sequence_than_before() {
    for seed in 0..2 {
        let log = busy(seed).world.log;
        let truth = ever_stored(&log);
        let whole = held(&Bench::with_log(log.clone()));
        let mut rng = Rng::new(seed, 3);
        for _ in 0..60 {
            let from = usize::try_from(rng.below(log.len() as u64)).unwrap();
            let len = usize::try_from(1 + rng.below(12)).unwrap();
            let hole = (from, (from + len).min(log.len()));
            let after = replay(&log, hole);
            for (stream, (messages, last)) in held(&after) {
                for (seq, loc) in messages {
                    // One that was refused may be stored now, under a sequence that nothing else had.
                    let had = truth.get(&(stream, loc));
                    let taken = || {
                        let mut others = truth.iter();
                        others.any(|(&(s, l), &other)| s == stream && l != loc && other == seq)
                    };
                    assert!(
                        had == Some(&seq) || (had.is_none() && !taken()),
                        "seed {seed} {hole:?}: {stream:?} {loc:?} was {had:?}, is {seq:?}"
                    );
                }
                if let Some((_, before)) = whole.get(&stream) {
                    assert!(last >= *before, "seed {seed} {hole:?}: {stream:?}");
                }
            }
            let copy = restored(&after.js);
            assert_eq!(copy.state_hash(), after.js.state_hash());
        }
    }
}

/// Without this, what the entries say could be wrong and nobody would notice before a hole.
#[test]
fn what_an_entry_says_of_its_stream_was_so() {
    for seed in 0..3 {
        let log = busy(seed).world.log;
        let mut lasts: BTreeMap<StreamId, Vec<Seq>> = BTreeMap::new();
        let mut bench = Bench::with_log(Vec::new());
        bench.js = machine();
        let mut told = 0;
        for (at, entry) in log.iter().enumerate() {
            if let Ok(msg) = Stored::of(entry) {
                let before = lasts.entry(msg.stream).or_default();
                let mark = msg.mark.expect("every new entry says it");
                let known = before.len().checked_sub(mark.ahead as usize);
                let known = known.expect("no more are ahead than there were");
                let last = known.checked_sub(1).map_or(Seq(0), |at| before[at]);
                assert_eq!(
                    mark.last,
                    last,
                    "seed {seed} {at}: {mark:?} of {}",
                    before.len()
                );
                told += 1;
            }
            let pos = LogPos(at as u64 + 1);
            bench.js.apply(&mut bench.world, pos, Loc::log(pos), entry);
            if let Ok(msg) = Stored::of(entry) {
                let stream = bench.js.streams().find(|s| s.core.id() == msg.stream);
                let last = stream.map(|s| s.core.index.last_seq()).unwrap_or_default();
                lasts.entry(msg.stream).or_default().push(last);
            }
        }
        assert!(told > 500, "{told}");
    }
}

fn plain(streams: usize, count: usize) -> Bench {
    let mut bench = Bench::new();
    for stream in 0..streams {
        let config = format!("{{\"name\":\"S{stream}\",\"subjects\":[\"s{stream}\"]}}");
        bench.ask(&format!("STREAM.CREATE.S{stream}"), &config);
    }
    for n in 0..count {
        bench.publish(&format!("s{}", n % streams), &[], "x");
        if n % 7 == 0 {
            bench.sync();
        }
    }
    bench.sync();
    bench
}

/// Starts from a checkpoint that has lost a section, and from the log behind it.
fn start_without(
    lost: SectionKey,
    sections: &[(SectionKey, Bytes)],
    log: &[(LogPos, Bytes)],
) -> Bench {
    let mut bench = Bench::with_log(Vec::new());
    bench.js = machine();
    for (key, body) in sections {
        if *key == lost {
            assert!(bench.js.section_lost(*key), "it is gone on without");
        } else {
            bench.js.restore(*key, body).expect("whole");
        }
    }
    for (at, entry) in log {
        bench.js.apply(&mut bench.world, *at, Loc::log(*at), entry);
    }
    bench.js.close_holes(0, &mut bench.world);
    bench
}

#[test]
fn a_message_that_was_under_way_with_one_that_damage_refuses_keeps_its_number() {
    // A page of messages and one of message ids: what either says, a message may depend on.
    for (kind, header) in [
        (3, ("Nats-Expected-Last-Subject-Sequence", "1")),
        (2, ("Nats-Msg-Id", "first")),
    ] {
        let mut bench = Bench::new();
        bench.ask("STREAM.CREATE.S", "{\"name\":\"S\",\"subjects\":[\"s.>\"]}");
        bench.publish_acked("s.a", &[("Nats-Msg-Id", "first")], "1");
        let sections = bench.js.sections();
        let begin = bench.world.log.len();
        // All of them are under way at once. With the ids, the first is a repeat, and takes no number.
        bench.publish("s.a", &[header], "2");
        for _ in 0..3 {
            bench.publish("s.b", &[], "x");
        }
        bench.sync();
        bench.publish_acked("s.b", &[], "x");
        let (truth, last) = held(&bench)[&StreamId(1)].clone();
        let log = bench.world.log.iter().enumerate().skip(begin);
        let log: Vec<_> = log
            .map(|(at, entry)| (LogPos(at as u64 + 1), entry.clone()))
            .collect();
        let lost = sections.iter().find(|(key, _)| key.number >> 56 == kind);
        let after = start_without(lost.expect("it is there").0, &sections, &log);
        let (messages, now) = held(&after)[&StreamId(1)].clone();
        assert_eq!(now, last, "{header:?}");
        for (seq, loc) in &messages {
            assert_eq!(truth.get(seq), Some(loc), "{header:?}: {seq:?}");
        }
        assert!(messages.len() >= 4, "{header:?}: {messages:?}");
    }
}

/// As where damage has taken what a message depended on, so that it is refused.
#[test]
fn nobody_has_to_tell_of_a_hole_for_numbers_to_stay() {
    let mut bench = Bench::new();
    bench.ask("STREAM.CREATE.S", "{\"name\":\"S\",\"subjects\":[\"s\"]}");
    for _ in 0..20 {
        bench.publish("s", &[], "x");
        bench.sync();
    }
    let log = bench.world.log;
    let whole = held(&Bench::with_log(log.clone()));
    for gone in 1..log.len() - 1 {
        let mut after = Bench::with_log(Vec::new());
        after.js = machine();
        for (at, entry) in log.iter().enumerate().filter(|(at, _)| *at != gone) {
            let pos = LogPos(at as u64 + 1);
            after.js.apply(&mut after.world, pos, Loc::log(pos), entry);
        }
        for (stream, (mut messages, last)) in whole.clone() {
            messages.retain(|_, loc| loc.to_bits() != gone as u64 + 1);
            assert_eq!(held(&after)[&stream], (messages, last), "{gone}");
        }
        let lost = after
            .js
            .streams()
            .filter_map(|stream| stream.core.state(0).lost);
        assert_eq!(lost.map(|lost| lost.msgs.len()).sum::<usize>(), 1);
    }
}

#[test]
fn everything_around_a_hole_is_there_and_what_was_in_it_is_told() {
    let log = plain(3, 90).world.log;
    let whole = held(&Bench::with_log(log.clone()));
    for from in 3..log.len() - 20 {
        let hole = (from, from + 5);
        let after = replay(&log, hole);
        let gone = |loc: &Loc| (from as u64 + 1..from as u64 + 6).contains(&loc.to_bits());
        let mut lost = 0;
        for (stream, (messages, last)) in held(&after) {
            let (before, before_last) = &whole[&stream];
            assert_eq!(last, *before_last);
            let left: BTreeMap<_, _> = before
                .clone()
                .into_iter()
                .filter(|(_, l)| !gone(l))
                .collect();
            assert_eq!(messages, left, "{hole:?} {stream:?}");
        }
        for stream in after.js.streams() {
            lost += stream.core.state(0).lost.map_or(0, |lost| lost.msgs.len());
        }
        assert_eq!(lost, 5, "{hole:?}");
    }
}

#[test]
fn where_nothing_follows_a_hole_its_sequences_are_not_used_again() {
    let mut bench = plain(2, 20);
    let log = bench.world.log.clone();
    let hole = (log.len() - 4, log.len());
    let mut after = replay(&log, hole);
    for stream in ["s0", "s1"] {
        let seq = |ack: &str| ack.split("\"seq\":").nth(1).map(|rest| rest.len());
        let before = bench.publish_acked(stream, &[], "x");
        let ack = after.publish_acked(stream, &[], "x");
        assert!(ack > before || seq(&ack) > seq(&before), "{before} {ack}");
    }
}

#[test]
fn a_stream_made_in_a_hole_is_known_by_its_messages() {
    let log = plain(3, 30).world.log;
    // The second stream's creation.
    let mut after = replay(&log, (1, 2));
    assert_eq!(after.js.orphans(), (1, 10));
    assert_eq!(after.js.streams().count(), 2);
    let orphan = after.js.unflushed_streams(LogPos(u64::MAX));
    assert!(
        orphan.contains(&StreamId(2)),
        "their place is kept: {orphan:?}"
    );
    let mut messages = Vec::new();
    after
        .js
        .unflushed(StreamId(2), LogPos(u64::MAX), usize::MAX, &mut messages);
    assert_eq!(messages.len(), 10);
    let place = |&(seq, _): &(Seq, Loc)| (seq, Loc::segment(0, seq.0 * 8));
    let moved: Vec<_> = messages.iter().map(place).collect();
    after.js.relocated(StreamId(2), &moved);
    assert!(
        !after
            .js
            .unflushed_streams(LogPos(u64::MAX))
            .contains(&StreamId(2))
    );
    assert_eq!(restored(&after.js).orphans(), (1, 10));
    let created = after.ask("STREAM.CREATE.T", "{\"name\":\"T\",\"subjects\":[\"t\"]}");
    assert!(created.contains("did_create"), "{created}");
    assert_eq!(after.js.orphans(), (1, 10), "its id is not used again");
}

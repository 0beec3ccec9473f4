//! Mirrors and sources: what is copied, what it looks like, and where a restart goes on.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use crate::shared::Options;
use crate::stream::MsgRead;
use crate::testing::{ACCOUNT, Bench};

fn create(bench: &mut Bench, name: &str, config: &str) {
    let body = format!("{{\"name\":\"{name}\",{config}}}");
    let answer = bench.ask(&format!("STREAM.CREATE.{name}"), &body);
    assert!(answer.contains("\"did_create\":true"), "{answer}");
}

/// An origin with five messages, of which the first and the third are deleted.
fn origin() -> Bench {
    let mut bench = Bench::new();
    create(&mut bench, "S", "\"subjects\":[\"s.*\"]");
    for i in 1..=5 {
        bench.publish_acked(&format!("s.{i}"), &[("Nats-Msg-Id", &format!("{i}"))], "x");
    }
    for seq in [1, 3] {
        bench.ask("STREAM.MSG.DELETE.S", &format!("{{\"seq\":{seq}}}"));
    }
    bench
}

/// Returns sequence, subject and headers of each message.
fn held(bench: &mut Bench, name: &str) -> Vec<(u64, String, String)> {
    let mut out = Vec::new();
    let core = &bench.js.stream(ACCOUNT, name).unwrap().core;
    for seq in core.index.first_seq().0..=core.index.last_seq().0 {
        let MsgRead::Hit(entry) = core.read(protocol::id::Seq(seq), &mut bench.world) else {
            continue;
        };
        let msg = crate::entry::Stored::of(&entry).unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        out.push((seq, text(msg.subject), text(msg.headers)));
    }
    out
}

fn seqs(bench: &mut Bench, name: &str) -> Vec<u64> {
    let held = held(bench, name).into_iter();
    held.map(|(seq, ..)| seq).collect()
}

fn restarted(bench: &Bench) -> Bench {
    let mut again = Bench::with_log(bench.world.log.clone());
    assert_eq!(again.js.state_hash(), bench.js.state_hash());
    again.world.now = bench.world.now;
    again
}

#[test]
fn a_mirror_keeps_sequences_and_times() {
    for storage in ["", ",\"storage\":\"memory\""] {
        let mut bench = origin();
        create(
            &mut bench,
            "M",
            &format!("\"mirror\":{{\"name\":\"S\"}}{storage}"),
        );
        bench.sync();
        assert_eq!(seqs(&mut bench, "M"), [2, 4, 5]);
        bench.publish_acked("s.6", &[], "x");
        assert_eq!(seqs(&mut bench, "M"), [2, 4, 5, 6]);
        let index = |name| &bench.js.stream(ACCOUNT, name).unwrap().core.index;
        let (of, copy) = (index("S"), index("M"));
        assert_eq!(of.first_time(), copy.first_time());
        assert_eq!(of.last_time(), copy.last_time());
        assert_eq!(copy.num_deleted(), 1);
    }
}

#[test]
fn a_mirror_begins_where_it_is_told_and_takes_what_it_is_told() {
    for (how, expected) in [
        (",\"opt_start_seq\":4", Vec::from([4, 5])),
        (",\"filter_subject\":\"s.4\"", Vec::from([4])),
        (",\"filter_subject\":\"t\"", Vec::new()),
    ] {
        let mut bench = origin();
        create(
            &mut bench,
            "M",
            &format!("\"mirror\":{{\"name\":\"S\"{how}}}"),
        );
        bench.sync();
        assert_eq!(seqs(&mut bench, "M"), expected, "{how}");
    }
}

#[test]
fn a_source_gets_its_own_sequences_and_a_header() {
    let mut bench = origin();
    let source = "\"subjects\":[\"c\"],\"sources\":[{\"name\":\"S\",\"filter_subject\":\"s.4\"}]";
    create(&mut bench, "C", source);
    bench.sync();
    bench.publish_acked("c", &[], "own");
    let held = held(&mut bench, "C");
    let [(1, subject, headers), (2, own, _)] = held.as_slice() else {
        panic!("{held:?}");
    };
    assert_eq!((subject.as_str(), own.as_str()), ("s.4", "c"));
    assert!(headers.contains("Nats-Msg-Id: 4\r\nNats-Stream-Source: S 4 s.4 > s.4 "));
}

#[test]
fn a_source_transforms_subjects_and_drops_what_its_origin_was_asked_to_expect() {
    let mut bench = origin();
    let transforms = "{\"src\":\"s.4\",\"dest\":\"t.four\"},{\"src\":\"s.6\",\"dest\":\"t.six\"}";
    let source = format!("\"sources\":[{{\"name\":\"S\",\"subject_transforms\":[{transforms}]}}]");
    create(&mut bench, "C", &source);
    bench.publish_acked(
        "s.6",
        &[("Nats-Expected-Last-Sequence", "5"), ("A", "b")],
        "x",
    );
    let held = held(&mut bench, "C");
    assert_eq!(held.len(), 2);
    assert_eq!(held[0].1, "t.four");
    assert_eq!(held[1].1, "t.six");
    assert!(
        held[1]
            .2
            .starts_with("NATS/1.0\r\nA: b\r\nNats-Stream-Source: S 6 ")
    );
}

#[test]
fn copies_roll_up_only_where_their_own_stream_allows_that() {
    let mut bench = Bench::new();
    create(
        &mut bench,
        "S",
        "\"subjects\":[\"s.*\"],\"allow_rollup_hdrs\":true",
    );
    for (name, from) in [
        ("M", "mirror\":{\"name\":\"S\"}"),
        ("O", "sources\":[{\"name\":\"S\"}]"),
    ] {
        create(&mut bench, name, &format!("\"{from}"));
        let rolls = format!("\"{from},\"allow_rollup_hdrs\":true");
        create(&mut bench, &format!("{name}R"), &rolls);
    }
    for headers in [&[][..], &[], &[("Nats-Rollup", "sub")]] {
        bench.publish_acked("s.1", headers, "x");
    }
    bench.sync();

    for name in ["M", "O"] {
        assert_eq!(seqs(&mut bench, name), [1, 2, 3], "{name}");
        assert_eq!(seqs(&mut bench, &format!("{name}R")), [3], "{name}R");
    }
}

#[test]
fn what_a_transform_without_a_destination_lets_pass_is_told_to_keep_its_subject() {
    let mut bench = origin();
    create(
        &mut bench,
        "M",
        "\"sources\":[{\"name\":\"S\",\"subject_transforms\":[{\"src\":\"s.2\",\"dest\":\"\"}]}]",
    );
    bench.sync();
    let held = held(&mut bench, "M");
    assert!(
        held[0].2.contains("Nats-Stream-Source: S 2 s.2 > s.2 "),
        "{held:?}"
    );
}

#[test]
fn copies_pass_the_transform_of_their_own_stream_after_that_of_the_source() {
    let mut bench = origin();
    let own = "\"subject_transform\":{\"src\":\"\",\"dest\":\"z.>\"}";
    let source = "\"subject_transforms\":[{\"src\":\"s.*\",\"dest\":\"t.{{wildcard(1)}}\"}]";
    create(
        &mut bench,
        "M",
        &format!("\"mirror\":{{\"name\":\"S\"}},{own}"),
    );
    create(
        &mut bench,
        "O",
        &format!("\"sources\":[{{\"name\":\"S\",{source}}}],{own}"),
    );
    bench.sync();

    assert_eq!(held(&mut bench, "M")[0].1, "z.s.2");
    assert_eq!(held(&mut bench, "O")[0].1, "z.t.2");
}

#[test]
fn a_restart_goes_on_without_gaps_and_repetitions() {
    let mut bench = origin();
    create(&mut bench, "M", "\"mirror\":{\"name\":\"S\"}");
    create(&mut bench, "C", "\"sources\":[{\"name\":\"M\"}]");
    bench.sync();
    // The last copies are proposed but not yet synced when the process ends.
    bench.publish("s.6", &[], "x");
    bench.apply_one();
    bench.js.pump(&mut bench.world);
    let synced = bench.world.synced;
    let mut again = Bench::with_log(bench.world.log[..synced].to_vec());
    again.sync();
    assert_eq!(seqs(&mut again, "M"), [2, 4, 5, 6]);
    assert_eq!(seqs(&mut again, "C"), [1, 2, 3, 4]);
    let third = restarted(&again);
    assert_eq!(third.world.log.len(), again.world.log.len());
}

#[test]
fn a_checkpoint_knows_how_far_sources_have_come() {
    let mut bench = origin();
    create(&mut bench, "C", "\"sources\":[{\"name\":\"S\"}]");
    bench.sync();
    let mut js = crate::testing::restored(&bench.js);
    js.recovered(&mut bench.world);
    let log = bench.world.log.len();
    js.pump(&mut bench.world);
    assert_eq!(bench.world.log.len(), log, "nothing is copied again");
    assert_eq!(js.state_hash(), bench.js.state_hash());
}

#[test]
fn a_full_stream_takes_the_next_copy_when_it_has_room() {
    let mut bench = origin();
    let limits = "\"discard\":\"new\",\"max_msgs\":2,\"sources\":[{\"name\":\"S\"}]";
    create(&mut bench, "C", limits);
    bench.sync();
    assert_eq!(held(&mut bench, "C").len(), 2);
    bench.ask("STREAM.MSG.DELETE.C", "{\"seq\":1}");
    assert_eq!(held(&mut bench, "C").len(), 1);
    bench.world.advance_ms(1_000);
    bench.js.handle_timeout(&mut bench.world);
    bench.sync();
    let subjects: Vec<_> = held(&mut bench, "C").into_iter().map(|m| m.1).collect();
    assert_eq!(subjects, ["s.4", "s.5"]);
    restarted(&bench);
}

#[test]
fn copies_wait_for_slow_disks() {
    let mut bench = origin();
    bench.world.slow_reads = true;
    create(&mut bench, "M", "\"mirror\":{\"name\":\"S\"}");
    bench.sync();
    assert!(seqs(&mut bench, "M").is_empty());
    bench.answer_reads();
    assert_eq!(seqs(&mut bench, "M"), [2, 4, 5]);
}

#[test]
fn info_tells_how_far_a_stream_is_behind() {
    let mut bench = origin();
    create(
        &mut bench,
        "C",
        "\"sources\":[{\"name\":\"S\"},{\"name\":\"NONE\"}]",
    );
    bench.sync();
    bench.world.advance_ms(7);
    let info = bench.ask("STREAM.INFO.C", "");
    assert!(
        info.contains("{\"name\":\"S\",\"lag\":0,\"seq\":5,\"active\":7000000}"),
        "{info}"
    );
    // It takes a while until it is known that there is none.
    assert!(
        info.contains("{\"name\":\"NONE\",\"lag\":0,\"active\":-1}"),
        "{info}"
    );
    bench.world.advance_ms(120);
    let info = bench.ask("STREAM.INFO.C", "");
    assert!(
        info.contains("{\"name\":\"NONE\",\"lag\":0,\"active\":-1,\"error\":{\"code\":404"),
        "{info}"
    );
}

#[test]
fn an_origin_that_is_there_is_in_touch_every_second() {
    let mut bench = origin();
    create(&mut bench, "C", "\"sources\":[{\"name\":\"S\"}]");
    bench.sync();
    bench.world.advance_ms(10_250);
    let info = bench.ask("STREAM.INFO.C", "");
    assert!(info.contains("\"active\":250000000"), "{info}");
    // Of one that is gone nothing is heard any more.
    bench.ask("STREAM.DELETE.S", "");
    bench.sync();
    bench.world.advance_ms(10_250);
    let info = bench.ask("STREAM.INFO.C", "");
    assert!(info.contains("\"active\":10250000000"), "{info}");
}

#[test]
fn a_promoted_mirror_takes_messages_of_its_own() {
    let mut bench = origin();
    create(&mut bench, "M", "\"mirror\":{\"name\":\"S\"}");
    bench.sync();
    let answer = bench.ask("STREAM.UPDATE.M", "{\"name\":\"M\",\"subjects\":[\"m\"]}");
    assert!(!answer.contains("error"), "{answer}");
    bench.publish_acked("s.6", &[], "x");
    bench.publish_acked("m", &[], "x");
    let last = held(&mut bench, "M").pop().unwrap();
    assert_eq!((last.0, last.1.as_str()), (6, "m"));
    restarted(&bench);
}

#[test]
fn a_mirror_answers_direct_gets_for_an_origin_that_is_silent_or_gone() {
    let get = |bench: &mut Bench| {
        let is_answered = bench.request("DIRECT.GET.S", "{\"seq\":2}");
        (is_answered, bench.world.take("api").pop())
    };
    let mut bench = origin();
    create(&mut bench, "M", "\"mirror\":{\"name\":\"S\"}");
    bench.sync();
    assert_eq!(get(&mut bench), (false, None), "without mirror_direct");

    let allowed = "{\"name\":\"S\",\"subjects\":[\"s.*\"],\"allow_direct\":true}";
    bench.ask("STREAM.UPDATE.S", allowed);
    let mirrored = "{\"name\":\"M\",\"mirror\":{\"name\":\"S\"},\"mirror_direct\":true}";
    bench.ask("STREAM.UPDATE.M", mirrored);
    let from = |answer: (bool, Option<String>)| {
        let answer = answer.1.unwrap_or_default();
        let name = answer.split("Nats-Stream: ").nth(1);
        name.and_then(|rest| rest.get(..1)).map(String::from)
    };
    assert_eq!(from(get(&mut bench)).as_deref(), Some("S"));

    bench.ask("STREAM.DELETE.S", "");
    assert_eq!(from(get(&mut bench)).as_deref(), Some("M"));
}

#[test]
fn a_source_that_is_added_again_goes_on_behind_the_last_of_its_messages_that_is_still_there() {
    for storage in ["file", "memory"] {
        let mut bench = origin();
        let config = |sources: &str| {
            format!("{{\"name\":\"C\",\"storage\":\"{storage}\",\"sources\":[{sources}]}}")
        };
        let (with, without) = (config("{\"name\":\"S\"}"), config(""));
        bench.ask("STREAM.CREATE.C", &with);
        assert_eq!(seqs(&mut bench, "C"), [1, 2, 3]);
        bench.ask("STREAM.UPDATE.C", &without);
        bench.ask("STREAM.MSG.DELETE.C", "{\"seq\":3}");
        bench.ask("STREAM.MSG.DELETE.C", "{\"seq\":2}");

        let told = bench.ask("STREAM.UPDATE.C", &with);
        assert!(told.contains("\"seq\":2,"), "{told}");
        bench.sync();

        let brought = held(&mut bench, "C");
        let subjects: Vec<&str> = brought.iter().map(|(_, subject, _)| &**subject).collect();
        assert_eq!(subjects, ["s.2", "s.4", "s.5"], "{storage}");
        if storage == "file" {
            assert_eq!(held(&mut restarted(&bench), "C"), brought);
        }
        bench.ask("STREAM.UPDATE.C", &without);
        bench.ask("STREAM.PURGE.C", "");
        bench.ask("STREAM.UPDATE.C", &with);
        bench.publish_acked("s.6", &[], "x");
        bench.sync();
        assert_eq!(held(&mut bench, "C").len(), 1, "what is lost stays so");
    }
}

#[test]
fn a_request_that_waits_for_a_copy_is_answered() {
    let mut bench = origin();
    create(&mut bench, "M", "\"mirror\":{\"name\":\"S\"}");
    bench.publish("s.6", &[], "x");
    bench.apply_one();
    bench.js.pump(&mut bench.world);
    assert!(bench.request("STREAM.INFO.M", ""));
    assert!(bench.world.take("api").is_empty(), "the copy is under way");
    bench.sync();
    let info = bench.world.take("api").pop().unwrap();
    assert!(info.contains("\"last_seq\":6"), "{info}");
}

#[test]
fn a_source_with_a_consumer_copies_while_that_one_can_be_acknowledged_by_flow_control() {
    for (how, code) in [
        ("\"mirror\":{SOURCE}", "\"err_code\":10214"),
        ("\"sources\":[{SOURCE}]", "\"err_code\":10217"),
    ] {
        let mut bench = origin();
        let named = "\"name\":\"S\",\"consumer\":{\"name\":\"C\",\"deliver_subject\":\"d\"}";
        create(&mut bench, "M", &how.replace("SOURCE", named));
        bench.sync();
        bench.advance_ms(200);
        let info = bench.ask("STREAM.INFO.M", "");
        assert!(!info.contains("err_code"), "it is waited for: {info}");
        for (ack, deliver, filter, expected) in [
            ("none", "d", "s.>", Vec::new()),
            ("flow_control", "e", "s.>", Vec::new()),
            ("flow_control", "d", "s.4", Vec::from(["s.4"])),
        ] {
            let config = format!(
                "{{\"stream_name\":\"S\",\"config\":{{\"durable_name\":\"C\",\"ack_policy\":\"{ack}\",\
                 \"deliver_subject\":\"{deliver}\",\"flow_control\":true,\
                 \"idle_heartbeat\":1000000000,\"filter_subject\":\"{filter}\"}}}}"
            );
            let answer = bench.ask("CONSUMER.CREATE.S.C", &config);
            assert!(answer.contains("\"num_pending\""), "{answer}");
            bench.sync();
            let info = bench.ask("STREAM.INFO.M", "");
            assert_eq!(info.contains(code), ack == "none", "{info}");
            let held: Vec<String> = held(&mut bench, "M").into_iter().map(|m| m.1).collect();
            assert_eq!(held, expected, "{ack} to {deliver}");
            bench.ask("CONSUMER.DELETE.S.C", "");
        }
    }
}

#[test]
fn copies_wait_while_the_server_has_no_room_for_them() {
    for (storage, place) in [("file", "store"), ("memory", "memory")] {
        let mut options = Options::default();
        let bytes_max = match place {
            "store" => &mut options.store_bytes_max,
            _ => &mut options.memory_bytes_max,
        };
        *bytes_max = 1000;
        let mut bench = Bench::with_options(options.clone());
        create(
            &mut bench,
            "S",
            &format!("\"subjects\":[\"s\"],\"storage\":\"{storage}\""),
        );
        for _ in 0..3 {
            bench.publish_acked("s", &[], &"x".repeat(200));
        }
        let mirror = format!("\"mirror\":{{\"name\":\"S\"}},\"storage\":\"{storage}\"");
        create(&mut bench, "M", &mirror);
        bench.sync();
        let some = seqs(&mut bench, "M").len();
        assert!((1..3).contains(&some), "{some} in {storage}");
        bench.js.change_options(Options {
            store_bytes_max: 1 << 20,
            memory_bytes_max: 1 << 20,
            ..options
        });
        bench.advance_ms(2000);
        bench.sync();
        assert_eq!(seqs(&mut bench, "M"), [1, 2, 3], "{storage}");
    }
}

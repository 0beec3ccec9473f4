//! Counters: what is stored and acknowledged, whatever is under way.

use alloc::format;
use alloc::vec::Vec;

use crate::testing::{ACCOUNT, Bench};

fn bench(storage: &str) -> Bench {
    let mut bench = Bench::new();
    let body = format!(
        "{{\"name\":\"C\",\"subjects\":[\"c.*\"],\"allow_msg_counter\":true,\
         \"storage\":\"{storage}\"}}"
    );
    let answer = bench.ask("STREAM.CREATE.C", &body);
    assert!(answer.contains("\"did_create\":true"), "{answer}");
    bench
}

fn ack(seq: u64, total: &str) -> alloc::string::String {
    format!("{{\"stream\":\"C\",\"seq\":{seq},\"val\":\"{total}\"}}")
}

const INCR: &str = "Nats-Incr";

#[test]
fn increments_add_up_also_while_others_are_under_way() {
    for storage in ["file", "memory"] {
        let mut bench = bench(storage);
        for (subject, increment) in [("c.a", "+5"), ("c.b", "1"), ("c.a", "-7"), ("c.a", "40")] {
            bench.publish(subject, &[(INCR, increment)], "");
        }
        bench.sync();
        let acks = bench.world.take("ack");
        assert_eq!(acks, [ack(1, "5"), ack(2, "1"), ack(3, "-2"), ack(4, "38")]);
        assert_eq!(bench.publish_acked("c.a", &[(INCR, "2")], ""), ack(5, "40"));
    }
}

#[test]
fn a_repeated_increment_counts_once_though_both_were_under_way() {
    let mut bench = bench("file");
    let same = [(INCR, "1"), ("Nats-Msg-Id", "x")];
    bench.publish("c.a", &same, "");
    bench.publish("c.a", &same, "");
    bench.publish("c.a", &[(INCR, "10")], "");
    bench.sync();
    let acks = bench.world.take("ack");
    assert_eq!(acks.len(), 3);
    assert_eq!(acks[0], ack(1, "1"));
    assert!(acks[1].contains("\"duplicate\": true"), "{}", acks[1]);
    assert_eq!(acks[2], ack(2, "11"));
}

#[test]
fn a_purge_under_way_begins_the_count_again() {
    let mut bench = bench("file");
    bench.publish_acked("c.a", &[(INCR, "5")], "");
    bench.request("STREAM.PURGE.C", "");
    bench.publish("c.a", &[(INCR, "1")], "");
    bench.sync();
    assert_eq!(bench.world.take("ack"), [ack(2, "1")]);
}

#[test]
fn a_total_that_is_on_the_disk_only_is_waited_for() {
    let mut bench = bench("file");
    bench.publish_acked("c.a", &[(INCR, "5")], "");
    bench.world.slow_reads = true;
    bench.publish("c.a", &[(INCR, "1")], "");
    bench.publish("c.a", &[(INCR, "1")], "");
    bench.sync();
    assert_eq!(bench.world.take("ack"), Vec::<alloc::string::String>::new());
    assert_eq!(bench.world.reads.len(), 1);
    bench.answer_reads();
    assert_eq!(bench.world.take("ack"), [ack(2, "6"), ack(3, "7")]);
}

#[test]
fn a_stream_has_its_increments_in_the_order_in_which_they_came() {
    let mut bench = bench("file");
    let answer = bench.ask(
        "STREAM.CREATE.D",
        "{\"name\":\"D\",\"subjects\":[\"d.*\"],\"allow_msg_counter\":true}",
    );
    assert!(answer.contains("\"did_create\":true"), "{answer}");
    bench.publish_acked("c.a", &[(INCR, "5")], "");
    bench.world.slow_reads = true;
    // The first waits for the disk, the others would not have to, but for the order; another stream goes on.
    for subject in ["c.a", "c.b", "d.a", "c.a", "c.c"] {
        bench.publish(subject, &[(INCR, "1")], "");
    }
    bench.sync();
    let other = "{\"stream\":\"D\",\"seq\":1,\"val\":\"1\"}";
    assert_eq!(bench.world.take("ack"), [other]);
    bench.answer_reads();
    let acks = bench.world.take("ack");
    assert_eq!(acks, [ack(2, "6"), ack(3, "1"), ack(4, "7"), ack(5, "1")]);
}

#[test]
fn increments_wait_behind_a_batch_that_waits() {
    let mut bench = Bench::new();
    let body =
        "{\"name\":\"C\",\"subjects\":[\"c.*\"],\"allow_msg_counter\":true,\"allow_atomic\":true}";
    let answer = bench.ask("STREAM.CREATE.C", body);
    assert!(answer.contains("\"did_create\":true"), "{answer}");
    bench.publish_acked("c.a", &[(INCR, "5")], "");
    bench.world.slow_reads = true;
    let part = |seq| {
        [
            (INCR, "1"),
            ("Nats-Batch-Id", "b"),
            ("Nats-Batch-Sequence", seq),
        ]
    };
    bench.publish("c.b", &part("1"), "");
    let end = [&part("2")[..], &[("Nats-Batch-Commit", "1")]].concat();
    bench.publish("c.a", &end, "");
    bench.publish("c.c", &[(INCR, "1")], "");
    bench.sync();
    bench.world.take("ack");
    bench.answer_reads();
    bench.sync();
    let batch = "{\"stream\":\"C\",\"seq\":3,\"batch\":\"b\",\"count\":2}";
    assert_eq!(bench.world.take("ack"), [batch.into(), ack(4, "1")]);
}

#[test]
fn totals_survive_a_restart() {
    let mut bench = bench("file");
    bench.publish_acked("c.a", &[(INCR, "99999999999999999999")], "");
    let mut replayed = Bench::with_log(bench.world.log.clone());
    assert_eq!(replayed.js.state_hash(), bench.js.state_hash());
    let next = replayed.publish_acked("c.a", &[(INCR, "1")], "");
    assert_eq!(next, ack(2, "100000000000000000000"));
    assert!(replayed.js.stream(ACCOUNT, "C").is_some());
}

#[test]
fn what_is_no_increment_is_refused() {
    let mut bench = bench("file");
    for (headers, body, code) in [
        (&[("K", "V")][..], "", 10_169),
        (&[(INCR, "1")][..], "body", 10_170),
        (&[(INCR, "one")][..], "", 10_171),
        (&[(INCR, "1"), ("Nats-Rollup", "sub")][..], "", 10_171),
        (
            &[(INCR, "1"), ("Nats-Expected-Stream", "C")][..],
            "",
            10_171,
        ),
    ] {
        let answer = bench.publish_acked("c.a", headers, body);
        assert!(answer.contains(&format!("\"err_code\":{code}")), "{answer}");
    }
    bench.ask("STREAM.CREATE.S", "{\"name\":\"S\",\"subjects\":[\"s\"]}");
    let answer = bench.publish_acked("s", &[(INCR, "1")], "");
    assert!(answer.contains("\"err_code\":10168"), "{answer}");
}

/// Two counters, what brings them together, and what follows that.
fn sourced(storage: &str) -> Bench {
    let mut bench = Bench::new();
    for (name, more) in [
        ("X", "\"subjects\":[\"x.*\"]"),
        ("Y", "\"subjects\":[\"y.*\"]"),
        (
            "ALL",
            "\"sources\":[{\"name\":\"X\",\"subject_transforms\":[{\"src\":\"x.*\",\"dest\":\"all.{{wildcard(1)}}\"}]},\
             {\"name\":\"Y\",\"subject_transforms\":[{\"src\":\"y.*\",\"dest\":\"all.{{wildcard(1)}}\"}]}]",
        ),
        ("TOP", "\"sources\":[{\"name\":\"ALL\"}]"),
    ] {
        let body = format!(
            "{{\"name\":\"{name}\",{more},\"allow_msg_counter\":true,\"storage\":\"{storage}\"}}"
        );
        let answer = bench.ask(&format!("STREAM.CREATE.{name}"), &body);
        assert!(answer.contains("\"did_create\":true"), "{answer}");
    }
    bench
}

fn last_total(bench: &mut Bench, stream: &str, subject: &str) -> alloc::string::String {
    let answer = bench.ask(
        &format!("STREAM.MSG.GET.{stream}"),
        &format!("{{\"last_by_subj\":\"{subject}\"}}"),
    );
    let (_, data) = answer.split_once("\"data\":\"").unwrap_or_default();
    data.split('"').next().unwrap_or_default().into()
}

#[test]
fn what_counters_have_is_added_up_where_they_are_brought_together() {
    for storage in ["file", "memory"] {
        let mut bench = sourced(storage);
        for (subject, increment) in [
            ("x.a", "5"),
            ("y.a", "7"),
            ("x.a", "-2"),
            ("y.a", "10"),
            ("x.b", "1"),
        ] {
            bench.publish(subject, &[(INCR, increment)], "");
        }
        bench.sync();
        // {"val":"20"}
        assert_eq!(
            last_total(&mut bench, "ALL", "all.a"),
            "eyJ2YWwiOiIyMCJ9",
            "{storage}"
        );
        assert_eq!(
            last_total(&mut bench, "TOP", "all.a"),
            "eyJ2YWwiOiIyMCJ9",
            "{storage}"
        );
        // A counter that begins again takes nothing back, and a restart changes nothing.
        bench.ask("STREAM.PURGE.X", "{\"filter\":\"x.a\"}");
        if storage == "file" {
            bench = Bench::with_log(bench.world.log.clone());
        }
        bench.publish_acked("x.a", &[(INCR, "4")], "");
        bench.sync();
        // {"val":"21"}
        assert_eq!(
            last_total(&mut bench, "ALL", "all.a"),
            "eyJ2YWwiOiIyMSJ9",
            "{storage}"
        );
        assert_eq!(
            last_total(&mut bench, "TOP", "all.a"),
            "eyJ2YWwiOiIyMSJ9",
            "{storage}"
        );
    }
}

#[test]
fn totals_that_only_the_disk_knows_hold_a_source_up() {
    let mut bench = sourced("file");
    bench.publish_acked("x.a", &[(INCR, "5")], "");
    bench.sync();
    bench.world.slow_reads = true;
    for _ in 0..3 {
        bench.publish("x.a", &[(INCR, "1")], "");
        bench.sync();
    }
    for _ in 0..40 {
        bench.answer_reads();
    }
    // {"val":"8"}
    assert_eq!(last_total(&mut bench, "TOP", "all.a"), "eyJ2YWwiOiI4In0=");
    let replayed = Bench::with_log(bench.world.log.clone());
    assert_eq!(replayed.js.state_hash(), bench.js.state_hash());
}

//! Mirrors and sources of streams whose acks remove messages: the consumer that they have there, what it
//! lets go of, and where a restart goes on.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use protocol::id::Seq;

use crate::testing::{ACCOUNT, Bench};

/// How a stream copies `O`, and what the name of its consumer there begins with.
const WAYS: [(&str, &str); 2] = [
    ("\"mirror\":{\"name\":\"O\"}", "JS_MIRROR_"),
    ("\"sources\":[{\"name\":\"O\"}]", "JS_SRC_"),
];

fn create(bench: &mut Bench, name: &str, config: &str) {
    let body = format!("{{\"name\":\"{name}\",{config}}}");
    let answer = bench.ask(&format!("STREAM.CREATE.{name}"), &body);
    assert!(answer.contains("\"did_create\":true"), "{answer}");
    bench.sync();
}

fn origin(retention: &str) -> Bench {
    let mut bench = Bench::new();
    let config = format!("\"subjects\":[\"o.*\"],\"retention\":\"{retention}\"");
    create(&mut bench, "O", &config);
    bench
}

fn publish(bench: &mut Bench, subjects: &[&str]) {
    for subject in subjects {
        bench.publish_acked(subject, &[], "x");
    }
    bench.sync();
}

/// Returns the sequences that a stream holds.
fn seqs(bench: &Bench, name: &str) -> Vec<u64> {
    let index = &bench.js.stream(ACCOUNT, name).unwrap().core.index;
    let all = index.first_seq().0..=index.last_seq().0;
    all.filter(|seq| index.meta(Seq(*seq)).is_some()).collect()
}

fn names(bench: &Bench) -> Vec<String> {
    let consumers = &bench.js.stream(ACCOUNT, "O").unwrap().consumers;
    consumers.iter().map(|c| c.name().to_string()).collect()
}

fn restarted(bench: &Bench) -> Bench {
    let mut again = Bench::with_log(bench.world.log.clone());
    assert_eq!(again.js.state_hash(), bench.js.state_hash());
    again.world.now = bench.world.now;
    again
}

#[test]
fn what_is_copied_leaves_a_work_queue() {
    for (way, prefix) in WAYS {
        for storage in ["file", "memory"] {
            let mut bench = origin("workqueue");
            publish(&mut bench, &["o.a", "o.b"]);
            create(&mut bench, "M", &format!("{way},\"storage\":\"{storage}\""));
            publish(&mut bench, &["o.a"]);
            assert_eq!(seqs(&bench, "M"), [1, 2, 3], "{way} {storage}");
            assert_eq!(seqs(&bench, "O"), [0; 0], "{way} {storage}");
            let [name] = names(&bench).try_into().unwrap();
            assert!(name.starts_with(prefix), "{name}");
            let info = bench.ask("STREAM.INFO.O", "");
            assert!(info.contains("\"consumer_count\":1"), "{info}");
            let info = bench.ask("INFO", "");
            assert!(info.contains("\"consumers\":1"), "{info}");
        }
    }
}

#[test]
fn what_is_copied_leaves_a_stream_in_memory() {
    for retention in ["workqueue", "interest"] {
        let mut bench = Bench::new();
        let config =
            format!("\"subjects\":[\"o.*\"],\"storage\":\"memory\",\"retention\":\"{retention}\"");
        create(&mut bench, "O", &config);
        create(&mut bench, "M", WAYS[0].0);
        publish(&mut bench, &["o.a", "o.b"]);
        assert_eq!(seqs(&bench, "M"), [1, 2]);
        assert_eq!(seqs(&bench, "O"), [0; 0]);
        assert!(bench.ask("STREAM.DELETE.M", "").contains("true"));
        bench.sync();
        assert!(names(&bench).is_empty());
    }
}

#[test]
fn a_stream_kept_by_interest_keeps_messages_until_they_are_copied() {
    for (way, _) in WAYS {
        let mut bench = origin("interest");
        create(&mut bench, "M", way);
        publish(&mut bench, &["o.a", "o.b"]);
        assert_eq!(seqs(&bench, "M"), [1, 2], "{way}");
        assert_eq!(seqs(&bench, "O"), [0; 0], "{way}");
    }
}

#[test]
fn what_others_want_stays_when_it_is_copied() {
    for retention in ["workqueue", "interest"] {
        let mut bench = origin(retention);
        let config = "{\"config\":{\"durable_name\":\"k\",\"ack_policy\":\"explicit\"},\
                      \"stream_name\":\"O\"}";
        assert!(
            bench
                .ask("CONSUMER.CREATE.O.k", config)
                .contains("\"num_pending\"")
        );
        create(&mut bench, "M", WAYS[1].0);
        publish(&mut bench, &["o.a", "o.b"]);
        assert_eq!(seqs(&bench, "M"), [1, 2], "{retention}");
        assert_eq!(seqs(&bench, "O"), [1, 2], "{retention}");
        restarted(&bench);
        assert!(bench.ask("CONSUMER.DELETE.O.k", "").contains("true"));
        bench.sync();
        // A work queue keeps them for whoever comes instead.
        let kept: &[u64] = if retention == "workqueue" {
            &[1, 2]
        } else {
            &[]
        };
        assert_eq!(seqs(&bench, "O"), kept, "{retention}");
    }
}

#[test]
fn filters_and_starts_leave_what_is_not_copied() {
    for (how, of_copy, of_origin) in [
        (
            ",\"filter_subject\":\"o.a\"",
            Vec::from([1, 3]),
            Vec::from([2, 4]),
        ),
        (",\"opt_start_seq\":3", Vec::from([3, 4]), Vec::from([1, 2])),
        (
            ",\"subject_transforms\":[{\"src\":\"o.b\",\"dest\":\"z\"}]",
            Vec::from([2, 4]),
            Vec::from([1, 3]),
        ),
    ] {
        let mut bench = origin("workqueue");
        publish(&mut bench, &["o.a", "o.b", "o.a", "o.b"]);
        create(
            &mut bench,
            "M",
            &format!("\"mirror\":{{\"name\":\"O\"{how}}}"),
        );
        assert_eq!(seqs(&bench, "M"), of_copy, "{how}");
        assert_eq!(seqs(&bench, "O"), of_origin, "{how}");
        let again = restarted(&bench);
        assert_eq!(seqs(&again, "O"), of_origin, "{how}");
    }
}

#[test]
fn the_consumer_goes_with_what_it_was_made_for() {
    for how in ["delete", "update"] {
        let mut bench = origin("workqueue");
        create(&mut bench, "M", WAYS[1].0);
        assert_eq!(names(&bench).len(), 1);
        let answer = match how {
            "delete" => bench.ask("STREAM.DELETE.M", ""),
            _ => bench.ask("STREAM.UPDATE.M", "{\"name\":\"M\",\"subjects\":[\"m\"]}"),
        };
        assert!(!answer.contains("error"), "{answer}");
        // The process ends before that is in the log.
        let mut again = Bench::with_log(bench.world.log[..bench.world.synced].to_vec());
        for bench in [&mut bench, &mut again] {
            bench.sync();
            assert!(names(bench).is_empty(), "{how}");
            publish(bench, &["o.a"]);
            assert_eq!(seqs(bench, "O"), [1], "{how}");
        }
    }
}

#[test]
fn a_consumer_that_somebody_deletes_is_made_again_behind_what_was_copied() {
    let mut bench = origin("workqueue");
    create(&mut bench, "M", WAYS[0].0);
    publish(&mut bench, &["o.a", "o.b"]);
    let [name] = names(&bench).try_into().unwrap();
    let answer = bench.ask(&format!("CONSUMER.DELETE.O.{name}"), "");
    assert!(answer.contains("true"), "{answer}");
    publish(&mut bench, &["o.a"]);
    assert_eq!(names(&bench).as_slice(), core::slice::from_ref(&name));
    let info = bench.ask(&format!("CONSUMER.INFO.O.{name}"), "");
    assert!(info.contains("\"opt_start_seq\":3"), "{info}");
    assert_eq!(seqs(&bench, "M"), [1, 2, 3]);
    assert_eq!(seqs(&bench, "O"), [0; 0]);
}

#[test]
fn a_pause_of_the_consumer_is_one_of_the_copy() {
    let mut bench = origin("workqueue");
    create(&mut bench, "M", WAYS[0].0);
    let [name] = names(&bench).try_into().unwrap();
    let until = "{\"pause_until\":\"2100-01-01T00:00:00Z\"}";
    let answer = bench.ask(&format!("CONSUMER.PAUSE.O.{name}"), until);
    assert!(answer.contains("\"paused\":true"), "{answer}");
    publish(&mut bench, &["o.a"]);
    assert_eq!(seqs(&bench, "O"), [1]);
    assert_eq!(seqs(&bench, "M"), [0; 0]);
    bench.ask(&format!("CONSUMER.PAUSE.O.{name}"), "");
    bench.advance_ms(2_000);
    bench.sync();
    assert_eq!(seqs(&bench, "M"), [1]);
    assert_eq!(seqs(&bench, "O"), [0; 0]);
}

#[test]
fn wherever_the_log_ends_each_message_is_copied_once_and_none_is_lost() {
    for (way, _) in WAYS {
        let mut bench = origin("workqueue");
        publish(&mut bench, &["o.a", "o.b"]);
        create(&mut bench, "M", way);
        publish(&mut bench, &["o.a", "o.b"]);
        let made = |entry: &[u8]| entry.windows(2).any(|pair| pair == b"JS");
        let from = bench.world.log.iter().position(|e| made(e)).unwrap();
        for end in from..=bench.world.log.len() {
            let mut again = Bench::with_log(bench.world.log[..end].to_vec());
            let published = seqs_ever(&again);
            again.sync();
            let copied: Vec<u64> = (1..=published).collect();
            assert_eq!(seqs(&again, "M"), copied, "{way} {end}");
            assert_eq!(seqs(&again, "O"), [0; 0], "{way} {end}");
            assert_eq!(names(&again).len(), 1);
            restarted(&again);
        }
    }
}

#[test]
fn a_checkpoint_knows_what_was_acknowledged() {
    let mut bench = origin("interest");
    create(&mut bench, "M", WAYS[1].0);
    publish(&mut bench, &["o.a", "o.b"]);
    let mut js = crate::testing::restored(&bench.js);
    js.recovered(&mut bench.world);
    let log = bench.world.log.len();
    js.pump(&mut bench.world);
    assert_eq!(bench.world.log.len(), log, "nothing is acknowledged again");
    assert_eq!(js.state_hash(), bench.js.state_hash());
}

#[test]
fn retention_that_changes_gets_a_consumer_behind_what_was_copied() {
    let mut bench = origin("limits");
    create(&mut bench, "M", WAYS[1].0);
    publish(&mut bench, &["o.a"]);
    assert!(names(&bench).is_empty());
    let update = "{\"name\":\"O\",\"subjects\":[\"o.*\"],\"retention\":\"interest\"}";
    let answer = bench.ask("STREAM.UPDATE.O", update);
    assert!(!answer.contains("error"), "{answer}");
    bench.sync();
    publish(&mut bench, &["o.b"]);
    assert_eq!(seqs(&bench, "M"), [1, 2]);
    assert_eq!(seqs(&bench, "O"), [0; 0]);
}

fn seqs_ever(bench: &Bench) -> u64 {
    let origin = bench.js.stream(ACCOUNT, "O").unwrap();
    origin.core.index.last_seq().0
}

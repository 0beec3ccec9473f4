//! What retention lets go of a stream that keeps it, and what nobody else's doing adds to it.

use alloc::format;
use alloc::vec::Vec;

use protocol::id::{AccountId, Seq};
use protocol::store::ReadError;

use crate::ParkedRead;
use crate::entry::Stored;
use crate::testing::{ACCOUNT, Bench, restored};

const TIERED: &str = "\"metadata\":{\"memphis.tiered_storage_enabled\":\"true\"}";

/// A stream with so many messages.
fn stream(config: &str, messages: u64) -> Bench {
    let mut bench = Bench::new();
    let body = format!("{{\"name\":\"S\",\"subjects\":[\"s\"],{config}}}");
    let made = bench.ask("STREAM.CREATE.S", &body);
    assert!(!made.contains("error"), "{made}");
    for n in 1..=messages {
        bench.publish("s", &[("n", &format!("{n}"))], "x");
    }
    bench.sync();
    bench
}

fn parked(bench: &Bench) -> Vec<u64> {
    let streams = bench.js.parking(ACCOUNT);
    let seqs = streams.flat_map(|stream| stream.core.index.parked(Seq(0)));
    seqs.map(|seq| seq.0).collect()
}

fn release(bench: &mut Bench, seqs: &[u64]) {
    let stream = bench.js.stream(ACCOUNT, "S").unwrap().core.id();
    let seqs: Vec<Seq> = seqs.iter().copied().map(Seq).collect();
    bench.js.release_parked(stream, &seqs, &mut bench.world);
    bench.sync();
}

#[test]
fn what_limits_and_age_let_go_is_kept_until_it_is_released() {
    for storage in ["file", "memory"] {
        let config =
            format!("\"max_msgs\":2,\"max_age\":1000000000,\"storage\":\"{storage}\",{TIERED}");
        let mut bench = stream(&config, 3);
        assert_eq!(parked(&bench), [1], "{storage}");
        bench.world.advance_ms(1100);
        bench.js.handle_timeout(&mut bench.world);
        bench.sync();
        assert_eq!(parked(&bench), [1, 2, 3], "{storage}");
        let info = bench.ask("STREAM.INFO.S", "");
        assert!(info.contains("\"messages\":0,\"bytes\":0"), "{info}");
        let stream = bench.js.stream(ACCOUNT, "S").unwrap().core.id();
        let read = bench.js.read_parked(stream, Seq(2), &mut bench.world);
        let ParkedRead::Hit(entry) = read else {
            panic!("{read:?}");
        };
        assert_eq!(
            Stored::of(&entry).unwrap().headers,
            b"NATS/1.0\r\nn: 2\r\n\r\n"
        );
        release(&mut bench, &[1, 3]);
        assert_eq!(parked(&bench), [2], "{storage}");
    }
}

#[test]
fn what_every_consumer_has_acknowledged_is_kept() {
    let mut bench = stream(&format!("\"retention\":\"interest\",{TIERED}"), 0);
    for (name, more) in [("a", ""), ("b", ",\"mem_storage\":true")] {
        let body = format!(
            "{{\"stream_name\":\"S\",\"config\":{{\"durable_name\":\"{name}\",\"ack_policy\":\"explicit\"{more}}}}}"
        );
        bench.ask(&format!("CONSUMER.DURABLE.CREATE.S.{name}"), &body);
    }
    bench.publish_acked("s", &[], "x");
    for name in ["a", "b"] {
        assert!(parked(&bench).is_empty(), "{name} has not acknowledged it");
        bench.request_with_reply(&format!("CONSUMER.MSG.NEXT.S.{name}"), "next", "1");
        bench.sync();
        let ack = format!("$JS.ACK.S.{name}.1.1.1.1.0");
        bench
            .js
            .ack(&mut bench.world, ACCOUNT, ack.as_bytes(), b"", b"");
        bench.sync();
    }
    assert_eq!(parked(&bench), [1]);
}

#[test]
fn what_a_client_removes_is_not_kept_and_takes_nothing_that_is() {
    let mut bench = stream(
        &format!("\"max_msgs\":3,\"allow_rollup_hdrs\":true,{TIERED}"),
        4,
    );
    bench.ask("STREAM.MSG.DELETE.S", "{\"seq\":3}");
    bench.publish_acked("s", &[("Nats-Rollup", "sub")], "x");
    bench.ask("STREAM.PURGE.S", "");
    assert_eq!(parked(&bench), [1]);
}

#[test]
fn a_stream_that_does_not_ask_for_it_keeps_nothing() {
    let bench = stream("\"max_msgs\":2", 3);
    assert!(parked(&bench).is_empty());
}

#[test]
fn a_stream_keeps_nothing_while_its_account_has_nobody_who_copies_it() {
    let config = format!("\"max_msgs\":1,{TIERED}");
    let mut bench = stream(&config, 2);
    assert_eq!(parked(&bench), [1]);
    // Another account's place is none of this one's.
    bench.js.set_outlets(["OTHER"].into_iter());
    bench.publish_acked("s", &[], "x");
    assert_eq!(parked(&bench), [1], "2 is gone, 1 waits to be let go");
    let body = "{\"name\":\"T\",\"subjects\":[\"t\"],\"max_msgs\":1,\"metadata\":{\"memphis.tiered_storage_enabled\":\"true\"}}";
    bench.ask("STREAM.CREATE.T", body);
    for _ in 0..3 {
        bench.publish_acked("t", &[], "x");
    }
    assert_eq!(parked(&bench), [1], "nor does a new stream");
    bench.js.set_outlets(["$G", "OTHER"].into_iter());
    bench.publish_acked("s", &[], "x");
    bench.publish_acked("t", &[], "x");
    assert_eq!(parked(&bench), [1, 3, 3], "of S, and of T");
}

#[test]
fn what_is_kept_is_that_of_the_account_and_survives_a_checkpoint() {
    let mut bench = stream(&format!("\"max_msgs\":1,{TIERED}"), 3);
    assert_eq!(bench.js.parking(AccountId(7)).count(), 0);
    bench.js = restored(&bench.js);
    assert_eq!(parked(&bench), [1, 2]);
    bench.publish("s", &[], "x");
    bench.sync();
    assert_eq!(parked(&bench), [1, 2, 3]);
}

#[test]
fn a_message_that_the_disk_refuses_for_a_while_is_not_lost() {
    let mut bench = stream(&format!("\"max_msgs\":1,{TIERED}"), 2);
    let stream = bench.js.stream(ACCOUNT, "S").unwrap().core.id();
    let read = |bench: &mut Bench| bench.js.read_parked(stream, Seq(1), &mut bench.world);
    bench.world.slow_reads = true;
    assert!(matches!(read(&mut bench), ParkedRead::Later));
    assert!(matches!(read(&mut bench), ParkedRead::Later), "asked once");
    assert_eq!(bench.world.reads.len(), 1);
    bench.fail_reads(ReadError::Io(5));
    bench.world.slow_reads = true;
    assert!(matches!(read(&mut bench), ParkedRead::Later), "asked again");
    bench.answer_reads();
    assert!(matches!(read(&mut bench), ParkedRead::Hit(_)));
    release(&mut bench, &[1]);
    assert!(matches!(read(&mut bench), ParkedRead::Lost));
}

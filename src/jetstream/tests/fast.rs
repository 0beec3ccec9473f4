//! Fast batches: what their publishers are told while messages are under way, and what is stored.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use crate::env::Inbound;
use crate::testing::{ACCOUNT, Bench, block};

fn bench(config: &str) -> Bench {
    let mut bench = Bench::new();
    let body = String::from("{\"name\":\"S\",\"subjects\":[\"s.>\"],\"allow_batched\":true")
        + config
        + "}";
    let answer = bench.ask("STREAM.CREATE.S", &body);
    assert!(answer.contains("\"did_create\":true"), "{answer}");
    bench
}

/// Sends a message of a batch without waiting. `place` is `<batch>.<acks every>.<gaps>.<seq>.<op>`.
fn send(bench: &mut Bench, place: &str, headers: &[(&str, &str)]) {
    let stream = bench.js.stream(ACCOUNT, "S").unwrap().core.id();
    let (reply, headers) = (format!("inbox.{place}.$FI"), block(headers));
    let msg = Inbound {
        subject: b"s.x",
        reply: reply.as_bytes(),
        headers: headers.as_bytes(),
        payload: b"body",
    };
    bench.js.publish(&mut bench.world, ACCOUNT, stream, msg);
}

/// Takes what the publisher of a batch was told, without what names it.
fn told(bench: &mut Bench, id: &str) -> Vec<String> {
    let prefix = format!("inbox.{id}.");
    let all = core::mem::take(&mut bench.world.delivered);
    let (told, left): (Vec<_>, Vec<_>) = all.into_iter().partition(|d| d.to.starts_with(&prefix));
    bench.world.delivered = left;
    told.into_iter().map(|d| d.payload).collect()
}

fn messages(bench: &Bench) -> u64 {
    bench.js.stream(ACCOUNT, "S").unwrap().core.index.messages()
}

fn ack(seq: u64, every: u64) -> String {
    format!("{{\"type\":\"ack\",\"seq\":{seq},\"msgs\":{every}}}")
}

fn committed(id: &str, seq: u64, count: u64) -> String {
    format!("{{\"stream\":\"S\",\"seq\":{seq},\"batch\":\"{id}\",\"count\":{count}}}")
}

#[test]
fn nothing_is_acknowledged_before_it_is_stored() {
    let mut bench = bench("");
    send(&mut bench, "b.2.fail.1.0", &[]);
    for seq in 2..=5 {
        send(&mut bench, &format!("b.2.fail.{seq}.1"), &[]);
    }
    assert_eq!(told(&mut bench, "b"), [ack(0, 2)], "only that it has begun");
    bench.sync();
    assert_eq!(told(&mut bench, "b"), [ack(2, 2), ack(4, 2)]);
    send(&mut bench, "b.2.fail.6.1", &[]);
    send(&mut bench, "b.2.fail.7.2", &[]);
    send(&mut bench, "b.2.fail.8.1", &[]);
    assert!(told(&mut bench, "b").is_empty());
    bench.sync();
    assert_eq!(told(&mut bench, "b"), [ack(6, 2), committed("b", 7, 7)]);
    assert_eq!(messages(&bench), 7, "what follows the end is not stored");
}

#[test]
fn an_end_without_a_message_waits_for_those_before() {
    for storage in ["", ",\"storage\":\"memory\""] {
        let mut bench = bench(storage);
        send(&mut bench, "b.9.fail.1.0", &[]);
        send(&mut bench, "b.9.fail.2.1", &[]);
        send(&mut bench, "b.9.fail.3.3", &[]);
        bench.sync();
        assert_eq!(told(&mut bench, "b"), [ack(0, 9), committed("b", 2, 2)]);
        assert_eq!(messages(&bench), 2);
    }
}

#[test]
fn a_message_that_what_is_under_way_decides_holds_its_batch_up() {
    let mut bench = bench("");
    send(&mut bench, "b.9.fail.1.0", &[]);
    send(
        &mut bench,
        "b.9.fail.2.1",
        &[("Nats-Expected-Last-Sequence", "1")],
    );
    send(
        &mut bench,
        "b.9.fail.3.1",
        &[("Nats-Expected-Last-Sequence", "9")],
    );
    send(&mut bench, "b.9.fail.4.1", &[]);
    send(&mut bench, "other.9.fail.1.2", &[]);
    assert_eq!(
        bench.world.log.len(),
        4,
        "the stream, two of this batch, one of the other"
    );
    bench.sync();
    let told_of_b = told(&mut bench, "b");
    let refused = "{\"type\":\"err\",\"seq\":3,";
    assert!(told_of_b[1].starts_with(refused), "{told_of_b:?}");
    assert_eq!(told_of_b[2], committed("b", 2, 2));
    assert!(told_of_b[3].contains("\"err_code\":10208"), "{told_of_b:?}");
    assert_eq!(
        messages(&bench),
        3,
        "nothing behind the refused one is stored"
    );
    assert_eq!(told(&mut bench, "other"), [committed("other", 3, 1)]);
}

#[test]
fn where_gaps_are_fine_what_is_refused_leaves_one() {
    let mut bench = bench(",\"max_msgs\":2,\"discard\":\"new\"");
    send(&mut bench, "b.1.ok.1.0", &[]);
    for seq in 2..=4 {
        send(&mut bench, &format!("b.1.ok.{seq}.1"), &[]);
    }
    send(&mut bench, "b.1.ok.5.3", &[]);
    bench.sync();
    let told = told(&mut bench, "b");
    let errors: Vec<_> = told.iter().filter(|t| t.contains("\"err\"")).collect();
    assert_eq!(errors.len(), 2, "{told:?}");
    assert!(errors[0].contains("\"seq\":3") && errors[0].contains("maximum messages exceeded"));
    assert_eq!(told.last(), Some(&committed("b", 2, 4)));
    assert_eq!(messages(&bench), 2);
}

#[test]
fn batches_share_what_the_stream_takes() {
    let mut bench = bench("");
    send(&mut bench, "a.600.fail.1.0", &[]);
    send(&mut bench, "b.600.fail.1.0", &[]);
    assert_eq!(told(&mut bench, "a"), [ack(0, 500)]);
    assert_eq!(
        told(&mut bench, "b"),
        [ack(0, 1)],
        "one that is not alone begins slowly"
    );
    for seq in 2..=40 {
        send(&mut bench, &format!("b.600.fail.{seq}.1"), &[]);
        bench.sync();
    }
    let acks = told(&mut bench, "b");
    let expected = [ack(1, 2), ack(3, 4), ack(7, 8), ack(15, 16), ack(31, 32)];
    assert_eq!(acks, expected);
}

#[test]
fn a_batch_that_is_left_alone_is_given_up_and_its_messages_stay() {
    let mut bench = bench("");
    send(&mut bench, "b.9.fail.1.0", &[]);
    bench.sync();
    bench.world.advance_ms(9_000);
    bench.js.handle_timeout(&mut bench.world);
    send(&mut bench, "b.9.fail.1.4", &[]);
    assert_eq!(
        told(&mut bench, "b"),
        [ack(0, 9), ack(0, 9)],
        "a ping keeps it alive"
    );
    bench.world.advance_ms(9_000);
    bench.js.handle_timeout(&mut bench.world);
    send(&mut bench, "b.9.fail.2.1", &[]);
    bench.sync();
    assert!(told(&mut bench, "b").is_empty());
    bench.world.advance_ms(10_000);
    bench.js.handle_timeout(&mut bench.world);
    send(&mut bench, "b.9.fail.3.1", &[]);
    assert!(told(&mut bench, "b")[0].contains("\"err_code\":10208"));
    assert_eq!(messages(&bench), 2);
}

#[test]
fn a_batch_does_not_survive_a_restart_but_what_it_stored_does() {
    let mut bench = bench("");
    send(&mut bench, "b.1.fail.1.0", &[]);
    send(&mut bench, "b.1.fail.2.1", &[]);
    bench.sync();
    let mut after = Bench::with_log(bench.world.log.clone());
    assert_eq!(after.js.state_hash(), bench.js.state_hash());
    assert!(after.world.delivered.is_empty());
    assert_eq!(messages(&after), 2);
    send(&mut after, "b.1.fail.3.1", &[]);
    assert!(told(&mut after, "b")[0].contains("\"err_code\":10208"));
}

#[test]
fn the_number_of_open_batches_is_bounded_and_ends_give_room() {
    let mut bench = bench("");
    for id in 0..1_000 {
        send(&mut bench, &format!("b{id}.9.fail.1.0"), &[]);
    }
    send(&mut bench, "late.9.fail.1.0", &[]);
    assert!(told(&mut bench, "late")[0].contains("\"err_code\":10211"));
    send(&mut bench, "b7.9.fail.2.2", &[]);
    bench.sync();
    send(&mut bench, "late.9.fail.1.0", &[]);
    assert_eq!(told(&mut bench, "late"), [ack(0, 1)]);
    let update = "{\"name\":\"S\",\"subjects\":[\"s.>\"]}";
    bench.ask("STREAM.UPDATE.S", update);
    send(&mut bench, "late.9.fail.2.1", &[]);
    let told = told(&mut bench, "late");
    assert!(
        told.last().unwrap().contains("\"err_code\":10205"),
        "{told:?}"
    );
}

#[test]
fn counters_take_fast_batches() {
    let mut bench = bench(",\"allow_msg_counter\":true");
    send(&mut bench, "b.9.fail.1.0", &[("Nats-Incr", "2")]);
    bench.sync();
    // A body is no increment.
    let told = told(&mut bench, "b");
    assert!(
        told.last().unwrap().contains("\"err_code\":10170"),
        "{told:?}"
    );
    assert_eq!(messages(&bench), 0);
}

#[test]
fn what_comes_behind_a_batch_that_ends_is_passed_over_whatever_it_asks() {
    let mut bench = bench("");
    send(&mut bench, "b.10.fail.1.0", &[]);
    send(&mut bench, "b.10.fail.3.1", &[]);
    send(
        &mut bench,
        "b.10.fail.4.1",
        &[("Nats-Required-Api-Level", "99")],
    );
    bench.sync();

    let told = told(&mut bench, "b");
    assert_eq!(told.last(), Some(&committed("b", 1, 1)), "{told:?}");
    assert_eq!(messages(&bench), 1);
}

#[test]
fn a_ping_behind_the_end_of_a_batch_tells_of_no_gap() {
    let mut bench = bench("");
    send(&mut bench, "b.10.fail.1.0", &[]);
    send(&mut bench, "b.10.fail.3.1", &[]);
    told(&mut bench, "b");
    send(&mut bench, "b.10.fail.5.4", &[]);
    let behind = told(&mut bench, "b").concat();
    assert!(!behind.contains("gap"), "{behind}");
    bench.sync();

    assert_eq!(told(&mut bench, "b"), [committed("b", 1, 1)]);
}

#[test]
fn what_a_message_of_a_batch_asks_is_looked_at_in_an_order_of_its_own() {
    let mut bench = bench(",\"allow_msg_ttl\":true");
    let of_subject = ("Nats-Expected-Last-Subject-Sequence-Subject", "s.y");
    send(
        &mut bench,
        "a.10.fail.1.0",
        &[of_subject, ("Nats-TTL", "x")],
    );
    bench.sync();
    let answer = told(&mut bench, "a").concat();
    assert!(answer.contains("\"err_code\":10165"), "{answer}");

    send(&mut bench, "b.10.ok.1.0", &[]);
    send(
        &mut bench,
        "b.10.ok.2.1",
        &[of_subject, ("Nats-Expected-Last-Sequence", "7")],
    );
    for _ in 0..3 {
        bench.sync();
        bench.js.pump(&mut bench.world);
    }
    let answer = told(&mut bench, "b").concat();
    assert!(
        answer.contains("\"description\":\"wrong last sequence: 1\""),
        "{answer}"
    );
}

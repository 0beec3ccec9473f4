//! What a stored message costs when there are many consumers: only those that get it are looked at.

use super::*;

const CONSUMERS: usize = 1000;

/// Returns how many consumers the next pump looks at, how many wait for any message, and how many a
/// message that goes may concern.
fn lists(bench: &Bench) -> (usize, usize, usize) {
    let consumers = &bench.js.stream(ACCOUNT, "S").expect("created").consumers;
    let lists = (&consumers.touched, &consumers.hungry, &consumers.holding);
    (lists.0.len(), lists.1.len(), lists.2.len())
}

/// Returns a machine with many consumers that take everything; all have come to rest.
fn crowd(messages: usize) -> Bench {
    let mut bench = bench(messages);
    for i in 0..CONSUMERS {
        let config = format!(r#"{{"name":"c{i}","durable_name":"c{i}","ack_policy":"explicit"}}"#);
        let body = format!(r#"{{"stream_name":"S","config":{config}}}"#);
        bench.ask(&format!("CONSUMER.CREATE.S.c{i}"), &body);
    }
    bench.sync();
    bench
}

fn pending(bench: &Bench, name: &str) -> u64 {
    let stream = bench.js.stream(ACCOUNT, "S").expect("created");
    let consumer = stream.consumers.get(name).expect("created");
    consumer.num_pending(&stream.core)
}

#[test]
fn consumers_that_nobody_reads_from_are_not_looked_at() {
    let mut bench = crowd(3);
    assert_eq!(lists(&bench), (0, 0, 0));

    bench.publish("s.a", &[], "x");
    bench.apply_one();

    assert_eq!(lists(&bench), (0, 0, 0));
    assert_eq!(pending(&bench, "c7"), 4);
}

#[test]
fn a_message_is_for_those_who_wait_once_in_a_batch() {
    let mut bench = crowd(0);
    for (name, to) in [("c1", "in.1"), ("c2", "in.2")] {
        let next = format!("CONSUMER.MSG.NEXT.S.{name}");
        bench.request_with_reply(&next, to, r#"{"batch":9}"#);
    }
    bench.sync();
    assert_eq!(lists(&bench), (0, 2, 0));

    bench.publish("s.a", &[], "x");
    bench.apply_one();
    assert_eq!(lists(&bench), (2, 0, 0));
    bench.publish("s.a", &[], "y");
    bench.apply_one();
    assert_eq!(lists(&bench), (2, 0, 0));
    bench.sync();

    // Both hold two messages now, and wait for more.
    assert_eq!(lists(&bench), (0, 2, 2));
    assert_eq!(bodies(&take(&mut bench, "in.2")), ["x", "y"]);
}

#[test]
fn a_message_that_goes_concerns_only_those_who_have_it_out() {
    let mut bench = crowd(3);
    bench.request_with_reply("CONSUMER.MSG.NEXT.S.c1", "in.1", r#"{"batch":2}"#);
    bench.sync();
    assert_eq!(lists(&bench), (0, 0, 1));

    bench.ask("STREAM.MSG.DELETE.S", r#"{"seq":2}"#);
    bench.sync();

    assert_eq!((pending(&bench, "c1"), pending(&bench, "c2")), (1, 2));
    let stream = bench.js.stream(ACCOUNT, "S").expect("created");
    let state = stream.consumers.get("c1").expect("created").state();
    assert_eq!(state.num_pending_acks(), 1);
}

#[test]
fn what_lies_ahead_is_exact_through_gaps_deletes_and_starts_in_the_future() {
    let mut bench = bench(10);
    create(
        &mut bench,
        r#""deliver_policy":"by_start_sequence","opt_start_seq":13,"ack_policy":"none""#,
    );
    assert_eq!(pending(&bench, "c"), 0);
    publish(&mut bench, "s.a", 2);
    assert_eq!(pending(&bench, "c"), 0);
    publish(&mut bench, "s.a", 4);
    assert_eq!(pending(&bench, "c"), 4);
    bench.ask("STREAM.MSG.DELETE.S", r#"{"seq":5}"#);
    bench.ask("STREAM.MSG.DELETE.S", r#"{"seq":14}"#);
    assert_eq!(pending(&bench, "c"), 3);

    let got = pull(&mut bench, "in.1", r#"{"batch":2}"#);

    let left = got.iter().map(|d| d.reply.rsplit('.').next());
    assert_eq!(left.collect::<Vec<_>>(), [Some("2"), Some("1")]);
    publish(&mut bench, "s.a", 1);
    assert_eq!(pending(&bench, "c"), 2);
    bench.ask("STREAM.PURGE.S", "");
    assert_eq!(pending(&bench, "c"), 0);
}

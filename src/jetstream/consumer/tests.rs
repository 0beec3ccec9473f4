//! The consumers of a whole machine: requests in, messages and answers out.

mod acks;
mod api;
mod pull;
mod push;
mod retention;
mod scale;

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use protocol::js::info::ConsumerInfo;

use crate::testing::{ACCOUNT, Bench, Delivered};

/// Returns a machine with the stream `S` on `s.>` that holds `messages` messages.
fn bench(messages: usize) -> Bench {
    let mut bench = Bench::new();
    bench.world.interest.push("in.>".to_string());
    bench.ask("STREAM.CREATE.S", r#"{"name":"S","subjects":["s.>"]}"#);
    publish(&mut bench, "s.a", messages);
    bench
}

fn publish(bench: &mut Bench, subject: &str, messages: usize) {
    for i in 0..messages {
        bench.publish_acked(subject, &[], &format!("m{i}"));
    }
    bench.world.delivered.clear();
}

/// Creates the consumer `c` with these fields and returns the answer.
fn create(bench: &mut Bench, fields: &str) -> String {
    let comma = if fields.is_empty() { "" } else { "," };
    let config = format!(r#"{{"name":"c","durable_name":"c"{comma}{fields}}}"#);
    let body = format!(r#"{{"stream_name":"S","config":{config}}}"#);
    bench.ask("CONSUMER.CREATE.S.c", &body)
}

/// Asks for messages to `in.<n>` and returns what comes at once.
fn pull(bench: &mut Bench, to: &str, body: &str) -> Vec<Delivered> {
    request(bench, to, body);
    bench.sync();
    take(bench, to)
}

fn request(bench: &mut Bench, to: &str, body: &str) {
    bench.request_with_reply("CONSUMER.MSG.NEXT.S.c", to, body);
}

fn take(bench: &mut Bench, to: &str) -> Vec<Delivered> {
    let (taken, left) = bench
        .world
        .delivered
        .drain(..)
        .partition(|d: &Delivered| d.to == to);
    bench.world.delivered = left;
    taken
}

/// Sends an ack and returns whether it was confirmed.
fn ack(bench: &mut Bench, subject: &str, payload: &str) -> bool {
    let (js, world) = (&mut bench.js, &mut bench.world);
    js.ack(
        world,
        ACCOUNT,
        subject.as_bytes(),
        b"confirm",
        payload.as_bytes(),
    );
    bench.sync();
    !take(bench, "confirm").is_empty()
}

/// Lets time pass.
fn wait_ms(bench: &mut Bench, ms: u64) {
    bench.world.advance_ms(ms);
    bench.js.handle_timeout(&mut bench.world);
    bench.sync();
}

fn info(bench: &Bench) -> ConsumerInfo {
    let stream = bench.js.stream(ACCOUNT, "S").expect("created");
    let consumer = stream.consumers.get("c").expect("created");
    consumer.snapshot_info(&stream.core, bench.world.now.wall)
}

/// Returns (delivered consumer, delivered stream, floor consumer, floor stream, ack pending,
/// redelivered, pending).
fn numbers(bench: &Bench) -> [u64; 7] {
    let i = info(bench);
    [
        i.delivered.consumer_seq,
        i.delivered.stream_seq,
        i.ack_floor.consumer_seq,
        i.ack_floor.stream_seq,
        i.num_ack_pending,
        i.num_redelivered,
        i.num_pending,
    ]
}

/// Returns the machine that a restart gives: whatever was synced.
fn restarted(bench: Bench) -> Bench {
    let mut next = Bench::with_log(bench.world.log);
    next.world.interest.push("in.>".to_string());
    next
}

fn bodies(delivered: &[Delivered]) -> Vec<&str> {
    delivered.iter().map(|d| d.payload.as_str()).collect()
}

fn statuses(delivered: &[Delivered]) -> Vec<&str> {
    let first_line = |d: &Delivered| d.headers.lines().next().map(str::len).unwrap_or_default();
    delivered
        .iter()
        .filter(|d| d.payload.is_empty())
        .map(|d| d.headers[..first_line(d)].trim_start_matches("NATS/1.0 "))
        .collect()
}

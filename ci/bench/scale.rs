//! What an operation costs when there is little and when there is much: a thousand subjects and a
//! million, ten streams and ten thousand. The server's CPU time is counted, not the clock: it says what
//! an operation makes it do, also on a machine that is busy with other things. With `--counts` its
//! instructions are counted instead.

use std::io::Write;

use anyhow::{Context, Result};

use ci::load::client::{Client, publish};
use ci::load::server::{Candidate, Server};

use crate::Args;
use crate::counts;
use crate::many::{self, fill, publishes, requests, settle, streams};
use crate::rows::{api, receive_batch};

/// The large case may cost this much more than the small one.
const GROWTH_MAX: f64 = 1.5;
/// A case is run again until the server has spent so much on it, since CPU time is told in steps of
/// 10 ms.
const MEASURED_MIN_S: f64 = 0.4;
/// Or so often.
const ROUNDS_MAX: u64 = 20;

/// Messages that a round fetches and acknowledges.
const FETCHED: u64 = 20_000;

/// A question: does `run` cost the same with `few` as with `many`?
struct Row {
    name: &'static str,
    few: u64,
    many: u64,
    /// Makes that many of what there may be much of.
    prepare: fn(&mut Client, u64) -> Result<()>,
    /// Does something many times; returns how many operations that were. It may be asked to do so
    /// `ROUNDS_MAX` times.
    run: fn(&mut Client, u64) -> Result<u64>,
}

const ROWS: &[Row] = &[
    Row {
        name: "publish; subjects in the stream",
        few: 1_000,
        many: 1_000_000,
        prepare: |c, n| stream(c, "\"s.>\"").and_then(|()| fill(c, n, |i| format!("s.{i}"))),
        run: |c, n| publishes(c, 200_000, 64, move |i| format!("s.{}", i * 7919 % n)),
    },
    Row {
        name: "publish; streams",
        few: 10,
        many: 10_000,
        prepare: streams,
        run: |c, n| publishes(c, 100_000, 64, move |i| format!("t.{}", i * 7919 % n)),
    },
    Row {
        name: "publish; consumers of other subjects",
        few: 10,
        many: 10_000,
        prepare: |c, n| consumers(c, n, |i| format!(",\"filter_subject\":\"s.{i}\"")),
        run: |c, _| publishes(c, 100_000, 64, |_| "s.x".to_owned()),
    },
    Row {
        name: "publish; consumers with wildcards",
        few: 10,
        many: 10_000,
        prepare: |c, n| consumers(c, n, |i| format!(",\"filter_subject\":\"s.{i}.*\"")),
        run: |c, _| publishes(c, 100_000, 64, |_| "s.x.y".to_owned()),
    },
    Row {
        name: "publish; consumers of everything",
        few: 10,
        many: 10_000,
        prepare: |c, n| consumers(c, n, |_| String::new()),
        run: |c, _| publishes(c, 20_000, 64, |_| "s.x".to_owned()),
    },
    Row {
        name: "fetch and ack; messages waiting for an ack",
        few: 100,
        many: 100_000,
        prepare: unacked,
        run: |c, _| fetch_and_ack(c, "C", FETCHED),
    },
    Row {
        name: "fetch by subject; other messages before it",
        few: 1_000,
        many: 1_000_000,
        prepare: needles,
        run: |c, _| consume_new(c, "w.a", 50),
    },
    Row {
        name: "fetch by wildcard; other messages before it",
        few: 1_000,
        many: 1_000_000,
        prepare: needles,
        run: |c, _| consume_new(c, "w.*", 50),
    },
    Row {
        name: "consumer info; messages in the stream",
        few: 1_000,
        many: 1_000_000,
        prepare: |c, n| needles(c, n).and_then(|()| consumer(c, "C", "")),
        run: |c, _| {
            requests(c, 20_000, |_| {
                ("CONSUMER.INFO.S.C".to_owned(), String::new())
            })
        },
    },
];

/// Prints the table.
pub(crate) fn print(args: &Args) -> Result<()> {
    let mut out = std::io::stdout();
    let unit = if args.counts { "instructions" } else { "us" };
    writeln!(
        out,
        "| operation; what there is more of | server | few | {unit} | many | {unit} | growth |"
    )?;
    writeln!(out, "|---|---|---:|---:|---:|---:|---:|")?;
    // Where one client waits for each answer, the server asks which processor it is on by a way that
    // valgrind hides from it.
    let countable = |row: &&Row| !args.counts || row.name.starts_with("publish");
    let rows = ROWS.iter().filter(|row| args.wants(row.name, false));
    for row in rows.filter(countable) {
        let counted = |candidate: &&Candidate| !args.counts || candidate.name == "beale";
        for candidate in args.defaults().iter().filter(counted) {
            let context = || format!("{} against {}", row.name, candidate.name);
            let cost = if args.counts { instructions } else { cost_us };
            let few = cost(candidate, row, row.few, args).with_context(context)?;
            let many = cost(candidate, row, row.many, args).with_context(context)?;
            let growth = many / few;
            let mark = if growth > GROWTH_MAX { " (!)" } else { "" };
            writeln!(
                out,
                "| {} | {} | {} | {few:.2} | {} | {many:.2} | {growth:.2}{mark} |",
                row.name, candidate.name, row.few, row.many
            )?;
            out.flush()?;
        }
    }
    Ok(())
}

/// Returns the server's CPU time per operation in microseconds.
fn cost_us(candidate: &Candidate, row: &Row, size: u64, args: &Args) -> Result<f64> {
    let server = Server::start(candidate, &args.dir)?;
    let mut client = many::client(&server)?;
    (row.prepare)(&mut client, size)?;
    // What the preparation left to do in the background is not the operation's.
    settle(&server)?;
    let before = server.usage()?;
    let (mut operations, mut spent_s) = (0, 0.0);
    for _ in 0..ROUNDS_MAX {
        operations += (row.run)(&mut client, size)?;
        spent_s = server.usage()?.cpu_s - before.cpu_s;
        if spent_s >= MEASURED_MIN_S {
            break;
        }
    }
    #[allow(clippy::cast_precision_loss, reason = "counts below 2^53")]
    let operations = operations as f64;
    Ok(spent_s * 1e6 / operations)
}

/// Returns how many instructions the server executes per operation, once it knows what there is.
fn instructions(candidate: &Candidate, row: &Row, size: u64, args: &Args) -> Result<f64> {
    let dir = tempfile::tempdir_in(&args.dir)?;
    let server = counts::start(candidate, dir.path())?;
    let mut client = many::client(&server)?;
    (row.prepare)(&mut client, size)?;
    (row.run)(&mut client, size)?;
    settle(&server)?;
    counts::per_operation(&server, dir.path(), || (row.run)(&mut client, size))
}

fn stream(client: &mut Client, subjects: &str) -> Result<()> {
    // More consumers than nats-server gives a stream that does not say how many it has.
    let config = format!("{{\"name\":\"S\",\"subjects\":[{subjects}],\"max_consumers\":100000}}");
    api(client, "STREAM.CREATE.S", &config)
}

fn consumers(client: &mut Client, count: u64, filter: impl Fn(u64) -> String) -> Result<()> {
    stream(client, "\"s.>\"")?;
    requests(client, count, |i| {
        let filter = filter(i);
        let config = format!(
            "{{\"stream_name\":\"S\",\"config\":{{\"name\":\"c{i}\",\"durable_name\":\"c{i}\",\
             \"ack_policy\":\"explicit\"{filter}}}}}"
        );
        (format!("CONSUMER.DURABLE.CREATE.S.c{i}"), config)
    })
    .map(drop)
}

fn consumer(client: &mut Client, name: &str, more: &str) -> Result<()> {
    let config = format!(
        "{{\"stream_name\":\"S\",\"config\":{{\"name\":\"{name}\",\"durable_name\":\"{name}\",\
         \"ack_policy\":\"explicit\",\"max_ack_pending\":1000000{more}}}}}"
    );
    api(
        client,
        &format!("CONSUMER.DURABLE.CREATE.S.{name}"),
        &config,
    )
}

/// Leaves that many messages with a consumer that has not acknowledged them.
fn unacked(client: &mut Client, count: u64) -> Result<()> {
    stream(client, "\"s.>\"")?;
    let later = FETCHED * ROUNDS_MAX;
    fill(client, count + later, |_| "s.x".to_owned())?;
    consumer(client, "C", ",\"ack_wait\":3600000000000")?;
    fetch(client, "C", count, false)
}

/// A few messages on two subjects behind many others.
fn needles(client: &mut Client, count: u64) -> Result<()> {
    stream(client, "\"s.>\",\"w.>\"")?;
    fill(client, count, |i| format!("s.{}", i % 1000))?;
    fill(client, 1_000, |i| {
        format!("w.{}", if i % 2 == 0 { "a" } else { "b" })
    })
}

fn fetch_and_ack(client: &mut Client, name: &str, count: u64) -> Result<u64> {
    fetch(client, name, count, true)?;
    Ok(count)
}

/// Makes a consumer, fetches what it wants, and deletes it, several times over.
fn consume_new(client: &mut Client, filter: &str, times: u64) -> Result<u64> {
    let count = if filter == "w.a" { 500 } else { 1_000 };
    for i in 0..times {
        let name = format!("n{i}");
        consumer(client, &name, &format!(",\"filter_subject\":\"{filter}\""))?;
        fetch(client, &name, count, false)?;
        api(client, &format!("CONSUMER.DELETE.S.{name}"), "")?;
    }
    Ok(times * count)
}

fn fetch(client: &mut Client, name: &str, count: u64, ack: bool) -> Result<()> {
    let mut got = 0;
    let mut acks = Vec::new();
    while got < count {
        let batch = 500.min(count - got);
        client.send(&publish(
            &format!("$JS.API.CONSUMER.MSG.NEXT.S.{name}"),
            "_INBOX.f.x",
            format!("{{\"batch\":{batch},\"expires\":20000000000}}").as_bytes(),
        ))?;
        receive_batch(client, batch, &mut acks)?;
        if ack {
            client.send(&acks)?;
        }
        got += batch;
    }
    Ok(())
}

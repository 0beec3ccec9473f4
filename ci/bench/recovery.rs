//! How long a server takes after kill -9 until it answers, and until every stream is there again with
//! its last message.

use std::io::Write;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use ci::load::client::publish;
use ci::load::server::{Candidate, Server, free_port};

use crate::Args;
use crate::many::{self, publishes, settle};
use crate::rows::{check, count};

/// What a server has stored when it is killed.
struct Row {
    name: &'static str,
    streams: u64,
    /// How many at scale 1.
    messages: f64,
    /// Whether it takes so long that it has to be asked for.
    long: bool,
}

const ROWS: &[Row] = &[
    Row {
        name: "messages of 128 B in 1,000 streams",
        streams: 1000,
        messages: 4e6,
        long: false,
    },
    Row {
        name: "messages of 128 B in 100 streams",
        streams: 100,
        messages: 4e7,
        long: true,
    },
];

/// Prints the table.
pub(crate) fn print(args: &Args) -> Result<()> {
    let mut out = std::io::stdout();
    writeln!(
        out,
        "| what | how many | server | answers after ms | everything there after ms |"
    )?;
    writeln!(out, "|---|---:|---|---:|---:|")?;
    for row in ROWS.iter().filter(|row| args.wants(row.name, row.long)) {
        let messages = count(row.messages, args.scale) / row.streams * row.streams;
        for candidate in &args.defaults() {
            let (mut answers, mut all) = measure(candidate, row.streams, messages, args)
                .with_context(|| format!("recovery of {}", candidate.name))?;
            answers.sort();
            all.sort();
            writeln!(
                out,
                "| {} | {messages} | {} | {} | {} |",
                row.name,
                candidate.name,
                answers[answers.len() / 2].as_millis(),
                all[all.len() / 2].as_millis()
            )?;
            out.flush()?;
        }
    }
    Ok(())
}

/// Fills a server, then kills it and starts it again, several times.
fn measure(
    candidate: &Candidate,
    count: u64,
    messages: u64,
    args: &Args,
) -> Result<(Vec<Duration>, Vec<Duration>)> {
    let dir = tempfile::Builder::new()
        .prefix("beale")
        .tempdir_in(&args.dir)?;
    let mut server = Server::start_in(candidate, dir.path(), free_port()?, &[])?;
    let mut client = many::client(&server)?;
    many::streams(&mut client, count)?;
    publishes(&mut client, messages, 128, |i| format!("t.{}", i % count))?;
    settle(&server)?;
    let (mut answers, mut all) = (Vec::new(), Vec::new());
    for _ in 0..args.repeat {
        server.kill()?;
        let start = Instant::now();
        server = Server::start_in(candidate, dir.path(), free_port()?, &[])?;
        answers.push(start.elapsed());
        read_last(&server, count, messages / count)?;
        all.push(start.elapsed());
    }
    Ok((answers, all))
}

/// Reads the last message of every stream.
fn read_last(server: &Server, streams: u64, last: u64) -> Result<()> {
    let mut client = many::client(server)?;
    let body = format!("{{\"seq\":{last}}}");
    let mut requests = Vec::new();
    for i in 0..streams {
        let subject = format!("$JS.API.STREAM.MSG.GET.T{i}");
        requests.extend(publish(&subject, "_INBOX.f.m", body.as_bytes()));
    }
    client.send(&requests)?;
    let wanted = format!("\"seq\":{last}");
    for _ in 0..streams {
        let body = client.receive()?.body;
        check(body)?;
        let text = String::from_utf8_lossy(body);
        ensure!(text.contains(&wanted), "not the last message: {text}");
    }
    Ok(())
}

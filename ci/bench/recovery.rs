//! How long a server takes after kill -9 until it answers, and until every stream is there again with
//! its last message.

use std::io::Write;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use ci::load::client::publish;
use ci::load::server::{Candidate, Server, free_port};

use crate::Args;
use crate::many::{self, publishes, settle, streams};
use crate::rows::{check, count};

const STREAMS: u64 = 1000;

/// Prints the table.
pub(crate) fn print(args: &Args) -> Result<()> {
    let messages = count(4e6, args.scale) / STREAMS * STREAMS;
    let mut out = std::io::stdout();
    writeln!(
        out,
        "| messages in {STREAMS} streams | server | answers after ms | everything there after ms |"
    )?;
    writeln!(out, "|---:|---|---:|---:|")?;
    for candidate in args.defaults() {
        let (mut answers, mut all) = measure(candidate, messages, args)
            .with_context(|| format!("recovery of {}", candidate.name))?;
        answers.sort();
        all.sort();
        writeln!(
            out,
            "| {messages} | {} | {} | {} |",
            candidate.name,
            answers[answers.len() / 2].as_millis(),
            all[all.len() / 2].as_millis()
        )?;
        out.flush()?;
    }
    Ok(())
}

/// Fills a server, then kills it and starts it again, several times.
fn measure(
    candidate: &Candidate,
    messages: u64,
    args: &Args,
) -> Result<(Vec<Duration>, Vec<Duration>)> {
    let dir = tempfile::Builder::new()
        .prefix("beale")
        .tempdir_in(&args.dir)?;
    let mut server = Server::start_in(candidate, dir.path(), free_port()?, &[])?;
    let mut client = many::client(&server)?;
    streams(&mut client, STREAMS)?;
    publishes(&mut client, messages, 128, |i| format!("t.{}", i % STREAMS))?;
    settle(&server)?;
    let (mut answers, mut all) = (Vec::new(), Vec::new());
    for _ in 0..args.repeat {
        server.kill()?;
        let start = Instant::now();
        server = Server::start_in(candidate, dir.path(), free_port()?, &[])?;
        answers.push(start.elapsed());
        read_last(&server, messages / STREAMS)?;
        all.push(start.elapsed());
    }
    Ok((answers, all))
}

/// Reads the last message of every stream.
fn read_last(server: &Server, last: u64) -> Result<()> {
    let mut client = many::client(server)?;
    let body = format!("{{\"seq\":{last}}}");
    let mut requests = Vec::new();
    for i in 0..STREAMS {
        let subject = format!("$JS.API.STREAM.MSG.GET.T{i}");
        requests.extend(publish(&subject, "_INBOX.f.m", body.as_bytes()));
    }
    client.send(&requests)?;
    let wanted = format!("\"seq\":{last}");
    for _ in 0..STREAMS {
        let body = client.receive()?.body;
        check(body)?;
        let text = String::from_utf8_lossy(body);
        ensure!(text.contains(&wanted), "not the last message: {text}");
    }
    Ok(())
}

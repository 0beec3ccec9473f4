//! How much memory the servers take: when idle, for each of many streams, for many subjects, while much
//! is stored. Resident size, as the system reports it, after the work has settled, and at its peak.

use std::io::Write;

use anyhow::Result;

use ci::load::client::Client;
use ci::load::server::{Candidate, Server, Usage};

use crate::Args;
use crate::many::{self, publishes, requests, settle, streams};
use crate::rows::{api, count};

/// What a server is filled with.
struct Row {
    name: &'static str,
    /// How many of what the row counts, at scale 1; none when memory is not shared among anything.
    of: f64,
    fill: fn(&mut Client, u64) -> Result<()>,
}

const STREAMS: u64 = 1000;

const ROWS: &[Row] = &[
    Row {
        name: "idle",
        of: 0.0,
        fill: |_, _| Ok(()),
    },
    Row {
        name: "streams with a consumer each",
        of: 1e3,
        fill: |c, n| streams(c, n).and_then(|()| consumers(c, n)),
    },
    Row {
        name: "subjects in a stream, one message each",
        of: 1e6,
        fill: |c, n| {
            api(
                c,
                "STREAM.CREATE.S",
                "{\"name\":\"S\",\"subjects\":[\"s.>\"]}",
            )?;
            publishes(c, n, 64, |i| format!("s.{i}")).map(drop)
        },
    },
    Row {
        name: "messages of 128 B in 1,000 streams",
        of: 4e6,
        fill: |c, n| {
            streams(c, STREAMS)?;
            publishes(c, n, 128, |i| format!("t.{}", i % STREAMS)).map(drop)
        },
    },
];

/// Prints the table.
pub(crate) fn print(args: &Args) -> Result<()> {
    let mut out = std::io::stdout();
    writeln!(
        out,
        "| what | how many | server | MiB | peak MiB | bytes each |"
    )?;
    writeln!(out, "|---|---:|---|---:|---:|---:|")?;
    for row in ROWS.iter().filter(|row| args.wants(row.name, false)) {
        let many = if row.of > 0.0 {
            count(row.of, args.scale)
        } else {
            0
        };
        for candidate in &args.defaults() {
            let (idle, full) = measure(candidate, row, many, args)?;
            #[allow(clippy::cast_precision_loss, reason = "counts below 2^53")]
            let each = (full.rss_mib - idle.rss_mib) * f64::from(1 << 20) / many as f64;
            let each = (many > 0).then(|| format!("{each:.0}"));
            writeln!(
                out,
                "| {} | {many} | {} | {:.1} | {:.1} | {} |",
                row.name,
                candidate.name,
                full.rss_mib,
                full.rss_peak_mib,
                each.as_deref().unwrap_or("-")
            )?;
            out.flush()?;
        }
    }
    Ok(())
}

/// Returns what the server takes before and after it is filled.
fn measure(candidate: &Candidate, row: &Row, many: u64, args: &Args) -> Result<(Usage, Usage)> {
    let server = Server::start(candidate, &args.dir)?;
    let mut client = many::client(&server)?;
    settle(&server)?;
    let idle = server.usage()?;
    (row.fill)(&mut client, many)?;
    settle(&server)?;
    Ok((idle, server.usage()?))
}

fn consumers(client: &mut Client, count: u64) -> Result<()> {
    requests(client, count, |i| {
        let config = format!(
            "{{\"stream_name\":\"T{i}\",\"config\":{{\"durable_name\":\"c\",\"ack_policy\":\"explicit\"}}}}"
        );
        (format!("CONSUMER.DURABLE.CREATE.T{i}.c"), config)
    })
    .map(drop)
}

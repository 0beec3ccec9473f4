//! The bench: starts each server in turn on the same disk, drives all with the same client, and
//! prints ratios. Usage: `bench --beale PATH --nats PATH [--rows TEXT] [--scale F] [--repeat N]`.
//! With `--table scale` it shows instead what grows with the number of subjects, streams, consumers
//! and messages; with `--table memory` how much memory is taken; with `--table recovery` how long a start
//! takes after kill -9. Rows that take long run only when `--rows` names them.
//!
//! Ratios, not rates, are the result: the machines it runs on are shared and noisy, which is why the
//! servers take turns within each row and the median of the repeats counts.

#![allow(
    clippy::indexing_slicing,
    clippy::std_instead_of_core,
    reason = "a tool: a wrong index ends the run, and it lives on std"
)]

mod many;
mod memory;
mod paced;
mod recovery;
mod rows;
mod scale;

use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result};

use ci::load::server::{Candidate, Server};
use rows::{ROWS, Row};

/// One server's figures in one row.
#[derive(Clone, Copy)]
struct Cell {
    per_second: f64,
    cpu_us: f64,
    p50: Option<Duration>,
    p99: Option<Duration>,
    p999: Option<Duration>,
    rss_mib: f64,
}

struct Args {
    table: Table,
    candidates: Vec<Candidate>,
    rows: Option<String>,
    scale: f64,
    repeat: usize,
    dir: PathBuf,
}

/// What is printed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Table {
    Speed,
    Scale,
    Memory,
    Recovery,
}

fn main() -> Result<()> {
    let args = parse_args()?;
    match args.table {
        Table::Speed => print_speed(&args),
        Table::Scale => scale::print(&args),
        Table::Memory => memory::print(&args),
        Table::Recovery => recovery::print(&args),
    }
}

impl Args {
    /// Whether a row is asked for by name, or no row is.
    fn wants(&self, name: &str) -> bool {
        self.rows.as_ref().is_none_or(|text| name.contains(&**text))
    }

    /// Returns the servers as they are configured by default.
    fn defaults(&self) -> impl Iterator<Item = &Candidate> {
        let all = self.candidates.iter();
        all.filter(|candidate| candidate.jetstream.is_empty())
    }
}

fn print_speed(args: &Args) -> Result<()> {
    let mut out = std::io::stdout();
    writeln!(
        out,
        "| row | server | msg/s | ratio | CPU us/msg | p50 | p99 | p99.9 | RSS MiB |"
    )?;
    writeln!(out, "|---|---|---:|---:|---:|---:|---:|---:|---:|")?;
    for row in ROWS {
        if !args.wants(row.name) || (row.long && args.rows.is_none()) {
            continue;
        }
        let mut cells: Vec<Vec<Cell>> = args.candidates.iter().map(|_| Vec::new()).collect();
        for _ in 0..args.repeat {
            for (candidate, cell) in args.candidates.iter().zip(&mut cells) {
                cell.push(measure(candidate, row, args)?);
            }
        }
        let medians: Vec<Cell> = cells.into_iter().map(median).collect();
        print_row(&mut out, row, &args.candidates, &medians)?;
        if row.syncs {
            print_syncs(&mut out, row, args)?;
        }
    }
    Ok(())
}

/// Shows beside a row what the disk's syncs take by themselves.
fn print_syncs(out: &mut impl Write, row: &Row, args: &Args) -> Result<()> {
    let times = paced::syncs(&args.dir, rows::count(4e3, args.scale))?;
    let us = |permille| at(&times, permille).map_or(0, |time| time.as_micros());
    writeln!(
        out,
        "| {} | the disk: write and fdatasync | - | - | - | {} us | {} us | {} us | - |",
        row.name,
        us(500),
        us(990),
        us(999)
    )?;
    Ok(())
}

/// Returns what so many per mille of the sorted times are below.
fn at(sorted: &[Duration], permille: usize) -> Option<Duration> {
    sorted.get(sorted.len() * permille / 1000).copied()
}

fn measure(candidate: &Candidate, row: &Row, args: &Args) -> Result<Cell> {
    let server = Server::start(candidate, &args.dir)?;
    // `always` syncs every message: a tenth of the messages takes it as long as the others.
    let slow = candidate.jetstream.contains("always") && row.name.starts_with("js");
    let scale = if slow { args.scale / 20.0 } else { args.scale };
    let context = || format!("{} against {}", row.name, candidate.name);
    (row.prepare)(&server.addr, scale).with_context(context)?;
    let before = server.usage()?;
    let measured = (row.run)(&server.addr, scale).with_context(context)?;
    let after = server.usage()?;
    #[allow(clippy::cast_precision_loss, reason = "counts below 2^53")]
    let messages = measured.messages as f64;
    Ok(Cell {
        per_second: messages / measured.elapsed.as_secs_f64(),
        cpu_us: (after.cpu_s - before.cpu_s) * 1e6 / messages,
        p50: at(&measured.latencies, 500),
        p99: at(&measured.latencies, 990),
        p999: at(&measured.latencies, 999),
        rss_mib: after.rss_mib,
    })
}

fn median(mut cells: Vec<Cell>) -> Cell {
    cells.sort_by(|a, b| a.per_second.total_cmp(&b.per_second));
    cells[cells.len() / 2]
}

fn print_row(
    out: &mut impl Write,
    row: &Row,
    candidates: &[Candidate],
    cells: &[Cell],
) -> Result<()> {
    let ours = cells[0].per_second;
    for (candidate, cell) in candidates.iter().zip(cells) {
        let time = |d: Option<Duration>| d.map_or("-".into(), |d| format!("{} us", d.as_micros()));
        writeln!(
            out,
            "| {} | {} | {:.0} | {:.2} | {:.2} | {} | {} | {} | {:.0} |",
            row.name,
            candidate.name,
            cell.per_second,
            ours / cell.per_second,
            cell.cpu_us,
            time(cell.p50),
            time(cell.p99),
            time(cell.p999),
            cell.rss_mib,
        )?;
    }
    out.flush()?;
    Ok(())
}

fn parse_args() -> Result<Args> {
    let mut args = Args {
        table: Table::Speed,
        candidates: Vec::new(),
        rows: None,
        scale: 1.0,
        repeat: 3,
        dir: std::env::temp_dir(),
    };
    let mut words = std::env::args().skip(1);
    let candidate = |name: &str, path: &str, jetstream: &str| Candidate {
        name: name.into(),
        binary: path.into(),
        jetstream: jetstream.into(),
    };
    while let Some(flag) = words.next() {
        let value = words
            .next()
            .with_context(|| format!("{flag} needs a value"))?;
        match flag.as_str() {
            "--beale" => args.candidates.insert(0, candidate("beale", &value, "")),
            "--nats" => {
                args.candidates.push(candidate("nats-server", &value, ""));
                let always = candidate("nats-server always", &value, "sync_interval: always");
                args.candidates.push(always);
            }
            "--table" => {
                args.table = match &*value {
                    "speed" => Table::Speed,
                    "scale" => Table::Scale,
                    "memory" => Table::Memory,
                    "recovery" => Table::Recovery,
                    _ => anyhow::bail!("unknown table {value}"),
                };
            }
            "--rows" => args.rows = Some(value),
            "--scale" => args.scale = value.parse().context("--scale")?,
            "--repeat" => args.repeat = value.parse().context("--repeat")?,
            "--dir" => args.dir = value.into(),
            _ => anyhow::bail!("unknown flag {flag}"),
        }
    }
    anyhow::ensure!(
        !args.candidates.is_empty() && args.repeat > 0,
        "nothing to measure"
    );
    Ok(args)
}

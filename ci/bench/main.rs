//! The bench: starts each server in turn on the same disk, drives all with the same client, and
//! prints ratios; `bench --help` says how.
//!
//! Ratios, not rates, are the result: the machines it runs on are shared and noisy, which is why the
//! servers take turns within each row and the median of the repeats counts.

#![allow(
    clippy::indexing_slicing,
    clippy::std_instead_of_core,
    reason = "a tool: a wrong index ends the run, and it lives on std"
)]

mod counts;
mod many;
mod memory;
mod paced;
mod recovery;
mod rows;
mod scale;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use clap::{Parser, ValueEnum};

use ci::load::server::{Candidate, Server};
use rows::{ROWS, Row, Syncs};

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

/// Drives servers in turn on the same disk with the same client, and prints ratios.
#[derive(Parser)]
#[command(name = "bench")]
struct Args {
    /// The server whose ratios are printed
    #[arg(long, value_name = "PATH")]
    beale: Option<PathBuf>,
    /// The server to compare it with: nats-server, in its default and with `sync_interval: always`
    #[arg(long, value_name = "PATH", required_unless_present = "beale")]
    nats: Option<PathBuf>,
    /// What to print
    #[arg(long, value_enum, default_value_t = Table::Speed)]
    table: Table,
    /// Only rows whose names contain this; those that take long run only when they are named
    #[arg(long, value_name = "TEXT")]
    rows: Option<String>,
    /// All rows, also those that take long
    #[arg(long, conflicts_with = "rows")]
    long: bool,
    /// In the table of scale, count the instructions of beale's publishing, below valgrind, not CPU time
    #[arg(long)]
    counts: bool,
    /// A factor on the number of messages
    #[arg(long, value_name = "FACTOR", default_value_t = 1.0)]
    scale: f64,
    /// How often each row runs; the medians count
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..))]
    repeat: u16,
    /// Where the servers store
    #[arg(long, value_name = "DIR", default_value_os_t = std::env::temp_dir())]
    dir: PathBuf,
}

/// What is printed.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Table {
    /// Rates, CPU time and round trips, row by row
    Speed,
    /// What an operation costs when there is little and when there is much
    Scale,
    /// How much memory is taken
    Memory,
    /// How long a start takes after kill -9
    Recovery,
    /// Every table but that of scale, one after the other, with all rows
    All,
}

fn main() -> Result<()> {
    let mut args = Args::parse();
    match args.table {
        Table::Speed => print_speed(&args),
        Table::Scale => scale::print(&args),
        Table::Memory => memory::print(&args),
        Table::Recovery => recovery::print(&args),
        Table::All => {
            args.long = true;
            print_speed(&args)?;
            writeln!(std::io::stdout())?;
            memory::print(&args)?;
            writeln!(std::io::stdout())?;
            recovery::print(&args)
        }
    }
}

impl Args {
    /// Whether a row is asked for by name, or no row is and it does not take long.
    fn wants(&self, name: &str, long: bool) -> bool {
        match &self.rows {
            Some(text) => name.contains(&**text),
            None => self.long || !long,
        }
    }

    /// Returns the servers in every mode that is compared, the one whose ratios are printed first.
    fn candidates(&self) -> Vec<Candidate> {
        let always =
            |path: &PathBuf| candidate("nats-server always", path, "sync_interval: always");
        let nats = self.nats.iter();
        self.defaults()
            .into_iter()
            .chain(nats.map(always))
            .collect()
    }

    /// Returns the servers as they are configured by default.
    fn defaults(&self) -> Vec<Candidate> {
        let beale = self.beale.iter().map(|path| candidate("beale", path, ""));
        let nats = self.nats.iter();
        beale
            .chain(nats.map(|path| candidate("nats-server", path, "")))
            .collect()
    }
}

fn candidate(name: &str, path: &Path, jetstream: &str) -> Candidate {
    Candidate {
        name: name.into(),
        binary: path.into(),
        jetstream: jetstream.into(),
    }
}

fn print_speed(args: &Args) -> Result<()> {
    let mut out = std::io::stdout();
    writeln!(
        out,
        "| row | server | msg/s | ratio | CPU us/msg | p50 | p99 | p99.9 | RSS MiB |"
    )?;
    writeln!(out, "|---|---|---:|---:|---:|---:|---:|---:|---:|")?;
    let candidates = args.candidates();
    for row in ROWS {
        if !args.wants(row.name, row.long) {
            continue;
        }
        let mut cells: Vec<Vec<Cell>> = candidates.iter().map(|_| Vec::new()).collect();
        for _ in 0..args.repeat {
            for (candidate, cell) in candidates.iter().zip(&mut cells) {
                cell.push(measure(candidate, row, args)?);
            }
        }
        let medians: Vec<Cell> = cells.into_iter().map(median).collect();
        print_row(&mut out, row, &candidates, &medians)?;
        for &syncs in row.syncs {
            print_syncs(&mut out, row, syncs, args)?;
        }
    }
    Ok(())
}

/// Shows beside a row what the disk's syncs take by themselves.
fn print_syncs(out: &mut impl Write, row: &Row, syncs: Syncs, args: &Args) -> Result<()> {
    let (name, times) = match syncs {
        Syncs::Lone => (
            "write and fdatasync",
            paced::syncs(&args.dir, rows::count(4e3, args.scale))?,
        ),
        Syncs::Steady => (
            "the same at that rate",
            paced::sync_steadily(&args.dir, rows::count(2e4, args.scale))?,
        ),
    };
    let us = |permille| at(&times, permille).map_or(0, |time| time.as_micros());
    writeln!(
        out,
        "| {} | the disk: {name} | - | - | - | {} us | {} us | {} us | - |",
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

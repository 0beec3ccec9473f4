//! Faults against a real server binary: any server that takes nats-server's flags.
//! Usage: `faultcheck --server PATH [--row kill|order] [--rounds N] [--seed N] [--dir DIR]`.
//!
//! - `kill`: SIGKILL under load, again and again. Nothing acknowledged may be missing, nothing confirmed
//!   may come back, the server must answer again within a second.
//! - `order`: traces the system calls (needs `strace`). No PubAck may leave a socket before the sync
//!   that covers its record has returned.

#![allow(
    clippy::indexing_slicing,
    clippy::std_instead_of_core,
    reason = "a tool: a wrong index ends the run, and it lives on std"
)]

mod history;
mod kill;
mod order;
mod publisher;

use std::io::Write;
use std::path::PathBuf;

use anyhow::{Context, Result, bail, ensure};

use ci::load::server::Candidate;

/// What the command line asks for.
pub(crate) struct Args {
    pub(crate) candidate: Candidate,
    pub(crate) rounds: u64,
    pub(crate) seed: u64,
    pub(crate) dir: PathBuf,
}

fn main() -> Result<()> {
    let mut args = Args {
        candidate: Candidate {
            name: "server".into(),
            binary: PathBuf::new(),
            jetstream: String::new(),
        },
        rounds: 100,
        seed: 1,
        dir: std::env::temp_dir(),
    };
    let mut row = "kill".to_owned();
    let mut words = std::env::args().skip(1);
    while let Some(flag) = words.next() {
        let value = words
            .next()
            .with_context(|| format!("{flag} needs a value"))?;
        match flag.as_str() {
            "--server" => args.candidate.binary = value.into(),
            "--jetstream" => args.candidate.jetstream = value,
            "--row" => row = value,
            "--rounds" => args.rounds = value.parse().context("--rounds")?,
            "--seed" => args.seed = value.parse().context("--seed")?,
            "--dir" => args.dir = value.into(),
            _ => bail!("unknown flag {flag}"),
        }
    }
    ensure!(
        !args.candidate.binary.as_os_str().is_empty(),
        "--server is missing"
    );
    let verdict = match row.as_str() {
        "kill" => kill::run(&args)?,
        "order" => order::run(&args)?,
        _ => bail!("unknown row {row}"),
    };
    writeln!(std::io::stdout(), "{verdict}")?;
    Ok(())
}

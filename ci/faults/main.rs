//! Faults against real server binaries: any server that takes nats-server's flags and configuration;
//! `faultcheck --help` says how.
//!
//! Each row is a fault; the table says for each server how many acknowledged messages it cost, how many
//! of them without a word, and whether messages came back whose acknowledgement had been confirmed.
//! With `--strict` the exit code says whether the last server kept every promise.

#![allow(
    clippy::indexing_slicing,
    clippy::std_instead_of_core,
    reason = "a tool: a wrong index ends the run, and it lives on std"
)]

mod args;
mod attach;
mod history;
mod inject;
mod kill;
mod load;
mod mounts;
mod order;
mod outcome;
mod pause;
mod power;
mod probe;
mod publisher;
mod reads;
mod rot;
mod space;
mod trouble;

use std::io::{Write, stderr, stdout};

use anyhow::{Result, ensure};
pub(crate) use args::Args;
use ci::load::server::Candidate;
use outcome::{Outcome, Row, table};
use rot::How;

/// Whether a row damages what is stored, so that messages may be lost, if not silently.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Harm {
    None,
    Damage,
}

type Run = fn(&Candidate, &Args) -> Result<Outcome>;

/// The rows: their key, their name in the table, and what they do.
const ROWS: [(&str, &str, Harm, Run); 17] = [
    ("order", "order of write, sync, ack", Harm::None, order::run),
    ("kill", "kill -9 under load", Harm::None, kill::run),
    ("pause", "stopped and continued", Harm::None, pause::run),
    ("power", "power loss", Harm::None, power::run),
    (
        "sync",
        "fsync fails (EIO)",
        Harm::None,
        |candidate, args| inject::run(candidate, args, &inject::SYNC_FAILS),
    ),
    (
        "write",
        "write fails (EIO)",
        Harm::None,
        |candidate, args| inject::run(candidate, args, &inject::WRITE_FAILS),
    ),
    (
        "slow",
        "fsync takes 200 ms",
        Harm::None,
        |candidate, args| inject::run(candidate, args, &inject::SYNC_IS_SLOW),
    ),
    ("read", "one read fails (EIO)", Harm::None, reads::one),
    (
        "reads",
        "reads fail for seconds (EIO)",
        Harm::None,
        reads::all,
    ),
    (
        "names",
        "nothing can be opened, made, renamed or removed (EIO)",
        Harm::None,
        trouble::names,
    ),
    (
        "descriptors",
        "no file descriptor left (EMFILE)",
        Harm::None,
        trouble::descriptors,
    ),
    (
        "readonly",
        "file system becomes read-only (EROFS)",
        Harm::None,
        trouble::read_only,
    ),
    ("space", "disk full (ENOSPC)", Harm::None, space::run),
    (
        "rot",
        "one bit flips while stopped",
        Harm::Damage,
        |candidate, args| rot::run(candidate, args, How::Flip),
    ),
    (
        "cut",
        "a file is cut off while stopped",
        Harm::Damage,
        |candidate, args| rot::run(candidate, args, How::Cut),
    ),
    ("gone", "a file is gone", Harm::Damage, |candidate, args| {
        rot::run(candidate, args, How::Gone)
    }),
    (
        "moved",
        "a block lies in another place",
        Harm::Damage,
        |candidate, args| rot::run(candidate, args, How::Moved),
    ),
];

fn main() -> Result<()> {
    let (args, candidates) = Args::read()?;
    let mut kept = true;
    for candidate in &candidates {
        kept = true;
        let mut rows = Vec::new();
        for (key, name, harm, run) in ROWS {
            if !args.wants(key) {
                continue;
            }
            writeln!(stderr(), "{}: {name}", candidate.name)?;
            let outcome = run(candidate, &args);
            kept &= match &outcome {
                Ok(outcome) => outcome.is_kept(harm == Harm::Damage),
                // What a machine does not allow is said in the table.
                Err(error) => error.chain().any(|cause| is_excuse(&cause.to_string())),
            };
            let outcome = outcome.map_err(|error| format!("{error:#}"));
            rows.push(Row { name, outcome });
        }
        writeln!(stdout(), "{}", table(&candidate.name, &rows))?;
    }
    ensure!(kept || !args.strict, "a promise was broken");
    Ok(())
}

fn is_excuse(text: &str) -> bool {
    text == "no file system of our own here"
        || text == "start under strace"
        || text == "attach strace"
}

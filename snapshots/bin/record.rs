//! Plays the cases against the real nats-server and writes the transcripts.
//!
//! `NATS_SERVER=/path/to/nats-server cargo run -p snapshots --bin record [-- part-of-a-case-id]`
//! Each case is played several times: one whose transcript is not always the same is refused.

use core::sync::atomic::{AtomicUsize, Ordering};
use std::env;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Mutex;
use std::thread;

use snapshots::case::{self, Case};
use snapshots::compare::{HEADER_MARK, compare};
use snapshots::{play, process};

/// The real server orders some deliveries by the iteration of a hash map: two plays often agree by chance.
const PLAYS: usize = 5;

/// Cases wait more than they work.
const PLAYERS: usize = 6;

fn main() -> io::Result<ExitCode> {
    let binary = env::var_os("NATS_SERVER")
        .map(PathBuf::from)
        .ok_or_else(|| io::Error::other("NATS_SERVER must name the real nats-server"))?;
    let wanted = env::args().nth(1).unwrap_or_default();
    let version = process::version(&binary)?.replace(": v", " ");
    let mut cases = case::all()?;
    cases.retain(|case| case.id.contains(&wanted));
    let (next, refused) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    thread::scope(|scope| {
        for _ in 0..PLAYERS {
            scope.spawn(|| {
                while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
                    if let Err(why) = record(&binary, &version, case)
                        && let Ok(mut refused) = refused.lock()
                    {
                        refused.push(format!("REFUSED {}: {why}", case.id));
                    }
                }
            });
        }
    });
    let refused = refused
        .into_inner()
        .map_err(|_| io::Error::other("a player panicked"))?;
    let mut out = io::stdout().lock();
    for line in &refused {
        writeln!(out, "{line}")?;
    }
    writeln!(out, "{} cases, {} refused", cases.len(), refused.len())?;
    Ok(if refused.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn record(binary: &Path, version: &str, case: &Case) -> io::Result<()> {
    let transcript = play::play(binary, case, None)?;
    if transcript.contains("(nothing more came)") {
        return Err(io::Error::other(format!(
            "waits for what never comes\n{transcript}"
        )));
    }
    for _ in 1..PLAYS {
        let again = play::play(binary, case, Some(&transcript))?;
        if let Some(report) = compare(&case.id, &transcript, &again, &[]) {
            return Err(io::Error::other(format!(
                "differs from run to run\n{report}"
            )));
        }
    }
    let path = case.recorded();
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    fs::write(
        path,
        format!("{HEADER_MARK}{version}. Never edited by hand.\n{transcript}"),
    )
}

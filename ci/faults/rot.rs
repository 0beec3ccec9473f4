//! One bit flips in one file while the server is stopped: in every file, one after the other, each time
//! on a fresh copy of the directory.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use ci::load::server::{Candidate, Place, Server, free_port};

use crate::Args;
use crate::history::History;
use crate::load::create_stream;
use crate::mounts::run as command;
use crate::outcome::Outcome;
use crate::probe::publish_singly;

/// So much that every server's files of all kinds exist.
const BODY_LEN: usize = 32 << 10;
const BODIES: usize = 3_000;
/// How long the filling goes on for a server that is slow.
const FILL_MAX: Duration = Duration::from_secs(25);
/// How many files of one kind are damaged.
const OF_A_KIND_MAX: usize = 3;

pub(crate) fn run(candidate: &Candidate, args: &Args) -> Result<Outcome> {
    let dir = tempfile::Builder::new()
        .prefix("faultcheck")
        .tempdir_in(&args.dir)?;
    let (good, bad) = (dir.path().join("good"), dir.path().join("bad"));
    let place = |store| Place {
        dir: dir.path(),
        store,
        wrapper: &[],
    };
    let mut server = Server::start_at(candidate, place(&good), free_port()?)?;
    create_stream(&server)?;
    let start = Instant::now();
    let filled = publish_singly(&server, "rot", BODY_LEN, |answers| {
        answers.acked.len() >= BODIES || start.elapsed() > FILL_MAX
    });
    server.kill()?;
    drop(server);
    let mut total = Outcome {
        acked: filled.acked.len() as u64,
        ..Outcome::default()
    };
    let mut bitten: BTreeMap<String, (u64, u64)> = BTreeMap::new();
    for file in victims(&good)? {
        if bad.exists() {
            fs::remove_dir_all(&bad)?;
        }
        command(
            "cp",
            &[
                "-a",
                &good.display().to_string(),
                &bad.display().to_string(),
            ],
        )?;
        flip(&bad.join(&file), args.seed)?;
        let mut history = History::default();
        history.take(filled.acked.clone());
        let kind = kind_of(&file);
        match Server::start_at(candidate, place(&bad), free_port()?) {
            Ok(server) => {
                history.verify(&server, 1)?;
                // A number that was acknowledged for another message must not be given again.
                let more = publish_singly(&server, "more", 10, |a| {
                    !a.acked.is_empty() || a.is_refused()
                });
                history.take(more.acked);
            }
            // It refuses to start and says why: nothing is served, nothing is silent.
            Err(_) => history.lost = total.acked,
        }
        if history.lost > 0 || history.reused > 0 {
            let entry = bitten.entry(kind).or_default();
            *entry = (entry.0.max(history.lost), entry.1.max(history.silent));
        }
        total.lost += history.lost;
        total.silent += history.silent;
        total.reused += history.reused;
        total.notes.push(file.display().to_string());
    }
    let flips = total.notes.len();
    ensure!(flips > 0, "there is no file");
    total.notes = describe(flips, &bitten, total.reused);
    Ok(total)
}

fn describe(flips: usize, bitten: &BTreeMap<String, (u64, u64)>, reused: u64) -> Vec<String> {
    let mut notes = vec![format!("{flips} flips, counts added up")];
    for (kind, (lost, silent)) in bitten {
        notes.push(format!("{kind}: up to {lost} lost, {silent} silently"));
    }
    if reused > 0 {
        notes.push(format!("{reused} numbers given twice"));
    }
    notes
}

/// Returns the files to damage, relative to the store.
fn victims(store: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut open = vec![store.to_owned()];
    while let Some(dir) = open.pop() {
        for entry in fs::read_dir(&dir)? {
            let path = entry?.path();
            if path.is_dir() {
                open.push(path);
            } else if fs::metadata(&path)?.len() > 0 {
                let inside = path.strip_prefix(store).context("it lies in the store")?;
                found.push(inside.to_owned());
            }
        }
    }
    found.sort();
    let mut kinds: BTreeMap<String, usize> = BTreeMap::new();
    found.retain(|file| {
        let count = kinds.entry(kind_of(file)).or_default();
        *count += 1;
        *count <= OF_A_KIND_MAX
    });
    Ok(found)
}

/// Returns the file's name without what differs between files of a kind.
fn kind_of(file: &Path) -> String {
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    if let Some((kind, _)) = name.split_once('-') {
        return kind.to_owned();
    }
    match name.rsplit_once('.') {
        Some((stem, ending)) if stem.chars().all(|c| c.is_ascii_digit()) => format!("*.{ending}"),
        Some(_) | None => name.into_owned(),
    }
}

/// Flips a bit in the part of the file that is not zero.
fn flip(path: &Path, seed: u64) -> Result<()> {
    let bytes = fs::read(path)?;
    let used = bytes
        .iter()
        .rposition(|&byte| byte != 0)
        .map_or(1, |at| at + 1);
    let at = (seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 16) % used as u64;
    let file = File::options().write(true).open(path)?;
    let byte = bytes[usize::try_from(at)?] ^ 0x10;
    file.write_all_at(&[byte], at)?;
    Ok(())
}

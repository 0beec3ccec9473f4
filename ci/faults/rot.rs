//! One file is damaged while the server is stopped: every file, one after the other, each time on a fresh
//! copy of the directory.

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

/// What a file system or a device exchanges as a whole.
const BLOCK: usize = 4096;

/// How many pairs of blocks are looked at to find two that differ.
const PAIRS_MAX: u64 = 200;

/// What is done to a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum How {
    /// One bit flips.
    Flip,
    /// It is cut off somewhere.
    Cut,
    /// It is gone.
    Gone,
    /// One of its blocks holds what another one does: a write went to the wrong place.
    Moved,
}

pub(crate) fn run(candidate: &Candidate, args: &Args, how: How) -> Result<Outcome> {
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
        if !harm(&bad.join(&file), how, args.seed)? {
            continue;
        }
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
    let files = total.notes.len();
    ensure!(files > 0, "there is no file");
    total.notes = describe(files, &bitten, total.reused);
    Ok(total)
}

fn describe(files: usize, bitten: &BTreeMap<String, (u64, u64)>, reused: u64) -> Vec<String> {
    let mut notes = vec![format!("{files} files, counts added up")];
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

/// Damages the part of the file that is not zero; says whether that is possible.
fn harm(path: &Path, how: How, seed: u64) -> Result<bool> {
    let bytes = fs::read(path)?;
    let used = bytes.iter().rposition(|&byte| byte != 0);
    let used = used.map_or(1, |at| at + 1);
    let draw = |bound: usize, salt: u64| {
        let drawn = (seed ^ salt).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 16;
        usize::try_from(drawn % bound.max(1) as u64)
    };
    let file = File::options().write(true).open(path)?;
    match how {
        How::Flip => {
            let at = draw(used, 0)?;
            file.write_all_at(&[bytes[at] ^ 0x10], at as u64)?;
        }
        How::Cut => file.set_len(draw(used, 0)? as u64)?,
        How::Gone => fs::remove_file(path)?,
        How::Moved => {
            // What lies in the last block may be torn by a crash as well: nothing can tell.
            let blocks = (used / BLOCK).saturating_sub(1);
            if blocks < 2 {
                return Ok(false);
            }
            // Most of a message is the same as in others.
            let pairs = (0..PAIRS_MAX).map(|salt| {
                let from = draw(blocks, salt)?;
                Ok((from, (from + 1 + draw(blocks - 1, salt + 1)?) % blocks))
            });
            let pairs: Result<Vec<(usize, usize)>> = pairs.collect();
            let block = |at: usize| &bytes[at * BLOCK..][..BLOCK];
            let mut pairs = pairs?.into_iter();
            let Some((from, to)) = pairs.find(|&(from, to)| block(from) != block(to)) else {
                return Ok(false);
            };
            file.write_all_at(block(from), (to * BLOCK) as u64)?;
        }
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn harmed(how: How, bytes: &[u8], seed: u64) -> Option<Vec<u8>> {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("file");
        fs::write(&path, bytes).expect("it is written");
        harm(&path, how, seed)
            .expect("it is damaged")
            .then(|| fs::read(&path).unwrap_or_default())
    }

    #[test]
    fn a_file_is_damaged_where_it_is_not_zero() {
        let mut bytes: Vec<u8> = (1..=10).flat_map(|n: u8| [n; BLOCK]).collect();
        bytes.truncate(40_000);
        bytes.resize(60_000, 0);
        for seed in 0..20 {
            let flipped = harmed(How::Flip, &bytes, seed).expect("it can be");
            let differ = |other: &[u8]| {
                (0..bytes.len())
                    .filter(|&at| bytes[at] != other[at])
                    .count()
            };
            assert_eq!((flipped.len(), differ(&flipped)), (60_000, 1));
            assert!(harmed(How::Cut, &bytes, seed).expect("it can be").len() < 40_000);
            let moved = harmed(How::Moved, &bytes, seed).expect("it can be");
            assert_eq!((moved.len(), differ(&moved)), (60_000, BLOCK));
        }
        assert_eq!(harmed(How::Gone, &bytes, 1), Some(Vec::new()));
        assert_eq!(harmed(How::Moved, b"too short", 1), None);
    }
}

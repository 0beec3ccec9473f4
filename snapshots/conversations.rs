//! Holds every recorded conversation with our own broker.

use core::sync::atomic::{AtomicUsize, Ordering};
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::thread;

use snapshots::case::{self, Case};
use snapshots::lists::Difference;
use snapshots::{compare, compat, lists, play};

/// Cases wait more than they work, so more of them run at once than there are cores.
const PLAYERS: usize = 8;

/// The broker to talk to: `BEALE`, or the one that was built for this test.
fn binary() -> PathBuf {
    let built = env!("CARGO_BIN_EXE_broker-under-test");
    env::var_os("BEALE").map_or_else(|| PathBuf::from(built), PathBuf::from)
}

fn difference(binary: &Path, case: &Case, wanted: &[Difference]) -> Option<String> {
    let recorded = match fs::read_to_string(case.recorded()) {
        Ok(text) => text,
        Err(e) => return Some(format!("not recorded: {e}\n")),
    };
    match play::play(binary, case, Some(&recorded)) {
        Ok(ours) => compare::compare(&case.id, &recorded, &ours, wanted),
        Err(e) => Some(format!("{e}\n")),
    }
}

#[test]
fn our_broker_answers_as_recorded() {
    let (cases, pending) = (case::all().unwrap(), lists::pending().unwrap());
    let wanted = lists::differences().unwrap();
    let filter = env::var("CASE").unwrap_or_default();
    let chosen: Vec<&Case> = cases
        .iter()
        .filter(|case| case.id.contains(&filter))
        .collect();
    let (binary, next, faults) = (binary(), AtomicUsize::new(0), Mutex::new(Vec::new()));
    thread::scope(|scope| {
        for _ in 0..PLAYERS {
            scope.spawn(|| {
                while let Some(case) = chosen.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let fault = match (difference(&binary, case, &wanted), pending.get(&case.id)) {
                        (Some(report), None) => format!("{}: {}\n{report}", case.id, case.title),
                        (None, Some(_)) => format!("{} passes: take it off pending.txt\n", case.id),
                        (Some(_), Some(_)) | (None, None) => continue,
                    };
                    faults.lock().unwrap().push(fault);
                }
            });
        }
    });
    let mut faults = faults.into_inner().unwrap();
    faults.sort();
    assert!(
        faults.is_empty(),
        "{} of {}:\n\n{}",
        faults.len(),
        chosen.len(),
        faults.join("\n")
    );
}

#[test]
fn pending_names_only_cases_that_exist() {
    let cases = case::all().unwrap();
    for id in lists::pending().unwrap().keys() {
        assert!(
            cases.iter().any(|case| case.id == *id),
            "pending.txt: no case {id}"
        );
    }
}

#[test]
fn every_recording_belongs_to_a_case() {
    let cases = case::all().unwrap();
    let folder = snapshots::root().join("recorded");
    for area in fs::read_dir(folder).unwrap().flatten() {
        for file in fs::read_dir(area.path()).unwrap().flatten() {
            let known = cases.iter().any(|case| case.recorded() == file.path());
            assert!(known, "{} has no case", file.path().display());
        }
    }
}

#[test]
fn compatibility_document_is_up_to_date() {
    let written = fs::read_to_string(compat::path()).unwrap_or_default();
    assert!(
        written == compat::document().unwrap(),
        "run `cargo run -p snapshots --bin compat` and commit COMPATIBILITY.md"
    );
}

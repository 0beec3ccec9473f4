//! `beale check`: what a directory stores, verified while no server uses it, and repaired if that is
//! asked for.
//!
//! The files are `storage::Check`'s business; what is lost with them a shard says, that opens the store
//! as a server would and serves nobody. *Invariant:* nothing in the directory changes without
//! `--repair`.

mod findings;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::rc::Rc;

use broker::{Effects, Input, Progress, Room, Shard, ShardOptions};
use config::{CheckStore, Options};
use protocol::time::{Instant, Now, Wall};
use schemas::Languages;
use storage::{Check, CheckReport, DamagedPlaces, StoreKey, StoreOptions};

use crate::clock::system_wall;
use crate::disk::OpenError;
use crate::disk::quiet::{QuietDisk, store_files};
use findings::Findings;

/// How long the shard's clock goes on when there is nothing else to do, so that it does what is due.
const TICK_NS: u64 = 1_000_000_000;
/// How many such ticks pass before a shard that does not get on is given up: as many as a start reads
/// again, and some.
const TICKS_MAX: u32 = 100;

/// Why a store cannot be checked, or repaired.
#[derive(Debug, thiserror::Error)]
enum CheckError {
    #[error(transparent)]
    Open(#[from] OpenError),
    #[error("there is no store in {path}", path = .0.display())]
    NoStore(PathBuf),
    #[error("{path} cannot be read: {what}", path = .path.display())]
    Unreadable { path: PathBuf, what: String },
}

/// Checks a store; returns what is to be printed on standard output, or as an error, and the exit code.
pub(crate) fn run(check: &CheckStore) -> (Result<String, String>, u8) {
    let found = directory(Path::new(&check.directory)).and_then(|dir| examine(&dir, check));
    match found {
        Ok(findings) => {
            let text = match check.json {
                true => findings.json(),
                false => findings.text(),
            };
            (Ok(text), u8::from(!findings.is_clean()))
        }
        Err(error) => (Err(error.to_string()), 2),
    }
}

/// Returns the directory that a store's files lie in: `path`, or what a server makes of a directory that
/// it is to store in.
fn directory(path: &Path) -> Result<PathBuf, CheckError> {
    for dir in [path.to_path_buf(), path.join("jetstream")] {
        if store_files(&dir).is_ok_and(|files| !files.is_empty()) {
            return Ok(dir);
        }
    }
    Err(CheckError::NoStore(path.to_path_buf()))
}

fn examine(dir: &Path, check: &CheckStore) -> Result<Findings, CheckError> {
    let (disk, key) = QuietDisk::look(dir, &check.encryption)?;
    let report = read_files(dir, &disk, key)?;
    let places = report.places();
    let looked = Session::open(dir, disk, key)?;
    let mut findings = Findings {
        directory: dir.to_path_buf(),
        without: looked.shard.without().to_vec(),
        streams: looked.shard.losses(&places),
        report,
        is_repaired: false,
    };
    drop(looked);
    if check.repair && !findings.is_clean() {
        let (disk, key) = QuietDisk::open(dir, &check.encryption)?;
        let mut session = Session::open(dir, disk, key)?;
        session.mend(dir, places)?;
        findings.is_repaired = true;
    }
    Ok(findings)
}

/// Reads all files that count.
fn read_files(
    dir: &Path,
    disk: &QuietDisk,
    key: Option<StoreKey>,
) -> Result<CheckReport, CheckError> {
    let mut check = Check::new(options(key));
    let mut ops = Vec::new();
    check.start(&mut ops);
    while let Some(op) = ops.pop() {
        check.handle(disk.run(&op), &mut ops);
    }
    match check.outcome() {
        Some(Ok(report)) => Ok(report.clone()),
        Some(Err(unreadable)) => Err(CheckError::Unreadable {
            path: dir.to_path_buf(),
            what: findings::refused(&unreadable),
        }),
        None => Err(stuck(dir)),
    }
}

fn options(key: Option<StoreKey>) -> StoreOptions {
    StoreOptions {
        key,
        ..StoreOptions::default()
    }
}

fn stuck(path: &Path) -> CheckError {
    CheckError::Unreadable {
        path: path.to_path_buf(),
        what: "it does not get on".to_owned(),
    }
}

/// A shard on a directory, that serves nobody.
struct Session {
    shard: Shard,
    disk: QuietDisk,
    fx: Effects,
    now: Now,
}

impl Session {
    /// Opens the store, whatever of it is lost.
    fn open(dir: &Path, disk: QuietDisk, key: Option<StoreKey>) -> Result<Self, CheckError> {
        let mut session = Self::new(disk, options(key), system_wall());
        session.shard.start_mending(session.now, &mut session.fx);
        session.drive(dir, &Progress::Opened)?;
        Ok(session)
    }

    fn new(disk: QuietDisk, store: StoreOptions, wall: Wall) -> Self {
        let now = Now {
            mono: Instant(0),
            wall,
        };
        let mut config = Options::default();
        config.jetstream.enabled = true;
        let options = ShardOptions {
            // Nobody connects: there is nothing to prove.
            secret: [0; 32],
            config,
            version: config::VERSION.into(),
            start: now,
            store,
            schemas: Rc::new(Languages),
            room: Room::UNLIMITED,
        };
        Self {
            shard: Shard::new(options, 0),
            disk,
            fx: Effects::default(),
            now,
        }
    }

    /// Repairs it.
    fn mend(&mut self, dir: &Path, places: DamagedPlaces) -> Result<(), CheckError> {
        self.shard.mend(places);
        self.input(Input::Settle);
        self.drive(dir, &Progress::Mended)?;
        // What makes the last mark durable.
        for _ in 0..2 {
            self.now.mono.0 += TICK_NS;
            self.input(Input::Timeout);
            self.do_all();
        }
        Ok(())
    }

    fn drive(&mut self, dir: &Path, goal: &Progress) -> Result<(), CheckError> {
        for _ in 0..TICKS_MAX {
            self.do_all();
            match self.shard.mending() {
                Some(progress) if progress == goal => return Ok(()),
                Some(Progress::Failed(why)) => {
                    return Err(CheckError::Unreadable {
                        path: dir.to_path_buf(),
                        what: why.clone(),
                    });
                }
                Some(_) | None => {}
            }
            self.now.mono.0 += TICK_NS;
            self.input(Input::Timeout);
        }
        Err(stuck(dir))
    }

    /// Does what the shard asks the disk for, until it asks for nothing more.
    fn do_all(&mut self) {
        loop {
            let ops = core::mem::take(&mut self.fx.disk);
            if ops.is_empty() && !core::mem::take(&mut self.fx.settle) {
                return;
            }
            self.fx = Effects::default();
            let mut later = Vec::new();
            for op in &ops {
                let mut done = vec![self.disk.run(op)];
                self.input(Input::Disk(&mut done));
                later.append(&mut self.fx.disk);
            }
            self.input(Input::Settle);
            later.append(&mut self.fx.disk);
            self.fx.disk = later;
        }
    }

    /// What the shard has to say but operations for the disk concerns nobody here.
    fn input(&mut self, input: Input<'_>) {
        let disk = core::mem::take(&mut self.fx.disk);
        let mut fx = Effects::default();
        self.shard.handle(self.now, input, &mut fx);
        self.fx.settle = fx.settle;
        self.fx.disk = disk;
        self.fx.disk.append(&mut fx.disk);
    }
}

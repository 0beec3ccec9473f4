//! The driver's side of the store's disk: operations go in, answers come out, nothing blocks the shard.
//!
//! *Invariant:* operations on one file run and answer in the order given ([`storage::op`] has the
//! contract); a simulated disk can stand in for the real one.

mod direct;
mod directory;
mod keys;
mod lane;
mod lock;
mod nearness;
mod pace;
pub(crate) mod quiet;

use core::future::{self, Future};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc;
use std::thread::{self, JoinHandle};

use config::options::Encryption;
use storage::{DiskDone, DiskOp, FileName, StoreKey};
use tokio::sync::mpsc as answers;

use directory::Directory;
use nearness::{Nearness, ThreadId};

/// A disk that has been opened and not used yet.
pub trait Disk {
    /// Where operations go.
    type Queue: DiskQueue + 'static;
    /// Where answers come from.
    type Answers: DiskAnswers + 'static;

    /// Gives the two ends.
    fn split(self) -> (Self::Queue, Self::Answers);
}

/// Takes operations.
pub trait DiskQueue {
    /// Takes all of `ops`; returns at once. An operation whose answer never comes belongs to a disk
    /// that has died; the store waits for it.
    fn submit(&self, ops: &mut Vec<DiskOp>);

    /// Says whether what is submitted next is for one connection that waits for its answer, so that next to
    /// nothing else is to be done meanwhile.
    fn expect_lone(&self, _lone: bool) {}
}

/// Gives answers.
pub trait DiskAnswers {
    /// Waits until there are answers and adds them to `done`. Dropping the future loses none.
    fn next(&mut self, done: &mut Vec<DiskDone>) -> impl Future<Output = ()>;
}

/// Why a directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process has it.
    #[error("storage directory {path} is already in use by another process", path = .0.display())]
    InUse(PathBuf),
    /// A later version has written it.
    #[error(
        "storage directory {path} has format {format}, which a later version has written; this one knows formats up to {known}",
        path = .path.display(), known = storage::FORMAT_SEALED
    )]
    Format {
        /// The directory.
        path: PathBuf,
        /// Its format.
        format: u8,
    },
    /// What lies there is encrypted, and no key is configured.
    #[error(
        "storage directory {path} is encrypted: encryption not enabled (jetstream.key is not set)",
        path = .0.display()
    )]
    NoKey(PathBuf),
    /// What lies there is encrypted under other keys than the configured ones.
    #[error(
        "storage directory {path} is encrypted under another key than jetstream.key and prev_key: unable to recover keys",
        path = .0.display()
    )]
    WrongKey(PathBuf),
    /// What lies there is encrypted, and nothing can open it.
    #[error(
        "storage directory {path} is encrypted, and its files key-1 and key-2 are damaged or gone: restore one of them",
        path = .0.display()
    )]
    KeysDamaged(PathBuf),
    /// The system refuses.
    #[error("could not create storage directory {path}", path = .path.display())]
    Io {
        /// The directory.
        path: PathBuf,
        /// Why.
        #[source]
        error: io::Error,
    },
}

/// A directory of the file system, with its own threads: one for the log's writes and syncs, one for
/// those of segments and checkpoints, one that makes, renames and removes files, one that reads. So
/// neither a flush nor the making of the next log file holds up an acknowledgement.
#[derive(Debug)]
pub struct FileDisk {
    queue: FileQueue,
    answers: FileAnswers,
}

/// The queue of a [`FileDisk`]. Dropping it waits until its threads have finished what they have, so
/// that the directory is free afterwards.
#[derive(Debug)]
pub struct FileQueue {
    lanes: [Worker; Lane::COUNT],
    nearness: Nearness,
}

#[derive(Debug)]
struct Worker {
    /// Taken when the thread is to end.
    ops: Option<mpsc::Sender<Vec<DiskOp>>>,
    thread: Option<JoinHandle<()>>,
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.ops = None;
        if let Some(thread) = self.thread.take() {
            // A thread that panicked has said so; there is nothing to add.
            let _ = thread.join();
        }
    }
}

/// The answers of a [`FileDisk`].
#[derive(Debug)]
pub struct FileAnswers(answers::UnboundedReceiver<Vec<DiskDone>>);

/// Which thread runs an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lane {
    Log,
    Bulk,
    Names,
    Reads,
}

impl Lane {
    const COUNT: usize = 4;
    const ALL: [(Self, &'static str); Self::COUNT] = [
        (Self::Log, "disk-log"),
        (Self::Bulk, "disk-bulk"),
        (Self::Names, "disk-names"),
        (Self::Reads, "disk-reads"),
    ];

    /// The store waits for answers wherever the order between lanes matters.
    fn of(op: &DiskOp) -> Self {
        match op {
            DiskOp::Write { file, .. } | DiskOp::Sync { file, .. } => match file {
                FileName::Log(_) => Self::Log,
                FileName::Segment { .. } | FileName::Checkpoint(_) => Self::Bulk,
            },
            DiskOp::List { .. }
            | DiskOp::Create { .. }
            | DiskOp::Recycle { .. }
            | DiskOp::Remove { .. } => Self::Names,
            DiskOp::Read { .. } => Self::Reads,
        }
    }
}

impl FileDisk {
    /// Opens `dir`, making it if it does not exist, and locks it against other processes.
    ///
    /// # Errors
    /// If another process has locked it, a later version has written it, it is encrypted, or the system
    /// refuses.
    pub fn open(dir: &Path) -> Result<Self, OpenError> {
        let (disk, _) = Self::open_encrypted(dir, &Encryption::default())?;
        Ok(disk)
    }

    /// Does the same and returns what the store is encrypted with: if a key is configured, it is from
    /// now on.
    ///
    /// # Errors
    /// As [`Self::open`], and if the key is not the one under which the store lies.
    pub(crate) fn open_encrypted(
        dir: &Path,
        encryption: &Encryption,
    ) -> Result<(Self, Option<StoreKey>), OpenError> {
        let failed = |error| OpenError::Io {
            path: dir.to_path_buf(),
            error,
        };
        fs::create_dir_all(dir).map_err(failed)?;
        let mut lock = lock::lock(dir)?;
        let key = keys::open(dir, &mut lock, encryption)?;
        let directory = Directory::open(dir, lock).map_err(failed)?;
        let directory = Arc::new(directory);
        let (done, answers) = answers::unbounded_channel();
        let mut lanes = Vec::with_capacity(Lane::COUNT);
        let of_log = Arc::new(ThreadId::default());
        for (lane, name) in Lane::ALL {
            let (sender, receiver) = mpsc::channel();
            let (directory, done) = (Arc::clone(&directory), done.clone());
            let id = (lane == Lane::Log).then(|| Arc::clone(&of_log));
            let run = move || {
                if let Some(id) = id {
                    id.tell();
                }
                lane::drive_lane(&directory, &receiver, &done);
            };
            let builder = thread::Builder::new().name(name.into());
            let thread = builder.spawn(run).map_err(failed)?;
            lanes.push(Worker {
                ops: Some(sender),
                thread: Some(thread),
            });
        }
        let lanes = lanes.try_into().expect("one worker per lane");
        let disk = Self {
            queue: FileQueue {
                lanes,
                nearness: Nearness::new(of_log),
            },
            answers: FileAnswers(answers),
        };
        Ok((disk, key))
    }
}

impl Disk for FileDisk {
    type Queue = FileQueue;
    type Answers = FileAnswers;

    fn split(self) -> (FileQueue, FileAnswers) {
        (self.queue, self.answers)
    }
}

/// Returns how many bytes an operation writes.
fn written(op: &DiskOp) -> usize {
    match op {
        DiskOp::Write { data, .. } => data.len(),
        DiskOp::List { .. }
        | DiskOp::Create { .. }
        | DiskOp::Recycle { .. }
        | DiskOp::Remove { .. }
        | DiskOp::Sync { .. }
        | DiskOp::Read { .. } => 0,
    }
}

impl DiskQueue for FileQueue {
    fn submit(&self, ops: &mut Vec<DiskOp>) {
        let mut batches: [Vec<DiskOp>; Lane::COUNT] = Default::default();
        for op in ops.drain(..) {
            if let Some(batch) = batches.get_mut(Lane::of(&op) as usize) {
                batch.push(op);
            }
        }
        if let Some(log) = batches
            .get(Lane::Log as usize)
            .filter(|log| !log.is_empty())
        {
            self.nearness.arrange(log.iter().map(written).sum());
        }
        for (lane, batch) in self.lanes.iter().zip(batches) {
            if let Some(ops) = &lane.ops
                && !batch.is_empty()
            {
                // The thread is gone only if it panicked; the answers stay away then.
                let _ = ops.send(batch);
            }
        }
    }

    fn expect_lone(&self, lone: bool) {
        self.nearness.set_lone(lone);
    }
}

impl DiskAnswers for FileAnswers {
    async fn next(&mut self, done: &mut Vec<DiskDone>) {
        match self.0.recv().await {
            Some(mut some) => done.append(&mut some),
            None => future::pending().await,
        }
        while let Ok(mut more) = self.0.try_recv() {
            done.append(&mut more);
        }
    }
}

#[cfg(test)]
mod tests;

//! A store's directory without threads, for one who serves nobody: each operation is done when it is
//! asked for.
//!
//! *Invariant:* who only looks changes nothing, not even the lock file: everything but reads is answered
//! as done, and is not done.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use config::options::Encryption;
use storage::{DiskAnswer, DiskDone, DiskError, DiskOp, FileName, StoreKey};

use super::directory::{Directory, disk_error};
use super::lock::Lock;
use super::{OpenError, keys, lock};

/// What may be done.
#[derive(Debug)]
enum Hands {
    Tied {
        /// Held so that no server begins to serve; none where the directory was never served.
        _lock: Option<Lock>,
    },
    Free(Directory),
}

/// A directory that no server uses.
#[derive(Debug)]
pub(crate) struct QuietDisk {
    path: PathBuf,
    hands: Hands,
}

impl QuietDisk {
    /// Opens a directory to look at, and what opens what lies there if that is encrypted.
    pub(crate) fn look(
        path: &Path,
        encryption: &Encryption,
    ) -> Result<(Self, Option<StoreKey>), OpenError> {
        let lock = lock::look(path)?;
        let is_sealed = lock.as_ref().is_some_and(Lock::is_sealed);
        let key = keys::look(path, is_sealed, encryption)?;
        let disk = Self {
            path: path.to_path_buf(),
            hands: Hands::Tied { _lock: lock },
        };
        Ok((disk, key))
    }

    /// Opens a directory to change, as it is encrypted, or as it is to be from now on.
    pub(crate) fn open(
        path: &Path,
        encryption: &Encryption,
    ) -> Result<(Self, Option<StoreKey>), OpenError> {
        let mut lock = lock::lock(path)?;
        let key = keys::open(path, &mut lock, encryption)?;
        let directory = Directory::open(path, lock).map_err(|error| OpenError::Io {
            path: path.to_path_buf(),
            error,
        })?;
        let disk = Self {
            path: path.to_path_buf(),
            hands: Hands::Free(directory),
        };
        Ok((disk, key))
    }

    /// Does an operation.
    pub(crate) fn run(&self, op: &DiskOp) -> DiskDone {
        let result = match &self.hands {
            Hands::Free(directory) => directory.run(op),
            Hands::Tied { .. } => self.only_look(op),
        };
        DiskDone {
            op: op.id(),
            result,
        }
    }

    fn only_look(&self, op: &DiskOp) -> Result<DiskAnswer, DiskError> {
        let looked = match op {
            DiskOp::List { .. } => store_files(&self.path).map(DiskAnswer::Listed),
            DiskOp::Read {
                file, offset, len, ..
            } => self.read(*file, *offset, *len).map(DiskAnswer::Read),
            DiskOp::Create { .. }
            | DiskOp::Write { .. }
            | DiskOp::Sync { .. }
            | DiskOp::Recycle { .. }
            | DiskOp::Remove { .. } => Ok(DiskAnswer::Done),
        };
        looked.map_err(|error| disk_error(&error))
    }

    fn read(&self, file: FileName, offset: u64, len: u32) -> io::Result<Bytes> {
        let handle = File::open(self.path.join(file.to_string()))?;
        let rest = handle.metadata()?.len().saturating_sub(offset);
        let len = u64::from(len).min(rest);
        let mut bytes = vec![0; usize::try_from(len).unwrap_or(0)];
        handle.read_exact_at(&mut bytes, offset)?;
        Ok(bytes.into())
    }
}

/// Returns the files of a store in a directory, with their lengths.
pub(crate) fn store_files(path: &Path) -> io::Result<Vec<(FileName, u64)>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        if let Some(name) = entry.file_name().to_str().and_then(FileName::parse) {
            files.push((name, entry.metadata()?.len()));
        }
    }
    Ok(files)
}

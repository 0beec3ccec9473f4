//! The store's directory: what each operation does to the file system.
//!
//! *Invariants:* a file that has been written and not synced keeps its handle, because a write-back
//! error is reported to handles that were open when it happened; the log's files keep theirs, so that a
//! process that can open no more files goes on storing. A name appears in the directory only
//! when the file under it is complete and durable.

use core::ops::Range;
use core::sync::atomic::{AtomicBool, Ordering};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use storage::{DiskAnswer, DiskError, DiskOp, FileName};

use super::direct::{self, DIRECT_MIN};
use super::lock::Lock;
use super::pace::Pace;
use super::quiet::store_files;

/// How many files are kept open; files with unsynced writes and those of the log are, beyond that.
const OPEN_MAX: usize = 256;
/// The ending of files that are being made.
const UNFINISHED: &str = ".new";

#[derive(Debug)]
struct Open {
    file: Arc<File>,
    /// The same file for direct writes, once there has been a long one.
    direct: Option<Arc<File>>,
    unsynced: bool,
}

/// An open, locked directory.
#[derive(Debug)]
pub(super) struct Directory {
    path: PathBuf,
    /// For syncing the directory's entries.
    handle: File,
    open: Mutex<BTreeMap<FileName, Open>>,
    pace: Pace,
    /// Whether the file system has refused a direct write.
    refuses_direct: AtomicBool,
    /// Held as long as any thread may still write.
    _lock: Lock,
}

impl Directory {
    pub(super) fn open(path: &Path, lock: Lock) -> io::Result<Self> {
        let handle = File::open(path)?;
        let mut unfinished = false;
        for entry in fs::read_dir(path)? {
            let entry = entry?;
            if entry.file_name().to_str().is_some_and(is_unfinished) {
                fs::remove_file(entry.path())?;
                unfinished = true;
            }
        }
        if unfinished {
            handle.sync_all()?;
        }
        // The directory itself may have been made just now.
        if let Some(parent) = path.canonicalize()?.parent() {
            File::open(parent)?.sync_all()?;
        }
        let directory = Self {
            path: path.to_path_buf(),
            handle,
            open: Mutex::default(),
            pace: Pace::new(),
            refuses_direct: AtomicBool::new(false),
            _lock: lock,
        };
        directory.open_logs();
        Ok(directory)
    }

    /// Opens the log's files that are there: one that an earlier process has made ahead is written to when it is
    /// its turn, and nothing may have to be opened then.
    fn open_logs(&self) {
        // What cannot be listed or opened now fails those who need it, if anybody does.
        for (file, _) in store_files(&self.path).unwrap_or_default() {
            if matches!(file, FileName::Log(_)) {
                let _ = self.handle_of(file, Access::Read);
            }
        }
    }

    pub(super) fn run(&self, op: &DiskOp) -> Result<DiskAnswer, DiskError> {
        let result = match op {
            DiskOp::List { .. } => store_files(&self.path).map(DiskAnswer::Listed),
            DiskOp::Read {
                file, offset, len, ..
            } => self.read(*file, *offset, *len).map(DiskAnswer::Read),
            DiskOp::Create { file, len, .. } => self.create(*file, *len).map(done),
            DiskOp::Write {
                file, offset, data, ..
            } => self.write(*file, *offset, &[data]).map(done),
            DiskOp::Sync { file, .. } => self.sync(*file).map(done),
            DiskOp::Recycle { from, to, .. } => self.rename(*from, *to).map(done),
            DiskOp::Remove { file, .. } => self.remove(*file).map(done),
        };
        result.map_err(|error| disk_error(&error))
    }

    fn path(&self, file: FileName) -> PathBuf {
        self.path.join(file.to_string())
    }

    fn read(&self, file: FileName, offset: u64, len: u32) -> io::Result<Bytes> {
        let handle = self.handle_of(file, Access::Read)?;
        let mut bytes = vec![0; len as usize];
        let mut filled = 0;
        while let Some(rest) = bytes.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            match handle.read_at(rest, offset + filled as u64) {
                Ok(0) => break,
                Ok(n) => filled += n,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        bytes.truncate(filled);
        Ok(bytes.into())
    }

    /// Runs writes that lie in one file, each where the one before ends, as one.
    pub(super) fn write_row(&self, ops: &[DiskOp]) -> Result<DiskAnswer, DiskError> {
        let mut place = None;
        let mut pieces = Vec::with_capacity(ops.len());
        for op in ops {
            if let DiskOp::Write {
                file, offset, data, ..
            } = op
            {
                place.get_or_insert((*file, *offset));
                pieces.push(&**data);
            }
        }
        let written = place.map_or(Ok(()), |(file, at)| self.write(file, at, &pieces));
        written.map(done).map_err(|error| disk_error(&error))
    }

    fn write(&self, file: FileName, offset: u64, pieces: &[&[u8]]) -> io::Result<()> {
        let len = pieces.iter().map(|piece| piece.len()).sum();
        let handle = self.handle_of(file, Access::Write)?;
        if !matches!(file, FileName::Log(_)) {
            return self.pace.write(&handle, pieces, offset);
        }
        let through_cache = |range: Range<usize>| {
            let mut at = offset + range.start as u64;
            for piece in direct::within(pieces, range) {
                handle.write_all_at(piece, at)?;
                at += piece.len() as u64;
                self.pace.note_logged(piece.len());
            }
            Ok(())
        };
        let blocks = direct::whole_blocks(offset, len);
        if blocks.len() < DIRECT_MIN
            || !self.write_direct(file, pieces, (blocks.clone(), offset))?
        {
            return through_cache(0..len);
        }
        through_cache(0..blocks.start)?;
        through_cache(blocks.end..len)
    }

    /// Writes the part of a write at `offset` of the log that consists of whole blocks past the page cache;
    /// false if that cannot be done.
    fn write_direct(
        &self,
        file: FileName,
        pieces: &[&[u8]],
        (blocks, offset): (Range<usize>, u64),
    ) -> io::Result<bool> {
        if self.refuses_direct.load(Ordering::Relaxed) {
            return Ok(false);
        }
        let Some(handle) = self.direct_handle_of(file) else {
            return Ok(false);
        };
        let at = offset + blocks.start as u64;
        let wrote = |len| self.pace.note_logged(len);
        match direct::write_blocks(&handle, direct::within(pieces, blocks), at, wrote) {
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => {
                self.refuses_direct.store(true, Ordering::Relaxed);
                Ok(false)
            }
            result => result.map(|()| true),
        }
    }

    fn direct_handle_of(&self, file: FileName) -> Option<Arc<File>> {
        let path = self.path(file);
        let mut table = self.table();
        let open = table.get_mut(&file)?;
        if open.direct.is_none() {
            open.direct = direct::open(&path).map(Arc::new);
        }
        open.direct.clone()
    }

    fn sync(&self, file: FileName) -> io::Result<()> {
        let handle = self.handle_of(file, Access::Write)?;
        handle.sync_data()?;
        // Where the file system goes down meanwhile, ext4 may give up its journal, and with it what tells
        // that a block which was only reserved has been written, and still call the sync a success. It
        // refuses every write from then on, also one of nothing.
        handle.write_at(&[], 0)?;
        if let Some(open) = self.table().get_mut(&file) {
            open.unsynced = false;
        }
        Ok(())
    }

    fn create(&self, file: FileName, len: u64) -> io::Result<()> {
        let path = self.path(file);
        let unfinished = self.path.join(format!("{file}{UNFINISHED}"));
        let made = self.make_zeroed(&unfinished, len).and_then(|handle| {
            fs::rename(&unfinished, &path)?;
            self.handle.sync_all()?;
            Ok(handle)
        });
        let handle = made.inspect_err(|_| {
            // What cannot be removed is removed at the next start.
            let _ = fs::remove_file(&unfinished);
        })?;
        self.keep(file, Arc::new(handle), false);
        Ok(())
    }

    fn make_zeroed(&self, path: &Path, len: u64) -> io::Result<File> {
        let mut options = File::options();
        let options = options.read(true).write(true).create(true).truncate(true);
        let file = options.open(path)?;
        // Only the log's files have a length from the beginning. Of the others there is nothing but the
        // name, which is synced with the directory.
        if len > 0 {
            self.pace.fill(&file, len)?;
        }
        Ok(file)
    }

    /// Renames a file and keeps it open, if it is: a log's file is written to under its new name without having
    /// to be opened.
    fn rename(&self, from: FileName, to: FileName) -> io::Result<()> {
        fs::rename(self.path(from), self.path(to))?;
        let mut table = self.table();
        table.remove(&to);
        if let Some(open) = table.remove(&from) {
            table.insert(to, open);
        }
        drop(table);
        self.handle.sync_all()
    }

    fn remove(&self, file: FileName) -> io::Result<()> {
        self.table().remove(&file);
        match fs::remove_file(self.path(file)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            other => other?,
        }
        self.handle.sync_all()
    }

    fn table(&self) -> MutexGuard<'_, BTreeMap<FileName, Open>> {
        // Nothing panics while it holds the table, and if it did the table would be whole.
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn handle_of(&self, file: FileName, access: Access) -> io::Result<Arc<File>> {
        if let Some(open) = self.table().get_mut(&file) {
            open.unsynced |= access == Access::Write;
            return Ok(Arc::clone(&open.file));
        }
        let mut options = File::options();
        let handle = options.read(true).write(true).open(self.path(file))?;
        let handle = Arc::new(handle);
        self.keep(file, Arc::clone(&handle), access == Access::Write);
        Ok(handle)
    }

    /// Has writes of a file refused from now on, also those of nothing, and its syncs succeed.
    #[cfg(test)]
    pub(super) fn fall(&self, file: FileName) {
        let handle = File::open(self.path(file)).expect("it is there");
        self.keep(file, Arc::new(handle), true);
    }

    fn keep(&self, file: FileName, handle: Arc<File>, unsynced: bool) {
        let mut table = self.table();
        if table.len() >= OPEN_MAX {
            table.retain(|name, open| open.unsynced || matches!(name, FileName::Log(_)));
        }
        table.insert(
            file,
            Open {
                file: handle,
                direct: None,
                unsynced,
            },
        );
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Access {
    Read,
    Write,
}

fn done((): ()) -> DiskAnswer {
    DiskAnswer::Done
}

fn is_unfinished(name: &str) -> bool {
    let file = name.strip_suffix(UNFINISHED);
    file.and_then(FileName::parse).is_some()
}

pub(super) fn disk_error(error: &io::Error) -> DiskError {
    // The numbers are Linux's; kinds cover the rest.
    match (error.kind(), error.raw_os_error()) {
        (io::ErrorKind::NotFound, _) => DiskError::NotFound,
        (io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded, _) => DiskError::NoSpace,
        (io::ErrorKind::ReadOnlyFilesystem, _) => DiskError::ReadOnly,
        (_, Some(23 | 24)) => DiskError::TooManyFiles,
        (_, errno) => DiskError::Io(errno.unwrap_or(0)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::lock::lock;

    const LOG: FileName = FileName::Log(0);
    const NEXT: FileName = FileName::Log(4096);

    fn open(dir: &Path) -> Directory {
        Directory::open(dir, lock(dir).unwrap()).unwrap()
    }

    /// Whether the log's file can be written to where nothing can be opened.
    fn is_at_hand(directory: &Directory, file: FileName) -> bool {
        // What is open stays so without its name.
        fs::remove_file(directory.path(file)).unwrap();
        directory.write(file, 0, &[b"goes on"]).is_ok() && directory.sync(file).is_ok()
    }

    #[test]
    fn a_log_file_that_is_used_again_need_not_be_opened() {
        let dir = tempfile::tempdir().unwrap();
        let directory = open(dir.path());
        directory.create(LOG, 4096).unwrap();
        directory.rename(LOG, NEXT).unwrap();
        assert!(is_at_hand(&directory, NEXT));
        assert!(directory.write(LOG, 0, &[b"gone"]).is_err());
    }

    #[test]
    fn a_log_file_that_was_made_ahead_by_an_earlier_process_need_not_be_opened() {
        let dir = tempfile::tempdir().unwrap();
        open(dir.path()).create(LOG, 4096).unwrap();
        assert!(is_at_hand(&open(dir.path()), LOG));
    }
}

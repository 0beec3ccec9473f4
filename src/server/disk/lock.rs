//! The file `lock`: one process at a time has the directory, and only one that knows its format.
//!
//! *Invariant:* nothing else in the directory is looked at, let alone changed, before both are known. A
//! record of a later format would look like damage, and the tail of such a log like a torn write.

use core::time::Duration;
use std::fs::{File, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Instant;

use super::OpenError;

/// What stands in the file before the number of the format.
const BEFORE: &str = "beale store, format ";
/// The file is shorter than this.
const LEN_MAX: u64 = 128;
/// How long a lock is waited for, and how long between two looks at it.
const WAIT: Duration = Duration::from_secs(2);
const STEP: Duration = Duration::from_millis(5);

/// A directory that this process has, until this is dropped.
#[derive(Debug)]
pub(super) struct Lock {
    file: File,
    format: u8,
}

impl Lock {
    /// Whether records lie there that are encrypted.
    pub(super) fn is_sealed(&self) -> bool {
        self.format == storage::FORMAT_SEALED
    }

    /// Notes that such records will lie there.
    pub(super) fn mark_sealed(&mut self) -> io::Result<()> {
        if !self.is_sealed() {
            write_format(&mut self.file, storage::FORMAT_SEALED)?;
            self.format = storage::FORMAT_SEALED;
        }
        Ok(())
    }
}

/// Locks `dir` for this process, until the lock is dropped.
///
/// # Errors
/// If another process has it, its format is a later one, or the system refuses.
pub(super) fn lock(dir: &Path) -> Result<Lock, OpenError> {
    let failed = |error| OpenError::Io {
        path: dir.to_path_buf(),
        error,
    };
    let mut options = File::options();
    let options = options.create(true).truncate(false).read(true).write(true);
    let mut file = options.open(dir.join("lock")).map_err(failed)?;
    take(dir, &file)?;
    let format = match format_of(&mut file).map_err(failed)? {
        Some(format) if format > storage::FORMAT_SEALED => return Err(later(dir, format)),
        Some(format @ (storage::FORMAT | storage::FORMAT_SEALED)) => format,
        // What stands there is of no use to anybody: of an earlier format, damaged, or nothing yet.
        Some(_) | None => {
            write_format(&mut file, storage::FORMAT).map_err(failed)?;
            storage::FORMAT
        }
    };
    Ok(Lock { file, format })
}

/// Locks `dir` for one who only looks, and changes nothing: none where there is nothing to lock, since no
/// process has used the directory under that name.
///
/// # Errors
/// As [`lock`].
pub(super) fn look(dir: &Path) -> Result<Option<Lock>, OpenError> {
    let failed = |error| OpenError::Io {
        path: dir.to_path_buf(),
        error,
    };
    let mut file = match File::open(dir.join("lock")) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(error)),
    };
    take(dir, &file)?;
    match format_of(&mut file).map_err(failed)? {
        Some(format) if format > storage::FORMAT_SEALED => Err(later(dir, format)),
        format => Ok(Some(Lock {
            file,
            format: format.unwrap_or(storage::FORMAT),
        })),
    }
}

/// Takes the lock. A process that was killed a moment ago has it until the system has taken the process
/// apart, which is waited for: whoever kills a server and starts it again means to have one.
fn take(dir: &Path, file: &File) -> Result<(), OpenError> {
    let deadline = Instant::now() + WAIT;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(()),
            Err(TryLockError::WouldBlock) if Instant::now() < deadline => thread::sleep(STEP),
            Err(TryLockError::WouldBlock) => return Err(OpenError::InUse(dir.to_path_buf())),
            Err(TryLockError::Error(error)) => {
                return Err(OpenError::Io {
                    path: dir.to_path_buf(),
                    error,
                });
            }
        }
    }
}

fn later(dir: &Path, format: u8) -> OpenError {
    OpenError::Format {
        path: PathBuf::from(dir),
        format,
    }
}

/// Returns the format that the file names; none where it names none. It does so twice: one flipped
/// bit does not keep a store closed.
fn format_of(file: &mut File) -> io::Result<Option<u8>> {
    let mut text = Vec::new();
    file.take(LEN_MAX).read_to_end(&mut text)?;
    let text = str::from_utf8(&text).unwrap_or_default();
    let mut named = text
        .lines()
        .map(|line| line.strip_prefix(BEFORE)?.parse().ok());
    Ok(match (named.next(), named.next()) {
        (Some(first), Some(second)) if first == second => first,
        _ => None,
    })
}

fn write_format(file: &mut File, format: u8) -> io::Result<()> {
    let line = format!("{BEFORE}{format}\n");
    file.set_len(0)?;
    file.rewind()?;
    file.write_all(line.repeat(2).as_bytes())?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn says(dir: &Path) -> String {
        fs::read_to_string(dir.join("lock")).unwrap()
    }

    #[test]
    fn directory_names_its_format() {
        let dir = tempfile::tempdir().unwrap();
        drop(lock(dir.path()).unwrap());
        let named = format!("beale store, format {}\n", storage::FORMAT).repeat(2);
        assert_eq!(says(dir.path()), named);
        drop(lock(dir.path()).unwrap());
        assert_eq!(says(dir.path()), named);
    }

    #[test]
    fn lock_that_is_given_up_soon_is_waited_for() {
        let dir = tempfile::tempdir().unwrap();
        let killed = lock(dir.path()).unwrap();
        let next = thread::spawn({
            let dir = dir.path().to_owned();
            move || lock(&dir).map(drop)
        });
        for _ in 0..20 {
            thread::sleep(STEP);
            assert!(!next.is_finished(), "somebody else has it");
        }
        drop(killed);
        next.join().unwrap().unwrap();
    }

    #[test]
    fn directory_of_a_later_format_is_refused_and_left_as_it_is() {
        let dir = tempfile::tempdir().unwrap();
        let later = format!("beale store, format {}\n", storage::FORMAT_SEALED + 1).repeat(2);
        fs::write(dir.path().join("lock"), &later).unwrap();
        let refused = lock(dir.path()).unwrap_err().to_string();
        assert!(refused.contains("has format 3"), "{refused}");
        assert_eq!(says(dir.path()), later);
    }

    #[test]
    fn file_that_says_nothing_sensible_does_not_keep_a_store_closed() {
        let dir = tempfile::tempdir().unwrap();
        for text in [
            "",
            "beale store, format",
            "\u{0}\u{0}",
            "beale store, format 1",
        ] {
            fs::write(dir.path().join("lock"), text).unwrap();
            drop(lock(dir.path()).unwrap());
            assert!(says(dir.path()).ends_with(" 1\n"), "{text:?}");
        }
    }
}

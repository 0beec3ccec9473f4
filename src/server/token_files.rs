//! The directory of accounts: one file with a token for each, by the account's key.
//!
//! *Invariant:* a file is whole, or not there: it is written and synced under another name, and renamed. What
//! was kept is on disk when that is said.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

/// What the names of tokens end with.
const EXTENSION: &str = "jwt";
/// What deleted ones end with, where they are kept.
const DELETED: &str = "jwt.deleted";
/// What those end with that are being written.
const UNFINISHED: &str = "jwt.new";

/// Returns the tokens of a directory, which is made if it is not there.
///
/// # Errors
/// The system's.
pub(crate) fn read(directory: &Path) -> io::Result<Vec<String>> {
    fs::create_dir_all(directory)?;
    let mut tokens = Vec::new();
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        if path.extension().is_some_and(|end| end == EXTENSION) {
            tokens.push(fs::read_to_string(path)?.trim().to_owned());
        }
    }
    Ok(tokens)
}

/// Keeps an account's token.
///
/// # Errors
/// The system's.
pub(crate) fn keep(directory: &Path, key: &str, token: &str) -> io::Result<()> {
    let unfinished = path(directory, key, UNFINISHED);
    let mut file = File::create(&unfinished)?;
    file.write_all(token.as_bytes())?;
    file.sync_all()?;
    fs::rename(&unfinished, path(directory, key, EXTENSION))?;
    sync(directory)
}

/// Removes an account's token, or renames its file.
///
/// # Errors
/// The system's.
pub(crate) fn delete(directory: &Path, key: &str, rename: bool) -> io::Result<()> {
    let kept = path(directory, key, EXTENSION);
    if rename {
        fs::rename(kept, path(directory, key, DELETED))?;
    } else {
        fs::remove_file(kept)?;
    }
    sync(directory)
}

fn path(directory: &Path, key: &str, end: &str) -> PathBuf {
    directory.join(format!("{key}.{end}"))
}

/// Makes names durable.
fn sync(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_kept_is_read_until_it_is_deleted() {
        let folder = tempfile::tempdir().expect("a temporary directory");
        let directory = folder.path().join("accounts");
        assert!(read(&directory).expect("it is made").is_empty());
        keep(&directory, "A", "one").expect("it is kept");
        keep(&directory, "A", "two").expect("it is replaced");
        assert_eq!(read(&directory).expect("it is read"), ["two"]);
        delete(&directory, "A", true).expect("it is renamed");
        assert!(read(&directory).expect("it is read").is_empty());
        assert!(directory.join("A.jwt.deleted").exists());
        delete(&directory, "A", false).expect_err("it is gone");
    }
}

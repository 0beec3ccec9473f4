//! The files `key-1` and `key-2`: what the store is encrypted with, sealed under the key that an operator
//! configures.
//!
//! *Invariants:* both say the same, and one is whole at any moment: each is replaced as a whole, and the
//! second when the first is durable. A wrong key, or none, changes nothing. Where there are no such files a
//! key is drawn, but never for a directory that was encrypted before: what lies in it would be lost.

use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::path::Path;

use config::options::{Encryption, StoreCipher};
use storage::{Cipher, KeyError, KeyFile, StoreKey};

use super::OpenError;
use super::lock::Lock;
use super::quiet::store_files;
use crate::entropy::draw;

/// How much of a file is looked at to see whether it is encrypted.
const LOOKED_AT: u64 = 64 << 10;

const NAMES: [&str; 2] = ["key-1", "key-2"];

/// Returns what the locked directory's store is encrypted with, none if it is not, and leaves it so that
/// the present key opens it next time.
///
/// # Errors
/// If there is no key, or a wrong one, or both files are damaged, or the system refuses.
pub(super) fn open(
    dir: &Path,
    lock: &mut Lock,
    wanted: &Encryption,
) -> Result<Option<StoreKey>, OpenError> {
    let failed = |error| OpenError::Io {
        path: dir.to_path_buf(),
        error,
    };
    let found = find(dir, lock.is_sealed(), wanted)?;
    let Some(configured) = wanted.key.as_deref() else {
        return Ok(None);
    };
    let key = match &found {
        Some(found) => found.key,
        None if holds_sealed(dir).map_err(failed)? => {
            return Err(OpenError::KeysDamaged(dir.to_path_buf()));
        }
        None => draw().map_err(failed)?,
    };
    if !found.is_some_and(|found| found.is_settled) {
        let seed = draw().map_err(failed)?;
        let bytes = KeyFile::seal(&key, configured.as_bytes(), &seed);
        for name in NAMES {
            replace(dir, name, &bytes).map_err(failed)?;
        }
    }
    lock.mark_sealed().map_err(failed)?;
    let life = draw().map_err(failed)?;
    Ok(Some(StoreKey::new(key, cipher(wanted.cipher), life)))
}

/// Does the same for one who only looks, and changes nothing.
///
/// # Errors
/// As [`open`].
pub(super) fn look(
    dir: &Path,
    is_sealed: bool,
    wanted: &Encryption,
) -> Result<Option<StoreKey>, OpenError> {
    let life = draw().map_err(|error| OpenError::Io {
        path: dir.to_path_buf(),
        error,
    })?;
    let found = find(dir, is_sealed, wanted)?;
    Ok(found.map(|found| StoreKey::new(found.key, cipher(wanted.cipher), life)))
}

fn cipher(wanted: StoreCipher) -> Cipher {
    match wanted {
        StoreCipher::ChaCha => Cipher::ChaCha20Poly1305,
        StoreCipher::Aes => Cipher::Aes256Gcm,
    }
}

struct Found {
    key: [u8; 32],
    /// Whether both files are there, and open with the present key.
    is_settled: bool,
}

/// Returns the key that lies in the directory; none where none has ever lain.
fn find(dir: &Path, is_sealed: bool, wanted: &Encryption) -> Result<Option<Found>, OpenError> {
    let path = || dir.to_path_buf();
    let [first, second] = NAMES.map(|name| read(&dir.join(name)));
    let failed = |error| OpenError::Io {
        path: path(),
        error,
    };
    let (first, second) = (first.map_err(failed)?, second.map_err(failed)?);
    if first.is_none() && second.is_none() {
        return match is_sealed {
            true => Err(OpenError::KeysDamaged(path())),
            false => Ok(None),
        };
    }
    let Some(configured) = wanted.key.as_deref() else {
        return Err(OpenError::NoKey(path()));
    };
    let before = wanted.key_before.as_deref().map(str::as_bytes);
    let same = first == second;
    let mut why = KeyError::Damaged;
    for bytes in [first, second].iter().flatten() {
        match KeyFile::open(bytes, configured.as_bytes(), before) {
            Ok(opened) => {
                return Ok(Some(Found {
                    key: opened.key,
                    is_settled: same && opened.is_current,
                }));
            }
            Err(KeyError::Damaged) => {}
            Err(KeyError::WrongKey) => why = KeyError::WrongKey,
        }
        if same {
            break;
        }
    }
    Err(match why {
        KeyError::Damaged => OpenError::KeysDamaged(path()),
        KeyError::WrongKey => OpenError::WrongKey(path()),
    })
}

/// Whether what lies in the directory was encrypted, though nothing says so: somebody has taken its keys and
/// its lock away.
fn holds_sealed(dir: &Path) -> io::Result<bool> {
    for (file, _) in store_files(dir)? {
        let mut bytes = Vec::new();
        let file = File::open(dir.join(file.to_string()))?;
        file.take(LOOKED_AT).read_to_end(&mut bytes)?;
        if storage::begins_sealed(&bytes) {
            return Ok(true);
        }
    }
    Ok(false)
}

fn read(path: &Path) -> io::Result<Option<Vec<u8>>> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Puts a file in the place of another, so that one of the two is there whatever happens.
fn replace(dir: &Path, name: &str, bytes: &[u8]) -> io::Result<()> {
    let unfinished = dir.join(format!("{name}.new"));
    let mut file = File::create(&unfinished)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&unfinished, dir.join(name))?;
    File::open(dir)?.sync_all()
}

#[cfg(test)]
mod tests;

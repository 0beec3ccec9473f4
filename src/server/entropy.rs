//! Random bytes from the system, for keys.

use std::fs::File;
use std::io::{self, Read as _};

/// Draws bytes that nobody can guess.
pub(crate) fn draw<const LEN: usize>() -> io::Result<[u8; LEN]> {
    let mut bytes = [0; LEN];
    File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(bytes)
}

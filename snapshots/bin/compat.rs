//! Writes `COMPATIBILITY.md`.

use std::fs;
use std::io;

fn main() -> io::Result<()> {
    fs::write(snapshots::compat::path(), snapshots::compat::document()?)
}

//! Long writes without the page cache, which would copy every byte into memory that it has to find first,
//! and would then have to write it all the same, since a sync follows.
//!
//! *Invariant:* only whole blocks go this way; what lies before and behind them in a write goes through the
//! page cache, as all shorter writes do, so that no block is ever written both ways at once.

use core::cell::RefCell;
use core::ops::Range;
use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

use rustix::fs::OFlags;

/// What the device wants addresses, offsets and lengths to be multiples of, at most.
const BLOCK: usize = 4096;
/// Shorter writes take less time in the page cache than a turn of the device.
pub(super) const DIRECT_MIN: usize = 512 << 10;
/// How much is written at once.
const PIECE: usize = 1 << 20;

thread_local! {
    /// What is being written, moved to an address that the device can read from.
    static BOUNCE: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// Opens a file for direct writes; none where the file system has none.
pub(super) fn open(path: &Path) -> Option<File> {
    let flags = OFlags::DIRECT.bits().cast_signed();
    let mut options = File::options();
    options.write(true).custom_flags(flags).open(path).ok()
}

/// Returns which part of `len` bytes written at `offset` consists of whole blocks.
pub(super) fn whole_blocks(offset: u64, len: usize) -> Range<usize> {
    let block = BLOCK as u64;
    let end = offset + len as u64;
    let (first, last) = (offset.next_multiple_of(block), end - end % block);
    let within = |at: u64| usize::try_from(at - offset).unwrap_or(len);
    if first < last {
        within(first)..within(last)
    } else {
        0..0
    }
}

/// Writes whole blocks.
pub(super) fn write_blocks(file: &File, blocks: &[u8], offset: u64) -> io::Result<()> {
    BOUNCE.with_borrow_mut(|bounce| {
        bounce.resize(PIECE + BLOCK, 0);
        let from = bounce.as_ptr().align_offset(BLOCK);
        let mut at = offset;
        for piece in blocks.chunks(PIECE) {
            let Some(aligned) = bounce.get_mut(from..from + piece.len()) else {
                return Err(io::ErrorKind::InvalidInput.into());
            };
            aligned.copy_from_slice(piece);
            file.write_all_at(aligned, at)?;
            at += piece.len() as u64;
        }
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_blocks_are_written_directly() {
        assert_eq!(whole_blocks(0, 8192), 0..8192);
        assert_eq!(whole_blocks(4095, 8194), 1..8193);
        assert_eq!(whole_blocks(4097, 8191), 4095..8191);
        assert_eq!(whole_blocks(100, 4096), 0..0);
        assert_eq!(whole_blocks(100, 10), 0..0);
    }

    #[test]
    fn what_was_written_directly_reads_as_it_was() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        let through = File::create_new(&path).unwrap();
        let data: Vec<u8> = (0_u32..600_000).flat_map(u32::to_le_bytes).collect();
        through
            .write_all_at(&vec![7; data.len() + 8192], 0)
            .unwrap();
        // Not every file system can.
        let Some(direct) = open(&path) else {
            return;
        };
        let blocks = whole_blocks(0, data.len());
        write_blocks(&direct, &data[blocks.clone()], 4096).unwrap();
        let read = std::fs::read(&path).unwrap();
        assert_eq!(read[..4096], [7; 4096]);
        assert_eq!(read[4096..4096 + blocks.len()], data[blocks.clone()]);
        assert_eq!(read[4096 + blocks.len()..][..10], [7; 10]);
    }
}

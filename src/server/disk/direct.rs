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
/// How much is written at once: a device that gets a mebibyte at a time takes a quarter longer for all.
const PIECE: usize = 2 << 20;

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

/// Returns what lies within `range` of a row of pieces.
pub(super) fn within<'a>(
    pieces: &'a [&'a [u8]],
    range: Range<usize>,
) -> impl Iterator<Item = &'a [u8]> {
    let mut at = 0;
    pieces.iter().filter_map(move |piece| {
        let start = at;
        at += piece.len();
        let (from, to) = (range.start.max(start), range.end.min(at));
        (from < to).then(|| piece.get(from - start..to - start).unwrap_or_default())
    })
}

/// Writes whole blocks, wherever the pieces that they come in begin and end; tells `wrote` how much each time.
pub(super) fn write_blocks<'a>(
    file: &File,
    pieces: impl Iterator<Item = &'a [u8]>,
    mut offset: u64,
    wrote: impl Fn(usize),
) -> io::Result<()> {
    BOUNCE.with_borrow_mut(|bounce| {
        bounce.resize(PIECE + BLOCK, 0);
        let from = bounce.as_ptr().align_offset(BLOCK);
        let Some(aligned) = bounce.get_mut(from..from + PIECE) else {
            return Err(io::ErrorKind::InvalidInput.into());
        };
        let mut filled = 0;
        for mut piece in pieces {
            while let Some((now, rest)) = piece.split_at_checked((PIECE - filled).min(piece.len()))
                && let Some(free) = aligned.get_mut(filled..filled + now.len())
                && !now.is_empty()
            {
                free.copy_from_slice(now);
                (filled, piece) = (filled + now.len(), rest);
                if filled == PIECE {
                    file.write_all_at(aligned, offset)?;
                    wrote(PIECE);
                    (filled, offset) = (0, offset + PIECE as u64);
                }
            }
        }
        file.write_all_at(aligned.get(..filled).unwrap_or_default(), offset)?;
        wrote(filled);
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use core::cell::Cell;

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
    fn a_part_of_a_row_is_taken_out_of_its_pieces() {
        let pieces: [&[u8]; 4] = [b"ab", b"", b"cdef", b"g"];
        let taken = |range| within(&pieces, range).collect::<Vec<_>>().concat();
        assert_eq!(taken(0..7), b"abcdefg");
        assert_eq!(taken(1..3), b"bc");
        assert_eq!(taken(6..7), b"g");
        assert_eq!(taken(3..3), b"");
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
        let (first, second) = data.split_at(1_234_567);
        let pieces = [first, second];
        let wrote = Cell::new(0);
        let note = |len| wrote.set(wrote.get() + len);
        write_blocks(&direct, within(&pieces, blocks.clone()), 4096, note).unwrap();
        assert_eq!(wrote.get(), blocks.len());
        let read = std::fs::read(&path).unwrap();
        assert_eq!(read[..4096], [7; 4096]);
        assert_eq!(read[4096..4096 + blocks.len()], data[blocks.clone()]);
        assert_eq!(read[4096 + blocks.len()..][..10], [7; 10]);
    }
}

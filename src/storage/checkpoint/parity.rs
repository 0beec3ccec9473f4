//! What makes a damaged block of a checkpoint's file good again: behind its end lie parity blocks, each the
//! exclusive or of about sixteen blocks of the file.
//!
//! The blocks of a group are far from each other, so that damage to blocks in a row falls into as
//! many groups. *Invariants:* where parity lies follows from the file's length alone. Nothing is
//! believed because of it: what is made good counts if its record verifies.

use alloc::vec;
use alloc::vec::Vec;

use bytes::{BufMut, BytesMut};

use super::SectionPlace;
use crate::record::{Parsed, Site, parse};

/// The length of a block: what a disk loses or misplaces at once.
const BLOCK: u64 = 4096;
/// How many blocks share a parity block, about.
const SHARE: u64 = 16;
/// How many parity blocks there are at least, unless each block has one of its own: so many blocks in a row may
/// be damaged.
const GROUPS_MIN: u64 = 4;
/// How many bytes all attempts together hash at most: a fraction of a second's work.
const BUDGET: u64 = 1 << 30;

/// The parity of a file; of a file that has been read with its parity, how the two differ.
#[derive(Debug)]
pub(crate) struct Parity {
    /// How many blocks it covers.
    blocks: u64,
    /// One block for each group.
    sums: Vec<u8>,
    budget: u64,
}

impl Parity {
    /// Returns the parity of a file with `len` bytes before it, nothing of which has been added.
    pub(crate) fn new(len: u64) -> Self {
        let blocks = len.div_ceil(BLOCK);
        let sums = usize::try_from(groups_of(blocks) * BLOCK).unwrap_or(0);
        Self {
            blocks,
            sums: vec![0; sums],
            budget: BUDGET,
        }
    }

    /// Returns that of a file that is `len` bytes long with its parity; none if no file with parity is.
    pub(crate) fn of_file(len: u64) -> Option<Self> {
        let all = len / BLOCK;
        // There are more blocks than these, and less than all.
        let least = all / 2;
        let mut low = least;
        let mut high = all;
        while low < high {
            let middle = low.midpoint(high);
            if middle + groups_of(middle) < all {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        let is_that_long = low > 0 && (low + groups_of(low)) * BLOCK == len;
        is_that_long.then(|| Self::new(low * BLOCK))
    }

    /// Returns how long the file is with its parity.
    pub(crate) fn file_len(&self) -> u64 {
        (self.blocks + groups_of(self.blocks)) * BLOCK
    }

    /// Returns where it begins in the file.
    #[cfg(test)]
    pub(crate) fn begin(&self) -> u64 {
        self.blocks * BLOCK
    }

    /// Adds what lies at `offset`, be it before the parity or the parity itself.
    pub(crate) fn add(&mut self, mut offset: u64, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let room = usize::try_from(BLOCK - offset % BLOCK).unwrap_or(usize::MAX);
            let (part, rest) = bytes.split_at(room.min(bytes.len()));
            let at = self.sum_at(offset);
            xor(self.sums.get_mut(at..).unwrap_or_default(), part);
            offset += part.len() as u64;
            bytes = rest;
        }
    }

    /// Returns where that which lies at `offset` is summed up.
    fn sum_at(&self, offset: u64) -> usize {
        let block = offset / BLOCK;
        let group = match block.checked_sub(self.blocks) {
            Some(group) => group,
            None => block % groups_of(self.blocks),
        };
        usize::try_from(group * BLOCK + offset % BLOCK).unwrap_or(usize::MAX)
    }

    /// Appends it to the end of a file whose last bytes `out` ends with, at `offset`.
    pub(crate) fn put(&self, offset: u64, out: &mut BytesMut) {
        let gap = (self.blocks * BLOCK).saturating_sub(offset);
        out.put_bytes(0, usize::try_from(gap).unwrap_or(0));
        out.put_slice(&self.sums);
    }

    /// Returns the record of a section, of which `found` lies in its place, if some blocks in a row
    /// are all that is damaged of it and of what shares their parity.
    pub(crate) fn make_good(&mut self, found: &[u8], place: SectionPlace) -> Option<Vec<u8>> {
        let (from, to) = (place.offset, place.end());
        let found = found.get(..usize::try_from(place.total()).ok()?)?;
        if to > self.blocks * BLOCK {
            return None;
        }
        let (first, end) = (from / BLOCK, to.div_ceil(BLOCK));
        let site = Site::checkpoint(place.file, place.offset);
        for start in first..end {
            let most = (start + groups_of(self.blocks)).min(end);
            let mut record = found.to_vec();
            for block in start..most {
                if !self.correct(&mut record, block, place) {
                    break;
                }
                self.budget = self.budget.checked_sub(place.total())?;
                if matches!(parse(&record, site), Parsed::Valid(_)) {
                    return Some(record);
                }
            }
        }
        None
    }

    /// Puts what a record has of a block right, as if that were all that is damaged of its group; false if
    /// nothing is.
    fn correct(&self, record: &mut [u8], block: u64, place: SectionPlace) -> bool {
        let from = place.offset.max(block * BLOCK);
        let to = place.end().min((block + 1) * BLOCK);
        let part = from.checked_sub(place.offset).zip(to.checked_sub(from));
        let part = part.and_then(|(at, len)| {
            let (at, len) = (usize::try_from(at).ok()?, usize::try_from(len).ok()?);
            record.get_mut(at..at + len)
        });
        let (Some(part), Some(sum)) = (part, self.sums.get(self.sum_at(from)..)) else {
            return false;
        };
        let is_damaged = sum.iter().take(part.len()).any(|&byte| byte != 0);
        xor(part, sum);
        is_damaged
    }
}

/// Returns how many groups so many blocks are in.
fn groups_of(blocks: u64) -> u64 {
    blocks.div_ceil(SHARE).max(GROUPS_MIN).min(blocks)
}

fn xor(to: &mut [u8], from: &[u8]) {
    for (to, from) in to.iter_mut().zip(from) {
        *to ^= from;
    }
}

#[cfg(test)]
#[expect(clippy::cast_possible_truncation, reason = "small numbers")]
mod tests {
    use super::*;
    use crate::record::{HEAD, Kind, padded, seal};

    const FILE: u64 = 7;

    /// A file of sections of this many bytes each, with its parity, and where they lie.
    fn file(lens: &[usize]) -> (BytesMut, Vec<SectionPlace>) {
        let (mut out, mut places) = (BytesMut::new(), Vec::new());
        for (number, &len) in lens.iter().enumerate() {
            let (at, total) = (out.len(), padded(len));
            out.put_bytes(0, HEAD);
            out.extend((0..total - HEAD).map(|n| (n * 7 + number * 31 + n / 250) as u8));
            let place = SectionPlace {
                file: FILE,
                offset: at as u64,
                len: len as u32,
            };
            let site = Site::checkpoint(FILE, place.offset);
            seal(&mut out[at..], place.len, site, Kind::Part);
            places.push(place);
        }
        let mut parity = Parity::new(out.len() as u64);
        parity.add(0, &out);
        parity.put(out.len() as u64, &mut out);
        assert_eq!(parity.file_len(), out.len() as u64);
        (out, places)
    }

    /// Reads a file again as a start does.
    fn read(file: &[u8]) -> Parity {
        let mut parity = Parity::of_file(file.len() as u64).unwrap();
        for (number, piece) in file.chunks(1000).enumerate() {
            parity.add(number as u64 * 1000, piece);
        }
        parity
    }

    /// Returns what becomes of a section.
    fn made_good(file: &[u8], place: SectionPlace) -> Option<Vec<u8>> {
        read(file).make_good(&file[place.offset as usize..], place)
    }

    fn section(file: &[u8], place: SectionPlace) -> &[u8] {
        &file[place.offset as usize..place.end() as usize]
    }

    #[test]
    fn any_block_of_any_section_is_made_good() {
        for lens in [&[100][..], &[9000, 300, 70_000, 12_000], &[5000; 30]] {
            let (whole, places) = file(lens);
            for block in 0..whole.len() / 4096 {
                let mut found = whole.clone();
                found[block * 4096..(block + 1) * 4096].fill(0xa5);
                let mut parity = read(&found);
                let is_hit =
                    |place: &&SectionPlace| section(&found, **place) != section(&whole, **place);
                for &place in places.iter().filter(is_hit) {
                    let good = parity.make_good(&found[place.offset as usize..], place);
                    assert_eq!(good.as_deref(), Some(section(&whole, place)), "{block}");
                }
            }
        }
    }

    #[test]
    fn four_blocks_in_a_row_are_made_good_and_what_cannot_be_is_not_made_up() {
        let (whole, places) = file(&[4000, 30_000, 4000]);
        let page = places[1];
        for blocks in [4, 5] {
            let mut found = whole.clone();
            found[8192..8192 + blocks * 4096].fill(0);
            let good = made_good(&found, page);
            let expected = (blocks == 4).then(|| section(&whole, page));
            assert_eq!(good.as_deref(), expected, "{blocks} blocks");
        }
    }

    #[test]
    fn damage_elsewhere_in_the_file_is_not_in_the_way() {
        let (whole, places) = file(&[20_000, 20_000, 20_000]);
        let mut found = whole.clone();
        found[3] ^= 1;
        found[21_000] ^= 1;
        found[59_000] ^= 1;
        for place in [places[0], places[1], places[2]] {
            assert_eq!(
                made_good(&found, place).as_deref(),
                Some(section(&whole, place))
            );
        }
    }

    #[test]
    fn a_file_tells_by_its_length_where_its_parity_lies() {
        for blocks in 1..2000 {
            let parity = Parity::new(blocks * 4096 - 8);
            let found = Parity::of_file(parity.file_len()).unwrap();
            assert_eq!(found.blocks, blocks);
            assert!(Parity::of_file(parity.file_len() + 8).is_none());
            let share = parity.sums.len() as u64 / 4096;
            assert!(share <= 4 || share <= blocks / 16 + 1, "{blocks}");
        }
        assert!(Parity::of_file(0).is_none());
    }
}

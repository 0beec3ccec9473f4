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
/// How many parity blocks there are at least, unless each block has one of its own: so many blocks in a row, 128
/// KiB, may be damaged of a small file, too, which costs nothing beside the 16 MiB of log that each checkpoint is
/// for.
const GROUPS_MIN: u64 = 32;
/// How many there were at least before: files of earlier versions have them.
const GROUPS_MIN_BEFORE: u64 = 4;
/// How many bytes all attempts together hash at most: a fraction of a second's work.
const BUDGET: u64 = 1 << 30;

/// The parity of a file; of a file that has been read with its parity, how the two differ.
#[derive(Debug)]
pub(crate) struct Parity {
    /// How many blocks it covers.
    blocks: u64,
    groups: u64,
    /// One block for each group.
    sums: Vec<u8>,
    budget: u64,
}

impl Parity {
    /// Returns the parity of a file with `len` bytes before it, nothing of which has been added.
    pub(crate) fn new(len: u64) -> Self {
        let blocks = len.div_ceil(BLOCK);
        Self::of_blocks(blocks, groups_of(blocks, GROUPS_MIN))
    }

    fn of_blocks(blocks: u64, groups: u64) -> Self {
        let sums = usize::try_from(groups * BLOCK).unwrap_or(0);
        Self {
            blocks,
            groups,
            sums: vec![0; sums],
            budget: BUDGET,
        }
    }

    /// Returns what that of a file may be that is `len` bytes long with its parity: as it is written now, and
    /// as it was; none if no file with parity is so long.
    pub(crate) fn of_file(len: u64) -> Vec<Self> {
        let now = Self::of_file_with(len, GROUPS_MIN);
        let before = Self::of_file_with(len, GROUPS_MIN_BEFORE);
        let differs = |before: &Self| now.as_ref().is_none_or(|now| now.blocks != before.blocks);
        let before = before.filter(differs);
        now.into_iter().chain(before).collect()
    }

    fn of_file_with(len: u64, groups_min: u64) -> Option<Self> {
        let groups_of = |blocks| groups_of(blocks, groups_min);
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
        is_that_long.then(|| Self::of_blocks(low, groups_of(low)))
    }

    /// Returns how long the file is with its parity.
    pub(crate) fn file_len(&self) -> u64 {
        (self.blocks + self.groups) * BLOCK
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
            None => block % self.groups.max(1),
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
            let most = (start + self.groups).min(end);
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
fn groups_of(blocks: u64, groups_min: u64) -> u64 {
    blocks.div_ceil(SHARE).max(groups_min).min(blocks)
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
        file_with(lens, GROUPS_MIN)
    }

    fn file_with(lens: &[usize], groups_min: u64) -> (BytesMut, Vec<SectionPlace>) {
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
        let blocks = (out.len() as u64).div_ceil(BLOCK);
        let mut parity = Parity::of_blocks(blocks, groups_of(blocks, groups_min));
        parity.add(0, &out);
        parity.put(out.len() as u64, &mut out);
        assert_eq!(parity.file_len(), out.len() as u64);
        (out, places)
    }

    /// Reads a file again as a start does.
    fn read(file: &[u8]) -> Vec<Parity> {
        let mut parities = Parity::of_file(file.len() as u64);
        for parity in &mut parities {
            for (number, piece) in file.chunks(1000).enumerate() {
                parity.add(number as u64 * 1000, piece);
            }
        }
        parities
    }

    /// Returns what becomes of a section.
    fn made_good(file: &[u8], place: SectionPlace) -> Option<Vec<u8>> {
        let found = &file[place.offset as usize..];
        let mut parities = read(file);
        parities.iter_mut().find_map(|p| p.make_good(found, place))
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
                let is_hit =
                    |place: &&SectionPlace| section(&found, **place) != section(&whole, **place);
                for &place in places.iter().filter(is_hit) {
                    let good = made_good(&found, place);
                    assert_eq!(good.as_deref(), Some(section(&whole, place)), "{block}");
                }
            }
        }
    }

    #[test]
    fn blocks_in_a_row_are_made_good_and_what_cannot_be_is_not_made_up() {
        for (groups_min, most) in [(GROUPS_MIN, 32), (GROUPS_MIN_BEFORE, 4)] {
            let (whole, places) = file_with(&[4000, 150_000, 60_000], groups_min);
            let page = places[1];
            for blocks in [most, most + 1] {
                let mut found = whole.clone();
                found[8192..8192 + blocks * 4096].fill(0);
                let good = made_good(&found, page);
                let expected = (blocks == most).then(|| section(&whole, page));
                assert_eq!(good.as_deref(), expected, "{blocks} blocks");
            }
        }
    }

    #[test]
    fn of_a_small_file_all_of_its_sections_may_be_damaged() {
        let (whole, places) = file(&[4000, 30_000, 60_000]);
        let mut found = whole.clone();
        found[..places[2].end() as usize].fill(0x55);
        for place in places {
            assert_eq!(
                made_good(&found, place).as_deref(),
                Some(section(&whole, place))
            );
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
            for groups_min in [GROUPS_MIN, GROUPS_MIN_BEFORE] {
                let parity = Parity::of_blocks(blocks, groups_of(blocks, groups_min));
                let found = Parity::of_file(parity.file_len());
                let layouts = found.iter().map(|found| (found.blocks, found.groups));
                let expected = (blocks, parity.groups);
                assert_eq!(layouts.filter(|&found| found == expected).count(), 1);
                assert!(Parity::of_file(parity.file_len() + 8).is_empty());
                let share = parity.sums.len() as u64 / 4096;
                assert!(share <= groups_min || share <= blocks / 16 + 1, "{blocks}");
            }
        }
        assert!(Parity::of_file(0).is_empty());
    }
}

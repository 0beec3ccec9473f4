//! Repairs a record in which one bit has flipped.
//!
//! The checksum tells which bit it was: of all records that differ from what was found in one bit,
//! the one that verifies in its place is the one that was written. That another one does has a
//! chance of one in 2^45 for the longest record. It is for what parity (`checkpoint::parity`) does
//! not make good. *Invariants:* what is given back verifies; the work is bounded.

use alloc::vec::Vec;

use crate::record::{HEAD, Parsed, Site, padded, parse};

/// How many bytes all attempts together hash at most: a fraction of a second's work, which is what a start may
/// be held up by. A record of 20 KiB takes nearly all of it.
const BUDGET: u64 = 4 << 30;

/// What is left to be tried.
#[derive(Debug)]
pub(crate) struct Corrector {
    budget: u64,
}

impl Corrector {
    pub(crate) const fn new() -> Self {
        Self { budget: BUDGET }
    }

    /// Returns the record that was written at `site` with a body of `len` bytes, if what `found` begins with
    /// differs from it in one bit.
    pub(crate) fn correct(&mut self, found: &[u8], len: u32, site: Site) -> Option<Vec<u8>> {
        let mut record = found.get(..padded(len as usize))?.to_vec();
        let covered = HEAD + len as usize;
        let cost = (covered as u64 * 8).checked_mul(u64::from(len))?;
        self.budget = self.budget.checked_sub(cost)?;
        let is_whole = |record: &[u8]| match parse(record, site) {
            Parsed::Valid(record) => record.body.len() == len as usize,
            Parsed::Short { .. } | Parsed::Invalid => false,
        };
        for at in 0..covered {
            for bit in 0..8 {
                flip(&mut record, at, bit);
                if is_whole(&record) {
                    return Some(record);
                }
                flip(&mut record, at, bit);
            }
        }
        None
    }
}

fn flip(record: &mut [u8], at: usize, bit: u8) {
    if let Some(byte) = record.get_mut(at) {
        *byte ^= 1 << bit;
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::*;
    use crate::record::{Kind, seal};

    const HERE: Site = Site::checkpoint(3, 80);

    fn sealed(body: &[u8]) -> Vec<u8> {
        let mut record = vec![0; padded(body.len())];
        record[HEAD..HEAD + body.len()].copy_from_slice(body);
        let len = u32::try_from(body.len()).unwrap();
        seal(&mut record, len, HERE, Kind::Part);
        record
    }

    #[test]
    fn whichever_bit_has_flipped_is_put_right() {
        let whole = sealed(b"a page of messages");
        for bit in 0..(HEAD + 18) * 8 {
            let mut found = whole.clone();
            flip(&mut found, bit / 8, u8::try_from(bit % 8).unwrap());
            let right = Corrector::new().correct(&found, 18, HERE);
            assert_eq!(right.as_ref(), Some(&whole), "bit {bit}");
        }
    }

    #[test]
    fn two_flipped_bits_and_what_belongs_elsewhere_are_not() {
        let whole = sealed(b"a page of messages");
        let mut found = whole.clone();
        flip(&mut found, HEAD + 1, 0);
        flip(&mut found, HEAD + 9, 5);
        assert_eq!(Corrector::new().correct(&found, 18, HERE), None);
        let elsewhere = Site::checkpoint(3, 88);
        assert_eq!(Corrector::new().correct(&whole, 18, elsewhere), None);
        assert_eq!(Corrector::new().correct(&whole[..20], 18, HERE), None);
    }

    #[test]
    fn what_would_take_too_long_is_left_alone() {
        let mut found = sealed(&vec![7; 30_000]);
        flip(&mut found, HEAD + 1, 0);
        assert_eq!(Corrector::new().correct(&found, 30_000, HERE), None);
    }
}

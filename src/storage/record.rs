//! The record: the unit of everything the store writes.
//!
//! A record is a 16-byte head, a body and zero bytes up to a multiple of 8:
//!
//!     0   u64  checksum: xxh3 of the body, combined with the place (file identity, position, epoch)
//!              and with the rest of the head
//!     8   u32  length of the body
//!     12  u16  the epoch's lower half
//!     14  u8   format version (upper four bits) and kind (lower four bits)
//!     15  u8   check of bytes 8 to 15 and of the position, so that a scan skips garbage cheaply
//!
//! All numbers are little-endian.
//!
//! *Invariant:* a record is valid in one place only. The same bytes in another file, at another offset
//! or in the log of an earlier life of the process do not verify, so misdirected writes and the old
//! contents of recycled files are never taken for data. The place is combined with the body's hash,
//! not hashed with it: moving a record to a segment re-bases the checksum without computing the hash
//! anew, so that bytes damaged on the way are not sealed as good.

use protocol::id::StreamId;
use xxhash_rust::xxh3::xxh3_64;

/// The length of a record's head.
pub(crate) const HEAD: usize = 16;
/// Records begin at multiples of this.
pub(crate) const ALIGN: usize = 8;
/// The longest body: longer lengths are garbage.
pub(crate) const BODY_MAX: usize = 1 << 30;
/// The version of the format of all files, in each record's head. A program must not touch files of a
/// later one: their records look like damage to it.
pub const FORMAT: u8 = 1;

/// What a record holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// An entry of the log's user; opaque here.
    Entry,
    /// The end of a batch: [`crate::marks::Commit`].
    Commit,
    /// The end of a log file: [`crate::marks::End`].
    End,
    /// The begin of an epoch: [`crate::marks::Epoch`].
    Epoch,
    /// The begin of a log file: [`crate::marks::FileHead`].
    File,
    /// The index of a segment's flush.
    Index,
    /// A part of a checkpoint.
    Part,
    /// In the log: the checkpoint of this number has been finished.
    Checkpointed,
    /// An entry in a segment, compressed: see [`crate::packing`].
    Packed,
}

impl Kind {
    const fn code(self) -> u8 {
        match self {
            Self::Entry => 1,
            Self::Commit => 2,
            Self::End => 3,
            Self::Epoch => 4,
            Self::File => 5,
            Self::Index => 6,
            Self::Part => 7,
            Self::Checkpointed => 8,
            Self::Packed => 9,
        }
    }

    const fn from_code(code: u8) -> Option<Self> {
        Some(match code {
            1 => Self::Entry,
            2 => Self::Commit,
            3 => Self::End,
            4 => Self::Epoch,
            5 => Self::File,
            6 => Self::Index,
            7 => Self::Part,
            8 => Self::Checkpointed,
            9 => Self::Packed,
            _ => return None,
        })
    }
}

/// Counts the lives of the log: each start of the process begins the next one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct EpochNo(pub(crate) u32);

impl EpochNo {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the lower half is what the head holds"
    )]
    const fn low(self) -> u16 {
        self.0 as u16
    }

    /// Returns the first epoch from `self` on whose lower half is `low`.
    const fn at_or_after(self, low: u16) -> Self {
        let step = low.wrapping_sub(self.low());
        Self(self.0.wrapping_add(step as u32))
    }
}

/// Where a record belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Site {
    identity: u64,
    position: u64,
    epoch: EpochNo,
}

impl Site {
    const PRIME_1: u64 = 0x9e37_79b1_85eb_ca87;
    const PRIME_2: u64 = 0xc2b2_ae3d_27d4_eb4f;

    /// Returns the place at log position `position`, written in `epoch`.
    pub(crate) const fn log(position: u64, epoch: EpochNo) -> Self {
        Self {
            identity: 0x4c4f_4700,
            position,
            epoch,
        }
    }

    /// Returns the place at `offset` of a segment.
    pub(crate) fn segment(stream: StreamId, number: u32, offset: u64) -> Self {
        Self {
            identity: mix(stream.0 ^ 0x5345_474d_0000_0000).wrapping_add(u64::from(number)),
            position: offset,
            epoch: EpochNo(0),
        }
    }

    /// Returns the place at `offset` of a checkpoint.
    pub(crate) const fn checkpoint(number: u64, offset: u64) -> Self {
        Self {
            identity: 0x434b_5054_0000_0000 ^ number,
            position: offset,
            epoch: EpochNo(0),
        }
    }

    /// Returns what the place and the head contribute to the checksum.
    const fn salt(self, len: u32, kind: Kind) -> u64 {
        let place = mix(self.identity.wrapping_mul(Self::PRIME_1) ^ mix(self.position));
        let head = (len as u64) | ((self.epoch.0 as u64) << 32);
        mix(place ^ head.wrapping_mul(Self::PRIME_2) ^ kind.code() as u64)
    }

    /// Returns the check byte of a head in this place.
    const fn check(self, len: u32, kind: Kind) -> u8 {
        let head = (len as u64) | ((self.epoch.low() as u64) << 32) | ((kind.code() as u64) << 48);
        let word = (head ^ self.position.rotate_left(17)).wrapping_mul(Self::PRIME_2);
        word.to_le_bytes()[7]
    }
}

const fn mix(mut x: u64) -> u64 {
    x = (x ^ (x >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    x = (x ^ (x >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    x ^ (x >> 33)
}

/// Returns the length of a record with a body of `len` bytes.
pub(crate) const fn padded(len: usize) -> usize {
    (HEAD + len).next_multiple_of(ALIGN)
}

/// Fills in the head of a record. `record` begins with room for the head; the body, `len` bytes,
/// follows.
pub(crate) fn seal(record: &mut [u8], len: u32, site: Site, kind: Kind) {
    let Some((head, rest)) = record.split_first_chunk_mut::<HEAD>() else {
        return;
    };
    let body = rest.get(..len as usize).unwrap_or_default();
    let sum = xxh3_64(body) ^ site.salt(len, kind);
    *head = encode_head(sum, len, site, kind);
}

/// Moves a sealed record from one place to another: the body's hash stays as it was.
pub(crate) fn reseal(record: &mut [u8], from: Site, to: Site) {
    let Some((head, _)) = record.split_first_chunk_mut::<HEAD>() else {
        return;
    };
    let Some(Head { sum, len, kind, .. }) = decode_head(head) else {
        return;
    };
    let sum = sum ^ from.salt(len, kind) ^ to.salt(len, kind);
    *head = encode_head(sum, len, to, kind);
}

fn encode_head(sum: u64, len: u32, site: Site, kind: Kind) -> [u8; HEAD] {
    let mut head = [0; HEAD];
    let (first, second) = head.split_at_mut(8);
    first.copy_from_slice(&sum.to_le_bytes());
    let word = u64::from(len)
        | u64::from(site.epoch.low()) << 32
        | u64::from(FORMAT << 4 | kind.code()) << 48
        | u64::from(site.check(len, kind)) << 56;
    second.copy_from_slice(&word.to_le_bytes());
    head
}

struct Head {
    sum: u64,
    len: u32,
    low: u16,
    kind: Kind,
    check: u8,
}

#[inline]
fn decode_head(head: &[u8; HEAD]) -> Option<Head> {
    let [
        s0,
        s1,
        s2,
        s3,
        s4,
        s5,
        s6,
        s7,
        l0,
        l1,
        l2,
        l3,
        e0,
        e1,
        tag,
        check,
    ] = *head;
    // Unused parts of a file are zero: this is the scan's first question.
    if tag >> 4 != FORMAT {
        return None;
    }
    Some(Head {
        sum: u64::from_le_bytes([s0, s1, s2, s3, s4, s5, s6, s7]),
        len: u32::from_le_bytes([l0, l1, l2, l3]),
        low: u16::from_le_bytes([e0, e1]),
        kind: Kind::from_code(tag & 0xf)?,
        check,
    })
}

/// What lies at a place.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Parsed<'a> {
    /// A record that belongs here.
    Valid(Record<'a>),
    /// Perhaps a record, but it goes on behind the buffer.
    Short {
        /// The record's whole length.
        total: usize,
    },
    /// No record, or not one of this place.
    Invalid,
}

/// A verified record.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Record<'a> {
    pub(crate) kind: Kind,
    /// The epoch it was written in.
    pub(crate) epoch: EpochNo,
    pub(crate) body: &'a [u8],
    /// The length of head, body and padding.
    pub(crate) total: usize,
}

/// Verifies the record at the start of `buf`, which belongs at `site`; its epoch may be the site's or
/// a later one.
pub(crate) fn parse(buf: &[u8], site: Site) -> Parsed<'_> {
    let Some((head, rest)) = buf.split_first_chunk::<HEAD>() else {
        return Parsed::Short { total: HEAD };
    };
    let Some(Head {
        sum,
        len,
        low,
        kind,
        check,
    }) = decode_head(head)
    else {
        return Parsed::Invalid;
    };
    let site = Site {
        epoch: site.epoch.at_or_after(low),
        ..site
    };
    if len as usize > BODY_MAX || check != site.check(len, kind) {
        return Parsed::Invalid;
    }
    let total = padded(len as usize);
    let Some(body) = rest.get(..len as usize).filter(|_| total <= buf.len()) else {
        return Parsed::Short { total };
    };
    if xxh3_64(body) ^ site.salt(len, kind) != sum {
        return Parsed::Invalid;
    }
    Parsed::Valid(Record {
        kind,
        epoch: site.epoch,
        body,
        total,
    })
}

/// Returns kind and body length of a record that has been verified before.
#[inline]
pub(crate) fn peek(buf: &[u8]) -> Option<(Kind, usize)> {
    let head = buf.first_chunk::<HEAD>()?;
    let head = decode_head(head)?;
    Some((head.kind, head.len as usize))
}

#[cfg(test)]
mod tests {
    use alloc::vec;
    use alloc::vec::Vec;

    use super::*;

    fn sealed(body: &[u8], site: Site) -> Vec<u8> {
        let mut record = vec![0; padded(body.len())];
        record[HEAD..HEAD + body.len()].copy_from_slice(body);
        seal(
            &mut record,
            u32::try_from(body.len()).unwrap(),
            site,
            Kind::Entry,
        );
        record
    }

    const HERE: Site = Site::log(4096, EpochNo(3));

    #[test]
    fn record_is_valid_where_it_was_written() {
        let record = sealed(b"hello", HERE);
        let Parsed::Valid(got) = parse(&record, HERE) else {
            panic!("{:?}", parse(&record, HERE));
        };
        assert_eq!(
            (got.kind, got.body, got.total),
            (Kind::Entry, &b"hello"[..], 24)
        );
        assert_eq!(peek(&record), Some((Kind::Entry, 5)));
    }

    #[test]
    fn record_is_invalid_in_any_other_place() {
        let record = sealed(b"hello", HERE);
        for site in [
            Site::log(4104, EpochNo(3)),
            Site::log(4096, EpochNo(4)),
            Site::checkpoint(0, 4096),
            Site::segment(StreamId(1), 0, 4096),
        ] {
            assert_eq!(parse(&record, site), Parsed::Invalid, "{site:?}");
        }
    }

    #[test]
    fn record_of_a_later_epoch_names_its_epoch() {
        let record = sealed(b"hello", HERE);
        let Parsed::Valid(got) = parse(&record, Site::log(4096, EpochNo(0))) else {
            panic!("not valid");
        };
        assert_eq!(got.epoch, EpochNo(3));
    }

    #[test]
    fn every_flipped_bit_outside_the_padding_is_noticed() {
        let record = sealed(b"some bytes of an entry", HERE);
        for bit in 0..(HEAD + 22) * 8 {
            let mut bad = record.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert!(!matches!(parse(&bad, HERE), Parsed::Valid(_)), "bit {bit}");
        }
    }

    #[test]
    fn cut_record_asks_for_its_whole_length() {
        let record = sealed(&[7; 100], HERE);
        assert_eq!(parse(&record[..40], HERE), Parsed::Short { total: 120 });
    }

    #[test]
    fn moved_record_is_valid_in_its_new_place_and_only_there() {
        let to = Site::segment(StreamId(9), 2, 0);
        let mut record = sealed(b"hello", HERE);
        reseal(&mut record, HERE, to);
        assert!(matches!(parse(&record, to), Parsed::Valid(_)));
        assert_eq!(parse(&record, HERE), Parsed::Invalid);
    }

    #[test]
    fn bytes_damaged_before_a_move_stay_damaged_after_it() {
        let to = Site::segment(StreamId(9), 2, 0);
        let mut record = sealed(b"hello", HERE);
        record[HEAD] ^= 1;
        reseal(&mut record, HERE, to);
        assert_eq!(parse(&record, to), Parsed::Invalid);
    }
}

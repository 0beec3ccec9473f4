//! The record: the unit of everything the store writes.
//!
//! A record is a 16-byte head, a body and zero bytes up to a multiple of 8:
//!
//! ```text
//! 0   u64  checksum: xxh3 of the body, combined with the place (file identity, position, epoch)
//!          and with the rest of the head
//! 8   u32  length of the body
//! 12  u16  the epoch's lower half
//! 14  u8   format version (upper four bits) and kind (lower four bits)
//! 15  u8   check of bytes 8 to 15 and of the position, so that a scan skips garbage cheaply
//! ```
//!
//! All numbers are little-endian. The body of a sealed record is encrypted and ends in what opens it: see
//! [`crate::vault`]. Its checksum covers what lies on the disk, so that damage is found without a key.
//!
//! *Invariant:* a record is valid in one place only. The same bytes in another file, at another offset
//! or in the log of an earlier life of the process do not verify, so misdirected writes and the old
//! contents of recycled files are never taken for data. The place is combined with the body's hash,
//! not hashed with it: moving a record to a segment re-bases the checksum without computing the hash
//! anew, so that bytes damaged on the way are not sealed as good.

mod site;

use xxhash_rust::xxh3::xxh3_64;

pub(crate) use site::{EpochNo, Site};

/// The length of a record's head.
pub(crate) const HEAD: usize = 16;
/// Records begin at multiples of this.
pub(crate) const ALIGN: usize = 8;
/// The longest body: longer lengths are garbage.
pub(crate) const BODY_MAX: usize = 1 << 30;
/// The version of the format of all files, in each record's head. A program must not touch files of a
/// later one: their records look like damage to it.
pub const FORMAT: u8 = 1;
/// The version of a directory that holds sealed records, which look like damage to a program that knows
/// none.
pub const FORMAT_SEALED: u8 = 2;

/// How a record's body is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Form {
    /// As it is.
    #[default]
    Clear,
    /// Encrypted.
    Sealed,
}

impl Form {
    /// How much room a body takes behind its contents.
    #[inline]
    pub(crate) const fn room(self) -> usize {
        match self {
            Self::Clear => 0,
            Self::Sealed => SEAL,
        }
    }
}

/// What a sealed record's body holds behind its contents: how to open them, and the proof that they are
/// what was sealed.
pub(crate) const SEAL: usize = 32;

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

    /// Returns what stands for it in a record's head. What the store writes of itself is never sealed.
    const fn code_in(self, form: Form) -> u8 {
        match (form, self) {
            (Form::Sealed, Self::Entry) => 10,
            (Form::Sealed, Self::Packed) => 11,
            (Form::Sealed, Self::Part) => 12,
            (Form::Clear | Form::Sealed, kind) => kind.code(),
        }
    }

    const fn from_code(code: u8) -> Option<(Self, Form)> {
        Some(match code {
            1 => (Self::Entry, Form::Clear),
            2 => (Self::Commit, Form::Clear),
            3 => (Self::End, Form::Clear),
            4 => (Self::Epoch, Form::Clear),
            5 => (Self::File, Form::Clear),
            6 => (Self::Index, Form::Clear),
            7 => (Self::Part, Form::Clear),
            8 => (Self::Checkpointed, Form::Clear),
            9 => (Self::Packed, Form::Clear),
            10 => (Self::Entry, Form::Sealed),
            11 => (Self::Packed, Form::Sealed),
            12 => (Self::Part, Form::Sealed),
            _ => return None,
        })
    }
}

/// Returns the length of a record with a body of `len` bytes.
pub(crate) const fn padded(len: usize) -> usize {
    (HEAD + len).next_multiple_of(ALIGN)
}

/// Fills in the head of a record. `record` begins with room for the head; the body, `len` bytes,
/// follows.
pub(crate) fn seal(record: &mut [u8], len: u32, site: Site, kind: Kind) {
    seal_in(record, len, site, (kind, Form::Clear));
}

/// Does the same for a body in this form.
#[inline]
pub(crate) fn seal_in(record: &mut [u8], len: u32, site: Site, (kind, form): (Kind, Form)) {
    let Some((head, rest)) = record.split_first_chunk_mut::<HEAD>() else {
        return;
    };
    let code = kind.code_in(form);
    let body = rest.get(..len as usize).unwrap_or_default();
    let sum = xxh3_64(body) ^ site.salt(len, code);
    *head = encode_head(sum, len, site, code);
}

/// Moves a sealed record from one place to another: the body's hash stays as it was.
pub(crate) fn reseal(record: &mut [u8], from: Site, to: Site) {
    let Some((head, _)) = record.split_first_chunk_mut::<HEAD>() else {
        return;
    };
    let Some(Head { sum, len, tag, .. }) = decode_head(head) else {
        return;
    };
    let code = tag & CODE;
    let sum = sum ^ from.salt(len, code) ^ to.salt(len, code);
    *head = encode_head(sum, len, to, code);
}

/// The part of a head's byte 14 that says what the record holds.
const CODE: u8 = 0xf;

fn encode_head(sum: u64, len: u32, site: Site, code: u8) -> [u8; HEAD] {
    let mut head = [0; HEAD];
    let (first, second) = head.split_at_mut(8);
    first.copy_from_slice(&sum.to_le_bytes());
    second.copy_from_slice(&head_word(len, site, code).to_le_bytes());
    head
}

/// Returns what stands in a head behind the checksum.
fn head_word(len: u32, site: Site, code: u8) -> u64 {
    u64::from(len)
        | u64::from(site.epoch.low()) << 32
        | u64::from(FORMAT << 4 | code) << 48
        | u64::from(site.check(len, code)) << 56
}

/// Returns what a record of this length in this place says of itself, with its place: what a seal covers
/// beside the contents.
pub(crate) fn label(len: u32, site: Site, (kind, form): (Kind, Form)) -> [u8; 24] {
    let mut label = [0; 24];
    let (place, word) = label.split_at_mut(16);
    place.copy_from_slice(&site.to_bytes());
    word.copy_from_slice(&head_word(len, site, kind.code_in(form)).to_le_bytes());
    label
}

struct Head {
    sum: u64,
    len: u32,
    low: u16,
    /// Byte 14.
    tag: u8,
    kind: Kind,
    form: Form,
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
    let (kind, form) = Kind::from_code(tag & CODE)?;
    Some(Head {
        sum: u64::from_le_bytes([s0, s1, s2, s3, s4, s5, s6, s7]),
        len: u32::from_le_bytes([l0, l1, l2, l3]),
        low: u16::from_le_bytes([e0, e1]),
        tag,
        kind,
        form,
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
    pub(crate) form: Form,
    /// The epoch it was written in.
    pub(crate) epoch: EpochNo,
    /// What lies on the disk, sealed or not.
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
        tag,
        kind,
        form,
        check,
    }) = decode_head(head)
    else {
        return Parsed::Invalid;
    };
    let site = site.in_epoch(site.epoch.at_or_after(low));
    let code = tag & CODE;
    if len as usize > BODY_MAX || check != site.check(len, code) {
        return Parsed::Invalid;
    }
    let total = padded(len as usize);
    let Some(body) = rest.get(..len as usize).filter(|_| total <= buf.len()) else {
        return Parsed::Short { total };
    };
    if xxh3_64(body) ^ site.salt(len, code) != sum {
        return Parsed::Invalid;
    }
    Parsed::Valid(Record {
        kind,
        form,
        epoch: site.epoch,
        body,
        total,
    })
}

/// What the head of a record in memory says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Peek {
    pub(crate) kind: Kind,
    pub(crate) form: Form,
    /// The length of the contents, which follow the head.
    pub(crate) len: usize,
    /// The length of head, contents, room for a seal and padding.
    pub(crate) total: usize,
}

/// Returns what a record that has been verified before says of itself.
#[inline]
pub(crate) fn peek(buf: &[u8]) -> Option<Peek> {
    let head = decode_head(buf.first_chunk::<HEAD>()?)?;
    let body = head.len as usize;
    Some(Peek {
        kind: head.kind,
        form: head.form,
        len: body.saturating_sub(head.form.room()),
        total: padded(body),
    })
}

/// Returns whether a file of a store that begins like this holds encrypted records.
#[must_use]
pub fn begins_sealed(mut bytes: &[u8]) -> bool {
    while let Some(record) = peek(bytes) {
        if record.form == Form::Sealed {
            return true;
        }
        bytes = bytes.get(record.total..).unwrap_or_default();
    }
    false
}

#[cfg(test)]
mod tests;

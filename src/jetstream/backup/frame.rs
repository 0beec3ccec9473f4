//! The frames around a backup: S2's stream format with nothing compressed, since the tools that write
//! backups to files look into them for their progress.
//!
//! *Invariant:* what comes out of [`Unframer`] went into [`put_frame`] just so: every frame has its
//! checksum, and a frame that this server does not write is refused.

use bytes::{Buf as _, BufMut as _, BytesMut};

use super::ArchiveError;

/// What every S2 stream starts with.
const START: &[u8] = b"\xff\x06\x00\x00S2sTwO";
/// Most bytes of one frame's data.
pub(super) const DATA_LEN_MAX: usize = 64 << 10;
/// A frame's kind and length.
const HEAD_LEN: usize = 4;
const CHECK_LEN: usize = 4;
/// Data as it is.
const PLAIN: u8 = 0x01;

/// Appends what comes before the first frame.
pub(super) fn put_start(out: &mut BytesMut) {
    out.put_slice(START);
}

/// Appends a frame around at most [`DATA_LEN_MAX`] bytes.
pub(super) fn put_frame(out: &mut BytesMut, data: &[u8]) {
    debug_assert!(data.len() <= DATA_LEN_MAX, "cut before");
    let len = u32::try_from(data.len() + CHECK_LEN).unwrap_or(u32::MAX);
    out.reserve(HEAD_LEN + CHECK_LEN + data.len());
    out.put_u32_le(len << 8 | u32::from(PLAIN));
    out.put_u32_le(check(data));
    out.put_slice(data);
}

/// Takes frames apart that come in pieces.
#[derive(Debug, Default)]
pub(super) struct Unframer {
    input: BytesMut,
    is_started: bool,
    /// The data of the frames so far; whoever reads it takes it off.
    pub(super) data: BytesMut,
}

impl Unframer {
    /// Takes the next bytes.
    ///
    /// # Errors
    /// When they are not what [`put_start`] and [`put_frame`] wrote.
    pub(super) fn push(&mut self, bytes: &[u8]) -> Result<(), ArchiveError> {
        self.input.extend_from_slice(bytes);
        if !self.is_started {
            let len = self.input.len().min(START.len());
            if self.input.get(..len) != START.get(..len) {
                return Err(ArchiveError::Foreign);
            }
            if self.input.len() < START.len() {
                return Ok(());
            }
            self.input.advance(START.len());
            self.is_started = true;
        }
        while self.take_frame()? {}
        Ok(())
    }

    /// Returns whether the bytes so far end with a whole frame.
    pub(super) fn is_whole(&self) -> bool {
        self.is_started && self.input.is_empty()
    }

    fn take_frame(&mut self) -> Result<bool, ArchiveError> {
        let Some(head) = self.input.first_chunk::<HEAD_LEN>() else {
            return Ok(false);
        };
        let head = u32::from_le_bytes(*head);
        // This server compresses nothing, so whoever did was another one.
        if head & 0xff != u32::from(PLAIN) {
            return Err(ArchiveError::Foreign);
        }
        let len = usize::try_from(head >> 8).unwrap_or(usize::MAX);
        if !(CHECK_LEN..=DATA_LEN_MAX + CHECK_LEN).contains(&len) {
            return Err(ArchiveError::Foreign);
        }
        if self.input.len() < HEAD_LEN + len {
            return Ok(false);
        }
        self.input.advance(HEAD_LEN);
        let expected = self.input.get_u32_le();
        let data = self.input.split_to(len - CHECK_LEN);
        if check(&data) != expected {
            return Err(ArchiveError::Damaged);
        }
        self.data.extend_from_slice(&data);
        Ok(true)
    }
}

/// Returns the checksum of a frame's data: CRC-32C, masked as the format wants it.
fn check(data: &[u8]) -> u32 {
    let mut crc = u32::MAX;
    for &byte in data {
        let at = (crc ^ u32::from(byte)) & 0xff;
        let entry = usize::try_from(at).ok().and_then(|at| TABLE.get(at));
        crc = (crc >> 8) ^ entry.copied().unwrap_or_default();
    }
    let crc = !crc;
    crc.rotate_right(15).wrapping_add(0xa282_ead8)
}

/// The remainders of all bytes by Castagnoli's polynomial.
static TABLE: [u32; 256] = table();

#[expect(
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "run by the compiler, which would refuse"
)]
const fn table() -> [u32; 256] {
    let mut table = [0; 256];
    let mut at = 0;
    while at < table.len() {
        let mut rest = at as u32;
        let mut bit = 0;
        while bit < 8 {
            rest = if rest & 1 == 1 {
                rest >> 1 ^ 0x82f6_3b78
            } else {
                rest >> 1
            };
            bit += 1;
        }
        table[at] = rest;
        at += 1;
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_that_of_the_format() {
        // From the test vectors of RFC 3720: CRC-32C of these bytes is e3069283.
        let crc = 0xe306_9283_u32;
        let masked = crc.rotate_right(15).wrapping_add(0xa282_ead8);
        assert_eq!(check(b"123456789"), masked);
    }

    #[test]
    fn frames_come_out_as_they_went_in_however_they_are_cut() {
        let mut bytes = BytesMut::new();
        put_start(&mut bytes);
        put_frame(&mut bytes, b"one");
        put_frame(&mut bytes, &[7; DATA_LEN_MAX]);
        for step in [1, 5, 64, bytes.len()] {
            let mut unframer = Unframer::default();
            for piece in bytes.chunks(step) {
                unframer.push(piece).unwrap();
            }
            assert!(unframer.is_whole());
            assert_eq!(unframer.data.len(), 3 + DATA_LEN_MAX);
            assert_eq!(unframer.data[..4], *b"one\x07");
        }
    }

    #[test]
    fn what_this_server_did_not_write_is_told_from_what_is_damaged() {
        let mut bytes = BytesMut::new();
        put_start(&mut bytes);
        put_frame(&mut bytes, b"one");
        let last = bytes.len() - 1;
        bytes[last] ^= 1;
        let push = |bytes: &[u8]| Unframer::default().push(bytes);
        assert_eq!(push(&bytes), Err(ArchiveError::Damaged));
        assert_eq!(push(b"\x1f\x8b\x08\x00"), Err(ArchiveError::Foreign));
        let mut compressed = bytes.clone();
        compressed[START.len()] = 0;
        assert_eq!(push(&compressed), Err(ArchiveError::Foreign));
        let mut cut = Unframer::default();
        cut.push(&bytes[..last]).unwrap();
        assert!(!cut.is_whole());
    }
}

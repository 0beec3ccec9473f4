//! Entries that are stored compressed: the length of the entry, u32, then LZ4's block format.
//!
//! *Invariant:* what is packed is shorter by more than the work of unpacking it is worth, and unpacks to
//! the same bytes.

use alloc::vec::Vec;

use bytes::{BufMut, Bytes, BytesMut};
use lz4_flex::block::{compress_into, decompress, get_maximum_output_size};

use crate::record::BODY_MAX;

/// How entries that are flushed are stored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Packing {
    /// As they are.
    #[default]
    Plain,
    /// Compressed, each for itself, where that saves an eighth at least.
    Compressed,
}

/// Shorter entries are not worth it.
const ENTRY_MIN: usize = 64;
/// The part of an entry that must be saved.
const SAVED_MIN: usize = 8;
/// The length of the field in front.
const FRONT: usize = 4;

/// Appends an entry, packed, to `out` and returns the length of that; appends nothing if it would not
/// become short enough.
pub(crate) fn pack(entry: &[u8], out: &mut BytesMut) -> Option<usize> {
    if entry.len() < ENTRY_MIN {
        return None;
    }
    let at = out.len();
    out.put_u32_le(u32::try_from(entry.len()).ok()?);
    out.put_bytes(0, get_maximum_output_size(entry.len()));
    let room = out.get_mut(at + FRONT..).unwrap_or_default();
    let packed = compress_into(entry, room).ok().map(|len| FRONT + len);
    let packed = packed.filter(|len| len + entry.len() / SAVED_MIN <= entry.len());
    out.truncate(at + packed.unwrap_or(0));
    packed
}

/// Returns the entry of a packed record's body; none if that is no such body.
pub(crate) fn unpack(body: &[u8]) -> Option<Bytes> {
    let (front, packed) = body.split_first_chunk::<FRONT>()?;
    let len = usize::try_from(u32::from_le_bytes(*front)).ok()?;
    if len > BODY_MAX {
        return None;
    }
    let entry: Vec<u8> = decompress(packed, len).ok()?;
    (entry.len() == len).then(|| entry.into())
}

#[cfg(test)]
mod tests {
    use alloc::format;

    use super::*;

    #[test]
    fn packed_entry_comes_back_as_it_was_and_is_shorter() {
        let text = format!(
            "{{\"customer\":17,\"lines\":[{}]}}",
            "{\"sku\":\"A-1\",\"count\":1},".repeat(20)
        );
        let mut out = BytesMut::from("before");
        let len = pack(text.as_bytes(), &mut out).unwrap();
        assert!(len < text.len() / 4, "{len} of {}", text.len());
        assert_eq!(out.len(), 6 + len);
        assert_eq!(unpack(&out[6..]).unwrap(), text.as_bytes());
    }

    #[test]
    fn entry_that_does_not_become_shorter_is_left_alone() {
        let mut out = BytesMut::from("before");
        let mut state = 1_u32;
        let noise: Vec<u8> = core::iter::repeat_with(|| {
            state = state.wrapping_mul(0x0019_660d).wrapping_add(0x3c6e_f35f);
            state.to_le_bytes()[3]
        })
        .take(500)
        .collect();
        for entry in [&noise[..], b"short", b""] {
            assert_eq!(pack(entry, &mut out), None);
            assert_eq!(out, "before");
        }
    }

    #[test]
    fn what_is_no_packed_entry_unpacks_to_nothing() {
        for body in [
            &b""[..],
            b"\x05\0\0\0",
            b"\xff\xff\xff\xffabc",
            b"\x05\0\0\0\x10a",
        ] {
            assert_eq!(unpack(body), None, "{body:?}");
        }
    }
}

//! Encodings of what a server says, for whoever asks for one by `Accept-Encoding`: gzip, and Snappy's
//! stream format.
//!
//! *Invariant:* what comes out is what a standard decoder of that name reads. Snappy's frames hold their data
//! as it is, which the format allows: those who ask want fewer bytes, but none of them insists.

use alloc::vec::Vec;

use miniz_oxide::deflate::compress_to_vec;

use crate::headers::Headers;

/// The header that asks.
const ACCEPT_ENCODING: &[u8] = b"Accept-Encoding";
/// What every Snappy stream starts with.
const SNAPPY_START: &[u8] = b"\xff\x06\x00\x00sNaPpY";
/// A frame that holds data as it is.
const SNAPPY_PLAIN: u8 = 0x01;
/// Most bytes of one frame's data.
const SNAPPY_DATA_MAX: usize = 64 << 10;
const CHECK_LEN: usize = 4;
/// What every gzip stream starts with: deflate, no name, no time, an unknown system.
const GZIP_START: &[u8] = b"\x1f\x8b\x08\0\0\0\0\0\0\xff";
/// How hard gzip tries.
const GZIP_LEVEL: u8 = 6;
/// The polynomials of the two checksums, with their bits reversed.
const CASTAGNOLI: u32 = 0x82f6_3b78;
const IEEE: u32 = 0xedb8_8320;

/// How a document is encoded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Encoding {
    /// As it is.
    #[default]
    Plain,
    /// Snappy's stream format.
    Snappy,
    /// Gzip.
    Gzip,
}

impl Encoding {
    /// Returns the encoding that headers ask for.
    #[must_use]
    pub fn wanted(headers: &[u8]) -> Self {
        Headers::new(headers)
            .get(ACCEPT_ENCODING)
            .map_or(Self::Plain, Self::named)
    }

    /// Returns the encoding of an `Accept-Encoding`.
    #[must_use]
    pub fn named(accepted: &[u8]) -> Self {
        let accepted = accepted.to_ascii_lowercase();
        let names = |name: &[u8]| accepted.windows(name.len()).any(|part| part == name);
        if names(b"snappy") || names(b"s2") {
            Self::Snappy
        } else if names(b"gzip") {
            Self::Gzip
        } else {
            Self::Plain
        }
    }

    /// Returns the header block that says how a document is encoded; empty if it is plain.
    #[must_use]
    pub fn headers(self) -> &'static [u8] {
        match self {
            Self::Plain => b"",
            Self::Snappy => b"NATS/1.0\r\nContent-Encoding: snappy\r\n\r\n",
            Self::Gzip => b"NATS/1.0\r\nContent-Encoding: gzip\r\n\r\n",
        }
    }

    /// Encodes a document.
    #[must_use]
    pub fn encode(self, document: Vec<u8>) -> Vec<u8> {
        match self {
            Self::Plain => document,
            Self::Snappy => snappy(&document),
            Self::Gzip => gzip(&document),
        }
    }
}

fn snappy(document: &[u8]) -> Vec<u8> {
    let mut out = Vec::from(SNAPPY_START);
    for data in document.chunks(SNAPPY_DATA_MAX) {
        let len = u32::try_from(data.len() + CHECK_LEN).unwrap_or(u32::MAX);
        out.extend_from_slice(&(len << 8 | u32::from(SNAPPY_PLAIN)).to_le_bytes());
        // The format wants the checksum masked.
        let check = crc(data, CASTAGNOLI)
            .rotate_right(15)
            .wrapping_add(0xa282_ead8);
        out.extend_from_slice(&check.to_le_bytes());
        out.extend_from_slice(data);
    }
    out
}

fn gzip(document: &[u8]) -> Vec<u8> {
    let mut out = Vec::from(GZIP_START);
    out.extend_from_slice(&compress_to_vec(document, GZIP_LEVEL));
    out.extend_from_slice(&crc(document, IEEE).to_le_bytes());
    let len = u32::try_from(document.len()).unwrap_or(u32::MAX);
    out.extend_from_slice(&len.to_le_bytes());
    out
}

/// Returns a checksum bit by bit: documents are short, and a table would cost more than it saves.
fn crc(data: &[u8], polynomial: u32) -> u32 {
    let mut crc = u32::MAX;
    for &byte in data {
        crc ^= u32::from(byte);
        for _ in 0..u8::BITS {
            let odd = crc & 1 == 1;
            crc = (crc >> 1) ^ if odd { polynomial } else { 0 };
        }
    }
    !crc
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksums_are_the_published_ones() {
        assert_eq!(crc(b"123456789", IEEE), 0xcbf4_3926);
        assert_eq!(crc(b"123456789", CASTAGNOLI), 0xe306_9283);
    }

    #[test]
    fn the_first_known_encoding_of_a_list_counts() {
        for (accepted, expected) in [
            ("gzip", Encoding::Gzip),
            ("GZIP, S2", Encoding::Snappy),
            ("snappy", Encoding::Snappy),
            ("br", Encoding::Plain),
            ("", Encoding::Plain),
        ] {
            assert_eq!(Encoding::named(accepted.as_bytes()), expected, "{accepted}");
        }
    }

    #[test]
    fn gzip_holds_the_document() {
        let document = b"again and again and again".to_vec();
        let encoded = Encoding::Gzip.encode(document.clone());
        let inside = &encoded[GZIP_START.len()..encoded.len() - 8];
        let decoded = miniz_oxide::inflate::decompress_to_vec(inside).unwrap();
        assert_eq!(decoded, document);
        assert_eq!(encoded[encoded.len() - 4..], 25_u32.to_le_bytes());
    }

    #[test]
    fn a_long_document_takes_several_frames_of_snappy() {
        let encoded = Encoding::Snappy.encode(Vec::from([7; SNAPPY_DATA_MAX + 1]));
        let first = SNAPPY_START.len() + 8 + SNAPPY_DATA_MAX;
        assert_eq!(encoded.len(), first + 8 + 1);
        assert_eq!(encoded[first], SNAPPY_PLAIN);
        assert_eq!(encoded[first + 1], 5);
    }
}

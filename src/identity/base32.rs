//! Base 32 (RFC 4648) without padding, as nkeys are written.

use alloc::string::String;
use alloc::vec::Vec;

const DIGITS: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
const BITS: u32 = 5;

/// Writes bytes.
pub(crate) fn encode(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len().div_ceil(5) * 8);
    let (mut held, mut count) = (0_u32, 0);
    let mut put = |bits: u32| {
        let digit = DIGITS.get(bits as usize & 31).copied().unwrap_or(b'A');
        out.push(char::from(digit));
    };
    for byte in bytes {
        held = held << 8 | u32::from(*byte);
        count += 8;
        while count >= BITS {
            count -= BITS;
            put(held >> count);
        }
    }
    if count > 0 {
        put(held << (BITS - count));
    }
    out
}

/// Reads bytes; none if a character is no digit, or bits are left over that are not zero.
pub(crate) fn decode(text: &str) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len() * 5 / 8);
    let (mut held, mut count) = (0_u32, 0);
    for digit in text.bytes() {
        let value = match digit {
            b'A'..=b'Z' => digit - b'A',
            b'2'..=b'7' => digit - b'2' + 26,
            _ => return None,
        };
        held = held << BITS | u32::from(value);
        count += BITS;
        if count >= 8 {
            count -= 8;
            out.extend(u8::try_from(held >> count & 0xff).ok());
        }
    }
    let rest = held & ((1 << count) - 1);
    (rest == 0 && count < BITS).then_some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_can_be_read_and_nothing_else() {
        for (bytes, text) in [
            (b"".as_slice(), ""),
            (b"f", "MY"),
            (b"fo", "MZXQ"),
            (b"foo", "MZXW6"),
            (b"foob", "MZXW6YQ"),
            (b"fooba", "MZXW6YTB"),
            (b"foobar", "MZXW6YTBOI"),
        ] {
            assert_eq!(encode(bytes), text);
            assert_eq!(decode(text).as_deref(), Some(bytes));
        }
        for text in ["MZ=", "mzxq", "M1", "MZ", "MZXW6A"] {
            assert_eq!(decode(text), None, "{text}");
        }
    }
}

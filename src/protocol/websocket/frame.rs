//! Frame headers and masks.

use bytes::{BufMut, BytesMut};

/// The longest payload of a control frame.
pub(super) const CONTROL_MAX: usize = 125;

const FIN: u8 = 0x80;
const RSV1: u8 = 0x40;
const RSV2_3: u8 = 0x30;
const MASKED: u8 = 0x80;
const LEN_16: u8 = 126;
const LEN_64: u8 = 127;

/// What a frame carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Opcode {
    Continuation,
    Text,
    Binary,
    Close,
    Ping,
    Pong,
}

impl Opcode {
    fn bits(self) -> u8 {
        match self {
            Self::Continuation => 0,
            Self::Text => 1,
            Self::Binary => 2,
            Self::Close => 8,
            Self::Ping => 9,
            Self::Pong => 10,
        }
    }

    /// Returns the opcode that the lower half of a first byte is.
    pub(super) fn from_bits(bits: u8) -> Option<Self> {
        Some(match bits {
            0 => Self::Continuation,
            1 => Self::Text,
            2 => Self::Binary,
            8 => Self::Close,
            9 => Self::Ping,
            10 => Self::Pong,
            _ => return None,
        })
    }

    pub(super) fn is_control(self) -> bool {
        matches!(self, Self::Close | Self::Ping | Self::Pong)
    }
}

/// A header as its bits are; what they may be together is the reader's business.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Head {
    /// The opcode's bits.
    pub(super) opcode: u8,
    pub(super) last: bool,
    pub(super) compressed: bool,
    /// Whether a bit is set that nobody has given a meaning.
    pub(super) reserved: bool,
    pub(super) masked: bool,
    /// The length as the second byte gives it, before it is known in full.
    pub(super) short_len: u8,
}

impl Head {
    /// Reads the two bytes that every frame begins with.
    pub(super) fn parse(first: u8, second: u8) -> Self {
        Self {
            opcode: first & 0x0f,
            last: first & FIN != 0,
            compressed: first & RSV1 != 0,
            reserved: first & RSV2_3 != 0,
            masked: second & MASKED != 0,
            short_len: second & !MASKED,
        }
    }

    /// Returns how many bytes of length follow the first two.
    pub(super) fn extended_len(self) -> usize {
        match self.short_len {
            LEN_16 => 2,
            LEN_64 => 8,
            _ => 0,
        }
    }
}

/// Writes the header of a frame from a server, which are not masked.
pub(super) fn put_head(
    out: &mut BytesMut,
    opcode: Opcode,
    last: bool,
    compressed: bool,
    len: usize,
) {
    let mut first = opcode.bits();
    if last {
        first |= FIN;
    }
    if compressed {
        first |= RSV1;
    }
    out.put_u8(first);
    match (u8::try_from(len), u16::try_from(len)) {
        (Ok(short), _) if usize::from(short) <= CONTROL_MAX => out.put_u8(short),
        (_, Ok(len)) => {
            out.put_u8(LEN_16);
            out.put_u16(len);
        }
        (_, Err(_)) => {
            out.put_u8(LEN_64);
            out.put_u64(len as u64);
        }
    }
}

/// Takes a mask off `bytes`, of which the first is the mask's byte number `at`.
pub(super) fn unmask(bytes: &mut [u8], mask: [u8; 4], at: usize) {
    let mut key = mask;
    key.rotate_left(at % mask.len());
    let wide = u64::from(u32::from_ne_bytes(key));
    let wide = wide | wide << 32;
    // Eight bytes at a time: messages are long.
    let (words, rest) = bytes.as_chunks_mut::<8>();
    for word in words {
        *word = (u64::from_ne_bytes(*word) ^ wide).to_ne_bytes();
    }
    for (byte, key) in rest.iter_mut().zip(key.iter().cycle()) {
        *byte ^= key;
    }
}

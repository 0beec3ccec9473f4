//! Reading and writing the fields of entries and checkpoints.
//!
//! *Invariant:* reading never panics and never copies: fields are slices of the input.

use bytes::{Buf, BufMut, Bytes};
use protocol::id::{ConsumerId, StreamId};
use protocol::time::Wall;

use super::{ConsumerCreate, DecodeError, StreamCreate};

/// Appends `bytes` with their length in front.
pub(crate) fn put_bytes(out: &mut impl BufMut, bytes: &[u8]) {
    out.put_u32_le(u32::try_from(bytes.len()).unwrap_or(u32::MAX));
    out.put_slice(bytes);
}

/// Appends a number in as few bytes as it needs: seven bits per byte, the lowest first.
pub(crate) fn put_varint(out: &mut impl BufMut, mut value: u64) {
    while value >= 0x80 {
        // The low seven bits fit, with the mark that more follow.
        out.put_u8(u8::try_from(value & 0x7f).unwrap_or(0) | 0x80);
        value >>= 7;
    }
    out.put_u8(u8::try_from(value).unwrap_or(0));
}

/// Appends the way from one number to another, which is short when they are close.
pub(crate) fn put_step(out: &mut impl BufMut, from: u64, to: u64) {
    let step = to.wrapping_sub(from);
    // Steps back are short, too: the sign goes to the lowest bit.
    put_varint(out, (step << 1) ^ (step >> 63).wrapping_neg());
}

/// Takes a number that [`put_varint`] wrote off the front of bytes; none if they are cut short.
pub(crate) fn take_varint(from: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..u64::BITS).step_by(7) {
        let (byte, rest) = from.split_first()?;
        *from = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

/// Takes a number off the front of bytes that [`put_step`] wrote as the way from `before`.
pub(crate) fn take_step(from: &mut &[u8], before: u64) -> Option<u64> {
    let coded = take_varint(from)?;
    let step = (coded >> 1) ^ (coded & 1).wrapping_neg();
    Some(before.wrapping_add(step))
}

/// Takes fields off the front of an entry.
pub(crate) struct Reader(Bytes);

impl Reader {
    pub(crate) fn new(entry: Bytes) -> Self {
        Self(entry)
    }

    pub(crate) fn u8(&mut self) -> Result<u8, DecodeError> {
        self.0.try_get_u8().map_err(|_| DecodeError::Length)
    }

    pub(crate) fn u32(&mut self) -> Result<u32, DecodeError> {
        self.0.try_get_u32_le().map_err(|_| DecodeError::Length)
    }

    pub(crate) fn u64(&mut self) -> Result<u64, DecodeError> {
        self.0.try_get_u64_le().map_err(|_| DecodeError::Length)
    }

    pub(crate) fn step(&mut self, before: u64) -> Result<u64, DecodeError> {
        let mut rest = &*self.0;
        let value = take_step(&mut rest, before).ok_or(DecodeError::Length)?;
        let taken = self.0.len() - rest.len();
        self.0.advance(taken);
        Ok(value)
    }

    pub(crate) fn varint(&mut self) -> Result<u64, DecodeError> {
        let mut rest = &*self.0;
        let value = take_varint(&mut rest).ok_or(DecodeError::Length)?;
        let taken = self.0.len() - rest.len();
        self.0.advance(taken);
        Ok(value)
    }

    pub(crate) fn stream(&mut self) -> Result<StreamId, DecodeError> {
        self.u64().map(StreamId)
    }

    pub(crate) fn time(&mut self) -> Result<Wall, DecodeError> {
        self.u64().map(Wall)
    }

    pub(crate) fn take(&mut self, len: usize) -> Result<Bytes, DecodeError> {
        if len > self.0.len() {
            return Err(DecodeError::Length);
        }
        Ok(self.0.split_to(len))
    }

    pub(crate) fn bytes(&mut self) -> Result<Bytes, DecodeError> {
        let len = usize::try_from(self.u32()?).map_err(|_| DecodeError::Length)?;
        self.take(len)
    }

    pub(crate) fn rest(&mut self) -> Bytes {
        core::mem::take(&mut self.0)
    }

    pub(crate) fn stream_create(&mut self) -> Result<StreamCreate, DecodeError> {
        Ok(StreamCreate {
            stream: self.stream()?,
            time: self.time()?,
            account: self.bytes()?,
            config: self.bytes()?,
        })
    }

    pub(crate) fn consumer_create(&mut self) -> Result<ConsumerCreate, DecodeError> {
        Ok(ConsumerCreate {
            stream: self.stream()?,
            consumer: ConsumerId(self.u64()?),
            time: self.time()?,
            name: self.bytes()?,
            config: self.bytes()?,
        })
    }

    pub(crate) fn finish(&self) -> Result<(), DecodeError> {
        if self.0.is_empty() {
            Ok(())
        } else {
            Err(DecodeError::Length)
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::BytesMut;

    use super::*;

    #[test]
    fn steps_survive_in_both_directions() {
        for from in [0, 1, 1 << 40, 1 << 63, u64::MAX] {
            for to in [0, 1, 127, 128, 1 << 35, (1 << 63) + 1, u64::MAX] {
                let mut out = BytesMut::new();
                put_step(&mut out, from, to);
                let mut rest = &*out;
                assert_eq!(take_step(&mut rest, from), Some(to));
                assert!(rest.is_empty());
            }
        }
    }

    #[test]
    fn a_short_step_takes_one_byte() {
        for to in [1_000, 1_063, 937] {
            let mut out = BytesMut::new();
            put_step(&mut out, 1_000, to);
            assert_eq!(out.len(), 1);
        }
    }

    #[test]
    fn a_number_that_never_ends_is_refused() {
        let mut reader = Reader::new(Bytes::from_static(&[0xff; 11]));
        assert_eq!(reader.varint(), Err(DecodeError::Length));
    }
}

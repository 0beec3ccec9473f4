//! Reading and writing the fields of entries and checkpoints.
//!
//! *Invariant:* reading never panics and never copies: fields are slices of the input.

use bytes::{Buf, BufMut, Bytes};
use protocol::id::{ConsumerId, StreamId};
use protocol::time::Wall;

use super::{ConsumerCreate, DecodeError};

/// Appends `bytes` with their length in front.
pub(crate) fn put_bytes(out: &mut impl BufMut, bytes: &[u8]) {
    out.put_u32_le(u32::try_from(bytes.len()).unwrap_or(u32::MAX));
    out.put_slice(bytes);
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

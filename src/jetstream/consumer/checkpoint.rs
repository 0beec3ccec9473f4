//! The consumers of a stream as checkpoints hold them.
//!
//! *Invariant:* only what is logged is written: consumers in memory end with the process.

use alloc::vec::Vec;

use bytes::{BufMut, Bytes};
use protocol::id::ConsumerId;
use protocol::js::config::ConsumerConfig;
use protocol::js::json::{Strictness, decode, to_vec};
use protocol::time::Wall;

use super::state::ConsumerState;
use super::{Consumer, Consumers};
use crate::entry::{DecodeError, RestoreConsumer};
use crate::stream::StreamCore;

impl Consumers {
    /// Appends all consumers to a checkpoint.
    pub fn snapshot(&self, out: &mut Vec<u8>) {
        let logged: Vec<&Consumer> = self.iter().filter(|c| c.logged).collect();
        out.put_u64_le(logged.len() as u64);
        for consumer in logged {
            out.put_u64_le(consumer.id.0);
            out.put_u64_le(consumer.created.0);
            put_sized(out, consumer.name.as_bytes());
            put_sized(out, &to_vec(&consumer.config));
            let mut state = Vec::new();
            consumer.state.snapshot(&mut state);
            put_sized(out, &state);
        }
    }

    /// Shows the consumers that a backup holds, each as it was made, its configuration and its state:
    /// all that would survive a restart, and those of a stream in memory.
    pub(crate) fn each_record(
        &self,
        core: &StreamCore,
        mut each: impl FnMut(Wall, Bytes, Bytes, Bytes),
    ) {
        for consumer in self.iter() {
            if consumer.config.direct || !(consumer.logged || core.is_memory()) {
                continue;
            }
            let mut state = Vec::new();
            consumer.state.snapshot(&mut state);
            let name = Bytes::copy_from_slice(consumer.name.as_bytes());
            each(
                consumer.created,
                name,
                to_vec(&consumer.config).into(),
                state.into(),
            );
        }
    }

    /// Takes in a consumer of a backup; nothing if its parts do not hold.
    pub(crate) fn adopt(&mut self, core: &StreamCore, from: &RestoreConsumer) -> Option<()> {
        let (config, state) = parts_of(from)?;
        let create = &from.create;
        let name = core::str::from_utf8(&create.name).ok()?;
        if self.get(name).is_some() {
            return None;
        }
        let mut consumer = Consumer::new(create.consumer, name, create.time, config, core);
        consumer.state = state;
        self.insert(consumer);
        Some(())
    }

    /// Returns the consumers of a checkpoint, of the stream `core`.
    ///
    /// # Errors
    /// If the bytes are cut short or contradict themselves.
    pub fn restore(core: &StreamCore, from: Bytes) -> Result<Self, DecodeError> {
        let mut consumers = Self::default();
        let mut r = &*from;
        for _ in 0..number(&mut r)? {
            let (id, created) = (ConsumerId(number(&mut r)?), Wall(number(&mut r)?));
            let name = core::str::from_utf8(sized(&mut r)?).map_err(|_| DecodeError::Length)?;
            let config = decode::<ConsumerConfig>(sized(&mut r)?, Strictness::Lax)
                .map_err(|_| DecodeError::Length)?;
            let state = ConsumerState::restore(sized(&mut r)?).ok_or(DecodeError::Length)?;
            let mut consumer = Consumer::new(id, name, created, config, core);
            consumer.state = state;
            consumers.insert(consumer);
        }
        if r.is_empty() {
            Ok(consumers)
        } else {
            Err(DecodeError::Length)
        }
    }
}

/// Returns whether a consumer of a backup can be taken in.
pub(crate) fn is_whole(from: &RestoreConsumer) -> bool {
    parts_of(from).is_some() && core::str::from_utf8(&from.create.name).is_ok()
}

fn parts_of(from: &RestoreConsumer) -> Option<(ConsumerConfig, ConsumerState)> {
    let config = decode(&from.create.config, Strictness::Lax).ok()?;
    Some((config, ConsumerState::restore(&from.state)?))
}

fn put_sized(out: &mut Vec<u8>, bytes: &[u8]) {
    out.put_u64_le(bytes.len() as u64);
    out.put_slice(bytes);
}

fn number(r: &mut &[u8]) -> Result<u64, DecodeError> {
    let (head, rest) = r.split_first_chunk::<8>().ok_or(DecodeError::Length)?;
    *r = rest;
    Ok(u64::from_le_bytes(*head))
}

fn sized<'a>(r: &mut &'a [u8]) -> Result<&'a [u8], DecodeError> {
    let len = usize::try_from(number(r)?).map_err(|_| DecodeError::Length)?;
    let (head, rest) = r.split_at_checked(len).ok_or(DecodeError::Length)?;
    *r = rest;
    Ok(head)
}

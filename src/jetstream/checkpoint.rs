//! The machine's durable state as bytes: everything that the log up to here has made.
//!
//! *Invariant:* restoring a checkpoint and applying the entries after it gives what applying all
//! entries gives. Memory streams are not in it.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;

use bytes::{BufMut, Bytes};
use protocol::id::{LogPos, Seq, StreamId};
use protocol::store::Loc;

use crate::JetStream;
use crate::consumer::Consumers;
use crate::entry::{DecodeError, Reader, put_bytes};
use crate::stream::{Stream, StreamCore};

/// The version written into new checkpoints.
const VERSION: u8 = 3;

/// The last version that knows nothing of schedules.
const VERSION_WITHOUT_SCHEDULES: u8 = 2;

/// A checkpoint cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RestoreError {
    /// A later version wrote it.
    #[error("checkpoint version {0} is not known")]
    Version(u8),
    /// It contradicts itself although its checksum holds.
    #[error("the checkpoint is damaged: {0}")]
    Damaged(#[from] DecodeError),
}

impl JetStream {
    /// Appends everything that recovery needs to `out`.
    pub fn snapshot(&self, out: &mut Vec<u8>) {
        out.put_u8(VERSION);
        out.put_u64_le(self.shared.clock.last().0);
        out.put_u64_le(self.shared.next_stream);
        out.put_u64_le(self.shared.next_consumer);
        let streams = || self.streams.values().filter(|s| !s.core.is_memory());
        out.put_u32_le(u32::try_from(streams().count()).unwrap_or(u32::MAX));
        for stream in streams() {
            let account = self.shared.accounts.get(stream.core.account());
            put_bytes(out, account.map_or(&[], |account| account.name.as_bytes()));
            stream.core.snapshot(out);
            let mut consumers = Vec::new();
            stream.consumers.snapshot(&mut consumers);
            put_bytes(out, &consumers);
        }
    }

    /// Takes over the state of a checkpoint, before any entry is applied.
    ///
    /// # Errors
    /// If the bytes are of another version or contradict themselves.
    pub fn restore(&mut self, checkpoint: &Bytes) -> Result<(), RestoreError> {
        let mut from = Reader::new(checkpoint.clone());
        let version = from.u8()?;
        if !(VERSION_WITHOUT_SCHEDULES..=VERSION).contains(&version) {
            return Err(RestoreError::Version(version));
        }
        self.shared.clock.observe(from.time()?);
        self.shared.next_stream = from.u64()?;
        self.shared.next_consumer = from.u64()?;
        for _ in 0..from.u32()? {
            let name = String::from_utf8_lossy(&from.bytes()?).into_owned();
            let account = self.shared.accounts.by_name(&name);
            let mut core = StreamCore::restore(&mut from, account)?;
            if version > VERSION_WITHOUT_SCHEDULES {
                core.restore_schedules(&mut from)?;
            }
            let consumers = Consumers::restore(&core, from.bytes()?)?;
            if let Some(account) = self.shared.accounts.get_mut(account) {
                account.streams.insert(Box::from(core.name()), core.id());
            }
            self.streams
                .insert(core.id(), Box::new(Stream::new(core, consumers)));
        }
        from.finish()?;
        Ok(())
    }

    /// Appends the messages of each stream that are to be moved to `out`: those whose entries lie in the
    /// log below `below`, so that it can go, and before them those of a segment that is mostly waste,
    /// which empties it.
    pub fn unflushed(&self, below: LogPos, out: &mut Vec<(StreamId, Vec<(Seq, Loc)>)>) {
        for stream in self.streams.values().filter(|s| !s.core.is_memory()) {
            let mut messages = Vec::new();
            stream.core.index.wasteful_segment(&mut messages);
            stream.core.index.unflushed(below, &mut messages);
            if !messages.is_empty() {
                out.push((stream.core.id(), messages));
            }
        }
    }

    /// Notes that messages have moved.
    pub fn relocated(&mut self, stream: StreamId, moved: &[(Seq, Loc)]) {
        if let Some(stream) = self.streams.get_mut(&stream) {
            stream.core.index.relocated(moved);
        }
    }

    /// Notes messages that cannot be read; their stream's info tells.
    pub fn note_lost(&mut self, stream: StreamId, lost: &[Seq]) {
        if let Some(stream) = self.streams.get_mut(&stream) {
            for &seq in lost {
                stream.core.note_lost(seq);
            }
        }
    }

    /// Takes the segments that hold no live message any more: the store can give them up.
    pub fn take_dead_segments(&mut self, out: &mut Vec<(StreamId, u32)>) {
        for (&id, stream) in &mut self.streams {
            let index = &mut stream.core.index;
            index.take_dead_segments(|number| out.push((id, number)));
        }
    }

    /// Returns a hash of the durable state: equal for machines that applied the same entries.
    #[must_use]
    pub fn state_hash(&self) -> u64 {
        let mut out = Vec::new();
        self.snapshot(&mut out);
        crate::dedup::MsgIdHash::of(&out).to_bits()
    }
}

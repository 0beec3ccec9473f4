//! The log entries of JetStream and their codec.
//!
//! *Invariant:* every entry starts with a kind and a version byte, all numbers are little-endian, and
//! decoding slices the input without copying. A published message is stored as its entry: reading a
//! message back is decoding it, see [`Stored`].

mod codec;
mod publish;

use alloc::vec::Vec;

use bytes::{BufMut as _, Bytes, BytesMut};
use protocol::id::{ConsumerId, Seq, StreamId};
use protocol::time::Wall;

pub(crate) use codec::{Reader, put_bytes, put_step, put_varint, take_step, take_varint};
pub use publish::{Fired, Mark, Origin, Publish, Role, SourceKey, Stored, is_publish};

/// The version written into new entries.
const VERSION: u8 = 1;

/// A decoded log entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entry {
    /// A message for a stream.
    Publish(Publish),
    /// A new stream.
    StreamCreate(StreamCreate),
    /// A changed stream.
    StreamUpdate(StreamUpdate),
    /// The end of a stream.
    StreamDelete(StreamId),
    /// The removal of a range of messages.
    Purge(Purge),
    /// The removal of one message.
    MsgDelete(MsgDelete),
    /// Messages stored at or before `cutoff` have outlived the stream's age limit.
    Expire {
        /// The stream.
        stream: StreamId,
        /// The time of the newest message that goes.
        cutoff: Wall,
    },
    /// Messages whose own time to live ended at or before `until` go.
    EndLives {
        /// The stream.
        stream: StreamId,
        /// The end of the last one that goes.
        until: Wall,
    },
    /// A new consumer.
    ConsumerCreate(ConsumerCreate),
    /// A changed consumer; the fields are those of a creation.
    ConsumerUpdate(ConsumerCreate),
    /// The end of a consumer.
    ConsumerDelete {
        /// Its stream.
        stream: StreamId,
        /// The consumer.
        consumer: ConsumerId,
    },
    /// Progress of a consumer, in the consumer module's own encoding.
    ConsumerDelta {
        /// Its stream.
        stream: StreamId,
        /// The consumer.
        consumer: ConsumerId,
        /// What changed.
        delta: Bytes,
    },
    /// A stream that is taken in from a backup: nobody sees it yet.
    RestoreBegin(StreamCreate),
    /// A consumer of it.
    RestoreConsumer(RestoreConsumer),
    /// All of it is there.
    RestoreEnd(RestoreEnd),
    /// A message that a consumer outside of the log has settled leaves a stream that keeps such messages
    /// until they were copied elsewhere.
    Consumed {
        /// The stream.
        stream: StreamId,
        /// The message.
        seq: Seq,
    },
    /// Messages that had left and were kept until they were copied elsewhere go for good.
    Released(Released),
    /// An entry of the Memphis layer, opaque here.
    Memphis(Bytes),
}

/// A consumer that comes from a backup.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RestoreConsumer {
    /// What it is.
    pub create: ConsumerCreate,
    /// How far it is, in the consumer module's own encoding.
    pub state: Bytes,
}

/// The end of a stream's restore.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RestoreEnd {
    /// The stream.
    pub stream: StreamId,
    /// When it was made.
    pub created: Wall,
    /// The last sequence that it gave out.
    pub last: Seq,
    /// And when.
    pub last_time: Wall,
    /// How far each source has come: pairs of numbers.
    pub sources: Bytes,
}

/// A new stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamCreate {
    /// Its id, never used before.
    pub stream: StreamId,
    /// When it was asked for.
    pub time: Wall,
    /// The name of its account.
    pub account: Bytes,
    /// Its configuration as JSON, with all defaults filled in.
    pub config: Bytes,
}

/// A changed stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamUpdate {
    /// The stream.
    pub stream: StreamId,
    /// When the change was asked for.
    pub time: Wall,
    /// The new configuration as JSON, with all defaults filled in.
    pub config: Bytes,
}

/// The removal of a range of messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Purge {
    /// The stream.
    pub stream: StreamId,
    /// Only messages on subjects that match; empty for all.
    pub filter: Bytes,
    /// Only messages below this sequence; zero for no bound.
    pub below: Seq,
    /// How many of the newest messages stay.
    pub keep: u64,
}

impl Purge {
    /// All messages stay: the stream only moves on, so that the next one gets the sequence `below`. No
    /// client can ask for it.
    pub const KEEP_ALL: u64 = u64::MAX;
}

/// The removal of one message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MsgDelete {
    /// The stream.
    pub stream: StreamId,
    /// The message.
    pub seq: Seq,
}

/// Messages that go for good.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Released {
    /// The stream.
    pub stream: StreamId,
    /// The messages: steps from each to the next, see [`Released::new`].
    seqs: Bytes,
}

impl Released {
    /// Returns the entry of these messages, which is small if they follow one another.
    #[must_use]
    pub fn new(stream: StreamId, seqs: &[Seq]) -> Self {
        let mut out = Vec::new();
        let mut before = 0;
        for seq in seqs {
            put_step(&mut out, before, seq.0);
            before = seq.0;
        }
        let seqs = Bytes::from(out);
        Self { stream, seqs }
    }

    /// Returns the messages.
    pub fn seqs(&self) -> impl Iterator<Item = Seq> + '_ {
        let mut rest = &*self.seqs;
        let mut before = 0;
        core::iter::from_fn(move || {
            before = take_step(&mut rest, before)?;
            Some(Seq(before))
        })
    }
}

/// A new or changed consumer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsumerCreate {
    /// Its stream.
    pub stream: StreamId,
    /// Its id, never used before.
    pub consumer: ConsumerId,
    /// When it was asked for.
    pub time: Wall,
    /// Its name.
    pub name: Bytes,
    /// Its configuration, in the consumer module's own encoding.
    pub config: Bytes,
}

/// The bytes are not an entry that this version can read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The entry ends before its fields do, or goes on after them.
    #[error("the entry has a wrong length")]
    Length,
    /// A kind that this version does not know.
    #[error("unknown entry kind {0}")]
    Kind(u8),
    /// The configuration in it is no configuration.
    #[error("the entry holds no valid configuration")]
    Config,
    /// A later version of a known kind.
    #[error("unknown entry version {0}")]
    Version(u8),
}

/// The kinds' numbers in the log. They never change.
mod kind {
    pub(super) const PUBLISH: u8 = 1;
    pub(super) const STREAM_CREATE: u8 = 2;
    pub(super) const STREAM_UPDATE: u8 = 3;
    pub(super) const STREAM_DELETE: u8 = 4;
    pub(super) const PURGE: u8 = 5;
    pub(super) const MSG_DELETE: u8 = 6;
    pub(super) const EXPIRE: u8 = 7;
    pub(super) const CONSUMER_CREATE: u8 = 8;
    pub(super) const CONSUMER_UPDATE: u8 = 9;
    pub(super) const CONSUMER_DELETE: u8 = 10;
    pub(super) const CONSUMER_DELTA: u8 = 11;
    pub(super) const MEMPHIS: u8 = 12;
    pub(super) const END_LIVES: u8 = 13;
    pub(super) const RESTORE_BEGIN: u8 = 14;
    pub(super) const RESTORE_CONSUMER: u8 = 15;
    pub(super) const RESTORE_END: u8 = 16;
    pub(super) const CONSUMED: u8 = 17;
    pub(super) const RELEASED: u8 = 18;
}

impl Entry {
    /// Returns the entry whose bytes are `entry`.
    ///
    /// # Errors
    /// If the bytes are cut short or written by a later version.
    pub fn decode(entry: &Bytes) -> Result<Self, DecodeError> {
        let mut r = Reader::new(entry.clone());
        let (k, version) = (r.u8()?, r.u8()?);
        if k == kind::PUBLISH {
            return Publish::decode(entry).map(Self::Publish);
        }
        if version != VERSION {
            return Err(DecodeError::Version(version));
        }
        let decoded = match k {
            kind::STREAM_CREATE => Self::StreamCreate(r.stream_create()?),
            kind::STREAM_UPDATE => Self::StreamUpdate(StreamUpdate {
                stream: r.stream()?,
                time: r.time()?,
                config: r.bytes()?,
            }),
            kind::STREAM_DELETE => Self::StreamDelete(r.stream()?),
            kind::PURGE => Self::Purge(Purge {
                stream: r.stream()?,
                filter: r.bytes()?,
                below: Seq(r.u64()?),
                keep: r.u64()?,
            }),
            kind::MSG_DELETE => Self::MsgDelete(MsgDelete {
                stream: r.stream()?,
                seq: Seq(r.u64()?),
            }),
            kind::EXPIRE => Self::Expire {
                stream: r.stream()?,
                cutoff: r.time()?,
            },
            kind::END_LIVES => Self::EndLives {
                stream: r.stream()?,
                until: r.time()?,
            },
            kind::CONSUMER_CREATE => Self::ConsumerCreate(r.consumer_create()?),
            kind::CONSUMER_UPDATE => Self::ConsumerUpdate(r.consumer_create()?),
            kind::CONSUMER_DELETE => Self::ConsumerDelete {
                stream: r.stream()?,
                consumer: ConsumerId(r.u64()?),
            },
            kind::CONSUMER_DELTA => Self::ConsumerDelta {
                stream: r.stream()?,
                consumer: ConsumerId(r.u64()?),
                delta: r.rest(),
            },
            kind::RESTORE_BEGIN => Self::RestoreBegin(r.stream_create()?),
            kind::RESTORE_CONSUMER => Self::RestoreConsumer(RestoreConsumer {
                create: r.consumer_create()?,
                state: r.rest(),
            }),
            kind::RESTORE_END => Self::RestoreEnd(RestoreEnd {
                stream: r.stream()?,
                created: r.time()?,
                last: Seq(r.u64()?),
                last_time: r.time()?,
                sources: r.rest(),
            }),
            kind::CONSUMED => Self::Consumed {
                stream: r.stream()?,
                seq: Seq(r.u64()?),
            },
            kind::RELEASED => Self::Released(Released {
                stream: r.stream()?,
                seqs: r.rest(),
            }),
            kind::MEMPHIS => Self::Memphis(r.rest()),
            other => return Err(DecodeError::Kind(other)),
        };
        r.finish()?;
        Ok(decoded)
    }

    /// Appends the entry's bytes to `out`.
    pub fn encode(&self, out: &mut BytesMut) {
        match self {
            Self::Publish(p) => {
                let stream = (p.stream, Mark::default());
                Publish::encode(out, stream, p.time, &p.subject, &p.headers, &p.payload);
            }
            Self::StreamCreate(c) => put_stream(out, kind::STREAM_CREATE, c),
            Self::StreamUpdate(u) => {
                put_head(out, kind::STREAM_UPDATE, u.stream);
                out.put_u64_le(u.time.0);
                put_bytes(out, &u.config);
            }
            Self::StreamDelete(stream) => put_head(out, kind::STREAM_DELETE, *stream),
            Self::Purge(p) => {
                put_head(out, kind::PURGE, p.stream);
                put_bytes(out, &p.filter);
                out.put_u64_le(p.below.0);
                out.put_u64_le(p.keep);
            }
            Self::MsgDelete(d) => {
                put_head(out, kind::MSG_DELETE, d.stream);
                out.put_u64_le(d.seq.0);
            }
            Self::Expire { stream, cutoff } => {
                put_head(out, kind::EXPIRE, *stream);
                out.put_u64_le(cutoff.0);
            }
            Self::EndLives { stream, until } => {
                put_head(out, kind::END_LIVES, *stream);
                out.put_u64_le(until.0);
            }
            Self::ConsumerCreate(c) => put_consumer(out, kind::CONSUMER_CREATE, c),
            Self::ConsumerUpdate(c) => put_consumer(out, kind::CONSUMER_UPDATE, c),
            Self::ConsumerDelete { stream, consumer } => {
                put_head(out, kind::CONSUMER_DELETE, *stream);
                out.put_u64_le(consumer.0);
            }
            Self::ConsumerDelta {
                stream,
                consumer,
                delta,
            } => encode_consumer_delta(out, *stream, *consumer, delta),
            Self::RestoreBegin(c) => put_stream(out, kind::RESTORE_BEGIN, c),
            Self::RestoreConsumer(r) => {
                put_consumer(out, kind::RESTORE_CONSUMER, &r.create);
                out.put_slice(&r.state);
            }
            Self::RestoreEnd(end) => {
                put_head(out, kind::RESTORE_END, end.stream);
                for number in [end.created.0, end.last.0, end.last_time.0] {
                    out.put_u64_le(number);
                }
                out.put_slice(&end.sources);
            }
            Self::Consumed { stream, seq } => {
                put_head(out, kind::CONSUMED, *stream);
                out.put_u64_le(seq.0);
            }
            Self::Released(released) => {
                put_head(out, kind::RELEASED, released.stream);
                out.put_slice(&released.seqs);
            }
            Self::Memphis(bytes) => {
                out.put_u8(kind::MEMPHIS);
                out.put_u8(VERSION);
                out.put_slice(bytes);
            }
        }
    }

    /// Returns the entry's bytes.
    #[must_use]
    pub fn to_bytes(&self) -> Bytes {
        let mut out = BytesMut::new();
        self.encode(&mut out);
        out.freeze()
    }
}

/// Appends a [`Entry::ConsumerDelta`] without building the entry first: one is written per changed
/// consumer and batch.
pub(crate) fn encode_consumer_delta(
    out: &mut BytesMut,
    stream: StreamId,
    consumer: ConsumerId,
    delta: &[u8],
) {
    put_head(out, kind::CONSUMER_DELTA, stream);
    out.put_u64_le(consumer.0);
    out.put_slice(delta);
}

fn put_head(out: &mut BytesMut, kind: u8, stream: StreamId) {
    out.put_u8(kind);
    out.put_u8(VERSION);
    out.put_u64_le(stream.0);
}

fn put_stream(out: &mut BytesMut, kind: u8, c: &StreamCreate) {
    put_head(out, kind, c.stream);
    out.put_u64_le(c.time.0);
    put_bytes(out, &c.account);
    put_bytes(out, &c.config);
}

fn put_consumer(out: &mut BytesMut, kind: u8, c: &ConsumerCreate) {
    put_head(out, kind, c.stream);
    out.put_u64_le(c.consumer.0);
    out.put_u64_le(c.time.0);
    put_bytes(out, &c.name);
    put_bytes(out, &c.config);
}

#[cfg(test)]
mod tests;

//! The log entries of JetStream and their codec.
//!
//! *Invariant:* every entry starts with a kind and a version byte, all numbers are little-endian, and
//! decoding slices the input without copying. A published message is stored as its entry: reading a
//! message back is decoding it, see [`Stored`].

mod codec;

use bytes::{Buf as _, BufMut, Bytes, BytesMut};
use protocol::id::{ConsumerId, Seq, StreamId};
use protocol::time::Wall;

use crate::env::Inbound;

pub(crate) use codec::{Reader, put_bytes, put_step, put_varint};

/// The version written into new entries.
const VERSION: u8 = 1;

/// The version of a published message that is part of an atomic batch.
const VERSION_PART: u8 = 2;

/// The version of the entry of a marker.
const VERSION_MARKER: u8 = 3;

/// The version of a message that was copied from another stream.
const VERSION_COPY: u8 = 4;

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
    /// An entry of the Memphis layer, opaque here.
    Memphis(Bytes),
}

/// A message for a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Publish {
    /// The stream.
    pub stream: StreamId,
    /// When it was accepted; grows strictly from entry to entry.
    pub time: Wall,
    /// The subject.
    pub subject: Bytes,
    /// The header block; empty for none.
    pub headers: Bytes,
    /// The body.
    pub payload: Bytes,
}

/// A stored message as slices of its entry: what the hot paths use, since it costs no reference
/// counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stored<'a> {
    /// The stream.
    pub stream: StreamId,
    /// When it was accepted.
    pub time: Wall,
    /// The subject.
    pub subject: &'a [u8],
    /// The header block; empty for none.
    pub headers: &'a [u8],
    /// The body.
    pub payload: &'a [u8],
    /// For a message of an atomic batch: how many messages of the batch follow it in the log.
    pub following: Option<u32>,
    /// For a marker: the message whose place it takes, if that is still the last on its subject.
    pub replaces: Option<Seq>,
    /// For a message copied from another stream: where it was there.
    pub origin: Option<Origin>,
    /// The entry that all of them are slices of.
    pub entry: &'a Bytes,
}

/// Where a copied message was in the stream that it comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The mirror or source of the configuration that brought it.
    pub source: SourceKey,
    /// Its sequence there.
    pub seq: Seq,
    /// The sequence of the message that was copied before it: a copy behind one that was refused does
    /// not count.
    pub after: Seq,
}

/// Tells the sources of a stream apart, whatever their order in the configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SourceKey(pub u64);

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

/// The removal of one message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MsgDelete {
    /// The stream.
    pub stream: StreamId,
    /// The message.
    pub seq: Seq,
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
}

impl Publish {
    /// The bytes before the subject: kind, version, subject length (2), header length (4), stream
    /// (8), time (8). The body is what remains.
    pub const HEADER_LEN: usize = 24;

    /// The bytes between them and the subject of a message of an atomic batch: how many follow.
    pub const PART_LEN: usize = 4;

    /// The bytes between them and the subject of a copied message: where it was.
    pub const ORIGIN_LEN: usize = 24;

    /// Appends the entry of a message to `out`: one fixed header and three copies.
    pub fn encode(
        out: &mut BytesMut,
        stream: StreamId,
        time: Wall,
        subject: &[u8],
        headers: &[u8],
        payload: &[u8],
    ) {
        debug_assert!(subject.len() <= usize::from(u16::MAX), "checked on entry");
        let mut fixed = [0; Self::HEADER_LEN];
        let subject_len = u16::try_from(subject.len()).unwrap_or(u16::MAX);
        let headers_len = u32::try_from(headers.len()).unwrap_or(u32::MAX);
        {
            let mut rest = fixed.as_mut_slice();
            rest.put_u8(kind::PUBLISH);
            rest.put_u8(VERSION);
            rest.put_u16_le(subject_len);
            rest.put_u32_le(headers_len);
            rest.put_u64_le(stream.0);
            rest.put_u64_le(time.0);
        }
        out.reserve(Self::HEADER_LEN + subject.len() + headers.len() + payload.len());
        out.put_slice(&fixed);
        out.put_slice(subject);
        out.put_slice(headers);
        out.put_slice(payload);
    }

    /// Appends the entry of a message of an atomic batch to `out`. The entries of a batch lie one
    /// behind the other in the log, and none of them counts before the last one is there.
    pub fn encode_part(
        out: &mut BytesMut,
        stream: StreamId,
        time: Wall,
        following: u32,
        msg: &Inbound<'_>,
    ) {
        put_message(
            out,
            VERSION_PART,
            stream,
            time,
            &following.to_le_bytes(),
            msg,
        );
    }

    /// Appends the entry of a message that is copied from another stream to `out`.
    pub fn encode_copy(
        out: &mut BytesMut,
        stream: StreamId,
        time: Wall,
        origin: Origin,
        msg: &Inbound<'_>,
    ) {
        let mut extra = [0; Self::ORIGIN_LEN];
        let mut rest = extra.as_mut_slice();
        rest.put_u64_le(origin.source.0);
        rest.put_u64_le(origin.seq.0);
        rest.put_u64_le(origin.after.0);
        put_message(out, VERSION_COPY, stream, time, &extra, msg);
    }

    /// Appends the entry of a marker to `out`: a message without a body that takes the place of
    /// `replaces`.
    pub fn encode_marker(
        out: &mut BytesMut,
        stream: StreamId,
        time: Wall,
        replaces: Seq,
        subject: &[u8],
        headers: &[u8],
    ) {
        out.put_u8(kind::PUBLISH);
        out.put_u8(VERSION_MARKER);
        out.put_u16_le(u16::try_from(subject.len()).unwrap_or(u16::MAX));
        out.put_u32_le(u32::try_from(headers.len()).unwrap_or(u32::MAX));
        out.put_u64_le(stream.0);
        out.put_u64_le(time.0);
        out.put_u64_le(replaces.0);
        out.put_slice(subject);
        out.put_slice(headers);
    }

    /// Returns the message whose entry is `entry`.
    ///
    /// # Errors
    /// If the bytes are another entry, of another version, or cut short.
    pub fn decode(entry: &Bytes) -> Result<Self, DecodeError> {
        let stored = Stored::of(entry)?;
        Ok(Self {
            stream: stored.stream,
            time: stored.time,
            subject: entry.slice_ref(stored.subject),
            headers: entry.slice_ref(stored.headers),
            payload: entry.slice_ref(stored.payload),
        })
    }
}

/// Appends a message with more fields than a plain one has.
fn put_message(
    out: &mut BytesMut,
    version: u8,
    stream: StreamId,
    time: Wall,
    extra: &[u8],
    msg: &Inbound<'_>,
) {
    let body = msg.subject.len() + msg.headers.len() + msg.payload.len();
    out.reserve(Publish::HEADER_LEN + extra.len() + body);
    out.put_u8(kind::PUBLISH);
    out.put_u8(version);
    out.put_u16_le(u16::try_from(msg.subject.len()).unwrap_or(u16::MAX));
    out.put_u32_le(u32::try_from(msg.headers.len()).unwrap_or(u32::MAX));
    out.put_u64_le(stream.0);
    out.put_u64_le(time.0);
    out.put_slice(extra);
    out.put_slice(msg.subject);
    out.put_slice(msg.headers);
    out.put_slice(msg.payload);
}

/// Returns whether an entry is a published message, without decoding it.
#[must_use]
pub fn is_publish(entry: &[u8]) -> bool {
    entry.first() == Some(&kind::PUBLISH)
}

impl<'a> Stored<'a> {
    /// Returns the message whose entry is `entry`.
    ///
    /// # Errors
    /// If the bytes are another entry, of another version, or cut short.
    pub fn of(entry: &'a Bytes) -> Result<Self, DecodeError> {
        let Some((fixed, body)) = entry.split_first_chunk::<{ Publish::HEADER_LEN }>() else {
            return Err(DecodeError::Length);
        };
        let mut fixed = fixed.as_slice();
        let (k, version) = (fixed.get_u8(), fixed.get_u8());
        if k != kind::PUBLISH {
            return Err(DecodeError::Kind(k));
        }
        let (mut replaces, mut origin) = (None, None);
        let (following, body) = match version {
            VERSION => (None, body),
            VERSION_MARKER => {
                let (seq, body) = body.split_first_chunk().ok_or(DecodeError::Length)?;
                replaces = Some(Seq(u64::from_le_bytes(*seq)));
                (None, body)
            }
            VERSION_PART => {
                let (part, body) = body.split_first_chunk().ok_or(DecodeError::Length)?;
                (Some(u32::from_le_bytes(*part)), body)
            }
            VERSION_COPY => {
                let cut = body.split_first_chunk::<{ Publish::ORIGIN_LEN }>();
                let (fields, body) = cut.ok_or(DecodeError::Length)?;
                let mut fields = fields.as_slice();
                origin = Some(Origin {
                    source: SourceKey(fields.get_u64_le()),
                    seq: Seq(fields.get_u64_le()),
                    after: Seq(fields.get_u64_le()),
                });
                (None, body)
            }
            other => return Err(DecodeError::Version(other)),
        };
        let subject_len = usize::from(fixed.get_u16_le());
        let headers_len = usize::try_from(fixed.get_u32_le()).map_err(|_| DecodeError::Length)?;
        let (stream, time) = (StreamId(fixed.get_u64_le()), Wall(fixed.get_u64_le()));
        let (subject, body) = body
            .split_at_checked(subject_len)
            .ok_or(DecodeError::Length)?;
        let (headers, payload) = body
            .split_at_checked(headers_len)
            .ok_or(DecodeError::Length)?;
        Ok(Self {
            stream,
            time,
            subject,
            headers,
            payload,
            following,
            replaces,
            origin,
            entry,
        })
    }
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
            kind::STREAM_CREATE => Self::StreamCreate(StreamCreate {
                stream: r.stream()?,
                time: r.time()?,
                account: r.bytes()?,
                config: r.bytes()?,
            }),
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
                Publish::encode(out, p.stream, p.time, &p.subject, &p.headers, &p.payload);
            }
            Self::StreamCreate(c) => {
                put_head(out, kind::STREAM_CREATE, c.stream);
                out.put_u64_le(c.time.0);
                put_bytes(out, &c.account);
                put_bytes(out, &c.config);
            }
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
pub fn encode_consumer_delta(
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

fn put_consumer(out: &mut BytesMut, kind: u8, c: &ConsumerCreate) {
    put_head(out, kind, c.stream);
    out.put_u64_le(c.consumer.0);
    out.put_u64_le(c.time.0);
    put_bytes(out, &c.name);
    put_bytes(out, &c.config);
}

#[cfg(test)]
mod tests;

//! The entry of a published message, which is also how the message is stored.
//!
//! *Invariant:* the fixed fields come first, so that reading a message back slices it and copies
//! nothing. What a message is beside a plain one stands between them and the subject, by version.

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use protocol::id::{Seq, StreamId};
use protocol::time::Wall;

use super::{DecodeError, VERSION, kind};
use crate::env::Inbound;

/// The version of a published message that is part of an atomic batch.
const VERSION_PART: u8 = 2;

/// The version of the entry of a marker.
const VERSION_MARKER: u8 = 3;

/// The version of a message that was copied from another stream.
const VERSION_COPY: u8 = 4;

/// The version of a message that a schedule brought.
const VERSION_FIRED: u8 = 5;

/// The version of a message that comes from a backup.
const VERSION_RESTORED: u8 = 6;
/// Marks in a version that the entry says how far its stream was when it was proposed.
const MARKED: u8 = 0x80;

/// How far a stream was when an entry was proposed for it. What a message's sequence is follows from the
/// entries before it; where some of them are missing, it follows from this.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mark {
    /// The last sequence that the stream had given out.
    pub last: Seq,
    /// How many messages were proposed for the stream before this one and not applied yet.
    pub ahead: u32,
}

impl Mark {
    /// How many bytes it takes in an entry.
    const LEN: usize = 12;

    fn to_bytes(self) -> [u8; Self::LEN] {
        let mut bytes = [0; Self::LEN];
        let mut rest = bytes.as_mut_slice();
        rest.put_u64_le(self.last.0);
        rest.put_u32_le(self.ahead);
        bytes
    }

    /// Returns a sequence that the message cannot have exceeded.
    #[must_use]
    pub(crate) fn seq_max(self) -> Seq {
        Seq(self.last.0.saturating_add(u64::from(self.ahead) + 1))
    }
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
    /// How it came to the stream.
    pub role: Role,
    /// How far the stream was; earlier versions did not write it.
    pub mark: Option<Mark>,
    /// The entry that all of them are slices of.
    pub entry: &'a Bytes,
}

/// How a message came to its stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// A client published it.
    Plain,
    /// It is part of an atomic batch.
    Part {
        /// How many messages of the batch follow it in the log.
        following: u32,
    },
    /// It marks the end of its subject.
    Marker {
        /// The message whose place it takes, if that is still the last on its subject.
        replaces: Seq,
    },
    /// It was copied from another stream.
    Copy(Origin),
    /// A schedule brought it.
    Fired(Fired),
    /// It comes from a backup, under this number.
    Restored(Seq),
}

/// Which schedule a message comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fired {
    /// The message that is the schedule.
    pub schedule: Seq,
    /// When it was due: it fires once for each of its times.
    pub due: Wall,
    /// When it is due again; zero for never.
    pub next: Wall,
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

impl Origin {
    /// What the first copy of a source comes after that begins anew.
    pub const ANEW: Seq = Seq(u64::MAX);
}

/// Tells the sources of a stream apart, whatever their order in the configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SourceKey(pub u64);

impl Publish {
    /// The bytes before the subject: kind, version, subject length (2), header length (4), stream
    /// (8), time (8), and the mark (12). The body is what remains.
    pub const HEADER_LEN: usize = Self::FIXED_LEN + Mark::LEN;

    /// Those of them that earlier versions wrote, too.
    const FIXED_LEN: usize = 24;

    /// The bytes between them and the subject of a message of an atomic batch: how many follow.
    pub const PART_LEN: usize = 4;

    /// The bytes between them and the subject of a copied message: where it was.
    pub const ORIGIN_LEN: usize = 24;

    /// The bytes between them and the subject of a message that a schedule brought.
    pub const FIRED_LEN: usize = 24;

    /// Returns the stream and the subject of a message's entry, if it is a plain one.
    #[inline]
    #[must_use]
    pub fn glance(entry: &[u8]) -> Option<(StreamId, &[u8])> {
        let (fixed, rest) = entry.split_first_chunk::<{ Self::HEADER_LEN }>()?;
        let mut fixed = fixed.as_slice();
        if fixed.get_u8() != kind::PUBLISH || fixed.get_u8() != VERSION | MARKED {
            return None;
        }
        let subject_len = usize::from(fixed.get_u16_le());
        let _headers_len = fixed.get_u32_le();
        let stream = StreamId(fixed.get_u64_le());
        Some((stream, rest.get(..subject_len)?))
    }

    /// Appends the entry of a message to `out`: one fixed header and three copies.
    pub fn encode(
        out: &mut BytesMut,
        (stream, mark): (StreamId, Mark),
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
            rest.put_u8(VERSION | MARKED);
            rest.put_u16_le(subject_len);
            rest.put_u32_le(headers_len);
            rest.put_u64_le(stream.0);
            rest.put_u64_le(time.0);
            rest.put_slice(&mark.to_bytes());
        }
        out.reserve(Self::HEADER_LEN + subject.len() + headers.len() + payload.len());
        out.put_slice(&fixed);
        out.put_slice(subject);
        out.put_slice(headers);
        out.put_slice(payload);
    }

    /// Appends the entry of a message of an atomic batch to `out`. The entries of a batch lie one
    /// behind the other in the log, and none of them counts before the last one is there.
    pub(crate) fn encode_part(
        out: &mut BytesMut,
        stream: (StreamId, Mark),
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
    pub(crate) fn encode_copy(
        out: &mut BytesMut,
        stream: (StreamId, Mark),
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

    /// Appends the entry of a message that a schedule brought to `out`.
    pub(crate) fn encode_fired(
        out: &mut BytesMut,
        stream: (StreamId, Mark),
        time: Wall,
        fired: Fired,
        msg: &Inbound<'_>,
    ) {
        let mut extra = [0; Self::FIRED_LEN];
        let mut rest = extra.as_mut_slice();
        rest.put_u64_le(fired.schedule.0);
        rest.put_u64_le(fired.due.0);
        rest.put_u64_le(fired.next.0);
        put_message(out, VERSION_FIRED, stream, time, &extra, msg);
    }

    /// Appends the entry of a message that comes from a backup to `out`.
    pub(crate) fn encode_restored(
        out: &mut BytesMut,
        stream: StreamId,
        time: Wall,
        seq: Seq,
        msg: &Inbound<'_>,
    ) {
        let extra = seq.0.to_le_bytes();
        let stream = (stream, Mark::default());
        put_message(out, VERSION_RESTORED, stream, time, &extra, msg);
    }

    /// Appends the entry of a marker to `out`: a message without a body that takes the place of
    /// `replaces`.
    pub(crate) fn encode_marker(
        out: &mut BytesMut,
        stream: (StreamId, Mark),
        time: Wall,
        replaces: Seq,
        subject: &[u8],
        headers: &[u8],
    ) {
        let msg = Inbound {
            subject,
            headers,
            ..Inbound::default()
        };
        let replaces = replaces.0.to_le_bytes();
        put_message(out, VERSION_MARKER, stream, time, &replaces, &msg);
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
    (stream, mark): (StreamId, Mark),
    time: Wall,
    extra: &[u8],
    msg: &Inbound<'_>,
) {
    let body = msg.subject.len() + msg.headers.len() + msg.payload.len();
    out.reserve(Publish::HEADER_LEN + extra.len() + body);
    out.put_u8(kind::PUBLISH);
    out.put_u8(version | MARKED);
    out.put_u16_le(u16::try_from(msg.subject.len()).unwrap_or(u16::MAX));
    out.put_u32_le(u32::try_from(msg.headers.len()).unwrap_or(u32::MAX));
    out.put_u64_le(stream.0);
    out.put_u64_le(time.0);
    out.put_slice(&mark.to_bytes());
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
        let Some((fixed, body)) = entry.split_first_chunk::<{ Publish::FIXED_LEN }>() else {
            return Err(DecodeError::Length);
        };
        let mut fixed = fixed.as_slice();
        let (k, version) = (fixed.get_u8(), fixed.get_u8());
        if k != kind::PUBLISH {
            return Err(DecodeError::Kind(k));
        }
        let (mark, body) = if version & MARKED == 0 {
            (None, body)
        } else {
            let (fields, body) = take::<{ Mark::LEN }>(body)?;
            let mut fields = fields.as_slice();
            let (last, ahead) = (Seq(fields.get_u64_le()), fields.get_u32_le());
            (Some(Mark { last, ahead }), body)
        };
        let (role, body) = Role::split(version & !MARKED, body)?;
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
            role,
            mark,
            entry,
        })
    }

    /// For a message of an atomic batch: how many messages of the batch follow it in the log.
    #[must_use]
    pub fn following(&self) -> Option<u32> {
        match self.role {
            Role::Part { following } => Some(following),
            Role::Plain
            | Role::Marker { .. }
            | Role::Copy(_)
            | Role::Fired(_)
            | Role::Restored(_) => None,
        }
    }
}

impl Role {
    /// Takes what the version puts before the subject.
    fn split(version: u8, body: &[u8]) -> Result<(Self, &[u8]), DecodeError> {
        Ok(match version {
            VERSION => (Self::Plain, body),
            VERSION_PART => {
                let (part, body) = take(body)?;
                let following = u32::from_le_bytes(*part);
                (Self::Part { following }, body)
            }
            VERSION_MARKER => {
                let (seq, body) = take(body)?;
                let replaces = Seq(u64::from_le_bytes(*seq));
                (Self::Marker { replaces }, body)
            }
            VERSION_COPY => {
                let (fields, body) = take::<{ Publish::ORIGIN_LEN }>(body)?;
                let mut fields = fields.as_slice();
                let origin = Origin {
                    source: SourceKey(fields.get_u64_le()),
                    seq: Seq(fields.get_u64_le()),
                    after: Seq(fields.get_u64_le()),
                };
                (Self::Copy(origin), body)
            }
            VERSION_FIRED => {
                let (fields, body) = take::<{ Publish::FIRED_LEN }>(body)?;
                let mut fields = fields.as_slice();
                let fired = Fired {
                    schedule: Seq(fields.get_u64_le()),
                    due: Wall(fields.get_u64_le()),
                    next: Wall(fields.get_u64_le()),
                };
                (Self::Fired(fired), body)
            }
            VERSION_RESTORED => {
                let (seq, body) = take(body)?;
                (Self::Restored(Seq(u64::from_le_bytes(*seq))), body)
            }
            other => return Err(DecodeError::Version(other)),
        })
    }
}

fn take<const LEN: usize>(body: &[u8]) -> Result<(&[u8; LEN], &[u8]), DecodeError> {
    body.split_first_chunk().ok_or(DecodeError::Length)
}

//! What a backup holds inside of its frames: a mark, what the stream is, its messages in order, how far
//! its sources are, its consumers, and what all of it adds up to.
//!
//! *Invariant:* records carry no ids of this server: a backup can be taken in by any other.

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use protocol::id::Seq;
use protocol::time::Wall;

use super::ArchiveError;
use crate::entry::{Reader, SourceKey, put_bytes};

/// What the data starts with: who wrote it, and in which version.
const MARK: &[u8] = b"BEALE\x01";
/// The record's kind and length.
const HEAD_LEN: usize = 5;
/// Longest record: more than any message.
const LEN_MAX: usize = 128 << 20;

/// One record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Record {
    /// What the stream is.
    Stream { created: Wall, name: Bytes },
    /// A message.
    Message {
        seq: Seq,
        time: Wall,
        subject: Bytes,
        headers: Bytes,
        payload: Bytes,
    },
    /// How far a source has come.
    Source { key: SourceKey, seq: Seq },
    /// A consumer and its state, in the consumer module's own encoding.
    Consumer {
        created: Wall,
        name: Bytes,
        config: Bytes,
        state: Bytes,
    },
    /// The end, and what came before it.
    End {
        last: Seq,
        last_time: Wall,
        messages: u64,
        consumers: u64,
    },
}

mod kind {
    pub(super) const STREAM: u8 = 1;
    pub(super) const MESSAGE: u8 = 2;
    pub(super) const SOURCE: u8 = 3;
    pub(super) const CONSUMER: u8 = 4;
    pub(super) const END: u8 = 5;
}

/// Appends what comes before the first record.
pub(super) fn put_mark(out: &mut BytesMut) {
    out.put_slice(MARK);
}

/// Appends a message without making a record of it first.
pub(super) fn put_message(out: &mut BytesMut, seq: Seq, msg: &crate::entry::Stored<'_>) {
    put(out, kind::MESSAGE, |out| {
        out.put_u64_le(seq.0);
        out.put_u64_le(msg.time.0);
        put_bytes(out, msg.subject);
        put_bytes(out, msg.headers);
        out.put_slice(msg.payload);
    });
}

impl Record {
    /// Appends the record.
    pub(super) fn encode(&self, out: &mut BytesMut) {
        match self {
            Self::Stream { created, name } => put(out, kind::STREAM, |out| {
                out.put_u64_le(created.0);
                out.put_slice(name);
            }),
            Self::Message {
                seq,
                time,
                subject,
                headers,
                payload,
            } => put(out, kind::MESSAGE, |out| {
                out.put_u64_le(seq.0);
                out.put_u64_le(time.0);
                put_bytes(out, subject);
                put_bytes(out, headers);
                out.put_slice(payload);
            }),
            Self::Source { key, seq } => put(out, kind::SOURCE, |out| {
                out.put_u64_le(key.0);
                out.put_u64_le(seq.0);
            }),
            Self::Consumer {
                created,
                name,
                config,
                state,
            } => put(out, kind::CONSUMER, |out| {
                out.put_u64_le(created.0);
                put_bytes(out, name);
                put_bytes(out, config);
                out.put_slice(state);
            }),
            Self::End {
                last,
                last_time,
                messages,
                consumers,
            } => put(out, kind::END, |out| {
                out.put_u64_le(last.0);
                out.put_u64_le(last_time.0);
                out.put_u64_le(*messages);
                out.put_u64_le(*consumers);
            }),
        }
    }

    fn decode(kind: u8, body: Bytes) -> Result<Self, ArchiveError> {
        let mut r = Reader::new(body);
        let record = match kind {
            kind::STREAM => Self::Stream {
                created: r.time()?,
                name: r.rest(),
            },
            kind::MESSAGE => Self::Message {
                seq: Seq(r.u64()?),
                time: r.time()?,
                subject: r.bytes()?,
                headers: r.bytes()?,
                payload: r.rest(),
            },
            kind::SOURCE => Self::Source {
                key: SourceKey(r.u64()?),
                seq: Seq(r.u64()?),
            },
            kind::CONSUMER => Self::Consumer {
                created: r.time()?,
                name: r.bytes()?,
                config: r.bytes()?,
                state: r.rest(),
            },
            kind::END => Self::End {
                last: Seq(r.u64()?),
                last_time: r.time()?,
                messages: r.u64()?,
                consumers: r.u64()?,
            },
            _ => return Err(ArchiveError::Version),
        };
        r.finish()?;
        Ok(record)
    }
}

/// Takes the mark off the front of `data`; false if more has to come first.
pub(super) fn take_mark(data: &mut BytesMut) -> Result<bool, ArchiveError> {
    let (name, _) = MARK.split_at(MARK.len() - 1);
    let known = data.len().min(name.len());
    if data.get(..known) != name.get(..known) {
        return Err(ArchiveError::Foreign);
    }
    if data.len() < MARK.len() {
        return Ok(false);
    }
    if !data.starts_with(MARK) {
        return Err(ArchiveError::Version);
    }
    data.advance(MARK.len());
    Ok(true)
}

/// Takes a record off the front of `data`, if all of it is there.
pub(super) fn take(data: &mut BytesMut) -> Result<Option<Record>, ArchiveError> {
    let Some(&[kind, a, b, c, d]) = data.first_chunk::<HEAD_LEN>() else {
        return Ok(None);
    };
    let len = usize::try_from(u32::from_le_bytes([a, b, c, d])).unwrap_or(usize::MAX);
    if len > LEN_MAX {
        return Err(ArchiveError::Damaged);
    }
    if data.len() - HEAD_LEN < len {
        return Ok(None);
    }
    data.advance(HEAD_LEN);
    Record::decode(kind, data.split_to(len).freeze()).map(Some)
}

fn put(out: &mut BytesMut, kind: u8, body: impl FnOnce(&mut BytesMut)) {
    out.put_u8(kind);
    let at = out.len();
    out.put_u32_le(0);
    body(out);
    let len = u32::try_from(out.len() - at - size_of::<u32>()).unwrap_or(u32::MAX);
    if let Some(place) = out.get_mut(at..at + size_of::<u32>()) {
        place.copy_from_slice(&len.to_le_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_come_out_as_they_went_in() {
        let text = |text: &'static str| Bytes::from_static(text.as_bytes());
        let records = [
            Record::Stream {
                created: Wall(1),
                name: text("S"),
            },
            Record::Message {
                seq: Seq(7),
                time: Wall(8),
                subject: text("a.b"),
                headers: text("NATS/1.0\r\n\r\n"),
                payload: text("hello"),
            },
            Record::Source {
                key: SourceKey(5),
                seq: Seq(6),
            },
            Record::Consumer {
                created: Wall(2),
                name: text("C"),
                config: text("{}"),
                state: text("state"),
            },
            Record::End {
                last: Seq(9),
                last_time: Wall(10),
                messages: 1,
                consumers: 1,
            },
        ];
        let mut data = BytesMut::new();
        put_mark(&mut data);
        records.iter().for_each(|record| record.encode(&mut data));

        assert_eq!(take_mark(&mut data), Ok(true));
        for record in records {
            assert_eq!(take(&mut data), Ok(Some(record)));
        }
        assert_eq!(take(&mut data), Ok(None));
    }

    #[test]
    fn what_is_not_marked_is_foreign_and_a_later_version_is_named() {
        let mark = |text: &[u8]| take_mark(&mut BytesMut::from(text));
        assert_eq!(mark(b"BEA"), Ok(false));
        assert_eq!(mark(b"BEALE"), Ok(false));
        assert_eq!(mark(b"NATSARC1"), Err(ArchiveError::Foreign));
        assert_eq!(mark(b"N"), Err(ArchiveError::Foreign));
        assert_eq!(mark(b"BEALE\x02"), Err(ArchiveError::Version));
    }
}

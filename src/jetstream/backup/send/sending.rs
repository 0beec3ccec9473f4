//! A stream on its way out: its messages as records, those as frames, and the chunk that is being filled.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;

use bytes::{Bytes, BytesMut};
use protocol::id::{AccountId, Seq};
use protocol::js::request::SnapshotRequest;
use protocol::store::{ReadError, ReadId};
use protocol::subject;
use protocol::time::{Instant, Wall};

use super::super::frame::{DATA_LEN_MAX, put_frame, put_start};
use super::super::record::{Record, put_mark, put_message};
use super::super::{BackupId, Party};
use crate::entry::Stored;
use crate::env::{Env, Outgoing};
use crate::index::Filter;
use crate::shared::Reader;
use crate::stream::{MsgRead, Stream};

/// Bytes of a chunk, unless the client asks for another size.
const CHUNK_LEN: i64 = 128 << 10;

/// What a client may ask for.
const CHUNK_LEN_MIN: i64 = 1 << 10;
const CHUNK_LEN_MAX: i64 = 1 << 20;

/// Bytes of chunks under way, unless the client asks for other ones.
const WINDOW_LEN: i64 = 8 << 20;

const WINDOW_LEN_MAX: i64 = 32 << 20;

/// A stream on its way out.
#[derive(Debug)]
pub(in crate::backup) struct Sending {
    pub(super) party: Party,
    pub(super) to: Box<[u8]>,
    pub(super) chunk_len: usize,
    /// Chunks that may be unconfirmed.
    pub(super) window: usize,
    pub(super) unconfirmed: usize,
    /// The number of the next chunk.
    pub(super) chunk: u64,
    /// The next message, and the last one that belongs to the backup.
    next: Seq,
    last: Seq,
    messages: u64,
    loading: Loading,
    /// Records that are not yet framed.
    records: BytesMut,
    /// Frames that are not yet sent.
    pub(super) frames: BytesMut,
    /// The records that come behind the messages; nothing once they are among the others.
    tail: Option<Tail>,
    pub(super) stage: Stage,
}

/// Where a backup is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// Waiting for somebody to subscribe, until then.
    Waiting(Instant),
    /// Sending.
    Running,
}

/// The bytes of the next message.
#[derive(Debug)]
enum Loading {
    Idle,
    Asked(ReadId),
    Done(Result<Bytes, ReadError>),
}

#[derive(Debug)]
struct Tail {
    records: BytesMut,
    last_time: Wall,
    consumers: u64,
}

/// What filling a chunk came to.
pub(super) enum Filled {
    /// There is a whole chunk.
    Chunk,
    /// There is less, and no more comes.
    End,
    /// The disk has been asked.
    Later,
    /// The disk could not answer now.
    Again,
    /// It can not be had.
    Failed(String),
}

impl Sending {
    /// Begins to write a stream out, which waits for its receiver until `until`.
    pub(super) fn begin(
        stream: &Stream,
        party: Party,
        body: &SnapshotRequest,
        until: Instant,
    ) -> Self {
        let core = &stream.core;
        let or = |wanted: i64, default: i64| if wanted == 0 { default } else { wanted };
        let chunk_len = or(body.chunk_size, CHUNK_LEN).clamp(CHUNK_LEN_MIN, CHUNK_LEN_MAX);
        let window_len = or(body.window_size, WINDOW_LEN).clamp(CHUNK_LEN_MIN, WINDOW_LEN_MAX);
        let window = window_len.max(chunk_len) / chunk_len;
        let mut frames = BytesMut::new();
        put_start(&mut frames);
        let mut records = BytesMut::new();
        put_mark(&mut records);
        let head = Record::Stream {
            created: core.created(),
            name: Bytes::copy_from_slice(core.name().as_bytes()),
        };
        head.encode(&mut records);
        let mut tail = Tail {
            records: BytesMut::new(),
            last_time: core.index.last_time(),
            consumers: 0,
        };
        for (key, seq) in core.copied_all() {
            Record::Source { key, seq }.encode(&mut tail.records);
        }
        if !body.no_consumers {
            stream
                .consumers
                .each_record(core, |created, name, config, state| {
                    let record = Record::Consumer {
                        created,
                        name,
                        config,
                        state,
                    };
                    record.encode(&mut tail.records);
                    tail.consumers += 1;
                });
        }
        Self {
            party,
            to: body.deliver_subject.as_bytes().into(),
            // Both fit: they have just been bounded.
            chunk_len: usize::try_from(chunk_len).unwrap_or(DATA_LEN_MAX),
            window: usize::try_from(window).unwrap_or(1),
            unconfirmed: 0,
            chunk: 1,
            next: core.index.first_seq(),
            last: core.index.last_seq(),
            messages: 0,
            loading: Loading::Idle,
            records,
            frames,
            tail: Some(tail),
            stage: Stage::Waiting(until),
        }
    }

    pub(in crate::backup) fn is_concerned(&self, account: AccountId, pattern: &[u8]) -> bool {
        self.party.account == account && subject::matches(pattern, &self.to)
    }

    pub(in crate::backup) fn on_read(&mut self, read: ReadId, result: Result<Bytes, ReadError>) {
        if matches!(self.loading, Loading::Asked(asked) if asked == read) {
            self.loading = Loading::Done(result);
        }
    }

    /// Fills up to a chunk.
    pub(super) fn fill(
        &mut self,
        id: BackupId,
        stream: &Stream,
        reads: &mut BTreeMap<ReadId, Reader>,
        env: &mut impl Env,
    ) -> Filled {
        while self.frames.len() < self.chunk_len {
            while self.records.len() >= DATA_LEN_MAX {
                let data = self.records.split_to(DATA_LEN_MAX);
                put_frame(&mut self.frames, &data);
            }
            if self.frames.len() >= self.chunk_len {
                break;
            }
            let core = &stream.core;
            let next = core.index.next(&Filter::All, self.next);
            let Some(seq) = next.filter(|seq| *seq <= self.last) else {
                let Some(tail) = self.tail.take() else {
                    let data = core::mem::take(&mut self.records);
                    if data.is_empty() {
                        return Filled::End;
                    }
                    put_frame(&mut self.frames, &data);
                    continue;
                };
                self.put_tail(&tail);
                continue;
            };
            let entry = match core::mem::replace(&mut self.loading, Loading::Idle) {
                Loading::Asked(read) => {
                    self.loading = Loading::Asked(read);
                    return Filled::Later;
                }
                Loading::Done(result) => result,
                Loading::Idle => match core.read(seq, env) {
                    MsgRead::Hit(entry) => Ok(entry),
                    MsgRead::Pending(read) => {
                        self.loading = Loading::Asked(read);
                        reads.insert(read, Reader::Backup(id, read));
                        return Filled::Later;
                    }
                    MsgRead::Gone => {
                        self.next = seq.next();
                        continue;
                    }
                    MsgRead::Failed(error) => Err(error),
                },
            };
            let entry = match entry {
                Ok(entry) => entry,
                Err(error) if error.may_pass() => return Filled::Again,
                Err(_) => return Filled::Failed(format!("message {} can not be read", seq.0)),
            };
            // A message that was asked for may have gone since, and another one is next.
            if let Ok(msg) = Stored::of(&entry)
                && core
                    .index
                    .meta(seq)
                    .is_some_and(|meta| meta.time == msg.time)
            {
                put_message(&mut self.records, seq, &msg);
                self.messages += 1;
                self.next = seq.next();
            }
        }
        Filled::Chunk
    }

    fn put_tail(&mut self, tail: &Tail) {
        self.records.extend_from_slice(&tail.records);
        let end = Record::End {
            last: self.last,
            last_time: tail.last_time,
            messages: self.messages,
            consumers: tail.consumers,
        };
        end.encode(&mut self.records);
    }

    /// Sends a whole chunk; false if nobody takes it.
    pub(super) fn send_chunk(&mut self, env: &mut impl Env) -> bool {
        let chunk = self.frames.split_to(self.chunk_len);
        let Party { name, token, .. } = &self.party;
        let reply = format!(
            "$JS.SNAPSHOT.ACK.{name}.{token}.{}.{}",
            chunk.len(),
            self.chunk
        );
        self.chunk += 1;
        self.unconfirmed += 1;
        self.deliver(&chunk, reply.as_bytes(), env)
    }

    pub(super) fn deliver(&self, payload: &[u8], reply: &[u8], env: &mut impl Env) -> bool {
        let msg = Outgoing {
            subject: &self.to,
            reply,
            payload,
            ..Outgoing::default()
        };
        env.deliver(self.party.account, &self.to, msg)
    }
}

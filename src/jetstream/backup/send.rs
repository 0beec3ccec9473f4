//! Writing a stream out: messages become records, records become frames, frames are cut into chunks
//! that the client confirms.
//!
//! *Invariant:* no more chunks are unconfirmed than the client's window holds. Every way out ends in one
//! last message without a body, which says how it went, and in one advisory.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use core::time::Duration;

use bytes::{Bytes, BytesMut};
use protocol::id::{AccountId, Seq};
use protocol::js::advisory::{SnapshotCompleted, SnapshotCreated};
use protocol::js::api::{ApiKind, ApiRequest};
use protocol::js::errors::{self, ApiError};
use protocol::js::json::decode;
use protocol::js::request::{SnapshotRequest, is_empty};
use protocol::js::response::SnapshotStarted;
use protocol::store::{ReadError, ReadId};
use protocol::subject;
use protocol::time::Instant;

use super::frame::{DATA_LEN_MAX, put_frame, put_start};
use super::record::{Record, put_mark, put_message};
use super::{BackupId, Party, SILENCE_MAX, TOO_MANY};
use crate::JetStream;
use crate::entry::Stored;
use crate::env::{ApiCall, Env, Outgoing};
use crate::index::Filter;
use crate::shared::{Reader, TimerKind, send_status};
use crate::stream::{MsgRead, Stream};

/// Bytes of a chunk, unless the client asks for another size.
const CHUNK_LEN: i64 = 128 << 10;
/// What a client may ask for.
const CHUNK_LEN_MIN: i64 = 1 << 10;
const CHUNK_LEN_MAX: i64 = 1 << 20;
/// Bytes of chunks under way, unless the client asks for other ones.
const WINDOW_LEN: i64 = 8 << 20;
const WINDOW_LEN_MAX: i64 = 32 << 20;
/// How long a receiver has to subscribe.
const INTEREST_WAIT: Duration = Duration::from_secs(2);
/// Bytes that one turn sends at most: others want theirs.
const TURN_LEN_MAX: usize = 2 << 20;
/// After which time a read that failed is tried again.
const READ_AGAIN: Duration = Duration::from_millis(100);

const NO_INTEREST: &str = "no interest";
const NO_FLOW_RESPONSE: &str = "no flow response";

/// A stream on its way out.
#[derive(Debug)]
pub(super) struct Sending {
    party: Party,
    to: Box<[u8]>,
    chunk_len: usize,
    /// Chunks that may be unconfirmed.
    window: usize,
    unconfirmed: usize,
    /// The number of the next chunk.
    chunk: u64,
    /// The next message, and the last one that belongs to the backup.
    next: Seq,
    last: Seq,
    messages: u64,
    loading: Loading,
    /// Records that are not yet framed.
    records: BytesMut,
    /// Frames that are not yet sent.
    frames: BytesMut,
    /// The records that come behind the messages; nothing once they are among the others.
    tail: Option<Tail>,
    stage: Stage,
}

/// Where a backup is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
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
    last_time: protocol::time::Wall,
    consumers: u64,
}

/// What filling a chunk came to.
enum Filled {
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
    pub(super) fn is_concerned(&self, account: AccountId, pattern: &[u8]) -> bool {
        self.party.account == account && subject::matches(pattern, &self.to)
    }

    pub(super) fn on_read(&mut self, read: ReadId, result: Result<Bytes, ReadError>) {
        if matches!(self.loading, Loading::Asked(asked) if asked == read) {
            self.loading = Loading::Done(result);
        }
    }

    /// Fills up to a chunk.
    fn fill(
        &mut self,
        id: BackupId,
        stream: &Stream,
        reads: &mut Reads,
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
}

type Reads = alloc::collections::BTreeMap<ReadId, Reader>;

impl JetStream {
    /// Begins to write a stream out.
    pub(crate) fn stream_snapshot(
        &mut self,
        call: &ApiCall<'_>,
        request: &ApiRequest<'_>,
        env: &mut impl Env,
    ) -> Result<(), ApiError> {
        if is_empty(call.msg.payload) {
            return Err(errors::BAD_REQUEST);
        }
        let mut party = self.party(call, request.stream, env);
        let stream = self
            .stream(call.account, request.stream)
            .ok_or(errors::STREAM_NOT_FOUND)?;
        let body: SnapshotRequest = decode(call.msg.payload, self.strictness())?;
        if !subject::is_valid_literal(body.deliver_subject.as_bytes()) {
            return Err(errors::SNAPSHOT_DELIVER_SUBJECT_INVALID);
        }
        if self.backups.is_full() {
            return Err(errors::STREAM_SNAPSHOT.with(TOO_MANY));
        }
        party.stream = stream.core.id();
        let now = env.now();
        let sending = begin(stream, party, &body, now.mono + INTEREST_WAIT);
        let state = stream.core.state(stream.consumers.count());
        let started = SnapshotStarted {
            config: Some(stream.core.config().clone()),
            state: Some(state.clone()),
        };
        self.shared
            .respond(call, ApiKind::StreamSnapshot, &[], &started, env);
        let domain = self.shared.options.domain.clone();
        let event = SnapshotCreated {
            stream: request.stream,
            state: &state,
            client: sending.party.client.as_ref(),
            domain: &domain,
        };
        self.shared.advise_as_server(call.account, &event, env);
        let id = self.backups.allocate();
        self.backups.sending.insert(id, sending);
        self.on_receiver_changed(id, env);
        Ok(())
    }

    /// Looks whether the receiver is there.
    pub(super) fn on_receiver_changed(&mut self, id: BackupId, env: &mut impl Env) {
        let Some(sending) = self.backups.sending.get_mut(&id) else {
            return;
        };
        let (account, to) = (sending.party.account, &sending.to);
        match sending.stage {
            // A client's inbox for all answers does not count: this one is yet to be subscribed.
            Stage::Waiting(_) if env.has_exact_interest(account, to) => self.run_sending(id, env),
            Stage::Waiting(until) => self.arm_backup(id, until),
            Stage::Running if env.has_interest(account, to) => {}
            Stage::Running => self.end_sending(id, Err(NO_INTEREST.into()), env),
        }
    }

    fn run_sending(&mut self, id: BackupId, env: &mut impl Env) {
        if let Some(sending) = self.backups.sending.get_mut(&id) {
            sending.stage = Stage::Running;
            self.backups.ready.push(id);
            self.arm_backup(id, env.now().mono + SILENCE_MAX);
        }
    }

    pub(super) fn on_sending_timer(&mut self, id: BackupId, env: &mut impl Env) {
        let Some(sending) = self.backups.sending.get_mut(&id) else {
            return;
        };
        match sending.stage {
            Stage::Waiting(_) => self.run_sending(id, env),
            Stage::Running if sending.unconfirmed >= sending.window => {
                self.end_sending(id, Err(NO_FLOW_RESPONSE.into()), env);
            }
            Stage::Running => self.backups.ready.push(id),
        }
    }

    /// The client has confirmed a chunk.
    pub(super) fn on_chunk_acked(
        &mut self,
        account: AccountId,
        token: &[u8],
        _: &mut impl Env,
    ) -> bool {
        let mut sending = self.backups.sending.iter_mut();
        let Some((id, sending)) = sending.find(|(_, s)| s.party.is(account, token)) else {
            return false;
        };
        sending.unconfirmed = sending.unconfirmed.saturating_sub(1);
        self.backups.ready.push(*id);
        true
    }

    /// Sends as much as the client's window and this turn allow.
    pub(super) fn drive_sending(&mut self, id: BackupId, env: &mut impl Env) {
        let Some(mut sending) = self.backups.sending.remove(&id) else {
            return;
        };
        let now = env.now().mono;
        let mut outcome = None;
        let mut again_at = now + SILENCE_MAX;
        let turn = (TURN_LEN_MAX / sending.chunk_len).max(1);
        for sent in 0.. {
            if sending.stage != Stage::Running || sending.unconfirmed >= sending.window {
                break;
            }
            if sent == turn {
                again_at = now;
                break;
            }
            let Some(stream) = self.streams.get(&sending.party.stream) else {
                outcome = Some(Err("the stream is gone".into()));
                break;
            };
            match sending.fill(id, stream, &mut self.shared.reads, env) {
                Filled::Later => break,
                Filled::Again => {
                    again_at = now + READ_AGAIN;
                    break;
                }
                Filled::Failed(why) => {
                    outcome = Some(Err(why));
                    break;
                }
                Filled::End => {
                    let rest = core::mem::take(&mut sending.frames);
                    if !rest.is_empty() {
                        sending.deliver(&rest, b"", env);
                    }
                    outcome = Some(Ok(()));
                    break;
                }
                Filled::Chunk => {
                    if !sending.send_chunk(env) {
                        outcome = Some(Err(NO_INTEREST.into()));
                        break;
                    }
                }
            }
        }
        self.backups.sending.insert(id, sending);
        match outcome {
            None => self.arm_backup(id, again_at),
            Some(outcome) => self.end_sending(id, outcome, env),
        }
    }

    fn end_sending(&mut self, id: BackupId, outcome: Result<(), String>, env: &mut impl Env) {
        let Some(sending) = self.backups.sending.remove(&id) else {
            return;
        };
        self.shared.timers.clear(TimerKind::Backup(id));
        let error = outcome.err().unwrap_or_default();
        let status = match &*error {
            // As in NATS, a backup of less than one chunk ends without a status.
            "" if sending.chunk == 1 => String::new(),
            "" => String::from("NATS/1.0 204\r\n\r\n"),
            NO_INTEREST => String::from("NATS/1.0 408 No Interest\r\n\r\n"),
            NO_FLOW_RESPONSE => String::from("NATS/1.0 408 No Flow Response\r\n\r\n"),
            why => format!("NATS/1.0 500 {why}\r\n\r\n"),
        };
        let party = &sending.party;
        send_status(party.account, &sending.to, status.as_bytes(), env);
        let domain = self.shared.options.domain.clone();
        let event = SnapshotCompleted {
            stream: &party.name,
            start: party.started,
            end: env.now().wall,
            client: party.client.as_ref(),
            domain: &domain,
            error: &error,
        };
        self.shared.advise_as_server(party.account, &event, env);
    }
}

impl Party {
    pub(super) fn is(&self, account: AccountId, token: &[u8]) -> bool {
        self.account == account && self.token.as_bytes() == token
    }
}

impl Sending {
    /// Sends a whole chunk; false if nobody takes it.
    fn send_chunk(&mut self, env: &mut impl Env) -> bool {
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

    fn deliver(&self, payload: &[u8], reply: &[u8], env: &mut impl Env) -> bool {
        let msg = Outgoing {
            subject: &self.to,
            reply,
            payload,
            ..Outgoing::default()
        };
        env.deliver(self.party.account, &self.to, msg)
    }
}

fn begin(stream: &Stream, party: Party, body: &SnapshotRequest, until: Instant) -> Sending {
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
    Sending {
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

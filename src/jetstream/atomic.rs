//! Atomic batches while their messages come in: each is kept in memory until the last one is there,
//! and then all of them are proposed one behind the other.
//!
//! *Invariant:* what is open here is known to nobody but its publisher: nothing is logged, nothing is
//! answered but with an empty message. What happens in the log is in `atomic/parts.rs`.

mod counted;
mod parts;
mod refused;

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;

use bytes::{Bytes, BytesMut};
use protocol::headers::{self, Headers};
use protocol::id::{AccountId, StreamId};
use protocol::js::advisory::BatchAbandoned;
use protocol::js::errors::{self, ApiError};
use protocol::js::limits::BATCH_ID_LEN_MAX;
use protocol::time::Instant;

use crate::JetStream;
use crate::api;
use crate::entry::{Mark, Publish};
use crate::env::{Env, Inbound, Purpose};
use crate::ingest::answer;
use crate::shared::{TimerKind, send};

pub(crate) use counted::HeldBatch;
pub(crate) use parts::{BatchAck, Parts};
use refused::{Refused, check_commit, check_level};

/// The header that makes a message part of a batch.
pub(crate) const BATCH_ID: &[u8] = b"Nats-Batch-Id";
/// The header with a message's place in its batch, from one.
const BATCH_SEQUENCE: &[u8] = b"Nats-Batch-Sequence";
/// The header that ends a batch.
const BATCH_COMMIT: &[u8] = b"Nats-Batch-Commit";

/// The batches that are open, by stream and id.
#[derive(Debug, Default)]
pub(crate) struct OpenBatches {
    batches: BTreeMap<(StreamId, Box<[u8]>), Open>,
    /// What all of them hold.
    bytes: u64,
}

/// A batch whose messages are coming.
#[derive(Debug)]
struct Open {
    messages: Vec<Kept>,
    bytes: u64,
    deadline: Instant,
}

/// A message in one allocation: it has to outlive the connection's buffer until the batch is whole.
#[derive(Debug)]
struct Kept {
    bytes: Box<[u8]>,
    subject_len: usize,
    headers_len: usize,
}

/// What a message says about its batch.
#[derive(Clone, Copy, Debug)]
struct Place<'a> {
    id: &'a [u8],
    seq: u64,
    commit: Commit,
}

/// Whether a message ends its batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Commit {
    /// More messages follow.
    No,
    /// It is the last one.
    Here,
    /// The one before was the last one; this one is not stored.
    Before,
}

impl Kept {
    fn new(msg: &Inbound<'_>) -> Self {
        let bytes = [msg.subject, msg.headers, msg.payload].concat();
        Self {
            bytes: bytes.into_boxed_slice(),
            subject_len: msg.subject.len(),
            headers_len: msg.headers.len(),
        }
    }

    fn msg(&self) -> Inbound<'_> {
        let (subject, rest) = self
            .bytes
            .split_at_checked(self.subject_len)
            .unwrap_or_default();
        let (headers, payload) = rest.split_at_checked(self.headers_len).unwrap_or_default();
        Inbound {
            subject,
            reply: b"",
            headers,
            payload,
        }
    }
}

impl Open {
    /// The message that ends the batch is not stored: the one before it says so in its place.
    fn end_with_last(&mut self) {
        if let Some(last) = self.messages.last_mut() {
            let msg = last.msg();
            let mut headers = BytesMut::new();
            headers::set(msg.headers, BATCH_COMMIT, b"1", &mut headers);
            *last = Kept::new(&Inbound {
                headers: &headers,
                ..msg
            });
        }
    }
}

impl OpenBatches {
    /// Forgets the open batches of a stream that goes.
    pub(crate) fn forget(&mut self, stream: StreamId) {
        let bytes = &mut self.bytes;
        self.batches.retain(|(of, _), open| {
            if *of == stream {
                *bytes -= open.bytes;
            }
            *of != stream
        });
    }

    fn take(&mut self, key: &(StreamId, Box<[u8]>)) -> Option<Open> {
        let open = self.batches.remove(key)?;
        self.bytes -= open.bytes;
        Some(open)
    }

    fn open_of(&self, stream: StreamId) -> usize {
        let first = (stream, Box::from(&[][..]));
        let batches = self.batches.range(first..);
        batches.take_while(|((of, _), _)| *of == stream).count()
    }
}

impl JetStream {
    /// Takes a message of an atomic batch.
    pub(crate) fn publish_part(
        &mut self,
        env: &mut impl Env,
        account: AccountId,
        stream: StreamId,
        msg: &Inbound<'_>,
    ) {
        let place = match self.place(stream, msg) {
            Ok(place) => place,
            Err(error) => return self.answer_part(account, stream, msg.reply, &error, env),
        };
        let key = (stream, Box::from(place.id));
        match self.take_part(&key, place, msg, env) {
            Ok(()) if place.commit == Commit::No => {
                let stream = self.streams.get(&stream);
                if stream.is_some_and(|stream| !stream.core.config().no_ack) {
                    send_empty(account, msg.reply, env);
                }
            }
            Ok(()) => {
                if let Some(mut open) = self.open.take(&key) {
                    if place.commit == Commit::Before {
                        open.end_with_last();
                    }
                    self.commit(account, stream, open, msg.reply, env);
                }
            }
            Err(refused) => {
                let was_open = self.open.take(&key).is_some();
                if let Some(reason) = refused.reason
                    && (was_open || place.seq == 1)
                {
                    self.advise_abandoned(stream, place.id, reason, env);
                }
                self.answer_part(account, stream, msg.reply, &refused.error, env);
            }
        }
    }

    /// Abandons the batches that have waited too long for their next message.
    pub(crate) fn on_batches_idle(&mut self, env: &mut impl Env) {
        let now = env.now().mono;
        let due = |(key, open): (&(StreamId, Box<[u8]>), &Open)| {
            (open.deadline <= now).then(|| key.clone())
        };
        let keys: Vec<_> = self.open.batches.iter().filter_map(due).collect();
        for key in keys {
            drop(self.open.take(&key));
            self.advise_abandoned(key.0, &key.1, "timeout", env);
        }
        let next = self.open.batches.values().map(|open| open.deadline).min();
        let fast = self.shared.fast.give_up(now);
        if let Some(next) = next.into_iter().chain(fast).min() {
            self.shared.timers.set(TimerKind::Batches, next);
        }
    }

    /// Reads what the headers say about the batch.
    fn place<'a>(&self, stream: StreamId, msg: &Inbound<'a>) -> Result<Place<'a>, ApiError> {
        let allowed = self.streams.get(&stream);
        if allowed.is_some_and(|stream| stream.core.config().sealed) {
            return Err(errors::STREAM_SEALED);
        }
        if !allowed.is_some_and(|stream| stream.core.config().allow_atomic) {
            return Err(errors::ATOMIC_PUBLISH_DISABLED);
        }
        let headers = Headers::new(msg.headers);
        let id = headers.get(BATCH_ID).unwrap_or_default();
        if id.len() > BATCH_ID_LEN_MAX {
            return Err(errors::ATOMIC_PUBLISH_INVALID_BATCH_ID);
        }
        let seq = headers.get(BATCH_SEQUENCE).and_then(number);
        let seq = seq.ok_or(errors::ATOMIC_PUBLISH_MISSING_SEQ)?;
        let commit = match headers.get(BATCH_COMMIT) {
            None => Commit::No,
            Some(b"1") => Commit::Here,
            Some(b"eob") => Commit::Before,
            // The batch is given up without a word to whoever listens.
            Some(_) => Commit::No,
        };
        Ok(Place { id, seq, commit })
    }

    /// Adds a message to its batch, which it opens if it is the first one.
    fn take_part(
        &mut self,
        key: &(StreamId, Box<[u8]>),
        place: Place<'_>,
        msg: &Inbound<'_>,
        env: &mut impl Env,
    ) -> Result<(), Refused> {
        let limits = self.shared.options.batch;
        // The message that only ends a batch does not count; nats-server's count then wraps at zero.
        let size = match place.commit {
            Commit::Before => place.seq.wrapping_sub(1),
            Commit::No | Commit::Here => place.seq,
        };
        let too_large = (size > u64::from(limits.messages_max)).then(|| {
            let error = errors::ATOMIC_PUBLISH_TOO_LARGE_BATCH.with(limits.messages_max);
            Refused::told(error, "large")
        });
        let incomplete = || Refused::told(errors::ATOMIC_PUBLISH_INCOMPLETE_BATCH, "incomplete");
        let open = self.open.batches.get(key);
        let next = open.map_or(1, |open| open.messages.len() + 1);
        if open.is_none() && place.seq != 1 {
            return Err(too_large.unwrap_or_else(incomplete));
        }
        let too_many = self.open.batches.len() >= limits.open_max
            || self.open.open_of(key.0) >= limits.open_per_stream_max;
        if open.is_none() && too_many {
            return Err(errors::ATOMIC_PUBLISH_TOO_MANY_INFLIGHT.into());
        }
        check_commit(msg)?;
        check_level(msg)?;
        if u64::try_from(next) != Ok(place.seq) || (place.commit == Commit::Before && next == 1) {
            return Err(incomplete());
        }
        if let Some(refused) = too_large {
            return Err(refused);
        }
        let max_msg_size = self.streams.get(&key.0);
        let max_msg_size = max_msg_size.map_or(-1, |stream| stream.core.config().max_msg_size);
        let len = msg.headers.len() + msg.payload.len();
        if usize::try_from(max_msg_size).is_ok_and(|max| len > max) {
            return Err(errors::STREAM_MESSAGE_EXCEEDS_MAXIMUM.into());
        }
        let bytes = u64::try_from(len + msg.subject.len()).unwrap_or(u64::MAX);
        if self.open.bytes + bytes > self.shared.options.in_flight_bytes_max {
            return Err(errors::ATOMIC_PUBLISH_TOO_MANY_INFLIGHT.into());
        }
        let deadline = env.now().mono + limits.idle_max;
        let open = self
            .open
            .batches
            .entry(key.clone())
            .or_insert_with(|| Open {
                messages: Vec::new(),
                bytes: 0,
                deadline,
            });
        open.deadline = deadline;
        if place.commit != Commit::Before {
            let mut scratch = BytesMut::new();
            let headers = api::headers_without_level(msg.headers, &mut scratch);
            open.messages.push(Kept::new(&Inbound { headers, ..*msg }));
            open.bytes += bytes;
            self.open.bytes += bytes;
        }
        self.shared.timers.set_earlier(TimerKind::Batches, deadline);
        Ok(())
    }

    fn commit(
        &mut self,
        account: AccountId,
        id: StreamId,
        open: Open,
        reply: &[u8],
        env: &mut impl Env,
    ) {
        let counts = self.streams.get(&id);
        if counts.is_some_and(|stream| stream.core.config().allow_msg_counter) {
            self.commit_counted(account, id, open, reply, env);
        } else {
            self.propose_batch(account, id, &open, reply, env);
        }
    }

    /// Proposes a whole batch, or applies it at once to a stream in memory.
    fn propose_batch(
        &mut self,
        account: AccountId,
        id: StreamId,
        open: &Open,
        reply: &[u8],
        env: &mut impl Env,
    ) {
        let overhead = open.messages.len() * (Publish::HEADER_LEN + Publish::PART_LEN);
        let len = usize::try_from(open.bytes).unwrap_or(usize::MAX);
        let is_memory = self.streams.get(&id).is_some_and(|s| s.core.is_memory());
        if !is_memory {
            if let Some(error) = self.poisoned.clone() {
                return self.answer_part(account, id, reply, &error, env);
            }
            if !env.has_room(len.saturating_add(overhead), Purpose::Store) {
                let error = errors::STORAGE_RESOURCES_EXCEEDED;
                return self.answer_part(account, id, reply, &error, env);
            }
        }
        let mut entries = Vec::new();
        for (kept, following) in open.messages.iter().zip((0..open.messages.len()).rev()) {
            let following = u32::try_from(following).unwrap_or(u32::MAX);
            let time = self.shared.clock.stamp(env.now());
            let msg = kept.msg();
            let stream = self.streams.get(&id);
            let at = stream.map_or((id, Mark::default()), |stream| stream.core.mark());
            if is_memory {
                let mut out = BytesMut::new();
                Publish::encode_part(&mut out, at, time, following, &msg);
                entries.push(out.freeze());
                continue;
            }
            let pos = env.propose(|out| Publish::encode_part(out, at, time, following, &msg));
            let reply = if following == 0 { reply } else { b"" };
            let bytes = u32::try_from(kept.bytes.len()).unwrap_or(u32::MAX);
            self.shared.replies.proposed(pos);
            self.shared.replies.push_publish(pos, account, reply, bytes);
            if let Some(stream) = self.streams.get_mut(&id) {
                stream.core.set_proposed(pos);
            }
        }
        self.apply_unlogged(&entries, (account, reply), env);
    }

    /// Applies a batch to a stream in memory.
    fn apply_unlogged(
        &mut self,
        entries: &[Bytes],
        publisher: (AccountId, &[u8]),
        env: &mut impl Env,
    ) {
        let loc = protocol::store::Loc::from_bits(0);
        let logged = core::mem::take(&mut self.parts);
        for entry in entries {
            self.apply_part(loc, entry, Some(publisher), env);
        }
        self.parts = logged;
    }

    fn answer_part(
        &mut self,
        account: AccountId,
        stream: StreamId,
        reply: &[u8],
        error: &ApiError,
        env: &mut impl Env,
    ) {
        if let Some(stream) = self.streams.get(&stream) {
            let core = &stream.core;
            answer(
                core,
                account,
                reply,
                Err(error),
                None,
                &mut self.shared,
                env,
            );
        }
    }

    fn advise_abandoned(
        &mut self,
        stream: StreamId,
        batch: &[u8],
        reason: &str,
        env: &mut impl Env,
    ) {
        let Some(stream) = self.streams.get(&stream) else {
            return;
        };
        let domain = self.shared.options.domain.clone();
        let event = BatchAbandoned {
            account: "",
            stream: stream.core.name(),
            domain: &domain,
            batch: &String::from_utf8_lossy(batch),
            reason,
        };
        self.shared.advise(stream.core.account(), &event, env);
    }
}

/// Returns whether a header block makes its message part of a batch.
pub(crate) fn is_part(headers: &[u8]) -> bool {
    memchr::memmem::find(headers, BATCH_ID).is_some()
        && Headers::new(headers)
            .get(BATCH_ID)
            .is_some_and(|id| !id.is_empty())
}

fn number(value: &[u8]) -> Option<u64> {
    let is_number = value.iter().all(u8::is_ascii_digit);
    let digits = core::str::from_utf8(value).ok().filter(|_| is_number)?;
    digits.parse().ok()
}

fn send_empty(account: AccountId, reply: &[u8], env: &mut impl Env) {
    send(account, reply, &[], env);
}

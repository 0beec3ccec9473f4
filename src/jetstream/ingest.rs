//! The hot path of publishers: from a message to a proposed entry, and from the committed entry to the
//! ack.
//!
//! *Invariant:* a publish with a reply subject always gets an answer: an ack, a refusal, or a status.
//! Nothing here allocates per message, apart from index growth and messages of memory streams.

use bytes::{Bytes, BytesMut};
use protocol::headers;
use protocol::id::{AccountId, LogPos, StreamId};
use protocol::js::errors::{self, ApiError};
use protocol::js::pub_ack::{PubAck, encode_refusal};
use protocol::store::Loc;

use crate::atomic::{self, BatchAck};
use crate::counters::{brings_increment, value_of};
use crate::entry::{Publish, Role, Stored};
use crate::env::{Env, Inbound, Purpose};
use crate::fast::is_fast;
use crate::prepare::{Changed, prepare};
use crate::republish::republish;
use crate::shared::{Shared, send, send_status, send_with};
use crate::stream::{Applied, Refusal, Stream, StreamCore};
use crate::{JetStream, Removals};

/// The header of the answer to a publish that does not fit into what waits for the disk.
const TOO_MANY_REQUESTS: &[u8] = b"NATS/1.0 429 Too Many Requests\r\n\r\n";

/// The answer to a publish whose stream is gone.
const NO_RESPONDERS: &[u8] = b"NATS/1.0 503\r\n\r\n";

impl JetStream {
    /// Takes a message that was published on a subject of `stream`.
    pub fn publish(
        &mut self,
        env: &mut impl Env,
        account: AccountId,
        stream: StreamId,
        msg: Inbound<'_>,
    ) {
        let exceeded = self.exceeds_bytes(stream, &msg);
        let Some(stream) = self.streams.get_mut(&stream) else {
            return self.refuse_publish(account, stream, &msg, env);
        };
        let mut bare = BytesMut::new();
        let headers = headers::without_status(msg.headers, &mut bare);
        let msg = Inbound { headers, ..msg };
        // A fast batch has a way of its own to tell.
        if !is_fast(msg.reply)
            && let Err(error) = stream.core.fits_size(msg.headers, msg.payload)
        {
            let (core, shared) = (&stream.core, &mut self.shared);
            return answer(core, account, msg.reply, Err(&error), None, shared, env);
        }
        let mut changed = Changed::default();
        let msg = prepare(&stream.core, msg, &mut changed, env.rng());
        // A mapping may have made it longer.
        let exceeded = exceeded.or_else(|| exceeds_entry(msg.subject));
        if is_fast(msg.reply) {
            let id = stream.core.id();
            let closed = self.closed.then_some(errors::CLUSTER_NOT_AVAIL);
            return self.publish_fast(env, account, id, &msg, closed.or(exceeded).as_ref());
        }
        if let Some(error) = exceeded {
            let (core, shared) = (&stream.core, &mut self.shared);
            // What the headers ask comes first, unless the message is one of a batch.
            let foreseen = if msg.headers.is_empty() || atomic::is_part(msg.headers) {
                Ok(None)
            } else {
                core.foresee_headers(&msg, env.now().wall)
            };
            let outcome = match &foreseen {
                Ok(Some(seq)) => Ok(Applied::Duplicate(*seq)),
                Ok(None) => Err(&error),
                Err(refusal) => Err(&**refusal),
            };
            return answer(core, account, msg.reply, outcome, None, shared, env);
        }
        if self.closed {
            let (core, shared) = (&stream.core, &mut self.shared);
            let error = errors::CLUSTER_NOT_AVAIL;
            return answer(core, account, msg.reply, Err(&error), None, shared, env);
        }
        let id = stream.core.id();
        if !msg.headers.is_empty() && atomic::is_part(msg.headers) {
            return self.publish_part(env, account, id, &msg);
        }
        if stream.core.rules().allow_msg_counter && brings_increment(msg.headers) {
            return self.count(env, account, id, msg);
        }
        let poisoned = self.poisoned.as_ref();
        take(stream, account, msg, poisoned, &mut self.shared, env);
    }

    /// Applies a committed message and answers its publisher.
    pub(crate) fn apply_publish(
        &mut self,
        pos: LogPos,
        loc: Loc,
        entry: &Bytes,
        env: &mut impl Env,
    ) {
        let shared = &mut self.shared;
        let mut reply = core::mem::take(&mut shared.reply);
        let publisher = shared.replies.take_publish(pos, &mut reply);
        match Stored::of(entry) {
            Ok(msg) if msg.following().is_some() => {
                let publisher = publisher.map(|account| (account, reply.as_slice()));
                self.apply_part(loc, entry, publisher, env);
            }
            Ok(msg) if matches!(msg.role, Role::Restored(_)) => self.apply_restored(loc, entry),
            Ok(msg) => {
                self.parts.clear();
                shared.clock.observe(msg.time);
                if let Some(stream) = self.streams.get_mut(&msg.stream) {
                    if !shared.live {
                        stream.core.keep_up(msg.mark);
                    }
                    stream.core.landed(1);
                    let publisher = publisher.map(|account| Publisher {
                        account,
                        reply: &reply,
                        batch: None,
                    });
                    take_in(stream, &msg, loc, publisher, shared, env);
                    if let Role::Copy(origin) = msg.role {
                        self.on_copied(&msg, origin, env.now());
                    }
                } else if let Some(account) = publisher {
                    send_status(account, &reply, NO_RESPONDERS, env);
                }
            }
            Err(_) => self.unreadable += 1,
        }
        self.shared.reply = reply;
    }
}

/// Who waits for the ack of a message.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Publisher<'a> {
    /// The account.
    pub(crate) account: AccountId,
    /// Where the ack goes.
    pub(crate) reply: &'a [u8],
    /// The batch that the message ends.
    pub(crate) batch: Option<BatchAck<'a>>,
}

/// Proposes a message as it is to be stored; a stream in memory has it at once.
#[inline]
pub(crate) fn take(
    stream: &mut Stream,
    account: AccountId,
    msg: Inbound<'_>,
    poisoned: Option<&ApiError>,
    shared: &mut Shared,
    env: &mut impl Env,
) {
    if stream.core.is_memory() {
        return publish_unlogged(stream, account, msg, shared, env);
    }
    if let Some(error) = poisoned {
        return answer(
            &stream.core,
            account,
            msg.reply,
            Err(error),
            None,
            shared,
            env,
        );
    }
    let body_len = msg.subject.len() + msg.headers.len() + msg.payload.len();
    let len = u32::try_from(body_len).unwrap_or(u32::MAX);
    if shared.replies.in_flight_bytes() + u64::from(len) > shared.options.in_flight_bytes_max {
        return too_many_requests(&stream.core, account, msg.reply, shared, env);
    }
    if !env.has_room(Publish::HEADER_LEN + body_len, Purpose::Store) {
        let (core, error) = (&stream.core, &errors::STORAGE_RESOURCES_EXCEEDED);
        return answer(core, account, msg.reply, Err(error), None, shared, env);
    }
    let time = shared.clock.stamp(env.now());
    let at = stream.core.mark();
    let pos = env.propose(|out| {
        Publish::encode(out, at, time, msg.subject, msg.headers, msg.payload);
    });
    let reply = if acks_now(&stream.core, &msg, shared) {
        let stored = Ok(Applied::Stored(stream.core.seq_ahead()));
        answer(&stream.core, account, msg.reply, stored, None, shared, env);
        stream.core.set_proposed_surely(pos);
        // Only its bytes wait.
        &[]
    } else {
        stream.core.set_proposed(pos);
        msg.reply
    };
    shared.replies.proposed(pos);
    shared.replies.push_publish(pos, account, reply, len);
}

/// Returns whether a publisher is told at once that its message is stored, because the stream's
/// configuration says that nobody waits for the disk: if nothing that is under way can change what is
/// told. The answer is true unless the process or the machine fails within the next moments.
fn acks_now(core: &StreamCore, msg: &Inbound<'_>, shared: &Shared) -> bool {
    core.is_sure(msg)
        && !is_fast(msg.reply)
        && !shared.replies.is_under_way(core.unsure())
        && !shared.replies.has_changes_under_way()
}

/// Applies a message to its stream, answers the publisher, and offers it to the consumers.
pub(crate) fn take_in(
    stream: &mut Stream,
    msg: &Stored<'_>,
    loc: Loc,
    publisher: Option<Publisher<'_>>,
    shared: &mut Shared,
    env: &mut impl Env,
) {
    stream.unsaved = true;
    let Stream {
        core, consumers, ..
    } = stream;
    let was_empty = core.index.messages() == 0;
    let before = core.rules().republish(msg.subject);
    let before = before.and_then(|_| core.last_by_subject(msg.subject));
    let wanted = core.is_wanted(|subject| consumers.interest_in(subject), msg.subject);
    let bytes_before = core.index.bytes();
    let outcome = core.apply_publish(msg, loc, wanted, &mut Removals { consumers, shared });
    let grown = core.index.bytes().saturating_sub(bytes_before);
    shared.room.grow(core.is_memory(), grown);
    if let Some(Publisher {
        account,
        reply,
        batch,
    }) = publisher
    {
        let outcome = outcome.as_ref().map(|a| *a).map_err(|e: &Refusal| &**e);
        let total = core
            .rules()
            .allow_msg_counter
            .then(|| value_of(msg.payload));
        let total = total.flatten().map(Note::Total);
        let note = batch.map(Note::Batch).or(total);
        answer(core, account, reply, outcome, note, shared, env);
    }
    let Ok(Applied::Stored(seq)) = outcome else {
        return;
    };
    if shared.live && (was_empty || shared.wants_timer(core, seq)) {
        shared.arm_expiry(core, env.now());
    }
    if shared.live && core.is_scheduling(msg, seq) {
        shared.arm_schedules(core, env.now());
    }
    if shared.live {
        republish(core, seq, before.unwrap_or_default(), msg, env);
    }
    consumers.on_stored(core, seq, msg, shared, env);
}

fn publish_unlogged(
    stream: &mut Stream,
    account: AccountId,
    msg: Inbound<'_>,
    shared: &mut Shared,
    env: &mut impl Env,
) {
    let (at, time) = (stream.core.mark(), shared.clock.stamp(env.now()));
    let len = Publish::HEADER_LEN + msg.subject.len() + msg.headers.len() + msg.payload.len();
    // One allocation per message, of the size of the message: it lives as long as that.
    let mut out = BytesMut::with_capacity(len);
    Publish::encode(&mut out, at, time, msg.subject, msg.headers, msg.payload);
    let entry = out.freeze();
    if let Ok(stored) = Stored::of(&entry) {
        let publisher = Some(Publisher {
            account,
            reply: msg.reply,
            batch: None,
        });
        take_in(stream, &stored, Loc::from_bits(0), publisher, shared, env);
    }
}

/// What an ack tells beside the sequence.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Note<'a> {
    /// The batch that the message ended.
    Batch(BatchAck<'a>),
    /// The counter's new total.
    Total(&'a str),
}

/// Sends the ack or the refusal of a publish.
pub(crate) fn answer(
    core: &StreamCore,
    account: AccountId,
    reply: &[u8],
    outcome: Result<Applied, &ApiError>,
    note: Option<Note<'_>>,
    shared: &mut Shared,
    env: &mut impl Env,
) {
    if core.rules().allow_batched && is_fast(reply) {
        return shared.on_fast_outcome(core, account, reply, outcome, env);
    }
    if reply.is_empty() || core.rules().no_ack {
        return;
    }
    let Shared {
        scratch, options, ..
    } = shared;
    scratch.clear();
    let (seq, duplicate) = match outcome {
        Ok(Applied::Stored(seq) | Applied::Skipped(seq)) => (seq, false),
        Ok(Applied::Duplicate(seq)) => (seq, true),
        Err(error) => {
            encode_refusal(core.name(), &options.domain, error, scratch);
            return send(account, reply, scratch, env);
        }
    };
    let (batch, value) = match note {
        Some(Note::Batch(batch)) => (Some((batch.id, batch.count)), None),
        Some(Note::Total(total)) => (None, Some(total).filter(|_| !duplicate)),
        None => (None, None),
    };
    let ack = PubAck {
        stream: core.name(),
        domain: &options.domain,
        seq: seq.0,
        duplicate,
        batch,
        value,
    };
    ack.encode(scratch);
    send(account, reply, scratch, env);
}

/// Tells a publisher that too much waits for the disk already.
pub(crate) fn too_many_requests(
    core: &StreamCore,
    account: AccountId,
    reply: &[u8],
    shared: &mut Shared,
    env: &mut impl Env,
) {
    let scratch = &mut shared.scratch;
    scratch.clear();
    // Like nats-server, without the domain, and for streams without acks, too.
    encode_refusal(core.name(), "", &errors::STREAM_TOO_MANY_REQUESTS, scratch);
    send_with(account, reply, TOO_MANY_REQUESTS, scratch, env);
}

/// Tells a publisher that its stream is gone.
pub(crate) fn no_responders(publisher: Option<(AccountId, &[u8])>, env: &mut impl Env) {
    if let Some((account, reply)) = publisher {
        send_status(account, reply, NO_RESPONDERS, env);
    }
}

/// Refuses a subject whose length an entry has no room for; a raised `max_control_line` lets it come.
fn exceeds_entry(subject: &[u8]) -> Option<ApiError> {
    (subject.len() > usize::from(u16::MAX)).then_some(errors::STREAM_MESSAGE_EXCEEDS_MAXIMUM)
}

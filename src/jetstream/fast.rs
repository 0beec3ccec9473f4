//! Fast batches: a publisher sends without waiting, numbers its messages in their reply subjects, and
//! is told from time to time how far they are stored.
//!
//! *Invariant:* nothing of a batch is durable but its messages, which are ordinary ones. Where a message
//! may be refused because of what is under way, and that would end its batch, the rest of the batch waits
//! until it has been applied.

mod batch;
mod line;
mod place;

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, VecDeque};

use bytes::BytesMut;
use protocol::headers::Headers;
use protocol::id::{AccountId, StreamId};
use protocol::js::check::is_level_supported;
use protocol::js::enums::Discard;
use protocol::js::errors::{self, ApiError};
use protocol::js::limits::BATCH_ID_LEN_MAX;
use protocol::time::Instant;

use crate::counters::brings_increment;
use crate::env::{Env, Inbound};
use crate::ingest::{no_responders, take, too_many_requests};
use crate::shared::{Shared, TimerKind};
use crate::stream::{Applied, PublishHeaders, StreamCore, Ttl};
use crate::{JetStream, api};
use batch::FastBatch;
use line::Line;
pub(crate) use place::is_fast;
use place::{Op, Place};

/// Most messages that wait for what is under way; more get an error answer, and leave a gap.
const HELD_MAX: usize = 10_000;

/// The batches that are open, by stream and id.
#[derive(Debug, Default)]
pub struct FastBatches {
    by_stream: BTreeMap<StreamId, BTreeMap<Box<[u8]>, FastBatch>>,
    count: usize,
}

/// Messages that wait for what is under way, and how many of each batch do.
#[derive(Debug, Default)]
pub(crate) struct Held {
    messages: VecDeque<HeldMessage>,
    by_batch: BTreeMap<(StreamId, Box<[u8]>), usize>,
}

#[derive(Debug)]
struct HeldMessage {
    account: AccountId,
    stream: StreamId,
    subject: Box<[u8]>,
    reply: Box<[u8]>,
    headers: Box<[u8]>,
    payload: Box<[u8]>,
}

impl FastBatches {
    /// Forgets the batches of a stream that goes or takes no more of them.
    pub(crate) fn forget(&mut self, stream: StreamId) {
        let gone = self.by_stream.remove(&stream);
        self.count -= gone.map_or(0, |batches| batches.len());
    }

    /// Gives up batches that have waited too long; returns when the next one is due.
    pub(crate) fn give_up(&mut self, now: Instant) -> Option<Instant> {
        let mut count = 0;
        self.by_stream.retain(|_, batches| {
            batches.retain(|_, batch| !batch.is_waiting() || batch.deadline > now);
            count += batches.len();
            !batches.is_empty()
        });
        self.count = count;
        let batches = self.by_stream.values().flat_map(BTreeMap::values);
        let waiting = batches.filter(|batch| batch.is_waiting());
        waiting.map(|batch| batch.deadline).min()
    }

    /// Returns a batch, and how many share its stream.
    fn find(&mut self, stream: StreamId, id: &[u8]) -> Option<(&mut FastBatch, usize)> {
        let batches = self.by_stream.get_mut(&stream)?;
        let count = batches.len();
        batches.get_mut(id).map(|batch| (batch, count))
    }

    fn open(&mut self, stream: StreamId, place: &Place<'_>, deadline: Instant) {
        let batches = self.by_stream.entry(stream).or_default();
        let batch = FastBatch::new(place, batches.is_empty(), deadline);
        batches.insert(Box::from(place.id), batch);
        self.count += 1;
    }

    fn close(&mut self, stream: StreamId, id: &[u8]) {
        if let Some(batches) = self.by_stream.get_mut(&stream)
            && batches.remove(id).is_some()
        {
            self.count -= 1;
            if batches.is_empty() {
                self.by_stream.remove(&stream);
            }
        }
    }
}

impl JetStream {
    /// Takes a message whose reply subject says that it is part of a fast batch.
    pub(crate) fn publish_fast(
        &mut self,
        env: &mut impl Env,
        account: AccountId,
        id: StreamId,
        msg: &Inbound<'_>,
        exceeded: Option<&ApiError>,
    ) {
        let Some(stream) = self.streams.get(&id) else {
            return no_responders(Some((account, msg.reply)), env);
        };
        let core = &stream.core;
        let checked = check_request(core, msg, exceeded);
        match checked {
            Err(error) => self
                .shared
                .line(core, account, msg.reply, env)
                .refuse(&error),
            Ok(place) if self.must_wait(id, &place, msg.headers) => {
                self.hold_fast(env, account, id, msg, &place);
            }
            Ok(place) => self.enter_fast(env, account, id, msg, &place),
        }
    }

    /// Tries again what waits, at the end of a batch of input.
    pub(crate) fn pump_fast(&mut self, env: &mut impl Env) {
        if self.fast_held.messages.is_empty() {
            return;
        }
        let held = core::mem::take(&mut self.fast_held);
        for held in held.messages {
            let msg = Inbound {
                subject: &held.subject,
                reply: &held.reply,
                headers: &held.headers,
                payload: &held.payload,
            };
            let Some(place) = Place::parse(msg.reply) else {
                continue;
            };
            if self.must_wait(held.stream, &place, msg.headers) {
                let key = (held.stream, Box::from(place.id));
                *self.fast_held.by_batch.entry(key).or_default() += 1;
                self.fast_held.messages.push_back(held);
            } else {
                self.enter_fast(env, held.account, held.stream, &msg, &place);
            }
        }
    }

    /// Returns whether a message has to wait: one before it in its batch waits, or may still be refused
    /// where that ends the batch, or the several things that it asks for have to be looked at in the order
    /// that batches have.
    fn must_wait(&mut self, id: StreamId, place: &Place<'_>, headers: &[u8]) -> bool {
        let held = &self.fast_held;
        if !held.messages.is_empty() && held.by_batch.contains_key(&(id, Box::from(place.id))) {
            return true;
        }
        let batch = self.shared.fast.find(id, place.id);
        batch.is_some_and(|(batch, _)| {
            batch.is_undecided() || (batch.has_pending() && asks_more_than_one(headers))
        })
    }

    fn hold_fast(
        &mut self,
        env: &mut impl Env,
        account: AccountId,
        stream: StreamId,
        msg: &Inbound<'_>,
        place: &Place<'_>,
    ) {
        if self.fast_held.messages.len() >= HELD_MAX {
            if let Some(stream) = self.streams.get(&stream) {
                let (core, shared) = (&stream.core, &mut self.shared);
                too_many_requests(core, account, msg.reply, shared, env);
            }
            return;
        }
        let key = (stream, Box::from(place.id));
        *self.fast_held.by_batch.entry(key).or_default() += 1;
        self.fast_held.messages.push_back(HeldMessage {
            account,
            stream,
            subject: Box::from(msg.subject),
            reply: Box::from(msg.reply),
            headers: Box::from(msg.headers),
            payload: Box::from(msg.payload),
        });
    }

    /// Lets a message into its batch, which it opens if it is the first one, and proposes it.
    fn enter_fast(
        &mut self,
        env: &mut impl Env,
        account: AccountId,
        id: StreamId,
        msg: &Inbound<'_>,
        place: &Place<'_>,
    ) {
        let Some(stream) = self.streams.get_mut(&id) else {
            return no_responders(Some((account, msg.reply)), env);
        };
        let (core, shared) = (&stream.core, &mut self.shared);
        let len = msg.subject.len() + msg.headers.len() + msg.payload.len();
        let len = u64::try_from(len).unwrap_or(u64::MAX);
        if shared.replies.in_flight_bytes() + len > shared.options.in_flight_bytes_max {
            return too_many_requests(core, account, msg.reply, shared, env);
        }
        let deadline = env.now().mono + shared.options.batch.idle_max;
        let opened = shared.open_fast(id, place, deadline);
        let checked = opened.and_then(|()| {
            let level = Headers::new(msg.headers).get(api::REQUIRED_API_LEVEL);
            let batch = shared.fast.find(id, place.id);
            // The client waits for the end, whatever comes behind it.
            let is_ending = batch.is_some_and(|(batch, _)| !batch.is_waiting());
            let is_supported = is_ending || level.is_none_or(is_level_supported);
            is_supported.then_some(()).ok_or_else(|| {
                shared.fast.close(id, place.id);
                errors::REQUIRED_API_LEVEL
            })
        });
        if let Err(error) = checked {
            return shared.line(core, account, msg.reply, env).refuse(&error);
        }
        let wanted = shared.on_fast(
            core,
            account,
            msg.reply,
            place,
            env,
            |batch, count, line| {
                batch.deadline = deadline;
                batch.enter(place, count, line)
            },
        );
        if wanted != Some(true) {
            return;
        }
        self.propose_fast(env, account, id, msg, place);
    }

    /// Proposes a message that has its place in its batch, unless it can be seen to be refused.
    fn propose_fast(
        &mut self,
        env: &mut impl Env,
        account: AccountId,
        id: StreamId,
        msg: &Inbound<'_>,
        place: &Place<'_>,
    ) {
        let Some(stream) = self.streams.get_mut(&id) else {
            return;
        };
        let (core, shared) = (&stream.core, &mut self.shared);
        let mut stripped = BytesMut::new();
        let headers = api::headers_without_level(msg.headers, &mut stripped);
        let msg = Inbound { headers, ..*msg };
        let decided = if core.config().allow_msg_counter && !brings_increment(msg.headers) {
            Some(Err(*core.refuse_uncounted(msg.headers)))
        } else {
            shared.decide(core, &msg, env)
        };
        let is_undecided = decided.is_none();
        let refused = self.poisoned.clone().map(Err).or(decided);
        let refused = refused.and_then(Result::err);
        let reply = msg.reply;
        if let Some(error) = refused {
            shared.on_fast(core, account, reply, place, env, |batch, _, line| {
                batch.on_refused(place, &error, line);
            });
            return;
        }
        shared.on_fast(core, account, reply, place, env, |batch, _, _| {
            batch.on_proposed(place, is_undecided);
        });
        if core.config().allow_msg_counter {
            return self.count(env, account, id, msg);
        }
        take(stream, account, msg, None, shared, env);
    }
}

impl Shared {
    /// Notes what became of a message of a fast batch.
    pub(crate) fn on_fast_outcome(
        &mut self,
        core: &StreamCore,
        account: AccountId,
        reply: &[u8],
        outcome: Result<Applied, &ApiError>,
        env: &mut impl Env,
    ) {
        // Without a batch it came before a restart, or its publisher was given up.
        if let Some(place) = Place::parse(reply) {
            self.on_fast(core, account, reply, &place, env, |batch, count, line| {
                batch.on_outcome(&place, outcome, count, line);
            });
        }
    }

    /// Does something with a batch, if it is open, and forgets it if that ends it.
    fn on_fast<E: Env, T>(
        &mut self,
        core: &StreamCore,
        account: AccountId,
        reply: &[u8],
        place: &Place<'_>,
        env: &mut E,
        act: impl FnOnce(&mut FastBatch, usize, &mut Line<'_, E>) -> T,
    ) -> Option<T> {
        let id = core.id();
        let (batch, count) = self.fast.find(id, place.id)?;
        let mut line = Line {
            core,
            account,
            reply,
            domain: &self.options.domain,
            scratch: &mut self.scratch,
            env,
        };
        let done = act(batch, count, &mut line);
        if batch.is_over {
            self.fast.close(id, place.id);
        }
        Some(done)
    }

    /// Returns whether a message will be refused; nothing if that depends on what is under way.
    fn decide(
        &self,
        core: &StreamCore,
        msg: &Inbound<'_>,
        env: &impl Env,
    ) -> Option<Result<(), ApiError>> {
        let is_changing = self.replies.has_changes_under_way();
        let is_busy = is_changing || self.replies.is_under_way(core.proposed());
        let depends = || {
            core.config().discard == Discard::New
                || PublishHeaders::parse(msg.headers).depends_on_stored()
        };
        if core.config().allow_msg_counter
            || (!core.is_memory() && is_busy && (is_changing || depends()))
        {
            return None;
        }
        let refused = core.would_refuse_fast(msg, env.now().wall);
        Some(refused.map_err(|error| *error))
    }

    /// Finds the batch of a message, or opens it.
    fn open_fast(
        &mut self,
        id: StreamId,
        place: &Place<'_>,
        deadline: Instant,
    ) -> Result<(), ApiError> {
        self.timers.set_earlier(TimerKind::Batches, deadline);
        if self.fast.find(id, place.id).is_some() {
            return Ok(());
        }
        if place.seq != 1 || place.op == Op::Ping {
            return Err(errors::BATCH_PUBLISH_UNKNOWN_BATCH_ID);
        }
        let limits = &self.options.batch;
        let of_stream = self.fast.by_stream.get(&id).map_or(0, BTreeMap::len);
        if of_stream >= limits.fast_open_per_stream_max || self.fast.count >= limits.fast_open_max {
            return Err(errors::BATCH_PUBLISH_TOO_MANY_INFLIGHT);
        }
        self.fast.open(id, place, deadline);
        Ok(())
    }

    fn line<'a, E: Env>(
        &'a mut self,
        core: &'a StreamCore,
        account: AccountId,
        reply: &'a [u8],
        env: &'a mut E,
    ) -> Line<'a, E> {
        Line {
            core,
            account,
            reply,
            domain: &self.options.domain,
            scratch: &mut self.scratch,
            env,
        }
    }
}

/// Returns whether a message asks for several things that may be refused, or passed over for another.
fn asks_more_than_one(headers: &[u8]) -> bool {
    if headers.is_empty() {
        return false;
    }
    let asked = PublishHeaders::parse(headers);
    let of_subject = asked.expected_last_subject_seq.is_some()
        || asked.expected_last_subject_seq_subject.is_some();
    let asks = [
        asked.msg_id.is_some(),
        asked.source.is_some(),
        asked.expected_last_seq.is_some(),
        of_subject,
        asked.concerns_schedules,
        asked.rollup.is_some(),
        asked.expected_last_msg_id.is_some(),
        asked.ttl.is_some_and(|ttl| Ttl::parse(ttl).is_none()),
    ];
    asks.into_iter().filter(|is_asked| *is_asked).count() > 1
}

/// Checks what does not depend on the batch.
fn check_request<'a>(
    core: &StreamCore,
    msg: &Inbound<'a>,
    exceeded: Option<&ApiError>,
) -> Result<Place<'a>, ApiError> {
    if core.config().sealed {
        return Err(errors::STREAM_SEALED);
    }
    if let Some(error) = exceeded {
        return Err(error.clone());
    }
    let len = msg.headers.len() + msg.payload.len();
    if usize::try_from(core.config().max_msg_size).is_ok_and(|max| len > max) {
        return Err(errors::STREAM_MESSAGE_EXCEEDS_MAXIMUM);
    }
    if !core.config().allow_batched {
        return Err(errors::BATCH_PUBLISH_DISABLED);
    }
    let place = Place::parse(msg.reply).ok_or(errors::BATCH_PUBLISH_INVALID_PATTERN)?;
    if place.id.len() > BATCH_ID_LEN_MAX {
        return Err(errors::BATCH_PUBLISH_INVALID_BATCH_ID);
    }
    Ok(place)
}

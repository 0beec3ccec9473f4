//! Counters: a message brings an increment, and what is stored is the new total.
//!
//! *Invariant:* an entry holds the total, so that reading, replaying and moving it needs nothing else.
//! The leader adds up before it proposes: to the total that is under way, if that is sure to be stored,
//! or else to the last one stored. Where neither is known yet, the increment waits for the log or the
//! disk, and what comes to its stream later waits behind it; nothing of this survives a restart, and
//! nothing has to.

mod sum;
mod waiting;

use alloc::boxed::Box;
use alloc::collections::BTreeMap;

use bytes::{Bytes, BytesMut};
use protocol::headers::Headers;
use protocol::id::{AccountId, LogPos, Seq, StreamId};
use protocol::js::errors::{self, ApiError};
use protocol::store::{ReadError, ReadId};

use crate::JetStream;
use crate::atomic::HeldBatch;
use crate::decimal::Decimal;
use crate::env::{Env, Inbound};
use crate::ingest::{answer, no_responders, take, too_many_requests};
use crate::shared::Reader;
use crate::stream::{MsgRead, PublishHeaders, StreamCore};
pub(crate) use sum::{Sum, value_of};
use waiting::{Held, Increment, Waiting};

/// What is known about totals beside what is stored.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    heads: BTreeMap<StreamId, BTreeMap<Box<[u8]>, Head>>,
    waiting: Waiting,
}

/// The newest total of a subject.
#[derive(Debug)]
enum Head {
    /// It is in the log at `pos`, and not applied yet.
    UnderWay {
        pos: LogPos,
        sum: Sum,
        /// Nothing can refuse it any more.
        certain: bool,
    },
    /// The disk has been asked for it.
    Reading,
    /// It was read; nothing if it is no total.
    Read { seq: Seq, sum: Option<Sum> },
}

/// What becomes of a message that is copied from another counter.
pub(crate) enum Counted {
    /// It is stored like this.
    Known(Box<Copied>),
    /// It will be known when the log or the disk has gone on.
    Later,
    /// It is no message of a counter, or the last one here is none.
    Broken,
}

/// A copy as it is stored.
pub(crate) struct Copied {
    /// Its headers.
    pub(crate) headers: BytesMut,
    /// Its body.
    pub(crate) payload: alloc::vec::Vec<u8>,
    /// The counter behind it.
    pub(crate) sum: Sum,
}

/// Whether an increment had to wait.
#[derive(PartialEq, Eq)]
enum Tried {
    /// It was proposed or refused.
    Done,
    /// The total it adds to will be known when the log or the disk has gone on.
    Later,
}

/// What is to be added to.
pub(crate) enum Total {
    Known(Sum),
    /// It will be known when the log or the disk has gone on.
    Later,
    /// The last message of the subject is no total.
    Broken,
}

impl Counters {
    /// Returns whether what comes to a stream has to wait behind what came before.
    pub(crate) fn is_waiting(&self, stream: StreamId) -> bool {
        self.waiting.is_at(stream)
    }

    /// Lets a batch wait.
    pub(crate) fn hold_batch(&mut self, stream: StreamId, batch: HeldBatch) {
        self.waiting.push(stream, Held::Batch(batch));
    }
}

impl JetStream {
    /// Takes an increment for a stream of counters.
    pub(crate) fn count(
        &mut self,
        env: &mut impl Env,
        account: AccountId,
        id: StreamId,
        msg: Inbound<'_>,
    ) {
        if self.counters.is_waiting(id) || self.try_count(env, account, id, msg) == Tried::Later {
            self.hold_count(env, account, id, &msg);
        }
    }

    /// Takes an increment, unless the total it adds to is not known yet.
    fn try_count(
        &mut self,
        env: &mut impl Env,
        account: AccountId,
        id: StreamId,
        msg: Inbound<'_>,
    ) -> Tried {
        let Some(stream) = self.streams.get(&id) else {
            no_responders(Some((account, msg.reply)), env);
            return Tried::Done;
        };
        let is_sealed = stream.core.config().sealed;
        let refused = match increment_of(&msg) {
            _ if is_sealed => errors::STREAM_SEALED,
            Err(error) => error,
            Ok(increment) => match self.total(id, msg.subject, env) {
                Total::Known(mut sum) => {
                    sum.add(&increment);
                    self.store_total(env, account, id, msg, sum);
                    return Tried::Done;
                }
                Total::Later => return Tried::Later,
                Total::Broken => errors::MESSAGE_COUNTER_BROKEN,
            },
        };
        if let Some(stream) = self.streams.get(&id) {
            let (core, shared) = (&stream.core, &mut self.shared);
            answer(core, account, msg.reply, Err(&refused), None, shared, env);
        }
        Tried::Done
    }

    /// Tries again what waits, at the end of a batch of input.
    pub(crate) fn pump_counters(&mut self, env: &mut impl Env) {
        let mut at = None;
        while let Some(stream) = self.counters.waiting.next_stream(at) {
            self.pump_waiting(env, stream);
            at = Some(stream);
        }
        let Counters { heads, waiting } = &mut self.counters;
        if waiting.is_empty() && !heads.is_empty() {
            let replies = &self.shared.replies;
            let is_needed = |head: &Head| match head {
                Head::UnderWay { pos, .. } => replies.is_under_way(Some(*pos)),
                Head::Reading => true,
                Head::Read { .. } => false,
            };
            heads.retain(|_, heads| {
                heads.retain(|_, head| is_needed(head));
                !heads.is_empty()
            });
        }
    }

    /// Takes what waits at a stream, in its order, up to the first one that has to wait on.
    fn pump_waiting(&mut self, env: &mut impl Env, stream: StreamId) {
        while let Some(held) = self.counters.waiting.pop(stream) {
            let waits = match held {
                Held::Increment(held) => {
                    let tried = self.try_count(env, held.account, stream, held.msg());
                    (tried == Tried::Later).then_some(Held::Increment(held))
                }
                Held::Batch(batch) => self.try_commit(batch, env).map(Held::Batch),
            };
            if let Some(held) = waits {
                return self.counters.waiting.put_back(stream, held);
            }
        }
    }

    /// The disk has answered for a total.
    pub(crate) fn on_total_read(
        &mut self,
        stream: StreamId,
        subject: Box<[u8]>,
        seq: Seq,
        result: &Result<Bytes, ReadError>,
    ) {
        let sum = result.as_ref().ok().and_then(Sum::of);
        let heads = self.counters.heads.entry(stream).or_default();
        heads.insert(subject, Head::Read { seq, sum });
    }

    /// Returns the total that the next increment of `subject` adds to.
    pub(crate) fn total(&mut self, id: StreamId, subject: &[u8], env: &mut impl Env) -> Total {
        let Some(stream) = self.streams.get(&id) else {
            return Total::Later;
        };
        if self.poisoned.is_some() {
            // It will be refused, whatever it is.
            return Total::Known(Sum::default());
        }
        let replies = &self.shared.replies;
        if !stream.core.is_memory() && replies.has_changes_under_way() {
            // A purge may be among them.
            return Total::Later;
        }
        let last = stream.core.last_by_subject(subject);
        let head = self.counters.heads.get(&id).and_then(|h| h.get(subject));
        match head {
            Some(Head::UnderWay { pos, sum, certain }) if replies.is_under_way(Some(*pos)) => {
                return if *certain {
                    Total::Known(sum.clone())
                } else {
                    Total::Later
                };
            }
            Some(Head::Reading) => return Total::Later,
            Some(Head::Read { seq, sum }) if Some(*seq) == last => {
                return sum.clone().map_or(Total::Broken, Total::Known);
            }
            Some(Head::UnderWay { .. } | Head::Read { .. }) | None => {}
        }
        let Some(seq) = last else {
            return Total::Known(Sum::default());
        };
        match stream.core.read(seq, env) {
            MsgRead::Hit(entry) => Sum::of(&entry).map_or(Total::Broken, Total::Known),
            MsgRead::Pending(read) => self.await_total(id, subject, seq, read),
            MsgRead::Gone => Total::Known(Sum::default()),
            MsgRead::Failed(_) => Total::Broken,
        }
    }

    fn await_total(&mut self, id: StreamId, subject: &[u8], seq: Seq, read: ReadId) -> Total {
        let heads = self.counters.heads.entry(id).or_default();
        heads.insert(Box::from(subject), Head::Reading);
        let reader = Reader::Total(id, Box::from(subject), seq);
        self.shared.reads.insert(read, reader);
        Total::Later
    }

    fn store_total(
        &mut self,
        env: &mut impl Env,
        account: AccountId,
        id: StreamId,
        msg: Inbound<'_>,
        sum: Sum,
    ) {
        let payload = sum.body();
        let mut told = BytesMut::new();
        let headers = if sum.put_sources(msg.headers, &mut told) {
            &told
        } else {
            msg.headers
        };
        let msg = Inbound {
            headers,
            payload: &payload,
            ..msg
        };
        let before = self.shared.replies.last_proposed();
        let Some(stream) = self.streams.get_mut(&id) else {
            return;
        };
        // What a client claims to come from elsewhere is looked at when it is stored.
        let claims = told.is_empty() && Headers::new(headers).get(sum::SOURCES).is_some();
        let certain = is_certain(&stream.core, &msg) && !claims;
        let poisoned = self.poisoned.as_ref();
        take(stream, account, msg, poisoned, &mut self.shared, env);
        let after = self.shared.replies.last_proposed();
        if let Some(pos) = after.filter(|_| after != before) {
            self.note_sum(id, msg.subject, pos, sum, certain);
        }
    }

    /// Notes that the sum of a counter is under way.
    pub(crate) fn note_sum(
        &mut self,
        id: StreamId,
        subject: &[u8],
        pos: LogPos,
        sum: Sum,
        certain: bool,
    ) {
        let head = Head::UnderWay { pos, sum, certain };
        let heads = self.counters.heads.entry(id).or_default();
        heads.insert(Box::from(subject), head);
    }

    /// Works out what a message of another counter adds to the one of its subject here.
    pub(crate) fn count_copy(
        &mut self,
        env: &mut impl Env,
        id: StreamId,
        copy: &Inbound<'_>,
        (stream, subject): (&str, &[u8]),
    ) -> Counted {
        let Some(total) = sum::total_of(copy) else {
            return Counted::Broken;
        };
        let mut sum = match self.total(id, copy.subject, env) {
            Total::Known(sum) => sum,
            Total::Later => return Counted::Later,
            Total::Broken => return Counted::Broken,
        };
        let increment = sum.follow(stream, subject, &total);
        let headers = sum::copied_headers(copy.headers, &increment, &sum);
        Counted::Known(Box::new(Copied {
            headers,
            payload: sum.body(),
            sum,
        }))
    }

    /// Notes that a copy was proposed; returns whether nothing can refuse it, if nothing refuses the
    /// copies before it.
    pub(crate) fn copy_counted(
        &mut self,
        id: StreamId,
        copy: &Inbound<'_>,
        pos: LogPos,
        sum: Sum,
        is_behind_certain: bool,
    ) -> bool {
        let certain = self.streams.get(&id).is_some_and(|stream| {
            let headers = PublishHeaders::parse(copy.headers);
            let depends = headers.msg_id.is_some() || headers.ttl.is_some();
            !depends && stream.core.fits(copy.headers, copy.payload).is_ok()
        });
        let certain = certain && is_behind_certain;
        self.note_sum(id, copy.subject, pos, sum, certain);
        certain
    }

    fn hold_count(
        &mut self,
        env: &mut impl Env,
        account: AccountId,
        stream: StreamId,
        msg: &Inbound<'_>,
    ) {
        if self.counters.waiting.is_full() {
            if let Some(stream) = self.streams.get(&stream) {
                let (core, shared) = (&stream.core, &mut self.shared);
                too_many_requests(core, account, msg.reply, shared, env);
            }
            return;
        }
        let held = Held::Increment(Increment::new(account, msg));
        self.counters.waiting.push(stream, held);
    }
}

/// Returns the increment of a message.
pub(crate) fn increment_of(msg: &Inbound<'_>) -> Result<Decimal, ApiError> {
    let headers = PublishHeaders::parse(msg.headers);
    let Some(increment) = headers.increment else {
        return Err(errors::MESSAGE_INCR_MISSING);
    };
    let increment = Decimal::parse(increment).ok_or(errors::MESSAGE_INCR_INVALID)?;
    if !msg.payload.is_empty() {
        return Err(errors::MESSAGE_INCR_PAYLOAD);
    }
    let expects = headers.expected_stream.is_some()
        || headers.expected_last_seq.is_some()
        || headers.expected_last_subject_seq.is_some()
        || headers.expected_last_subject_seq_subject.is_some()
        || headers.expected_last_msg_id.is_some();
    if expects || headers.rollup.is_some() {
        return Err(errors::MESSAGE_INCR_INVALID);
    }
    Ok(increment)
}

/// Returns whether a message is meant for a counter.
pub(crate) fn brings_increment(headers: &[u8]) -> bool {
    let increment = PublishHeaders::parse(headers).increment;
    increment.is_some_and(|increment| !increment.is_empty())
}

/// Returns whether nothing that is decided when it is applied can refuse a total.
fn is_certain(core: &StreamCore, msg: &Inbound<'_>) -> bool {
    let headers = PublishHeaders::parse(msg.headers);
    let depends = headers.msg_id.is_some() || headers.ttl.is_some() || headers.source.is_some();
    !depends && core.fits(msg.headers, msg.payload).is_ok()
}

//! Counters: a message brings an increment, and what is stored is the new total.
//!
//! *Invariant:* an entry holds the total, so that reading, replaying and moving it needs nothing else.
//! The leader adds up before it proposes: to the total that is under way, if that is sure to be stored,
//! or else to the last one stored. Where neither is known yet, the increment waits for the log or the
//! disk; nothing of this survives a restart, and nothing has to.

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use protocol::id::{AccountId, LogPos, Seq, StreamId};
use protocol::js::errors::{self, ApiError};
use protocol::store::{ReadError, ReadId};

use crate::JetStream;
use crate::atomic;
use crate::decimal::Decimal;
use crate::entry::Stored;
use crate::env::{Env, Inbound};
use crate::ingest::{TOO_MANY_REQUESTS, answer, no_responders, take};
use crate::shared::{Reader, send_status};
use crate::stream::{MsgRead, PublishHeaders, StreamCore};

/// Most increments that wait; more get an error answer.
const HELD_MAX: usize = 10_000;

/// What is known about totals beside what is stored.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    heads: BTreeMap<StreamId, BTreeMap<Box<[u8]>, Head>>,
    held: VecDeque<Held>,
}

/// The newest total of a subject.
#[derive(Debug)]
enum Head {
    /// It is in the log at `pos`, and not applied yet.
    UnderWay {
        pos: LogPos,
        total: Decimal,
        /// Nothing can refuse it any more.
        certain: bool,
    },
    /// The disk has been asked for it.
    Reading,
    /// It was read; nothing if it is no total.
    Read { seq: Seq, total: Option<Decimal> },
}

/// An increment that waits.
#[derive(Debug)]
struct Held {
    account: AccountId,
    stream: StreamId,
    subject: Box<[u8]>,
    reply: Box<[u8]>,
    headers: Box<[u8]>,
}

/// What is to be added to.
enum Total {
    Known(Decimal),
    /// It will be known when the log or the disk has gone on.
    Later,
    /// The last message of the subject is no total.
    Broken,
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
        if !self.streams.contains_key(&id) {
            return no_responders(Some((account, msg.reply)), env);
        }
        let refused = match increment_of(&msg) {
            Err(error) => error,
            Ok(increment) => match self.total(id, msg.subject, env) {
                Total::Known(total) => {
                    return self.store_total(env, account, id, msg, total.plus(&increment));
                }
                Total::Later => return self.hold_count(env, account, id, &msg),
                Total::Broken => errors::MESSAGE_COUNTER_BROKEN,
            },
        };
        let Some(stream) = self.streams.get(&id) else {
            return;
        };
        let (core, shared) = (&stream.core, &mut self.shared);
        answer(core, account, msg.reply, Err(&refused), None, shared, env);
    }

    /// Tries again what waits, at the end of a batch of input.
    pub(crate) fn pump_counters(&mut self, env: &mut impl Env) {
        for held in core::mem::take(&mut self.counters.held) {
            let msg = Inbound {
                subject: &held.subject,
                reply: &held.reply,
                headers: &held.headers,
                payload: b"",
            };
            self.count(env, held.account, held.stream, msg);
        }
        let Counters { heads, held } = &mut self.counters;
        if held.is_empty() && !heads.is_empty() {
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

    /// The disk has answered for a total.
    pub(crate) fn on_total_read(
        &mut self,
        stream: StreamId,
        subject: Box<[u8]>,
        seq: Seq,
        result: &Result<Bytes, ReadError>,
    ) {
        let total = result.as_ref().ok().and_then(total_in);
        let heads = self.counters.heads.entry(stream).or_default();
        heads.insert(subject, Head::Read { seq, total });
    }

    fn total(&mut self, id: StreamId, subject: &[u8], env: &mut impl Env) -> Total {
        let Some(stream) = self.streams.get(&id) else {
            return Total::Later;
        };
        if self.poisoned.is_some() {
            // It will be refused, whatever it is.
            return Total::Known(Decimal::default());
        }
        let replies = &self.shared.replies;
        if !stream.core.is_memory() && replies.has_changes_under_way() {
            // A purge may be among them.
            return Total::Later;
        }
        let last = stream.core.last_by_subject(subject);
        let head = self.counters.heads.get(&id).and_then(|h| h.get(subject));
        match head {
            Some(Head::UnderWay {
                pos,
                total,
                certain,
            }) if replies.is_under_way(Some(*pos)) => {
                return if *certain {
                    Total::Known(total.clone())
                } else {
                    Total::Later
                };
            }
            Some(Head::Reading) => return Total::Later,
            Some(Head::Read { seq, total }) if Some(*seq) == last => {
                return total.clone().map_or(Total::Broken, Total::Known);
            }
            Some(Head::UnderWay { .. } | Head::Read { .. }) | None => {}
        }
        let Some(seq) = last else {
            return Total::Known(Decimal::default());
        };
        match stream.core.read(seq, env) {
            MsgRead::Hit(entry) => total_in(&entry).map_or(Total::Broken, Total::Known),
            MsgRead::Pending(read) => self.await_total(id, subject, seq, read),
            MsgRead::Gone => Total::Known(Decimal::default()),
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
        total: Decimal,
    ) {
        let payload = alloc::format!("{{\"val\":\"{}\"}}", total.to_text());
        let msg = Inbound {
            payload: payload.as_bytes(),
            ..msg
        };
        let before = self.shared.replies.last_proposed();
        let Some(stream) = self.streams.get_mut(&id) else {
            return;
        };
        let certain = is_certain(&stream.core, &msg);
        let poisoned = self.poisoned.as_ref();
        take(stream, account, msg, poisoned, &mut self.shared, env);
        let after = self.shared.replies.last_proposed();
        if let Some(pos) = after.filter(|_| after != before) {
            let head = Head::UnderWay {
                pos,
                total,
                certain,
            };
            let heads = self.counters.heads.entry(id).or_default();
            heads.insert(Box::from(msg.subject), head);
        }
    }

    fn hold_count(
        &mut self,
        env: &mut impl Env,
        account: AccountId,
        stream: StreamId,
        msg: &Inbound<'_>,
    ) {
        if self.counters.held.len() >= HELD_MAX {
            return send_status(account, msg.reply, TOO_MANY_REQUESTS, env);
        }
        self.counters.held.push_back(Held {
            account,
            stream,
            subject: Box::from(msg.subject),
            reply: Box::from(msg.reply),
            headers: Box::from(msg.headers),
        });
    }
}

/// Returns the increment of a message.
fn increment_of(msg: &Inbound<'_>) -> Result<Decimal, ApiError> {
    let headers = PublishHeaders::parse(msg.headers);
    let Some(increment) = headers.increment else {
        return Err(errors::MESSAGE_INCR_MISSING);
    };
    if !msg.payload.is_empty() {
        return Err(errors::MESSAGE_INCR_PAYLOAD);
    }
    let expects = headers.expected_stream.is_some()
        || headers.expected_last_seq.is_some()
        || headers.expected_last_subject_seq.is_some()
        || headers.expected_last_subject_seq_subject.is_some()
        || headers.expected_last_msg_id.is_some();
    // Batches of increments are not built.
    let in_batch = atomic::is_part(msg.headers);
    if expects || in_batch || headers.rollup.is_some() {
        return Err(errors::MESSAGE_INCR_INVALID);
    }
    Decimal::parse(increment).ok_or(errors::MESSAGE_INCR_INVALID)
}

/// Returns whether nothing that is decided when it is applied can refuse a total.
fn is_certain(core: &StreamCore, msg: &Inbound<'_>) -> bool {
    let headers = PublishHeaders::parse(msg.headers);
    let depends = headers.msg_id.is_some() || headers.ttl.is_some() || headers.source.is_some();
    !depends && core.fits(msg.headers, msg.payload).is_ok()
}

fn total_in(entry: &Bytes) -> Option<Decimal> {
    let body = Stored::of(entry).ok()?.payload;
    Decimal::parse(value_of(body)?.as_bytes())
}

/// Returns the total that a stored body shows.
pub(crate) fn value_of(body: &[u8]) -> Option<&str> {
    let value = body.strip_prefix(b"{\"val\":\"")?.strip_suffix(b"\"}")?;
    core::str::from_utf8(value).ok()
}

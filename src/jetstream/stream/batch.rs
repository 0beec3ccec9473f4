//! Checking an atomic batch as a whole, before any of its messages is stored.
//!
//! *Invariant:* what passes here is refused by nothing when it is stored message by message.

use alloc::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use protocol::js::enums::Discard;
use protocol::js::errors;
use protocol::store::Loc;
use protocol::time::Wall;

use super::limits::Ahead;
use super::publish::{Refusal, check_source, refuse};
use super::{PublishHeaders, StreamCore};
use crate::dedup::MsgIdHash;
use crate::entry::Stored;
use crate::env::Inbound;

/// What the messages of the batch before the one being checked add to the stream.
#[derive(Debug, Default)]
struct Before<'a> {
    messages: u64,
    bytes: u64,
    subjects: BTreeMap<&'a [u8], u64>,
    ids: BTreeSet<&'a [u8]>,
}

impl StreamCore {
    /// Checks the messages of a batch, in order.
    ///
    /// # Errors
    /// What the publisher is told when the batch is refused.
    pub(crate) fn check_batch(&mut self, parts: &[(Loc, Bytes)]) -> Result<(), Refusal> {
        if self.config.sealed {
            return refuse(errors::STREAM_SEALED);
        }
        let mut before = Before::default();
        for (_, entry) in parts {
            if let Ok(msg) = Stored::of(entry) {
                self.check_part(&msg, &mut before)?;
            }
        }
        Ok(())
    }

    /// Returns why a message of a fast batch is refused that brings nothing to count.
    pub(crate) fn refuse_uncounted(&self, block: &[u8]) -> Refusal {
        let headers = PublishHeaders::parse(block);
        let checked = self.check_addressed(&headers);
        let checked = checked.and_then(|()| self.check_lifetime(&headers));
        let checked = checked.and_then(|()| check_source(&headers));
        let missing = || errors::MESSAGE_INCR_MISSING.into();
        checked.err().unwrap_or_else(missing)
    }

    /// Returns why a message of a fast batch would be refused now, if nothing is under way: what batches ask
    /// is looked at in an order of their own.
    pub(crate) fn would_refuse_fast(&self, msg: &Inbound<'_>, now: Wall) -> Result<(), Refusal> {
        let msg = self.unstored(msg, now);
        let headers = self.headers_of(&msg);
        self.check_addressed(&headers)?;
        self.check_lifetime(&headers)?;
        let id = headers.msg_id.filter(|_| self.dedup.is_on());
        if id.is_some_and(|id| self.dedup.peek(MsgIdHash::of(id)).is_some()) {
            return Ok(());
        }
        check_source(&headers)?;
        self.check_against(&msg, &headers, &Before::default())?;
        self.check_last_msg_id(&headers)?;
        self.check_size(&msg)?;
        self.check_discard(&msg)
    }

    fn check_part<'a>(&mut self, msg: &Stored<'a>, before: &mut Before<'a>) -> Result<(), Refusal> {
        let headers = self.headers_of(msg);
        if headers.expected_last_msg_id.is_some() {
            let key = "Nats-Expected-Last-Msg-Id";
            return refuse(errors::ATOMIC_PUBLISH_UNSUPPORTED_HEADER_BATCH.with(key));
        }
        self.check_addressed(&headers)?;
        self.check_lifetime(&headers)?;
        if let Some(id) = headers.msg_id {
            let is_on = self.dedup.is_on();
            let stored = is_on && self.dedup.find(MsgIdHash::of(id), msg.time).is_some();
            if stored || !before.ids.insert(id) {
                return refuse(errors::ATOMIC_PUBLISH_CONTAINS_DUPLICATE_MESSAGE);
            }
        }
        check_source(&headers)?;
        self.check_increment(&headers)?;
        self.check_against(msg, &headers, before)?;
        self.check_size(msg)?;
        let len = msg.subject.len() + msg.headers.len() + msg.payload.len();
        let len = u32::try_from(len).unwrap_or(u32::MAX >> 1);
        let size = self.index.size_of(len, !msg.headers.is_empty());
        let on_subject = before.subjects.entry(msg.subject).or_default();
        if self.config.discard == Discard::New {
            let ahead = Ahead {
                messages: before.messages,
                bytes: before.bytes,
                on_subject: *on_subject,
            };
            self.check_room(msg.subject, size, ahead)?;
        }
        *on_subject += 1;
        before.messages += 1;
        before.bytes += u64::from(size);
        Ok(())
    }

    /// Refuses a time to live where there are none, whatever it says, and one that says nothing.
    fn check_lifetime(&self, headers: &PublishHeaders<'_>) -> Result<(), Refusal> {
        let is_zero = headers
            .ttl
            .is_some_and(|ttl| ttl.iter().all(|&b| b == b'0'));
        if headers.ttl.is_some() && !is_zero && !self.config.allow_msg_ttl {
            return refuse(errors::MESSAGE_TTL_DISABLED);
        }
        self.check_ttl(headers)
    }

    /// Refuses what is not as a message expects it, or cannot be asked for behind others of its batch.
    fn check_against(
        &self,
        msg: &Stored<'_>,
        headers: &PublishHeaders<'_>,
        before: &Before<'_>,
    ) -> Result<(), Refusal> {
        // Messages of the batch count as stored here, and yet only the first one may expect something.
        let last = self.index.last_seq().0 + before.messages;
        match headers.expected_last_seq {
            Some(expected) if expected != last => {
                return refuse(errors::STREAM_WRONG_LAST_SEQUENCE.with(last));
            }
            Some(_) if before.messages > 0 => {
                return refuse(errors::STREAM_WRONG_LAST_SEQUENCE_CONSTANT);
            }
            Some(_) | None => {}
        }
        let expected_of = headers.expected_last_subject_seq_subject;
        let expected_of = expected_of.unwrap_or(msg.subject);
        if headers.expected_last_subject_seq.is_some() && before.subjects.contains_key(expected_of)
        {
            return refuse(errors::STREAM_WRONG_LAST_SEQUENCE_CONSTANT);
        }
        self.check_expected_of_subject(msg, headers)?;
        if headers.concerns_schedules {
            self.check_schedule(msg, headers)?;
        }
        let Some(rollup) = headers.rollup else {
            return Ok(());
        };
        self.check_rollup(rollup)?;
        match rollup {
            b"all" if before.messages > 0 => {
                refuse(errors::STREAM_ROLLUP_FAILED.with("batch rollup all invalid"))
            }
            b"sub" if before.subjects.contains_key(msg.subject) => {
                refuse(errors::STREAM_ROLLUP_FAILED.with("batch rollup sub invalid"))
            }
            _ => Ok(()),
        }
    }
}

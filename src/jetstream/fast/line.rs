//! What the publisher of a fast batch is told on the way.

use alloc::string::String;

use bytes::BytesMut;
use protocol::id::AccountId;
use protocol::js::errors::ApiError;
use protocol::js::json::Writer;
use protocol::js::pub_ack::{PubAck, encode_refusal};

use crate::env::Env;
use crate::shared::send;
use crate::stream::StreamCore;

/// The way back to a publisher.
#[derive(Debug)]
pub(super) struct Line<'a, E> {
    pub(super) core: &'a StreamCore,
    pub(super) account: AccountId,
    pub(super) reply: &'a [u8],
    pub(super) domain: &'a str,
    pub(super) scratch: &'a mut BytesMut,
    pub(super) env: &'a mut E,
}

impl<E: Env> Line<'_, E> {
    /// Returns the way to another reply subject of the same publisher.
    pub(super) fn to<'b>(&'b mut self, reply: &'b [u8]) -> Line<'b, E> {
        Line {
            core: self.core,
            account: self.account,
            reply,
            domain: self.domain,
            scratch: self.scratch,
            env: self.env,
        }
    }

    /// Tells how far the batch is stored, and how many messages the next ack may cover.
    pub(super) fn ack(&mut self, seq: u64, every: u16) {
        self.scratch.clear();
        let mut number = itoa::Buffer::new();
        for part in [
            "{\"type\":\"ack\",\"seq\":",
            number.format(seq),
            ",\"msgs\":",
            itoa::Buffer::new().format(every),
            "}",
        ] {
            self.scratch.extend_from_slice(part.as_bytes());
        }
        self.send();
    }

    /// Tells that messages from `expected` on did not come before `seq`.
    pub(super) fn gap(&mut self, expected: u64, seq: u64) {
        let mut to = Writer::default();
        to.begin_object();
        to.field("type", "gap");
        to.field("last_seq", &expected);
        to.field("seq", &seq);
        to.end_object();
        self.put(&to.into_bytes());
    }

    /// Tells why the message `seq` was refused.
    pub(super) fn error(&mut self, seq: u64, error: &ApiError) {
        let mut to = Writer::default();
        to.begin_object();
        to.field("type", "err");
        to.field("seq", &seq);
        to.field("error", error);
        to.end_object();
        self.put(&to.into_bytes());
    }

    /// Answers as any refused publish is answered.
    pub(super) fn refuse(&mut self, error: &ApiError) {
        if self.core.config().no_ack {
            return;
        }
        self.scratch.clear();
        encode_refusal(self.core.name(), self.domain, error, self.scratch);
        self.send();
    }

    /// Ends the batch: `seq` is the last sequence that it got in the stream.
    pub(super) fn committed(&mut self, id: &[u8], seq: u64, count: u64, duplicate: bool) {
        self.scratch.clear();
        let ack = PubAck {
            stream: self.core.name(),
            domain: self.domain,
            seq,
            duplicate,
            batch: Some((&String::from_utf8_lossy(id), count)),
            value: None,
        };
        ack.encode(self.scratch);
        self.send();
    }

    fn put(&mut self, text: &[u8]) {
        self.scratch.clear();
        self.scratch.extend_from_slice(text);
        self.send();
    }

    fn send(&mut self) {
        send(self.account, self.reply, self.scratch, self.env);
    }
}

//! Messages that JetStream sends to itself: they wait for the end of the batch, so that it is never entered
//! while it is at work.

use alloc::boxed::Box;

use protocol::id::{AccountId, StreamId};
use protocol::message::Message;

use super::Router;

/// A message on its way from JetStream to a stream. It is a copy, since it outlives the turn that made
/// it; how many there are is bounded by what the machine delivers in one batch.
#[derive(Debug)]
pub(crate) struct Forward {
    pub(crate) account: AccountId,
    pub(crate) onward: Onward,
    subject: Box<[u8]>,
    reply: Box<[u8]>,
    headers: Box<[u8]>,
    payload: Box<[u8]>,
}

/// Where such a message goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Onward {
    /// To a stream.
    Stream(StreamId),
    /// To JetStream itself, as a request of another account.
    JetStream,
}

impl Forward {
    pub(crate) fn message(&self) -> Message<'_> {
        Message {
            subject: &self.subject,
            reply: &self.reply,
            headers: &self.headers,
            payload: &self.payload,
        }
    }
}

impl Router {
    /// Keeps a message until the end of the batch.
    pub(crate) fn forward(
        &mut self,
        account: AccountId,
        onward: Onward,
        to: &[u8],
        msg: &Message<'_>,
    ) {
        self.forwards.push_back(Forward {
            account,
            onward,
            subject: Box::from(to),
            reply: Box::from(msg.reply),
            headers: Box::from(msg.headers),
            payload: Box::from(msg.payload),
        });
    }
}

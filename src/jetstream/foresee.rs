//! What would become of a message, for those who only want to know.
//!
//! *Invariant:* nothing changes: neither the stream nor what it remembers of messages.

use alloc::string::String;
use alloc::vec::Vec;

use bytes::BytesMut;
use protocol::headers;
use protocol::id::{AccountId, Seq, StreamId};
use protocol::js::errors::{self, ApiError};

use crate::JetStream;
use crate::atomic;
use crate::env::{Env, Inbound};
use crate::fast::is_fast;
use crate::ingest::answer;
use crate::prepare::{Changed, prepare};
use crate::stream::{Applied, Interest};

/// What would become of a message that a stream takes in.
#[derive(Clone, Debug)]
pub struct Foresight {
    /// The stream's name.
    pub stream: String,
    /// What the message's subject would be there.
    pub subject: Vec<u8>,
    /// Whether it would be kept, since a consumer wants it or nobody asks them.
    pub is_wanted: bool,
    /// The message that it repeats, or why it would be refused.
    pub outcome: Result<Option<Seq>, ApiError>,
    /// Whether its publisher is told so, on its own: streams may keep silent, and batches answer as one.
    pub is_answered: bool,
}

impl JetStream {
    /// Returns what would become of a message, if nothing else were under way.
    pub fn foresee(
        &self,
        env: &mut impl Env,
        stream: StreamId,
        msg: Inbound<'_>,
    ) -> Option<Foresight> {
        let stream = self.streams.get(&stream)?;
        let core = &stream.core;
        let config = core.config();
        let mut bare = BytesMut::new();
        let headers = headers::without_status(msg.headers, &mut bare);
        let msg = Inbound { headers, ..msg };
        let is_part = is_fast(msg.reply) || atomic::is_part(msg.headers);
        let mut changed = Changed::default();
        let msg = prepare(core, msg, &mut changed, env.rng());
        let consumers = &stream.consumers;
        let wanted = core.is_wanted(|subject| consumers.interest_in(subject), msg.subject);
        let outcome = match (&self.poisoned, config.sealed) {
            (Some(error), _) => Err(error.clone()),
            (None, true) => Err(errors::STREAM_SEALED),
            (None, false) => match core.repeated(&msg) {
                Some(seq) => Ok(Some(seq)),
                None => core
                    .would_refuse(&msg, env.now().wall)
                    .map(|()| None)
                    .map_err(|refusal| *refusal),
            },
        };
        Some(Foresight {
            stream: String::from(core.name()),
            subject: msg.subject.to_vec(),
            is_wanted: wanted == Interest::Wanted,
            outcome,
            is_answered: !config.no_ack && !is_part,
        })
    }

    /// Answers a publisher whose message was only looked at, unless it would have been stored.
    pub fn answer_foreseen(
        &mut self,
        env: &mut impl Env,
        account: AccountId,
        stream: StreamId,
        foreseen: (&[u8], &Foresight),
    ) {
        let (reply, foresight) = foreseen;
        let Some(stream) = self.streams.get(&stream) else {
            return;
        };
        let outcome = match &foresight.outcome {
            Ok(None) => return,
            Ok(Some(seq)) => Ok(Applied::Duplicate(*seq)),
            Err(error) => Err(error),
        };
        let core = &stream.core;
        answer(core, account, reply, outcome, None, &mut self.shared, env);
    }
}

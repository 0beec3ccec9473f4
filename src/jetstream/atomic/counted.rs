//! Increments in an atomic batch: each adds to what the ones before it in the batch came to.
//!
//! *Invariant:* a batch is added up when it is whole, and proposed with its totals at once. Whether it is
//! stored is decided when it is applied, so that increments behind it wait until then.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use bytes::BytesMut;
use protocol::id::{AccountId, StreamId};
use protocol::js::errors::{self, ApiError};

use super::{Kept, Open};
use crate::JetStream;
use crate::counters::{Sum, Total, increment_of};
use crate::env::{Env, Inbound};

/// A whole batch of increments that waits for the log or the disk.
#[derive(Debug)]
pub(crate) struct HeldBatch {
    account: AccountId,
    stream: StreamId,
    reply: Box<[u8]>,
    open: Open,
}

/// What a batch comes to.
enum Added {
    /// Its messages as they are stored, and the counters behind it.
    Up(Vec<Kept>, BTreeMap<Box<[u8]>, Sum>),
    /// A total will be known when the log or the disk has gone on.
    Later,
    /// It is no batch of increments, or one of its counters is broken.
    Refused(ApiError),
}

impl JetStream {
    /// Adds up a whole batch and proposes it, or lets it wait until that can be done.
    pub(super) fn commit_counted(
        &mut self,
        account: AccountId,
        id: StreamId,
        open: Open,
        reply: &[u8],
        env: &mut impl Env,
    ) {
        let batch = HeldBatch {
            account,
            stream: id,
            reply: reply.into(),
            open,
        };
        let waits = if self.counters.is_waiting(id) {
            Some(batch)
        } else {
            self.try_commit(batch, env)
        };
        if let Some(batch) = waits {
            self.counters.hold_batch(id, batch);
        }
    }

    /// Adds up a batch and proposes it, or gives it back if a total is not known yet.
    pub(crate) fn try_commit(
        &mut self,
        mut batch: HeldBatch,
        env: &mut impl Env,
    ) -> Option<HeldBatch> {
        let (account, id) = (batch.account, batch.stream);
        match self.add_up(id, &batch.open, env) {
            Added::Up(messages, sums) => {
                let open = &mut batch.open;
                open.bytes = messages.iter().map(|kept| kept.bytes.len() as u64).sum();
                open.messages = messages;
                let before = self.shared.replies.last_proposed();
                self.propose_batch(account, id, open, &batch.reply, env);
                let after = self.shared.replies.last_proposed();
                if let Some(pos) = after.filter(|_| after != before) {
                    for (subject, sum) in sums {
                        self.note_sum(id, &subject, pos, sum, false);
                    }
                }
                None
            }
            Added::Later => Some(batch),
            Added::Refused(error) => {
                self.answer_part(account, id, &batch.reply, &error, env);
                None
            }
        }
    }

    fn add_up(&mut self, id: StreamId, open: &Open, env: &mut impl Env) -> Added {
        let mut sums: BTreeMap<Box<[u8]>, Sum> = BTreeMap::new();
        let mut messages = Vec::with_capacity(open.messages.len());
        for kept in &open.messages {
            let msg = kept.msg();
            let increment = match increment_of(&msg) {
                Ok(increment) => increment,
                Err(error) => return Added::Refused(error),
            };
            let before = match sums.remove(msg.subject) {
                Some(sum) => Total::Known(sum),
                None => self.total(id, msg.subject, env),
            };
            let mut sum = match before {
                Total::Known(sum) => sum,
                Total::Later => return Added::Later,
                Total::Broken => return Added::Refused(errors::MESSAGE_COUNTER_BROKEN),
            };
            sum.add(&increment);
            let (payload, mut told) = (sum.body(), BytesMut::new());
            let headers = if sum.put_sources(msg.headers, &mut told) {
                &told
            } else {
                msg.headers
            };
            messages.push(Kept::new(&Inbound {
                headers,
                payload: &payload,
                ..msg
            }));
            sums.insert(msg.subject.into(), sum);
        }
        Added::Up(messages, sums)
    }
}

//! What concerns consumers: their acknowledgements, flow control, interest, and the work at the end of
//! each batch.

use alloc::vec::Vec;

use protocol::id::{AccountId, Seq, StreamId};
use protocol::js::ack::AckSubject;
use protocol::js::enums::Retention;

use crate::JetStream;
use crate::env::Env;
use crate::stream::Stream;

/// What the replies to flow control messages start with.
const FLOW_CONTROL_PREFIX: &[u8] = b"$JS.FC.";

impl JetStream {
    /// Handles a message on `$JS.ACK.>`. False if nobody listens there.
    pub fn ack(
        &mut self,
        env: &mut impl Env,
        account: AccountId,
        subject: &[u8],
        reply: &[u8],
        payload: &[u8],
    ) -> bool {
        if self.closed {
            return false;
        }
        let Some(ack) = AckSubject::parse(subject) else {
            return false;
        };
        let id = self.shared.accounts.stream(account, ack.stream);
        let Some(stream) = id.and_then(|id| self.streams.get_mut(&id)) else {
            return false;
        };
        let Stream {
            core, consumers, ..
        } = stream;
        consumers.ack(core, &ack, reply, payload, &mut self.shared, env)
    }

    /// Lets a consumer deliver a message again that it had settled or given up; false if it cannot.
    pub fn revive(
        &mut self,
        env: &mut impl Env,
        account: AccountId,
        stream: &str,
        consumer: &str,
        seq: Seq,
    ) -> bool {
        let id = self.shared.accounts.stream(account, stream);
        let Some(stream) = id.and_then(|id| self.streams.get_mut(&id)) else {
            return false;
        };
        let Stream {
            core, consumers, ..
        } = stream;
        consumers.revive(core, consumer, seq, &mut self.shared, env)
    }

    /// Handles a message on `$JS.FC.>`.
    pub fn flow_reply(&mut self, env: &mut impl Env, account: AccountId, subject: &[u8]) {
        let Some(rest) = subject.strip_prefix(FLOW_CONTROL_PREFIX) else {
            return;
        };
        let name = rest.split(|&b| b == b'.').next().unwrap_or_default();
        let Ok(stream) = core::str::from_utf8(name) else {
            return;
        };
        let id = self.shared.accounts.stream(account, stream);
        if let Some(stream) = id.and_then(|id| self.streams.get_mut(&id)) {
            let Stream {
                core, consumers, ..
            } = stream;
            consumers.flow_reply(core, rest, &mut self.shared, env);
        }
    }

    /// A client subscribed or unsubscribed `subject`, which a consumer may deliver to.
    pub fn interest_changed(&mut self, env: &mut impl Env, account: AccountId, subject: &[u8]) {
        if !self.backups.is_idle() {
            self.backup_interest_changed(env, account, subject);
        }
        let mut concerned = Vec::new();
        let listeners = &self.shared.listeners;
        listeners.find(account, subject, &mut concerned);
        for (stream, consumer) in concerned {
            if let Some(stream) = self.streams.get_mut(&stream) {
                let Stream {
                    core, consumers, ..
                } = stream;
                consumers.interest_changed(core, consumer, &mut self.shared, env);
            }
        }
    }

    /// Puts into the log what a stream's consumers have let go of since the last batch ended, so that who
    /// asks about the stream sees what it has acknowledged before.
    pub(crate) fn pump_consumed(&mut self, env: &mut impl Env, id: StreamId) {
        let Some(stream) = self.streams.get_mut(&id) else {
            return;
        };
        let Stream {
            core, consumers, ..
        } = stream;
        if core.config().retention != Retention::Limits && self.shared.dirty.contains(&id) {
            consumers.pump(core, &mut self.shared, env);
        }
    }

    /// Ends a batch of input: consumers deliver, and their progress goes into the log.
    pub fn pump(&mut self, env: &mut impl Env) {
        self.pump_followers(env);
        self.pump_fast(env);
        self.pump_counters(env);
        self.pump_backups(env);
        let mut dirty = core::mem::take(&mut self.shared.dirty);
        dirty.sort_unstable();
        dirty.dedup();
        for id in dirty.drain(..) {
            if let Some(stream) = self.streams.get_mut(&id) {
                let Stream {
                    core, consumers, ..
                } = stream;
                consumers.pump(core, &mut self.shared, env);
            }
        }
        // What was marked while pumping is for the next batch; the buffer is kept.
        dirty.append(&mut self.shared.dirty);
        self.shared.dirty = dirty;
    }
}

//! The consumers of a stream: who reads it, how far each has come, and what the stream may let go of.
//!
//! *Invariant:* each message touches only the consumers that want it; each change of a consumer puts it
//! on the list that the pump visits. Driven by the stream machine: what happened to the stream, what
//! clients asked, committed entries, timers, and once per batch [`Consumers::pump`].

mod acks;
mod advisory;
mod ahead;
mod api;
mod apply;
mod checkpoint;
mod clock;
mod copying;
mod cx;
mod deadlines;
mod deliver;
pub mod delta;
mod happened;
mod info;
mod machine;
pub mod pending;
mod priority;
mod pull;
mod purge;
mod push;
mod replay;
mod request;
mod routes;
mod settings;
mod start;
pub mod state;
mod status;

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use bytes::Bytes;
use protocol::id::{ConsumerId, Seq};
use protocol::js::ack::AckSubject;
use protocol::js::enums::Retention;
use protocol::js::info::ConsumerInfo;
use protocol::store::{ReadError, ReadId};
use slab::Slab;

use crate::api::level_is_enough;
use crate::entry::ConsumerCreate;
use crate::env::{ApiCall, Env};
use crate::shared::{Shared, send_status};
use crate::stream::{Cleared, StreamCore};

use cx::{Cx, Scratch};
use machine::{Loading, Mode};
use routes::{Key, Routes};

pub(crate) use api::check_consumer_request;
pub(crate) use checkpoint::is_whole;
pub(crate) use copying::{Standing, deliver_subject, token};
pub use machine::Consumer;

/// The consumers of one stream. Whether there are any is what every message asks.
#[derive(Debug, Default)]
#[repr(C)]
pub struct Consumers {
    table: Slab<Consumer>,
    by_id: BTreeMap<ConsumerId, Key>,
    by_name: BTreeMap<Box<str>, Key>,
    routes: Routes,
    /// The consumers that the pump visits.
    touched: Vec<Key>,
    /// Those that take everything, have delivered all there is, and may deliver more.
    hungry: Vec<Key>,
    /// Those that take everything and hold messages that must not go unnoticed.
    holding: Vec<Key>,
    /// How many count for nobody: what other streams copy with.
    direct: usize,
    /// How many stand for what other streams copy.
    copying: usize,
    /// How many are made to copy with, whoever does.
    sourcing: usize,
    /// Messages that went while a client worked on them.
    lost: Vec<(Key, Seq)>,
    /// Purges that consumers have not followed yet.
    purged: Vec<Cleared>,
    scratch: Scratch,
}

/// A committed entry that concerns a consumer.
#[derive(Clone, Debug)]
pub enum ConsumerEntry {
    /// A new one.
    Create(ConsumerCreate),
    /// A changed one.
    Update(ConsumerCreate),
    /// One that ends.
    Delete(ConsumerId),
    /// Progress.
    Delta(ConsumerId, Bytes),
}

/// The calls that the stream machine makes.
impl Consumers {
    /// Returns how many consumers count as such in stream info and limits.
    #[must_use]
    pub fn count(&self) -> usize {
        self.table.len() - self.direct
    }

    /// Returns how many take the room that limits give.
    #[must_use]
    pub fn count_limited(&self) -> usize {
        self.table.len() - self.sourcing
    }

    /// Returns how many there are, those among them that count for nobody else.
    #[must_use]
    pub(crate) fn count_with_direct(&self) -> usize {
        self.table.len()
    }

    /// Returns whether a consumer wants messages on `subject` (interest retention).
    #[must_use]
    pub(crate) fn interest_in(&self, subject: &[u8]) -> bool {
        self.routes.any(subject)
    }

    /// Returns the consumers in the order of their names.
    pub fn iter(&self) -> impl Iterator<Item = &Consumer> {
        self.by_name.values().filter_map(|key| self.table.get(*key))
    }

    /// Returns a consumer.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Consumer> {
        self.table.get(*self.by_name.get(name)?)
    }

    /// The stream ends: timers, waiting requests and subscriptions have to go.
    pub(crate) fn on_deleted(
        &mut self,
        core: &mut StreamCore,
        shared: &mut Shared,
        env: &mut impl Env,
    ) {
        let mut cx = Cx::new(core, shared, env);
        for mut consumer in self.table.drain() {
            consumer.close(&mut cx, &mut self.scratch);
        }
        *self = Self::default();
    }

    /// Handles what a client says about a delivery. False if nobody listens.
    pub fn ack(
        &mut self,
        core: &mut StreamCore,
        about: &AckSubject<'_>,
        reply: &[u8],
        payload: &[u8],
        shared: &mut Shared,
        env: &mut impl Env,
    ) -> bool {
        self.settle_lost(core, shared, env);
        self.with_named(
            about.consumer,
            core,
            shared,
            env,
            |consumer, cx, scratch| {
                if consumer.settings.acks == state::Acks::None {
                    return false;
                }
                consumer.on_ack(about, payload, reply, cx, scratch);
                true
            },
        )
        .unwrap_or(false)
    }

    /// Lets a consumer deliver a message again that was settled or has used up its deliveries; false if
    /// it cannot.
    pub fn revive(
        &mut self,
        core: &mut StreamCore,
        consumer: &str,
        seq: Seq,
        shared: &mut Shared,
        env: &mut impl Env,
    ) -> bool {
        self.with_named(consumer, core, shared, env, |consumer, cx, _| {
            consumer.revive(seq, cx)
        })
        .unwrap_or(false)
    }

    /// Handles a request for messages; false if there is no such consumer.
    pub(crate) fn request_next(
        &mut self,
        core: &mut StreamCore,
        consumer: &str,
        call: &ApiCall<'_>,
        shared: &mut Shared,
        env: &mut impl Env,
    ) -> bool {
        if self.get(consumer).is_some() && !level_is_enough(call) {
            let status = b"NATS/1.0 412 Required Api Level\r\n\r\n";
            send_status(call.account, call.msg.reply, status, env);
            return true;
        }
        self.settle_lost(core, shared, env);
        self.with_named(consumer, core, shared, env, |consumer, cx, scratch| {
            consumer.request_next(call.msg.reply, call.msg.payload, cx, scratch);
        })
        .is_some()
    }

    /// Handles the answer to a flow control message; `rest` is the subject after `$JS.FC.`.
    pub fn flow_reply(
        &mut self,
        core: &mut StreamCore,
        rest: &[u8],
        shared: &mut Shared,
        env: &mut impl Env,
    ) {
        let Some(name) = core::str::from_utf8(rest)
            .ok()
            .and_then(|rest| rest.rsplit('.').nth(1))
        else {
            return;
        };
        self.with_named(name, core, shared, env, |consumer, cx, _| {
            consumer.on_flow_reply(rest, cx);
        });
    }

    /// Tells about a consumer; requests whose client is gone end here.
    pub fn info(
        &mut self,
        core: &mut StreamCore,
        consumer: &str,
        shared: &mut Shared,
        env: &mut impl Env,
    ) -> Option<ConsumerInfo> {
        self.settle_lost(core, shared, env);
        self.with_named(consumer, core, shared, env, |consumer, cx, scratch| {
            consumer.info(cx, scratch)
        })
    }

    /// The bytes that a consumer asked for have come.
    pub fn on_read(
        &mut self,
        core: &mut StreamCore,
        consumer: ConsumerId,
        read: ReadId,
        result: Result<Bytes, ReadError>,
        shared: &mut Shared,
        env: &mut impl Env,
    ) {
        self.with(consumer, core, shared, env, |consumer, _, _| {
            if let Loading::Asked(asked, seq) = consumer.loading
                && asked == read
            {
                consumer.loading = Loading::Done(seq, result);
                consumer.ready = true;
            }
        });
    }

    /// Tells whoever waits for messages that the server is about to stop.
    pub fn shut_down(&mut self, env: &mut impl Env) {
        for (_, consumer) in &mut self.table {
            if let Mode::Pull(pull) = &mut consumer.mode {
                pull.end_all_pending(b"409 Server Shutdown", &mut self.scratch.status, env);
            }
        }
    }

    /// The timer `TimerKind::Consumer` of this consumer is due.
    pub(crate) fn on_timer(
        &mut self,
        core: &mut StreamCore,
        consumer: ConsumerId,
        shared: &mut Shared,
        env: &mut impl Env,
    ) {
        self.settle_lost(core, shared, env);
        let ended = self.with(consumer, core, shared, env, |consumer, cx, scratch| {
            consumer.on_timer(cx, scratch);
            consumer.ending && !consumer.logged
        });
        if ended == Some(true) {
            self.remove(consumer, core, shared, env);
        }
    }

    /// A client subscribed or unsubscribed where this consumer delivers to.
    pub fn interest_changed(
        &mut self,
        core: &mut StreamCore,
        consumer: ConsumerId,
        shared: &mut Shared,
        env: &mut impl Env,
    ) {
        self.with(consumer, core, shared, env, |consumer, cx, _| {
            consumer.refresh_interest(cx);
        });
    }

    /// Recovery is over: timers are set, subscriptions looked for, deliveries begin.
    pub fn on_recovered(&mut self, core: &mut StreamCore, shared: &mut Shared, env: &mut impl Env) {
        self.release_unneeded(core);
        let mut cx = Cx::new(core, shared, env);
        for (key, consumer) in &mut self.table {
            consumer.resume(cx.core);
            consumer.settle_gone(&mut cx);
            consumer.activate(&mut cx);
            hold(consumer, key, &mut self.holding);
            after(consumer, key, &mut self.touched, &mut cx);
        }
    }

    /// End of a batch of input, for streams in `shared.dirty`: deliveries run, progress goes into the
    /// log.
    pub fn pump(&mut self, core: &mut StreamCore, shared: &mut Shared, env: &mut impl Env) {
        if !shared.live {
            return;
        }
        self.settle_lost(core, shared, env);
        let mut touched = core::mem::take(&mut self.touched);
        let mut released = Vec::new();
        let before = shared.replies.last_proposed();
        let mut cx = Cx::new(core, shared, env);
        for key in touched.drain(..) {
            let Some(consumer) = self.table.get_mut(key) else {
                continue;
            };
            consumer.touched = false;
            if core::mem::take(&mut consumer.ready) {
                consumer.drive(&mut cx, &mut self.scratch);
                if !consumer.hungry && consumer.is_hungry() {
                    consumer.hungry = true;
                    self.hungry.push(key);
                }
                hold(consumer, key, &mut self.holding);
            }
            consumer.flush(&mut cx);
            released.append(&mut consumer.released);
        }
        self.touched = touched;
        self.release(&released, core, shared, env);
        let after = shared.replies.last_proposed();
        if after > before && core.config().retention != Retention::Limits {
            core.set_consumed(after);
        }
    }
}

impl Consumers {
    /// Runs `f` on a consumer and sees to what follows from it.
    fn with<E: Env, R>(
        &mut self,
        id: ConsumerId,
        core: &StreamCore,
        shared: &mut Shared,
        env: &mut E,
        f: impl FnOnce(&mut Consumer, &mut Cx<'_, E>, &mut Scratch) -> R,
    ) -> Option<R> {
        let key = *self.by_id.get(&id)?;
        self.with_key(key, core, shared, env, f)
    }

    fn with_named<E: Env, R>(
        &mut self,
        name: &str,
        core: &StreamCore,
        shared: &mut Shared,
        env: &mut E,
        f: impl FnOnce(&mut Consumer, &mut Cx<'_, E>, &mut Scratch) -> R,
    ) -> Option<R> {
        let key = *self.by_name.get(name)?;
        self.with_key(key, core, shared, env, f)
    }

    fn with_key<E: Env, R>(
        &mut self,
        key: Key,
        core: &StreamCore,
        shared: &mut Shared,
        env: &mut E,
        f: impl FnOnce(&mut Consumer, &mut Cx<'_, E>, &mut Scratch) -> R,
    ) -> Option<R> {
        let consumer = self.table.get_mut(key)?;
        let mut cx = Cx::new(core, shared, env);
        let result = f(consumer, &mut cx, &mut self.scratch);
        hold(consumer, key, &mut self.holding);
        after(consumer, key, &mut self.touched, &mut cx);
        Some(result)
    }

    /// Settles messages that went while clients worked on them.
    fn settle_lost<E: Env>(&mut self, core: &StreamCore, shared: &mut Shared, env: &mut E) {
        if self.lost.is_empty() && self.purged.is_empty() {
            return;
        }
        let mut cx = Cx::new(core, shared, env);
        for (key, seq) in self.lost.drain(..) {
            if let Some(consumer) = self.table.get_mut(key) {
                consumer.on_lost(seq, &mut cx);
                after(consumer, key, &mut self.touched, &mut cx);
            }
        }
        for cleared in self.purged.drain(..) {
            for (key, consumer) in &mut self.table {
                consumer.on_purged(&cleared, &mut cx);
                after(consumer, key, &mut self.touched, &mut cx);
            }
        }
    }

    /// Removes what consumers outside of the log have settled, as far as nobody else needs it.
    fn release(
        &mut self,
        released: &[Seq],
        core: &mut StreamCore,
        shared: &mut Shared,
        env: &mut impl Env,
    ) {
        for &seq in released {
            if !self.is_free(seq, core) {
                continue;
            }
            if core.is_memory() {
                core.let_go_consumed(seq);
            } else {
                machine::propose_removal(seq, &mut Cx::new(core, shared, env));
            }
        }
    }

    /// Returns whether retention lets go of a message that a consumer has settled.
    fn is_free(&self, seq: Seq, core: &StreamCore) -> bool {
        match core.config().retention {
            Retention::Limits => false,
            // Messages of others are kept for nobody else, but who copies wants those of all.
            Retention::WorkQueue => self.sourcing == 0 || self.is_unneeded(seq, core),
            Retention::Interest => self.is_unneeded(seq, core),
        }
    }
}

/// Puts the consumer on the list that the pump visits, if it has something to do there.
fn after<E: Env>(consumer: &mut Consumer, key: Key, touched: &mut Vec<Key>, cx: &mut Cx<'_, E>) {
    if consumer.wants_pump() {
        touch(consumer, key, touched);
        cx.shared.mark_dirty(cx.core.id());
    }
}

/// Puts the consumer on the list of those that messages that go may concern, if it belongs there.
fn hold(consumer: &mut Consumer, key: Key, holding: &mut Vec<Key>) {
    if !consumer.holding && consumer.is_holding() {
        consumer.holding = true;
        holding.push(key);
    }
}

fn touch(consumer: &mut Consumer, key: Key, touched: &mut Vec<Key>) {
    if !consumer.touched {
        consumer.touched = true;
        touched.push(key);
    }
}

#[cfg(test)]
mod tests;

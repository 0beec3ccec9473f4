//! Consumers that stand for what copies from a stream whose acks remove messages. Copies do not go by the
//! way of deliveries: what has been copied counts as delivered and acknowledged here.
//!
//! *Invariant:* a message is settled only when the stream that copies it has taken it in. Which
//! consumers are such is told by their names alone, so that a restart knows them again.

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;

use bytes::Bytes;
use protocol::id::{ConsumerId, LogPos, Seq};
use protocol::js::check::set_consumer_level;
use protocol::js::config::ConsumerConfig;
use protocol::js::enums::DeliverPolicy;
use protocol::js::json::to_vec;
use protocol::time::Wall;
use sha2::{Digest, Sha256};

use super::Consumers;
use super::cx::Cx;
use super::delta::Op;
use super::machine::{Consumer, is_logged};
use crate::entry::{ConsumerCreate, Entry};
use crate::env::Env;
use crate::shared::Shared;
use crate::stream::StreamCore;

/// Digits of a token.
const TOKEN_LEN: usize = 8;

/// Whether a stream may copy by its consumer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// It is there.
    Ready,
    /// It is there, and paused.
    Paused,
    /// It is about to go, or one of its name does something else.
    Taken,
    /// There is none.
    Missing,
}

/// Returns digits that are the same for the same text, as nats-server names what belongs to a copy.
pub(crate) fn token(text: &str) -> String {
    const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let hash = Sha256::digest(text.as_bytes());
    let digits = hash.iter().take(TOKEN_LEN);
    let digits = digits.filter_map(|byte| DIGITS.get(usize::from(*byte) % DIGITS.len()));
    digits.map(|digit| char::from(*digit)).collect()
}

/// Returns where a consumer of this name would deliver below `prefix`.
pub(crate) fn deliver_subject(prefix: &str, name: &str) -> String {
    alloc::format!("{prefix}.{}", token(name))
}

/// Returns whether a consumer is made to copy with: it takes no room of limits, and a work queue keeps messages
/// for it, too.
pub(super) fn is_sourcing(config: &ConsumerConfig) -> bool {
    config.direct || config.sourcing
}

/// Returns whether a consumer stands for a copy of this server: who copies from elsewhere chooses the
/// subject otherwise.
pub(super) fn is_copying(config: &ConsumerConfig) -> bool {
    let subject = config.deliver_subject.rsplit_once('.');
    config.sourcing && subject.is_some_and(|(_, last)| last == token(&config.durable_name))
}

impl Consumers {
    /// Returns how the consumer `name` of a copy stands.
    pub(crate) fn standing(&self, name: &str, now: Wall) -> Standing {
        match self.get(name) {
            None => Standing::Missing,
            Some(consumer) if !consumer.settings.is_copying || consumer.ending => Standing::Taken,
            Some(consumer) if now < consumer.settings.pause_until => Standing::Paused,
            Some(_) => Standing::Ready,
        }
    }

    /// Makes a consumer for a copy; returns where its entry lies, if it is logged.
    pub(crate) fn make_copying(
        &mut self,
        mut config: ConsumerConfig,
        core: &mut StreamCore,
        shared: &mut Shared,
        env: &mut impl Env,
    ) -> Option<LogPos> {
        set_consumer_level(&mut config);
        let create = ConsumerCreate {
            stream: core.id(),
            consumer: shared.allocate_consumer(),
            time: shared.clock.stamp(env.now()),
            name: Bytes::copy_from_slice(config.durable_name.as_bytes()),
            config: to_vec(&config).into(),
        };
        if !is_logged(&config, core) {
            self.put(&create, core, shared, env);
            return None;
        }
        let entry = Entry::ConsumerCreate(create);
        let pos = env.propose(|out| entry.encode(out));
        shared.replies.proposed(pos);
        Some(pos)
    }

    /// The copy holds all that its consumer wants up to `seq`.
    pub(crate) fn on_copied(
        &mut self,
        name: &str,
        seq: Seq,
        core: &StreamCore,
        shared: &mut Shared,
        env: &mut impl Env,
    ) {
        if self.get(name).is_none_or(|consumer| seq < consumer.next) {
            return;
        }
        self.settle_lost(core, shared, env);
        self.with_named(name, core, shared, env, |consumer, cx, _| {
            consumer.on_copied(seq, cx);
        });
    }

    /// Ends the consumers of copies that are no more: those that the `wanted` do not name with this stream.
    pub(crate) fn end_copying(
        &mut self,
        wanted: &BTreeMap<String, String>,
        core: &mut StreamCore,
        shared: &mut Shared,
        env: &mut impl Env,
    ) {
        if self.copying == 0 {
            return;
        }
        let strays = self.iter().filter(|consumer| {
            let origin = wanted.get(consumer.name());
            consumer.settings.is_copying && origin.is_none_or(|origin| origin != core.name())
        });
        let strays: Vec<(ConsumerId, bool)> = strays.map(|c| (c.id, c.logged)).collect();
        for (id, logged) in strays {
            if logged {
                self.with(id, core, shared, env, |consumer, cx, _| consumer.end(cx));
            } else {
                self.remove(id, core, shared, env);
            }
        }
    }
}

impl Consumer {
    fn on_copied<E: Env>(&mut self, upto: Seq, cx: &mut Cx<'_, E>) {
        let now = cx.env.now().wall;
        loop {
            let next = cx.core.index.next_any(&self.settings.filters, self.next);
            let Some(seq) = next.filter(|seq| *seq <= upto) else {
                break;
            };
            let deliver = Op::Deliver {
                first: seq,
                delivery: self.state.delivered().delivery.next(),
                count: 1,
            };
            self.change(deliver, now);
            self.pass(seq, cx.core);
            self.settle(seq, cx);
        }
        self.next = self.next.max(upto.next());
    }

    /// Returns whether the consumer begins at a message or before it.
    pub(super) fn covers(&self, seq: Seq, time: Wall) -> bool {
        match self.config.deliver_policy {
            DeliverPolicy::ByStartSequence => seq.0 >= self.config.opt_start_seq,
            DeliverPolicy::ByStartTime => {
                self.config.opt_start_time.is_none_or(|start| time >= start)
            }
            DeliverPolicy::All
            | DeliverPolicy::Last
            | DeliverPolicy::New
            | DeliverPolicy::LastPerSubject => true,
        }
    }
}

//! Committed entries about consumers: the only place where consumers come, change and go.
//!
//! *Invariant:* the same entries in the same order give the same consumers and states. A leader's own
//! deltas come back here only to tell that they are synced: their changes were made when they were
//! recorded.

use alloc::boxed::Box;
use alloc::vec::Vec;

use protocol::id::{ConsumerId, LogPos, Seq};
use protocol::js::config::ConsumerConfig;
use protocol::js::enums::Retention;
use protocol::js::json::{Strictness, decode};

use super::copying::is_sourcing;
use super::cx::{Cx, Scratch};
use super::delta::{Op, Ops};
use super::machine::{Consumer, Known, Mode};
use super::state::Acks;
use super::{ConsumerEntry, Consumers, advisory, after, hold};
use crate::entry::ConsumerCreate;
use crate::env::Env;
use crate::shared::Shared;
use crate::stream::StreamCore;

impl Consumers {
    /// Applies a committed entry.
    pub fn apply(
        &mut self,
        core: &mut StreamCore,
        pos: LogPos,
        entry: ConsumerEntry,
        shared: &mut Shared,
        env: &mut impl Env,
    ) {
        match entry {
            ConsumerEntry::Create(create) | ConsumerEntry::Update(create) => {
                self.put(&create, core, shared, env);
                self.answer_applied(pos, create.consumer, core, shared, env);
            }
            ConsumerEntry::Delete(id) => {
                self.remove(id, core, shared, env);
                self.answer_applied(pos, id, core, shared, env);
            }
            ConsumerEntry::Delta(id, delta) => {
                self.apply_delta(pos, id, &delta, core);
                self.answer_applied(pos, id, core, shared, env);
            }
        }
    }

    /// Creates a consumer, or changes the one of its name.
    pub(super) fn put<E: Env>(
        &mut self,
        create: &ConsumerCreate,
        core: &mut StreamCore,
        shared: &mut Shared,
        env: &mut E,
    ) {
        let Ok(config) = decode::<ConsumerConfig>(&create.config, Strictness::Lax) else {
            debug_assert!(false, "configurations are written by this crate");
            return;
        };
        let name = alloc::string::String::from_utf8_lossy(&create.name);
        if let Some(key) = self.by_name.get(&*name).copied() {
            self.change(key, config, core, shared, env);
            return;
        }
        let mut consumer = Consumer::new(create.consumer, &name, create.time, config, core);
        let mut cx = Cx::new(core, shared, env);
        if cx.shared.live {
            consumer.activate(&mut cx);
            advisory::created(&consumer, &mut cx);
        }
        self.insert(consumer);
        if let Some(key) = self.by_id.get(&create.consumer).copied()
            && let Some(consumer) = self.table.get_mut(key)
        {
            after(consumer, key, &mut self.touched, &mut cx);
        }
    }

    pub(super) fn insert(&mut self, consumer: Consumer) {
        let (id, name) = (consumer.id, Box::from(consumer.name()));
        let entry = self.table.vacant_entry();
        let key = entry.key();
        self.routes
            .insert(key, &consumer.settings.filters, consumer.told());
        self.by_id.insert(id, key);
        self.by_name.insert(name, key);
        self.direct += usize::from(consumer.config.direct);
        self.sourcing += usize::from(is_sourcing(&consumer.config));
        self.copying += usize::from(consumer.settings.is_copying);
        let consumer = entry.insert(consumer);
        hold(consumer, key, &mut self.holding);
    }

    fn change<E: Env>(
        &mut self,
        key: usize,
        config: ConsumerConfig,
        core: &mut StreamCore,
        shared: &mut Shared,
        env: &mut E,
    ) {
        let Some(consumer) = self.table.get_mut(key) else {
            return;
        };
        let mut cx = Cx::new(core, shared, env);
        let was_paused = consumer.config.pause_until;
        self.routes.remove(key, &consumer.settings.filters);
        self.direct -= usize::from(consumer.config.direct);
        self.direct += usize::from(config.direct);
        self.sourcing -= usize::from(is_sourcing(&consumer.config));
        self.sourcing += usize::from(is_sourcing(&config));
        self.copying -= usize::from(consumer.settings.is_copying);
        consumer.configure(config, &mut cx);
        self.copying += usize::from(consumer.settings.is_copying);
        self.routes
            .insert(key, &consumer.settings.filters, consumer.told());
        hold(consumer, key, &mut self.holding);
        if cx.shared.live {
            if consumer.config.pause_until != was_paused {
                advisory::paused(consumer, &mut cx);
            }
            after(consumer, key, &mut self.touched, &mut cx);
        }
        self.release_unwanted(core);
    }

    /// Ends a consumer.
    pub(super) fn remove<E: Env>(
        &mut self,
        id: ConsumerId,
        core: &mut StreamCore,
        shared: &mut Shared,
        env: &mut E,
    ) {
        let Some(key) = self.by_id.remove(&id) else {
            return;
        };
        let mut consumer = self.table.remove(key);
        self.by_name.remove(consumer.name());
        self.routes.remove(key, &consumer.settings.filters);
        self.direct -= usize::from(consumer.config.direct);
        self.sourcing -= usize::from(is_sourcing(&consumer.config));
        self.copying -= usize::from(consumer.settings.is_copying);
        for list in [&mut self.touched, &mut self.hungry, &mut self.holding] {
            list.retain(|listed| *listed != key);
        }
        self.lost.retain(|(lost, _)| *lost != key);
        consumer.close(&mut Cx::new(core, shared, env), &mut self.scratch);
        self.release_unwanted(core);
        if self.table.is_empty() && core.config().retention == Retention::Interest {
            // nats-server purges the stream then.
            core.set_has_first(true);
        }
    }

    fn apply_delta(&mut self, pos: LogPos, id: ConsumerId, delta: &[u8], core: &mut StreamCore) {
        let Some(consumer) = self.by_id.get(&id).and_then(|key| self.table.get_mut(*key)) else {
            return;
        };
        if consumer.on_delta(pos) == Known::No {
            let applied = consumer.state.apply_delta(delta);
            debug_assert!(applied.is_ok(), "deltas are written by this crate");
        }
        if core.config().retention == Retention::Limits {
            return;
        }
        let acks = consumer.settings.acks;
        let mut was_reset = false;
        for op in Ops::new(delta).map_while(Result::ok) {
            was_reset |= matches!(op, Op::Reset { .. });
            let (first, count) = match op {
                Op::Settle { first, count } => (first, count),
                Op::Deliver { first, count, .. } if acks == Acks::None => (first, count),
                Op::Deliver { .. }
                | Op::Time(_)
                | Op::Redeliver { .. }
                | Op::SettleUpTo { .. }
                | Op::Touch { .. }
                | Op::Exhaust { .. }
                | Op::Revive { .. }
                | Op::Forget { .. }
                | Op::Place { .. }
                | Op::Reset { .. } => continue,
            };
            for seq in (first.0..first.0.saturating_add(count)).map(Seq) {
                if self.is_free(seq, core) {
                    core.let_go_consumed(seq);
                }
            }
        }
        if was_reset {
            self.release_unwanted(core);
        }
    }

    /// Removes what retention by interest kept for consumers that want it no more: when one ends, changes
    /// or starts again. A work queue keeps such messages for whoever comes.
    pub(super) fn release_unwanted(&mut self, core: &mut StreamCore) {
        if core.config().retention == Retention::Interest {
            self.release_unneeded(core);
        }
    }

    /// Removes what retention kept for consumers that do not need it any more, also after a restart that lost
    /// acks which a checkpoint already counts.
    pub(super) fn release_unneeded(&mut self, core: &mut StreamCore) {
        if core.config().retention == Retention::Limits {
            return;
        }
        let mut free: Vec<Seq> = Vec::new();
        let mut next = core.index.first_seq();
        while let Some(seq) = core.index.next_any(&[], next) {
            if self.is_unneeded(seq, core) {
                free.push(seq);
            }
            next = seq.next();
        }
        for seq in free {
            core.let_go_consumed(seq);
        }
    }

    pub(super) fn is_unneeded(&self, seq: Seq, core: &StreamCore) -> bool {
        let Some(meta) = core.index.meta(seq) else {
            return false;
        };
        let (mut wanted, mut needed) = (false, false);
        self.routes.each(core.index.subject(meta.subject), |key| {
            let Some(consumer) = self.table.get(key) else {
                return;
            };
            // Where a copy begins later, what lies before it is nobody's yet.
            wanted |= consumer.covers(seq, meta.time);
            needed |= consumer.state.needs(seq);
        });
        match core.config().retention {
            Retention::Limits => false,
            // What nobody wants yet waits for its consumer.
            Retention::WorkQueue => wanted && !needed,
            Retention::Interest => !needed,
        }
    }
}

impl Consumer {
    /// Tells whoever waits that the consumer is gone.
    pub(super) fn close<E: Env>(&mut self, cx: &mut Cx<'_, E>, scratch: &mut Scratch) {
        cx.shared.timers.clear(self.timer(cx.core));
        self.stop_listening(cx);
        if !cx.shared.live {
            return;
        }
        if let Mode::Pull(pull) = &mut self.mode {
            pull.end_all(b"409 Consumer Deleted", &mut scratch.status, cx.env);
        }
        advisory::deleted(self, cx);
    }

    /// Settles a message that went away.
    pub(super) fn on_lost<E: Env>(&mut self, seq: Seq, cx: &mut Cx<'_, E>) {
        if self.knows(seq) {
            if let Some(p) = self.state.pending(seq).copied() {
                advisory::lost(self, &p, p.redeliveries(), cx);
            }
            let limits = cx.core.config().retention == Retention::Limits;
            match self.state.pending(seq).map(|p| p.delivery) {
                // It counts as acknowledged, and with it what lies before; but where acks remove
                // messages, none goes that nobody has acknowledged.
                Some(delivery) if self.settings.acks == Acks::All && limits => {
                    self.settle_up_to(seq, delivery, cx);
                }
                Some(_) | None => self.settle(seq, cx),
            }
        }
    }

    /// Returns whether the message is out or has used up its deliveries.
    pub(super) fn knows(&self, seq: Seq) -> bool {
        self.state.pending(seq).is_some() || self.state.is_exhausted(seq)
    }

    /// Handles the answer to a flow control message; `rest` is its subject after `$JS.FC.`.
    pub(super) fn on_flow_reply<E: Env>(&mut self, rest: &[u8], _: &mut Cx<'_, E>) {
        let Mode::Push(push) = &mut self.mode else {
            return;
        };
        if let Some(flow) = &mut push.flow
            && flow.asked().is_some_and(|asked| asked.ends_with(rest))
        {
            flow.answered();
            self.ready = true;
        }
    }
}

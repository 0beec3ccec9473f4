//! What happens to a stream, as far as it concerns its consumers: messages come and go, and what is
//! configured changes.
//!
//! *Invariant:* each message touches only the consumers that want it, or may have it out.

use protocol::id::Seq;

use super::machine::Consumer;
use super::routes::Key;
use super::{Consumers, hold, touch};
use crate::entry::Stored;
use crate::env::Env;
use crate::shared::Shared;
use crate::stream::{Cleared, StreamCore};

impl Consumers {
    /// The message was stored: whoever waits for it gets it in the pump.
    pub fn on_stored(
        &mut self,
        core: &mut StreamCore,
        seq: Seq,
        msg: &Stored<'_>,
        shared: &mut Shared,
        _: &mut impl Env,
    ) {
        // As streams have none as a rule, nothing else is looked at.
        if !shared.live || self.table.is_empty() {
            return;
        }
        let Self {
            routes,
            table,
            touched,
            hungry,
            ..
        } = self;
        for key in hungry.drain(..) {
            if let Some(consumer) = table.get_mut(key) {
                consumer.hungry = false;
                consumer.ready = true;
                touch(consumer, key, touched);
            }
        }
        let is_empty = core.index.messages() == 0;
        routes.each_told(msg.subject, |key| {
            let Some(consumer) = table.get_mut(key) else {
                return;
            };
            // One that starts later, or was sent ahead by a reset, passes over this message.
            if seq < consumer.next {
                return;
            }
            // One that is larger than its stream may be has gone already, with all others.
            if !is_empty {
                consumer.ahead.add();
            }
            if consumer.has_credit() {
                consumer.ready = true;
                touch(consumer, key, touched);
            }
        });
        // What it has pushed out of the stream may have been with a client.
        if !self.touched.is_empty() || !self.lost.is_empty() || !self.purged.is_empty() {
            shared.mark_dirty(core.id());
        }
    }

    /// A message goes away that no consumer has consumed (limits, delete, rollup).
    pub(crate) fn on_removed(&mut self, seq: Seq, subject: &[u8], shared: &mut Shared) {
        if !shared.live {
            return;
        }
        let Self {
            routes,
            table,
            holding,
            lost,
            ..
        } = self;
        let mut concern = |key: Key, consumer: &mut Consumer| {
            if consumer.is_ahead(seq) {
                consumer.forget_ahead();
            } else if consumer.knows(seq) {
                lost.push((key, seq));
            }
        };
        holding.retain(|&key| {
            let Some(consumer) = table.get_mut(key) else {
                return false;
            };
            // One that has got filters meanwhile hears by these, and of nothing else.
            if consumer.counts_when_asked() {
                concern(key, consumer);
            }
            consumer.holding = consumer.is_holding();
            consumer.holding
        });
        routes.each_told(subject, |key| {
            if let Some(consumer) = table.get_mut(key) {
                concern(key, consumer);
            }
        });
    }

    /// Many messages went away (purge): everything counted has to be counted again.
    pub(crate) fn on_purged(
        &mut self,
        cleared: Cleared,
        core: &mut StreamCore,
        shared: &mut Shared,
    ) {
        if !shared.live {
            return;
        }
        for (_, consumer) in &mut self.table {
            consumer.recount(core);
        }
        self.purged.push(cleared);
        shared.mark_dirty(core.id());
    }

    /// A message goes away because a later one stands for it; [`Consumers::on_rolled_up`] follows.
    pub(crate) fn on_replaced(&mut self, seq: Seq, subject: &[u8], shared: &Shared) {
        if !shared.live {
            return;
        }
        let Self { routes, table, .. } = self;
        routes.each_told(subject, |key| {
            if let Some(consumer) = table.get_mut(key)
                && consumer.is_ahead(seq)
            {
                consumer.forget_ahead();
            }
        });
    }

    /// Messages went away that a later one stands for.
    pub(crate) fn on_rolled_up(&mut self, cleared: Cleared, shared: &Shared) {
        if shared.live && !self.table.is_empty() {
            self.purged.push(cleared);
        }
    }

    /// The stream's configuration changed; filters have to be made again.
    pub(crate) fn on_updated(&mut self, core: &mut StreamCore, shared: &mut Shared) {
        for (key, consumer) in &mut self.table {
            self.routes.remove(key, &consumer.settings.filters);
            consumer.refilter(core);
            self.routes
                .insert(key, &consumer.settings.filters, consumer.told());
            hold(consumer, key, &mut self.holding);
            // What it waits for may be found under another filter now.
            consumer.ready = true;
            touch(consumer, key, &mut self.touched);
        }
        // Retention may have become one that keeps only what somebody waits for.
        self.release_unwanted(core);
        shared.mark_dirty(core.id());
    }
}

//! How many messages lie ahead of a consumer.
//!
//! *Invariant:* the number can be told at any time. That of a consumer with filters is kept with every
//! message that comes or goes, and so is that of one that starts with the last message of each subject,
//! which nats-server counts in its own way. One that takes everything counts when it is asked, from what
//! the index knows, so that ten thousand of them cost a publisher nothing.

use alloc::vec::Vec;

use protocol::js::config::ConsumerConfig;
use protocol::js::enums::DeliverPolicy;

use super::machine::Consumer;
use super::routes::Told;
use super::settings::Settings;
use crate::index::Tally;
use crate::stream::StreamCore;

/// What was counted, and when.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Ahead {
    count: u64,
    /// The index's count at that time: whatever it has more since then lies ahead, too. Nothing if
    /// the consumer begins later than the next message, or has filters.
    as_of: Option<Tally>,
}

impl Ahead {
    /// Counts a message that a filter has let in.
    pub(super) fn add(&mut self) {
        self.count += 1;
    }

    /// Uncounts a message that was delivered or is gone.
    pub(super) fn take(&mut self) {
        self.count = self.count.saturating_sub(1);
    }
}

impl Consumer {
    /// Returns how many matching messages were not delivered yet.
    #[must_use]
    pub fn num_pending(&self, core: &StreamCore) -> u64 {
        if !self.counts_when_asked() {
            return self.ahead.count;
        }
        let now = core.index.tally();
        let added = self.ahead.as_of.and_then(|before| now.added_since(before));
        added.map_or_else(|| self.count(core), |added| self.ahead.count + added)
    }

    /// Returns whether the consumer need not be told of each message that comes or goes.
    pub(super) fn counts_when_asked(&self) -> bool {
        counts_when_asked(&self.config, &self.settings)
    }

    /// Returns how the consumer learns of messages.
    pub(super) fn told(&self) -> Told {
        if self.counts_when_asked() {
            Told::No
        } else {
            Told::Yes
        }
    }

    /// Counts the messages that lie ahead anew.
    pub(super) fn recount(&mut self, core: &StreamCore) {
        self.ahead = Ahead {
            count: self.count(core),
            as_of: self.as_of(core),
        };
    }

    /// Makes the count one of this moment, so that a message can be taken from it.
    pub(super) fn count_now(&mut self, core: &StreamCore) {
        if self.counts_when_asked() {
            self.ahead = Ahead {
                count: self.num_pending(core),
                as_of: self.as_of(core),
            };
        }
    }

    fn as_of(&self, core: &StreamCore) -> Option<Tally> {
        let is_next = self.next <= core.index.last_seq().next();
        (is_next && self.counts_when_asked()).then(|| core.index.tally())
    }

    fn count(&self, core: &StreamCore) -> u64 {
        let filters = &self.settings.filters;
        if self.config.deliver_policy != DeliverPolicy::LastPerSubject {
            return core.index.num_pending(filters, self.next);
        }
        // nats-server counts so also where the consumer has passed its start.
        let from = self.skip.front().unwrap_or(self.next).max(self.next);
        let mut last = Vec::new();
        core.index.last_per_subject(filters, &mut last);
        last.iter().filter(|seq| **seq >= from).count() as u64
    }

    /// Returns whether the next message that is stored, whichever it is, can be delivered.
    pub(super) fn is_hungry(&self) -> bool {
        self.counts_when_asked() && self.has_credit() && !self.is_full() && !self.ending
    }

    /// Returns whether a message that goes may be one that the consumer has handed out.
    pub(super) fn is_holding(&self) -> bool {
        let out = self.state.num_pending_acks() > 0 || self.state.exhausted().next().is_some();
        self.counts_when_asked() && out
    }
}

/// Returns whether a consumer of this configuration takes every message, in the order of the stream.
pub(super) fn counts_when_asked(config: &ConsumerConfig, settings: &Settings) -> bool {
    settings.filters.is_empty() && config.deliver_policy != DeliverPolicy::LastPerSubject
}

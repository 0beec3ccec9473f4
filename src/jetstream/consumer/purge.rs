//! What a purge or a roll-up of the stream does to a consumer.
//!
//! *Invariant:* the consumer passes over messages only if none that it wants is left among them; what is
//! out and gone is settled. nats-server forgets on this occasion what it was about to deliver again, until
//! the ack wait is over, and so does this.

use alloc::vec::Vec;

use protocol::id::Seq;
use protocol::js::enums::{DeliverPolicy, Retention};
use protocol::subject::is_subset;
use protocol::time::Instant;

use super::advisory;
use super::cx::Cx;
use super::delta::Op;
use super::machine::Consumer;
use super::pending::{Pending, Stage};
use super::state::{DeliverySeq, Position};
use crate::env::Env;
use crate::stream::Cleared;

/// How a purge lies to the subjects that a consumer wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reach {
    /// It is about all of them.
    All,
    /// It is about some of them.
    Some,
    /// It is about none of them.
    Nothing,
}

impl Consumer {
    /// Follows a purge.
    pub(super) fn on_purged<E: Env>(&mut self, cleared: &Cleared, cx: &mut Cx<'_, E>) {
        let reach = self.reach(&cleared.subject);
        if reach == Reach::Nothing {
            return;
        }
        let start = match (reach, cleared.first_matching) {
            (Reach::All, None) => cleared.last.next(),
            (Reach::All, Some(first)) => first,
            (Reach::Some | Reach::Nothing, _) => cleared.first,
        };
        self.next = self.next.max(start);
        if let Some(p) = cleared
            .only
            .and_then(|seq| self.state.pending(seq))
            .copied()
        {
            // To nats-server one message alone is one that was deleted.
            advisory::lost(self, &p, p.redeliveries(), cx);
        }
        let floor = self.settle_cleared(start, reach, cx);
        let delivered = Position {
            delivery: self.state.delivered().delivery,
            stream: Seq(self.next.0.saturating_sub(1)),
        };
        let ack_floor = if self.state.num_pending_acks() == 0 {
            self.forget_exhausted(cx);
            delivered
        } else {
            floor
        };
        let place = Op::Place {
            delivered,
            ack_floor,
        };
        if delivered != self.state.delivered() || ack_floor != self.state.ack_floor() {
            self.change(place, cx.env.now().wall);
        }
        self.forget_redeliveries(cx);
        if self.config.deliver_policy == DeliverPolicy::LastPerSubject {
            self.recount(cx.core);
        }
        self.ready = true;
    }

    fn reach(&self, purged: &[u8]) -> Reach {
        if purged.is_empty() {
            return Reach::All;
        }
        let mut filters = self.config.filters().map(str::as_bytes).peekable();
        if filters.peek().is_none() {
            return Reach::Some;
        }
        let (mut inside, mut outside, mut around) = (false, false, false);
        for filter in filters {
            let is_inside = is_subset(filter, purged);
            inside |= is_inside;
            outside |= !is_inside;
            around |= is_subset(purged, filter);
        }
        match (inside, outside) {
            (true, false) => Reach::All,
            // With some filters outside of the purge, moving on to its end would lose their messages.
            (true, true) => Reach::Some,
            (false, _) if around => Reach::Some,
            (false, _) => Reach::Nothing,
        }
    }

    /// Settles what is out and behind the consumer now; returns where its ack floor is, if anything is
    /// still out.
    fn settle_cleared<E: Env>(&mut self, start: Seq, reach: Reach, cx: &mut Cx<'_, E>) -> Position {
        let mut floor = self.state.ack_floor();
        if floor.stream >= start {
            return floor;
        }
        floor.stream = Seq(start.0.saturating_sub(1));
        let is_over = |p: &&Pending| {
            let is_gone = || cx.core.index.meta(p.seq).is_none();
            p.seq <= floor.stream || (reach == Reach::Some && is_gone())
        };
        let over = self.state.pending_iter().filter(is_over);
        let over: Vec<(Seq, DeliverySeq)> = over.map(|p| (p.seq, p.delivery)).collect();
        for (seq, delivery) in over {
            floor.delivery = floor.delivery.max(delivery);
            self.ready |= self.is_full();
            self.settle(seq, cx);
        }
        floor
    }

    /// What used up its deliveries is no longer told about once nothing is out; where the stream waits
    /// for acks, it is kept all the same.
    fn forget_exhausted<E: Env>(&mut self, cx: &mut Cx<'_, E>) {
        let keeps = cx.core.config().retention != Retention::Limits;
        let is_over = |seq: &Seq| !keeps || cx.core.index.meta(*seq).is_none();
        let over: Vec<Seq> = self.state.exhausted().filter(is_over).collect();
        for seq in over {
            self.forget_message(seq, cx);
        }
    }

    fn forget_message<E: Env>(&mut self, seq: Seq, cx: &mut Cx<'_, E>) {
        self.ready |= self.is_full();
        let stage = self.state.pending(seq).map(|p| p.stage);
        if stage == Some(Stage::Queued) {
            self.queued -= 1;
        }
        self.change(Op::Forget { seq }, cx.env.now().wall);
    }

    fn forget_redeliveries<E: Env>(&mut self, cx: &mut Cx<'_, E>) {
        self.spent.clear();
        if self.queued == 0 {
            return;
        }
        let now = cx.env.now();
        let queued = self
            .state
            .pending_iter()
            .filter(|p| p.stage == Stage::Queued);
        let queued: Vec<(Seq, u64)> = queued
            .map(|p| {
                let passed = now.wall.0.saturating_sub(p.since.0);
                let wait = self.settings.ack_wait_ns(p.deliveries).max(1);
                // One whose time was up waits once more: that began when it was queued.
                (p.seq, wait - passed % wait)
            })
            .collect();
        for (seq, left_ns) in queued {
            self.queued -= 1;
            self.state.set_stage(seq, Stage::Out);
            self.set_due(seq, Instant(now.mono.0.saturating_add(left_ns)), cx);
        }
    }

    /// Settles all messages that are out and no longer in the stream.
    pub(super) fn settle_gone<E: Env>(&mut self, cx: &mut Cx<'_, E>) {
        let known = self
            .state
            .pending_iter()
            .map(|p| p.seq)
            .chain(self.state.exhausted());
        let gone: Vec<Seq> = known
            .filter(|seq| cx.core.index.meta(*seq).is_none())
            .collect();
        for seq in gone {
            self.on_lost(seq, cx);
        }
    }
}

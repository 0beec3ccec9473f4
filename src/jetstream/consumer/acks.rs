//! What clients say about messages they got.
//!
//! *Invariant:* an ack that asks for an answer gets it when what it changed is on disk; one that comes
//! too late or twice changes nothing and is answered all the same.

use protocol::id::Seq;
use protocol::js::ack::{Ack, AckSubject};
use protocol::js::enums::Retention;
use protocol::time::{Instant, Now, Wall};

use super::advisory;
use super::cx::{Cx, Scratch};
use super::delta::Op;
use super::machine::Consumer;
use super::pending::Stage;
use super::settings::ns;
use super::state::{Acks, DeliverySeq};
use crate::env::Env;

/// Whether an ack may count in the consumer's statistics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sample {
    Yes,
    No,
}

impl Consumer {
    /// Handles what a client says about the delivery `about`.
    pub(super) fn on_ack<E: Env>(
        &mut self,
        about: &AckSubject<'_>,
        payload: &[u8],
        reply: &[u8],
        cx: &mut Cx<'_, E>,
        scratch: &mut Scratch,
    ) {
        match Ack::parse(payload) {
            Ack::Ack => {
                if !self.acknowledge(about, Sample::Yes, cx) {
                    return;
                }
            }
            Ack::Next { request } => {
                self.acknowledge(about, Sample::Yes, cx);
                self.request_next(reply, request, cx, scratch);
                return;
            }
            Ack::Term { reason } => {
                let was_delivered = self.acknowledge(about, Sample::No, cx);
                // That is told in any case.
                advisory::terminated(self, about, reason, cx);
                if !was_delivered {
                    return;
                }
                advisory::died(self, Seq(about.stream_seq), reason, cx);
            }
            Ack::Nak { delay } => self.on_nak(about, delay.map(ns), cx),
            Ack::InProgress => self.on_progress(Seq(about.stream_seq), cx),
            Ack::Unknown => {}
        }
        if about.stream_seq > 0 {
            self.confirm(reply, cx);
        }
    }

    /// Settles what an ack covers; false if it is about a message that was never delivered.
    fn acknowledge<E: Env>(
        &mut self,
        about: &AckSubject<'_>,
        sample: Sample,
        cx: &mut Cx<'_, E>,
    ) -> bool {
        let seq = Seq(about.stream_seq);
        if seq > self.state.delivered().stream {
            return false;
        }
        match self.settings.acks {
            Acks::None => {}
            Acks::Explicit => {
                if sample == Sample::Yes {
                    self.sample(about, cx);
                }
                if self.state.pending(seq).is_some() || self.state.is_exhausted(seq) {
                    self.settle(seq, cx);
                } else {
                    // It changes nothing, and counts as the last sign of life.
                    self.change(Op::Forget { seq }, cx.env.now().wall);
                }
            }
            Acks::All => self.settle_up_to(seq, DeliverySeq(about.consumer_seq), cx),
        }
        true
    }

    /// Settles everything up to a delivery.
    pub(super) fn settle_up_to<E: Env>(
        &mut self,
        seq: Seq,
        delivery: DeliverySeq,
        cx: &mut Cx<'_, E>,
    ) {
        let delivery = delivery.min(self.state.delivered().delivery);
        let floor = self.state.ack_floor();
        if delivery <= floor.delivery || seq <= floor.stream {
            return;
        }
        // What has used up its deliveries is not acknowledged that way.
        if self.first_pending().is_none_or(|first| first > seq) {
            return;
        }
        // The stream has to learn which messages these are, and the log names them.
        if self.frees_messages(cx) {
            while let Some(first) = self.first_pending()
                && first <= seq
            {
                self.settle(first, cx);
            }
        }
        self.ready |= self.is_full();
        self.change(Op::SettleUpTo { seq, delivery }, cx.env.now().wall);
        if self.queued > 0 {
            let queued = self
                .state
                .pending_iter()
                .filter(|p| p.stage == Stage::Queued);
            self.queued = queued.count();
        }
    }

    /// Returns whether the stream lets go of messages that are settled.
    fn frees_messages<E: Env>(&self, cx: &Cx<'_, E>) -> bool {
        cx.core.config().retention != Retention::Limits
    }

    fn first_pending(&self) -> Option<Seq> {
        self.state.pending_iter().next().map(|p| p.seq)
    }

    fn sample<E: Env>(&mut self, about: &AckSubject<'_>, cx: &mut Cx<'_, E>) {
        let percent = self.settings.sample_percent;
        if percent == 0 || (percent < 100 && cx.env.rng().below(100) >= percent) {
            return;
        }
        if let Some(p) = self.state.pending(Seq(about.stream_seq)) {
            let took_ns = cx.env.now().wall.0.saturating_sub(p.since.0);
            advisory::sampled(self, about, took_ns, cx);
        }
    }

    fn on_nak<E: Env>(
        &mut self,
        about: &AckSubject<'_>,
        delay_ns: Option<u64>,
        cx: &mut Cx<'_, E>,
    ) {
        // What is no number is no delivery. One that is too high may be: a crash forgets the last ones.
        if i64::try_from(about.consumer_seq).is_err() {
            return;
        }
        let seq = Seq(about.stream_seq);
        let Some(p) = self.state.pending(seq).copied() else {
            return;
        };
        advisory::nak(self, about, cx);
        let now = cx.env.now();
        match delay_ns {
            Some(delay_ns) => {
                self.spent.retain(|spent| *spent != seq);
                if p.stage == Stage::Queued {
                    self.queued -= 1;
                    self.state.set_stage(seq, Stage::Out);
                }
                // The ack wait begins such that it ends with the delay.
                let wait = self.settings.ack_wait_ns(p.deliveries);
                let until = now.wall.0.saturating_add(delay_ns);
                self.touch(seq, Wall(until.saturating_sub(wait)), now);
                self.set_due(seq, Instant(now.mono.0.saturating_add(delay_ns)), cx);
            }
            None if p.deliveries >= self.settings.deliveries_max => {
                self.spent.push(seq);
                self.ready = true;
            }
            None if p.stage == Stage::Out => self.deliver_again(seq, cx),
            None => {}
        }
    }

    /// Begins the ack wait of a message anew: the client still works on it.
    fn on_progress<E: Env>(&mut self, seq: Seq, cx: &mut Cx<'_, E>) {
        let Some(p) = self.state.pending(seq).copied() else {
            return;
        };
        let now = cx.env.now();
        let wait = self.settings.ack_wait_ns(p.deliveries);
        self.touch(seq, now.wall, now);
        self.set_due(seq, Instant(now.mono.0.saturating_add(wait)), cx);
    }

    fn touch(&mut self, seq: Seq, since: Wall, now: Now) {
        self.change(Op::Touch { seq, since }, now.wall);
    }

    /// Queues a message for delivery that was settled or has used up its deliveries; false if it cannot
    /// be delivered.
    pub(super) fn revive<E: Env>(&mut self, seq: Seq, cx: &mut Cx<'_, E>) -> bool {
        let is_there = cx.core.index.meta(seq).is_some();
        if self.settings.acks != Acks::Explicit
            || !is_there
            || seq > self.state.delivered().stream
            || self.state.pending(seq).is_some()
        {
            return false;
        }
        self.change(Op::Revive { seq }, cx.env.now().wall);
        self.state.set_stage(seq, Stage::Queued);
        self.redeliver.push_back(seq);
        self.queued += 1;
        self.ready = true;
        true
    }

    /// Gives up what was given back after its last delivery, unless it has been acknowledged since.
    pub(super) fn give_up_spent<E: Env>(&mut self, cx: &mut Cx<'_, E>) {
        for seq in core::mem::take(&mut self.spent) {
            self.deliver_again(seq, cx);
        }
    }

    /// Queues a message for redelivery, unless it has used up its deliveries.
    pub(super) fn deliver_again<E: Env>(&mut self, seq: Seq, cx: &mut Cx<'_, E>) {
        let Some(p) = self.state.pending(seq).copied() else {
            return;
        };
        self.ready = true;
        if p.deliveries >= self.settings.deliveries_max {
            self.change(Op::Exhaust { seq }, cx.env.now().wall);
            advisory::max_deliveries(self, &p, cx);
            return;
        }
        self.state.set_stage(seq, Stage::Queued);
        self.redeliver.push_back(seq);
        self.queued += 1;
    }
}

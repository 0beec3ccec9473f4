//! What a consumer does when time passes: redeliveries, expired requests, heartbeats, inactivity.
//!
//! *Invariant:* one timer per consumer. It may fire early, never late: whoever brings a deadline
//! forward moves it, and when it fires the next one is computed from everything that waits.

use alloc::vec::Vec;

use protocol::id::Seq;
use protocol::time::{Instant, Wall};

use super::cx::{Cx, Scratch};
use super::machine::{Consumer, Mode};
use super::pull::{self, LastDelivered, Supply};
use super::settings::Settings;
use super::{advisory, status};
use crate::env::{Env, Outgoing};
use crate::stream::StreamCore;

impl Consumer {
    /// Does what is due.
    pub(super) fn on_timer<E: Env>(&mut self, cx: &mut Cx<'_, E>, scratch: &mut Scratch) {
        self.disarm();
        let now = cx.env.now();
        self.expire_acks(now.mono, cx);
        self.end_pause(now.wall, cx);
        let last = self.last_delivered();
        let supply = self.supply(cx.core);
        match &mut self.mode {
            Mode::Pull(pull) => {
                if pull.next_event().is_some_and(|at| at <= now.mono) {
                    pull.sweep(supply, last, &mut scratch.status, cx.env);
                }
                if pull.pin.as_ref().is_some_and(|pin| pin.until <= now.mono) {
                    self.unpin("timeout", cx);
                }
            }
            Mode::Push(push) => {
                if push.active && push.heartbeat_at().is_some_and(|at| at <= now.mono) {
                    push.sent_at = now.mono;
                    self.send_heartbeat(cx, scratch);
                }
            }
        }
        self.check_inactivity(now.mono, cx, scratch);
        self.ready = true;
        self.arm_all(cx);
    }

    /// Returns what there is to hope for when a request's time comes. Short of acks, a request that
    /// got something has had its share: nobody knows when the next ack comes.
    fn supply(&self, core: &StreamCore) -> Supply {
        if self.queued == 0 && (self.is_full() || self.num_pending(core) == 0) {
            Supply::Empty
        } else {
            Supply::More
        }
    }

    /// Queues the messages whose ack did not come in time, in stream order.
    fn expire_acks<E: Env>(&mut self, now: Instant, cx: &mut Cx<'_, E>) {
        let mut expired: Vec<Seq> = Vec::new();
        while let Some(seq) = self.deadlines.pop_due(&self.state, now) {
            expired.push(seq);
        }
        expired.sort_unstable();
        // A message may have had two equal deadlines.
        expired.dedup();
        for seq in expired {
            // As in nats-server, one that was delivered again stays until somebody asks for more.
            let stays = self.state.pending(seq).is_some_and(|p| {
                let again = p.deliveries.saturating_sub(1).max(1);
                p.deliveries >= self.settings.deliveries_max && again < self.settings.deliveries_max
            });
            if stays {
                self.spent.push(seq);
                self.ready = true;
            } else {
                self.deliver_again(seq, cx);
            }
        }
    }

    /// Looks at a pause that the configuration asks for: the end of one that was over before is not told.
    pub(super) fn begin_pause<E: Env>(&mut self, cx: &mut Cx<'_, E>) {
        if self.settings.pause_until <= cx.env.now().wall {
            self.settings.pause_until = Wall(0);
        }
    }

    fn end_pause<E: Env>(&mut self, now: Wall, cx: &mut Cx<'_, E>) {
        let until = self.settings.pause_until;
        if until != Wall(0) && until <= now {
            self.settings.pause_until = Wall(0);
            advisory::paused(self, cx);
        }
    }

    /// Ends the consumer if nobody has used it for too long.
    fn check_inactivity<E: Env>(
        &mut self,
        now: Instant,
        cx: &mut Cx<'_, E>,
        scratch: &mut Scratch,
    ) {
        if self.inactive_at().is_none_or(|at| at > now) {
            return;
        }
        let last = self.last_delivered();
        if let Mode::Pull(pull) = &mut self.mode {
            pull.sweep(Supply::More, last, &mut scratch.status, cx.env);
            if !pull.is_empty() {
                pull.active_at = now;
                return;
            }
        }
        self.end(cx);
    }

    /// Returns when the consumer ends if nobody uses it.
    fn inactive_at(&self) -> Option<Instant> {
        let threshold = self.inactive_ns?;
        let since = match &self.mode {
            Mode::Push(push) if push.active => return None,
            Mode::Push(push) => push.inactive_since,
            // Who still works on a message has not gone away.
            Mode::Pull(pull) => {
                let nothing_out = self.state.num_pending_acks() == 0;
                let working = if nothing_out {
                    Instant(0)
                } else {
                    self.last_due
                };
                working.max(pull.active_at)
            }
        };
        Some(Instant(since.0.saturating_add(threshold)))
    }

    pub(super) fn arm_inactivity<E: Env>(&mut self, cx: &mut Cx<'_, E>) {
        if let Some(at) = self.inactive_at() {
            self.arm(at, cx);
        }
    }

    /// Sets the timer for everything that waits.
    pub(super) fn arm_all<E: Env>(&mut self, cx: &mut Cx<'_, E>) {
        if self.ending {
            return;
        }
        let now = cx.env.now();
        let mut at = self.deadlines.next(&self.state).unwrap_or(Instant::NEVER);
        let mode = match &self.mode {
            Mode::Pull(pull) => {
                let pin = pull.pin.as_ref().map(|pin| pin.until);
                pull.next_event().into_iter().chain(pin).min()
            }
            Mode::Push(push) => push.heartbeat_at().filter(|_| push.active),
        };
        at = at.min(mode.unwrap_or(Instant::NEVER));
        at = at.min(self.inactive_at().unwrap_or(Instant::NEVER));
        if self.settings.pause_until > now.wall {
            let rest = self.settings.pause_until.0 - now.wall.0;
            at = at.min(Instant(now.mono.0.saturating_add(rest)));
        }
        if at != Instant::NEVER {
            // What is due now has been done; the timer must not fire again in the same moment.
            self.arm(at.max(Instant(now.mono.0.saturating_add(1))), cx);
        }
    }

    /// Gives every pending message its deadline, after the state was read back.
    pub(super) fn restore_deadlines<E: Env>(&mut self, cx: &mut Cx<'_, E>) {
        let now = cx.env.now();
        self.last_due = Instant(0);
        for p in self.state.pending_iter_mut() {
            let wait = self.settings.ack_wait_ns(p.deliveries);
            // No ack could come while nobody was here to take it: each message waits anew, one whose
            // redelivery was put off for what is left of that. A clock that was set back makes none
            // wait longer than it did when it was put off.
            let passed = now.wall.0.saturating_sub(p.since.0);
            let left = wait.saturating_add(p.put_off_ns.saturating_sub(passed));
            p.due = Instant(now.mono.0.saturating_add(left));
            self.last_due = self.last_due.max(p.due);
        }
        self.deadlines.rebuild(&self.state);
    }

    /// Lets messages that are out wait as long as the configuration says now, from when they were sent.
    pub(super) fn move_deadlines(&mut self, before: &Settings) {
        if self.settings.has_ack_waits_of(before) {
            return;
        }
        self.last_due = Instant(0);
        for p in self.state.pending_iter_mut() {
            let (old, new) = (
                before.ack_wait_ns(p.deliveries),
                self.settings.ack_wait_ns(p.deliveries),
            );
            p.due = Instant(p.due.0.saturating_sub(old).saturating_add(new));
            self.last_due = self.last_due.max(p.due);
        }
        self.deadlines.rebuild(&self.state);
    }

    fn send_heartbeat<E: Env>(&mut self, cx: &mut Cx<'_, E>, scratch: &mut Scratch) {
        let last = self.last_delivered();
        let Mode::Push(push) = &self.mode else {
            return;
        };
        pull::put_heartbeat(&mut scratch.status, last);
        if let Some(asked) = push.flow.as_ref().and_then(|f| f.asked()) {
            status::reopen(&mut scratch.headers, &scratch.status);
            status::put_header(&mut scratch.headers, b"Nats-Consumer-Stalled", asked);
            status::end(&mut scratch.headers);
            core::mem::swap(&mut scratch.headers, &mut scratch.status);
        }
        let msg = Outgoing {
            subject: &push.subject,
            headers: &scratch.status,
            ..Outgoing::default()
        };
        cx.env.deliver(cx.core.account(), &push.subject, msg);
    }

    /// Asks the client how far it is; its answer opens the window again.
    pub(super) fn ask_flow<E: Env>(&mut self, cx: &mut Cx<'_, E>, out: &mut Vec<u8>) {
        let Mode::Push(push) = &mut self.mode else {
            return;
        };
        let Some(flow) = &mut push.flow else {
            return;
        };
        let reply = flow.ask(cx.core.name(), &self.name, cx.env.rng());
        status::put(out, b"100 FlowControl Request", &[]);
        let msg = Outgoing {
            subject: &push.subject,
            reply,
            headers: out,
            ..Outgoing::default()
        };
        cx.env.deliver(cx.core.account(), &push.subject, msg);
    }

    /// From now on, subscriptions to where the consumer delivers are noticed.
    pub(super) fn listen<E: Env>(&self, cx: &mut Cx<'_, E>) {
        if let Mode::Push(push) = &self.mode {
            let (account, of) = (cx.core.account(), (cx.core.id(), self.id));
            cx.shared.listeners.insert(account, &push.subject, of);
        }
    }

    /// From now on, they are not.
    pub(super) fn stop_listening<E: Env>(&self, cx: &mut Cx<'_, E>) {
        if let Mode::Push(push) = &self.mode {
            let (account, of) = (cx.core.account(), (cx.core.id(), self.id));
            cx.shared.listeners.remove(account, &push.subject, of);
        }
    }

    /// Looks whether someone subscribes to where the consumer delivers.
    pub(super) fn refresh_interest<E: Env>(&mut self, cx: &mut Cx<'_, E>) {
        let now = cx.env.now().mono;
        let Mode::Push(push) = &mut self.mode else {
            return;
        };
        let is_copying = self.settings.is_copying;
        let active = !is_copying && push.has_interest(cx.core.account(), cx.env);
        if active == push.active {
            return;
        }
        push.active = active;
        if active {
            self.ready = true;
            push.sent_at = now;
            if let Some(at) = push.heartbeat_at() {
                self.arm(at, cx);
            }
        } else {
            push.inactive_since = now;
            self.arm_inactivity(cx);
        }
    }

    pub(super) fn last_delivered(&self) -> LastDelivered {
        LastDelivered {
            consumer: self.state.delivered().delivery.0,
            // Messages that do not match are behind the consumer, too.
            stream: self.next.0.saturating_sub(1),
        }
    }

    /// Returns how long the pause still lasts.
    pub(super) fn pause_remaining_ns(&self, now: Wall) -> u64 {
        self.settings.pause_until.0.saturating_sub(now.0)
    }
}

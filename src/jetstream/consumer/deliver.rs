//! Delivery: which message is next, who gets it, and what changes by that.
//!
//! *Invariant:* a message counts as delivered only when someone got it. A message that is damaged is
//! passed over once, as if its deliveries were used up: this consumer never asks for it again, but the
//! stream keeps it. One that the disk refuses to read is waited for.

use alloc::vec::Vec;
use core::time::Duration;

use bytes::Bytes;
use protocol::id::Seq;
use protocol::store::ReadError;
use protocol::time::{Instant, Now, Wall};

use super::cx::{Cx, Scratch};
use super::delta::Op;
use super::machine::{Consumer, Loading, Mode};
use super::pending::Stage;
use super::priority::Depth;
use super::push::Ask;
use super::state::Acks;
use super::{advisory, pull, status};
use crate::entry::Stored;
use crate::env::{Env, Outgoing};
use crate::shared::Reader;
use crate::stream::MsgRead;

/// Messages that one consumer delivers in a row before others get their turn.
const BURST: usize = 512;

/// When a read that the disk refused is tried again.
const READ_AGAIN: Duration = Duration::from_secs(1);

/// What one step of delivery came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// There may be more to do.
    Done,
    /// There may be more to do, after a pause.
    Lagging(Duration),
    /// Nothing can be delivered now.
    Idle,
}

/// What to deliver next.
#[derive(Clone, Copy, Debug)]
enum Pick {
    Message(Candidate),
    /// Nothing new before an ack comes.
    Stalled,
    /// Everything has been delivered.
    Empty,
}

/// A message about to be delivered.
#[derive(Clone, Copy, Debug)]
struct Candidate {
    seq: Seq,
    /// How often it will have been delivered.
    deliveries: u32,
}

/// The bytes of a candidate.
enum Loaded {
    Entry(Bytes),
    Later,
    Gone,
    Damaged,
}

impl Consumer {
    /// Delivers what can be delivered. A client that reads more slowly than it is sent to is given time:
    /// whoever has too much waiting is disconnected.
    pub(super) fn drive<E: Env>(&mut self, cx: &mut Cx<'_, E>, scratch: &mut Scratch) {
        for _ in 0..BURST {
            match self.step(cx, scratch) {
                Step::Done => {}
                Step::Lagging(pause) => {
                    self.arm(cx.env.now().mono + pause, cx);
                    return;
                }
                Step::Idle => return,
            }
        }
        self.arm(cx.env.now().mono, cx);
    }

    fn step<E: Env>(&mut self, cx: &mut Cx<'_, E>, scratch: &mut Scratch) -> Step {
        let now = cx.env.now();
        if self.ending || !self.has_credit() {
            self.end_replay();
            return Step::Idle;
        }
        if now.wall < self.settings.pause_until {
            self.end_no_waits(cx, scratch);
            return Step::Idle;
        }
        if !self.spent.is_empty() {
            self.give_up_spent(cx);
        }
        let candidate = match self.pick(cx) {
            Pick::Message(candidate) => candidate,
            Pick::Stalled => {
                self.end_replay();
                return Step::Idle;
            }
            Pick::Empty => {
                self.end_replay();
                self.end_no_waits(cx, scratch);
                return Step::Idle;
            }
        };
        let entry = match self.load(candidate.seq, cx) {
            Loaded::Entry(entry) => entry,
            Loaded::Later => return Step::Idle,
            Loaded::Gone => {
                self.forget(candidate, cx, scratch);
                return Step::Done;
            }
            Loaded::Damaged => {
                self.give_up(candidate, now, cx);
                return Step::Done;
            }
        };
        let Ok(msg) = Stored::of(&entry) else {
            self.give_up(candidate, now, cx);
            return Step::Done;
        };
        let at = self.sendable_at(msg.time, now.mono);
        if at > now.mono {
            self.arm(at, cx);
            self.loading = Loading::Done(candidate.seq, Ok(entry));
            return Step::Idle;
        }
        self.send(candidate, &msg, now, cx, scratch)
    }

    /// Nothing more is under way: from here on messages come as they are published.
    fn end_replay(&mut self) {
        if self.replay.is_some_and(|replay| replay.is_over(self.next)) {
            self.replay = None;
        }
    }

    /// Returns when a message of `time` may be sent.
    fn sendable_at(&mut self, time: Wall, now: Instant) -> Instant {
        let replay = self.replay.as_mut();
        let replayed = replay.map_or(Instant(0), |replay| replay.due(time, now));
        match &self.mode {
            Mode::Push(push) => replayed.max(push.paid_at()),
            Mode::Pull(_) => replayed,
        }
    }

    /// Returns whether someone wants a message.
    pub(super) fn has_credit(&self) -> bool {
        match &self.mode {
            Mode::Pull(pull) => !pull.is_empty(),
            Mode::Push(push) => push.active && !push.is_stalled(),
        }
    }

    /// Chooses the next message: those to be delivered again come first.
    fn pick<E: Env>(&mut self, cx: &Cx<'_, E>) -> Pick {
        while let Some(&seq) = self.redeliver.front() {
            if let Some(p) = self.state.pending(seq)
                && p.stage == Stage::Queued
            {
                return Pick::Message(Candidate {
                    seq,
                    deliveries: p.deliveries.saturating_add(1),
                });
            }
            self.redeliver.pop_front();
        }
        if self.is_full() {
            return Pick::Stalled;
        }
        let index = &cx.core.index;
        let next = self.skip.front().or_else(|| {
            let next = index.next_any(&self.settings.filters, self.next);
            self.next = next.unwrap_or(index.last_seq().next()).max(self.next);
            next
        });
        next.map_or(Pick::Empty, |seq| {
            Pick::Message(Candidate { seq, deliveries: 1 })
        })
    }

    fn load<E: Env>(&mut self, seq: Seq, cx: &mut Cx<'_, E>) -> Loaded {
        match core::mem::take(&mut self.loading) {
            Loading::Done(loaded, result) if loaded == seq => {
                return match result {
                    Ok(entry) => Loaded::Entry(entry),
                    Err(error) => self.failed(error, cx),
                };
            }
            Loading::Asked(read, asked) if asked == seq => {
                self.loading = Loading::Asked(read, asked);
                return Loaded::Later;
            }
            Loading::Idle | Loading::Asked(..) | Loading::Done(..) => {}
        }
        match cx.core.read(seq, cx.env) {
            MsgRead::Hit(entry) => Loaded::Entry(entry),
            MsgRead::Pending(read) => {
                self.loading = Loading::Asked(read, seq);
                let reader = Reader::Consumer(cx.core.id(), self.id);
                cx.shared.reads.insert(read, reader);
                Loaded::Later
            }
            MsgRead::Gone => Loaded::Gone,
            MsgRead::Failed(error) => self.failed(error, cx),
        }
    }

    fn failed<E: Env>(&mut self, error: ReadError, cx: &mut Cx<'_, E>) -> Loaded {
        if !error.may_pass() {
            return Loaded::Damaged;
        }
        self.arm(cx.env.now().mono + READ_AGAIN, cx);
        Loaded::Later
    }

    /// Passes over a message that is no longer in the stream. New ones are searched for in the stream,
    /// so that only one that stood on the list of each subject's last message can be gone: who takes no
    /// for an answer is told so, as nats-server does, though others may follow.
    fn forget<E: Env>(&mut self, candidate: Candidate, cx: &mut Cx<'_, E>, scratch: &mut Scratch) {
        if candidate.deliveries > 1 {
            if let Some(p) = self.state.pending(candidate.seq).copied() {
                advisory::lost(self, &p, p.deliveries, cx);
            }
            self.settle(candidate.seq, cx);
        } else {
            self.pass_gone(candidate.seq);
            self.end_no_waits(cx, scratch);
        }
    }

    /// Passes over a message that cannot be had: whoever waits for others must not wait for ever.
    /// Nobody has acknowledged it, so a work queue keeps it.
    fn give_up<E: Env>(&mut self, candidate: Candidate, now: Now, cx: &mut Cx<'_, E>) {
        let seq = candidate.seq;
        if self.settings.acks == Acks::None {
            self.pass(seq, cx.core);
            return;
        }
        self.on_delivered(candidate, now, cx);
        self.change(Op::Exhaust { seq }, now.wall);
    }

    /// Nobody gets anything now: requests that take no for an answer get it.
    fn end_no_waits<E: Env>(&mut self, cx: &mut Cx<'_, E>, scratch: &mut Scratch) {
        if let Mode::Pull(pull) = &mut self.mode {
            pull.end_no_waits(&mut scratch.status, cx.env);
        }
    }

    fn send<E: Env>(
        &mut self,
        candidate: Candidate,
        msg: &Stored<'_>,
        now: Now,
        cx: &mut Cx<'_, E>,
        scratch: &mut Scratch,
    ) -> Step {
        self.count_now(cx.core);
        let ahead = self.num_pending(cx.core);
        let pending = ahead - u64::from(candidate.deliveries == 1 && ahead > 0);
        self.put_ack_subject(candidate, msg.time.0, pending, &mut scratch.reply);
        let mut out = Outgoing {
            subject: msg.subject,
            reply: &scratch.reply,
            headers: msg.headers,
            payload: msg.payload,
            shared: Some(msg.entry),
        };
        if self.config.headers_only {
            put_size_header(&mut scratch.headers, msg);
            out.headers = &scratch.headers;
            out.payload = &[];
            out.shared = None;
        }
        let size = size_of(&out);
        let account = cx.core.account();
        let taken = match &mut self.mode {
            Mode::Push(push) => cx.env.deliver(account, &push.subject, out),
            Mode::Pull(_) => {
                let depth = Depth {
                    pending: ahead,
                    ack_pending: self.state.num_pending_acks() as u64,
                };
                self.send_to_request(out, depth, cx, &mut scratch.status)
            }
        };
        if !taken {
            self.on_untaken(now.mono, cx);
            self.end_no_waits(cx, scratch);
            self.loading = Loading::Done(candidate.seq, Ok(msg.entry.clone()));
            return Step::Idle;
        }
        let lag = cx.env.lag();
        self.on_delivered(candidate, now, cx);
        self.on_sent(size, msg, now, cx, scratch);
        lag.map_or(Step::Done, Step::Lagging)
    }

    fn on_untaken<E: Env>(&mut self, now: Instant, cx: &mut Cx<'_, E>) {
        let Mode::Push(push) = &mut self.mode else {
            return;
        };
        push.active = false;
        push.inactive_since = now;
        self.arm_inactivity(cx);
    }

    /// Changes the state by a delivery, or by an attempt.
    fn on_delivered<E: Env>(&mut self, candidate: Candidate, now: Now, cx: &mut Cx<'_, E>) {
        let Candidate { seq, deliveries } = candidate;
        let delivery = self.state.delivered().delivery.next();
        if deliveries == 1 {
            let op = Op::Deliver {
                first: seq,
                delivery,
                count: 1,
            };
            self.change(op, now.wall);
            self.pass(seq, cx.core);
        } else {
            self.redeliver.pop_front();
            self.queued -= 1;
            self.change(Op::Redeliver { seq, delivery }, now.wall);
        }
        if self.settings.acks == Acks::None {
            self.release(seq, cx.core);
            return;
        }
        let wait = self.settings.ack_wait_ns(deliveries);
        self.set_due(seq, Instant(now.mono.0.saturating_add(wait)), cx);
    }

    /// Sets when a message that is out is delivered again.
    pub(super) fn set_due<E: Env>(&mut self, seq: Seq, due: Instant, cx: &mut Cx<'_, E>) {
        self.state.set_due(seq, due);
        self.deadlines.add(due, seq, &self.state);
        self.last_due = self.last_due.max(due);
        self.arm(due, cx);
    }

    /// Keeps the books of the receiving end.
    fn on_sent<E: Env>(
        &mut self,
        size: u64,
        msg: &Stored<'_>,
        now: Now,
        cx: &mut Cx<'_, E>,
        scratch: &mut Scratch,
    ) {
        if let Some(replay) = &mut self.replay {
            replay.on_sent(msg.time);
        }
        match &mut self.mode {
            Mode::Push(push) => {
                if push.on_sent(size, now.mono) == Ask::Yes {
                    self.ask_flow(cx, &mut scratch.status);
                }
            }
            Mode::Pull(waiting) => {
                if let Some(request) = waiting.served(now.mono)
                    && request.bytes > 0
                {
                    let status = b"409 Batch Completed";
                    pull::send_pending(cx.env, &mut scratch.status, &request, status);
                }
            }
        }
    }

    fn put_ack_subject(&self, candidate: Candidate, time: u64, pending: u64, out: &mut Vec<u8>) {
        out.clear();
        out.extend_from_slice(&self.ack_prefix);
        let delivery = self.state.delivered().delivery.next();
        let mut buffer = itoa::Buffer::new();
        for number in [
            u64::from(candidate.deliveries),
            candidate.seq.0,
            delivery.0,
            time,
        ] {
            out.extend_from_slice(buffer.format(number).as_bytes());
            out.push(b'.');
        }
        out.extend_from_slice(buffer.format(pending).as_bytes());
    }
}

/// Returns what a message counts in byte budgets.
fn size_of(out: &Outgoing<'_>) -> u64 {
    (out.subject.len() + out.reply.len() + out.headers.len() + out.payload.len()) as u64
}

/// Writes the headers of a message whose body stays behind.
fn put_size_header(out: &mut Vec<u8>, msg: &Stored<'_>) {
    status::reopen(out, msg.headers);
    let mut buffer = itoa::Buffer::new();
    let size = buffer.format(msg.payload.len());
    status::put_header(out, b"Nats-Msg-Size", size.as_bytes());
    status::end(out);
}

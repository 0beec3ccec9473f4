//! The requests that wait at a pull consumer.
//!
//! *Invariant:* at most `waiting_max` requests wait; the one at the front is served next, and goes to
//! the back while it still wants more. Requests that count as prioritized stay sorted by priority.

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::vec::Vec;

use protocol::id::AccountId;
use protocol::js::config::ConsumerConfig;
use protocol::js::enums::PriorityPolicy;
use protocol::time::Instant;

use super::priority::Pin;
use super::settings::positive;
use super::status;
use crate::env::{Env, Outgoing};

/// Requests that wait when the configuration names no limit.
const WAITING_MAX: usize = 512;

/// One request for messages.
#[derive(Clone, Debug, Default)]
pub(super) struct Request {
    pub(super) account: AccountId,
    /// Where messages go.
    pub(super) reply: Box<[u8]>,
    /// How many messages it still wants, as it said itself: less than one is one.
    pub(super) batch: i64,
    /// How many it got.
    pub(super) delivered: u64,
    /// How many bytes it still takes, as it said itself: less than one is any number.
    pub(super) bytes: i64,
    pub(super) expires: Option<Instant>,
    pub(super) heartbeat_ns: u64,
    pub(super) heartbeat_at: Option<Instant>,
    /// It ends when nothing is left to deliver.
    pub(super) no_wait: bool,
    /// It names no group, and none is asked of it.
    pub(super) is_plain: bool,
    /// The client of a pinned group that asks.
    pub(super) pin: Box<[u8]>,
    /// It is served only with this much pending; zero for no condition.
    pub(super) min_pending: u64,
    /// It is served only with this many acks outstanding; zero for no condition.
    pub(super) min_ack_pending: u64,
    /// Lower ones are served first.
    pub(super) priority: u8,
}

impl Request {
    fn is_expired(&self, now: Instant) -> bool {
        self.expires.is_some_and(|at| at <= now)
    }

    pub(super) fn next_event(&self) -> Option<Instant> {
        [self.expires, self.heartbeat_at]
            .into_iter()
            .flatten()
            .min()
    }
}

/// The queue of requests.
#[derive(Clone, Debug)]
pub(super) struct Pull {
    waiting: VecDeque<Request>,
    waiting_max: usize,
    prioritized: bool,
    /// The client that is served, if the consumer serves one only.
    pub(super) pin: Option<Pin>,
    /// When a request last came or was served.
    pub(super) active_at: Instant,
    /// When dead requests were last searched for.
    pruned_at: Instant,
}

/// Whether there is anything more to deliver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Supply {
    /// There may be, later in this call.
    More,
    /// Everything there is has been delivered, or all of it that may be before an ack comes.
    Empty,
}

/// What a heartbeat tells.
#[derive(Clone, Copy, Debug)]
pub(super) struct LastDelivered {
    pub(super) consumer: u64,
    pub(super) stream: u64,
}

impl Pull {
    pub(super) fn new(config: &ConsumerConfig) -> Self {
        let mut pull = Self {
            waiting: VecDeque::new(),
            waiting_max: WAITING_MAX,
            prioritized: false,
            pin: None,
            active_at: Instant(0),
            pruned_at: Instant(0),
        };
        pull.configure(config);
        pull
    }

    pub(super) fn configure(&mut self, config: &ConsumerConfig) {
        self.waiting_max = positive(config.max_waiting).unwrap_or(WAITING_MAX);
        self.prioritized = config.priority_policy == PriorityPolicy::Prioritized;
    }

    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    pub(super) fn is_full(&self) -> bool {
        self.waiting.len() >= self.waiting_max
    }

    /// Returns how many messages all requests still want.
    pub(super) fn wanted(&self) -> i64 {
        let batches = self.waiting.iter().map(|r| r.batch);
        batches.fold(0, i64::saturating_add)
    }

    pub(super) fn add(&mut self, request: Request, now: Instant) {
        self.active_at = now;
        self.insert(request);
    }

    pub(super) fn front(&self) -> Option<&Request> {
        self.waiting.front()
    }

    /// Moves the request at the front to the back: it is not its turn.
    pub(super) fn cycle(&mut self) {
        if let Some(request) = self.waiting.pop_front() {
            self.insert(request);
        }
    }

    /// Takes the request at the front out.
    pub(super) fn pop(&mut self) -> Option<Request> {
        self.waiting.pop_front()
    }

    /// Gives the request at the front the pin that its client is about to get.
    pub(super) fn pin_front(&mut self, id: &[u8]) {
        if let Some(request) = self.waiting.front_mut() {
            request.pin = id.into();
        }
    }

    /// Takes `size` from the byte budget of the request at the front; `None` if it is not enough.
    pub(super) fn charge(&mut self, size: u64) -> Option<()> {
        let request = self.waiting.front_mut()?;
        if request.bytes <= 0 {
            return Some(());
        }
        let left = request.bytes.checked_sub_unsigned(size);
        request.bytes = left.filter(|left| *left >= 0)?;
        if request.bytes == 0 {
            // Used up exactly: this message is the last one.
            request.batch = 1;
        }
        Some(())
    }

    /// Counts a message for the request at the front; returns the request if it is complete.
    pub(super) fn served(&mut self, now: Instant) -> Option<Request> {
        self.active_at = now;
        let request = self.waiting.front_mut()?;
        request.delivered += 1;
        request.batch = request.batch.saturating_sub(1);
        if request.batch <= 0 {
            return self.waiting.pop_front();
        }
        if request.heartbeat_ns > 0 {
            request.heartbeat_at = Some(Instant(now.0.saturating_add(request.heartbeat_ns)));
        }
        if self.waiting.len() > 1 {
            self.cycle();
        }
        None
    }

    /// Ends the requests that are over and sends the heartbeats that are due; returns when the next
    /// of these has to happen.
    pub(super) fn sweep(
        &mut self,
        supply: Supply,
        last: LastDelivered,
        out: &mut Vec<u8>,
        env: &mut impl Env,
    ) -> Option<Instant> {
        let now = env.now().mono;
        self.pruned_at = now;
        self.waiting.retain_mut(|request| {
            if request.is_expired(now) {
                send_pending(env, out, request, b"408 Request Timeout");
                return false;
            }
            let unserved = request.expires.is_none() || request.delivered > 0;
            if supply == Supply::Empty && request.no_wait && unserved {
                send(env, out, request, b"404 No Messages");
                return false;
            }
            if !env.has_interest(request.account, &request.reply) {
                return false;
            }
            if request.heartbeat_at.is_some_and(|at| at <= now) {
                send_heartbeat(env, out, request, last);
                request.heartbeat_at = Some(Instant(now.0.saturating_add(request.heartbeat_ns)));
            }
            true
        });
        self.next_event()
    }

    /// Ends the requests that take no for an answer, because everything has been delivered.
    pub(super) fn end_no_waits(&mut self, out: &mut Vec<u8>, env: &mut impl Env) {
        self.waiting.retain(|request| {
            let unserved = request.expires.is_none() || request.delivered > 0;
            let over = request.no_wait && unserved;
            if over {
                send(env, out, request, b"404 No Messages");
            }
            !over
        });
    }

    /// Ends the requests at the front that have expired.
    pub(super) fn drop_expired_front(&mut self, out: &mut Vec<u8>, env: &mut impl Env) {
        let now = env.now().mono;
        while self.front().is_some_and(|r| r.is_expired(now)) {
            if let Some(request) = self.pop() {
                send_pending(env, out, &request, b"408 Request Timeout");
            }
        }
    }

    /// Returns whether it is time to search for dead requests again, when the queue is full.
    pub(super) fn may_prune(&self, now: Instant) -> bool {
        /// Searching costs a look-up per request; nobody is helped by doing it more often.
        const PRUNE_EVERY_NS: u64 = 1_000_000_000;
        now.0.saturating_sub(self.pruned_at.0) > PRUNE_EVERY_NS
    }

    /// Returns when the next request expires or wants a heartbeat.
    pub(super) fn next_event(&self) -> Option<Instant> {
        self.waiting.iter().filter_map(Request::next_event).min()
    }

    /// Tells every request the same status and forgets them all.
    pub(super) fn end_all(&mut self, status: &[u8], out: &mut Vec<u8>, env: &mut impl Env) {
        for request in core::mem::take(&mut self.waiting) {
            send(env, out, &request, status);
        }
    }

    /// Tells every request the same status and what it has not got, and forgets them all.
    pub(super) fn end_all_pending(&mut self, status: &[u8], out: &mut Vec<u8>, env: &mut impl Env) {
        for request in core::mem::take(&mut self.waiting) {
            send_pending(env, out, &request, status);
        }
    }

    fn insert(&mut self, request: Request) {
        if !self.prioritized {
            self.waiting.push_back(request);
            return;
        }
        let at = self
            .waiting
            .partition_point(|r| r.priority <= request.priority);
        self.waiting.insert(at, request);
    }
}

/// Sends a status without further headers.
pub(super) fn send(env: &mut impl Env, out: &mut Vec<u8>, request: &Request, status: &[u8]) {
    status::put(out, status, &[]);
    send_headers(env, out, request);
}

/// Sends a status that tells what the request has not got.
pub(super) fn send_pending(
    env: &mut impl Env,
    out: &mut Vec<u8>,
    request: &Request,
    status: &[u8],
) {
    let left: [(&[u8], i64); 2] = [
        (b"Nats-Pending-Messages", request.batch),
        (b"Nats-Pending-Bytes", request.bytes),
    ];
    status::put(out, status, &left);
    send_headers(env, out, request);
}

fn send_heartbeat(env: &mut impl Env, out: &mut Vec<u8>, request: &Request, last: LastDelivered) {
    put_heartbeat(out, last);
    send_headers(env, out, request);
}

/// Writes the header block of a heartbeat.
pub(super) fn put_heartbeat(out: &mut Vec<u8>, last: LastDelivered) {
    let shown = |seq| i64::try_from(seq).unwrap_or(i64::MAX);
    let headers: [(&[u8], i64); 2] = [
        (b"Nats-Last-Consumer", shown(last.consumer)),
        (b"Nats-Last-Stream", shown(last.stream)),
    ];
    status::put(out, b"100 Idle Heartbeat", &headers);
}

fn send_headers(env: &mut impl Env, headers: &[u8], request: &Request) {
    let msg = Outgoing {
        subject: &request.reply,
        headers,
        ..Outgoing::default()
    };
    env.deliver(request.account, &request.reply, msg);
}

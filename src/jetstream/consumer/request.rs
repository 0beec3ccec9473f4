//! A client asks a pull consumer for messages.
//!
//! *Invariant:* a request either waits afterwards or has been answered, with one exception that NATS
//! has, too: a request with a heartbeat gets no answer when the queue is full, because the missing
//! heartbeat makes the client ask again more slowly than an error would.

use alloc::format;
use alloc::vec::Vec;

use protocol::js::enums::PriorityPolicy;
use protocol::js::limits::PULL_PRIORITY_MAX;
use protocol::js::request::PullRequest;
use protocol::time::Instant;

use super::cx::{Cx, Scratch};
use super::machine::{Consumer, Mode};
use super::pull::{Request, Supply};
use super::settings::{ns, positive};
use super::status;
use crate::env::{Env, Outgoing};

impl Consumer {
    /// Handles a request for messages.
    pub(super) fn request_next<E: Env>(
        &mut self,
        reply: &[u8],
        body: &[u8],
        cx: &mut Cx<'_, E>,
        scratch: &mut Scratch,
    ) {
        if reply.is_empty() {
            return;
        }
        let now = cx.env.now().mono;
        let refusal = match self.check(body, cx) {
            Ok(request) => {
                let mut waiting = waiting(&request, reply, now, cx);
                if !PullRequest::is_formal(body) {
                    waiting.is_plain = true;
                    // Those that say how urgent they are go before it.
                    waiting.priority = u8::MAX;
                }
                self.admit(&request, waiting, now, cx, scratch)
            }
            Err(text) => Some(text),
        };
        if let Some(text) = refusal {
            status::put(&mut scratch.status, &text, &[]);
            let msg = Outgoing {
                subject: reply,
                headers: &scratch.status,
                ..Outgoing::default()
            };
            cx.env.deliver(cx.core.account(), reply, msg);
        }
    }

    /// Checks what does not depend on other requests.
    fn check<E: Env>(&mut self, body: &[u8], cx: &mut Cx<'_, E>) -> Result<PullRequest, Vec<u8>> {
        if matches!(self.mode, Mode::Push(_)) {
            return Err(b"409 Consumer is push based".into());
        }
        let request = PullRequest::parse(body)
            .map_err(|error| format!("400 Bad Request - {error}").into_bytes())?;
        let config = &self.config;
        if config.max_batch > 0 && request.batch > config.max_batch {
            let max = config.max_batch;
            return Err(format!("409 Exceeded MaxRequestBatch of {max}").into_bytes());
        }
        if config.max_expires.0 > 0 && request.expires > config.max_expires {
            let max = config.max_expires;
            return Err(format!("409 Exceeded MaxRequestExpires of {max}").into_bytes());
        }
        if config.max_bytes > 0 && request.max_bytes > config.max_bytes {
            let max = config.max_bytes;
            return Err(format!("409 Exceeded MaxRequestMaxBytes of {max}").into_bytes());
        }
        if PullRequest::is_formal(body) {
            self.check_priority(&request, cx)?;
        }
        Ok(request)
    }

    fn check_priority<E: Env>(
        &mut self,
        request: &PullRequest,
        cx: &mut Cx<'_, E>,
    ) -> Result<(), Vec<u8>> {
        let bad = |text: &str| Err(format!("400 Bad Request - {text}").into_bytes());
        let policy = self.config.priority_policy;
        let conditional = request.min_pending != 0 || request.min_ack_pending != 0;
        if conditional && policy != PriorityPolicy::Overflow {
            return bad("Not a Overflow Priority consumer");
        }
        if !request.id.is_empty() && policy != PriorityPolicy::PinnedClient {
            return bad("Not a Pinned Client Priority consumer");
        }
        if !(0..=PULL_PRIORITY_MAX).contains(&request.priority) {
            return bad("Priority must be between 0 and 9");
        }
        if policy == PriorityPolicy::None {
            return Ok(());
        }
        if request.group.is_empty() {
            return bad("Priority Group missing");
        }
        if !self.config.priority_groups.contains(&request.group) {
            return bad("Invalid Priority Group");
        }
        let Mode::Pull(pull) = &self.mode else {
            return Ok(());
        };
        match &pull.pin {
            Some(pin) if *pin.id == *request.id.as_bytes() => self.extend_pin(cx),
            Some(_) if !request.id.is_empty() => {
                return Err(b"423 Nats-Pin-Id mismatch".into());
            }
            Some(_) | None => {}
        }
        Ok(())
    }

    /// Lets the request wait, or returns why it cannot.
    fn admit<E: Env>(
        &mut self,
        request: &PullRequest,
        waiting: Request,
        now: Instant,
        cx: &mut Cx<'_, E>,
        scratch: &mut Scratch,
    ) -> Option<Vec<u8>> {
        let last = self.last_delivered();
        let available = self.num_pending(cx.core) + (self.queued + self.spent.len()) as u64;
        let Mode::Pull(pull) = &mut self.mode else {
            return None;
        };
        if pull.is_full() && pull.may_prune(now) {
            pull.sweep(Supply::More, last, &mut scratch.status, cx.env);
        }
        if request.no_wait {
            if available == 0 && request.expires.0 == 0 {
                pull.active_at = now;
                return Some(b"404 No Messages".into());
            }
            if available > 0 {
                pull.sweep(Supply::More, last, &mut scratch.status, cx.env);
                if i64::try_from(available).unwrap_or(i64::MAX) < pull.wanted() {
                    pull.active_at = now;
                    return Some(b"408 Requests Pending".into());
                }
            }
        }
        if pull.is_full() {
            let told = request.idle_heartbeat.0 == 0;
            return told.then(|| b"409 Exceeded MaxWaiting".into());
        }
        let event = waiting.next_event();
        pull.add(waiting, now);
        self.ready = true;
        if let Some(at) = event {
            self.arm(at, cx);
        }
        None
    }
}

fn waiting<E: Env>(request: &PullRequest, reply: &[u8], now: Instant, cx: &Cx<'_, E>) -> Request {
    let heartbeat_ns = ns(request.idle_heartbeat);
    let heartbeat = heartbeat_ns > 0;
    Request {
        account: cx.core.account(),
        reply: reply.into(),
        batch: request.batch,
        delivered: 0,
        bytes: request.max_bytes,
        // A time below zero is over at once.
        expires: (request.expires.0 != 0)
            .then(|| Instant(now.0.saturating_add(ns(request.expires)))),
        heartbeat_ns,
        heartbeat_at: heartbeat.then(|| Instant(now.0.saturating_add(heartbeat_ns))),
        no_wait: request.no_wait,
        is_plain: false,
        pin: request.id.as_bytes().into(),
        min_pending: positive(request.min_pending).unwrap_or(0),
        min_ack_pending: positive(request.min_ack_pending).unwrap_or(0),
        priority: u8::try_from(request.priority).unwrap_or(u8::MAX),
    }
}

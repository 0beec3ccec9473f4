//! Which waiting request gets a message: the one at the front, unless the consumer's priority policy
//! says that it is not its turn.

use alloc::boxed::Box;
use alloc::vec::Vec;

use protocol::js::enums::PriorityPolicy;
use protocol::time::{Instant, Wall};

use super::advisory;
use super::cx::Cx;
use super::machine::{Consumer, Mode};
use super::pull::{self, Request};
use super::settings::ns;
use super::status;
use crate::env::{Env, Outgoing};

/// The client that a pinned consumer serves.
#[derive(Clone, Debug)]
pub(super) struct Pin {
    /// The id that its requests and messages carry.
    pub(super) id: Box<[u8]>,
    pub(super) since: Wall,
    /// When it loses its place unless it asks again.
    pub(super) until: Instant,
}

/// How much work there is, as overflow groups see it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Depth {
    pub(super) pending: u64,
    pub(super) ack_pending: u64,
}

/// What becomes of the request at the front.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Serve,
    NotNow,
    WrongPin,
}

impl Consumer {
    /// Sends a message to the first request that may have it and is still there.
    pub(super) fn send_to_request<E: Env>(
        &mut self,
        out: Outgoing<'_>,
        depth: Depth,
        cx: &mut Cx<'_, E>,
        status: &mut Vec<u8>,
    ) -> bool {
        let size = out.subject.len() + out.reply.len() + out.headers.len() + out.payload.len();
        while self.choose(size as u64, depth, cx, status) {
            let Mode::Pull(pull) = &mut self.mode else {
                return false;
            };
            let Some(request) = pull.front() else {
                return false;
            };
            let (account, to) = (request.account, &request.reply);
            let taken = if self.config.priority_policy == PriorityPolicy::PinnedClient {
                // One allocation per message, for pinned consumers only. A plain request is served
                // without a pin, and is told so.
                let id = pull.pin.as_ref().map_or(&[][..], |pin| &pin.id);
                let mut headers = Vec::new();
                status::reopen(&mut headers, out.headers);
                status::put_header(&mut headers, b"Nats-Pin-Id", id);
                status::end(&mut headers);
                let out = Outgoing {
                    headers: &headers,
                    ..out
                };
                cx.env.deliver(account, to, out)
            } else {
                cx.env.deliver(account, to, out)
            };
            if taken {
                return true;
            }
            pull.pop();
        }
        false
    }

    /// Brings the request that gets a message of `size` bytes to the front; false if there is none.
    fn choose<E: Env>(
        &mut self,
        size: u64,
        depth: Depth,
        cx: &mut Cx<'_, E>,
        status: &mut Vec<u8>,
    ) -> bool {
        let policy = self.config.priority_policy;
        let Mode::Pull(pull) = &mut self.mode else {
            return false;
        };
        let mut cycled = 0;
        loop {
            pull.drop_expired_front(status, cx.env);
            let Some(request) = pull.front() else {
                return false;
            };
            match verdict(policy, request, pull.pin.as_ref(), depth) {
                Verdict::Serve => {
                    if pull.charge(size).is_some() {
                        break;
                    }
                    refuse(pull.pop(), b"409 Message Size Exceeds MaxBytes", status, cx);
                }
                Verdict::NotNow => {
                    pull.cycle();
                    cycled += 1;
                    if cycled >= pull.len() {
                        return false;
                    }
                }
                Verdict::WrongPin => {
                    refuse(pull.pop(), b"423 Nats-Wrong-Pin-Id", status, cx);
                }
            }
        }
        let is_plain = pull.front().is_some_and(|request| request.is_plain);
        if policy == PriorityPolicy::PinnedClient && pull.pin.is_none() && !is_plain {
            self.pin(cx);
        }
        true
    }

    /// Pins the client whose request is about to be served; that request is served to its end.
    fn pin<E: Env>(&mut self, cx: &mut Cx<'_, E>) {
        let mut id = [0; 22];
        cx.env.rng().fill_base62(&mut id);
        let now = cx.env.now();
        let until = Instant(now.mono.0.saturating_add(ns(self.config.priority_timeout)));
        if let Mode::Pull(pull) = &mut self.mode {
            pull.pin_front(&id);
            pull.pin = Some(Pin {
                id: id.into(),
                since: now.wall,
                until,
            });
        }
        self.arm(until, cx);
        advisory::pinned(self, &id, cx);
    }

    /// Lets the pinned client go; whoever asks next takes its place. It is told also where there was none.
    pub(super) fn unpin<E: Env>(&mut self, reason: &str, cx: &mut Cx<'_, E>) {
        let Mode::Pull(pull) = &mut self.mode else {
            return;
        };
        pull.pin = None;
        self.ready = true;
        // Even if nobody was pinned: it is told that the group may choose anew.
        advisory::unpinned(self, reason, cx);
    }

    /// Gives the pinned client more time: it has asked again.
    pub(super) fn extend_pin<E: Env>(&mut self, cx: &mut Cx<'_, E>) {
        let timeout = ns(self.config.priority_timeout);
        let until = Instant(cx.env.now().mono.0.saturating_add(timeout));
        if let Mode::Pull(pull) = &mut self.mode
            && let Some(pin) = &mut pull.pin
        {
            pin.until = until;
        }
    }
}

fn verdict(policy: PriorityPolicy, request: &Request, pin: Option<&Pin>, depth: Depth) -> Verdict {
    match policy {
        PriorityPolicy::None | PriorityPolicy::Prioritized => Verdict::Serve,
        PriorityPolicy::Overflow => {
            let (pending, acks) = (request.min_pending, request.min_ack_pending);
            let exceeded = (pending > 0 && pending <= depth.pending)
                || (acks > 0 && acks <= depth.ack_pending);
            if (pending == 0 && acks == 0) || exceeded {
                Verdict::Serve
            } else {
                Verdict::NotNow
            }
        }
        PriorityPolicy::PinnedClient => match pin {
            None if request.pin.is_empty() => Verdict::Serve,
            Some(pin) if pin.id == request.pin => Verdict::Serve,
            Some(_) if request.pin.is_empty() => Verdict::NotNow,
            Some(_) | None => Verdict::WrongPin,
        },
    }
}

fn refuse<E: Env>(request: Option<Request>, text: &[u8], status: &mut Vec<u8>, cx: &mut Cx<'_, E>) {
    if let Some(request) = request {
        pull::send_pending(cx.env, status, &request, text);
    }
}

//! `PUB` and `HPUB`: may the client, who gets it, and what if nobody does.

use alloc::string::ToString;
use alloc::vec::Vec;
use core::time::Duration;

use protocol::encode;
use protocol::errors::ProtocolError;
use protocol::id::{AccountId, ConnId, StreamId};
use protocol::message::Message;
use protocol::subject;
use protocol::time::Instant;

use crate::crossing::Beyond;
use crate::effects::Rules;
use crate::following::is_asked_for;
use crate::limits::STALL;
use crate::router::{Routed, Router};
use crate::shard::Shard;
use crate::streams::{NOBODY, Served, Storage, Streams};

impl Router {
    /// Reads on from a publisher that waited for the disk, if nothing else keeps it.
    pub(crate) fn let_go(&mut self, id: ConnId) {
        if let Some(conn) = self.conns.get_mut(id) {
            conn.held = false;
            if conn.gated_until == Instant::NEVER && conn.login.is_none() {
                self.fx.gate.push((id, false));
            }
        }
    }
}

/// What a client's message leads to in other accounts happens at once.
pub(crate) struct Inline<'a> {
    streams: Option<&'a mut Streams>,
    from: (ConnId, Rules),
}

impl<'a> Inline<'a> {
    /// The same for what the server says itself.
    pub(crate) fn of_server(streams: Option<&'a mut Streams>) -> Self {
        let from = NOBODY;
        // Clients cannot speak before everything is back, but the server's own events can.
        let streams = streams.filter(|streams| streams.storage != Storage::Recovering);
        Self { streams, from }
    }
}

impl Beyond for Inline<'_> {
    fn store(
        &mut self,
        router: &mut Router,
        account: AccountId,
        stream: StreamId,
        msg: &Message<'_>,
    ) {
        if let Some(streams) = &mut self.streams {
            streams.publish(router, account, stream, msg, Some(self.from.0));
        }
    }

    fn serve(&mut self, router: &mut Router, account: AccountId, msg: &Message<'_>) -> bool {
        let served = self.streams.as_mut().map(|streams| {
            let subject = streams.local_subject(msg.subject);
            let subject = subject.as_deref().unwrap_or(msg.subject);
            let msg = Message { subject, ..*msg };
            streams.serve(router, account, self.from, &msg)
        });
        served == Some(Served::Taken)
    }
}

impl Shard {
    /// Routes a client's message.
    #[inline]
    pub(crate) fn on_publish(&mut self, from: ConnId, msg: &Message<'_>) {
        if !msg.headers.is_empty() && is_asked_for(msg.headers) {
            self.on_followed_publish(from, msg);
        } else {
            self.take_publish(from, msg);
        }
        self.sweep();
    }

    /// Routes a client's message to where its account's mappings lead.
    pub(crate) fn take_publish(&mut self, from: ConnId, msg: &Message<'_>) {
        let Some(conn) = self.router.conns.get_mut(from) else {
            return;
        };
        let body = msg.body_len();
        conn.received.add(body);
        self.router.stats.received.add(body);
        let account = conn.account;
        if conn.wishes.pedantic && !subject::is_valid_literal(msg.subject) {
            self.router
                .tell(from, &ProtocolError::InvalidPublishSubject);
        }
        if let Some(subject) = self.router.map(account, msg.subject) {
            if let Some(following) = &mut self.router.followed.current {
                following.mapped(&subject, self.router.now.wall);
            }
            let mapped = Message {
                subject: &subject,
                ..*msg
            };
            self.judge_publish(from, &mapped);
            self.router.give_back(subject);
        } else if let Some(subject) = self.local_subject(msg.subject) {
            let local = Message {
                subject: &subject,
                ..*msg
            };
            self.judge_publish(from, &local);
        } else {
            self.judge_publish(from, msg);
        }
    }

    /// Passes a message on if the client may publish where it leads: permissions are about subjects as
    /// they are mapped, or a deny would be passed by under another name.
    #[inline]
    fn judge_publish(&mut self, from: ConnId, msg: &Message<'_>) {
        let system = self.router.accounts.system;
        let now = self.router.now.mono;
        let Some(conn) = self.router.conns.get_mut(from) else {
            return;
        };
        let internal = Some(conn.account) == system;
        let verbose = conn.wishes.verbose;
        let refused = if !internal && subject::is_reserved_for_publish(msg.subject) {
            Some(ProtocolError::PublishDenied {
                subject: msg.subject,
            })
        } else if subject::is_reserved_for_reply(msg.reply) {
            Some(ProtocolError::ReplyDenied { reply: msg.reply })
        } else if let Some(permit) = &mut conn.permit
            && !permit.may_publish(msg.subject, now)
        {
            Some(ProtocolError::PublishDenied {
                subject: msg.subject,
            })
        } else {
            None
        };
        if let Some(error) = refused {
            if let Some(following) = &mut self.router.followed.current {
                following.refused(error.to_string());
            }
            return self.refuse(from, &error);
        }
        if verbose {
            self.router
                .send(from, |conn| conn.outbox.buf().extend_from_slice(encode::OK));
            self.router.trace_out(from, "OK");
        }
        self.pass_on(from, msg);
    }

    /// Returns what a request for JetStream in this server's domain asks of the server itself.
    #[inline]
    fn local_subject(&self, subject: &[u8]) -> Option<Vec<u8>> {
        if !subject.starts_with(b"$JS.") {
            return None;
        }
        self.streams.as_ref()?.local_subject(subject)
    }

    /// Gives a message that may be published to whoever wants it.
    #[inline]
    fn pass_on(&mut self, from: ConnId, msg: &Message<'_>) {
        let Some(conn) = self.router.conns.get_mut(from) else {
            return;
        };
        let account = conn.account;
        let wants_verdict = conn.wishes.no_responders && !msg.reply.is_empty();
        let rules = conn.rules;
        let fence = conn.user.as_ref().and_then(|user| user.fence.as_ref());
        if let Some(fence) = fence
            && !fence.may_publish(msg.subject, msg.reply, msg.payload)
        {
            let subject = msg.subject;
            return self.refuse(from, &ProtocolError::PublishDenied { subject });
        }
        let mut routed = self.router.route(account, msg.subject, msg, Some(from));
        if let Some(pause) = routed.pause {
            self.stall(from, pause);
        }
        if routed.memphis {
            let from = self.router.conns.get(from);
            self.router.mail.request(account, msg, from);
            routed.reached = true;
        }
        let imported = routed.beyond && self.cross(from, msg, &mut routed);
        if routed
            .stream
            .is_some_and(|stream| !self.may_store(from, stream))
        {
            let subject = msg.subject;
            return self.refuse(from, &ProtocolError::PublishDenied { subject });
        }
        if let Some(stream) = routed.stream
            && let Some(streams) = &mut self.streams
        {
            streams.publish(&mut self.router, account, stream, msg, Some(from));
            if streams.is_behind() {
                self.hold(from);
            }
        } else if !imported
            && !routed.memphis
            && msg.subject.starts_with(b"$JS.")
            && let Some(streams) = &mut self.streams
        {
            let served = streams.serve(&mut self.router, account, (from, rules), msg);
            routed.reached |= served == Served::Taken;
        }
        if !routed.reached && routed.stream.is_none() && wants_verdict {
            self.router.tell_no_responders(account, from, msg);
        }
    }

    /// Says whether a client may publish to the station that a stream is.
    #[inline]
    fn may_store(&self, from: ConnId, stream: StreamId) -> bool {
        let user = self
            .router
            .conns
            .get(from)
            .and_then(|conn| conn.user.as_ref());
        let Some(fence) = user.and_then(|user| user.fence.as_ref()) else {
            return true;
        };
        let streams = self.streams.as_ref();
        let name = streams.and_then(|streams| streams.stream_name(stream));
        name.is_some_and(|name| fence.may_store(name))
    }

    /// Takes a message where its account's imports lead; true if its subject is another account's.
    #[cold]
    fn cross(&mut self, from: ConnId, msg: &Message<'_>, routed: &mut Routed) -> bool {
        let Some(conn) = self.router.conns.get(from) else {
            return false;
        };
        let (account, rules) = (conn.account, conn.rules);
        let mut inline = Inline {
            streams: self.streams.as_mut(),
            from: (from, rules),
        };
        let router = &mut self.router;
        let crossed = router.cross(account, msg.subject, msg, Some(from), &mut inline);
        routed.reached |= crossed.reached;
        if let Some(pause) = self.router.sharing.pause.take() {
            self.stall(from, pause);
        }
        if self.streams.as_ref().is_some_and(Streams::is_behind) {
            self.hold(from);
        }
        crossed.imported
    }

    /// Pauses a publisher until the disk has caught up.
    fn hold(&mut self, id: ConnId) {
        let (Some(conn), Some(streams)) = (self.router.conns.get_mut(id), &mut self.streams) else {
            return;
        };
        if !conn.held {
            conn.held = true;
            streams.gate(id);
            self.router.fx.gate.push((id, true));
        }
    }

    /// Lets publishers go on that waited for the disk.
    pub(crate) fn release_held(&mut self) {
        let Some(streams) = &mut self.streams else {
            return;
        };
        for id in streams.take_released() {
            self.router.let_go(id);
        }
    }

    /// Pauses a publisher for a client that cannot keep up with it.
    fn stall(&mut self, id: ConnId, pause: Duration) {
        let until = self.router.now.mono + pause;
        let Some(conn) = self.router.conns.get_mut(id) else {
            return;
        };
        if conn.gated_until <= until {
            return;
        }
        conn.gated_until = until;
        if pause == STALL {
            conn.stalls += 1;
            self.router.stats.stalls += 1;
        }
        self.router.fx.gate.push((id, true));
    }
}

//! `PUB` and `HPUB`: may the client, who gets it, and what if nobody does.

use alloc::vec::Vec;
use core::time::Duration;

use protocol::encode;
use protocol::errors::ProtocolError;
use protocol::id::ConnId;
use protocol::message::Message;
use protocol::subject;
use protocol::time::Instant;

use crate::limits::STALL;
use crate::shard::Shard;
use crate::streams::Served;

impl Shard {
    /// Routes a client's message.
    pub(crate) fn on_publish(&mut self, from: ConnId, msg: &Message<'_>) {
        let system = self.router.accounts.system;
        let now = self.router.now.mono;
        let Some(conn) = self.router.conns.get_mut(from) else {
            return;
        };
        let body = msg.body_len();
        conn.received.add(body);
        self.router.stats.received.add(body);
        let account = conn.account;
        let verbose = conn.wishes.verbose;
        let invalid = conn.wishes.pedantic && !subject::is_valid_literal(msg.subject);
        let internal = Some(account) == system;
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
        if invalid {
            self.router
                .tell(from, &ProtocolError::InvalidPublishSubject);
        }
        if let Some(error) = refused {
            return self.refuse(from, &error);
        }
        if verbose {
            self.router
                .send(from, |conn| conn.outbox.buf().extend_from_slice(encode::OK));
        }
        if let Some(subject) = self.router.map(account, msg.subject) {
            let mapped = Message {
                subject: &subject,
                ..*msg
            };
            self.pass_on(from, &mapped);
            self.router.give_back(subject);
        } else if let Some(subject) = self.local_subject(msg.subject) {
            let local = Message {
                subject: &subject,
                ..*msg
            };
            self.pass_on(from, &local);
        } else {
            self.pass_on(from, msg);
        }
        self.sweep();
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
        let mut routed = self.router.route(account, msg.subject, msg, Some(from));
        if let Some(pause) = routed.pause {
            self.stall(from, pause);
        }
        if routed.memphis {
            let from = self.router.conns.get(from);
            self.router.mail.request(account, msg, from);
            routed.reached = true;
        }
        if let Some(stream) = routed.stream
            && let Some(streams) = &mut self.streams
        {
            streams.publish(&mut self.router, account, stream, msg, Some(from));
            if streams.is_behind() {
                self.hold(from);
            }
        } else if !routed.memphis
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
            if let Some(conn) = self.router.conns.get_mut(id) {
                conn.held = false;
                if conn.gated_until == Instant::NEVER && conn.login.is_none() {
                    self.router.fx.gate.push((id, false));
                }
            }
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

//! The world that the JetStream machine sees: the router and the store, borrowed side by side.

use core::time::Duration;

use bytes::{Bytes, BytesMut};
use consensus::SoloLog;
use jetstream::entry::Entry;
use jetstream::env::{Death, Env, JsTarget, Outgoing, Purpose};
use memphis::book::DyingKey;
use memphis::dead::{self, AtHand};
use protocol::id::{AccountId, ConnId, LogPos, StreamId};
use protocol::js::advisory::ClientInfo;
use protocol::message::Message;
use protocol::rng::Rng;
use protocol::store::{Loc, ReadOutcome};
use protocol::time::Now;
use storage::Store;

use crate::crossing::Beyond;
use crate::following::STORED;
use crate::router::{Onward, Router, Target};
use crate::stations;

/// What leaves its account on the way from the machine waits until the end of the batch: a machine is
/// not called back.
struct Later;

impl Beyond for Later {
    fn store(
        &mut self,
        router: &mut Router,
        account: AccountId,
        stream: StreamId,
        msg: &Message<'_>,
    ) {
        router.forward(account, Onward::Stream(stream), msg.subject, msg);
    }

    fn serve(&mut self, router: &mut Router, account: AccountId, msg: &Message<'_>) -> bool {
        router.forward(account, Onward::JetStream, msg.subject, msg);
        true
    }
}

pub(crate) struct World<'a> {
    /// What requests that name this server's domain begin with; empty without a domain.
    pub(crate) domain_prefix: &'a [u8],
    pub(crate) router: &'a mut Router,
    pub(crate) group: &'a SoloLog,
    pub(crate) store: &'a mut Store,
    pub(crate) rng: &'a mut Rng,
}

impl Env for World<'_> {
    fn now(&self) -> Now {
        self.router.now
    }

    fn rng(&mut self) -> &mut Rng {
        self.rng
    }

    #[inline]
    fn propose(&mut self, encode: impl FnOnce(&mut BytesMut)) -> LogPos {
        self.group.propose(self.store, encode)
    }

    #[inline]
    fn propose_lazily(&mut self, encode: impl FnOnce(&mut BytesMut)) -> LogPos {
        self.group.propose_lazily(self.store, encode)
    }

    #[inline]
    fn has_room(&self, len: usize, purpose: Purpose) -> bool {
        let refused = match purpose {
            Purpose::Store => self.store.refuses(len),
            Purpose::Free => self.store.is_full(len),
        };
        refused.is_none()
    }

    #[inline]
    fn read(&mut self, stream: StreamId, loc: Loc) -> ReadOutcome {
        self.store.read(stream, loc)
    }

    #[inline]
    fn deliver(&mut self, account: AccountId, to: &[u8], msg: Outgoing<'_>) -> bool {
        let shown = Message {
            subject: msg.subject,
            reply: msg.reply,
            headers: msg.headers,
            payload: msg.payload,
        };
        // Nobody else can be meant: clients cannot send a subject with a space.
        if to.first() == Some(&stations::ANSWERS) {
            self.router.mail.answer(to, msg.payload);
            return true;
        }
        if to.first() == Some(&STORED) {
            return match self.router.on_stored(to, msg.payload) {
                Some(reply) if !reply.is_empty() => {
                    let subject = &*reply;
                    self.deliver(account, &reply, Outgoing { subject, ..msg })
                }
                Some(_) | None => true,
            };
        }
        let routed = self.router.route(account, to, &shown, None);
        self.router.lag = routed.pause;
        let mut reached = routed.reached || routed.memphis;
        if routed.beyond {
            let router = &mut *self.router;
            reached |= router.cross(account, to, &shown, None, &mut Later).reached;
        }
        if routed.memphis {
            self.router.mail.request(account, &shown, None);
        }
        match routed.stream {
            // A machine is not called back: the message goes there at the end of the batch.
            Some(stream) => {
                self.router
                    .forward(account, Onward::Stream(stream), to, &shown);
                true
            }
            None => reached,
        }
    }

    #[inline]
    fn lag(&self) -> Option<Duration> {
        self.router.lag
    }

    fn has_interest(&mut self, account: AccountId, subject: &[u8]) -> bool {
        let account = self.router.accounts.get_mut(account);
        account.is_some_and(|account| account.subs.has_interest(subject))
    }

    fn has_exact_interest(&mut self, account: AccountId, subject: &[u8]) -> bool {
        let account = self.router.accounts.get_mut(account);
        account.is_some_and(|account| account.subs.has_exact(subject, None))
    }

    fn has_queue_interest(&mut self, account: AccountId, subject: &[u8], queue: &[u8]) -> bool {
        let account = self.router.accounts.get_mut(account);
        account.is_some_and(|account| account.subs.has_exact(subject, Some(queue)))
    }

    fn keeps_dead(&self, account: AccountId) -> bool {
        self.router.tenants.contains(&account)
    }

    fn message_died(&mut self, account: AccountId, death: &Death<'_>) {
        let key = DyingKey {
            stream: death.stream.into(),
            consumer: death.consumer.into(),
            seq: death.seq.0,
        };
        let at_hand = death.message.map(|message| AtHand {
            headers: message.headers,
            payload: message.payload,
            sent: message.time,
        });
        let account = self.router.accounts.name(account);
        let wall = self.router.now.wall;
        let entry = dead::death(account, wall, key, death.reason, at_hand);
        let entry = Entry::Memphis(Bytes::from(entry));
        self.propose(|out| entry.encode(out));
    }

    fn bind(&mut self, account: AccountId, subject: &[u8], target: JsTarget) {
        let JsTarget::Stream(stream) = target;
        let target = Target::Stream(stream);
        let bound = self.router.subscribe(account, subject, None, target);
        debug_assert!(bound.is_ok(), "a stream's subjects have been checked");
        self.router.note_interest(account, subject);
    }

    fn unbind(&mut self, account: AccountId, subject: &[u8], target: JsTarget) {
        let JsTarget::Stream(stream) = target;
        let target = Target::Stream(stream);
        self.router.unsubscribe(account, subject, None, target);
        self.router.note_interest(account, subject);
    }

    fn exporter(&mut self, account: AccountId, api: &str, deliver: &str) -> Option<AccountId> {
        if self.domain_prefix.strip_suffix(b".") == Some(api.as_bytes()) {
            return Some(account);
        }
        self.router.exporter_of_api(account, api, deliver)
    }

    fn client_info(&mut self, client: ConnId) -> Option<ClientInfo> {
        self.router.who(client)
    }
}

//! The world that the Memphis layer sees: JetStream by its API, the log, and the router.

use alloc::boxed::Box;
use alloc::collections::BTreeSet;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use bytes::Bytes;
use jetstream::entry::{Entry, Stored};
use jetstream::env::{ApiCall, Env, Inbound, NameRules};
use jetstream::{JetStream, ParkedRead};
use memphis::book::UserRow;
use memphis::clients::connection_id;
use memphis::machine::{self, Notice, Parked, ParkingFacts, Request, TaskId, Upload};
use memphis::manage::{Answer, CallId, PublisherFacts, StreamFacts, TrafficFacts};
use memphis::name::station_of_stream;
use protocol::id::{AccountId, ConnId, LogPos, Seq};
use protocol::message::Message;
use protocol::time::Now;

use super::{ANSWERS, Publishers, facts};
use crate::effects::{Level, LogLine, WorkOp};
use crate::router::{Onward, Target};
use crate::streams::World;

use super::publishers::Seen;

/// Advisories cannot describe the layer as a client.
const NO_CLIENT: ConnId = ConnId {
    index: u32::MAX,
    generation: u32::MAX,
};

/// How long the names of objects are, as those of NATS' own.
const UNIQUE_LEN: usize = 22;

pub(crate) struct Host<'a> {
    pub(crate) machine: &'a mut JetStream,
    pub(crate) world: World<'a>,
    pub(crate) users: &'a BTreeSet<(AccountId, String)>,
    pub(crate) publishers: &'a Publishers,
    pub(crate) slack_url: &'a str,
}

impl Host<'_> {
    /// Routes a message, to a stream as well; says whether somebody is to answer it.
    fn send(&mut self, account: AccountId, msg: &Message<'_>) -> bool {
        let router = &mut *self.world.router;
        let routed = router.route(account, msg.subject, msg, None);
        if routed.memphis {
            router.mail.request(account, msg, None);
        }
        if let Some(stream) = routed.stream {
            let inbound = inbound(msg);
            self.machine
                .publish(&mut self.world, account, stream, inbound);
        }
        routed.stream.is_some()
    }
}

impl machine::Host for Host<'_> {
    fn now(&self) -> Now {
        self.world.router.now
    }

    fn request(&mut self, account: AccountId, task: TaskId, msg: machine::Message<'_>) {
        let reply = format!("{}{}", char::from(ANSWERS), task.0);
        let shown = Message {
            subject: msg.subject,
            reply: reply.as_bytes(),
            headers: msg.headers,
            payload: msg.payload,
        };
        let is_answered = if msg.subject.starts_with(b"$JS.API.") {
            let call = ApiCall {
                account,
                client: NO_CLIENT,
                // Names of partitions and groups are not those that users may type.
                rules: NameRules::Nats,
                msg: inbound(&shown),
            };
            self.machine.api(&mut self.world, &call)
        } else {
            self.send(account, &shown)
        };
        if !is_answered {
            self.world.router.mail.answer(reply.as_bytes(), b"");
        }
    }

    fn publish(&mut self, account: AccountId, msg: machine::Message<'_>) {
        let shown = Message {
            subject: msg.subject,
            reply: b"",
            headers: msg.headers,
            payload: msg.payload,
        };
        self.send(account, &shown);
    }

    fn pass_on(&mut self, account: AccountId, request: &Request<'_>) {
        let shown = Message {
            subject: request.subject,
            reply: request.reply,
            headers: request.headers,
            payload: request.body,
        };
        if request.subject.starts_with(b"$JS.API.") {
            let call = ApiCall {
                account,
                client: NO_CLIENT,
                rules: NameRules::Nats,
                msg: inbound(&shown),
            };
            self.machine.api(&mut self.world, &call);
            return;
        }
        let router = &mut *self.world.router;
        let routed = router.route(account, shown.subject, &shown, None);
        if let Some(stream) = routed.stream {
            // A client's message is held against the schema, which happens on the way there.
            router.forward(account, Onward::Stream(stream), shown.subject, &shown);
        }
    }

    fn has_interest(&mut self, account: AccountId, subject: &str) -> bool {
        let account = self.world.router.accounts.get_mut(account);
        account.is_some_and(|account| {
            let subs = &mut account.subs;
            subs.has_interest_of(subject.as_bytes(), |target| {
                matches!(target, Target::Sub(_))
            })
        })
    }

    fn bind(&mut self, account: AccountId, subject: &str) {
        if let Some(account) = self.world.router.accounts.get_mut(account) {
            let subs = &mut account.subs;
            let bound = subs.insert(subject.as_bytes(), None, Target::Memphis);
            debug_assert!(bound.is_ok(), "names of stations are subjects");
        }
    }

    fn unbind(&mut self, account: AccountId, subject: &str) {
        if let Some(account) = self.world.router.accounts.get_mut(account) {
            account
                .subs
                .remove(subject.as_bytes(), None, Target::Memphis);
        }
    }

    fn revive(&mut self, account: AccountId, stream: &str, consumer: &str, seq: u64) -> bool {
        let (machine, world) = (&mut *self.machine, &mut self.world);
        let is_back = machine.revive(world, account, stream, consumer, Seq(seq));
        if is_back {
            // The consumer's change is in the log before anything that relies on it, as that the message
            // is no dead letter any more: power may go between the two.
            machine.pump(world);
        }
        is_back
    }

    fn record(&mut self, entry: &[u8]) -> LogPos {
        let entry = Entry::Memphis(Bytes::copy_from_slice(entry));
        self.world.propose(|out| entry.encode(out))
    }

    fn managed(&mut self, call: CallId, answer: &Answer) {
        let fx = &mut self.world.router.fx;
        fx.managed.push((call, answer.clone()));
    }

    fn user_changed(&mut self, account: AccountId, user: &str, _: Option<&UserRow>) {
        let changed = &mut self.world.router.users_changed;
        changed.entry(account).or_default().insert(user.into());
    }

    fn stream(&self, account: AccountId, stream: &str) -> Option<StreamFacts> {
        let stream = self.machine.stream(account, stream)?;
        Some(facts::of_stream(stream, self.world.router.now.wall))
    }

    fn publishers(&self, account: AccountId, station: &str) -> Vec<PublisherFacts> {
        let router = &*self.world.router;
        let is_of_station = |seen: &&Seen| {
            let stream = self.machine.stream_by_id(seen.stream);
            stream.is_some_and(|stream| {
                stream.core.account() == account
                    && station_of_stream(stream.core.name()).0 == station
            })
        };
        let seen = self.publishers.iter().filter(is_of_station);
        seen.filter_map(|seen| {
            let conn = router.conns.get(seen.conn)?;
            // SDKs say what their producers are called.
            if connection_id(&conn.wishes.name).is_some() {
                return None;
            }
            Some(PublisherFacts {
                name: conn.wishes.name.clone(),
                lang: conn.wishes.lang.clone(),
                connection: conn.cid,
                messages: seen.messages,
                active: seen.last.0,
            })
        })
        .collect()
    }

    fn notify(&mut self, notices: Vec<Notice>) {
        let url = self.slack_url.into();
        let op = WorkOp::Notify { url, notices };
        self.world.router.fx.work.push(op);
    }

    fn parking(&self, account: AccountId) -> Vec<ParkingFacts> {
        let parking = self.machine.parking(account);
        let facts = parking.map(|stream| ParkingFacts {
            stream: stream.core.name().into(),
            surplus: stream.core.index.parked_surplus(),
        });
        facts.collect()
    }

    fn parked(&self, account: AccountId, stream: &str, after: u64, max: usize) -> Vec<u64> {
        let Some(stream) = self.machine.stream(account, stream) else {
            return Vec::new();
        };
        let parked = stream.core.index.parked(Seq(after));
        parked.take(max).map(|seq| seq.0).collect()
    }

    fn read_parked(&mut self, account: AccountId, stream: &str, seq: u64) -> Parked {
        let Some(stream) = self.machine.stream(account, stream) else {
            return Parked::Lost;
        };
        let id = stream.core.id();
        match self.machine.read_parked(id, Seq(seq), &mut self.world) {
            ParkedRead::Hit(entry) => match Stored::of(&entry) {
                Ok(message) => Parked::Message {
                    headers: message.headers.into(),
                    payload: message.payload.into(),
                },
                Err(_) => Parked::Lost,
            },
            ParkedRead::Later => Parked::Later,
            ParkedRead::Lost => Parked::Lost,
        }
    }

    fn release(&mut self, account: AccountId, stream: &str, seqs: &[u64]) {
        if let Some(stream) = self.machine.stream(account, stream) {
            let id = stream.core.id();
            let seqs: Vec<Seq> = seqs.iter().copied().map(Seq).collect();
            self.machine.release_parked(id, &seqs, &mut self.world);
        }
    }

    fn upload(&mut self, upload: Upload) {
        let op = WorkOp::Upload(Box::new(upload));
        self.world.router.fx.work.push(op);
    }

    fn unique(&mut self) -> String {
        let mut text = [0; UNIQUE_LEN];
        self.world.rng.fill_base62(&mut text);
        text.map(char::from).iter().collect()
    }

    fn warn(&mut self, account: AccountId, text: String) {
        let line = LogLine::of(account, Level::Warn, text);
        self.world.router.fx.log.push(line);
    }

    fn traffic(&self, account: AccountId) -> TrafficFacts {
        let router = &*self.world.router;
        let entry = router.accounts.get(account);
        let (mut received, mut sent) = entry.map_or((0, 0), |a| (a.received.bytes, a.sent.bytes));
        for conn in router.conns.iter().filter(|conn| conn.account == account) {
            received += conn.received.bytes;
            sent += conn.sent.bytes;
        }
        TrafficFacts { received, sent }
    }

    fn tenants(&self) -> Vec<AccountId> {
        self.world.router.tenants.iter().copied().collect()
    }

    fn streams(&self, account: AccountId, each: &mut dyn FnMut(&str)) {
        for stream in self.machine.streams() {
            if stream.core.account() == account {
                each(stream.core.name());
            }
        }
    }

    fn has_user(&self, account: AccountId, user: &str) -> bool {
        // Users without permissions of their own may name each other, as in Memphis.
        self.users.contains(&(account, String::from(user)))
    }

    fn account_name(&self, account: AccountId) -> String {
        self.world.router.accounts.name(account).into()
    }

    fn account_named(&self, name: &str) -> Option<AccountId> {
        let mut accounts = self.world.router.accounts.iter();
        let found = accounts.find(|(_, account)| account.name == name);
        found.map(|(id, _)| id)
    }
}

fn inbound<'a>(msg: &Message<'a>) -> Inbound<'a> {
    Inbound {
        subject: msg.subject,
        reply: msg.reply,
        headers: msg.headers,
        payload: msg.payload,
    }
}

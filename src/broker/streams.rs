//! JetStream in the shard: the machine, the store under it, and what goes between them.
//!
//! *Invariant:* committed entries reach the machine in log order, each before anything that came
//! later; a batch of input ends in one pump of the machine and one of the store.

mod accounts;
mod checkpoint;
mod copies;
mod damage;
mod events;
mod flushing;
mod guarding;
mod mending;
mod stations;
mod world;

use alloc::rc::Rc;
use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

use config::Options;
use consensus::SoloLog;
use jetstream::env::{ApiCall, Inbound, NameRules};
use jetstream::{AHEAD, JetStream};
use memphis::clients::connection_id;
use protocol::id::{AccountId, ConnId, StreamId};
use protocol::message::Message;
use protocol::rng::Rng;
use protocol::time::Instant;
use storage::{Damage, DiskDone, DiskError, DiskOp, RecoveryReport, Store, StoreStats};

use crate::auth::Auth;
use crate::effects::{Level, LogLine, Rules};
use crate::info::Identity;
use crate::limits::{FORWARDS_PER_BATCH, JS_IN_FLIGHT_MAX};
use crate::router::{Onward, Router};
use crate::shard::{Room, ShardOptions};
use crate::stations::Stations;
use flushing::Flushing;
use mending::Mending;
pub use mending::Progress;
pub(crate) use world::World;

/// Who imports this has another account's API instead of one of its own.
const ACCOUNT_INFO: &str = "$JS.API.INFO";

/// The stream of randomness for JetStream's names and ids.
const RNG_STREAMS: u64 = 3;
/// How often the store looks after what it has put off.
const TICK: Duration = Duration::from_secs(1);
/// How long the log has to be idle before it is marked so: longer than a publisher that waits for each
/// answer takes to send the next message.
const IDLE: Duration = Duration::from_millis(5);

/// Who asks where it is no client.
pub(crate) const NOBODY: (ConnId, Rules) = (
    ConnId {
        index: u32::MAX,
        generation: u32::MAX,
    },
    Rules::Nats,
);

/// Where the store is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Storage {
    /// Reading what the disk holds; nothing is served before it is done.
    Recovering,
    /// In service.
    Live,
    /// A write or a sync has failed: reads only, until the process starts anew.
    Poisoned,
    /// The state of a stream is missing from the checkpoints: what else they hold can be read, nothing
    /// behind them is served and nothing is stored.
    Damaged,
    /// What the disk holds could not be read to its end: nothing is served, until the process starts
    /// anew.
    Unreadable,
}

/// The machine and its store.
#[derive(Debug)]
pub(crate) struct Streams {
    pub(crate) machine: JetStream,
    group: SoloLog,
    pub(crate) store: Store,
    pub(crate) storage: Storage,
    pub(crate) report: Option<RecoveryReport>,
    /// Why storage is not live, as health checks and the log say it.
    pub(crate) failure: Option<String>,
    /// Whether the state of a stream is missing: entries cannot be applied to what is left.
    incomplete: bool,
    /// Sections of the checkpoint that are there twice.
    copies: copies::Copies,
    pub(crate) stations: Stations,
    rng: Rng,
    /// What requests that name this server's domain begin with; empty without a domain.
    domain_prefix: Vec<u8>,
    /// What the machine has for streams.
    room: Room,
    flushing: Flushing,
    next_tick: Instant,
    /// When the log is marked as idle.
    idle_at: Instant,
    /// Publishers whose reading is paused because too much waits for the disk.
    gated: Vec<ConnId>,
    /// Set where nobody is served.
    mending: Option<Mending>,
}

/// What a subject that belongs to JetStream led to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Served {
    /// Somebody took the message.
    Taken,
    /// Nobody is there.
    Nobody,
}

impl Streams {
    pub(crate) fn new(
        options: &ShardOptions,
        identity: &Identity,
        auth: &Auth,
        router: &mut Router,
        seed: u64,
    ) -> Self {
        let config = &options.config;
        let mut machine = JetStream::new(accounts::machine_options(
            config,
            identity,
            router.accounts.system,
            options.room,
        ));
        for (id, account) in router.accounts.iter() {
            let limits = accounts::limits(config, account);
            machine.configure_account(id, &account.name, limits);
        }
        Self {
            machine,
            group: SoloLog::default(),
            store: Store::new(options.store),
            storage: Storage::Recovering,
            report: None,
            failure: None,
            incomplete: false,
            copies: copies::Copies::default(),
            stations: Stations::new(config, Rc::clone(&options.schemas), auth, router),
            rng: Rng::new(seed, RNG_STREAMS),
            domain_prefix: accounts::domain_prefix(config),
            room: options.room,
            flushing: Flushing::default(),
            next_tick: Instant::NEVER,
            idle_at: Instant::NEVER,
            gated: Vec::new(),
            mending: None,
        }
    }

    /// Takes over what another configuration says of accounts and limits.
    pub(crate) fn reload(&mut self, config: &Options, identity: &Identity, router: &mut Router) {
        let system = router.accounts.system;
        let options = accounts::machine_options(config, identity, system, self.room);
        self.machine.change_options(options);
        for (id, account) in router.accounts.iter() {
            let limits = accounts::limits(config, account);
            self.machine.configure_account(id, &account.name, limits);
        }
        if self.storage != Storage::Recovering {
            let (machine, mut world) = self.split(router);
            machine.accounts_changed(&mut world);
        }
    }

    /// Returns what streams take in.
    pub(crate) fn subjects(&self) -> Vec<(AccountId, StreamId, Vec<u8>)> {
        let streams = self.machine.streams();
        let subjects = streams.flat_map(|stream| {
            let stream = &stream.core;
            let of = move |subject: &String| {
                let subject = subject.as_bytes().to_vec();
                (stream.account(), stream.id(), subject)
            };
            stream.config().subjects.iter().map(of)
        });
        subjects.collect()
    }

    /// Begins recovery.
    pub(crate) fn start(&mut self, router: &mut Router, ops: &mut Vec<DiskOp>) {
        self.next_tick = router.now.mono + TICK;
        self.store.start(ops);
    }

    /// Hands a message to the stream that stores its subject.
    #[inline]
    pub(crate) fn publish(
        &mut self,
        router: &mut Router,
        account: AccountId,
        stream: StreamId,
        msg: &Message<'_>,
        from: Option<ConnId>,
    ) {
        if let Some(from) = from
            && router.tenants.contains(&account)
        {
            let now = router.now.wall;
            self.stations.publishers.note(stream, from, now);
        }
        if self.stations.machine.has_guards() && !self.lets_pass(router, account, stream, msg, from)
        {
            return;
        }
        if router.followed.current.is_some() {
            return self.publish_followed(router, account, stream, msg);
        }
        let (machine, mut world) = self.split(router);
        machine.publish(&mut world, account, stream, inbound(msg));
    }

    /// Handles a message on a subject that starts with `$JS.`, followed or not.
    pub(crate) fn serve_request(
        &mut self,
        router: &mut Router,
        account: AccountId,
        from: (ConnId, Rules),
        msg: &Message<'_>,
    ) -> Served {
        let (machine, mut world) = self.split(router);
        let (client, rules) = from;
        let rules = match rules {
            Rules::Nats => NameRules::Nats,
            Rules::Memphis if is_sdk(world.router, client) => NameRules::Sdk,
            Rules::Memphis => NameRules::Memphis,
        };
        let taken = if msg.subject.starts_with(b"$JS.ACK.") {
            machine.ack(&mut world, account, msg.subject, msg.reply, msg.payload)
        } else if msg.subject.starts_with(b"$JS.API.") {
            // What it does not import of another account's API, nobody has.
            if !machine.is_enabled(account) && world.router.imports_service(account, ACCOUNT_INFO) {
                return Served::Nobody;
            }
            let msg = inbound(msg);
            let call = ApiCall {
                account,
                client,
                rules,
                msg,
            };
            machine.api(&mut world, &call)
        } else if msg.subject.starts_with(b"$JS.FC.") {
            machine.flow_reply(&mut world, account, msg.subject);
            true
        } else if msg.subject.starts_with(b"$JS.SNAPSHOT.") {
            machine.backup_message(&mut world, account, msg.subject, msg.reply, msg.payload)
        } else {
            false
        };
        if taken { Served::Taken } else { Served::Nobody }
    }

    /// Takes the disk's answers.
    pub(crate) fn on_disk(
        &mut self,
        router: &mut Router,
        done: &mut Vec<DiskDone>,
        ops: &mut Vec<DiskOp>,
    ) {
        for done in done.drain(..) {
            self.store.handle(done, ops);
        }
        loop {
            self.machine.look_ahead(self.store.upcoming(AHEAD));
            for _ in 0..AHEAD {
                let Some(event) = self.store.poll() else {
                    return;
                };
                self.on_event(router, event);
            }
        }
    }

    /// Ends a batch of input: what was forwarded to streams goes there, consumers deliver, and
    /// everything that was appended is on its way to the disk.
    pub(crate) fn pump(&mut self, router: &mut Router, ops: &mut Vec<DiskOp>) {
        if self.storage == Storage::Recovering {
            return;
        }
        if self.mending.is_some() {
            self.drive_mending();
            self.store.pump(ops);
            return;
        }
        for _ in 0..FORWARDS_PER_BATCH {
            let Some(forward) = router.forwards.pop_front() else {
                break;
            };
            let (account, msg) = (forward.account, forward.message());
            match forward.onward {
                Onward::Stream(stream) => self.publish(router, account, stream, &msg, None),
                Onward::JetStream => {
                    self.serve(router, account, NOBODY, &msg);
                }
            }
        }
        while let Some((account, subject)) = router.interest_changes.pop_front() {
            let (machine, mut world) = self.split(router);
            machine.interest_changed(&mut world, account, &subject);
        }
        self.deliver_mail(router);
        if self.storage == Storage::Unreadable {
            return;
        }
        let (machine, mut world) = self.split(router);
        machine.pump(&mut world);
        if self.machine.shared().replies.is_awaited() {
            self.store.hurry();
        }
        self.store.pump_busily(ops);
        self.idle_at = match self.store.lacks_pump() {
            true => self.idle_at.min(router.now.mono + IDLE),
            false => Instant::NEVER,
        };
        router.watch_interest = self.machine.streams().next().is_some();
    }

    /// Says whether a publisher should wait until the disk has caught up.
    #[inline]
    pub(crate) fn is_behind(&self) -> bool {
        self.machine.shared().replies.in_flight_bytes() > JS_IN_FLIGHT_MAX
    }

    /// Remembers a publisher whose reading is paused.
    pub(crate) fn gate(&mut self, id: ConnId) {
        self.gated.push(id);
    }

    /// Returns the publishers that may go on.
    pub(crate) fn take_released(&mut self) -> Vec<ConnId> {
        let left = self.machine.shared().replies.in_flight_bytes();
        if self.gated.is_empty() || left > JS_IN_FLIGHT_MAX / 2 {
            return Vec::new();
        }
        core::mem::take(&mut self.gated)
    }

    /// Returns when something is due.
    pub(crate) fn next_timeout(&self) -> Option<Instant> {
        let machine = self.machine.poll_timeout().map(|(at, _)| at);
        let own = [self.next_tick, self.idle_at, self.stations.poll_timeout()].into_iter();
        let own = own.filter(|at| *at != Instant::NEVER);
        machine.into_iter().chain(own).min()
    }

    /// Does what is due.
    pub(crate) fn on_timeout(&mut self, router: &mut Router, ops: &mut Vec<DiskOp>) {
        let now = router.now.mono;
        let is_served = self.mending.is_none();
        if is_served && !matches!(self.storage, Storage::Recovering | Storage::Unreadable) {
            self.advance(router);
        }
        if self.idle_at <= now {
            self.idle_at = Instant::NEVER;
            self.store.pump(ops);
        }
        if self.next_tick <= now {
            self.next_tick = now + TICK;
            self.store.tick(ops);
            while let Some(event) = self.store.poll() {
                self.on_event(router, event);
            }
        }
    }

    /// Lets clients know that the server is about to stop. Comes while they are still connected.
    pub(crate) fn tell_shutdown(&mut self, router: &mut Router) {
        let (machine, mut world) = self.split(router);
        machine.shut_down(&mut world);
    }

    /// Does what is due in streams and stations.
    fn advance(&mut self, router: &mut Router) {
        let now = router.now.mono;
        let (machine, mut world) = self.split(router);
        machine.handle_timeout(&mut world);
        if self.stations.poll_timeout() <= now {
            self.with_stations(router, |memphis, host| memphis.handle_timeout(host));
        }
    }

    /// Makes what was acknowledged quick to find at the next start.
    pub(crate) fn on_shutdown(&mut self, ops: &mut Vec<DiskOp>) {
        if self.storage == Storage::Live {
            self.store.tick(ops);
        }
    }

    /// Splits into the machine and the world around it.
    pub(crate) fn split<'a>(
        &'a mut self,
        router: &'a mut Router,
    ) -> (&'a mut JetStream, World<'a>) {
        let world = World {
            domain_prefix: &self.domain_prefix,
            router,
            group: &self.group,
            store: &mut self.store,
            rng: &mut self.rng,
        };
        (&mut self.machine, world)
    }
}

/// Says whether a client calls itself what Memphis' SDKs do: they may name streams as stations do.
fn is_sdk(router: &Router, client: ConnId) -> bool {
    let conn = router.conns.get(client);
    conn.is_some_and(|conn| connection_id(&conn.wishes.name).is_some())
}

pub(crate) fn inbound<'a>(msg: &Message<'a>) -> Inbound<'a> {
    Inbound {
        subject: msg.subject,
        reply: msg.reply,
        headers: msg.headers,
        payload: msg.payload,
    }
}

fn log(router: &mut Router, level: Level, text: String) {
    router.fx.log.push(LogLine::new(level, text));
}

/// How far JetStream is, for health checks.
#[derive(Clone, Copy, Debug)]
pub struct StorageView {
    /// Where the store is.
    pub storage: Storage,
    /// Its numbers.
    pub stats: StoreStats,
    /// Entries of the log that could not be read.
    pub unreadable: u64,
    /// The first range that was found damaged when the store was opened, and how many there were.
    pub damaged: Option<(Damage, usize)>,
    /// Why nothing is stored any more, if so.
    pub poisoned: Option<DiskError>,
    /// Why the log cannot grow for now, although everything that is stored can be served.
    pub lacks: Option<DiskError>,
}

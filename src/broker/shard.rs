//! The shard: takes inputs, hands them to the part that they concern, and passes on the effects.
//!
//! *Invariant:* `handle` leaves nothing behind that only a later input would notice: every client
//! with bytes to write is in `dirty`, every deadline is armed, and where something waits for the end
//! of the batch, `settle` says so.

mod ends;
mod logging;
mod managers;
mod mending;
mod switching;
mod users;

use alloc::boxed::Box;
use alloc::format;
use alloc::rc::Rc;
use alloc::string::String;
use alloc::vec::Vec;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::BytesMut;
use config::Options;
use jetstream::JetStream;
use memphis::guard::SchemaLibrary;
use memphis::machine::Memphis;
use protocol::encode;
use protocol::errors::{CloseReason, ProtocolError};
use protocol::id::ConnId;
use protocol::parser::{self, Parser};
use protocol::rng::Rng;
use protocol::time::{Instant, Now};
use sha2::{Digest, Sha256};
use storage::{DiskOp, StoreOptions};

use crate::accounts::Accounts;
use crate::auth::Auth;
use crate::closed::ClosedRing;
use crate::conn::{Conn, State};
use crate::effects::{Accepted, Effects, Input, Level, LogLine, ManageCall, WorkDone};
use crate::fetching::Fetching;
use crate::info::Identity;
use crate::lame_duck::LameDuck;
use crate::publish::Inline;
use crate::router::{Bounds, Router};
use crate::streams::{Storage, StorageView, Streams};
use crate::system::{self, Herald};
use crate::timers::{TimerKind, Timers};
use crate::tls::{Handshakes, Security};
use crate::trace::Tracing;

pub use managers::{Manager, Proof};

/// What a shard is made from.
#[derive(Clone, Debug)]
pub struct ShardOptions {
    /// The configuration.
    pub config: Options,
    /// Our own version, as the user knows it.
    pub version: String,
    /// When the process started.
    pub start: Now,
    /// The limits of the store under JetStream.
    pub store: StoreOptions,
    /// What the server's keys are made from, which nobody else may know.
    pub secret: [u8; 32],
    /// What compiles and checks schemas, whose libraries are not pure.
    pub schemas: Rc<dyn SchemaLibrary>,
    /// What streams may take of the machine where the configuration does not say.
    pub room: Room,
}

/// What all streams together may take, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    /// Of the disk.
    pub store_bytes: i64,
    /// Of memory.
    pub memory_bytes: i64,
}

impl Room {
    /// As much as they like.
    pub const UNLIMITED: Self = Self {
        store_bytes: i64::MAX,
        memory_bytes: i64::MAX,
    };
}

/// One single-threaded broker: connections, accounts, streams and Memphis' stations.
///
/// A driver hands in new connections by [`Shard::accept`] and everything else by [`Shard::handle`],
/// and carries out the [`Effects`] of each call before the next one. It takes the bytes for a dirty
/// connection by [`Shard::take_outbound`], and comes back with [`Input::Timeout`] when
/// [`Shard::poll_timeout`] says so.
#[derive(Debug)]
pub struct Shard {
    pub(crate) options: ShardOptions,
    pub(crate) router: Router,
    pub(crate) auth: Auth,
    pub(crate) identity: Identity,
    pub(crate) closed: ClosedRing,
    pub(crate) rng: Rng,
    /// JetStream, where it is on.
    pub(crate) streams: Option<Streams>,
    pub(crate) handshakes: Handshakes,
    /// Set once the server is going to stop.
    pub(crate) lame_duck: Option<LameDuck>,
    timers: Timers,
    cid_last: u64,
    /// Connections that are not closing.
    pub(crate) open: u32,
    pub(crate) seed: u64,
    pub(crate) herald: Herald,
    pub(crate) fetching: Fetching,
}

/// The stream of randomness for names and jitter.
const RNG_SHARD: u64 = 2;

impl Shard {
    /// Returns a shard without connections.
    #[must_use]
    pub fn new(options: ShardOptions, seed: u64) -> Self {
        let config = &options.config;
        let rng = Rng::new(seed, RNG_SHARD);
        let mut accounts = Accounts::new(config, seed);
        let auth = Auth::new(config, &mut accounts, seed, &options.secret);
        let bounds = Bounds::new(config);
        let identity = Identity::new(config, options.secret);
        let mut router = Router::new(accounts, bounds, &identity.name, seed);
        router.sharing.configure(config, &mut router.accounts);
        router.tracing = Tracing::new(config);
        system::bind(&mut router, config, &identity.id);
        let js = &config.jetstream;
        Self {
            streams: js
                .enabled
                .then(|| Streams::new(&options, &identity, &auth, &mut router, seed)),
            identity,
            closed: ClosedRing::new(config.limits.closed_clients_max as usize),
            router,
            handshakes: Handshakes::default(),
            lame_duck: None,
            timers: Timers::default(),
            cid_last: 0,
            open: 0,
            auth,
            rng,
            herald: Herald::new(options.start.mono),
            fetching: Fetching::default(),
            options,
            seed,
        }
    }

    /// Takes in a connection and greets it with INFO.
    pub fn accept(&mut self, now: Now, accepted: Accepted, fx: &mut Effects) -> ConnId {
        self.router.now = now;
        self.cid_last += 1;
        self.router.stats.connections_total += 1;
        let cid = self.cid_last;
        let config = &self.options.config;
        let Accepted {
            rules, security, ..
        } = accepted;
        let kind = accepted.kind();
        let login = self.auth.is_required(rules, kind);
        let parser = Parser::new(parser::Limits {
            control_line_max: config.limits.control_line_max as usize,
            payload_max: config.limits.payload_max,
            headers: false,
            connect_only: login,
        });
        let full = self.open >= config.limits.connections_max;
        let id = self
            .router
            .conns
            .insert(|id| Conn::new(id, cid, accepted, parser, now));
        self.open += 1;
        if self.auth.wants_signatures() {
            let nonce = nonce(&mut self.rng);
            if let Some(conn) = self.router.conns.get_mut(id) {
                conn.nonce = nonce;
            }
        }
        match security {
            Security::Plain | Security::Optional => self.begin(id),
            Security::Required | Security::First => {
                if let Some(conn) = self.router.conns.get_mut(id) {
                    conn.state = State::Handshake;
                }
            }
        }
        if security != Security::First {
            self.send_info(id);
        }
        self.router.debug_conn(id, "Client connection created");
        if full {
            self.fail(
                id,
                &ProtocolError::MaxConnections,
                CloseReason::MaxConnectionsExceeded,
            );
        }
        self.arm(id);
        core::mem::swap(&mut self.router.fx, fx);
        id
    }

    /// Reacts to one input. What must happen outside is in `fx` afterwards, which must be empty
    /// before.
    pub fn handle(&mut self, now: Now, input: Input<'_>, fx: &mut Effects) {
        debug_assert!(fx.is_empty(), "effects are drained before the next input");
        self.router.now = now;
        match input {
            Input::Bytes { conn, buf } => {
                self.on_bytes(conn, buf);
                self.end_input();
                self.arm(conn);
            }
            Input::Written { conn, bytes } => {
                if let Some(conn) = self.router.conns.get_mut(conn) {
                    conn.outbox.written(bytes, now.mono);
                }
            }
            Input::Blocked { conn } => {
                if let Some(conn) = self.router.conns.get_mut(conn) {
                    conn.outbox.block(now.mono);
                }
                self.arm(conn);
            }
            Input::Greet { conn } => self.send_info(conn),
            Input::Handshake { conn } => self.on_handshake(conn),
            Input::Secured { conn, session } => {
                self.on_secured(conn, session);
                self.arm(conn);
            }
            Input::Origin { conn, origin } => self.on_origin(conn, origin),
            Input::NoOrigin { conn, why } => self.on_no_origin(conn, why),
            Input::HandshakeFailed { conn, level, why } => {
                self.on_handshake_failed(conn, level, why);
            }
            Input::Closed { conn, gone } => {
                self.on_closed(conn, gone);
                self.end_input();
            }
            Input::Disk(done) => {
                self.with_streams(|streams, router, ops| streams.on_disk(router, done, ops));
                self.release_held();
                self.end_input();
            }
            Input::Work(done) => self.on_work_done(done),
            Input::Measured(process) => {
                self.on_measured(&process);
                self.end_input();
            }
            Input::Reloaded(failed) => {
                self.on_reloaded(failed.as_deref());
                self.end_input();
            }
            Input::Timeout => self.on_timeout(),
            Input::Settle => {
                self.pump();
                self.router.fx.settle = self.router.has_leftovers();
            }
            Input::Manage(call) => self.on_manage(call),
            Input::LameDuck => self.on_lame_duck_wanted(),
            Input::Reload(config) => self.reload(*config),
            Input::CloseStreams => self.rest_streams(),
            Input::Shutdown => {
                self.with_streams(|streams, router, _| streams.tell_shutdown(router));
                self.announce_leave("SHUTDOWN");
                self.shut_down();
                self.pump();
                self.with_streams(|streams, _, ops| streams.on_shutdown(ops));
            }
        }
        core::mem::swap(&mut self.router.fx, fx);
    }

    /// Does what has become due.
    fn on_timeout(&mut self) {
        while let Some(conn) = self.timers.pop_due(self.router.now.mono) {
            if let Some(conn) = self.router.conns.get_mut(conn) {
                conn.armed = Instant::NEVER;
            }
            self.on_deadline(conn);
            debug_assert!(!self.is_due(conn), "a deadline that stays due never ends");
            self.arm(conn);
        }
        self.on_lame_duck();
        let mut inline = Inline::of_server(self.streams.as_mut());
        self.router.expire_requests(&mut inline);
        self.on_stats_due();
        self.on_connections_due();
        self.with_streams(Streams::on_timeout);
        self.end_input();
    }

    /// Returns when [`Input::Timeout`] is wanted, and what for.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<(Instant, TimerKind)> {
        let conns = self.timers.next().map(|at| (at, TimerKind::Connection));
        let streams = self.streams.as_ref();
        let streams = streams.and_then(Streams::next_timeout);
        let streams = streams.map(|at| (at, TimerKind::Streams));
        let duck = self.lame_duck.as_ref().and_then(LameDuck::next);
        let duck = duck.map(|at| (at, TimerKind::LameDuck));
        let responses = self.router.sharing.responses.next_timeout();
        let responses = responses.map(|at| (at, TimerKind::Responses));
        let all = conns
            .into_iter()
            .chain(streams)
            .chain(duck)
            .chain(responses)
            .chain(self.next_stats().map(|at| (at, TimerKind::Stats)))
            .chain(self.next_connections().map(|at| (at, TimerKind::Stats)));
        all.min_by_key(|(at, _)| *at)
    }

    /// Begins to read what the disk holds. JetStream is in service when [`Shard::storage`] says so;
    /// until then no connection may be taken in.
    pub fn start(&mut self, now: Now, fx: &mut Effects) {
        self.router.now = now;
        self.with_streams(Streams::start);
        core::mem::swap(&mut self.router.fx, fx);
    }

    /// Returns the configuration that is in force.
    #[must_use]
    pub fn config(&self) -> &Options {
        &self.options.config
    }

    /// Returns how far the store is; none without JetStream.
    #[must_use]
    pub fn storage(&self) -> Option<StorageView> {
        let streams = self.streams.as_ref()?;
        let damaged = streams.report.as_ref().and_then(|report| {
            let first = report.damage.first()?;
            Some((*first, report.damage.len()))
        });
        Some(StorageView {
            storage: streams.storage,
            stats: streams.store.stats(),
            unreadable: streams.machine.unreadable(),
            damaged,
            poisoned: streams.store.poisoned(),
            lacks: streams.store.lacks(),
        })
    }

    /// Returns why storage is [`Storage::Damaged`] or [`Storage::Unreadable`], if it is.
    #[must_use]
    pub(crate) fn storage_failure(&self) -> Option<&str> {
        self.streams.as_ref()?.failure.as_deref()
    }

    /// Returns the JetStream machine, to look at; none without JetStream.
    #[must_use]
    pub fn jetstream(&self) -> Option<&JetStream> {
        self.streams.as_ref().map(|streams| &streams.machine)
    }

    /// Returns the Memphis machine, to look at; none without JetStream.
    #[must_use]
    pub fn memphis(&self) -> Option<&Memphis> {
        Some(&self.streams.as_ref()?.stations.machine)
    }

    /// Says whether connections can be taken in.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        let streams = self.streams.as_ref();
        streams.is_none_or(|streams| streams.storage != Storage::Recovering)
    }

    /// Ends an input that is part of a batch: asks for the end of that.
    pub(crate) fn end_input(&mut self) {
        self.report_followed();
        self.sweep();
        self.ask_to_measure();
        self.router.fx.settle = self.streams.is_some();
    }

    fn on_work_done(&mut self, done: WorkDone) {
        match done {
            WorkDone::PasswordChecked { conn, fits } => {
                self.on_password_checked(conn, fits);
                self.end_input();
                self.arm(conn);
            }
            WorkDone::AccountFetched { key, token } => {
                self.on_account_fetched(&key, token);
                self.end_input();
            }
            WorkDone::Notified(Err(why)) => {
                let text = format!("A service could not be told of events: {why}");
                let level = Level::Error;
                self.router.fx.log.push(LogLine::new(level, text));
            }
            WorkDone::Notified(Ok(())) => {}
            WorkDone::Uploaded(id, result) => {
                if let Some(streams) = &mut self.streams {
                    streams.note_uploaded(&mut self.router, id, result);
                }
                self.end_input();
            }
            WorkDone::FilesChanged(outcome) => {
                self.on_files_changed(outcome);
                self.end_input();
            }
        }
    }

    fn on_manage(&mut self, call: Box<ManageCall>) {
        self.router.mail.manage(call);
        self.end_input();
    }

    fn on_lame_duck_wanted(&mut self) {
        self.announce_leave("LAMEDUCK");
        self.begin_lame_duck();
    }

    /// Ends a batch of input.
    fn pump(&mut self) {
        self.with_streams(Streams::pump);
        self.take_users();
        self.sweep();
    }

    fn with_streams(&mut self, run: impl FnOnce(&mut Streams, &mut Router, &mut Vec<DiskOp>)) {
        if let Some(streams) = &mut self.streams {
            let mut ops = core::mem::take(&mut self.router.fx.disk);
            run(streams, &mut self.router, &mut ops);
            self.router.fx.disk = ops;
        }
    }

    /// Swaps `spare`, whose bytes have all been written, for what waits to be written; false when
    /// nothing does.
    pub fn take_outbound(&mut self, conn: ConnId, spare: &mut BytesMut) -> bool {
        match self.router.conns.get_mut(conn) {
            Some(conn) => conn.outbox.take(spare),
            None => false,
        }
    }

    /// Counts a connection in its account.
    pub(crate) fn join(router: &mut Router, id: ConnId) {
        if let Some(conn) = router.conns.get(id)
            && let Some(account) = router.accounts.get_mut(conn.account)
        {
            account.connections += 1;
        }
    }

    /// Sees to it that the shard is woken when the connection has a deadline.
    pub(crate) fn arm(&mut self, id: ConnId) {
        let write_deadline = self.router.bounds.write_deadline;
        if let Some(conn) = self.router.conns.get_mut(id) {
            let due = conn.deadline(write_deadline);
            if due < conn.armed {
                conn.armed = due;
                self.timers.arm(due, id);
            }
        }
    }

    /// Sends the INFO that fits where the connection is.
    pub(crate) fn send_info(&mut self, id: ConnId) {
        let Some(json) = self.info_json(id) else {
            return;
        };
        if let Some(conn) = self.router.conns.get_mut(id) {
            conn.told_info = true;
        }
        self.router
            .send(id, |conn| encode::info(conn.outbox.buf(), &json));
    }
}

/// Draws what one client is to sign. A digest of what is drawn: from the nonces that it is shown nobody
/// learns the next one, which it could have a client sign for it.
fn nonce(rng: &mut Rng) -> String {
    const LEN: usize = 11;
    let mut digest = Sha256::new();
    for _ in 0..4 {
        digest.update(rng.next_u64().to_le_bytes());
    }
    let digest = digest.finalize();
    URL_SAFE_NO_PAD.encode(digest.get(..LEN).unwrap_or_default())
}

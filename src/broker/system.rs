//! The system account: what is asked in it, and what the server says there by itself.
//!
//! *Invariant:* nothing is made that nobody hears. Requests wait for the driver's measurements until the
//! input that brought them has been handled; how many may wait is bounded.

mod claims;
mod events;
mod requests;

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, VecDeque};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

use config::Options;
use monitor::stats::Process;
use monitor::system::{ACCOUNT_REQUESTS, SERVER_REQUESTS};
use protocol::encode::BLANK_REPLY;
use protocol::encoding::Encoding;
use protocol::id::{AccountId, ConnId};
use protocol::message::Message;
use protocol::time::Instant;

use crate::effects::Errand;
use crate::limits::SYSTEM_REQUESTS_MAX;
use crate::monitoring::Monitoring;
use crate::publish::Inline;
use crate::router::{Router, Target};
use crate::shard::Shard;

/// What one server is asked to do.
const ACTIONS: [&str; 3] = ["RELOAD", "KICK", "LDM"];
/// After the start servers tell how they are in short order, then less and less often, down to this.
const STATS_GAP_MAX: Duration = Duration::from_secs(10);
/// How soon they do for the first time.
const STATS_GAP_MIN: Duration = Duration::from_millis(250);
/// How often the connections of an account are told that do not change.
const CONNECTIONS_GAP: Duration = Duration::from_secs(30);
/// How long an event's id is.
const ID_LEN: usize = 22;

/// A request in the system account. It is a copy, since it waits for the end of the input.
#[derive(Debug)]
pub(crate) struct Request {
    subject: Box<[u8]>,
    reply: Box<[u8]>,
    payload: Box<[u8]>,
    /// How the answer is to be encoded.
    encoding: Encoding,
    /// Who asks; none where another account's client does not say.
    from: Option<ConnId>,
}

/// Requests that wait.
#[derive(Debug, Default)]
pub(crate) struct Desk(VecDeque<Request>);

impl Desk {
    /// Takes a request in; false if it is one too many.
    pub(crate) fn put(&mut self, to: &[u8], msg: &Message<'_>, from: Option<ConnId>) -> bool {
        if self.0.len() >= SYSTEM_REQUESTS_MAX {
            return false;
        }
        self.0.push_back(Request {
            subject: Box::from(to),
            reply: Box::from(msg.reply),
            payload: Box::from(msg.payload),
            encoding: Encoding::wanted(msg.headers),
            from,
        });
        true
    }
}

/// What the server says by itself.
#[derive(Debug)]
pub(crate) struct Herald {
    /// How much has been said.
    seq: u64,
    /// Whether the driver has been asked to measure.
    measuring: bool,
    /// Whether the server's state is to be told once it has been measured.
    pub(crate) stats_wanted: bool,
    stats_due: Instant,
    stats_gap: Duration,
    /// When the connections of accounts that have some are told again, if they have not changed.
    connections_due: BTreeMap<AccountId, Instant>,
    /// The earliest of those times, or an earlier one.
    next_connections: Instant,
    /// Where to say what became of reloads that were asked for.
    reloads: VecDeque<Box<[u8]>>,
    changes: claims::Changes,
}

impl Herald {
    pub(crate) fn new(start: Instant) -> Self {
        Self {
            seq: 0,
            measuring: false,
            stats_wanted: false,
            stats_due: start + STATS_GAP_MIN,
            stats_gap: STATS_GAP_MIN,
            connections_due: BTreeMap::new(),
            next_connections: Instant::NEVER,
            reloads: VecDeque::new(),
            changes: claims::Changes::default(),
        }
    }

    pub(crate) fn next_seq(&mut self) -> u64 {
        self.seq += 1;
        self.seq
    }
}

/// Binds the server's own subjects in the system account.
pub(crate) fn bind(router: &mut Router, options: &Options, server: &str) {
    let Some(system) = router.accounts.system else {
        return;
    };
    let mut subjects = Vec::from([
        String::from("$SYS.REQ.SERVER.PING"),
        String::from("$SYS.REQ.USER.INFO"),
        String::from("$SYS.REQ.USER.*.INFO"),
        String::from("$SYS.DEBUG.SUBSCRIBERS"),
    ]);
    for what in SERVER_REQUESTS {
        subjects.push(format!("$SYS.REQ.SERVER.PING.{what}"));
        subjects.push(format!("$SYS.REQ.SERVER.{server}.{what}"));
    }
    for what in ACTIONS {
        subjects.push(format!("$SYS.REQ.SERVER.{server}.{what}"));
    }
    for what in ACCOUNT_REQUESTS {
        subjects.push(format!("$SYS.REQ.ACCOUNT.*.{what}"));
    }
    let claims = options.operators.iter().flat_map(claims::subjects);
    subjects.extend(claims.map(String::from));
    if let Some(account) = router.accounts.get_mut(system) {
        for subject in subjects {
            let bound = account
                .subs
                .insert(subject.as_bytes(), None, Target::System);
            debug_assert!(bound.is_ok(), "the subjects are well formed");
        }
    }
}

impl Shard {
    /// Asks the driver to measure if a request waits for that.
    #[inline]
    pub(crate) fn ask_to_measure(&mut self) {
        let wanted = self.herald.stats_wanted || !self.router.desk.0.is_empty();
        if wanted && !self.herald.measuring {
            self.herald.measuring = true;
            self.router.fx.errands.push(Errand::Measure);
        }
    }

    /// Answers what waited for the driver's measurements.
    pub(crate) fn on_measured(&mut self, process: &Process) {
        self.herald.measuring = false;
        if core::mem::take(&mut self.herald.stats_wanted) {
            let subject = format!("$SYS.SERVER.{}.STATSZ", self.identity.id);
            self.announce(&subject, process, |view, _, seq| {
                monitor::system::statsz(view, seq)
            });
        }
        while let Some(request) = self.router.desk.0.pop_front() {
            self.answer(&request, process);
        }
    }

    /// Returns when the server tells how it is; never where nobody of the system account is here.
    pub(crate) fn next_stats(&self) -> Option<Instant> {
        let system = self.router.accounts.system?;
        let account = self.router.accounts.get(system)?;
        (account.connections > 0).then_some(self.herald.stats_due)
    }

    /// Returns when connections of accounts are told again.
    pub(crate) fn next_connections(&self) -> Option<Instant> {
        Some(self.herald.next_connections).filter(|at| *at != Instant::NEVER)
    }

    /// Tells again how many connections accounts have, if it is time.
    pub(crate) fn on_connections_due(&mut self) {
        let now = self.router.now.mono;
        if self.herald.next_connections > now {
            return;
        }
        let due = self.herald.connections_due.iter();
        let due: Vec<AccountId> = due
            .filter(|(_, at)| **at <= now)
            .map(|(id, _)| *id)
            .collect();
        for account in due {
            self.announce_connections(account);
        }
        let next = self.herald.connections_due.values().min();
        self.herald.next_connections = next.copied().unwrap_or(Instant::NEVER);
    }

    /// Notes when the connections of an account are told again: not while it has none.
    fn arm_connections(&mut self, account: AccountId) {
        let here = self.router.accounts.get(account);
        if here.is_none_or(|here| here.connections == 0) {
            self.herald.connections_due.remove(&account);
            return;
        }
        let at = self.router.now.mono + CONNECTIONS_GAP;
        self.herald.connections_due.insert(account, at);
        self.herald.next_connections = self.herald.next_connections.min(at);
    }

    /// Tells how the server is, if it is time.
    pub(crate) fn on_stats_due(&mut self) {
        let now = self.router.now.mono;
        if self.next_stats().is_some_and(|due| due <= now) {
            let gap = (self.herald.stats_gap * 2).min(STATS_GAP_MAX);
            self.herald.stats_gap = gap;
            self.herald.stats_due = now + gap;
            self.herald.stats_wanted = true;
        }
    }

    /// Says something in the system account, if somebody hears it there.
    fn announce(
        &mut self,
        subject: &str,
        process: &Process,
        make: impl FnOnce(&Monitoring<'_>, &str, u64) -> Vec<u8>,
    ) {
        if let Some(system) = self.router.accounts.system {
            self.announce_in(system, subject, process, make);
        }
    }

    /// Says something in an account, if somebody hears it there.
    fn announce_in(
        &mut self,
        to: AccountId,
        subject: &str,
        process: &Process,
        make: impl FnOnce(&Monitoring<'_>, &str, u64) -> Vec<u8>,
    ) {
        let account = self.router.accounts.get_mut(to);
        if !account.is_some_and(|account| account.subs.has_interest(subject.as_bytes())) {
            return;
        }
        let id = self.event_id();
        let seq = self.herald.next_seq();
        let body = make(&self.monitoring(self.router.now, process.clone()), &id, seq);
        self.say(to, subject.as_bytes(), body, Encoding::Plain);
    }

    fn event_id(&mut self) -> String {
        let mut id = [0; ID_LEN];
        self.router.sharing.rng.fill_base62(&mut id);
        String::from_utf8_lossy(&id).into_owned()
    }

    /// Publishes something of the server's own.
    pub(crate) fn say(
        &mut self,
        account: AccountId,
        subject: &[u8],
        body: Vec<u8>,
        encoding: Encoding,
    ) {
        let msg = Message {
            subject,
            reply: BLANK_REPLY,
            headers: encoding.headers(),
            payload: &encoding.encode(body),
        };
        let mut inline = Inline::of_server(self.streams.as_mut());
        self.router.enter(account, subject, &msg, None, &mut inline);
    }
}

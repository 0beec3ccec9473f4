//! What monitoring sees: copies, so that nothing outside holds on to the shard.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::net::SocketAddr;
use core::time::Duration;

use monitor::stats::Signed;
use protocol::id::ConnId;
use protocol::time::{Now, Wall};

use crate::closed::Closed;
use crate::conn::{Conn, State};
use crate::effects::Rules;
use crate::limits::CLOSED_SUBS_MAX;
use crate::shard::Shard;
use crate::stats::{Flow, Stats};
use crate::tls::TlsSession;

/// A connection as connz shows it.
#[derive(Clone, Debug)]
pub struct ConnView {
    /// The number that users see.
    pub cid: u64,
    /// Where it comes from.
    pub peer: SocketAddr,
    /// The rules of its listener.
    pub rules: Rules,
    /// When it connected.
    pub start: Wall,
    /// When bytes last arrived, as a distance from now.
    pub idle: Duration,
    /// The last round trip; zero while unknown.
    pub rtt: Duration,
    /// How long it has been connected.
    pub uptime: Duration,
    /// Bytes that wait for it.
    pub pending: usize,
    /// What it published.
    pub received: Flow,
    /// What was sent to it.
    pub sent: Flow,
    /// How often it was paused for a lagging subscriber.
    pub stalls: u64,
    /// How many subscriptions it holds.
    pub subscriptions: usize,
    /// Its name.
    pub name: String,
    /// Its library's language.
    pub lang: String,
    /// Its library's version.
    pub version: String,
    /// Its user.
    pub user: String,
    /// Its account.
    pub account: String,
    /// The account's name for people.
    pub account_label: String,
    /// What was signed about its user, if something was.
    pub signed: Option<Box<Signed>>,
    /// The key of the trusted proxy that it comes through, if it does.
    pub proxy: Option<Box<str>>,
    /// Whether it is a WebSocket.
    pub websocket: bool,
    /// Its encryption, if it has one.
    pub tls: Option<Box<TlsSession>>,
}

/// A subscription as connz and subsz show it.
#[derive(Clone, Debug)]
pub struct SubView {
    /// The connection's number.
    pub cid: u64,
    /// The account.
    pub account: String,
    /// The subject.
    pub subject: Vec<u8>,
    /// The queue group.
    pub queue: Option<Vec<u8>>,
    /// The client's name for it.
    pub sid: Vec<u8>,
    /// Messages delivered.
    pub msgs: u64,
    /// After how many it ends; 0 is never.
    pub max: u64,
}

impl Shard {
    /// Returns the counters.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.router.stats
    }

    /// Returns how many clients are connected.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.router.conns.iter().filter(|c| !c.is_closing()).count()
    }

    /// Returns the connections, by number.
    #[must_use]
    pub(crate) fn conn_views(&self, now: Now) -> Vec<ConnView> {
        let open = self.router.conns.iter().filter(|conn| !conn.is_closing());
        let mut views: Vec<ConnView> = open.filter_map(|conn| self.view_at(conn.id, now)).collect();
        views.sort_by_key(|view| view.cid);
        views
    }

    /// Returns the connections that have ended, oldest first, as far as they are remembered.
    pub(crate) fn closed_views(&self) -> impl Iterator<Item = &Closed> {
        self.closed.iter()
    }

    /// Returns the subscriptions of every client.
    #[must_use]
    pub(crate) fn sub_views(&self) -> Vec<SubView> {
        let conns = self.router.conns.iter();
        conns.flat_map(|conn| self.subs_of(conn)).collect()
    }

    /// Returns the first subscriptions of a client that is about to end.
    pub(crate) fn last_subs(&self, id: ConnId) -> Vec<SubView> {
        let conn = self.router.conns.get(id);
        let subs = conn.map(|conn| self.subs_of(conn).take(CLOSED_SUBS_MAX));
        subs.map(Iterator::collect).unwrap_or_default()
    }

    fn subs_of<'a>(&'a self, conn: &'a Conn) -> impl Iterator<Item = SubView> + 'a {
        let account = self.router.accounts.name(conn.account);
        conn.subs.iter().map(move |(_, sub)| SubView {
            cid: conn.cid,
            account: String::from(account),
            subject: sub.subject.to_vec(),
            queue: sub.queue.as_ref().map(|queue| queue.to_vec()),
            sid: sub.sid.to_vec(),
            msgs: sub.delivered,
            max: sub.max,
        })
    }

    pub(crate) fn view(&self, id: ConnId) -> Option<ConnView> {
        self.view_at(id, self.router.now)
    }

    fn view_at(&self, id: ConnId, now: Now) -> Option<ConnView> {
        let conn = self.router.conns.get(id)?;
        let user = conn.user.as_ref();
        let account = match conn.state {
            // Nobody's yet.
            State::Handshake | State::Login { .. } => "",
            State::Open | State::Closing { .. } => self.router.accounts.name(conn.account),
        };
        Some(ConnView {
            cid: conn.cid,
            peer: conn.peer,
            rules: conn.rules,
            start: conn.start.wall,
            idle: now.mono.since(conn.pulse.last_in),
            rtt: conn.pulse.rtt,
            uptime: now.mono.since(conn.start.mono),
            pending: conn.outbox.pending(),
            received: conn.received,
            sent: conn.sent,
            stalls: conn.stalls,
            subscriptions: conn.subs.len(),
            name: conn.wishes.name.clone(),
            lang: conn.wishes.lang.clone(),
            version: conn.wishes.version.clone(),
            user: user.map_or_else(|| conn.wishes.user.clone(), |user| user.name.clone()),
            account: String::from(account),
            account_label: String::from(self.options.config.account_label(account)),
            signed: signed(conn).map(Box::new),
            proxy: conn.proxy.as_deref().map(Box::from),
            websocket: conn.websocket.is_some(),
            tls: conn.tls.clone(),
        })
    }
}

/// Returns what was signed about a client's user, if something was.
pub(crate) fn signed(conn: &Conn) -> Option<Signed> {
    let claimed = conn.user.as_ref()?.signed.as_ref()?;
    Some(Signed {
        jwt: conn
            .said
            .as_ref()
            .map(|said| said.jwt.clone())
            .unwrap_or_default(),
        issuer_key: claimed.issuer.clone(),
        tags: claimed.tags.clone(),
    })
}

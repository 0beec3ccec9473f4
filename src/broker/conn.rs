//! One client connection: what it is allowed, what it asked for, what waits for it.
//!
//! *Invariant:* a connection that is closing holds no subscriptions, so that nothing more is routed
//! to it.

pub(crate) mod outbox;
pub(crate) mod subs;
pub(crate) mod table;

use alloc::boxed::Box;
use alloc::rc::Rc;
use alloc::string::String;
use core::net::SocketAddr;
use core::time::Duration;

use config::options::ConnectionType;
use protocol::connect::Connect;
use protocol::errors::CloseReason;
use protocol::id::{AccountId, ConnId};
use protocol::parser::{Limits, Parser};
use protocol::time::{Instant, Now};
use routing::permissions::Permit;

use crate::auth::User;
use crate::conn::outbox::Outbox;
use crate::conn::subs::Subs;
use crate::effects::{Accepted, Rules, WebSocketClient};
use crate::stats::Flow;
use crate::tls::{Security, TlsSession};

/// Where a connection is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// Its handshake comes first.
    Handshake,
    /// Must authenticate before anything else, until the deadline.
    Login {
        /// When its time is over.
        deadline: Instant,
    },
    /// May do what its user may.
    Open,
    /// Is only written to any more.
    Closing {
        /// Why.
        reason: CloseReason,
        /// When the socket is taken away even if the rest has not been written.
        deadline: Instant,
    },
}

/// What `CONNECT` said, with nats-server's defaults for a client that says nothing.
#[derive(Clone, Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "CONNECT has these independent switches"
)]
pub(crate) struct Wishes {
    pub(crate) verbose: bool,
    pub(crate) pedantic: bool,
    pub(crate) echo: bool,
    pub(crate) headers: bool,
    pub(crate) no_responders: bool,
    pub(crate) protocol: i64,
    pub(crate) name: String,
    pub(crate) lang: String,
    pub(crate) version: String,
    pub(crate) user: String,
}

impl Wishes {
    /// Keeps what of a CONNECT matters after the login, which its secrets do not.
    pub(crate) fn new(said: &Connect, headers: bool) -> Self {
        Self {
            verbose: said.verbose,
            pedantic: said.pedantic,
            echo: said.echo,
            headers,
            no_responders: said.no_responders,
            protocol: said.protocol,
            name: said.name.clone(),
            lang: said.lang.clone(),
            version: said.version.clone(),
            user: said.user.clone(),
        }
    }
}

impl Conn {
    /// Returns what the client has said in its CONNECTs: a further one changes only what it names.
    pub(crate) fn said_so_far(&self) -> Connect {
        let wishes = &self.wishes;
        Connect {
            verbose: wishes.verbose,
            pedantic: wishes.pedantic,
            echo: wishes.echo,
            headers: wishes.headers,
            no_responders: wishes.no_responders,
            protocol: wishes.protocol,
            name: wishes.name.clone(),
            lang: wishes.lang.clone(),
            version: wishes.version.clone(),
            user: wishes.user.clone(),
            ..self.said.as_deref().cloned().unwrap_or_default()
        }
    }
}

/// How the connection's signs of life are watched.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pulse {
    /// When the next PING is considered.
    pub(crate) next: Instant,
    /// PINGs without an answer.
    pub(crate) unanswered: u32,
    /// When the last PING went out.
    pub(crate) sent: Instant,
    /// When bytes last arrived.
    pub(crate) last_in: Instant,
    /// The last round trip; zero while unknown.
    pub(crate) rtt: Duration,
    /// Whether the client has had its first PONG, and with it the second INFO.
    pub(crate) greeted: bool,
}

/// A login whose password is being checked.
#[derive(Debug)]
pub(crate) struct Login {
    pub(crate) said: Connect,
    pub(crate) account: AccountId,
    pub(crate) user: Option<Rc<User>>,
    /// Whether the client is connected already, and the configuration has changed.
    pub(crate) again: bool,
}

/// A client connection.
#[derive(Debug)]
pub(crate) struct Conn {
    pub(crate) id: ConnId,
    /// The number that users see.
    pub(crate) cid: u64,
    pub(crate) state: State,
    pub(crate) account: AccountId,
    pub(crate) user: Option<Rc<User>>,
    pub(crate) wishes: Wishes,
    /// What it logged in with, if it showed anything: it is judged anew when users change.
    pub(crate) said: Option<Box<Connect>>,
    /// Nothing is read while a login is being checked.
    pub(crate) login: Option<Box<Login>>,
    pub(crate) connected: bool,
    pub(crate) subs: Subs,
    pub(crate) outbox: Outbox,
    pub(crate) parser: Parser,
    /// What the client may send, as its login left it.
    pub(crate) parser_limits: Limits,
    /// Its user's rules, as far as there are any.
    pub(crate) permit: Option<Permit>,
    pub(crate) pulse: Pulse,
    pub(crate) rules: Rules,
    pub(crate) security: Security,
    /// What the client is given to sign; empty where nobody has to.
    pub(crate) nonce: String,
    /// The key of the trusted proxy that it comes through, if it does.
    pub(crate) proxy: Option<Rc<str>>,
    /// What it began with, if it is a WebSocket.
    pub(crate) websocket: Option<Box<WebSocketClient>>,
    /// Its encryption, once it has one.
    pub(crate) tls: Option<Box<TlsSession>>,
    /// When its user has to go.
    pub(crate) expires: Instant,
    /// Whether it has had its first INFO.
    pub(crate) told_info: bool,
    /// Where it comes from, as far as is known.
    pub(crate) peer: SocketAddr,
    /// Whether it may yet tell otherwise.
    pub(crate) origin_follows: bool,
    pub(crate) local: SocketAddr,
    pub(crate) start: Now,
    pub(crate) received: Flow,
    pub(crate) sent: Flow,
    pub(crate) stalls: u64,
    /// Until when reading is paused; `NEVER` when it is not.
    pub(crate) gated_until: Instant,
    /// Whether reading is paused until the disk has caught up.
    pub(crate) held: bool,
    /// The earliest wake-up on its way.
    pub(crate) armed: Instant,
}

impl Conn {
    pub(crate) fn new(
        id: ConnId,
        cid: u64,
        mut accepted: Accepted,
        parser: Parser,
        now: Now,
    ) -> Self {
        let websocket = accepted.websocket.as_mut();
        let tls = websocket.and_then(|websocket| websocket.tls.take());
        Self {
            id,
            cid,
            state: State::Open,
            account: AccountId(0),
            user: None,
            wishes: Wishes::new(&Connect::default(), false),
            said: None,
            login: None,
            connected: false,
            subs: Subs::default(),
            outbox: Outbox::default(),
            parser_limits: parser.limits,
            parser,
            permit: None,
            pulse: Pulse {
                next: Instant::NEVER,
                unanswered: 0,
                sent: Instant::default(),
                last_in: now.mono,
                rtt: Duration::ZERO,
                greeted: false,
            },
            rules: accepted.rules,
            security: accepted.security,
            nonce: String::new(),
            proxy: None,
            websocket: accepted.websocket,
            tls,
            expires: Instant::NEVER,
            told_info: false,
            peer: accepted.peer,
            origin_follows: accepted.origin_follows,
            local: accepted.local,
            start: now,
            received: Flow::default(),
            sent: Flow::default(),
            stalls: 0,
            gated_until: Instant::NEVER,
            held: false,
            armed: Instant::NEVER,
        }
    }

    /// Returns what kind of connection it is.
    pub(crate) fn kind(&self) -> ConnectionType {
        match self.websocket {
            Some(_) => ConnectionType::WebSocket,
            None => ConnectionType::Standard,
        }
    }

    pub(crate) fn is_closing(&self) -> bool {
        matches!(self.state, State::Closing { .. })
    }

    /// Returns when the shard has to look at the connection again.
    pub(crate) fn deadline(&self, write_deadline: Duration) -> Instant {
        let state = match self.state {
            // Nothing else counts for it any more.
            State::Closing { deadline, .. } => return deadline,
            State::Login { deadline } => deadline,
            State::Handshake => Instant::NEVER,
            State::Open => self.expires,
        };
        let write = match self.outbox.blocked_since() {
            Some(since) => since + write_deadline,
            None => Instant::NEVER,
        };
        state.min(write).min(self.pulse.next).min(self.gated_until)
    }
}

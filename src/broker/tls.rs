//! Connections over TLS: what their INFO says, when they are greeted, and who their certificate
//! says they are.
//!
//! *Invariant:* the handshake is the driver's. A connection that has to begin with one is told
//! nothing but INFO, and nothing of it is read, before the driver says that it is secured.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::net::SocketAddr;
use core::time::Duration;

use config::options::ConnectionType;
use protocol::errors::{CloseReason, ProtocolError};
use protocol::id::ConnId;
use protocol::time::Instant;

use crate::auth::dn::Dn;
use crate::conn::{Conn, State};
use crate::effects::{Level, LogLine};
use crate::limits::AUTH_TIMEOUT;
use crate::shard::Shard;

/// What a connection has to do with TLS when it is accepted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Security {
    /// Its listener has no certificates.
    #[default]
    Plain,
    /// The client may begin a handshake after INFO.
    Optional,
    /// The client must begin a handshake after INFO.
    Required,
    /// The client begins with a handshake, and INFO follows.
    First,
}

/// A connection's encryption.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TlsSession {
    /// The version, as in `1.3`.
    pub version: &'static str,
    /// The cipher suite's name in the registry.
    pub cipher: &'static str,
    /// Whether the handshake came before INFO.
    pub first: bool,
    /// The client's certificates, its own first; they have been verified.
    pub certs: Vec<PeerCert>,
    /// In PEM, from the client's own certificate to that of an authority; empty where none was asked for.
    pub chain: Vec<Arc<str>>,
}

/// A certificate of a client.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PeerCert {
    /// The subject, as in `CN=bob,O=Acme`.
    pub subject: String,
    /// The subject's parts in the order of the certificate: type, value.
    pub rdns: Vec<(String, String)>,
    /// Email addresses, host names and URIs that it is also for, in this order.
    pub names: Vec<String>,
    /// The hex SHA-256 digest of its public key.
    pub spki_sha256: String,
    /// The hex SHA-256 digest of all of it.
    pub cert_sha256: String,
}

/// How many handshakes the last second has seen.
#[derive(Debug, Default)]
pub(crate) struct Handshakes {
    until: Instant,
    count: u32,
}

impl Handshakes {
    /// Says whether one more is within the limit, where 0 is none.
    fn allow(&mut self, now: Instant, per_second: u32) -> bool {
        if per_second == 0 {
            return true;
        }
        if now > self.until {
            self.until = now + Duration::from_secs(1);
            self.count = 0;
        }
        self.count = self.count.saturating_add(1);
        self.count <= per_second
    }
}

impl PeerCert {
    /// Returns the subject as users are compared with it.
    pub(crate) fn dn(&self) -> Dn {
        Dn::new(&self.rdns)
    }
}

impl Shard {
    /// Returns how long a client may take to log in.
    pub(crate) fn auth_timeout(&self, kind: ConnectionType) -> Duration {
        let config = &self.options.config;
        let own = config.websocket.as_ref().and_then(|ws| ws.auth_timeout);
        if let (ConnectionType::WebSocket, Some(own)) = (kind, own) {
            return own;
        }
        let tls = config.tls.as_ref();
        let default = tls.map_or(AUTH_TIMEOUT, |tls| tls.timeout() + Duration::from_secs(1));
        config.auth.timeout.unwrap_or(default)
    }

    /// Lets a connection begin: it has to log in, or is open at once.
    pub(crate) fn begin(&mut self, id: ConnId) {
        let Some(conn) = self.router.conns.get(id) else {
            return;
        };
        let (rules, kind) = (conn.rules, conn.kind());
        let deadline = self.router.now.mono + self.auth_timeout(kind);
        let Some(conn) = self.router.conns.get_mut(id) else {
            return;
        };
        if self.auth.is_required(rules, kind) {
            conn.state = State::Login { deadline };
        } else {
            conn.state = State::Open;
            conn.account = self.router.accounts.global;
            Self::join(&mut self.router, id);
        }
    }

    /// Notes where a connection comes from.
    pub(crate) fn on_origin(&mut self, id: ConnId, origin: Option<SocketAddr>) {
        if let Some(conn) = self.router.conns.get_mut(id) {
            conn.origin_follows = false;
            conn.peer = origin.unwrap_or(conn.peer);
        }
    }

    /// Ends a connection that was to tell where it comes from and did not.
    pub(crate) fn on_no_origin(&mut self, id: ConnId, why: Option<&str>) {
        let Some(conn) = self.router.conns.get(id).filter(|conn| !conn.is_closing()) else {
            return;
        };
        if let Some(why) = why {
            let peer = conn.peer;
            let text = format!("Error reading PROXY protocol header from {peer}: {why}");
            let level = Level::Warn;
            self.router.fx.log.push(LogLine::new(level, text));
        }
        self.close(id, CloseReason::ProtocolViolation);
    }

    /// Notes that a handshake begins, unless there have been too many of late.
    pub(crate) fn on_handshake(&mut self, id: ConnId) {
        let now = self.router.now.mono;
        let tls = self.options.config.tls.as_ref();
        let per_second = tls.map_or(0, |tls| tls.connection_rate_limit);
        if !self.handshakes.allow(now, per_second) {
            let reason = CloseReason::MaxConnectionsExceeded;
            return self.fail(id, &ProtocolError::Throttled, reason);
        }
        self.log_conn(id, Level::Debug, |cid| {
            format!("{cid} - Starting TLS client connection handshake")
        });
    }

    /// Goes on with a connection whose handshake is done.
    pub(crate) fn on_secured(&mut self, id: ConnId, mut session: Box<TlsSession>) {
        if !self.auth.may_ask() {
            // Some kilobytes that only a service is told.
            session.chain = Vec::new();
        }
        let Some(conn) = self.router.conns.get_mut(id) else {
            return;
        };
        if conn.is_closing() {
            return;
        }
        let (greeted, waiting) = (conn.told_info, conn.state == State::Handshake);
        let TlsSession {
            version, cipher, ..
        } = *session;
        conn.tls = Some(session);
        self.log_conn(id, Level::Debug, |cid| {
            format!("{cid} - TLS handshake complete")
        });
        self.log_conn(id, Level::Debug, |cid| {
            format!("{cid} - TLS version {version}, cipher suite {cipher}")
        });
        if waiting {
            self.begin(id);
        }
        if !greeted {
            self.send_info(id);
        }
    }

    /// Ends a connection whose handshake came to nothing.
    pub(crate) fn on_handshake_failed(&mut self, id: ConnId, level: Level, why: &str) {
        if self.router.conns.get(id).is_none_or(Conn::is_closing) {
            return;
        }
        self.log_conn(id, level, |cid| {
            format!("{cid} - TLS handshake error: {why}")
        });
        self.close(id, CloseReason::TlsHandshakeError);
    }
}

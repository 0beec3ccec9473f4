//! What a client shows, and what may be made of it.

use alloc::rc::Rc;
use alloc::string::String;
use core::net::IpAddr;

use protocol::connect::Connect;
use protocol::errors::CloseReason;
use protocol::id::AccountId;
use protocol::time::Wall;

use super::user::User;
use crate::conn::Conn;
use crate::tls::PeerCert;

/// What a client showed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Credentials<'a> {
    pub(crate) user: &'a str,
    pub(crate) pass: &'a str,
    pub(crate) token: &'a str,
    /// The connection's name, which tells Memphis users apart.
    pub(crate) name: &'a str,
    /// A public key, and the signature of what it was given to sign.
    pub(crate) nkey: &'a str,
    /// What somebody has signed about it.
    pub(crate) jwt: &'a str,
    pub(crate) sig: &'a str,
    /// What that was.
    pub(crate) nonce: &'a str,
    /// Where it comes from.
    pub(crate) ip: IpAddr,
    /// The time of day.
    pub(crate) now: Wall,
    /// Its certificate, if it showed one.
    pub(crate) cert: Option<&'a PeerCert>,
    /// Whether it comes through a proxy that is trusted.
    pub(crate) proxied: bool,
    /// Whether it named an account in the way of servers before 2.0.
    pub(crate) legacy_account: bool,
}

impl<'a> Credentials<'a> {
    /// Returns what a client has said on its connection.
    pub(crate) fn new(said: &'a Connect, name: &'a str, conn: &'a Conn, now: Wall) -> Self {
        Self {
            jwt: &said.jwt,
            ip: conn.peer.ip(),
            now,
            nkey: &said.nkey,
            sig: &said.sig,
            nonce: &conn.nonce,
            user: &said.user,
            pass: &said.pass,
            token: &said.auth_token,
            name,
            proxied: conn.proxy.is_some(),
            cert: conn.tls.as_ref().and_then(|tls| tls.certs.first()),
            legacy_account: !said.account.is_empty() || said.new_account,
        }
    }
}

/// What is made of it.
#[derive(Clone, Debug)]
pub(crate) enum Verdict {
    /// It may.
    Accepted {
        account: AccountId,
        /// Its user, where there are users.
        user: Option<Rc<User>>,
    },
    /// It may if its password fits this hash, which takes long to find out.
    Unclear {
        hash: String,
        account: AccountId,
        user: Option<Rc<User>>,
    },
    /// It may not.
    Refused(Refusal),
}

/// Why a client may not connect. It is told the same each time: only the operator learns more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// What it showed is not good.
    Credentials,
    /// Its proxy is not trusted.
    ProxyNotTrusted,
    /// It has to come through a proxy.
    ProxyRequired,
}

impl Refusal {
    /// Returns what monitoring shows as the reason.
    pub(crate) fn reason(self) -> CloseReason {
        match self {
            Self::Credentials => CloseReason::AuthenticationViolation,
            Self::ProxyNotTrusted => CloseReason::ProxyNotTrusted,
            Self::ProxyRequired => CloseReason::ProxyRequired,
        }
    }
}

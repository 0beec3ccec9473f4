//! `INFO`: once when a client connects, and again when its login has shown its account.

use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::net::SocketAddr;

use config::{NATS_VERSION, Options};
use identity::xkey::CurvePair;
use identity::{KeyKind, KeyPair};
use protocol::id::{AccountId, ConnId};
use protocol::info::Info;

use sha2::{Digest as _, Sha256};

use crate::auth::User;
use crate::shard::Shard;
use crate::tls::Security;

/// The JetStream API level of that release.
const API_LEVEL: u64 = 5;
/// What stands in INFO's `go`, which some tools print.
const GO_VERSION: &str = "go1.26";

/// What the server calls itself.
#[derive(Debug)]
pub struct Identity {
    /// The id, in the shape of a public server key.
    pub id: String,
    /// The name.
    pub name: String,
    /// A curve key, in the shape that clients know.
    pub xkey: String,
    pair: KeyPair,
    curve: CurvePair,
    secret: [u8; SECRET_LEN],
}

/// How much entropy keys are made from.
const SECRET_LEN: usize = 32;

impl Identity {
    /// Returns the id of the server with this secret.
    #[must_use]
    pub fn id_of(secret: [u8; SECRET_LEN]) -> String {
        Self::new(&Options::default(), secret).id
    }

    /// Makes the server's keys from a secret, each from a digest of its own.
    pub(crate) fn new(options: &Options, secret: [u8; SECRET_LEN]) -> Self {
        let grown = |purpose: &[u8]| -> [u8; SECRET_LEN] {
            let mut digest = Sha256::new();
            digest.update(secret);
            digest.update(purpose);
            digest.finalize().into()
        };
        let pair = KeyPair::from_entropy(KeyKind::Server, grown(b"server"));
        let curve = CurvePair::from_entropy(grown(b"curve"));
        let id = pair.public().to_string();
        Self {
            name: options.server_name.clone().unwrap_or_else(|| id.clone()),
            xkey: curve.public().to_string(),
            id,
            pair,
            curve,
            secret: grown(b"users"),
        }
    }

    /// Returns the key pair that the server signs with.
    pub(crate) fn pair(&self) -> &KeyPair {
        &self.pair
    }

    /// Returns the key pair that the server encrypts with.
    pub(crate) fn curve(&self) -> &CurvePair {
        &self.curve
    }

    /// Returns what further keys grow from.
    pub(crate) fn secret(&self) -> &[u8] {
        &self.secret
    }
}

/// Returns where clients are told that they are connected: where the listener is bound, or what the
/// configuration says instead, with or without a port.
fn advertised(configured: Option<&str>, local: SocketAddr) -> (String, u16) {
    let Some(text) = configured else {
        return (local.ip().to_string(), local.port());
    };
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !host.ends_with(':') => (host, port.parse().ok()),
        Some(_) | None => (text, None),
    };
    let host = host.trim_start_matches('[').trim_end_matches(']');
    (String::from(host), port.unwrap_or(local.port()))
}

impl Shard {
    /// Returns the largest message that a user of an account may publish.
    pub(crate) fn payload_max(&self, account: AccountId, user: Option<&User>) -> u32 {
        let server = self.options.config.limits.payload_max;
        let account = self.router.accounts.get(account);
        let own = account.and_then(|account| account.limits.payload_max);
        let users = user.and_then(|user| user.limits.payload_max);
        own.into_iter().chain(users).fold(server, u32::min)
    }

    /// Returns the INFO for a connection as it is now.
    pub(crate) fn info_json(&self, id: ConnId) -> Option<Vec<u8>> {
        self.info_json_of(id, self.lame_duck.is_some())
    }

    /// The same for a client that is sent away or not.
    pub(crate) fn info_json_of(&self, id: ConnId, ldm: bool) -> Option<Vec<u8>> {
        let conn = self.router.conns.get(id)?;
        let config = &self.options.config;
        let known = conn.connected;
        let advertise = match conn.websocket {
            Some(_) => None,
            None => config.client_advertise.as_deref(),
        };
        let (host, port) = advertised(advertise, conn.local);
        let secure = conn.security != Security::Plain || conn.websocket.is_some();
        let tls = config.tls.as_ref().filter(|_| secure);
        // A WebSocket's handshake is over, but clients look for what it was.
        let secured = conn.websocket.is_some() && conn.tls.is_some();
        let required = matches!(conn.security, Security::Required | Security::First);
        let mut info = Info {
            server_id: self.identity.id.clone(),
            server_name: self.identity.name.clone(),
            version: NATS_VERSION.to_string(),
            proto: 1,
            go: GO_VERSION.to_string(),
            host,
            port,
            headers: !config.no_header_support,
            auth_required: self.auth.is_required(conn.rules, conn.kind()),
            tls_required: required || secured,
            tls_verify: tls.is_some_and(|tls| tls.verify),
            tls_available: conn.security == Security::Optional || secured,
            max_payload: i64::from(config.limits.payload_max),
            jetstream: config.jetstream.enabled,
            // A proxy's address is no client's business.
            client_ip: match conn.origin_follows {
                true => String::new(),
                false => conn.peer.ip().to_string(),
            },
            client_id: conn.cid,
            nonce: match known {
                true => String::new(),
                false => conn.nonce.clone(),
            },
            ldm,
            domain: config.jetstream.domain.clone().unwrap_or_default(),
            xkey: self.identity.xkey.clone(),
            api_lvl: API_LEVEL,
            ..Info::default()
        };
        if known {
            info.connect_info = true;
            info.max_payload = i64::from(self.payload_max(conn.account, conn.user.as_deref()));
            info.remote_account = self.router.accounts.name(conn.account).to_string();
            info.acc_is_sys = self.router.accounts.system == Some(conn.account);
        }
        Some(info.to_json())
    }

    /// Returns what the server calls itself.
    #[must_use]
    pub fn identity(&self) -> &Identity {
        &self.identity
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_are_told_the_address_that_is_advertised() {
        let local = SocketAddr::from(([127, 0, 0, 1], 4222));
        for (configured, host, port) in [
            (None, "127.0.0.1", 4222),
            (Some("nats.example:5"), "nats.example", 5),
            (Some("nats.example"), "nats.example", 4222),
            (Some("[::1]:6"), "::1", 6),
        ] {
            let expected = (String::from(host), port);
            assert_eq!(advertised(configured, local), expected, "{configured:?}");
        }
    }
}

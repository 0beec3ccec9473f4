//! What a service is told of a login that it decides about.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use config::NATS_VERSION;
use identity::claims::Standard;
use identity::encode;
use protocol::connect::Connect;
use protocol::id::ConnId;
use serde_json::{Map, Value, json};

use super::Decider;
use crate::auth::seconds;
use crate::shard::Shard;
use crate::tls::TlsSession;

/// Whom questions are for.
const AUDIENCE: &str = "nats-authorization-request";
/// The version of the claims.
const CLAIMS_VERSION: u8 = 2;

impl Shard {
    /// Returns the question about a client's login as a token that this server has signed.
    pub(super) fn question(
        &self,
        id: ConnId,
        said: &Connect,
        decider: &Decider,
        user: &str,
    ) -> Option<String> {
        let conn = self.router.conns.get(id)?;
        let now = seconds(self.router.now.wall);
        let timeout = i64::try_from(self.auth_timeout(conn.kind()).as_secs()).unwrap_or(i64::MAX);
        let standard = Standard {
            aud: AUDIENCE.to_string(),
            exp: now.saturating_add(timeout.max(1)),
            iat: now,
            sub: decider.issuer.clone(),
            ..Standard::default()
        };
        let listen = self.options.config.listen.as_ref();
        let host = listen.map(|listen| listen.host.clone()).unwrap_or_default();
        let mut server = object([
            ("host", host),
            ("id", self.identity.id.clone()),
            ("name", self.identity.name.clone()),
            ("version", NATS_VERSION.to_string()),
        ]);
        if decider.xkey.is_some() {
            server.insert("xkey".to_string(), self.identity.xkey.clone().into());
        }
        let tags = &self.options.config.server_tags;
        if !tags.is_empty() {
            server.insert("tags".to_string(), tags.clone().into());
        }
        let kind = match conn.websocket {
            Some(_) => "websocket",
            None => "nats",
        };
        let nonce = match said.sig.is_empty() {
            true => String::new(),
            false => conn.nonce.clone(),
        };
        let mut client = object([
            ("host", conn.peer.ip().to_string()),
            ("user", raw_user(said).to_string()),
            ("name", said.name.clone()),
            ("kind", "Client".to_string()),
            ("type", kind.to_string()),
            ("nonce", nonce),
        ]);
        client.insert("id".to_string(), conn.cid.into());
        let mut options = object([
            ("jwt", said.jwt.clone()),
            ("nkey", said.nkey.clone()),
            ("sig", said.sig.clone()),
            ("auth_token", said.auth_token.clone()),
            ("user", said.user.clone()),
            ("pass", said.pass.clone()),
            ("name", said.name.clone()),
            ("lang", said.lang.clone()),
            ("version", said.version.clone()),
        ]);
        options.insert("protocol".to_string(), said.protocol.into());
        let mut nats = json!({
            "server_id": server,
            "user_nkey": user,
            "client_info": client,
            "connect_opts": options,
            "type": "authorization_request",
            "version": CLAIMS_VERSION,
        });
        if let (Some(tls), Value::Object(nats)) = (&conn.tls, &mut nats) {
            nats.insert("client_tls".to_string(), encryption(tls));
        }
        Some(encode(standard, &nats, self.identity.pair()))
    }
}

/// Returns what is told of a client's encryption, and of the certificates by which it was verified.
fn encryption(tls: &TlsSession) -> Value {
    let mut said = json!({"version": tls.version, "cipher": tls.cipher});
    if let (false, Value::Object(said)) = (tls.chain.is_empty(), &mut said) {
        let chain: Vec<&str> = tls.chain.iter().map(AsRef::as_ref).collect();
        said.insert("verified_chains".to_string(), json!([chain]));
    }
    said
}

/// Returns an object of texts without those that are empty.
fn object<const N: usize>(texts: [(&str, String); N]) -> Map<String, Value> {
    let said = texts.into_iter().filter(|(_, text)| !text.is_empty());
    said.map(|(key, text)| (key.to_string(), text.into()))
        .collect()
}

/// Returns what a client calls itself.
pub(crate) fn raw_user(said: &Connect) -> &str {
    let names = [&said.nkey, &said.user, &said.auth_token];
    names
        .into_iter()
        .find(|name| !name.is_empty())
        .map_or("", |name| name)
}

//! What a server says in the system account without being asked: who comes and goes.

use alloc::boxed::Box;
use alloc::vec::Vec;

use protocol::js::advisory::ClientInfo;
use protocol::time::Wall;
use serde::Serialize;
use serde_json::value::RawValue;

use super::ServerInfo;
use super::amount::Amount;
use crate::accountz::AccountStats;
use crate::json;
use crate::source::Source;
use crate::stats::{Account, Flow};

/// Somebody came, went, or was turned away.
#[derive(Clone, Debug)]
pub struct ConnectionEvent<'a> {
    /// The event's id.
    pub id: &'a str,
    /// Who it is about.
    pub client: ClientInfo,
    /// What the client sent.
    pub sent: Flow,
    /// What it received.
    pub received: Flow,
    /// Why it is gone.
    pub reason: &'a str,
}

#[derive(Debug, Serialize)]
struct Head<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    id: &'a str,
    #[serde(serialize_with = "json::time")]
    timestamp: Wall,
    server: ServerInfo,
}

#[derive(Debug, Serialize)]
struct Connected<'a> {
    #[serde(flatten)]
    head: Head<'a>,
    client: Box<RawValue>,
}

#[derive(Debug, Serialize)]
struct Disconnected<'a> {
    #[serde(flatten)]
    head: Head<'a>,
    client: Box<RawValue>,
    sent: Amount,
    received: Amount,
    reason: &'a str,
}

#[derive(Debug, Serialize)]
struct AccountConnections<'a> {
    #[serde(flatten)]
    head: Head<'a>,
    #[serde(flatten)]
    stats: AccountStats,
}

fn head<'a>(source: &dyn Source, kind: &'static str, id: &'a str, seq: u64) -> Head<'a> {
    Head {
        kind,
        id,
        timestamp: source.now().wall,
        server: ServerInfo::new(source, seq),
    }
}

/// Returns the event of a client that has come.
#[must_use]
pub fn connected(source: &dyn Source, event: &ConnectionEvent<'_>, seq: u64) -> Vec<u8> {
    const KIND: &str = "io.nats.server.advisory.v1.client_connect";
    json::compact(&Connected {
        head: head(source, KIND, event.id, seq),
        client: json::embed(&event.client),
    })
}

/// Returns the event of a client that has gone, or was turned away.
#[must_use]
pub fn disconnected(source: &dyn Source, event: &ConnectionEvent<'_>, seq: u64) -> Vec<u8> {
    const KIND: &str = "io.nats.server.advisory.v1.client_disconnect";
    json::compact(&Disconnected {
        head: head(source, KIND, event.id, seq),
        client: json::embed(&event.client),
        sent: event.sent.into(),
        received: event.received.into(),
        reason: event.reason,
    })
}

/// Returns the event of an account whose connections have changed in number.
#[must_use]
pub fn account_connections(source: &dyn Source, id: &str, account: Account, seq: u64) -> Vec<u8> {
    const KIND: &str = "io.nats.server.advisory.v1.account_connections";
    json::compact(&AccountConnections {
        head: head(source, KIND, id, seq),
        stats: account.into(),
    })
}

/// Returns what a server says before it goes.
#[must_use]
pub fn left(source: &dyn Source, seq: u64) -> Vec<u8> {
    json::compact(&ServerInfo::new(source, seq))
}

//! `STATSZ`: how a server is doing, in few numbers. It is also what servers say without being asked.

use alloc::vec::Vec;

use protocol::time::Wall;
use serde::Serialize;

use super::ServerInfo;
use super::amount::Amount;
use crate::json::{self, Number};
use crate::jsz::{Config, Limits, UsageDocument};
use crate::source::Source;

#[derive(Debug, Serialize)]
struct Message {
    server: ServerInfo,
    statsz: Statsz,
}

#[derive(Debug, Serialize)]
struct Statsz {
    #[serde(serialize_with = "json::time")]
    start: Wall,
    mem: u64,
    cores: u32,
    cpu: Number,
    connections: u64,
    total_connections: u64,
    active_accounts: usize,
    subscriptions: u64,
    sent: Amount,
    sent_to_clients: Amount,
    received: Amount,
    received_from_clients: Amount,
    slow_consumers: u64,
    #[serde(skip_serializing_if = "is_zero")]
    stale_connections: u64,
    #[serde(skip_serializing_if = "is_zero")]
    stalled_clients: u64,
    active_servers: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    jetstream: Option<JetStream>,
    gomaxprocs: u32,
}

#[derive(Debug, Serialize)]
struct JetStream {
    config: Config,
    stats: UsageDocument,
    limits: Limits,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
fn is_zero(n: &u64) -> bool {
    *n == 0
}

/// Returns how the server is doing.
#[must_use]
pub fn statsz(source: &dyn Source, seq: u64) -> Vec<u8> {
    let (server, process) = (source.server(), source.process());
    let accounts = source.accounts();
    let active = accounts.iter().filter(|account| account.connections > 0);
    let jetstream = source.jetstream().map(|js| JetStream {
        config: Config::new(&js, source.options()).without_directory(),
        stats: UsageDocument::of_server(&js),
        limits: Limits::new(source.options()),
    });
    let statsz = Statsz {
        start: server.start,
        mem: process.memory_bytes,
        cores: process.cores,
        cpu: process.cpu_percent.into(),
        connections: server.connections,
        total_connections: server.connections_total,
        active_accounts: active.count(),
        subscriptions: server.sublist.subscriptions,
        sent: server.sent.into(),
        sent_to_clients: server.sent.into(),
        received: server.received.into(),
        received_from_clients: server.received.into(),
        slow_consumers: server.slow_consumers,
        stale_connections: server.stale_connections,
        stalled_clients: server.stalls,
        active_servers: 1,
        jetstream,
        // One thread decides everything.
        gomaxprocs: 1,
    };
    let server = ServerInfo::new(source, seq);
    json::compact(&Message { server, statsz })
}

//! The statistics that the broker hands over.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;
use core::net::SocketAddr;
use core::time::Duration;

use protocol::js::info::{ConsumerInfo, StreamInfo};
use protocol::time::Wall;
use serde::Serialize;

/// Messages and bytes in one direction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flow {
    /// Messages.
    pub msgs: u64,
    /// Bytes of headers and payloads.
    pub bytes: u64,
}

/// The broker's identity and counters.
#[derive(Clone, Debug, Default)]
pub struct Server {
    /// The id.
    pub id: String,
    /// The name; the id where none is configured.
    pub name: String,
    /// When it started.
    pub start: Wall,
    /// Where clients are really served, once the listener is bound.
    pub listen: Option<SocketAddr>,
    /// Addresses that clients are told about.
    pub connect_urls: Vec<String>,
    /// Whether clients must authenticate.
    pub auth_required: bool,
    /// The system account's name; empty when there is none.
    pub system_account: String,
    /// Open connections.
    pub connections: u64,
    /// Connections so far.
    pub connections_total: u64,
    /// What clients published.
    pub received: Flow,
    /// What was sent to clients.
    pub sent: Flow,
    /// Clients cut off because they read too slowly.
    pub slow_consumers: u64,
    /// Connections that answered no PING.
    pub stale_connections: u64,
    /// How often publishers were slowed down.
    pub stalls: u64,
    /// The subject tries of all accounts together.
    pub sublist: Sublist,
}

/// What the driver measures of the process, and what it counts itself.
#[derive(Clone, Debug, Default)]
pub struct Process {
    /// Resident memory.
    pub memory_bytes: u64,
    /// Processor cores that may be used.
    pub cores: u32,
    /// Use of one core in per cent.
    pub cpu_percent: f64,
    /// Where monitoring is really served.
    pub http: Option<SocketAddr>,
    /// Where monitoring is really served over TLS.
    pub https: Option<SocketAddr>,
    /// Where WebSockets are really served.
    pub websocket: Option<SocketAddr>,
    /// Requests by path.
    pub http_requests: BTreeMap<String, u64>,
    /// When the configuration was read.
    pub config_load: Wall,
    /// The configuration's digest; empty without a file.
    pub config_digest: String,
    /// Until when the client listener's certificate holds.
    pub tls_cert_not_after: Option<Wall>,
    /// How the disk does.
    pub disk: DiskTimes,
}

/// What the store has under way and has found, as far as the shard knows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Store {
    /// Entries of the log that are durable, since its beginning.
    pub entries: u64,
    /// Syncs of the log since the start.
    pub syncs: u64,
    /// Bytes of entries that are not durable yet.
    pub unsynced_bytes: u64,
    /// Files that messages lie in besides the log.
    pub segments: u64,
    /// Their bytes.
    pub segment_bytes: u64,
    /// Bytes of messages and blocks that are kept in memory.
    pub cache_bytes: u64,
    /// Reads that found a damaged record since the start.
    pub damaged_reads: u64,
    /// Bytes read again since the start to find rot.
    pub scrubbed_bytes: u64,
    /// Laps of that which are over.
    pub scrub_laps: u64,
    /// What is still to be read in this lap.
    pub scrub_waiting: u64,
    /// Whether nothing can be stored until a restart.
    pub is_poisoned: bool,
}

/// How long something took, each time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Histogram {
    /// How often it took at most as long as each of [`Histogram::BOUNDS_US`], and not at most as long as the
    /// one before.
    counts: [u64; Self::BOUNDS_US.len()],
    /// How often it took longer than all of them.
    beyond: u64,
    /// How long it took altogether.
    sum: Duration,
}

impl Histogram {
    /// The bounds, in microseconds.
    pub const BOUNDS_US: [u64; 15] = [
        50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 20_000, 50_000, 100_000, 200_000, 500_000,
        1_000_000, 5_000_000,
    ];

    /// Notes that it took so long.
    pub fn note(&mut self, took: Duration) {
        let fits = |bound: &u64| took <= Duration::from_micros(*bound);
        let found = Self::BOUNDS_US.iter().position(fits);
        match found.and_then(|at| self.counts.get_mut(at)) {
            Some(count) => *count += 1,
            None => self.beyond += 1,
        }
        self.sum += took;
    }

    /// Returns each bound in seconds, with how often it took at most as long.
    pub fn cumulative(&self) -> impl Iterator<Item = (f64, u64)> + '_ {
        let bounds = Self::BOUNDS_US.iter().zip(&self.counts);
        bounds.scan(0, |total, (bound, count)| {
            *total += count;
            Some((Duration::from_micros(*bound).as_secs_f64(), *total))
        })
    }

    /// Returns how often it happened.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.counts.iter().sum::<u64>() + self.beyond
    }

    /// Returns how long it took altogether.
    #[must_use]
    pub fn sum(&self) -> Duration {
        self.sum
    }
}

/// How the disk does, as the driver sees it: from when an operation is handed over until its answer is
/// there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DiskTimes {
    /// Writes, of the log and of everything else.
    pub writes: Histogram,
    /// Syncs.
    pub syncs: Histogram,
    /// Reads.
    pub reads: Histogram,
    /// Operations that have no answer yet.
    pub waiting: u64,
}

/// A subject trie.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Sublist {
    /// Subscriptions.
    pub subscriptions: u64,
    /// Subjects in the match cache.
    pub cached: u64,
    /// Insertions so far.
    pub inserts: u64,
    /// Removals so far.
    pub removes: u64,
    /// Lookups so far.
    pub matches: u64,
    /// Lookups that the cache answered.
    pub cache_hits: u64,
    /// The most subscribers of one cached subject.
    pub fanout_max: u64,
    /// The subscribers of all cached subjects.
    pub fanout_total: u64,
}

/// What was signed about a user.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Signed {
    /// The token.
    pub jwt: String,
    /// Who signed it.
    pub issuer_key: String,
    /// The tags in it.
    pub tags: Vec<String>,
}

/// A client connection.
#[derive(Clone, Debug)]
pub struct Connection {
    /// The number that users see.
    pub cid: u64,
    /// Where it comes from.
    pub peer: SocketAddr,
    /// When it connected.
    pub start: Wall,
    /// When something last happened.
    pub last_activity: Wall,
    /// How it ended.
    pub end: Option<End>,
    /// The last round trip; zero while unknown.
    pub rtt: Duration,
    /// Bytes that wait for it.
    pub pending_bytes: u64,
    /// What it published.
    pub received: Flow,
    /// What was sent to it.
    pub sent: Flow,
    /// How often it was slowed down.
    pub stalls: u64,
    /// How many subscriptions it holds.
    pub subscriptions: u64,
    /// The name it gave itself.
    pub name: String,
    /// Its library's language.
    pub lang: String,
    /// Its library's version.
    pub version: String,
    /// The user it is; empty without authentication.
    pub user: String,
    /// Its account.
    pub account: String,
    /// The account's name for people.
    pub account_label: String,
    /// What was signed about the user, if something was.
    pub signed: Option<Signed>,
    /// The key of the trusted proxy that it comes through, if it does.
    pub proxy: Option<Box<str>>,
    /// Whether it is a WebSocket.
    pub websocket: bool,
    /// Its encryption, if it has one.
    pub tls: Option<Tls>,
    /// The subscriptions that an ended one held, as far as they are remembered.
    pub last_subs: Vec<Subscription>,
}

/// A connection's encryption.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tls {
    /// The version, as in `1.3`.
    pub version: &'static str,
    /// The cipher suite's name in the registry.
    pub cipher: &'static str,
    /// Whether the handshake came before INFO.
    pub first: bool,
    /// The client's certificates.
    pub certs: Vec<TlsCert>,
}

/// A certificate of a client.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct TlsCert {
    /// The subject, as in `CN=bob,O=Acme`.
    pub subject: String,
    /// The hex SHA-256 digest of its public key.
    pub spki_sha256: String,
    /// The hex SHA-256 digest of all of it.
    pub cert_sha256: String,
}

/// How a connection ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct End {
    /// When.
    pub at: Wall,
    /// Why, in nats-server's words.
    pub reason: String,
}

/// A subscription.
#[derive(Clone, Debug, Default)]
pub struct Subscription {
    /// The connection's number.
    pub cid: u64,
    /// The account.
    pub account: String,
    /// The subject.
    pub subject: String,
    /// The queue group; empty without one.
    pub queue: String,
    /// The client's name for it.
    pub sid: String,
    /// Messages delivered.
    pub msgs: u64,
    /// After how many it ends; 0 is never.
    pub max: u64,
}

/// An account.
#[derive(Clone, Debug, Default)]
pub struct Account {
    /// The name.
    pub name: String,
    /// Its name for people.
    pub label: String,
    /// When it was last configured.
    pub updated: Wall,
    /// Whether it may use JetStream.
    pub jetstream: bool,
    /// Clients connected.
    pub connections: u64,
    /// Clients that have connected so far.
    pub connections_total: u64,
    /// Clients cut off because they read too slowly.
    pub slow_consumers: u64,
    /// What its clients published.
    pub received: Flow,
    /// What was sent to its clients.
    pub sent: Flow,
    /// Its subject trie.
    pub sublist: Sublist,
}

/// JetStream's totals.
#[derive(Clone, Debug, Default)]
pub struct JetStream {
    /// Bytes that memory streams may hold.
    pub memory_max: u64,
    /// Bytes that file streams may hold.
    pub file_max: u64,
    /// Where data lies.
    pub directory: String,
    /// What is used.
    pub usage: Usage,
    /// Streams.
    pub streams: u64,
    /// Consumers.
    pub consumers: u64,
    /// Messages in all streams.
    pub messages: u64,
    /// Bytes of them.
    pub bytes: u64,
    /// What each account uses that may use JetStream and does.
    pub accounts: Vec<AccountUsage>,
}

/// What is used of JetStream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Bytes in memory streams.
    pub memory: u64,
    /// Bytes in file streams.
    pub storage: u64,
    /// Bytes of memory set aside; none is unlimited.
    pub reserved_memory: Option<u64>,
    /// Bytes of disk set aside; none is unlimited.
    pub reserved_storage: Option<u64>,
    /// API requests so far.
    pub api_total: u64,
    /// API requests that failed.
    pub api_errors: u64,
    /// API requests that are being worked on.
    pub api_inflight: u64,
}

/// What an account uses.
#[derive(Clone, Debug, Default)]
pub struct AccountUsage {
    /// The account.
    pub account: String,
    /// What it uses.
    pub usage: Usage,
}

/// A stream.
#[derive(Clone, Debug)]
pub struct Stream {
    /// The stream.
    pub info: StreamInfo,
    /// Its consumers.
    pub consumers: Vec<ConsumerInfo>,
}

/// How the broker is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Health {
    /// Why nothing is served yet or any more, such as recovery or a failed disk.
    pub unavailable: Option<String>,
    /// Why nothing more can be stored for now, such as a full disk; what is stored is served.
    pub refuses: Option<String>,
    /// Streams that have lost messages to damage.
    pub damaged: Vec<Damage>,
    /// What was found damaged when the store was opened, whatever it held.
    pub found: Option<String>,
}

/// A stream that has lost messages to damage.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Damage {
    /// The account.
    pub account: String,
    /// The stream.
    pub stream: String,
    /// How many messages.
    pub lost: u64,
}

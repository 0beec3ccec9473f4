//! `/varz`: the server's configuration and counters.

use alloc::borrow::ToOwned;
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::time::Duration;

use config::options::Tls;
use config::{NATS_VERSION, Options};
use protocol::text::duration::Nanos;
use protocol::text::rfc3339::Rfc3339;
use protocol::time::Wall;
use serde::Serialize;
use serde_json::value::RawValue;

use crate::json::{self, Number};
use crate::jsz::{Config, Limits, UsageDocument};
use crate::source::Source;

/// nats-server's feature flags with their defaults.
const FEATURE_FLAGS: [(&str, bool); 4] = [
    ("js_ack_fc_v2", false),
    ("js_api_reply_v2", false),
    ("js_raft_delete_range", true),
    ("js_snapshot_sources", false),
];
/// How long a client may take to authenticate when nothing else is said.
const AUTH_TIMEOUT: Duration = Duration::from_secs(2);

/// An empty object: a block that is not configured.
#[derive(Debug, Default, Serialize)]
struct Nothing {}

#[derive(Debug, Default, Serialize)]
struct PerKind {
    clients: u64,
    routes: u64,
    gateways: u64,
    leafs: u64,
}

impl PerKind {
    fn clients(clients: u64) -> Self {
        Self {
            clients,
            ..Self::default()
        }
    }
}

#[derive(Debug, Default, Serialize)]
struct DiskWaits {
    waiters: u64,
    waits: u64,
    wait_time: u64,
    max_wait_time: u64,
}

#[derive(Debug, Default, Serialize)]
struct JetStreamPart {
    #[serde(skip_serializing_if = "Option::is_none")]
    config: Option<Config>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stats: Option<UsageDocument>,
    #[serde(skip_serializing_if = "Option::is_none")]
    limits: Option<Limits>,
}

/// The document.
#[derive(Debug, Serialize)]
pub struct Varz {
    #[serde(flatten)]
    settings: Settings,
    cluster: Nothing,
    gateway: Nothing,
    leaf: Nothing,
    mqtt: Nothing,
    websocket: WebSocketPart,
    jetstream: JetStreamPart,
    #[serde(flatten)]
    counters: Counters,
    #[serde(flatten)]
    configuration: Configuration,
    slow_consumer_stats: PerKind,
    stale_connection_stats: PerKind,
    disk_io_wait_stats: DiskWaits,
    #[serde(skip_serializing_if = "Option::is_none")]
    tls_cert_not_after: Option<String>,
}

/// What is said of the listener for WebSockets; nothing when there is none.
#[derive(Debug, Default, Serialize)]
struct WebSocketPart {
    #[serde(skip_serializing_if = "String::is_empty")]
    host: String,
    #[serde(skip_serializing_if = "json::is_default")]
    port: i64,
    #[serde(skip_serializing_if = "String::is_empty")]
    advertise: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    no_auth_user: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    jwt_cookie: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    handshake_timeout: Option<Nanos>,
    #[serde(skip_serializing_if = "Option::is_none")]
    auth_timeout: Option<Number>,
    #[serde(skip_serializing_if = "json::is_default")]
    no_tls: bool,
    #[serde(skip_serializing_if = "json::is_default")]
    tls_map: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tls_pinned_certs: Vec<String>,
    #[serde(skip_serializing_if = "json::is_default")]
    same_origin: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    allowed_origins: Vec<String>,
    #[serde(skip_serializing_if = "json::is_default")]
    compression: bool,
}

#[derive(Debug, Serialize)]
struct Settings {
    server_id: String,
    server_name: String,
    version: &'static str,
    proto: u8,
    /// The compiler, under the name that nats-server gives to its own.
    go: &'static str,
    host: String,
    port: i64,
    #[serde(skip_serializing_if = "core::ops::Not::not")]
    auth_required: bool,
    #[serde(skip_serializing_if = "core::ops::Not::not")]
    tls_required: bool,
    #[serde(skip_serializing_if = "core::ops::Not::not")]
    tls_verify: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    connect_urls: Vec<String>,
    max_connections: i64,
    #[serde(skip_serializing_if = "is_zero")]
    max_subscriptions: u32,
    ping_interval: Nanos,
    ping_max: u32,
    http_host: String,
    http_port: i64,
    http_base_path: String,
    https_port: i64,
    auth_timeout: Number,
    max_control_line: u32,
    max_payload: u32,
    max_pending: u64,
}

#[derive(Debug, Serialize)]
struct Counters {
    tls_timeout: Number,
    write_deadline: Nanos,
    #[serde(serialize_with = "json::time")]
    start: Wall,
    #[serde(serialize_with = "json::time")]
    now: Wall,
    uptime: String,
    mem: u64,
    cores: u32,
    gomaxprocs: u32,
    cpu: Number,
    connections: u64,
    total_connections: u64,
    routes: u64,
    remotes: u64,
    leafnodes: u64,
    in_msgs: u64,
    in_bytes: u64,
    in_client_msgs: u64,
    in_client_bytes: u64,
    out_msgs: u64,
    out_bytes: u64,
    out_client_msgs: u64,
    out_client_bytes: u64,
    slow_consumers: u64,
    stale_connections: u64,
    stalled_clients: u64,
    subscriptions: u64,
}

#[derive(Debug, Serialize)]
struct Configuration {
    http_req_stats: BTreeMap<String, u64>,
    #[serde(serialize_with = "json::time")]
    config_load_time: Wall,
    config_digest: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tags: Vec<String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    metadata: BTreeMap<String, String>,
    feature_flags: BTreeMap<String, bool>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    trusted_operators_jwt: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    trusted_operators_claim: Vec<Box<RawValue>>,
    #[serde(skip_serializing_if = "String::is_empty")]
    system_account: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    proxies: Option<ProxiesDocument>,
}

#[derive(Debug, Serialize)]
struct ProxiesDocument {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    trusted: Vec<ProxyDocument>,
}

#[derive(Debug, Serialize)]
struct ProxyDocument {
    key: String,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
fn is_zero(n: &u32) -> bool {
    *n == 0
}

/// Returns the document.
#[must_use]
pub fn varz(source: &dyn Source) -> Varz {
    let server = source.server();
    Varz {
        settings: settings(source),
        cluster: Nothing {},
        gateway: Nothing {},
        leaf: Nothing {},
        mqtt: Nothing {},
        websocket: websocket(source),
        jetstream: jetstream(source),
        counters: counters(source),
        configuration: configuration(source),
        slow_consumer_stats: PerKind::clients(server.slow_consumers),
        stale_connection_stats: PerKind::clients(server.stale_connections),
        disk_io_wait_stats: DiskWaits::default(),
        tls_cert_not_after: source
            .process()
            .tls_cert_not_after
            .map(|at| Rfc3339(at).to_string()),
    }
}

fn settings(source: &dyn Source) -> Settings {
    let (server, options) = (source.server(), source.options());
    let memphis = options.memphis.as_ref().map(|m| &m.listen);
    let listen = options.listen.as_ref().or(memphis);
    let http = options.http.as_ref();
    let https = options.https.as_ref();
    let https_bound = source.process().https.map(|bound| i64::from(bound.port()));
    let http_bound = source.process().http.map(|bound| i64::from(bound.port()));
    let advertised = options.client_advertise.as_deref().map(told_to_clients);
    let bound = server
        .listen
        .map(|bound| i64::from(bound.port()))
        .or(listen.map(|l| l.port))
        .unwrap_or(0);
    Settings {
        server_id: server.id,
        server_name: server.name,
        version: NATS_VERSION,
        proto: 1,
        go: "rust",
        host: advertised.map_or_else(
            || listen.map(|l| l.host.clone()).unwrap_or_default(),
            |(host, _)| host.to_owned(),
        ),
        port: advertised.and_then(|(_, port)| port).unwrap_or(bound),
        auth_required: server.auth_required,
        tls_required: options.tls.is_some() && !options.allow_non_tls,
        tls_verify: options.tls.as_ref().is_some_and(|tls| tls.verify),
        connect_urls: server.connect_urls,
        // nats-server keeps it so, if it lets nobody in.
        max_connections: match options.limits.connections_max {
            0 => -1,
            max => i64::from(max),
        },
        max_subscriptions: options.limits.subscriptions_max,
        ping_interval: options.ping_interval.into(),
        ping_max: options.ping_max,
        http_host: http.or(https).map(|l| l.host.clone()).unwrap_or_default(),
        http_port: http.map_or(0, |l| http_bound.unwrap_or(l.port)),
        http_base_path: options.http_base_path.clone(),
        https_port: https.map_or(0, |l| https_bound.unwrap_or(l.port)),
        auth_timeout: auth_timeout(options).into(),
        max_control_line: options.limits.control_line_max,
        max_payload: options.limits.payload_max,
        max_pending: options.limits.pending_max,
    }
}

/// Takes the address that clients are told apart; its port may be missing.
fn told_to_clients(address: &str) -> (&str, Option<i64>) {
    let (host, port) = match address.rsplit_once(':') {
        Some((host, port)) if !host.ends_with(':') => (host, port.parse().ok()),
        Some(_) | None => (address, None),
    };
    (host.trim_start_matches('[').trim_end_matches(']'), port)
}

/// Returns how long a client may take to log in: a second more than its handshake, unless told.
fn auth_timeout(options: &Options) -> Duration {
    let tls = options.tls.as_ref();
    let default = tls.map_or(AUTH_TIMEOUT, |tls| tls.timeout() + Duration::from_secs(1));
    options.auth.timeout.unwrap_or(default)
}

fn websocket(source: &dyn Source) -> WebSocketPart {
    let Some(ws) = source.options().websocket.clone() else {
        return WebSocketPart::default();
    };
    let bound = source.process().websocket;
    let tls = ws.tls.unwrap_or_default();
    WebSocketPart {
        port: bound.map_or(ws.listen.port, |bound| i64::from(bound.port())),
        host: ws.listen.host,
        advertise: ws.advertise.unwrap_or_default(),
        no_auth_user: ws.no_auth_user.unwrap_or_default(),
        jwt_cookie: ws.jwt_cookie,
        handshake_timeout: ws.handshake_timeout.map(Nanos::from),
        auth_timeout: ws.auth_timeout.map(Number::from),
        no_tls: ws.no_tls,
        tls_map: tls.verify_and_map,
        tls_pinned_certs: tls.pinned_certs,
        same_origin: ws.same_origin,
        allowed_origins: ws.allowed_origins,
        compression: ws.compression,
    }
}

fn counters(source: &dyn Source) -> Counters {
    let (server, options, process) = (source.server(), source.options(), source.process());
    let now = source.now().wall;
    let tls_timeout = options.tls.as_ref().map(Tls::timeout);
    Counters {
        tls_timeout: tls_timeout.unwrap_or(Tls::TIMEOUT).into(),
        write_deadline: options.write_deadline.into(),
        start: server.start,
        now,
        uptime: json::uptime(now.since(server.start)),
        mem: process.memory_bytes,
        cores: process.cores,
        // One thread decides everything.
        gomaxprocs: 1,
        cpu: process.cpu_percent.into(),
        connections: server.connections,
        total_connections: server.connections_total,
        routes: 0,
        remotes: 0,
        leafnodes: 0,
        in_msgs: server.received.msgs,
        in_bytes: server.received.bytes,
        in_client_msgs: server.received.msgs,
        in_client_bytes: server.received.bytes,
        out_msgs: server.sent.msgs,
        out_bytes: server.sent.bytes,
        out_client_msgs: server.sent.msgs,
        out_client_bytes: server.sent.bytes,
        slow_consumers: server.slow_consumers,
        stale_connections: server.stale_connections,
        stalled_clients: server.stalls,
        subscriptions: server.sublist.subscriptions,
    }
}

/// Returns nats-server's feature flags as they are configured.
pub(crate) fn feature_flags(options: &Options) -> BTreeMap<String, bool> {
    let defaults = FEATURE_FLAGS
        .iter()
        .map(|(name, on)| ((*name).to_owned(), *on));
    let given = options.feature_flags.iter().cloned();
    defaults.chain(given).collect()
}

fn configuration(source: &dyn Source) -> Configuration {
    let (options, process) = (source.options(), source.process());
    let operators = options.operators.as_ref();
    let tokens = operators
        .map(|operators| operators.tokens.clone())
        .unwrap_or_default();
    Configuration {
        http_req_stats: process.http_requests,
        config_load_time: process.config_load,
        config_digest: process.config_digest,
        tags: options.server_tags.clone(),
        metadata: options.server_metadata.iter().cloned().collect(),
        feature_flags: feature_flags(options),
        trusted_operators_claim: tokens.iter().filter_map(|t| json::claims(t)).collect(),
        trusted_operators_jwt: tokens,
        system_account: source.server().system_account,
        proxies: options.proxies.as_ref().map(|proxies| {
            let keys = proxies.trusted.iter().cloned();
            let trusted = keys.map(|key| ProxyDocument { key }).collect();
            ProxiesDocument { trusted }
        }),
    }
}

fn jetstream(source: &dyn Source) -> JetStreamPart {
    let Some(js) = source.jetstream() else {
        return JetStreamPart::default();
    };
    JetStreamPart {
        config: Some(Config::new(&js, source.options())),
        stats: Some(UsageDocument::of_server(&js)),
        limits: Some(Limits::new(source.options())),
    }
}

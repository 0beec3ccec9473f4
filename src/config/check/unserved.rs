//! How nats-server shows what has no effect here: the values of single settings and of whole blocks, in its
//! order.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::time::Duration;

use protocol::text::duration::Nanos;

use crate::duration;
use crate::options::{Listen, PeerBlock, PeerField, Peers, Unserved};
use crate::value::{Map, Node, Value};

/// How a value is shown.
#[derive(Clone, Copy)]
enum Kind {
    /// As it stands.
    Plain,
    /// As it stands, but to nobody.
    Secret,
    /// A time with its unit.
    Period,
    /// A number of seconds.
    Seconds,
    /// How long a login may take, in seconds; longer where there is a handshake before it.
    LoginSeconds,
    /// Items in brackets.
    Items,
    /// `default` is nothing.
    Policy,
    /// Whether there are certificates; they may change.
    Certificates,
    /// A host, where the block opens a port.
    Host,
    /// A port.
    Port,
}

use Kind::{Certificates, Host, Items, LoginSeconds, Period, Plain, Policy, Port, Seconds, Secret};

/// A field: nats-server's name, the keys that lead to it (`|` stands between spellings, `.` between
/// a block and what is in it), how it is shown, and what stands there when nothing is set.
type Field = (&'static str, &'static str, Kind, &'static str);

#[rustfmt::skip]
const CLUSTER: &[Field] = &[
    ("Name", "name", Plain, ""),
    ("Host", "", Host, ""),
    ("Port", "", Port, "0"),
    ("Username", "authorization.user|username", Plain, ""),
    ("Password", "authorization.pass|password", Secret, ""),
    ("AuthTimeout", "authorization.timeout", LoginSeconds, "0"),
    ("Permissions", "permissions", Items, ""),
    ("TLSTimeout", "tls.timeout", Seconds, "0"),
    ("TLSConfig", "tls", Certificates, "<nil>"),
    ("TLSMap", "tls.verify_and_map", Plain, "false"),
    ("TLSCheckKnownURLs", "tls.verify_cert_and_check_known_urls", Plain, "false"),
    ("TLSPinnedCerts", "tls.pinned_certs", Items, "map[]"),
    ("Advertise", "advertise|cluster_advertise", Plain, ""),
    ("NoAdvertise", "no_advertise", Plain, "false"),
    ("ConnectRetries", "connect_retries", Plain, "0"),
    ("ConnectBackoff", "connect_backoff", Plain, "false"),
    ("PoolSize", "pool_size", Plain, "3"),
    ("PinnedAccounts", "accounts", Items, "[$SYS]"),
    ("Compression", "compression", Items, ""),
    ("PingInterval", "ping_interval", Period, "0s"),
    ("MaxPingsOut", "ping_max", Plain, "0"),
    ("WriteDeadline", "write_deadline", Period, "0s"),
    ("WriteTimeout", "write_timeout", Policy, ""),
];

#[rustfmt::skip]
const GATEWAY: &[Field] = &[
    ("Name", "name", Plain, ""),
    ("Host", "", Host, ""),
    ("Port", "", Port, "0"),
    ("Username", "authorization.user|username", Plain, ""),
    ("Password", "authorization.pass|password", Secret, ""),
    ("AuthTimeout", "authorization.timeout", LoginSeconds, "0"),
    ("TLSConfig", "tls", Certificates, "<nil>"),
    ("TLSTimeout", "tls.timeout", Seconds, "0"),
    ("TLSMap", "tls.verify_and_map", Plain, "false"),
    ("TLSCheckKnownURLs", "tls.verify_cert_and_check_known_urls", Plain, "false"),
    ("TLSPinnedCerts", "", Plain, "map[]"),
    ("Advertise", "advertise", Plain, ""),
    ("ConnectRetries", "connect_retries", Plain, "0"),
    ("ConnectBackoff", "connect_backoff", Plain, "false"),
    ("Gateways", "gateways", Secret, "[]"),
    ("RejectUnknown", "reject_unknown|reject_unknown_cluster", Plain, "false"),
    ("WriteDeadline", "write_deadline", Period, "0s"),
    ("WriteTimeout", "write_timeout", Policy, ""),
    ("resolver", "", Plain, "<nil>"),
    ("sendQSubsBufSize", "", Plain, "0"),
    ("tlsConfigOpts", "tls", Certificates, "<nil>"),
];

#[rustfmt::skip]
const LEAFNODES: &[Field] = &[
    ("Users", "authorization.users", Secret, "[]"),
    ("Host", "", Host, ""),
    ("Port", "", Port, "0"),
    ("Username", "authorization.user|username", Plain, ""),
    ("Password", "authorization.pass|password", Secret, ""),
    ("ProxyRequired", "authorization.proxy_required", Plain, "false"),
    ("Nkey", "authorization.nkey", Plain, ""),
    ("Account", "authorization.account", Plain, ""),
    ("AuthTimeout", "authorization.timeout", LoginSeconds, "0"),
    ("TLSTimeout", "tls.timeout", Seconds, "0"),
    ("TLSMap", "tls.verify_and_map", Plain, "false"),
    ("TLSPinnedCerts", "tls.pinned_certs", Items, "map[]"),
    ("Advertise", "advertise|leafnode_advertise", Plain, ""),
    ("NoAdvertise", "no_advertise", Plain, "false"),
    ("ReconnectInterval", "reconnect|reconnect_delay|reconnect_interval", Period, "1s"),
    ("WriteDeadline", "write_deadline", Period, "0s"),
    ("WriteTimeout", "write_timeout", Policy, ""),
    ("MinVersion", "min_version|minimum_version", Plain, ""),
    ("IsolateLeafnodeInterest", "isolate|isolate_leafnode_interest", Plain, "false"),
    ("DialTimeout", "dial_timeout", Period, "0s"),
    // May change.
    ("Compression", "compression", Items, "{s2_auto [10ms 50ms 100ms]}"),
];

#[rustfmt::skip]
const MQTT: &[Field] = &[
    ("Host", "", Host, ""),
    ("Port", "", Port, "0"),
    ("NoAuthUser", "no_auth_user", Plain, ""),
    ("Username", "authorization.user|username", Plain, ""),
    ("Password", "authorization.pass|password", Secret, ""),
    ("Token", "authorization.token", Secret, ""),
    ("JsDomain", "js_domain", Plain, ""),
    ("StreamReplicas", "stream_replicas", Plain, "0"),
    ("ConsumerReplicas", "", Plain, "0"),
    ("ConsumerMemoryStorage", "consumer_memory_storage", Plain, "false"),
    ("ConsumerInactiveThreshold", "consumer_inactive_threshold", Period, "0s"),
    ("AuthTimeout", "authorization.timeout", Seconds, "0"),
    ("TLSConfig", "tls", Certificates, "<nil>"),
    ("TLSMap", "tls.verify_and_map", Plain, "false"),
    ("TLSTimeout", "tls.timeout", Seconds, "0"),
    ("TLSPinnedCerts", "tls.pinned_certs", Items, "map[]"),
    ("AckWait", "ack_wait|ackwait", Period, "0s"),
    ("JSAPITimeout", "js_api_timeout|api_timeout", Period, "0s"),
    ("MaxAckPending", "max_ack_pending|max_ack", Plain, "0"),
    ("tlsConfigOpts", "tls", Certificates, "<nil>"),
    ("rejectQoS2Pub", "reject_qos2_publish", Plain, "false"),
    ("downgradeQoS2Sub", "downgrade_qos2_subscribe", Plain, "false"),
];

/// The default of what TLS and logins may take where a port is opened, in seconds.
const TIMEOUT_S: f64 = 2.0;

fn table(peers: Peers) -> &'static [Field] {
    match peers {
        Peers::Cluster => CLUSTER,
        Peers::Gateway => GATEWAY,
        Peers::LeafNodes => LEAFNODES,
        Peers::Mqtt => MQTT,
    }
}

/// Returns a block that is not there.
pub(crate) fn absent(peers: Peers) -> PeerBlock {
    block(peers, &Map::default(), None)
}

/// Returns a block as it stands in the file.
pub(super) fn block(peers: Peers, map: &Map, listen: Option<&Listen>) -> PeerBlock {
    let field = |&(name, path, kind, default): &Field| {
        let value = match (kind, listen) {
            (Host, listen) => listen.map_or_else(String::new, |l| l.host.clone()),
            (Port, listen) => listen.map_or(0, |l| l.port).to_string(),
            (LoginSeconds, Some(_)) => {
                let handshake = at(map, "tls").map(|_| seconds(map, "tls.timeout") + 1.0);
                let asked = at(map, path).and_then(seconds_of);
                asked.or(handshake).unwrap_or(TIMEOUT_S).to_string()
            }
            (Seconds, Some(_)) if path == "tls.timeout" => seconds(map, path).to_string(),
            _ => {
                let node = at(map, path);
                node.map_or_else(|| default.into(), |node| shown(node, kind))
            }
        };
        PeerField {
            name,
            value,
            is_secret: matches!(kind, Secret),
        }
    };
    PeerBlock {
        peers,
        fields: table(peers).iter().map(field).collect(),
    }
}

fn seconds(map: &Map, path: &str) -> f64 {
    at(map, path).and_then(seconds_of).unwrap_or(TIMEOUT_S)
}

fn seconds_of(node: &Node) -> Option<f64> {
    match &node.value {
        Value::Int(n) => i32::try_from(*n).ok().map(f64::from),
        Value::Float(n) => Some(*n),
        Value::Text(text) => duration::parse(text).ok().map(|d| d.as_secs_f64()),
        Value::Bool(_) | Value::Time(_) | Value::List(_) | Value::Map(_) => None,
    }
}

/// Finds a field by the keys that lead to it.
fn at<'a>(map: &'a Map, path: &str) -> Option<&'a Node> {
    let (spellings, rest) = match path.split_once('.') {
        Some((block, rest)) => (block, Some(rest)),
        None => (path, None),
    };
    let is_key = |key: &str| spellings.split('|').any(|s| key.eq_ignore_ascii_case(s));
    let (_, node) = map.iter().find(|(key, _)| is_key(key))?;
    match (rest, &node.value) {
        (None, _) => Some(node),
        (Some(rest), Value::Map(inside)) => at(inside, rest),
        (Some(_), _) => None,
    }
}

fn shown(node: &Node, kind: Kind) -> String {
    match kind {
        Certificates => "{...}".into(),
        Period => period(node),
        Seconds | LoginSeconds => seconds_of(node).unwrap_or_default().to_string(),
        Policy if matches!(&node.value, Value::Text(text) if text == "default") => String::new(),
        Plain | Secret | Items | Policy | Host | Port => plain(&node.value),
    }
}

fn period(node: &Node) -> String {
    let period = match &node.value {
        Value::Text(text) => duration::parse(text).unwrap_or_default(),
        Value::Int(n) => Duration::from_secs(u64::try_from(*n).unwrap_or_default()),
        Value::Float(_) | Value::Bool(_) | Value::Time(_) | Value::List(_) | Value::Map(_) => {
            Duration::ZERO
        }
    };
    Nanos::from(period).to_string()
}

fn plain(value: &Value) -> String {
    match value {
        Value::Text(text) | Value::Time(text) => text.clone(),
        Value::Int(n) => n.to_string(),
        Value::Float(n) => n.to_string(),
        Value::Bool(on) => on.to_string(),
        Value::List(items) => {
            let items: Vec<String> = items.iter().map(|item| plain(&item.value)).collect();
            format!("[{}]", items.join(" "))
        }
        Value::Map(map) => {
            let pairs: Vec<String> = map
                .iter()
                .map(|(key, node)| format!("{key}:{}", plain(&node.value)))
                .collect();
            format!("map[{}]", pairs.join(" "))
        }
    }
}

/// Keeps a single setting, if it is one of those that a reload tells of.
pub(super) fn setting(unserved: &mut Unserved, key: &str, node: &Node) {
    let name = match key {
        "prof_port" => "ProfPort",
        "prof_block_rate" => "prof_block_rate",
        "write_timeout" => "WriteTimeout",
        "connect_error_reports" => "connect_error_reports",
        "reconnect_error_reports" => "reconnect_error_reports",
        "ocsp" => "OCSP",
        "ocsp_cache" => "OCSP peer cache",
        _ => return,
    };
    let value = shown(node, Policy);
    match value.is_empty() {
        true => drop(unserved.settings.remove(name)),
        false => drop(unserved.settings.insert(name, value)),
    }
}

//! What a change of a whole block means: of one for other servers, of MQTT's, and of the one for
//! WebSocket clients.
//!
//! nats-server tells of them by showing all that is in them, in an order of its own. Secrets are hidden here.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::time::Duration;

use protocol::text::duration::Nanos;

use super::ReloadError;
use crate::check::unserved::absent;
use crate::options::{Options, PeerBlock, PeerField, Peers, Tls, WebSocket};

/// Fields of MQTT's block that may change.
const MQTT_CHANGES: [(&str, &str); 6] = [
    ("AckWait", "ack_wait"),
    ("MaxAckPending", "max_ack_pending"),
    ("StreamReplicas", "stream_replicas"),
    ("ConsumerReplicas", "consumer_replicas"),
    ("ConsumerMemoryStorage", "consumer_memory_storage"),
    ("ConsumerInactiveThreshold", "consumer_inactive_threshold"),
];

pub(super) fn block(options: &Options, peers: Peers) -> PeerBlock {
    let mut blocks = options.unserved.blocks.iter();
    let found = blocks.find(|block| block.peers == peers);
    found.cloned().unwrap_or_else(|| absent(peers))
}

/// Returns a field of a block as it is shown.
pub(super) fn value(options: &Options, peers: Peers, name: &str) -> String {
    let block = block(options, peers);
    let field = block.fields.iter().find(|field| field.name == name);
    field.map_or("", PeerField::shown).to_string()
}

/// Tells of another name.
pub(super) fn cluster_name(old: &Options, new: &Options) -> Option<String> {
    let [old, new] = [old, new].map(|o| value(o, Peers::Cluster, "Name"));
    (old != new && !new.is_empty()).then(|| format!("Cluster name updated to {new}"))
}

/// Refuses each change of a block.
pub(super) fn whole(old: &Options, new: &Options, peers: Peers) -> Result<(), ReloadError> {
    let (old, new) = (block(old, peers), block(new, peers));
    match old == new {
        true => Ok(()),
        false => Err(ReloadError::Fixed {
            name: match peers {
                Peers::Cluster => "Cluster",
                Peers::Gateway => "Gateway",
                Peers::LeafNodes => "LeafNode",
                Peers::Mqtt => "MQTT",
            },
            old: shown(&old),
            new: shown(&new),
        }),
    }
}

fn shown(block: &PeerBlock) -> String {
    let values: Vec<&str> = block.fields.iter().map(PeerField::shown).collect();
    format!("{{{}}}", values.join(" "))
}

/// Refuses the first change of the block that is not one of the compression.
pub(super) fn leaf_nodes(old: &Options, new: &Options) -> Result<(), ReloadError> {
    let [old, new] = [old, new].map(|o| block(o, Peers::LeafNodes));
    let mut pairs = old.fields.iter().zip(&new.fields);
    let changed = pairs.find(|(old, new)| old != new && old.name != "Compression");
    match changed {
        None => Ok(()),
        Some((old, new)) => Err(ReloadError::Field {
            block: "LeafNode",
            name: old.name,
            old: old.shown().to_string(),
            new: new.shown().to_string(),
        }),
    }
}

/// Refuses a change of what MQTT listens with.
pub(super) fn fixed_of_mqtt(old: &Options, new: &Options) -> Result<(), ReloadError> {
    let fixed = |options: &Options| {
        let mut block = block(options, Peers::Mqtt);
        let may_change = |name: &str| MQTT_CHANGES.iter().any(|(field, _)| *field == name);
        block.fields.retain(|field| !may_change(field.name));
        block
    };
    match fixed(old) == fixed(new) {
        true => Ok(()),
        false => whole(old, new, Peers::Mqtt),
    }
}

/// Tells all that may change of MQTT, if any of it does.
pub(super) fn mqtt_told(old: &Options, new: &Options) -> Option<String> {
    if block(old, Peers::Mqtt) == block(new, Peers::Mqtt) {
        return None;
    }
    let line = |(field, key): &(&str, &str)| {
        let value = value(new, Peers::Mqtt, field);
        format!("Reloaded: MQTT {key} = {value}")
    };
    let lines: Vec<String> = MQTT_CHANGES.iter().map(line).collect();
    Some(lines.join("\n"))
}

/// Refuses each change of the block but one of its certificates.
pub(super) fn websocket(old: &Options, new: &Options) -> Result<(), ReloadError> {
    let (old, new) = (&old.websocket, &new.websocket);
    match without_certificates(old.as_ref()) == without_certificates(new.as_ref()) {
        true => Ok(()),
        false => Err(ReloadError::Fixed {
            name: "Websocket",
            old: websocket_shown(old.as_ref()),
            new: websocket_shown(new.as_ref()),
        }),
    }
}

fn without_certificates(block: Option<&WebSocket>) -> Option<WebSocket> {
    let ws = block?.clone();
    let tls = ws.tls.map(|_| Tls::default());
    Some(WebSocket { tls, ..ws })
}

fn websocket_shown(block: Option<&WebSocket>) -> String {
    let absent = WebSocket::default();
    let ws = block.unwrap_or(&absent);
    let host = block.map_or("", |ws| ws.listen.host.as_str());
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    let secret = |text: &Option<String>| match text {
        Some(_) => PeerField::HIDDEN.to_string(),
        None => String::new(),
    };
    let period = |period: Option<Duration>| Nanos::from(period.unwrap_or_default()).to_string();
    let certificates = ws.tls.as_ref().map_or("<nil>", |_| "{...}");
    let pinned = ws.tls.as_ref().map(|tls| tls.pinned_certs.join(":{} "));
    let headers = ws.headers.iter().map(|(k, v)| format!("{k}:{v}"));
    let values = [
        host.to_string(),
        ws.listen.port.to_string(),
        text(&ws.advertise),
        text(&ws.no_auth_user),
        ws.jwt_cookie.clone(),
        ws.user_cookie.clone(),
        ws.pass_cookie.clone(),
        ws.token_cookie.clone(),
        text(&ws.user),
        secret(&ws.password),
        secret(&ws.token),
        ws.auth_timeout
            .unwrap_or_default()
            .as_secs_f64()
            .to_string(),
        ws.no_tls.to_string(),
        certificates.to_string(),
        ws.tls
            .as_ref()
            .is_some_and(|tls| tls.verify_and_map)
            .to_string(),
        format!("map[{}]", pinned.unwrap_or_default()),
        ws.same_origin.to_string(),
        format!("[{}]", ws.allowed_origins.join(" ")),
        ws.compression.to_string(),
        period(ws.handshake_timeout),
        period(ws.ping_interval),
        format!("map[{}]", headers.collect::<Vec<_>>().join(" ")),
        certificates.to_string(),
    ];
    format!("{{{}}}", values.join(" "))
}

//! The keys of nats-server that have no effect here yet: they are checked for spelling and noted.
//!
//! Refused are those that protect something, or without which servers would silently not form one
//! system; the others are noted and passed over.

use alloc::format;
use alloc::string::String;

use super::reader::Reader;
use crate::value::{Node, Value};

/// What may stand under a key.
enum Inside {
    /// Anything.
    Any,
    /// These keys, in a map or in each map of a list.
    Keys(&'static [(&'static str, Inside)]),
}

use Inside::{Any, Keys};

/// How a key is noted.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Without {
    /// The server does less than it is asked to.
    PassOver,
    /// The server must not start.
    Refuse,
}

use Without::{PassOver, Refuse};

type Fields = &'static [(&'static str, Inside)];

const TOP: &[(&str, Without, Inside)] = &[
    ("cluster", Refuse, Keys(CLUSTER)),
    ("gateway", Refuse, Keys(GATEWAY)),
    ("leaf", Refuse, Keys(LEAFNODES)),
    ("leafnodes", Refuse, Keys(LEAFNODES)),
    ("mqtt", PassOver, Keys(MQTT)),
    ("ocsp", PassOver, Any),
    ("ocsp_cache", PassOver, Any),
    ("prof_port", PassOver, Any),
    ("prof_block_rate", PassOver, Any),
    ("write_timeout", PassOver, Any),
    ("connect_error_reports", PassOver, Any),
    ("reconnect_error_reports", PassOver, Any),
];

const CLUSTER: Fields = &[
    ("name", Any),
    ("listen", Any),
    ("host", Any),
    ("net", Any),
    ("port", Any),
    ("authorization", Any),
    ("routes", Any),
    ("tls", Any),
    ("cluster_advertise", Any),
    ("advertise", Any),
    ("no_advertise", Any),
    ("connect_retries", Any),
    ("connect_backoff", Any),
    ("permissions", Any),
    ("pool_size", Any),
    ("accounts", Any),
    ("compression", Any),
    ("ping_interval", Any),
    ("ping_max", Any),
    ("write_deadline", Any),
    ("write_timeout", Any),
];

const GATEWAY: Fields = &[
    ("name", Any),
    ("listen", Any),
    ("host", Any),
    ("net", Any),
    ("port", Any),
    ("authorization", Any),
    ("tls", Any),
    ("advertise", Any),
    ("connect_retries", Any),
    ("connect_backoff", Any),
    (
        "gateways",
        Keys(&[("name", Any), ("tls", Any), ("url", Any), ("urls", Any)]),
    ),
    ("reject_unknown", Any),
    ("reject_unknown_cluster", Any),
    ("write_deadline", Any),
    ("write_timeout", Any),
];

const LEAFNODES: Fields = &[
    ("listen", Any),
    ("host", Any),
    ("net", Any),
    ("port", Any),
    ("authorization", Any),
    ("remotes", Keys(LEAF_REMOTE)),
    ("reconnect", Any),
    ("reconnect_delay", Any),
    ("reconnect_interval", Any),
    ("dial_timeout", Any),
    ("tls", Any),
    ("leafnode_advertise", Any),
    ("advertise", Any),
    ("no_advertise", Any),
    ("min_version", Any),
    ("minimum_version", Any),
    ("compression", Any),
    ("isolate_leafnode_interest", Any),
    ("isolate", Any),
    ("write_deadline", Any),
    ("write_timeout", Any),
];

const LEAF_REMOTE: Fields = &[
    ("no_randomize", Any),
    ("dont_randomize", Any),
    ("url", Any),
    ("urls", Any),
    ("account", Any),
    ("local", Any),
    ("creds", Any),
    ("credentials", Any),
    ("nkey", Any),
    ("seed", Any),
    ("tls", Any),
    ("hub", Any),
    ("deny_imports", Any),
    ("deny_import", Any),
    ("deny_exports", Any),
    ("deny_export", Any),
    ("ws_compress", Any),
    ("ws_compression", Any),
    ("websocket_compress", Any),
    ("websocket_compression", Any),
    ("ws_no_masking", Any),
    ("websocket_no_masking", Any),
    ("jetstream_cluster_migrate", Any),
    ("js_cluster_migrate", Any),
    ("isolate_leafnode_interest", Any),
    ("isolate", Any),
    ("request_isolation", Any),
    ("compression", Any),
    ("first_info_timeout", Any),
    ("dial_timeout", Any),
    ("disabled", Any),
    ("proxy", Any),
    ("ignore_discovered_servers", Any),
];

const MQTT: Fields = &[
    ("listen", Any),
    ("host", Any),
    ("net", Any),
    ("port", Any),
    ("tls", Any),
    ("authorization", Any),
    ("authentication", Any),
    ("no_auth_user", Any),
    ("ack_wait", Any),
    ("ackwait", Any),
    ("js_api_timeout", Any),
    ("api_timeout", Any),
    ("max_ack_pending", Any),
    ("max_ack", Any),
    ("js_domain", Any),
    ("stream_replicas", Any),
    ("consumer_replicas", Any),
    ("consumer_memory_storage", Any),
    ("consumer_inactive_threshold", Any),
    ("reject_qos2_publish", Any),
    ("downgrade_qos2_subscribe", Any),
];

/// Checks the spelling of a block's fields.
pub(super) fn fields_of(read: &mut Reader, key: &str, node: &Node) {
    if let Some((.., inside)) = TOP.iter().find(|(name, ..)| *name == key) {
        check(read, node, inside);
    }
}

/// Notes a key of nats-server that has no effect yet; tells whether it is one.
pub(super) fn known(read: &mut Reader, key: &str, node: &Node) -> bool {
    let Some((_, without, inside)) = TOP.iter().find(|(name, ..)| *name == key) else {
        return false;
    };
    check(read, node, inside);
    match without {
        Refuse => read.refused(key, node),
        PassOver => read.ignored(key, node),
    }
    true
}

fn check(read: &mut Reader, node: &Node, inside: &Inside) {
    let Keys(fields) = inside else { return };
    match &node.value {
        Value::List(items) => {
            for item in items {
                check(read, item, inside);
            }
        }
        Value::Map(_) => read.each(node, |read, key, node| {
            let field = fields.iter().find(|(name, _)| *name == key);
            if let Some((_, inside)) = field {
                check(read, node, inside);
            }
            field.is_some()
        }),
        _ => read.error(
            &node.at,
            format!("expected a map, got {}", String::from(node.value.kind())),
        ),
    }
}

//! The keys of nats-server that have no effect here yet: they are checked for spelling and noted.
//!
//! Refused are those that protect something, or without which servers would silently not form one
//! system; the others are noted and passed over.

use alloc::format;

use super::peer_values as is;
use super::reader::Reader;
use super::{stores, tls};
use crate::Surroundings;
use crate::value::{Node, Value};

/// What may stand under a key.
enum Inside {
    /// Anything.
    Any,
    /// What this function finds nothing wrong with.
    Is(fn(&mut Reader, &str, &Node)),
    /// Certificates, whose files are looked at.
    Tls,
    /// These keys, in a map.
    Keys(&'static [(&'static str, Inside)]),
    /// These keys in each map of a list.
    Each(&'static [(&'static str, Inside)]),
}

use Inside::{Any, Each, Is, Keys, Tls};

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
    (
        "ocsp",
        PassOver,
        Is(|read, _, node| stores::ocsp(read, node)),
    ),
    (
        "ocsp_cache",
        PassOver,
        Is(|read, _, node| stores::ocsp_cache(read, node)),
    ),
    ("prof_port", PassOver, Is(is::number)),
    ("prof_block_rate", PassOver, Is(is::number)),
    ("write_timeout", PassOver, Is(is::write_timeout)),
    ("connect_error_reports", PassOver, Is(is::number)),
    ("reconnect_error_reports", PassOver, Is(is::number)),
];

const CLUSTER: Fields = &[
    ("name", Is(is::cluster_name)),
    ("listen", Any),
    ("host", Any),
    ("net", Any),
    ("port", Any),
    ("authorization", Is(is::cluster_login)),
    ("routes", Is(is::routes)),
    ("tls", Tls),
    ("cluster_advertise", Is(is::text)),
    ("advertise", Is(is::text)),
    ("no_advertise", Is(is::switch)),
    ("connect_retries", Is(is::number)),
    ("connect_backoff", Is(is::switch)),
    ("permissions", Is(is::permissions)),
    ("pool_size", Is(is::number)),
    ("accounts", Is(is::accounts)),
    ("compression", Is(is::compression)),
    ("ping_interval", Is(is::route_ping)),
    ("ping_max", Is(is::number)),
    ("write_deadline", Is(is::period)),
    ("write_timeout", Is(is::write_timeout)),
];

const GATEWAY: Fields = &[
    ("name", Is(is::gateway_name)),
    ("listen", Any),
    ("host", Any),
    ("net", Any),
    ("port", Any),
    ("authorization", Is(is::gateway_login)),
    ("tls", Tls),
    ("advertise", Is(is::text)),
    ("connect_retries", Is(is::number)),
    ("connect_backoff", Is(is::switch)),
    (
        "gateways",
        Each(&[
            ("name", Is(is::text)),
            ("tls", Tls),
            ("url", Is(is::text)),
            ("urls", Is(is::list)),
        ]),
    ),
    ("reject_unknown", Is(is::switch)),
    ("reject_unknown_cluster", Is(is::switch)),
    ("write_deadline", Is(is::period)),
    ("write_timeout", Is(is::write_timeout)),
];

const LEAFNODES: Fields = &[
    ("listen", Any),
    ("host", Any),
    ("net", Any),
    ("port", Any),
    ("authorization", Is(is::leaf_login)),
    ("remotes", Each(LEAF_REMOTE)),
    ("reconnect", Is(is::reconnect)),
    ("reconnect_delay", Is(is::reconnect)),
    ("reconnect_interval", Is(is::reconnect)),
    ("dial_timeout", Is(is::period)),
    ("tls", Tls),
    ("leafnode_advertise", Is(is::text)),
    ("advertise", Is(is::text)),
    ("no_advertise", Is(is::switch)),
    ("min_version", Is(is::leaf_version)),
    ("minimum_version", Is(is::leaf_version)),
    ("compression", Is(is::compression)),
    ("isolate_leafnode_interest", Is(is::switch)),
    ("isolate", Is(is::switch)),
    ("write_deadline", Is(is::period)),
    ("write_timeout", Is(is::write_timeout)),
];

const LEAF_REMOTE: Fields = &[
    ("no_randomize", Is(is::switch)),
    ("dont_randomize", Is(is::switch)),
    ("url", Is(is::leaf_url)),
    ("urls", Is(is::leaf_url)),
    ("account", Is(is::text)),
    ("local", Is(is::text)),
    ("creds", Is(is::text)),
    ("credentials", Is(is::text)),
    ("nkey", Is(is::seed)),
    ("seed", Is(is::seed)),
    ("tls", Tls),
    ("hub", Is(is::switch)),
    ("deny_imports", Is(is::denied)),
    ("deny_import", Is(is::denied)),
    ("deny_exports", Is(is::denied)),
    ("deny_export", Is(is::denied)),
    ("ws_compress", Is(is::switch)),
    ("ws_compression", Is(is::switch)),
    ("websocket_compress", Is(is::switch)),
    ("websocket_compression", Is(is::switch)),
    ("ws_no_masking", Is(is::switch)),
    ("websocket_no_masking", Is(is::switch)),
    ("jetstream_cluster_migrate", Is(is::migrate)),
    ("js_cluster_migrate", Is(is::migrate)),
    ("isolate_leafnode_interest", Is(is::switch)),
    ("isolate", Is(is::switch)),
    ("request_isolation", Is(is::switch)),
    ("compression", Is(is::compression)),
    ("first_info_timeout", Is(is::period)),
    ("dial_timeout", Is(is::period)),
    ("disabled", Is(is::switch)),
    ("proxy", Is(is::proxy)),
    ("ignore_discovered_servers", Is(is::switch)),
];

const MQTT: Fields = &[
    ("listen", Any),
    ("host", Any),
    ("net", Any),
    ("port", Any),
    ("tls", Tls),
    ("authorization", Is(is::mqtt_login)),
    ("authentication", Is(is::mqtt_login)),
    ("no_auth_user", Is(is::text)),
    ("ack_wait", Is(is::period)),
    ("ackwait", Is(is::period)),
    ("js_api_timeout", Is(is::period)),
    ("api_timeout", Is(is::period)),
    ("max_ack_pending", Is(is::ack_pending)),
    ("max_ack", Is(is::ack_pending)),
    ("js_domain", Is(is::text)),
    ("stream_replicas", Is(is::number)),
    ("consumer_replicas", Is(is::consumer_replicas)),
    ("consumer_memory_storage", Is(is::switch)),
    ("consumer_inactive_threshold", Is(is::period)),
    ("reject_qos2_publish", Is(is::switch)),
    ("downgrade_qos2_subscribe", Is(is::switch)),
];

/// What a block is called in the message that it is none.
const BLOCKS: [(&str, &str); 5] = [
    ("cluster", "Expected map to define cluster"),
    ("gateway", "Expected gateway to be a map"),
    ("leaf", "Expected map to define a leafnode"),
    ("leafnodes", "Expected map to define a leafnode"),
    ("mqtt", "Expected mqtt to be a map"),
];

/// Checks the fields of a block.
pub(super) fn fields_of(read: &mut Reader, key: &str, node: &Node, around: &mut dyn Surroundings) {
    if let Some((.., inside)) = TOP.iter().find(|(name, ..)| *name == key) {
        check(read, key, node, inside, around);
    }
}

/// Notes a key of nats-server that has no effect yet; tells whether it is one.
pub(super) fn known(
    read: &mut Reader,
    key: &str,
    node: &Node,
    around: &mut dyn Surroundings,
) -> bool {
    let Some((_, without, inside)) = TOP.iter().find(|(name, ..)| *name == key) else {
        return false;
    };
    check(read, key, node, inside, around);
    match without {
        Refuse => read.refused(key, node),
        PassOver => read.ignored(key, node),
    }
    true
}

fn check(
    read: &mut Reader,
    key: &str,
    node: &Node,
    inside: &Inside,
    around: &mut dyn Surroundings,
) {
    match (inside, &node.value) {
        (Any, _) => {}
        (Is(fault), _) => fault(read, key, node),
        (Tls, _) => drop(tls::of_peers(read, node, around)),
        (Keys(fields), Value::Map(_)) => each(read, node, fields, around),
        (Keys(_), _) => {
            let block = BLOCKS.iter().find(|(name, _)| *name == key);
            let expected = block.map_or("Expected a map", |(_, text)| text);
            read.unexpected(node, expected);
        }
        (Each(fields), Value::List(items)) => {
            for item in items {
                each(read, item, fields, around);
            }
        }
        (Each(_), _) => {
            read.unexpected(node, &format!("Expected {key} field to be an array"));
        }
    }
}

fn each(read: &mut Reader, node: &Node, fields: Fields, around: &mut dyn Surroundings) {
    read.each(node, |read, key, node| {
        let field = fields.iter().find(|(name, _)| *name == key);
        if let Some((_, inside)) = field {
            check(read, key, node, inside, around);
        }
        field.is_some()
    });
}

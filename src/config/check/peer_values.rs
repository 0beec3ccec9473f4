//! What the values are that blocks for other servers and for MQTT may hold.
//!
//! *Invariant:* nothing is kept: they have no effect yet, but a mistake in them is told all the same.

use alloc::format;

use identity::{KeyKind, PublicKey};

use super::reader::{Reader, go_shown};
use super::{subject, users};
use crate::duration;
use crate::value::{Node, Value};

/// How long a route may be silent.
const ROUTE_PING_MAX_S: u64 = 30;
/// The oldest leaf node that may be asked for.
const LEAF_VERSION_MIN: (u32, u32, u32) = (2, 8, 0);
/// How much of MQTT may wait for an acknowledgement.
const ACK_PENDING_MAX: i64 = 65_535;

pub(super) fn text(read: &mut Reader, _: &str, node: &Node) {
    drop(read.text(node));
}

pub(super) fn switch(read: &mut Reader, _: &str, node: &Node) {
    read.boolean(node);
}

pub(super) fn number(read: &mut Reader, _: &str, node: &Node) {
    read.int(node);
}

pub(super) fn list(read: &mut Reader, _: &str, node: &Node) {
    read.list(node);
}

pub(super) fn period(read: &mut Reader, key: &str, node: &Node) {
    read.duration(key, node);
}

pub(super) fn reconnect(read: &mut Reader, _: &str, node: &Node) {
    read.duration("reconnect", node);
}

pub(super) fn write_timeout(read: &mut Reader, _: &str, node: &Node) {
    let policy = read.text(node);
    if policy.is_some_and(|p| !["default", "close", "retry"].contains(&p.as_str())) {
        let reason = "write_timeout must be 'default', 'close' or 'retry'";
        read.error(&node.at, reason);
    }
}

fn name(read: &mut Reader, whose: &str, node: &Node) {
    if read.text(node).is_some_and(|name| name.contains(' ')) {
        let reason = format!("{whose} name cannot contain spaces");
        read.error(&node.at, reason);
    }
}

pub(super) fn cluster_name(read: &mut Reader, _: &str, node: &Node) {
    name(read, "cluster", node);
}

pub(super) fn gateway_name(read: &mut Reader, _: &str, node: &Node) {
    name(read, "gateway", node);
}

pub(super) fn route_ping(read: &mut Reader, key: &str, node: &Node) {
    let interval = read.duration(key, node);
    if interval.is_some_and(|i| i.as_secs() > ROUTE_PING_MAX_S) {
        let reason = "Cluster 'ping_interval' will reset to 30s which is the max for routes";
        read.warning(&node.at, reason);
    }
}

pub(super) fn routes(read: &mut Reader, _: &str, node: &Node) {
    let mut seen = alloc::vec::Vec::new();
    for item in read.list(node) {
        let Some(url) = read.text(item) else { continue };
        if seen.contains(&url) {
            let reason = format!("invalid use of field {url:?}: Duplicate route entry detected");
            read.warning(&item.at, reason);
        }
        seen.push(url);
    }
}

pub(super) fn accounts(read: &mut Reader, _: &str, node: &Node) {
    drop(read.texts(node, "accounts"));
}

pub(super) fn permissions(read: &mut Reader, _: &str, node: &Node) {
    drop(users::permissions(read, node));
}

pub(super) fn denied(read: &mut Reader, _: &str, node: &Node) {
    drop(users::subjects(read, node, subject::is_valid));
}

/// A login of other clusters: one user, and no token.
fn login(read: &mut Reader, whose: &str, node: &Node) {
    let auth = users::authorization(read, node);
    if auth.token.is_some() {
        let reason = format!("{whose} authorization does not support tokens");
        read.error(&node.at, reason);
    }
    if matches!(&node.value, Value::Map(map) if map.find("users").is_some()) {
        let reason = format!("{whose} authorization does not allow multiple users");
        read.error(&node.at, reason);
    }
}

pub(super) fn cluster_login(read: &mut Reader, key: &str, node: &Node) {
    login(read, "Cluster", node);
    if matches!(&node.value, Value::Map(map) if map.find("permissions").is_some()) {
        let reason = format!(
            "invalid use of field {key:?}: setting \"permissions\" within cluster authorization \
             block is deprecated"
        );
        read.warning(&node.at, reason);
    }
}

pub(super) fn gateway_login(read: &mut Reader, _: &str, node: &Node) {
    login(read, "Gateway", node);
}

pub(super) fn leaf_login(read: &mut Reader, _: &str, node: &Node) {
    let (mut single, mut several) = (false, false);
    read.each(node, |read, key, node| {
        match key {
            "user" | "username" | "pass" | "password" => {
                single = true;
                drop(read.name(node));
            }
            "account" => drop(read.text(node)),
            "proxy_required" => drop(read.boolean(node)),
            "nkey" => {
                let is_user = |key: &str| PublicKey::parse_as(KeyKind::User, key).is_some();
                if read.text(node).is_some_and(|key| !is_user(&key)) {
                    let reason = "Not a valid public nkey for leafnode authorization";
                    read.error(&node.at, reason);
                }
            }
            "timeout" => drop(read.seconds("leafnode authorization", node)),
            "users" => {
                several = true;
                leaf_users(read, node);
            }
            _ => return false,
        }
        true
    });
    if single && several {
        let reason = "can not have a single user/pass and a users array";
        read.error(&node.at, reason);
    }
}

fn leaf_users(read: &mut Reader, node: &Node) {
    let Value::List(items) = &node.value else {
        let shown = go_shown(&node.value);
        let reason = format!("Expected users field to be an array, got {shown}");
        return read.error(&node.at, reason);
    };
    for item in items {
        read.each(item, |read, key, node| {
            match key {
                "user" | "username" | "pass" | "password" => drop(read.name(node)),
                "account" => drop(read.text(node)),
                "proxy_required" => drop(read.boolean(node)),
                _ => return false,
            }
            true
        });
    }
}

pub(super) fn mqtt_login(read: &mut Reader, _: &str, node: &Node) {
    read.each(node, |read, key, node| {
        match key {
            "user" | "username" | "pass" | "password" | "token" => drop(read.text(node)),
            "timeout" => drop(read.seconds("authorization", node)),
            _ => return false,
        }
        true
    });
}

pub(super) fn leaf_version(read: &mut Reader, _: &str, node: &Node) {
    let Some(text) = read.text(node) else { return };
    let text = text.strip_prefix('v').unwrap_or(&text);
    let mut numbers = text
        .split(['-', '+'])
        .next()
        .unwrap_or_default()
        .split('.')
        .map(str::parse);
    let version = match (
        numbers.next(),
        numbers.next(),
        numbers.next(),
        numbers.next(),
    ) {
        (Some(Ok(major)), Some(Ok(minor)), Some(Ok(patch)), None) => (major, minor, patch),
        _ => {
            let reason = "invalid leafnode's minimum version: invalid semver";
            return read.error(&node.at, reason);
        }
    };
    if version < LEAF_VERSION_MIN {
        read.error(&node.at, "the minimum version should be at least 2.8.0");
    }
}

pub(super) fn compression(read: &mut Reader, key: &str, node: &Node) {
    match &node.value {
        Value::Bool(_) | Value::Text(_) => {}
        Value::Map(_) => read.each(node, |read, key, node| {
            match key {
                "mode" => drop(read.text(node)),
                "rtt_thresholds" | "thresholds" | "rtts" | "rtt" => {
                    for item in read.list(node) {
                        let text = read.text(item);
                        if let Some(Err(why)) = text.map(|text| duration::parse(&text)) {
                            return {
                                read.error(&node.at, format!("{why}"));
                                true
                            };
                        }
                    }
                }
                _ => return false,
            }
            true
        }),
        _ => {
            let expected = format!("field {key:?} should be a boolean or a structure");
            read.unexpected(node, &expected);
        }
    }
}

pub(super) fn leaf_url(read: &mut Reader, _: &str, node: &Node) {
    match &node.value {
        Value::Text(_) => {}
        Value::List(items) => {
            for item in items {
                drop(read.text(item));
            }
        }
        other => {
            let shown = go_shown(other);
            let reason =
                format!("Expected remote leafnode url to be an array or string, got {shown}");
            read.error(&node.at, reason);
        }
    }
}

pub(super) fn seed(read: &mut Reader, _: &str, node: &Node) {
    let Some(seed) = read.text(node) else { return };
    if identity::KeyPair::from_seed(&seed).is_err() {
        let reason = format!("Remote leafnode nkey is not a valid seed: {seed:?}");
        read.error(&node.at, reason);
    }
}

pub(super) fn migrate(read: &mut Reader, key: &str, node: &Node) {
    match &node.value {
        Value::Bool(_) => {}
        Value::Map(_) => read.each(node, |read, key, node| {
            let is_delay = key == "leader_migrate_delay";
            if is_delay {
                read.duration(key, node);
            }
            is_delay
        }),
        _ => {
            read.unexpected(node, &format!("Expected boolean or map for {key}"));
        }
    }
}

pub(super) fn proxy(read: &mut Reader, _: &str, node: &Node) {
    let (mut url, mut others) = (false, false);
    let errors = read.errors.len();
    read.each_in(node, "Expected proxy to be a map", |read, key, node| {
        match key {
            "url" => {
                url = true;
                drop(read.text(node));
            }
            "username" | "password" => {
                others = true;
                drop(read.text(node));
            }
            "timeout" => {
                others = true;
                read.duration("proxy timeout", node);
            }
            _ => return false,
        }
        true
    });
    if others && !url && read.errors.len() == errors {
        let reason = "proxy URL must be specified when other proxy options are set";
        read.error(&node.at, reason);
    }
}

pub(super) fn ack_pending(read: &mut Reader, _: &str, node: &Node) {
    let max = read.int(node).unwrap_or_default();
    if !(0..=ACK_PENDING_MAX).contains(&max) {
        let reason = format!("invalid value {max}, should in [0..{ACK_PENDING_MAX}] range");
        read.error(&node.at, reason);
    }
}

pub(super) fn consumer_replicas(read: &mut Reader, key: &str, node: &Node) {
    let reason = format!(
        "invalid use of field {key:?}: consumer replicas setting ignored in this server version"
    );
    read.warning(&node.at, reason);
}

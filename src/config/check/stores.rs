//! Certificates of the system's stores, and questions to who issued them (OCSP): what nats-server knows
//! of them is checked, whether a server can do without is for the caller to say.

use alloc::format;

use super::reader::{Reader, go_shown};
use crate::duration;
use crate::value::{Node, Value};

const STORES: [&str; 2] = ["windowscurrentuser", "windowslocalmachine"];
const MATCHED_BY: [&str; 3] = ["subject", "issuer", "thumbprint"];

/// Checks a key of a `tls` block.
pub(super) fn check(read: &mut Reader, key: &str, node: &Node) {
    match (key, &node.value) {
        ("cert_store" | "cert_match_by" | "cert_match", Value::Text(text)) if !text.is_empty() => {
            let lower = text.to_ascii_lowercase();
            match key {
                "cert_store" if STORES.contains(&lower.as_str()) => read.error(
                    &node.at,
                    "cert_store not compatible with current operating system",
                ),
                "cert_store" => read.error(&node.at, "cert store type not implemented"),
                "cert_match_by" if !MATCHED_BY.contains(&lower.as_str()) => {
                    read.error(&node.at, "cert match by type not implemented");
                }
                _ => {}
            }
        }
        ("cert_store" | "cert_match_by" | "cert_match", _) => {
            let reason = format!("expected '{key}' to be a valid non-empty string");
            read.error(&node.at, reason);
        }
        ("cert_match_skip_invalid", Value::Bool(_)) => {}
        ("cert_match_skip_invalid", _) => {
            read.error(&node.at, format!("expected '{key}' to be a boolean"));
        }
        ("ocsp_peer", Value::Bool(_)) => {}
        ("ocsp_peer", Value::Map(_)) => ocsp_peer(read, node),
        ("ocsp_peer", _) => read.error(
            &node.at,
            "error parsing ocsp peer config: unsupported type map[string]interface {}",
        ),
        _ => {}
    }
}

fn ocsp_peer(read: &mut Reader, node: &Node) {
    let Value::Map(map) = &node.value else { return };
    for (key, entry) in map.iter() {
        let why = match (key.to_ascii_lowercase().as_str(), &entry.value) {
            (
                "verify" | "warn_only" | "unknown_is_good" | "allow_when_ca_unreachable",
                Value::Bool(_),
            ) => continue,
            (
                "ca_timeout" | "allowed_clockskew" | "cache_ttl_when_next_update_unset",
                Value::Int(_) | Value::Float(_),
            ) => continue,
            ("ca_timeout" | "cache_ttl_when_next_update_unset", Value::Text(text)) => {
                match duration::parse(text) {
                    Ok(_) => continue,
                    Err(why) => format!("conversion error: {why}"),
                }
            }
            ("allowed_clockskew", Value::Text(text)) if duration::parse(text).is_ok() => continue,
            ("ca_timeout" | "allowed_clockskew" | "cache_ttl_when_next_update_unset", _) => {
                "conversion error: unexpected type".into()
            }
            _ => format!("unknown field [{key:?}]"),
        };
        // nats-server puts the place of the key behind that of the block.
        let reason = format!("{}: error parsing tls peer config, {why}", entry.at);
        return read.error(&node.at, reason);
    }
}

/// Checks the `ocsp` key.
pub(super) fn ocsp(read: &mut Reader, node: &Node) {
    let map = match &node.value {
        Value::Bool(_) => return,
        Value::Map(map) => map,
        other => {
            let kind = other.kind();
            let reason = format!("error parsing ocsp config: unsupported type {kind}");
            return read.error(&node.at, reason);
        }
    };
    read.guarded(&node.at, |read| {
        for (key, entry) in map.iter() {
            match key.to_ascii_lowercase().as_str() {
                "mode" => {
                    let mode = read.text(entry);
                    let modes = ["always", "must", "never", "auto"];
                    if mode.is_some_and(|m| !modes.contains(&m.to_ascii_lowercase().as_str())) {
                        let reason = "error parsing ocsp config: unsupported ocsp mode string";
                        read.error(&entry.at, reason);
                    }
                }
                "url" => drop(read.text(entry)),
                // nats-server takes no list that a file can hold.
                "urls" => drop(read.mismatch::<()>(entry, "[]string")),
                _ => {
                    let reason = "error parsing ocsp config: unsupported field string";
                    read.error(&entry.at, reason);
                }
            }
        }
    });
}

/// Checks the `ocsp_cache` key.
pub(super) fn ocsp_cache(read: &mut Reader, node: &Node) {
    let map = match &node.value {
        Value::Bool(_) => return,
        Value::Map(map) => map,
        other => {
            let kind = other.kind();
            let reason = format!("error parsing tags: unsupported type {kind}");
            return read.error(&node.at, reason);
        }
    };
    let peer_cache = "error parsing OCSP peer cache config";
    for (key, entry) in map.iter() {
        let lower = key.to_ascii_lowercase();
        match (lower.as_str(), &entry.value) {
            ("type", Value::Text(kind)) => {
                if !["none", "local"].contains(&kind.to_ascii_lowercase().as_str()) {
                    let shown = go_shown(&entry.value);
                    let reason = format!("{peer_cache}, unknown type [{shown}]");
                    read.error(&entry.at, reason);
                }
            }
            ("local_store", Value::Text(_))
            | ("preserve_revoked", Value::Bool(_))
            | ("save_interval", Value::Int(_) | Value::Float(_)) => {}
            ("save_interval", Value::Text(text)) => {
                if let Err(why) = duration::parse(text) {
                    let reason = format!("error parsing tls peer config, conversion error: {why}");
                    read.error(&entry.at, reason);
                }
            }
            _ => read.error(&entry.at, format!("{peer_cache}, unknown field [{key:?}]")),
        }
    }
}

//! The `jetstream` block of the server and of accounts.

use alloc::format;
use alloc::string::String;
use core::time::Duration;

use super::reader::{Reader, go_shown, set};
use crate::options::{
    AccountJetStream, BatchLimits, JetStream, ServerLimits, StoreCipher, SyncInterval,
    UnservedJetStream,
};
use crate::value::{Node, Value};

pub(super) fn of_server(read: &mut Reader, node: &Node, js: &mut JetStream) {
    match &node.value {
        Value::Bool(switch) => js.enabled = *switch,
        Value::Text(text) => set(&mut js.enabled, enabled(read, node, text)),
        Value::Map(_) => {
            js.enabled = true;
            read.guarded(&node.at, |read| block(read, node, js));
        }
        _ => no_jetstream(read, node),
    }
}

fn no_jetstream(read: &mut Reader, node: &Node) {
    read.unexpected(node, "Expected map, bool or string to define JetStream");
}

fn enabled(read: &mut Reader, node: &Node, text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "enabled" | "enable" => Some(true),
        "disabled" | "disable" => Some(false),
        _ => {
            read.error(
                &node.at,
                format!("Expected 'enabled' or 'disabled' for string value, got '{text}'"),
            );
            None
        }
    }
}

fn block(read: &mut Reader, node: &Node, js: &mut JetStream) {
    read.each(node, |read, key, node| {
        match key {
            "enable" | "enabled" => set(&mut js.enabled, read.boolean(node)),
            "strict" => set(&mut js.strict, strict(read, node)),
            "store" | "store_dir" | "storedir" => store_dir(read, node, js),
            "max_memory_store" | "max_mem_store" | "max_mem" => {
                set(&mut js.memory_max, read.size_cap("max_mem_store", node));
            }
            "max_file_store" | "max_file" => {
                set(&mut js.file_max, read.size_cap("max_file_store", node));
            }
            "domain" => domain(read, node, js),
            "sync" | "sync_interval" => set(&mut js.sync_interval, sync(read, key, node)),
            "limits" => server_limits(read, node, &mut js.limits),
            "unique_tag" => set(&mut js.unique_tag, lower(read.name(node))),
            "max_buffered_size" => {
                if let Some(Some(size)) = read.size_cap(key, node) {
                    js.buffered_size_max = size;
                }
            }
            "max_buffered_msgs" => set(&mut js.buffered_msgs_max, limit(read, key, node)),
            "request_queue_limit" => set(&mut js.request_queue_limit, limit(read, key, node)),
            "info_queue_limit" => set(&mut js.info_queue_limit, limit(read, key, node)),
            "max_outstanding_catchup"
            | "meta_compact"
            | "meta_compact_size"
            | "meta_compact_sync"
            | "max_concurrent_io"
            | "extension_hint" => {
                without_effect(read, key, node, &mut js.unserved);
                read.ignored(&format!("jetstream.{key}"), node);
            }
            "key" | "ek" | "encryption_key" => {
                set(&mut js.encryption.key, store_key(read, key, node));
            }
            "prev_key" | "prev_ek" | "prev_encryption_key" => {
                set(&mut js.encryption.key_before, read.name(node));
            }
            "cipher" => set(&mut js.encryption.cipher, cipher(read, node)),
            // Without it data that was to be encrypted would be written in the clear.
            "tpm" => {
                tpm(read, node);
                read.refused("jetstream.tpm", node);
            }
            _ => return false,
        }
        true
    });
}

/// Returns an integer; negative ones count as 0.
fn limit<T: TryFrom<i64> + Default>(read: &mut Reader, key: &str, node: &Node) -> Option<T> {
    read.parseable(key, node).map(Option::unwrap_or_default)
}

fn strict(read: &mut Reader, node: &Node) -> Option<bool> {
    let Value::Bool(on) = node.value else {
        let shown = go_shown(&node.value);
        let reason = format!("Expected 'true' or 'false' for bool value, got '{shown}'");
        read.error(&node.at, reason);
        return None;
    };
    Some(on)
}

/// Checks what steers parts of nats-server that we do not have.
fn without_effect(read: &mut Reader, key: &str, node: &Node, js: &mut UnservedJetStream) {
    let absolute = |read: &mut Reader, among: &str| {
        let shown = go_shown(&node.value);
        let reason = format!("Expected an absolute size for {key:?}{among}, got {shown}");
        read.error(&node.at, reason);
    };
    match (key, &node.value) {
        ("max_outstanding_catchup", _) => {
            let size: Option<Option<u64>> = read.size_cap(key, node);
            set(&mut js.catchup_max, size.map(Option::unwrap_or_default));
        }
        ("meta_compact_size", Value::Int(n)) if *n < 0 => absolute(read, ""),
        ("meta_compact_size", _) => drop(read.size_cap(key, node)),
        ("meta_compact", Value::Int(0..)) => {}
        ("meta_compact", _) => absolute(read, ""),
        ("max_concurrent_io", Value::Int(n @ 4..=8192)) => js.concurrent_io_max = *n,
        ("max_concurrent_io", _) => absolute(read, " between 4 and 8192"),
        ("meta_compact_sync", _) => drop(read.boolean(node)),
        _ => set(&mut js.extension_hint, read.text(node)),
    }
}

fn tpm(read: &mut Reader, node: &Node) {
    read.each_in(
        node,
        "Expected a map to define JetStreamLimits",
        |read, key, node| {
            match key {
                "keys_file" | "encryption_password" | "srk_password" => drop(read.text(node)),
                "pcr" => drop(read.int(node)),
                "cipher" => drop(cipher(read, node)),
                _ => return false,
            }
            true
        },
    );
}

/// An empty key, of an empty variable perhaps, would leave in the clear what was to be encrypted.
fn store_key(read: &mut Reader, key: &str, node: &Node) -> Option<Option<String>> {
    let name = read.name(node)?;
    if name.is_none() {
        read.error(
            &node.at,
            format!("jetstream.{key} is empty: nothing would be encrypted"),
        );
    }
    Some(name)
}

fn cipher(read: &mut Reader, node: &Node) -> Option<StoreCipher> {
    let text = read.text(node)?;
    match text.to_ascii_lowercase().as_str() {
        "chacha" | "chachapoly" => Some(StoreCipher::ChaCha),
        "aes" => Some(StoreCipher::Aes),
        _ => {
            read.error(&node.at, format!("Unknown cipher type: \"{text}\""));
            None
        }
    }
}

fn lower(name: Option<Option<String>>) -> Option<Option<String>> {
    name.map(|name| name.map(|n| n.to_ascii_lowercase()))
}

pub(super) fn store_dir(read: &mut Reader, node: &Node, js: &mut JetStream) {
    if js.store_dir.is_some() {
        read.error(&node.at, "Duplicate 'store_dir' configuration");
        return;
    }
    set(&mut js.store_dir, read.name(node));
}

fn domain(read: &mut Reader, node: &Node, js: &mut JetStream) {
    let Some(domain) = read.name(node) else {
        return;
    };
    let is_token = |d: &String| !d.contains(['.', '*', '>', ' ']);
    if domain.as_ref().is_some_and(|d| !is_token(d)) {
        read.error(&node.at, "invalid domain name: may not contain ., * or >");
        return;
    }
    js.domain = domain;
}

fn sync(read: &mut Reader, key: &str, node: &Node) -> Option<SyncInterval> {
    match &node.value {
        Value::Text(text) if text.eq_ignore_ascii_case("always") => Some(SyncInterval::Always),
        _ => read.duration(key, node).map(SyncInterval::Every),
    }
}

fn server_limits(read: &mut Reader, node: &Node, limits: &mut ServerLimits) {
    // 0 and negative numbers both mean "no limit".
    let cap = |read: &mut Reader, key: &str, node: &Node| {
        let cap: Option<Option<u32>> = read.cap(key, node);
        cap.map(|cap| cap.filter(|n| *n > 0))
    };
    read.each_in(
        node,
        "Expected a map to define JetStreamLimits",
        |read, key, node| {
            match key {
                "max_ack_pending" => set(&mut limits.ack_pending_max, cap(read, key, node)),
                "max_ha_assets" => set(&mut limits.ha_assets_max, cap(read, key, node)),
                "max_request_batch" => set(&mut limits.request_batch_max, cap(read, key, node)),
                "duplicate_window" => {
                    let window = read.worded_duration(key, node);
                    if let Some(window) = window.filter(|w| *w != Duration::ZERO) {
                        limits.duplicate_window = window;
                    }
                }
                "default_max_consumers" => {
                    set(&mut limits.default_max_consumers, read.count(key, node));
                }
                "batch" => batch(read, node, &mut limits.batch),
                _ => return false,
            }
            true
        },
    );
}

fn batch(read: &mut Reader, node: &Node, batch: &mut BatchLimits) {
    read.each_in(
        node,
        "Expected a map to define batch limits",
        |read, key, node| {
            match key {
                // One number for both kinds of batches, whose defaults differ.
                "max_inflight_per_stream" => {
                    let max = read.count(key, node);
                    set(&mut batch.inflight_per_stream_max, max);
                    set(&mut batch.fast_inflight_per_stream_max, max);
                }
                "max_inflight_total" => {
                    let max = read.count(key, node);
                    set(&mut batch.inflight_total_max, max);
                    set(&mut batch.fast_inflight_total_max, max);
                }
                "max_msgs" => set(&mut batch.msgs_max, read.count(key, node)),
                "timeout" => set(&mut batch.timeout, read.worded_duration(key, node)),
                _ => return false,
            }
            true
        },
    );
}

pub(super) fn of_account(read: &mut Reader, node: &Node) -> Option<AccountJetStream> {
    let mut limits = AccountJetStream::default();
    let mut on = true;
    match &node.value {
        Value::Bool(switch) => on = *switch,
        Value::Text(text) => on = enabled(read, node, text)?,
        Value::Map(_) => read.each(node, |read, key, node| {
            account_limit(read, key, node, &mut limits)
        }),
        _ => {
            no_jetstream(read, node);
            return None;
        }
    }
    on.then_some(limits)
}

fn account_limit(read: &mut Reader, key: &str, node: &Node, limits: &mut AccountJetStream) -> bool {
    match key {
        "max_memory" | "max_mem" | "mem" | "memory" => {
            set(&mut limits.memory_max, read.parseable(key, node));
        }
        "max_store" | "max_file" | "max_disk" | "store" | "disk" => {
            set(&mut limits.file_max, read.parseable(key, node));
        }
        "max_streams" | "streams" => set(&mut limits.streams_max, read.parseable(key, node)),
        "max_consumers" | "consumers" => set(&mut limits.consumers_max, read.parseable(key, node)),
        "max_ack_pending" => set(&mut limits.ack_pending_max, read.parseable(key, node)),
        "max_bytes_required" | "max_stream_bytes" | "max_bytes" => {
            set(&mut limits.max_bytes_required, needed(read, key, node));
        }
        "mem_max_stream_bytes" | "memory_max_stream_bytes" => {
            set(
                &mut limits.memory_stream_bytes_max,
                read.parseable(key, node),
            );
        }
        "disk_max_stream_bytes" | "store_max_stream_bytes" => {
            set(&mut limits.file_stream_bytes_max, read.parseable(key, node));
        }
        "cluster_traffic" => read.ignored("jetstream.cluster_traffic", node),
        _ => return false,
    }
    true
}

fn needed(read: &mut Reader, key: &str, node: &Node) -> Option<bool> {
    let Value::Bool(on) = node.value else {
        let shown = go_shown(&node.value);
        let reason = format!("Expected a parseable bool for {key:?}, got {shown}");
        read.error(&node.at, reason);
        return None;
    };
    Some(on)
}

//! The metadata that the server itself writes: which level of the API a stream or consumer needs, and
//! which level answers.

use alloc::string::{String, ToString};

use crate::js::config::{ConsumerConfig, Metadata, StreamConfig};
use crate::js::enums::{AckPolicy, PersistMode, PriorityPolicy};
use crate::js::limits::API_LEVEL;
use crate::time::Wall;

/// The key of the level that a stream or consumer needs. Stored.
const REQUIRED_LEVEL_KEY: &str = "_nats.req.level";
/// The key of the version that answers. Never stored.
pub const SERVER_VERSION_KEY: &str = "_nats.ver";
/// The key of the level that answers. Never stored.
pub const SERVER_LEVEL_KEY: &str = "_nats.level";

/// Reports whether the level that a request's `Nats-Required-Api-Level` header names is served; an empty
/// value asks for nothing.
#[must_use]
pub fn is_level_supported(header: &[u8]) -> bool {
    let level = core::str::from_utf8(header)
        .ok()
        .and_then(|text| text.parse::<i64>().ok());
    header.is_empty() || level.is_some_and(|level| level <= i64::from(API_LEVEL))
}

/// Writes the level that a stream needs into its metadata.
pub fn set_stream_level(config: &mut StreamConfig) {
    let level = if config.allow_batched {
        4
    } else if config.allow_msg_counter
        || config.allow_atomic
        || config.allow_msg_schedules
        || config.persist_mode == PersistMode::Async
    {
        2
    } else {
        u32::from(config.allow_msg_ttl || config.subject_delete_marker_ttl.0 > 0)
    };
    set_level(&mut config.metadata, level);
}

/// Writes the level that a consumer needs into its metadata.
pub fn set_consumer_level(config: &mut ConsumerConfig) {
    let level = if config.ack_policy == AckPolicy::FlowControl {
        4
    } else {
        u32::from(
            config.pause_until.is_some_and(|until| until != Wall(0))
                || config.priority_policy != PriorityPolicy::None
                || config.priority_timeout.0 != 0
                || !config.priority_groups.is_empty(),
        )
    };
    set_level(&mut config.metadata, level);
}

/// Returns stored metadata as create, update and info responses show it.
#[must_use]
pub fn shown_metadata(stored: &Metadata, version: &str) -> Metadata {
    let mut shown = stored.clone();
    shown.insert(SERVER_VERSION_KEY.into(), version.into());
    shown.insert(SERVER_LEVEL_KEY.into(), API_LEVEL.to_string());
    shown
}

fn set_level(metadata: &mut Metadata, level: u32) {
    metadata.remove(SERVER_VERSION_KEY);
    metadata.remove(SERVER_LEVEL_KEY);
    metadata.insert(String::from(REQUIRED_LEVEL_KEY), level.to_string());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_levels_that_are_served_may_be_required() {
        for header in [&b""[..], b"0", b"5", b"-1"] {
            assert!(is_level_supported(header));
        }
        for header in [&b"6"[..], b"x", b" "] {
            assert!(!is_level_supported(header));
        }
    }
}

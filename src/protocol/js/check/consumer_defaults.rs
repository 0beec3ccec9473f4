//! What is filled in where a consumer's configuration says nothing, or nothing possible.

use super::consumer::ConsumerRules;
use crate::js::config::ConsumerConfig;
use crate::js::enums::{AckPolicy, PriorityPolicy};
use crate::js::errors::{self, ApiError};
use crate::js::limits::{
    ACK_FLOW_CONTROL_HEARTBEAT, ACK_WAIT_DEFAULT, MAX_ACK_PENDING_DEFAULT, MAX_WAITING_DEFAULT,
    PINNED_TTL_DEFAULT,
};

/// Turns negative numbers into "no limit".
pub(super) fn clear_negatives(
    config: &mut ConsumerConfig,
    rules: &ConsumerRules<'_>,
) -> Result<(), ApiError> {
    if config.max_deliver < -1 && rules.pedantic {
        return Err(errors::PEDANTIC.with("max_deliver must be set to -1"));
    }
    if config.max_deliver <= 0 {
        config.max_deliver = -1;
    }
    let fields = [
        (
            &mut config.max_waiting,
            0,
            "max_waiting must not be negative",
        ),
        (
            &mut config.max_ack_pending,
            -1,
            "max_ack_pending must be set to -1",
        ),
        (&mut config.max_batch, 0, "max_batch must not be negative"),
        (
            &mut config.max_expires.0,
            0,
            "max_expires must not be negative",
        ),
        (&mut config.max_bytes, 0, "max_bytes must not be negative"),
        (
            &mut config.idle_heartbeat.0,
            0,
            "idle_heartbeat must not be negative",
        ),
        (
            &mut config.inactive_threshold.0,
            0,
            "inactive_threshold must not be negative",
        ),
        (
            &mut config.priority_timeout.0,
            0,
            "priority_timeout must not be negative",
        ),
    ];
    for (value, lowest, text) in fields {
        if *value < lowest {
            if rules.pedantic {
                return Err(errors::PEDANTIC.with(text));
            }
            *value = lowest;
        }
    }
    Ok(())
}

/// Fills in defaults; those of the stream come before those of the server.
pub(super) fn fill_defaults(
    config: &mut ConsumerConfig,
    rules: &ConsumerRules<'_>,
) -> Result<(), ApiError> {
    let pedantic = |text| {
        if rules.pedantic {
            Err(errors::PEDANTIC.with(text))
        } else {
            Ok(())
        }
    };
    let limits = &rules.stream.consumer_limits;
    if config.is_pull() && config.max_waiting == 0 {
        config.max_waiting = MAX_WAITING_DEFAULT;
    }
    let waits = matches!(config.ack_policy, AckPolicy::Explicit | AckPolicy::All);
    if config.ack_wait.0 == 0 && waits {
        config.ack_wait = ACK_WAIT_DEFAULT;
    }
    if let Some(first) = config.backoff.first() {
        if config.ack_wait != *first {
            pedantic("first backoff value has to equal batch AckWait")?;
        }
        config.ack_wait = *first;
    }
    if config.max_ack_pending == 0 {
        if limits.max_ack_pending > 0 {
            pedantic("max_ack_pending must be set if it's configured in stream limits")?;
        }
        config.max_ack_pending = limits.max_ack_pending;
    }
    if config.inactive_threshold.0 == 0 {
        if limits.inactive_threshold.0 > 0 {
            pedantic("inactive_threshold must be set if it's configured in stream limits")?;
        }
        config.inactive_threshold = limits.inactive_threshold;
    }
    if config.max_ack_pending == 0 && config.ack_policy != AckPolicy::None {
        let caps = [rules.server.max_ack_pending, rules.account.max_ack_pending];
        let caps = caps.into_iter().filter(|cap| *cap > 0);
        config.max_ack_pending = caps.fold(MAX_ACK_PENDING_DEFAULT, i64::min);
    }
    let batch_max = rules.server.max_request_batch;
    if config.is_pull() && config.max_batch == 0 && batch_max > 0 {
        pedantic("max_request_batch must be set if it's JetStream limits are set")?;
        config.max_batch = batch_max;
    }
    let pins = config.priority_policy == PriorityPolicy::PinnedClient;
    if pins && config.priority_timeout.0 == 0 {
        config.priority_timeout = PINNED_TTL_DEFAULT;
    }
    if config.ack_policy == AckPolicy::FlowControl && !rules.pedantic {
        config.flow_control = true;
        config.idle_heartbeat = ACK_FLOW_CONTROL_HEARTBEAT;
    }
    Ok(())
}

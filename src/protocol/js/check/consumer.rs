//! The rules of a consumer's configuration.

use super::consumer_defaults::{clear_negatives, fill_defaults};
use super::consumer_selection::{check_filters, check_priority, check_rest, check_start};
use super::names::is_valid_name;
use super::stream::ServerLimits;
use super::subjects::{invalid, overlap};
use crate::js::config::{ConsumerConfig, StreamConfig};
use crate::js::enums::{AckPolicy, Retention};
use crate::js::errors::{self, ApiError};
use crate::js::info::AccountLimits;
use crate::js::limits::{
    ACK_FLOW_CONTROL_HEARTBEAT, DESCRIPTION_LEN_MAX, IDLE_HEARTBEAT_MIN,
    INACTIVE_THRESHOLD_DEFAULT, MAX_EXPIRES_MIN,
};
use crate::subject;

/// What a consumer's configuration is checked against.
#[derive(Clone, Copy, Debug)]
pub struct ConsumerRules<'a> {
    /// What the server allows.
    pub server: &'a ServerLimits,
    /// What the account allows.
    pub account: &'a AccountLimits,
    /// The consumer's stream.
    pub stream: &'a StreamConfig,
    /// Refuse what would otherwise be set right.
    pub pedantic: bool,
}

/// Fills in defaults and checks the result. How many consumers there are, and what those of a work
/// queue have in common, is the caller's to check.
///
/// # Errors
/// The first rule that is broken.
pub fn check_consumer(
    config: &mut ConsumerConfig,
    rules: &ConsumerRules<'_>,
) -> Result<(), ApiError> {
    clear_negatives(config, rules)?;
    fill_defaults(config, rules)?;
    check_names(config)?;
    check_replicas(config, rules.stream)?;
    check_ack(config)?;
    if config.description.len() > DESCRIPTION_LEN_MAX {
        return Err(errors::CONSUMER_DESCRIPTION_TOO_LONG.with(DESCRIPTION_LEN_MAX));
    }
    if config.is_pull() {
        check_pull(config, rules)?;
    } else {
        check_push(config, rules.stream)?;
    }
    check_limits(config, rules)?;
    check_filters(config)?;
    check_start(config)?;
    check_rest(config)?;
    check_priority(config)
}

/// Fills in how long a consumer that is not durable stays without interest, once a request to make or
/// change it has been accepted. Not before: a repeated request with the action `create` is compared
/// without this and so differs, as it does in NATS.
pub fn settle_ephemeral(config: &mut ConsumerConfig) {
    if !config.is_durable() {
        settle_inactivity(config);
    }
}

/// Fills in how long a consumer that is not durable stays without interest.
pub fn settle_inactivity(config: &mut ConsumerConfig) {
    if config.inactive_threshold.0 == 0 {
        config.inactive_threshold = INACTIVE_THRESHOLD_DEFAULT;
    }
}

fn check_names(config: &ConsumerConfig) -> Result<(), ApiError> {
    if !config.name.is_empty() && !is_valid_name(&config.name) {
        return Err(invalid(
            "consumer name can not contain '.', '*', '>', '\\', '/'",
        ));
    }
    if config.is_durable() && !is_valid_name(&config.durable_name) {
        return Err(invalid(
            "consumer durable name can not contain '.', '*', '>', '\\', '/'",
        ));
    }
    Ok(())
}

fn check_replicas(config: &ConsumerConfig, stream: &StreamConfig) -> Result<(), ApiError> {
    let replicas = config.num_replicas;
    if replicas > 0 && replicas > stream.num_replicas {
        return Err(errors::CONSUMER_REPLICAS_EXCEEDS_STREAM);
    }
    if replicas < 0 {
        return Err(errors::REPLICAS_COUNT_CANNOT_BE_NEGATIVE);
    }
    let must_match = stream.retention != Retention::Limits;
    if must_match && replicas != 0 && replicas != stream.num_replicas {
        return Err(errors::CONSUMER_REPLICAS_SHOULD_MATCH_STREAM);
    }
    Ok(())
}

fn check_ack(config: &ConsumerConfig) -> Result<(), ApiError> {
    if config.backoff.iter().any(|wait| wait.0 < 0) {
        return Err(errors::CONSUMER_BACK_OFF_NEGATIVE);
    }
    if config.ack_wait.0 < 0 {
        return Err(errors::CONSUMER_ACK_WAIT_NEGATIVE);
    }
    if config.ack_policy == AckPolicy::FlowControl {
        if config.is_pull() {
            return Err(errors::CONSUMER_ACK_FLOW_CONTROL_REQUIRES_PUSH);
        }
        if !config.flow_control {
            return Err(errors::CONSUMER_ACK_FLOW_CONTROL_REQUIRES_FLOW_CONTROL);
        }
        if config.idle_heartbeat != ACK_FLOW_CONTROL_HEARTBEAT {
            return Err(invalid("flow control ack policy heartbeat needs to be 1s"));
        }
        if config.max_ack_pending <= 0 {
            return Err(errors::CONSUMER_ACK_FLOW_CONTROL_REQUIRES_MAX_ACK_PENDING);
        }
        if config.ack_wait.0 != 0 || !config.backoff.is_empty() {
            return Err(errors::CONSUMER_ACK_FLOW_CONTROL_REQUIRES_NO_ACK_WAIT);
        }
        if config.max_deliver > 0 {
            return Err(errors::CONSUMER_ACK_FLOW_CONTROL_REQUIRES_NO_MAX_DELIVER);
        }
    }
    check_backoff(config)
}

pub(super) fn check_backoff(config: &ConsumerConfig) -> Result<(), ApiError> {
    let steps = i64::try_from(config.backoff.len()).unwrap_or(i64::MAX);
    if config.max_deliver != -1 && steps > config.max_deliver {
        return Err(errors::CONSUMER_MAX_DELIVER_BACKOFF);
    }
    Ok(())
}

fn check_push(config: &ConsumerConfig, stream: &StreamConfig) -> Result<(), ApiError> {
    let deliver = config.deliver_subject.as_bytes();
    if subject::has_wildcard(deliver) {
        return Err(errors::CONSUMER_DELIVER_TO_WILDCARDS);
    }
    if !subject::is_valid(deliver) {
        return Err(errors::CONSUMER_INVALID_DELIVER_SUBJECT);
    }
    if stream
        .subjects
        .iter()
        .any(|subject| subject::is_subset(deliver, subject.as_bytes()))
    {
        return Err(errors::CONSUMER_DELIVER_CYCLE);
    }
    if config.max_waiting != 0 {
        return Err(errors::CONSUMER_PUSH_MAX_WAITING);
    }
    if config.max_ack_pending > 0 && config.ack_policy == AckPolicy::None {
        return Err(errors::CONSUMER_MAX_PENDING_ACK_POLICY_REQUIRED);
    }
    if config.idle_heartbeat.0 > 0 && config.idle_heartbeat < IDLE_HEARTBEAT_MIN {
        return Err(errors::CONSUMER_SMALL_HEARTBEAT);
    }
    Ok(())
}

fn check_pull(config: &ConsumerConfig, rules: &ConsumerRules<'_>) -> Result<(), ApiError> {
    if config.ack_policy == AckPolicy::None && rules.stream.retention == Retention::WorkQueue {
        return Err(errors::CONSUMER_PULL_REQUIRES_ACK);
    }
    if config.rate_limit_bps > 0 {
        return Err(errors::CONSUMER_PULL_WITH_RATE_LIMIT);
    }
    if config.idle_heartbeat.0 > 0 {
        return Err(errors::CONSUMER_HEARTBEAT_REQUIRES_PUSH);
    }
    if config.flow_control {
        return Err(errors::CONSUMER_FLOW_CONTROL_REQUIRES_PUSH);
    }
    if config.max_expires.0 != 0 && config.max_expires < MAX_EXPIRES_MIN {
        return Err(errors::CONSUMER_MAX_REQUEST_EXPIRES_TOO_SMALL);
    }
    let batch_max = rules.server.max_request_batch;
    if batch_max > 0 && config.max_batch > batch_max {
        return Err(errors::CONSUMER_MAX_REQUEST_BATCH_EXCEEDED.with(batch_max));
    }
    Ok(())
}

fn check_limits(config: &ConsumerConfig, rules: &ConsumerRules<'_>) -> Result<(), ApiError> {
    let stream = &rules.stream.consumer_limits;
    let caps = [
        rules.server.max_ack_pending,
        rules.account.max_ack_pending,
        stream.max_ack_pending,
    ];
    if let Some(cap) = caps
        .into_iter()
        .find(|cap| *cap > 0 && config.max_ack_pending > *cap)
    {
        return Err(errors::CONSUMER_MAX_PENDING_ACK_EXCESS.with(cap));
    }
    let threshold = stream.inactive_threshold;
    if threshold.0 > 0 && config.inactive_threshold > threshold {
        return Err(errors::CONSUMER_INACTIVE_THRESHOLD_EXCESS.with(threshold));
    }
    if config.direct && config.is_pull() {
        return Err(errors::CONSUMER_DIRECT_REQUIRES_PUSH);
    }
    if config.direct && config.is_durable() {
        return Err(errors::CONSUMER_DIRECT_REQUIRES_EPHEMERAL);
    }
    Ok(())
}

/// Reports whether two consumers could get the same message.
pub(super) fn share_messages(a: &ConsumerConfig, b: &ConsumerConfig) -> bool {
    b.filters().next().is_none() || a.filters().any(|f| b.filters().any(|g| overlap(f, g)))
}

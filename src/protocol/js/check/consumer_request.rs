//! What a consumer create request means, and what it may do to consumers that exist.

use super::consumer::{check_backoff, share_messages};
use crate::js::api::{ApiKind, ApiRequest};
use crate::js::config::{ConsumerConfig, ConsumerCreateRequest};
use crate::js::enums::{AckPolicy, DeliverPolicy};
use crate::js::errors::{self, ApiError};
use crate::js::limits::NAME_LEN_MAX;

/// Checks that the body fits the subject, and takes over the name that the subject gives.
///
/// # Errors
/// When they do not fit.
pub fn resolve_consumer_request(
    subject: &ApiRequest<'_>,
    body: &mut ConsumerCreateRequest,
) -> Result<(), ApiError> {
    let config = &mut body.config;
    if subject.stream != body.stream_name {
        return Err(errors::STREAM_MISMATCH);
    }
    let in_subject = subject.kind != ApiKind::ConsumerCreate;
    let name = if in_subject {
        subject.consumer
    } else {
        &config.name
    };
    if name.contains(['\\', '/']) {
        return Err(errors::CONSUMER_NAME_CONTAINS_PATH_SEPARATORS);
    }
    if subject.kind == ApiKind::ConsumerCreateDurable && !config.is_durable() {
        return Err(errors::CONSUMER_DURABLE_NAME_NOT_SET);
    }
    if in_subject {
        if config.is_durable() && config.durable_name != name {
            return Err(errors::CONSUMER_DURABLE_NAME_NOT_MATCH_SUBJECT);
        }
        config.name = subject.consumer.into();
    } else if config.is_durable() {
        return Err(errors::CONSUMER_EPHEMERAL_WITH_DURABLE_NAME);
    }
    if !subject.rest.is_empty() {
        if !config.filter_subjects.is_empty() {
            return Err(errors::CONSUMER_MULTIPLE_FILTERS_NOT_ALLOWED);
        }
        if config.filter_subject != subject.rest {
            return Err(errors::CONSUMER_CREATE_FILTER_SUBJECT_MISMATCH);
        }
    }
    // One server cannot keep more than one copy.
    if config.num_replicas > 1 {
        return Err(errors::STREAM_REPLICAS_NOT_SUPPORTED);
    }
    Ok(())
}

/// Checks what a new consumer will be called.
///
/// # Errors
/// When the name is too long.
pub fn check_name_length(config: &ConsumerConfig) -> Result<(), ApiError> {
    if config.durable_name.len().max(config.name.len()) > NAME_LEN_MAX {
        return Err(errors::CONSUMER_NAME_TOO_LONG.with(NAME_LEN_MAX));
    }
    Ok(())
}

/// Checks a new consumer of a work queue against the `others` that the stream has.
///
/// # Errors
/// When a message could go to two of them, or the consumer could skip messages.
pub fn check_work_queue<'a>(
    config: &ConsumerConfig,
    others: impl Iterator<Item = &'a ConsumerConfig>,
) -> Result<(), ApiError> {
    if config.direct || config.sourcing {
        return Ok(());
    }
    if !matches!(
        config.ack_policy,
        AckPolicy::Explicit | AckPolicy::FlowControl
    ) {
        return Err(errors::CONSUMER_WORK_QUEUE_REQUIRES_EXPLICIT_ACK);
    }
    if config.deliver_policy != DeliverPolicy::All {
        return Err(errors::CONSUMER_WORK_QUEUE_CONSUMER_NOT_DELIVER_ALL);
    }
    let mut others = others
        .filter(|other| !other.direct && !other.sourcing)
        .peekable();
    if others.peek().is_none() {
        return Ok(());
    }
    if config.filters().next().is_none() {
        return Err(errors::CONSUMER_WORK_QUEUE_MULTIPLE_UNFILTERED);
    }
    if others.any(|other| share_messages(config, other)) {
        return Err(errors::CONSUMER_WORK_QUEUE_CONSUMER_NOT_UNIQUE);
    }
    Ok(())
}

/// Checks a change of `old` to `new`; `is_bound` tells whether someone listens on a deliver subject.
///
/// # Errors
/// When something cannot change.
pub fn check_consumer_update(
    old: &ConsumerConfig,
    new: &ConsumerConfig,
    is_bound: impl FnOnce(&str) -> bool,
) -> Result<(), ApiError> {
    let fixed = [
        (
            old.deliver_policy != new.deliver_policy,
            "deliver policy can not be updated",
        ),
        (
            old.mem_storage != new.mem_storage,
            "storage type can not be updated",
        ),
        (old.direct != new.direct, "direct can not be updated"),
        (old.sourcing != new.sourcing, "sourcing can not be updated"),
        (
            old.opt_start_seq != new.opt_start_seq,
            "start sequence can not be updated",
        ),
        (
            old.opt_start_time != new.opt_start_time,
            "start time can not be updated",
        ),
        (
            old.ack_policy != new.ack_policy,
            "ack policy can not be updated",
        ),
        (
            old.replay_policy != new.replay_policy,
            "replay policy can not be updated",
        ),
        (
            old.idle_heartbeat != new.idle_heartbeat,
            "heart beats can not be updated",
        ),
        (
            old.flow_control != new.flow_control,
            "flow control can not be updated",
        ),
        (
            old.is_pull() && !new.is_pull(),
            "can not update pull consumer to push based",
        ),
        (
            !old.is_pull() && new.is_pull(),
            "can not update push consumer to pull based",
        ),
    ];
    if let Some((_, text)) = fixed.iter().find(|(changed, _)| *changed) {
        return Err(errors::CONSUMER_CREATE.with(text));
    }
    if old.deliver_subject != new.deliver_subject && is_bound(&old.deliver_subject) {
        return Err(errors::CONSUMER_NAME_EXIST);
    }
    if old.max_waiting != new.max_waiting {
        return Err(errors::CONSUMER_CREATE.with("max waiting can not be updated"));
    }
    check_backoff(new)
}

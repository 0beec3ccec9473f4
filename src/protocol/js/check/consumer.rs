//! The rules of a consumer's configuration.

use alloc::format;

use super::names::is_valid_name;
use super::stream::ServerLimits;
use super::subjects::{invalid, overlap};
use crate::js::config::{ConsumerConfig, StreamConfig};
use crate::js::enums::{AckPolicy, DeliverPolicy, PriorityPolicy, Retention};
use crate::js::errors::{self, ApiError};
use crate::js::info::AccountLimits;
use crate::js::json::go_quote;
use crate::js::limits::{
    ACK_FLOW_CONTROL_HEARTBEAT, ACK_WAIT_DEFAULT, DESCRIPTION_LEN_MAX, IDLE_HEARTBEAT_MIN,
    INACTIVE_THRESHOLD_DEFAULT, MAX_ACK_PENDING_DEFAULT, MAX_EXPIRES_MIN, MAX_WAITING_DEFAULT,
    METADATA_LEN_MAX, PINNED_TTL_DEFAULT, PRIORITY_GROUP_LEN_MAX,
};
use crate::subject;
use crate::text::duration::Nanos;

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
    if !config.is_durable() && config.inactive_threshold.0 == 0 {
        config.inactive_threshold = INACTIVE_THRESHOLD_DEFAULT;
    }
}

fn clear_negatives(config: &mut ConsumerConfig, rules: &ConsumerRules<'_>) -> Result<(), ApiError> {
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

fn fill_defaults(config: &mut ConsumerConfig, rules: &ConsumerRules<'_>) -> Result<(), ApiError> {
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

fn check_filters(config: &ConsumerConfig) -> Result<(), ApiError> {
    if !config.filter_subject.is_empty() && !config.filter_subjects.is_empty() {
        return Err(errors::CONSUMER_DUPLICATE_FILTER_SUBJECTS);
    }
    if config
        .filter_subjects
        .iter()
        .any(|filter| filter.is_empty())
    {
        return Err(errors::CONSUMER_EMPTY_FILTER);
    }
    for (i, filter) in config.filters().enumerate() {
        if !subject::is_valid(filter.as_bytes()) {
            return Err(invalid("invalid subject"));
        }
        let mut others = config.filters().enumerate().filter(|(j, _)| *j != i);
        if others.any(|(_, other)| subject::is_subset(filter.as_bytes(), other.as_bytes())) {
            return Err(errors::CONSUMER_OVERLAPPING_SUBJECT_FILTERS);
        }
    }
    Ok(())
}

fn check_start(config: &ConsumerConfig) -> Result<(), ApiError> {
    let refuse = |text| Err(errors::CONSUMER_INVALID_POLICY.with(text));
    let also_set = |policy: &str, start: &str| {
        refuse(format!(
            "consumer delivery policy is deliver {policy}, but optional start {start} is also set"
        ))
    };
    let not_set = |policy: &str, what: &str| {
        refuse(format!(
            "consumer delivery policy is deliver {policy}, but optional {what} is not set"
        ))
    };
    let (seq, time) = (config.opt_start_seq > 0, config.opt_start_time.is_some());
    let policy = match config.deliver_policy {
        DeliverPolicy::All => "all",
        DeliverPolicy::Last => "last",
        DeliverPolicy::New => "new",
        DeliverPolicy::LastPerSubject => "last per subject",
        DeliverPolicy::ByStartSequence => {
            return match (seq, time) {
                (false, _) => not_set("by start sequence", "start sequence"),
                (true, true) => also_set("by start sequence", "time"),
                (true, false) => Ok(()),
            };
        }
        DeliverPolicy::ByStartTime => {
            return match (seq, time) {
                (_, false) => not_set("by start time", "start time"),
                (true, true) => also_set("by start time", "start sequence"),
                (false, true) => Ok(()),
            };
        }
    };
    if seq {
        return also_set(policy, "sequence");
    }
    if time {
        return also_set(policy, "time");
    }
    let per_subject = config.deliver_policy == DeliverPolicy::LastPerSubject;
    if per_subject && config.filters().next().is_none() {
        return not_set(policy, "filter subject");
    }
    Ok(())
}

fn check_rest(config: &ConsumerConfig) -> Result<(), ApiError> {
    if !config.sample_freq.is_empty() {
        let percent = config
            .sample_freq
            .strip_suffix('%')
            .unwrap_or(&config.sample_freq);
        check_sampling(percent)?;
    }
    if config.flow_control && config.idle_heartbeat == Nanos::ZERO {
        return Err(errors::CONSUMER_WITH_FLOW_CONTROL_NEEDS_HEARTBEATS);
    }
    if config.is_durable() && !config.name.is_empty() && config.name != config.durable_name {
        return Err(errors::CONSUMER_CREATE_DURABLE_AND_NAME_MISMATCH);
    }
    let len: usize = config
        .metadata
        .iter()
        .map(|(key, value)| key.len() + value.len())
        .sum();
    if len > METADATA_LEN_MAX {
        let limit = format!("{}KB", METADATA_LEN_MAX / 1024);
        return Err(errors::CONSUMER_METADATA_LENGTH.with(limit));
    }
    Ok(())
}

fn check_sampling(percent: &str) -> Result<(), ApiError> {
    let digits = percent.strip_prefix(['+', '-']).unwrap_or(percent);
    let is_number = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    match percent.parse::<i64>() {
        Ok(0..) => Ok(()),
        // The server has no reason for this one, and prints that.
        Ok(_) => Err(errors::CONSUMER_INVALID_SAMPLING.with("<nil>")),
        Err(_) => {
            let reason = if is_number {
                "value out of range"
            } else {
                "invalid syntax"
            };
            let quoted = go_quote(percent.as_bytes());
            let text = format!("strconv.Atoi: parsing {quoted}: {reason}");
            Err(errors::CONSUMER_INVALID_SAMPLING.with(text))
        }
    }
}

fn check_priority(config: &ConsumerConfig) -> Result<(), ApiError> {
    if config.priority_policy == PriorityPolicy::None {
        if !config.priority_groups.is_empty() {
            return Err(errors::CONSUMER_PRIORITY_GROUP_WITH_POLICY_NONE);
        }
        if config.priority_timeout.0 > 0 {
            return Err(errors::CONSUMER_PINNED_TTL_WITHOUT_PRIORITY_POLICY_NONE);
        }
        return Ok(());
    }
    if !config.is_pull() {
        return Err(errors::CONSUMER_PUSH_WITH_PRIORITY_GROUP);
    }
    if config.priority_groups.is_empty() {
        return Err(errors::CONSUMER_PRIORITY_POLICY_WITHOUT_GROUP);
    }
    for group in &config.priority_groups {
        if group.is_empty() {
            return Err(errors::CONSUMER_EMPTY_GROUP_NAME);
        }
        let known = |b: u8| b.is_ascii_alphanumeric() || b"/_=-".contains(&b);
        if group.len() > PRIORITY_GROUP_LEN_MAX || !group.bytes().all(known) {
            return Err(errors::CONSUMER_INVALID_GROUP_NAME);
        }
    }
    Ok(())
}

/// Reports whether two consumers could get the same message.
pub(super) fn share_messages(a: &ConsumerConfig, b: &ConsumerConfig) -> bool {
    b.filters().next().is_none() || a.filters().any(|f| b.filters().any(|g| overlap(f, g)))
}

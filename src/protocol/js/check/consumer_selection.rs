//! What a consumer selects: subjects, where it starts, which acks are reported, who is served.

use alloc::format;

use super::subjects::invalid;
use crate::js::config::ConsumerConfig;
use crate::js::enums::{DeliverPolicy, PriorityPolicy};
use crate::js::errors::{self, ApiError};
use crate::js::json::go_quote;
use crate::js::limits::{METADATA_LEN_MAX, PRIORITY_GROUP_LEN_MAX};
use crate::subject;
use crate::text::duration::Nanos;

pub(super) fn check_filters(config: &ConsumerConfig) -> Result<(), ApiError> {
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

pub(super) fn check_start(config: &ConsumerConfig) -> Result<(), ApiError> {
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

pub(super) fn check_rest(config: &ConsumerConfig) -> Result<(), ApiError> {
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

pub(super) fn check_priority(config: &ConsumerConfig) -> Result<(), ApiError> {
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
        if !is_group_name(group) {
            return Err(errors::CONSUMER_INVALID_GROUP_NAME);
        }
    }
    Ok(())
}

/// Returns whether a priority group may be called that.
#[must_use]
pub fn is_group_name(group: &str) -> bool {
    let known = |b: u8| b.is_ascii_alphanumeric() || b"/_=-".contains(&b);
    (1..=PRIORITY_GROUP_LEN_MAX).contains(&group.len()) && group.bytes().all(known)
}

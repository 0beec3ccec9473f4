//! The rules of a stream's configuration.

use alloc::format;

use super::names::is_valid_name;
use super::sources::{check_filters, check_sources};
use super::subjects::{check_republish, check_subjects, invalid};
use crate::js::config::{Placement, StreamConfig};
use crate::js::enums::{Discard, PersistMode, Retention, Storage};
use crate::js::errors::{self, ApiError};
use crate::js::info::AccountLimits;
use crate::js::limits::{
    DELETE_MARKER_TTL_MIN, DESCRIPTION_LEN_MAX, DUPLICATE_WINDOW_DEFAULT, DUPLICATE_WINDOW_MIN,
    MAX_AGE_MIN, METADATA_LEN_MAX, NAME_LEN_MAX, REPLICAS_MAX,
};
use crate::subject::{self, transform::check_transform};
use crate::text::duration::Nanos;

/// What the server's options allow; 0 is no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ServerLimits {
    /// Longest duplicate window.
    pub duplicate_window: Nanos,
    /// Most unacknowledged messages of a consumer.
    pub max_ack_pending: i64,
    /// Largest batch of a pull request.
    pub max_request_batch: i64,
    /// Most consumers of a stream that does not say how many.
    pub default_max_consumers: i64,
}

/// What a stream's configuration is checked against.
#[derive(Clone, Copy)]
pub struct StreamRules<'a> {
    /// What the server allows.
    pub server: &'a ServerLimits,
    /// What the account allows.
    pub account: &'a AccountLimits,
    /// Refuse what would otherwise be set right.
    pub pedantic: bool,
    /// Finds a stream of the same account.
    pub find: &'a dyn Fn(&str) -> Option<&'a StreamConfig>,
}

/// Checks a request to make the stream called `name` in its subject, and fills in defaults. `check_room`
/// sees what is asked for before its details are looked at: an account that is full tells only that.
/// Overlap with other streams is the caller's to check.
///
/// # Errors
/// The first rule that is broken.
pub fn check_stream_create(
    config: StreamConfig,
    name: &str,
    rules: &StreamRules<'_>,
    check_room: &dyn Fn(&StreamConfig) -> Result<(), ApiError>,
) -> Result<StreamConfig, ApiError> {
    if config.name != name {
        return Err(errors::STREAM_MISMATCH);
    }
    if name.contains(['\\', '/']) {
        return Err(errors::STREAM_NAME_CONTAINS_PATH_SEPARATORS);
    }
    if config.sealed {
        return Err(invalid("stream configuration for create can not be sealed"));
    }
    if config.mirror_direct && config.mirror.is_none() {
        return Err(invalid("stream has no mirror but does have mirror direct"));
    }
    check_room(&config)?;
    let config = check_stream(config, rules)?;
    if config.num_replicas > 1 {
        return Err(errors::STREAM_REPLICAS_NOT_SUPPORTED);
    }
    check_filters(&config)?;
    Ok(config)
}

/// Checks a configuration and fills in defaults.
///
/// # Errors
/// The first rule that is broken.
pub fn check_stream(
    mut config: StreamConfig,
    rules: &StreamRules<'_>,
) -> Result<StreamConfig, ApiError> {
    check_texts(&config)?;
    check_replicas(&mut config)?;
    check_limits(&mut config, rules)?;
    check_times(&mut config, rules)?;
    check_features(&mut config, rules)?;
    check_sources(&mut config, rules)?;
    check_subjects(&mut config)?;
    check_max_bytes(&config, rules)?;
    check_subject_transform(&config)?;
    check_republish(&mut config, rules)?;
    check_placement(&mut config)?;
    Ok(config)
}

fn check_texts(config: &StreamConfig) -> Result<(), ApiError> {
    if !is_valid_name(&config.name) {
        return Err(invalid(
            "stream name is required and can not contain '.', '*', '>', '\\', '/'",
        ));
    }
    if config.name.len() > NAME_LEN_MAX {
        return Err(invalid(&format!(
            "stream name is too long, maximum allowed is {NAME_LEN_MAX}"
        )));
    }
    if config.description.len() > DESCRIPTION_LEN_MAX {
        return Err(invalid(&format!(
            "stream description is too long, maximum allowed is {DESCRIPTION_LEN_MAX}"
        )));
    }
    let len: usize = config
        .metadata
        .iter()
        .map(|(key, value)| key.len() + value.len())
        .sum();
    if len > METADATA_LEN_MAX {
        return Err(invalid(&format!(
            "stream metadata exceeds maximum size of {METADATA_LEN_MAX} bytes"
        )));
    }
    Ok(())
}

fn check_replicas(config: &mut StreamConfig) -> Result<(), ApiError> {
    if config.num_replicas == 0 {
        config.num_replicas = 1;
    }
    if config.num_replicas > REPLICAS_MAX {
        return Err(invalid(&format!("maximum replicas is {REPLICAS_MAX}")));
    }
    if config.num_replicas < 0 {
        return Err(errors::REPLICAS_COUNT_CANNOT_BE_NEGATIVE);
    }
    Ok(())
}

fn check_limits(config: &mut StreamConfig, rules: &StreamRules<'_>) -> Result<(), ApiError> {
    let mut max_msg_size = i64::from(config.max_msg_size);
    let limits = [
        (&mut config.max_msgs, "max_msgs"),
        (&mut config.max_msgs_per_subject, "max_msgs_per_subject"),
        (&mut config.max_bytes, "max_bytes"),
        (&mut max_msg_size, "max_msg_size"),
        (&mut config.max_consumers, "max_consumers"),
    ];
    for (limit, name) in limits {
        if *limit < -1 && rules.pedantic {
            return Err(errors::PEDANTIC.with(format!("{name} must be set to -1")));
        }
        if *limit <= 0 {
            *limit = -1;
        }
    }
    config.max_msg_size = i32::try_from(max_msg_size).unwrap_or(-1);
    Ok(())
}

fn check_times(config: &mut StreamConfig, rules: &StreamRules<'_>) -> Result<(), ApiError> {
    let age = config.max_age;
    if age.0 < 0 {
        return Err(invalid("max age can not be negative"));
    }
    if age.0 != 0 && age < MAX_AGE_MIN {
        return Err(invalid("max age needs to be >= 100ms"));
    }
    let server_max = rules.server.duplicate_window;
    if config.duplicate_window.0 == 0 && config.mirror.is_none() && config.sources.is_empty() {
        config.duplicate_window = default_duplicate_window(age, rules)?;
    }
    let window = config.duplicate_window;
    if window.0 < 0 {
        return Err(invalid("duplicates window can not be negative"));
    }
    if age.0 != 0 && window > age {
        return Err(invalid("duplicates window can not be larger then max age"));
    }
    if server_max.0 > 0 && window > server_max {
        return Err(invalid(&format!(
            "duplicates window can not be larger then server limit of {server_max}"
        )));
    }
    if window.0 > 0 && window < DUPLICATE_WINDOW_MIN {
        return Err(invalid("duplicates window needs to be >= 100ms"));
    }
    Ok(())
}

fn default_duplicate_window(age: Nanos, rules: &StreamRules<'_>) -> Result<Nanos, ApiError> {
    let mut window = DUPLICATE_WINDOW_DEFAULT;
    let server_max = rules.server.duplicate_window;
    if server_max.0 > 0 && window > server_max {
        if rules.pedantic {
            let text = "duplicate window limits are higher than current limits";
            return Err(errors::PEDANTIC.with(text));
        }
        window = server_max;
    }
    if age.0 != 0 && age < window {
        if rules.pedantic {
            return Err(errors::PEDANTIC.with("duplicate window cannot be bigger than max age"));
        }
        window = age;
    }
    Ok(window)
}

/// Checks features that exclude each other or need each other.
fn check_features(config: &mut StreamConfig, rules: &StreamRules<'_>) -> Result<(), ApiError> {
    let counter = config.allow_msg_counter;
    let discards_new = config.discard == Discard::New;
    refuse_if(&[
        (
            config.deny_purge && config.allow_rollup_hdrs,
            "roll-ups require the purge permission",
        ),
        (
            counter && discards_new,
            "counter stream cannot use discard new",
        ),
        (
            counter && config.allow_msg_ttl,
            "counter stream cannot use message TTLs",
        ),
        (
            counter && config.allow_msg_schedules,
            "counter stream cannot use message schedules",
        ),
        (
            counter && config.retention != Retention::Limits,
            "counter stream can only use limits retention",
        ),
    ])?;
    check_discard_new_per_subject(config)?;
    check_delete_markers(config, rules)?;
    if config.allow_msg_schedules {
        if discards_new {
            return Err(invalid("message scheduling cannot use discard new"));
        }
        allow_rollup(
            config,
            rules,
            "message scheduling cannot be set if roll-ups are disabled",
        )?;
    }
    let asynchronous = config.persist_mode == PersistMode::Async;
    refuse_if(&[
        (
            asynchronous && config.storage != Storage::File,
            "async persist mode is only supported on file storage",
        ),
        (
            asynchronous && config.num_replicas > 1,
            "async persist mode is not supported on replicated streams",
        ),
        (
            asynchronous && config.allow_atomic,
            "async persist mode is not supported with atomic batch publish",
        ),
    ])
}

pub(super) fn check_discard_new_per_subject(config: &StreamConfig) -> Result<(), ApiError> {
    let per_subject = config.discard_new_per_subject;
    refuse_if(&[
        (
            per_subject && config.discard != Discard::New,
            "discard new per subject requires discard new policy to be set",
        ),
        (
            per_subject && config.max_msgs_per_subject <= 0,
            "discard new per subject requires max msgs per subject > 0",
        ),
    ])
}

fn check_delete_markers(
    config: &mut StreamConfig,
    rules: &StreamRules<'_>,
) -> Result<(), ApiError> {
    let ttl = config.subject_delete_marker_ttl;
    if ttl.0 < 0 {
        return Err(invalid("subject delete marker TTL must not be negative"));
    }
    if ttl.0 == 0 {
        return Ok(());
    }
    if ttl < DELETE_MARKER_TTL_MIN {
        return Err(invalid(
            "subject delete marker TTL must be at least 1 second",
        ));
    }
    if !config.allow_msg_ttl && rules.pedantic {
        let text = "subject delete marker cannot be set if message TTLs are disabled";
        return Err(invalid(text));
    }
    config.allow_msg_ttl = true;
    allow_rollup(
        config,
        rules,
        "subject delete marker cannot be set if roll-ups are disabled",
    )
}

/// Turns on what a feature needs: it replaces messages by itself.
fn allow_rollup(
    config: &mut StreamConfig,
    rules: &StreamRules<'_>,
    refusal: &str,
) -> Result<(), ApiError> {
    if !config.allow_rollup_hdrs {
        if rules.pedantic {
            return Err(invalid(refusal));
        }
        config.allow_rollup_hdrs = true;
        config.deny_purge = false;
    }
    Ok(())
}

fn check_max_bytes(config: &StreamConfig, rules: &StreamRules<'_>) -> Result<(), ApiError> {
    let limit = match config.storage {
        Storage::Memory => rules.account.memory_max_stream_bytes,
        Storage::File => rules.account.storage_max_stream_bytes,
    };
    if rules.account.max_bytes_required && config.max_bytes <= 0 {
        return Err(errors::STREAM_MAX_BYTES_REQUIRED);
    }
    if limit > 0 && config.max_bytes > limit {
        return Err(errors::STREAM_MAX_STREAM_BYTES_EXCEEDED);
    }
    Ok(())
}

fn check_subject_transform(config: &StreamConfig) -> Result<(), ApiError> {
    let Some(transform) = &config.subject_transform else {
        return Ok(());
    };
    if !transform.src.is_empty() && !subject::is_valid(transform.src.as_bytes()) {
        let text = format!("invalid subject {}", transform.src);
        return Err(errors::STREAM_TRANSFORM_INVALID_SOURCE.with(text));
    }
    check_transform(&transform.src, &transform.dest)
        .map_err(|error| errors::STREAM_TRANSFORM_INVALID_DESTINATION.with(error))
}

fn check_placement(config: &mut StreamConfig) -> Result<(), ApiError> {
    if config
        .placement
        .as_ref()
        .is_some_and(|placement| *placement == Placement::default())
    {
        config.placement = None;
    }
    if config
        .placement
        .as_ref()
        .is_some_and(|placement| !placement.preferred.is_empty())
    {
        return Err(invalid("preferred server not permitted in placement"));
    }
    // An empty list of tags is something to ask for, and nothing to keep.
    if let Some(placement) = &mut config.placement {
        placement.tags = placement.tags.take().filter(|tags| !tags.is_empty());
    }
    Ok(())
}

pub(super) fn refuse_if(rules: &[(bool, &str)]) -> Result<(), ApiError> {
    match rules.iter().find(|(refused, _)| *refused) {
        Some((_, text)) => Err(invalid(text)),
        None => Ok(()),
    }
}

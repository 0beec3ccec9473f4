//! The rules of a change to a stream.

use super::stream::{StreamRules, check_discard_new_per_subject, check_stream, refuse_if};
use crate::js::config::StreamConfig;
use crate::js::enums::{Discard, Retention};
use crate::js::errors::{self, ApiError};
use crate::text::duration::Nanos;

/// Checks a change of `old` to `config` and fills in defaults. Overlap with other streams, the account's
/// resources and the limits of consumers that exist are the caller's to check.
///
/// # Errors
/// The first rule that is broken.
pub fn check_stream_update(
    old: &StreamConfig,
    config: StreamConfig,
    rules: &StreamRules<'_>,
) -> Result<StreamConfig, ApiError> {
    // As in nats-server twice: what the first time turns on has to fit, too.
    let new = check_stream(config, rules)?;
    let mut new = check_stream(new, rules)?;
    refuse_if(&[(
        new.name != old.name,
        "stream configuration name must match original",
    )])?;
    if new.num_replicas > 1 {
        return Err(errors::STREAM_REPLICAS_NOT_SUPPORTED);
    }
    let to_or_from_work_queue = new.retention != old.retention
        && (old.retention == Retention::WorkQueue || new.retention == Retention::WorkQueue);
    refuse_if(&[
        (
            new.storage != old.storage,
            "stream configuration update can not change storage type",
        ),
        (
            to_or_from_work_queue,
            "stream configuration update can not change retention policy to/from workqueue",
        ),
        (
            old.sealed && !new.sealed,
            "stream configuration update can not unseal a sealed stream",
        ),
        (
            old.deny_delete && !new.deny_delete,
            "stream configuration update can not cancel deny message deletes",
        ),
        (
            old.deny_purge && !new.deny_purge,
            "stream configuration update can not cancel deny purge",
        ),
    ])?;
    // A mirror may become an ordinary stream, but not another's mirror.
    if new.mirror.is_some() && new.mirror != old.mirror {
        return Err(errors::STREAM_MIRROR_NOT_UPDATABLE);
    }
    check_discard_new_per_subject(&new)?;
    refuse_if(&[
        (
            old.allow_msg_ttl && !new.allow_msg_ttl,
            "message TTL status can not be disabled",
        ),
        (
            old.allow_msg_counter != new.allow_msg_counter,
            "stream configuration update can not change message counter setting",
        ),
        (
            old.allow_msg_schedules && !new.allow_msg_schedules,
            "message schedules can not be disabled",
        ),
        (
            old.persist_mode != new.persist_mode,
            "stream configuration update can not change persist mode",
        ),
    ])?;
    if new.sealed {
        new.max_age = Nanos::ZERO;
        new.discard = Discard::New;
        new.deny_delete = true;
        new.deny_purge = true;
        new.allow_rollup_hdrs = false;
    }
    Ok(new)
}

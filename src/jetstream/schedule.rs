//! When a scheduled message is due: what its headers say, as a function of a time.
//!
//! *Invariant:* nothing here reads a clock. The time that a schedule counts from is that of its entry
//! in the log, or of the moment it is fired, which then goes into the log.

mod cron;
mod zone;

use protocol::headers::Headers;
use protocol::js::errors::{self, ApiError};
use protocol::subject;
use protocol::text::duration::Nanos;
use protocol::text::rfc3339;
use protocol::time::Wall;

use crate::stream::Ttl;
use cron::Cron;
use zone::Zone;

/// What every header of a schedule and of what it produces begins with.
pub(crate) const PREFIX: &[u8] = b"Nats-Schedule";
/// The header that makes a message a schedule.
pub(crate) const PATTERN: &[u8] = b"Nats-Schedule";
/// The header that names the schedule which a message comes from, or which it ends.
pub(crate) const SCHEDULER: &[u8] = b"Nats-Scheduler";
/// The header that tells when the schedule is due again.
pub(crate) const NEXT: &[u8] = b"Nats-Schedule-Next";
/// The value of [`NEXT`] that ends the schedule.
pub(crate) const NEXT_PURGE: &[u8] = b"purge";

const NANOS_PER_SECOND: u64 = 1_000_000_000;
/// The shortest interval of a repeating schedule.
const INTERVAL_MIN_NS: u64 = NANOS_PER_SECOND;

/// The headers of a message that concern schedules. Values are as they were sent; one that is empty
/// counts as absent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct ScheduleHeaders<'a> {
    /// `Nats-Schedule`.
    pub(crate) pattern: &'a [u8],
    /// `Nats-Schedule-Target`.
    pub(crate) target: &'a [u8],
    /// `Nats-Schedule-Source`.
    pub(crate) source: &'a [u8],
    /// `Nats-Schedule-TTL`.
    pub(crate) ttl: &'a [u8],
    /// `Nats-Schedule-Rollup`.
    pub(crate) rollup: &'a [u8],
    /// `Nats-Schedule-Time-Zone`: here an empty one is none of the valid ones.
    pub(crate) time_zone: Option<&'a [u8]>,
    /// `Nats-Scheduler`.
    pub(crate) scheduler: &'a [u8],
    /// `Nats-Schedule-Next`.
    pub(crate) next: &'a [u8],
}

/// When something is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Due {
    /// The next time.
    pub(crate) at: Wall,
    /// Whether there will be another one after that.
    pub(crate) repeats: bool,
}

impl<'a> ScheduleHeaders<'a> {
    /// Reads a header block; of keys that repeat, the first one counts.
    pub(crate) fn parse(block: &'a [u8]) -> Self {
        let headers = Headers::new(block);
        let value = |key: &[u8]| headers.get(key).unwrap_or_default();
        Self {
            pattern: value(PATTERN),
            target: value(b"Nats-Schedule-Target"),
            source: value(b"Nats-Schedule-Source"),
            ttl: value(b"Nats-Schedule-TTL"),
            rollup: value(b"Nats-Schedule-Rollup"),
            time_zone: headers.get(b"Nats-Schedule-Time-Zone"),
            scheduler: value(SCHEDULER),
            next: value(NEXT),
        }
    }

    /// Returns when the schedule is due after `from`; nothing if the message is none.
    ///
    /// # Errors
    /// What the publisher is told of a pattern or a time zone that says nothing.
    pub(crate) fn due(&self, from: Wall) -> Result<Option<Due>, ApiError> {
        let zone = match self.time_zone {
            Some(name) => {
                let zone = core::str::from_utf8(name).ok().and_then(Zone::named);
                Some(zone.ok_or(errors::MESSAGE_SCHEDULES_TIME_ZONE_INVALID)?)
            }
            None => None,
        };
        if self.pattern.is_empty() {
            return Ok(None);
        }
        let pattern = core::str::from_utf8(self.pattern).ok();
        let due = pattern.and_then(|pattern| due(pattern, zone.as_ref(), from));
        due.map(Some)
            .ok_or(errors::MESSAGE_SCHEDULES_PATTERN_INVALID)
    }

    /// Checks a schedule on `own`; `collides` tells whether a subject is one of the stream's.
    ///
    /// # Errors
    /// What the publisher is told.
    pub(crate) fn check(
        &self,
        own: &[u8],
        rollup: Option<&[u8]>,
        allow_ttl: bool,
        collides: impl Fn(&[u8]) -> bool,
    ) -> Result<(), ApiError> {
        if !self.ttl.is_empty() && Ttl::parse(self.ttl).is_none() {
            return Err(errors::MESSAGE_SCHEDULES_TTL_INVALID);
        }
        let wrong_rollup = !self.rollup.is_empty() && self.rollup != b"sub";
        if wrong_rollup {
            return Err(errors::MESSAGE_SCHEDULES_ROLLUP_INVALID);
        }
        if !self.ttl.is_empty() && !allow_ttl {
            return Err(errors::MESSAGE_TTL_DISABLED);
        }
        let may_be_target = subject::is_valid_literal(self.target) && self.target != own;
        let may_be_source = self.source.is_empty()
            || (subject::is_valid_literal(self.source)
                && self.source != own
                && self.source != self.target);
        if !may_be_target {
            return Err(errors::MESSAGE_SCHEDULES_TARGET_INVALID);
        }
        if !may_be_source {
            return Err(errors::MESSAGE_SCHEDULES_SOURCE_INVALID);
        }
        if !collides(self.target) {
            return Err(errors::MESSAGE_SCHEDULES_TARGET_INVALID);
        }
        if !self.source.is_empty() && !collides(self.source) {
            return Err(errors::MESSAGE_SCHEDULES_SOURCE_INVALID);
        }
        if rollup.is_some_and(|rollup| rollup != b"sub") {
            return Err(errors::MESSAGE_SCHEDULES_ROLLUP_INVALID);
        }
        Ok(())
    }
}

/// Returns when `pattern` is due after `from`.
fn due(pattern: &str, zone: Option<&Zone>, from: Wall) -> Option<Due> {
    if let Some(time) = pattern.strip_prefix("@at ") {
        let at = rfc3339::parse(time).ok().filter(|_| zone.is_none())?;
        return Some(Due { at, repeats: false });
    }
    let at = if let Some(interval) = pattern.strip_prefix("@every ") {
        let interval = interval.parse::<Nanos>().ok().filter(|_| zone.is_none())?;
        let interval = u64::try_from(interval.0).ok();
        let interval = interval.filter(|&ns| ns >= INTERVAL_MIN_NS)?;
        let rounded = from.0.saturating_add(NANOS_PER_SECOND / 2) / NANOS_PER_SECOND;
        Wall((rounded * NANOS_PER_SECOND).saturating_add(interval))
    } else {
        let fields = match pattern {
            "@yearly" | "@annually" => "0 0 0 1 1 *",
            "@monthly" => "0 0 0 1 * *",
            "@weekly" => "0 0 0 * * 0",
            "@daily" | "@midnight" => "0 0 0 * * *",
            "@hourly" => "0 0 * * * *",
            other => other,
        };
        Cron::parse(fields)?.next_after(from, zone.unwrap_or(&Zone::utc()))?
    };
    Some(Due { at, repeats: true })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns what comes after each of some times.
    fn after(pattern: &str, zone: Option<&str>, from: &str) -> Option<alloc::string::String> {
        let zone = zone.map(|name| Zone::named(name).unwrap());
        let due = due(pattern, zone.as_ref(), rfc3339::parse(from).unwrap())?;
        Some(alloc::format!("{}", rfc3339::Rfc3339(due.at)))
    }

    #[test]
    fn intervals_count_from_the_nearest_second() {
        let at = |from| after("@every 1m30s", None, from).unwrap();
        assert_eq!(at("2026-01-02T03:04:05.499Z"), "2026-01-02T03:05:35Z");
        assert_eq!(at("2026-01-02T03:04:05.5Z"), "2026-01-02T03:05:36Z");
        for bad in ["@every 999ms", "@every", "@every x", "@every -5s", "@bogus"] {
            assert_eq!(after(bad, None, "2026-01-02T03:04:05Z"), None, "{bad}");
        }
    }

    #[test]
    fn a_zone_is_for_calendars_only() {
        let zone = Some("Europe/Amsterdam");
        let from = "2026-01-02T03:04:05Z";
        assert_eq!(after("@every 5s", zone, from), None);
        assert_eq!(after("@at 2026-02-02T00:00:00Z", zone, from), None);
        let daily = after("@daily", zone, from);
        assert_eq!(daily.as_deref(), Some("2026-01-02T23:00:00Z"));
        assert!(Zone::named("Nowhere/Land").is_none());
        assert!(Zone::named("europe/amsterdam").is_none());
    }

    #[test]
    fn a_target_must_be_another_subject_of_the_stream() {
        let headers = |target, source| ScheduleHeaders {
            target,
            source,
            ..ScheduleHeaders::default()
        };
        let collides = |s: &[u8]| s.starts_with(b"s.");
        let check = |target: &'static str, source: &'static str| {
            let headers = headers(target.as_bytes(), source.as_bytes());
            headers.check(b"s.own", None, false, collides)
        };
        assert_eq!(check("s.out", ""), Ok(()));
        assert_eq!(check("s.out", "s.in"), Ok(()));
        for target in ["", "s.own", "s.*", "other"] {
            let refused = Err(errors::MESSAGE_SCHEDULES_TARGET_INVALID);
            assert_eq!(check(target, ""), refused, "{target}");
        }
        for source in ["s.own", "s.out", "s.>", "other"] {
            let refused = Err(errors::MESSAGE_SCHEDULES_SOURCE_INVALID);
            assert_eq!(check("s.out", source), refused, "{source}");
        }
    }
}

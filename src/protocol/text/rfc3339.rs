//! Points in time as JSON shows them: RFC 3339 in UTC, nanoseconds with trailing zeros trimmed.
//!
//! *Invariant:* [`Wall`] zero means "not set" and is written as Go's zero time,
//! `0001-01-01T00:00:00Z`, which is read back as zero.

use alloc::string::String;
use core::fmt;
use core::ops::RangeInclusive;

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
pub enum TimeError {
    /// From byte `at` on there is not what a piece of [`LAYOUT`] stands for.
    Unfit {
        /// How many bytes fitted.
        at: usize,
        /// The piece.
        piece: &'static str,
    },
    /// This part is a number that no time has there.
    OutOfRange(&'static str),
    /// The time ends at byte `at`, and the text goes on.
    Extra {
        /// Where the time ends.
        at: usize,
    },
}

/// The form of a time, as Go's messages name it.
pub const LAYOUT: &str = "2006-01-02T15:04:05Z07:00";

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
/// Reads what Go's `time.Parse` reads, which is more than RFC 3339 allows: an hour of one digit, a comma
/// before the fraction, offsets up to 24 hours and 60 minutes.
///
/// # Errors
/// When the text is no such time: the first piece that does not fit or is out of range, the day last.
pub fn parse(text: &str) -> Result<Wall, TimeError> {
    let mut rest = Reader {
        text: text.as_bytes(),
        at: 0,
    };
    let year = rest.number("2006")?;
    rest.expect("-")?;
    let month = within("month", rest.number("01")?, 1..=12)?;
    rest.expect("-")?;
    let day = rest.number("02")?;
    rest.expect("T")?;
    let hour = within("hour", rest.hour()?, 0..=23)?;
    rest.expect(":")?;
    let minute = within("minute", rest.number("04")?, 0..=59)?;
    rest.expect(":")?;
    let second = within("second", rest.number("05")?, 0..=59)?;
    let fraction = rest.fraction();
    let offset = rest.offset()?;
    if rest.at < text.len() {
        return Err(TimeError::Extra { at: rest.at });
    }
    let day = within("day", day, 1..=days_in_month(year, month))?;
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

fn within(part: &'static str, value: i64, range: RangeInclusive<i64>) -> Result<i64, TimeError> {
    if range.contains(&value) {
        Ok(value)
    } else {
        Err(TimeError::OutOfRange(part))
    }
}

/// Reads a text from byte `at` on.
struct Reader<'a> {
    text: &'a [u8],
    at: usize,
}

impl Reader<'_> {
    fn rest(&self) -> &[u8] {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn unfit(&self, piece: &'static str) -> TimeError {
        TimeError::Unfit { at: self.at, piece }
    }

    fn expect(&mut self, piece: &'static str) -> Result<(), TimeError> {
        if !self.rest().starts_with(piece.as_bytes()) {
            return Err(self.unfit(piece));
        }
        self.at += piece.len();
        Ok(())
    }

    /// Reads a number of as many digits as the piece has.
    fn number(&mut self, piece: &'static str) -> Result<i64, TimeError> {
        let digits = self.rest().get(..piece.len());
        let value = digits.and_then(digits_value).ok_or(self.unfit(piece))?;
        self.at += piece.len();
        Ok(value)
    }

    /// Reads an hour, of two digits or one.
    fn hour(&mut self) -> Result<i64, TimeError> {
        const PIECE: &str = "15";
        if self.rest().get(..2).and_then(digits_value).is_some() {
            return self.number(PIECE);
        }
        let digit = self.rest().get(..1).and_then(digits_value);
        let hour = digit.ok_or(self.unfit(PIECE))?;
        self.at += 1;
        Ok(hour)
    }

    /// Reads `.digits`, if it is there, as nanoseconds.
    fn fraction(&mut self) -> u64 {
        let Some((b'.' | b',', rest)) = self.rest().split_first() else {
            return 0;
        };
        let digits = rest.iter().take_while(|b| b.is_ascii_digit()).count();
        if digits == 0 {
            return 0;
        }
        let mut nanos = 0;
        for place in 0..9 {
            let digit = rest.get(place).filter(|_| place < digits);
            nanos = nanos * 10 + digit.map_or(0, |b| u64::from(b - b'0'));
        }
        self.at += 1 + digits;
        nanos
    }

    /// Reads `Z` or `+hh:mm` as seconds east of UTC.
    fn offset(&mut self) -> Result<i64, TimeError> {
        if self.rest().first() == Some(&b'Z') {
            self.at += 1;
            return Ok(0);
        }
        let unfit = self.unfit("Z07:00");
        let Some(&[sign, ref hours @ .., b':', m, n]) = self.rest().get(..6) else {
            return Err(unfit);
        };
        let hours = digits_value(hours).ok_or(unfit)?;
        let minutes = digits_value(&[m, n]);
        // The last that is out of range is named.
        let late = minutes.map(|minutes| within("time zone offset minute", minutes, 0..=60));
        late.transpose()?;
        within("time zone offset hour", hours, 0..=24)?;
        let minutes = minutes.ok_or(unfit)?;
        let sign = match sign {
            b'+' => 1,
            b'-' => -1,
            _ => return Err(unfit),
        };
        self.at += 6;
        Ok(sign * (hours * 3600 + minutes * 60))
    }
}

/// Returns the number that these digits are.
fn digits_value(digits: &[u8]) -> Option<i64> {
    digits.iter().try_fold(0, |value, byte| {
        let digit = byte.is_ascii_digit().then(|| i64::from(byte - b'0'))?;
        Some(value * 10 + digit)
    })
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
    fn what_go_reads_beyond_the_standard_is_read() {
        let exact = parse("2026-01-02T03:04:05.5Z");
        for text in [
            "2026-01-02T3:04:05.5Z",
            "2026-01-02T03:04:05,5Z",
            "2026-01-01T03:04:05.5-24:00",
            "2026-01-02T04:04:05.5+00:60",
        ] {
            assert_eq!(parse(text), exact, "{text}");
        }
    }

    #[test]
    fn what_is_no_time_is_refused_at_the_first_piece_that_is_wrong() {
        let unfit = |at, piece| TimeError::Unfit { at, piece };
        for (text, error) in [
            ("", unfit(0, "2006")),
            ("2026-01-02", unfit(10, "T")),
            ("2026-01-02T03:04:05", unfit(19, "Z07:00")),
            ("2026-13-02T03:04:05Z", TimeError::OutOfRange("month")),
            ("2026-001-02", TimeError::OutOfRange("month")),
            ("2026-02-29T03:04:05Z", TimeError::OutOfRange("day")),
            ("2026-01-00T03:04:05Z", TimeError::OutOfRange("day")),
            ("2026-01-00T03:04:5Z", unfit(17, "05")),
            ("2026-01-02T24:04:05Z", TimeError::OutOfRange("hour")),
            ("2026-01-02T03:60", TimeError::OutOfRange("minute")),
            ("2026-01-02T03:04:60", TimeError::OutOfRange("second")),
            ("2026-01-02T03:04:05.Z", unfit(19, "Z07:00")),
            ("2026-01-02T03:04:05Zx", TimeError::Extra { at: 20 }),
            ("2026-01-02T03:04:05+2:00", unfit(19, "Z07:00")),
            (
                "2026-01-02T03:04:05*25:00",
                TimeError::OutOfRange("time zone offset hour"),
            ),
            ("2026-01-02 03:04:05Z", unfit(10, "T")),
        ] {
            assert_eq!(parse(text), Err(error), "{text}");
        }
    }
}

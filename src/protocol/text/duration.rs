//! Durations as Go writes and reads them: `1h2m3.5s`. In JSON they are integers of nanoseconds.

use core::fmt;
use core::str::FromStr;
use core::time::Duration;

use serde::{Deserialize, Serialize};

const MICROSECOND: u64 = 1_000;
const MILLISECOND: u64 = 1_000_000;
const SECOND: u64 = 1_000_000_000;
const MINUTE: u64 = 60 * SECOND;
const HOUR: u64 = 60 * MINUTE;

/// A signed duration in nanoseconds, an integer in JSON.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Nanos(pub i64);

/// Why a text is no duration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a duration")]
pub struct DurationError;

impl Nanos {
    /// No time at all.
    pub const ZERO: Self = Self(0);

    /// Reports whether the duration is zero; for `skip_serializing_if`.
    #[must_use]
    pub fn is_zero(&self) -> bool {
        self.0 == 0
    }
}

impl From<Duration> for Nanos {
    /// Caps at 292 years.
    fn from(duration: Duration) -> Self {
        Self(i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX))
    }
}

impl fmt::Display for Nanos {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 < 0 {
            f.write_str("-")?;
        }
        let ns = self.0.unsigned_abs();
        match ns {
            0 => f.write_str("0s"),
            1..MICROSECOND => write!(f, "{ns}ns"),
            MICROSECOND..MILLISECOND => write_decimal(f, ns, MICROSECOND, "µs"),
            MILLISECOND..SECOND => write_decimal(f, ns, MILLISECOND, "ms"),
            _ => {
                if ns >= HOUR {
                    write!(f, "{}h", ns / HOUR)?;
                }
                if ns >= MINUTE {
                    write!(f, "{}m", ns % HOUR / MINUTE)?;
                }
                write_decimal(f, ns % MINUTE, SECOND, "s")
            }
        }
    }
}

impl FromStr for Nanos {
    type Err = DurationError;

    /// Reads `[-+]` and any number of `<decimal><unit>` with the units h, m, s, ms, us (or µs), ns;
    /// a bare `0` needs no unit.
    fn from_str(text: &str) -> Result<Self, DurationError> {
        let (negative, mut rest) = match text.as_bytes().first() {
            Some(b'-') => (true, text.get(1..).unwrap_or("")),
            Some(b'+') => (false, text.get(1..).unwrap_or("")),
            _ => (false, text),
        };
        if rest == "0" {
            return Ok(Self(0));
        }
        if rest.is_empty() {
            return Err(DurationError);
        }
        let mut total: u64 = 0;
        while !rest.is_empty() {
            let (part, after) = read_part(rest)?;
            total = total.checked_add(part).ok_or(DurationError)?;
            rest = after;
        }
        let signed = if negative {
            0i64.checked_sub_unsigned(total)
        } else {
            i64::try_from(total).ok()
        };
        signed.map(Self).ok_or(DurationError)
    }
}

fn write_decimal(f: &mut fmt::Formatter<'_>, value: u64, unit: u64, name: &str) -> fmt::Result {
    write!(f, "{}", value / unit)?;
    let mut fraction = value % unit;
    if fraction != 0 {
        let mut digits = usize::try_from(unit.ilog10()).unwrap_or(0);
        while fraction.is_multiple_of(10) {
            fraction /= 10;
            digits -= 1;
        }
        write!(f, ".{fraction:0digits$}")?;
    }
    f.write_str(name)
}

/// Reads one number and its unit; returns its nanoseconds and what follows.
fn read_part(text: &str) -> Result<(u64, &str), DurationError> {
    let (whole, rest) = split_digits(text);
    let (fraction, rest) = match rest.strip_prefix('.') {
        Some(rest) => split_digits(rest),
        None => ("", rest),
    };
    if whole.is_empty() && fraction.is_empty() {
        return Err(DurationError);
    }
    let unit_len = rest
        .find(|c: char| c == '.' || c.is_ascii_digit())
        .unwrap_or(rest.len());
    let (name, rest) = rest.split_at_checked(unit_len).ok_or(DurationError)?;
    let unit = match name {
        "ns" => 1,
        // Both the micro sign and the Greek letter mu are in use.
        "us" | "\u{b5}s" | "\u{3bc}s" => MICROSECOND,
        "ms" => MILLISECOND,
        "s" => SECOND,
        "m" => MINUTE,
        "h" => HOUR,
        _ => return Err(DurationError),
    };
    let mut value: u64 = 0;
    for digit in whole.bytes() {
        value = value
            .checked_mul(10)
            .and_then(|v| v.checked_add(u64::from(digit - b'0')))
            .ok_or(DurationError)?;
    }
    let nanos = value.checked_mul(unit).ok_or(DurationError)?;
    Ok((nanos.saturating_add(fraction_of(fraction, unit)), rest))
}

fn split_digits(text: &str) -> (&str, &str) {
    let len = text.bytes().take_while(u8::is_ascii_digit).count();
    text.split_at_checked(len).unwrap_or((text, ""))
}

/// Returns `0.<digits>` of `unit`, rounded down. Digits beyond the 15th weigh less than a nanosecond
/// of an hour.
fn fraction_of(digits: &str, unit: u64) -> u64 {
    let (mut numerator, mut denominator) = (0u128, 1u128);
    for digit in digits.bytes().take(15) {
        numerator = numerator * 10 + u128::from(digit - b'0');
        denominator *= 10;
    }
    u64::try_from(numerator * u128::from(unit) / denominator).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;

    use super::*;

    #[test]
    fn durations_are_written_as_go_writes_them() {
        for (ns, text) in [
            (0, "0s"),
            (1, "1ns"),
            (1_100, "1.1µs"),
            (2_200_000, "2.2ms"),
            (3_300_000_000, "3.3s"),
            (120_000_000_000, "2m0s"),
            (3_723_000_000_000, "1h2m3s"),
            (3_600_000_000_001, "1h0m0.000000001s"),
            (-1_500_000_000, "-1.5s"),
            (i64::MAX, "2562047h47m16.854775807s"),
            (i64::MIN, "-2562047h47m16.854775808s"),
        ] {
            assert_eq!(Nanos(ns).to_string(), text);
            assert_eq!(text.parse(), Ok(Nanos(ns)));
        }
    }

    #[test]
    fn every_unit_and_fraction_is_read() {
        for (text, ns) in [
            ("0", 0),
            ("-0", 0),
            ("+5s", 5_000_000_000),
            ("1.5h", 5_400_000_000_000),
            (".5m", 30_000_000_000),
            ("1.m", 60_000_000_000),
            ("10us", 10_000),
            ("10\u{3bc}s", 10_000),
            ("1s1s", 2_000_000_000),
            ("0.3333333333333333333h", 1_199_999_999_999),
        ] {
            assert_eq!(text.parse(), Ok(Nanos(ns)), "{text}");
        }
    }

    #[test]
    fn what_is_no_duration_is_refused() {
        for text in [
            "", "3", "-", "s", ".", ".s", "+.s", "1x", "1d", "9999999h", "1 s",
        ] {
            assert_eq!(text.parse::<Nanos>(), Err(DurationError), "{text}");
        }
    }
}

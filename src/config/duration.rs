//! Durations as Go writes them: `1h2m3.5s`, `250ms`.

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::String;
use core::time::Duration;

/// Why a text is not a duration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum DurationError {
    /// There is no number where one must be, or it is out of range.
    #[error("time: invalid duration {}", quoted(.0))]
    Invalid(String),
    /// A number stands alone.
    #[error("time: missing unit in duration {}", quoted(.0))]
    MissingUnit(String),
    /// A unit is not one of ns, us, ms, s, m, h.
    #[error("time: unknown unit {} in duration {}", quoted(unit), quoted(text))]
    UnknownUnit {
        /// The unit.
        unit: String,
        /// The whole text.
        text: String,
    },
}

/// Parses a duration; negative ones count as none.
pub(crate) fn parse(text: &str) -> Result<Duration, DurationError> {
    let invalid = || DurationError::Invalid(text.to_owned());
    let negative = text.starts_with('-');
    let mut rest = text.trim_start_matches(['-', '+']);
    if rest == "0" {
        return Ok(Duration::ZERO);
    }
    if rest.is_empty() {
        return Err(invalid());
    }
    let mut nanos: u64 = 0;
    while !rest.is_empty() {
        let (number, after) = split_number(rest);
        let (unit, after) = split(after, |c| !(c.is_ascii_digit() || c == '.'));
        if unit.is_empty() {
            return Err(DurationError::MissingUnit(text.to_owned()));
        }
        let Some(unit_nanos) = unit_nanos(unit) else {
            return Err(match number {
                "" => invalid(),
                _ => DurationError::UnknownUnit {
                    unit: unit.to_owned(),
                    text: text.to_owned(),
                },
            });
        };
        let part = scaled(number, unit_nanos).ok_or_else(invalid)?;
        nanos = nanos.checked_add(part).ok_or_else(invalid)?;
        rest = after;
    }
    // Go's durations are signed 64-bit nanoseconds.
    if i64::try_from(nanos).is_err() {
        return Err(invalid());
    }
    Ok(Duration::from_nanos(if negative { 0 } else { nanos }))
}

/// Takes digits, and more of them behind a point.
fn split_number(text: &str) -> (&str, &str) {
    let is_digit = |c: char| c.is_ascii_digit();
    let behind = text.trim_start_matches(is_digit);
    let behind = match behind.strip_prefix('.') {
        Some(fraction) => fraction.trim_start_matches(is_digit),
        None => behind,
    };
    text.split_at(text.len() - behind.len())
}

/// Quotes a text as Go's time package does: bytes that are not printable ASCII as numbers.
fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for byte in text.bytes() {
        match byte {
            b'"' | b'\\' => out.extend(['\\', char::from(byte)]),
            b' '..=b'~' => out.push(char::from(byte)),
            _ => out.push_str(&format!("\\x{byte:02x}")),
        }
    }
    out.push('"');
    out
}

fn split(text: &str, inside: impl Fn(char) -> bool) -> (&str, &str) {
    text.split_at(text.find(|c| !inside(c)).unwrap_or(text.len()))
}

fn unit_nanos(unit: &str) -> Option<u64> {
    Some(match unit {
        "ns" => 1,
        "us" | "\u{b5}s" | "\u{3bc}s" => 1_000,
        "ms" => 1_000_000,
        "s" => 1_000_000_000,
        "m" => 60_000_000_000,
        "h" => 3_600_000_000_000,
        _ => return None,
    })
}

fn scaled(number: &str, unit: u64) -> Option<u64> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let whole: u64 = if whole.is_empty() {
        0
    } else {
        whole.parse().ok()?
    };
    let mut nanos = whole.checked_mul(unit)?;
    let mut place = unit;
    for digit in fraction.chars() {
        place /= 10;
        nanos = nanos.checked_add(place.checked_mul(u64::from(digit.to_digit(10)?))?)?;
    }
    Some(nanos)
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;

    use super::*;

    #[test]
    fn durations_add_up_their_parts() {
        let table = [
            ("250ms", 250_000_000),
            ("2m30s", 150_000_000_000),
            ("1.5h", 5_400_000_000_000),
            (".5s", 500_000_000),
            ("3us", 3_000),
            ("0", 0),
            ("-1s", 0),
        ];
        for (text, nanos) in table {
            assert_eq!(parse(text), Ok(Duration::from_nanos(nanos)), "{text}");
        }
    }

    #[test]
    fn what_is_no_duration_is_told_in_gos_words() {
        let table = [
            ("x", "time: invalid duration \"x\""),
            ("5x", "time: unknown unit \"x\" in duration \"5x\""),
            ("5", "time: missing unit in duration \"5\""),
            ("", "time: invalid duration \"\""),
            ("1.2.3.4", "time: missing unit in duration \"1.2.3.4\""),
            ("\u{e9}\n", "time: invalid duration \"\\xc3\\xa9\\x0a\""),
            ("9999999999h", "time: invalid duration \"9999999999h\""),
        ];
        for (text, error) in table {
            assert_eq!(
                parse(text).map_err(|e| e.to_string()),
                Err(error.to_string())
            );
        }
    }
}

//! Documents as JSON: Go's escapes, indented by two spaces where people read them.

use alloc::boxed::Box;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use protocol::js::json::ToJson;
use protocol::text::duration::Nanos;
use protocol::text::rfc3339::Rfc3339;
use protocol::time::Wall;
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

/// Says whether a value is what it is when nothing is said, and so left out.
pub(crate) fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// Writes a document in one line, as replies carry it.
#[must_use]
pub fn compact<T: Serialize>(document: &T) -> Vec<u8> {
    // The documents of this crate have text keys and finite numbers: they cannot fail.
    protocol::text::json::to_vec(document).unwrap_or_default()
}

/// Writes a document indented, as HTTP shows it.
#[must_use]
pub(crate) fn indented<T: Serialize>(document: &T) -> Vec<u8> {
    indent(&compact(document))
}

/// A number that is written without a fraction where there is none, as Go does.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub(crate) enum Number {
    /// Without a fraction.
    Whole(u64),
    /// With one.
    Fraction(f64),
}

impl From<f64> for Number {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "only what is whole and not negative is cast; a huge number is no measurement"
    )]
    fn from(number: f64) -> Self {
        if number >= 0.0 && number % 1.0 == 0.0 {
            Self::Whole(number as u64)
        } else {
            Self::Fraction(number)
        }
    }
}

impl From<core::time::Duration> for Number {
    /// Returns seconds.
    fn from(duration: core::time::Duration) -> Self {
        duration.as_secs_f64().into()
    }
}

/// Embeds what the protocol crate knows how to write.
pub(crate) fn embed<T: ToJson + ?Sized>(value: &T) -> Box<RawValue> {
    let bytes = protocol::js::json::to_vec(value);
    let text = String::from_utf8(bytes).unwrap_or_default();
    RawValue::from_string(text).unwrap_or_default()
}

/// Returns what a token says.
pub(crate) fn claims(token: &str) -> Option<Box<RawValue>> {
    RawValue::from_string(config::claims_text(token)?).ok()
}

/// Writes a time as Go does.
pub(crate) fn time<S: Serializer>(time: &Wall, to: S) -> Result<S::Ok, S::Error> {
    to.collect_str(&Rfc3339(*time))
}

/// Writes a length of time the way connz shows round trips.
pub(crate) fn go_duration(duration: core::time::Duration) -> String {
    Nanos::from(duration).to_string()
}

/// Writes a length of time the way people read uptimes: `1d2h3m4s`.
pub(crate) fn uptime(duration: core::time::Duration) -> String {
    use alloc::format;
    let seconds = duration.as_secs();
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    let years = days / 365;
    let (d, h, m, s) = (days % 365, hours % 24, minutes % 60, seconds % 60);
    match (years, days, hours, minutes) {
        (1.., ..) => format!("{years}y{d}d{h}h{m}m{s}s"),
        (0, 1.., ..) => format!("{d}d{h}h{m}m{s}s"),
        (0, 0, 1.., _) => format!("{h}h{m}m{s}s"),
        (0, 0, 0, 1..) => format!("{m}m{s}s"),
        (0, 0, 0, 0) => format!("{s}s"),
    }
}

/// Indents a JSON text that has no whitespace outside of strings.
fn indent(json: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(json.len() * 2);
    let mut depth = 0;
    let mut in_string = false;
    let mut escaped = false;
    for (i, byte) in json.iter().enumerate() {
        let before = i.checked_sub(1).and_then(|i| json.get(i));
        if in_string {
            out.push(*byte);
            in_string = escaped || *byte != b'"';
            escaped = !escaped && *byte == b'\\';
            continue;
        }
        match byte {
            b'{' | b'[' => {
                depth += 1;
                out.push(*byte);
                let closes_at_once = matches!(json.get(i + 1), Some(b'}' | b']'));
                if !closes_at_once {
                    break_line(&mut out, depth);
                }
            }
            b'}' | b']' => {
                depth -= 1;
                if !matches!(before, Some(b'{' | b'[')) {
                    break_line(&mut out, depth);
                }
                out.push(*byte);
            }
            b',' => {
                out.push(b',');
                break_line(&mut out, depth);
            }
            b':' => out.extend_from_slice(b": "),
            _ => {
                in_string = *byte == b'"';
                out.push(*byte);
            }
        }
    }
    out
}

fn break_line(out: &mut Vec<u8>, depth: usize) {
    out.push(b'\n');
    out.resize(out.len() + 2 * depth, b' ');
}

#[cfg(test)]
mod tests {
    use core::time::Duration;

    use super::*;

    #[test]
    fn documents_are_indented_by_two_spaces() {
        let json = br#"{"a":{},"b":[1,{"c":"x,\":{"}],"d":[]}"#;
        let expected = "{\n  \"a\": {},\n  \"b\": [\n    1,\n    {\n      \"c\": \"x,\\\":{\"\n    }\n  ],\n  \"d\": []\n}";
        assert_eq!(String::from_utf8(indent(json)).expect("text"), expected);
    }

    #[test]
    fn uptimes_show_the_units_that_count() {
        let table = [
            (0, "0s"),
            (59, "59s"),
            (61, "1m1s"),
            (3600, "1h0m0s"),
            (90_061, "1d1h1m1s"),
            (365 * 86_400 + 86_400, "1y1d0h0m0s"),
        ];
        for (seconds, text) in table {
            assert_eq!(uptime(Duration::from_secs(seconds)), text);
        }
    }
}

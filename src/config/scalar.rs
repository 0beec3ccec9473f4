//! Single words: booleans, numbers with size suffixes, times, variables.

use alloc::borrow::ToOwned;

use crate::error::ParseError;
use crate::value::Value;

/// What a word that is no number is.
#[derive(Debug, PartialEq)]
pub(crate) enum Bare<'a> {
    /// A boolean or a text.
    Value(Value),
    /// `$name`.
    Variable(&'a str),
}

/// Tells what a word is that is no number.
pub(crate) fn bare(word: &str) -> Bare<'_> {
    if let Some(switch) = boolean(word) {
        return Bare::Value(Value::Bool(switch));
    }
    if let Some(name) = word.strip_prefix('$') {
        // Bcrypt digests need no quotes.
        let bcrypt = ["2a$", "2b$", "2y$"].iter().any(|p| name.starts_with(p));
        if !bcrypt {
            return Bare::Variable(name);
        }
    }
    Bare::Value(Value::Text(word.to_owned()))
}

/// Reads digits with a unit of size or without.
pub(crate) fn integer(word: &str) -> Result<Value, ParseError> {
    let is_digit = |c: char| c.is_ascii_digit() || c == '-';
    let digits_end = word.find(|c| !is_digit(c)).unwrap_or(word.len());
    let (digits, suffix) = word.split_at(digits_end);
    let out_of_range = || ParseError::IntegerRange(word.to_owned());
    let Some(unit) = size_unit(suffix) else {
        // Units that repeat their letters.
        return Ok(Value::Text(word.to_owned()));
    };
    let number: i64 = digits.parse().map_err(|_| out_of_range())?;
    number
        .checked_mul(unit)
        .map(Value::Int)
        .ok_or_else(out_of_range)
}

/// Reads digits with a point.
pub(crate) fn float(word: &str) -> Result<Value, ParseError> {
    let number = word.parse();
    number
        .map(Value::Float)
        .map_err(|_| ParseError::IntegerRange(word.to_owned()))
}

fn boolean(word: &str) -> Option<bool> {
    let is = |names: [&str; 3]| names.iter().any(|n| word.eq_ignore_ascii_case(n));
    if is(["true", "yes", "on"]) {
        Some(true)
    } else if is(["false", "no", "off"]) {
        Some(false)
    } else {
        None
    }
}

/// Returns what a size suffix multiplies with: `k` is 1000, `kb`, `ki` and `kib` are 1024.
pub(crate) fn size_unit(suffix: &str) -> Option<i64> {
    let mut chars = suffix.chars();
    let Some(first) = chars.next() else {
        return Some(1);
    };
    let power = match first.to_ascii_lowercase() {
        'k' => 1,
        'm' => 2,
        'g' => 3,
        't' => 4,
        'p' => 5,
        'e' => 6,
        _ => return None,
    };
    let base: i64 = match chars.as_str() {
        "" => 1000,
        rest if ["b", "i", "ib"]
            .iter()
            .any(|r| rest.eq_ignore_ascii_case(r)) =>
        {
            1024
        }
        _ => return None,
    };
    base.checked_pow(power)
}

/// Reads a time of the shape `2006-01-02T15:04:05Z`.
pub(crate) fn time(word: &str) -> Result<Value, ParseError> {
    let part = |at: usize, len: usize| {
        let digits = word.get(at..at + len);
        digits
            .and_then(|d| d.parse::<u32>().ok())
            .unwrap_or(u32::MAX)
    };
    let (year, month, day) = (part(0, 4), part(5, 2), part(8, 2));
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days = match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 if leap => 29,
        2 => 28,
        _ => 0,
    };
    let clock = part(11, 2) < 24 && part(14, 2) < 60 && part(17, 2) < 60;
    if (1..=days).contains(&day) && clock {
        return Ok(Value::Time(word.to_owned()));
    }
    Err(ParseError::Time(word.to_owned()))
}

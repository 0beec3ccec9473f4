//! Single words: booleans, numbers with size suffixes, times, variables, escapes.

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::String;
use core::num::IntErrorKind;

use crate::error::ParseError;
use crate::value::Value;

/// What a bare word is.
#[derive(Debug, PartialEq)]
pub(crate) enum Word<'a> {
    /// A value.
    Value(Value),
    /// `$name`.
    Variable(&'a str),
    /// A string with escapes in it.
    Escaped,
}

/// What a word lacks that nats-server takes for the beginning of a number, with the character that is there instead
/// if the word has one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unfinished {
    /// It begins with a point.
    PointFirst,
    /// Nothing follows the point.
    PointLast(Option<char>),
    /// Nothing follows the minus sign.
    MinusAlone(Option<char>),
}

/// Tells whether a bare word begins like a number and is none.
pub(crate) fn unfinished(word: &str) -> Option<Unfinished> {
    if word.starts_with('.') {
        return Some(Unfinished::PointFirst);
    }
    let is_digit = |c: char| c.is_ascii_digit();
    let unsigned = word.strip_prefix('-');
    let next = unsigned.and_then(|rest| rest.chars().next());
    if unsigned.is_some() && !next.is_some_and(is_digit) {
        return Some(Unfinished::MinusAlone(next));
    }
    let unsigned = unsigned.unwrap_or(word);
    let fraction = unsigned.trim_start_matches(is_digit).strip_prefix('.')?;
    let next = fraction.chars().next();
    let lacks = unsigned.starts_with(is_digit) && !next.is_some_and(is_digit);
    lacks.then_some(Unfinished::PointLast(next))
}

/// Tells what a bare word is.
pub(crate) fn classify(word: &str) -> Result<Word<'_>, ParseError> {
    if let Some(switch) = boolean(word) {
        return Ok(Word::Value(Value::Bool(switch)));
    }
    if let Some(name) = word.strip_prefix('$') {
        // Bcrypt digests need no quotes.
        let bcrypt = ["2a$", "2b$", "2y$"].iter().any(|p| name.starts_with(p));
        if !bcrypt {
            return Ok(Word::Variable(name));
        }
    }
    if word.contains('\\') {
        return Ok(Word::Escaped);
    }
    let value = match number(word)? {
        Some(number) => number,
        None if is_time_shaped(word) => time(word)?,
        None => Value::Text(word.to_owned()),
    };
    Ok(Word::Value(value))
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

fn number(word: &str) -> Result<Option<Value>, ParseError> {
    let digits_end = word
        .char_indices()
        .find(|(i, c)| !(c.is_ascii_digit() || (*i == 0 && *c == '-')))
        .map_or(word.len(), |(i, _)| i);
    let (digits, suffix) = word.split_at(digits_end);
    if !digits.ends_with(|c: char| c.is_ascii_digit()) {
        return Ok(None);
    }
    if let Some(fraction) = suffix.strip_prefix('.') {
        let decimal = !fraction.is_empty() && fraction.bytes().all(|b| b.is_ascii_digit());
        return Ok(word.parse().ok().filter(|_| decimal).map(Value::Float));
    }
    let Some(unit) = size_unit(suffix) else {
        return Ok(None);
    };
    let out_of_range = || ParseError::IntegerRange(word.to_owned());
    match digits.parse::<i64>() {
        Ok(n) => {
            let scaled = n.checked_mul(unit).ok_or_else(out_of_range)?;
            Ok(Some(Value::Int(scaled)))
        }
        Err(e) if *e.kind() == IntErrorKind::PosOverflow => Err(out_of_range()),
        Err(e) if *e.kind() == IntErrorKind::NegOverflow => Err(out_of_range()),
        Err(_) => Ok(None),
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

fn is_time_shaped(word: &str) -> bool {
    const SHAPE: &[u8] = b"0000-00-00T00:00:00Z";
    word.len() == SHAPE.len()
        && word.bytes().zip(SHAPE).all(|(b, s)| match s {
            b'0' => b.is_ascii_digit(),
            _ => b == *s,
        })
}

fn time(word: &str) -> Result<Value, ParseError> {
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

/// Replaces the escapes of a double-quoted or bare string.
pub(crate) fn unescape(text: &str) -> Result<String, String> {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            out.push(c);
            continue;
        }
        match chars.next() {
            Some('x') => {
                let digits = chars.as_str().get(..2).unwrap_or(chars.as_str());
                let code = u8::from_str_radix(digits, 16).ok();
                let Some(code) = code.filter(|_| digits.len() == 2) else {
                    return Err(format!(
                        "Expected two hexadecimal digits after '\\x', but got '{digits}'"
                    ));
                };
                chars.next();
                chars.next();
                // Above 0x7f a byte would not be text; the code point of that number stands for it.
                out.push(char::from(code));
            }
            Some('t') => out.push('\t'),
            Some('n') => out.push('\n'),
            Some('r') => out.push('\r'),
            Some(c @ ('"' | '\\')) => out.push(c),
            other => {
                return Err(format!(
                    "Invalid escape character '{}'. Only the following escape characters are \
                     allowed: \\xXX, \\t, \\n, \\r, \\\", \\\\.",
                    other.unwrap_or('\0')
                ));
            }
        }
    }
    Ok(out)
}

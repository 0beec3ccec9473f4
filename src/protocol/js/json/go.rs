//! Texts as Go prints them: quoted strings and what is wrong with a time.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::Write as _;

use super::decode::DecodeError;

/// Quotes bytes as Go's `%q` does.
#[must_use]
pub fn go_quote(bytes: &[u8]) -> String {
    let mut out = String::from("\"");
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            if c == '"' {
                out.push_str("\\\"")
            } else {
                push_go_char(&mut out, c)
            }
        }
        for b in chunk.invalid() {
            let _ = write!(out, "\\x{b:02x}");
        }
    }
    out.push('"');
    out
}

/// Writes a character of a quoted text; quotes are the caller's.
pub(super) fn push_go_char(out: &mut String, c: char) {
    let short = match c {
        '\\' => "\\\\",
        '\u{7}' => "\\a",
        '\u{8}' => "\\b",
        '\u{c}' => "\\f",
        '\n' => "\\n",
        '\r' => "\\r",
        '\t' => "\\t",
        '\u{b}' => "\\v",
        '\0'..='\u{1f}' | '\u{7f}' => {
            let _ = write!(out, "\\x{:02x}", u32::from(c));
            return;
        }
        _ => {
            out.push(c);
            return;
        }
    };
    out.push_str(short);
}

/// Returns an escape sequence as Go shows it: between back quotes if it can be read there.
pub(super) fn shown_escape(bytes: &[u8]) -> String {
    let is_plain = |c: char| {
        c != '`' && c != char::REPLACEMENT_CHARACTER && !c.is_whitespace() && is_printable(c)
    };
    match core::str::from_utf8(bytes) {
        Ok(text) if text.chars().all(is_plain) => alloc::format!("`{text}`"),
        Ok(_) | Err(_) => quote(bytes),
    }
}

/// Returns whether a character has a shape of its own.
fn is_printable(c: char) -> bool {
    let is_format = matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}');
    let is_private = matches!(c, '\u{e000}'..='\u{f8ff}' | '\u{f0000}'..);
    c == ' ' || !(c.is_whitespace() || c.is_control() || is_format || is_private)
}

/// Quotes a text as Go does: what is no UTF-8 byte by byte.
fn quote(bytes: &[u8]) -> String {
    let mut out = String::from("\"");
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                '"' => out.push_str("\\\""),
                _ if c.is_ascii() || is_printable(c) => push_go_char(&mut out, c),
                '\u{80}'..='\u{ffff}' => {
                    let _ = write!(out, "\\u{:04x}", u32::from(c));
                }
                _ => {
                    let _ = write!(out, "\\U{:08x}", u32::from(c));
                }
            }
        }
        for b in chunk.invalid() {
            let _ = write!(out, "\\x{b:02x}");
        }
    }
    out.push('"');
    out
}

/// Quotes a text as Go does in the faults of times: what is not printable ASCII byte by byte.
fn time_quote(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => {
                out.push('\\');
                out.push(c);
            }
            ' '..='\u{7f}' => out.push(c),
            _ => {
                for b in c.encode_utf8(&mut [0; 4]).bytes() {
                    let _ = write!(out, "\\x{b:02x}");
                }
            }
        }
    }
    out.push('"');
    out
}

/// Words the error for a text that is no time. Go names the piece of the layout at which it stopped;
/// the pieces are tried in their order.
pub(super) fn time_error(text: &str) -> DecodeError {
    const LAYOUT: &str = "2006-01-02T15:04:05Z07:00";
    const PIECES: [(&str, usize); 11] = [
        ("2006", 4),
        ("-", 1),
        ("01", 2),
        ("-", 1),
        ("02", 2),
        ("T", 1),
        ("15", 2),
        (":", 1),
        ("04", 2),
        (":", 1),
        ("05", 2),
    ];
    let quoted = time_quote(text);
    let mut rest = text;
    let mut numbers = Vec::new();
    for (piece, len) in PIECES {
        let (taken, after) = rest.split_at_checked(len).unwrap_or(("", rest));
        let digits = taken.bytes().all(|b| b.is_ascii_digit());
        let fits = if len == 1 {
            taken == piece
        } else {
            !taken.is_empty() && digits
        };
        if !fits {
            let rest = time_quote(rest);
            return DecodeError::new(format!(
                "parsing time {quoted} as \"{LAYOUT}\": cannot parse {rest} as \"{piece}\""
            ));
        }
        if len == 2 {
            numbers.push(taken.parse::<u32>().unwrap_or(0));
        }
        rest = after;
    }
    let [month, _, hour, minute, second] = numbers.as_slice() else {
        return DecodeError::new(format!("parsing time {quoted}: day out of range"));
    };
    let range = match () {
        () if !(1..=12).contains(month) => "month",
        () if *hour > 23 => "hour",
        () if *minute > 59 => "minute",
        () if *second > 59 => "second",
        () if rest == "Z" => "day",
        () => {
            let rest = time_quote(rest);
            return DecodeError::new(format!(
                "parsing time {quoted} as \"{LAYOUT}\": cannot parse {rest} as \"Z07:00\""
            ));
        }
    };
    DecodeError::new(format!("parsing time {quoted}: {range} out of range"))
}

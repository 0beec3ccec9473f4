//! Texts as Go prints them: quoted strings and what is wrong with a time.

use alloc::format;
use alloc::string::String;
use core::fmt::Write as _;

use super::decode::DecodeError;
use crate::text::rfc3339::{LAYOUT, TimeError};

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

/// Words the error for a text that is no time.
pub(super) fn time_error(text: &str, error: TimeError) -> DecodeError {
    let from = |at| time_quote(text.get(at..).unwrap_or_default());
    let quoted = time_quote(text);
    DecodeError::new(match error {
        TimeError::Unfit { at, piece } => {
            let rest = from(at);
            format!("parsing time {quoted} as \"{LAYOUT}\": cannot parse {rest} as \"{piece}\"")
        }
        TimeError::OutOfRange(part) => format!("parsing time {quoted}: {part} out of range"),
        TimeError::Extra { at } => format!("parsing time {quoted}: extra text: {}", from(at)),
    })
}

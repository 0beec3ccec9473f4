//! Texts of a case made into bytes for the server, and bytes of the server made into text.

use core::fmt::Write as _;
use std::io;

use crate::normalise::Normaliser;

/// Resolves names, repetitions and escapes of what is to be sent; a `line` gets its CR LF.
pub(crate) fn expand(names: &Normaliser, text: &str, line: bool) -> Vec<u8> {
    let mut text = text.to_owned();
    while let Some((before, inner, after)) = bracketed(&text, "${") {
        text = format!("{before}{}{after}", names.value(inner).unwrap_or_default());
    }
    while let Some((before, inner, after)) = bracketed(&text, "%{") {
        let (what, count) = inner.rsplit_once('*').unwrap_or((inner, "1"));
        text = format!("{before}{}{after}", what.repeat(count.parse().unwrap_or(1)));
    }
    let mut bytes = unescape(&text);
    if line && !text.ends_with('\\') {
        bytes.extend_from_slice(b"\r\n");
    }
    bytes
}

fn bracketed<'a>(text: &'a str, open: &str) -> Option<(&'a str, &'a str, &'a str)> {
    let (before, rest) = text.split_once(open)?;
    let (inner, after) = rest.split_once('}')?;
    Some((before, inner, after))
}

/// A quiet CONNECT with the capabilities of a modern client, unless `keys` says otherwise.
pub(crate) fn connect_line(keys: &str) -> io::Result<String> {
    let mut options = serde_json::json!({
        "verbose": false, "pedantic": false, "protocol": 1, "headers": true, "no_responders": true
    });
    if !keys.is_empty() {
        let extra: serde_json::Value = serde_json::from_str(keys).map_err(io::Error::other)?;
        if let (Some(all), Some(extra)) = (options.as_object_mut(), extra.as_object()) {
            all.extend(extra.clone());
        }
    }
    Ok(format!("CONNECT {options}\r\n"))
}

pub(crate) fn header_block(list: &str) -> String {
    let mut block = String::from("NATS/1.0\\r\\n");
    for header in list.split('|') {
        block.push_str(header);
        block.push_str("\\r\\n");
    }
    block.push_str("\\r\\n");
    block
}

/// Splits at CR LF; every other byte that does not print is escaped.
pub(crate) fn body_lines(body: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(body);
    text.split("\r\n")
        .map(|line| {
            let mut out = String::new();
            for c in line.chars() {
                if c == '\\' || (c.is_ascii() && !c.is_ascii_control()) || !c.is_ascii() {
                    out.push(c);
                } else {
                    let _ok = write!(out, "\\x{:02x}", u32::from(c));
                }
            }
            out
        })
        .collect()
}

fn unescape(text: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        if byte != b'\\' {
            out.push(byte);
            continue;
        }
        match bytes.next() {
            Some(b'r') => out.push(b'\r'),
            Some(b'n') => out.push(b'\n'),
            Some(b't') => out.push(b'\t'),
            Some(b'0') => out.push(0),
            Some(b'x') => {
                let digits: Vec<u8> = bytes.by_ref().take(2).collect();
                let code = core::str::from_utf8(&digits).ok();
                out.push(
                    code.and_then(|d| u8::from_str_radix(d, 16).ok())
                        .unwrap_or(b'?'),
                );
            }
            Some(other) => out.push(other),
            None => {}
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_become_bytes_and_a_lone_backslash_at_the_end_vanishes() {
        assert_eq!(unescape("a\\r\\n\\x41\\"), b"a\r\nA");
    }

    #[test]
    fn connect_keys_replace_the_defaults() {
        let line = connect_line(r#"{"verbose":true,"user":"u"}"#).unwrap();
        assert!(line.contains("\"verbose\":true") && line.contains("\"user\":\"u\""));
        assert_eq!(line.matches("verbose").count(), 1);
    }

    #[test]
    fn a_body_is_shown_line_by_line() {
        assert_eq!(
            body_lines(b"NATS/1.0\r\n\r\nx\x00"),
            ["NATS/1.0", "", "x\\x00"]
        );
    }
}

//! JSON as Go's encoder writes it: `<`, `>`, `&` and two line separators are escaped, also inside
//! subjects (`foo.\u003e`). Tests of clients compare bytes, so we write the same.

use alloc::vec::Vec;

use serde::Serialize;

/// Serialises `value` with Go's escapes.
///
/// # Errors
/// When the value's own serialisation fails, or a map's key is no string.
pub fn to_vec<T: Serialize + ?Sized>(value: &T) -> Result<Vec<u8>, serde_json::Error> {
    let mut plain = serde_json::to_vec(value)?;
    if plain.iter().any(|&b| may_need_escape(b)) {
        let mut escaped = Vec::with_capacity(plain.len() + plain.len() / 8);
        escape_into(&plain, &mut escaped);
        plain = escaped;
    }
    Ok(plain)
}

/// Appends the JSON text `json` to `out` with Go's escapes. The escaped characters stand only inside
/// strings, where the escape means the same.
pub(crate) fn escape_into(json: &[u8], out: &mut Vec<u8>) {
    let mut rest = json;
    while let Some(at) = rest.iter().position(|&b| may_need_escape(b)) {
        let (plain, special) = rest.split_at_checked(at).unwrap_or((rest, &[]));
        out.extend_from_slice(plain);
        let (escape, len): (&[u8], usize) = match special {
            [b'<', ..] => (b"\\u003c", 1),
            [b'>', ..] => (b"\\u003e", 1),
            [b'&', ..] => (b"\\u0026", 1),
            [0xe2, 0x80, 0xa8, ..] => (b"\\u2028", 3),
            [0xe2, 0x80, 0xa9, ..] => (b"\\u2029", 3),
            _ => (special.get(..1).unwrap_or(&[]), 1),
        };
        out.extend_from_slice(escape);
        rest = special.get(len..).unwrap_or(&[]);
    }
    out.extend_from_slice(rest);
}

/// 0xe2 starts the line separators, and much else.
fn may_need_escape(byte: u8) -> bool {
    matches!(byte, b'<' | b'>' | b'&' | 0xe2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn html_characters_and_line_separators_are_escaped() {
        let json = to_vec("a.>&<\u{2028}\u{2029}€é").unwrap();
        let expected = "\"a.\\u003e\\u0026\\u003c\\u2028\\u2029€é\"";
        assert_eq!(core::str::from_utf8(&json).unwrap(), expected);
    }

    #[test]
    fn text_without_special_characters_stays_as_it_is() {
        assert_eq!(
            to_vec(&["plain", "\u{1}\n"]).unwrap(),
            br#"["plain","\u0001\n"]"#
        );
    }
}

//! What stands behind the `?` of an address.

use serde_json::{Map, Value};

/// Reads a query into texts.
pub(super) fn parse(query: &str) -> Map<String, Value> {
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decode(key), Value::String(decode(value)))
        })
        .collect()
}

/// Undoes percent and plus signs.
pub(super) fn decode(text: &str) -> String {
    percent_decoded(&text.replace('+', " "))
}

/// Undoes percent signs. What is no escape stays as it is; what is no text becomes signs of replacement.
pub(super) fn percent_decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        rest = tail;
        let escaped = match (first, tail) {
            (b'%', [high, low, ..]) => hex(*high).zip(hex(*low)),
            _ => None,
        };
        match (first, escaped) {
            (_, Some((high, low))) => {
                bytes.push(high << 4 | low);
                rest = tail.get(2..).unwrap_or_default();
            }
            (byte, None) => bytes.push(byte),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn hex(digit: u8) -> Option<u8> {
    let value = char::from(digit).to_digit(16)?;
    u8::try_from(value).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_are_undone_and_what_is_none_stays() {
        for (text, expected) in [
            ("a%20b+c", "a b c"),
            ("%C3%A9", "é"),
            ("100%", "100%"),
            ("%zz%2", "%zz%2"),
            ("%ff", "\u{fffd}"),
            ("", ""),
        ] {
            assert_eq!(decode(text), expected, "{text}");
        }
    }

    #[test]
    fn a_query_is_pairs_of_texts() {
        let query = parse("station_name=a.b&partition_number=-1&&flag");
        let text = |key: &str| query.get(key).and_then(Value::as_str).map(str::to_owned);
        assert_eq!(text("station_name").as_deref(), Some("a.b"));
        assert_eq!(text("partition_number").as_deref(), Some("-1"));
        assert_eq!(text("flag").as_deref(), Some(""));
        assert_eq!(query.len(), 3);
    }
}

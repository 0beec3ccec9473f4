//! Bytes as text in double quotes, the way Go prints them in messages for people.

use core::fmt;

/// Shows bytes in double quotes, with Go's escapes for what cannot be printed.
#[derive(Clone, Copy, Debug)]
pub struct Quoted<'a>(pub &'a [u8]);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("\"")?;
        for chunk in self.0.utf8_chunks() {
            for c in chunk.valid().chars() {
                match c {
                    '"' | '\\' => write!(f, "\\{c}")?,
                    '\n' => f.write_str("\\n")?,
                    '\r' => f.write_str("\\r")?,
                    '\t' => f.write_str("\\t")?,
                    '\u{7}' => f.write_str("\\a")?,
                    '\u{8}' => f.write_str("\\b")?,
                    '\u{b}' => f.write_str("\\v")?,
                    '\u{c}' => f.write_str("\\f")?,
                    '\0'..' ' | '\u{7f}' => write!(f, "\\x{:02x}", u32::from(c))?,
                    '\u{80}'..'\u{a0}' => write!(f, "\\u{:04x}", u32::from(c))?,
                    _ => write!(f, "{c}")?,
                }
            }
            for byte in chunk.invalid() {
                write!(f, "\\x{byte:02x}")?;
            }
        }
        f.write_str("\"")
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;

    use super::*;

    #[test]
    fn what_cannot_be_printed_is_escaped() {
        let shown = Quoted(b"a\"\r\n\x01\xff").to_string();
        assert_eq!(shown, r#""a\"\r\n\x01\xff""#);
    }
}

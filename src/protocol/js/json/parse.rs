//! Reads JSON text into nodes that keep their order and their source.

use alloc::borrow::Cow;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::Write as _;

use super::go::{push_go_char, shown_escape};

/// How deep arrays and objects may nest. Far above any request, far below what the stack holds.
pub const DEPTH_MAX: usize = 64;

/// A value with the text it was read from.
#[derive(Clone, Debug)]
pub struct Node<'a> {
    /// The value.
    pub value: Value<'a>,
    /// Its JSON.
    pub raw: &'a [u8],
}

/// A JSON value. Objects keep the order and the doubles of the document.
#[derive(Clone, Debug)]
pub enum Value<'a> {
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number as it stands in the text.
    Number(&'a str),
    /// A string, unescaped.
    String(Cow<'a, str>),
    /// An array.
    Array(Vec<Node<'a>>),
    /// An object.
    Object(Vec<(Cow<'a, str>, Node<'a>)>),
}

impl Node<'_> {
    /// Reports whether the value is null.
    #[must_use]
    pub fn is_null(&self) -> bool {
        matches!(self.value, Value::Null)
    }
}

impl Value<'_> {
    pub(in crate::js) fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "bool",
            Self::Number(_) => "number",
            Self::String(_) => "string",
            Self::Array(_) => "array",
            Self::Object(_) => "object",
        }
    }
}

/// Why a text is no JSON.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SyntaxError {
    /// It ends too early.
    Eof,
    /// Something else stands there.
    At {
        /// What is wrong.
        text: String,
        /// How many bytes have been read, the faulty character included.
        offset: usize,
    },
}

/// Reads the one value of `text`; none if there is only white space.
///
/// # Errors
/// When the text is no JSON, or something follows the value.
pub fn parse(text: &[u8]) -> Result<Option<Node<'_>>, SyntaxError> {
    let mut values = Values::new(text);
    let Some(node) = values.next()? else {
        return Ok(None);
    };
    let parser = &mut values.0;
    parser.skip_space();
    if parser.peek().is_some() {
        return Err(parser.unexpected("after top-level value"));
    }
    Ok(Some(node))
}

/// The values of a text, one after the other.
pub(super) struct Values<'a>(Parser<'a>);

impl<'a> Values<'a> {
    /// Starts with the first one.
    pub(super) fn new(text: &'a [u8]) -> Self {
        Self(Parser { text, at: 0 })
    }

    /// Reads the next value; none at the end.
    pub(super) fn next(&mut self) -> Result<Option<Node<'a>>, SyntaxError> {
        self.0.skip_space();
        if self.0.peek().is_none() {
            return Ok(None);
        }
        self.0.node(0).map(Some)
    }
}

struct Parser<'a> {
    text: &'a [u8],
    at: usize,
}

impl<'a> Parser<'a> {
    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn skip_space(&mut self) {
        while let Some(b' ' | b'\t' | b'\r' | b'\n') = self.peek() {
            self.at += 1;
        }
    }

    fn node(&mut self, depth: usize) -> Result<Node<'a>, SyntaxError> {
        if depth > DEPTH_MAX {
            return Err(self.fault("exceeded max depth".into(), 0));
        }
        self.skip_space();
        let start = self.at;
        let value = match self.peek() {
            None => return Err(SyntaxError::Eof),
            Some(b'{') => Value::Object(self.object(depth)?),
            Some(b'[') => Value::Array(self.array(depth)?),
            Some(b'"') => Value::String(self.string()?),
            Some(b'-' | b'0'..=b'9') => Value::Number(self.number()?),
            Some(b't') => self.literal("true", Value::Bool(true))?,
            Some(b'f') => self.literal("false", Value::Bool(false))?,
            Some(b'n') => self.literal("null", Value::Null)?,
            Some(_) => return Err(self.unexpected("looking for beginning of value")),
        };
        let raw = self.text.get(start..self.at).unwrap_or_default();
        Ok(Node { value, raw })
    }

    fn object(&mut self, depth: usize) -> Result<Vec<(Cow<'a, str>, Node<'a>)>, SyntaxError> {
        let mut fields = Vec::new();
        self.at += 1;
        self.skip_space();
        if self.peek() == Some(b'}') {
            self.at += 1;
            return Ok(fields);
        }
        loop {
            self.skip_space();
            match self.peek() {
                None => return Err(SyntaxError::Eof),
                Some(b'"') => {}
                Some(_) => {
                    return Err(self.unexpected("looking for beginning of object key string"));
                }
            }
            let key = self.string()?;
            self.skip_space();
            match self.peek() {
                None => return Err(SyntaxError::Eof),
                Some(b':') => self.at += 1,
                Some(_) => return Err(self.unexpected("after object key")),
            }
            fields.push((key, self.node(depth + 1)?));
            self.skip_space();
            match self.peek() {
                None => return Err(SyntaxError::Eof),
                Some(b',') => self.at += 1,
                Some(b'}') => {
                    self.at += 1;
                    return Ok(fields);
                }
                Some(_) => return Err(self.unexpected("after object key:value pair")),
            }
        }
    }

    fn array(&mut self, depth: usize) -> Result<Vec<Node<'a>>, SyntaxError> {
        let mut nodes = Vec::new();
        self.at += 1;
        self.skip_space();
        if self.peek() == Some(b']') {
            self.at += 1;
            return Ok(nodes);
        }
        loop {
            nodes.push(self.node(depth + 1)?);
            self.skip_space();
            match self.peek() {
                None => return Err(SyntaxError::Eof),
                Some(b',') => self.at += 1,
                Some(b']') => {
                    self.at += 1;
                    return Ok(nodes);
                }
                Some(_) => return Err(self.unexpected("after array element")),
            }
        }
    }

    fn number(&mut self) -> Result<&'a str, SyntaxError> {
        let start = self.at;
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        if self.peek() == Some(b'0') {
            self.at += 1;
        } else {
            self.digits()?;
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if let Some(b'e' | b'E') = self.peek() {
            self.at += 1;
            if let Some(b'+' | b'-') = self.peek() {
                self.at += 1;
            }
            self.digits()?;
        }
        let digits = self.text.get(start..self.at).unwrap_or_default();
        Ok(core::str::from_utf8(digits).unwrap_or_default())
    }

    fn digits(&mut self) -> Result<(), SyntaxError> {
        match self.peek() {
            None => return Err(SyntaxError::Eof),
            Some(b'0'..=b'9') => {}
            Some(_) => return Err(self.unexpected("in numeric literal")),
        }
        while let Some(b'0'..=b'9') = self.peek() {
            self.at += 1;
        }
        Ok(())
    }

    fn literal(&mut self, word: &str, value: Value<'a>) -> Result<Value<'a>, SyntaxError> {
        for expected in word.bytes() {
            match self.peek() {
                None => return Err(SyntaxError::Eof),
                Some(b) if b == expected => self.at += 1,
                Some(_) => {
                    let expected = char::from(expected);
                    let place = format!("in literal {word} (expecting '{expected}')");
                    return Err(self.unexpected(&place));
                }
            }
        }
        Ok(value)
    }

    fn string(&mut self) -> Result<Cow<'a, str>, SyntaxError> {
        self.at += 1;
        let start = self.at;
        let mut unescaped: Option<String> = None;
        let mut plain = start;
        loop {
            let b = self.peek().ok_or(SyntaxError::Eof)?;
            if b < 0x20 {
                return Err(self.unexpected("in string"));
            }
            if b == b'"' || b == b'\\' {
                let run = self.text.get(plain..self.at).unwrap_or_default();
                if b == b'"' {
                    self.at += 1;
                    return Ok(match unescaped {
                        None => String::from_utf8_lossy(run),
                        Some(mut text) => {
                            text.push_str(&String::from_utf8_lossy(run));
                            Cow::Owned(text)
                        }
                    });
                }
                let text = unescaped.get_or_insert_default();
                text.push_str(&String::from_utf8_lossy(run));
                text.push(self.escape()?);
                plain = self.at;
            } else {
                self.at += 1;
            }
        }
    }

    fn escape(&mut self) -> Result<char, SyntaxError> {
        let kind = *self.text.get(self.at + 1).ok_or(SyntaxError::Eof)?;
        let c = match kind {
            b'"' | b'\\' | b'/' => char::from(kind),
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => return self.unicode_escape(),
            _ => return Err(self.bad_escape(2)),
        };
        self.at += 2;
        Ok(c)
    }

    fn unicode_escape(&mut self) -> Result<char, SyntaxError> {
        let high = self.hex4()?;
        self.at += 6;
        if let 0xd800..0xdc00 = high
            && self.text.get(self.at..self.at + 2) == Some(b"\\u")
        {
            let low = self.hex4()?;
            if let 0xdc00..0xe000 = low {
                self.at += 6;
                let code = 0x1_0000 + ((high - 0xd800) << 10) + (low - 0xdc00);
                return Ok(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER));
            }
        }
        Ok(char::from_u32(high).unwrap_or(char::REPLACEMENT_CHARACTER))
    }

    fn hex4(&self) -> Result<u32, SyntaxError> {
        let rest = self.text.get(self.at + 2..).unwrap_or_default();
        let mut code = 0;
        for i in 0..4 {
            let digit = *rest.get(i).ok_or(SyntaxError::Eof)?;
            let Some(digit) = char::from(digit).to_digit(16) else {
                return Err(self.bad_escape(6));
            };
            code = code * 16 + digit;
        }
        Ok(code)
    }

    fn bad_escape(&self, len: usize) -> SyntaxError {
        let rest = self.text.get(self.at..).unwrap_or_default();
        let sequence = rest.get(..len).unwrap_or(rest);
        let shown = shown_escape(sequence);
        let text = format!("invalid escape sequence {shown} in string");
        self.fault(text, sequence.len())
    }

    fn unexpected(&self, place: &str) -> SyntaxError {
        let rest = self.text.get(self.at..).unwrap_or_default();
        let first = rest.utf8_chunks().next();
        let valid = first
            .as_ref()
            .and_then(|chunk| chunk.valid().chars().next());
        let mut shown = String::new();
        let len = match valid {
            Some('\'') => {
                shown.push_str("\\'");
                1
            }
            Some(c) => {
                push_go_char(&mut shown, c);
                c.len_utf8()
            }
            None => {
                let _ = write!(shown, "\\x{:02x}", self.peek().unwrap_or_default());
                1
            }
        };
        self.fault(format!("invalid character '{shown}' {place}"), len)
    }

    fn fault(&self, text: String, len: usize) -> SyntaxError {
        SyntaxError::At {
            text,
            offset: self.at + len,
        }
    }
}

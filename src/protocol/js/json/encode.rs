//! Writes JSON: compact, with `<`, `>` and `&` escaped as Go's encoder does.

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::text::duration::Nanos;
use crate::text::rfc3339::Rfc3339;
use crate::time::Wall;

/// A value that has a JSON form.
pub trait ToJson {
    /// Writes the value.
    fn write(&self, to: &mut Writer);

    /// Returns whether a field marked `omit` is left out: zero, empty or absent.
    fn is_empty(&self) -> bool;
}

/// A value that is an object, or a part of one.
pub trait Fields {
    /// Writes the fields, without the braces.
    fn write_fields(&self, to: &mut Writer);
}

/// Returns `value` as JSON.
#[must_use]
pub fn to_vec<T: ToJson + ?Sized>(value: &T) -> Vec<u8> {
    let mut to = Writer::default();
    value.write(&mut to);
    to.into_bytes()
}

/// Builds one JSON text and places the commas.
#[derive(Debug, Default)]
pub struct Writer {
    out: String,
    wants_comma: bool,
}

impl Writer {
    /// Returns the text.
    #[must_use]
    pub fn into_bytes(self) -> Vec<u8> {
        self.out.into_bytes()
    }

    /// Opens an object.
    pub fn begin_object(&mut self) {
        self.begin('{');
    }

    /// Closes an object.
    pub fn end_object(&mut self) {
        self.end('}');
    }

    /// Opens an array.
    pub(crate) fn begin_array(&mut self) {
        self.begin('[');
    }

    /// Closes an array.
    pub(crate) fn end_array(&mut self) {
        self.end(']');
    }

    /// Writes a key; its value must follow.
    pub fn key(&mut self, key: &str) {
        self.string(key);
        self.out.push(':');
        self.wants_comma = false;
    }

    /// Writes a key and its value.
    pub fn field<T: ToJson + ?Sized>(&mut self, key: &str, value: &T) {
        self.key(key);
        value.write(self);
    }

    /// Writes a key and its value unless the value is empty.
    pub fn field_if_set<T: ToJson + ?Sized>(&mut self, key: &str, value: &T) {
        if !value.is_empty() {
            self.field(key, value);
        }
    }

    /// Writes a string.
    pub fn string(&mut self, text: &str) {
        self.separate();
        self.out.push('"');
        for c in text.chars() {
            self.push_escaped(c);
        }
        self.out.push('"');
    }

    /// Writes what displays as a JSON number or literal.
    pub fn literal(&mut self, value: impl core::fmt::Display) {
        self.separate();
        // Writing to a String cannot fail.
        let _ = write!(self.out, "{value}");
    }

    /// Writes what displays without a character that needs escaping, as a string.
    pub(crate) fn plain_string(&mut self, value: impl core::fmt::Display) {
        self.separate();
        let _ = write!(self.out, "\"{value}\"");
    }

    /// Writes bytes as a string of base64.
    pub fn base64(&mut self, bytes: &[u8]) {
        self.separate();
        self.out.push('"');
        STANDARD.encode_string(bytes, &mut self.out);
        self.out.push('"');
    }

    /// Continues an object after fields that were written as text.
    pub(crate) fn raw_fields(&mut self, fields: &str) {
        if !fields.is_empty() {
            self.separate();
            self.out.push_str(fields);
        }
    }

    fn begin(&mut self, bracket: char) {
        self.separate();
        self.out.push(bracket);
        self.wants_comma = false;
    }

    fn end(&mut self, bracket: char) {
        self.out.push(bracket);
        self.wants_comma = true;
    }

    fn separate(&mut self) {
        if self.wants_comma {
            self.out.push(',');
        }
        self.wants_comma = true;
    }

    fn push_escaped(&mut self, c: char) {
        match c {
            '"' => self.out.push_str("\\\""),
            '\\' => self.out.push_str("\\\\"),
            '\n' => self.out.push_str("\\n"),
            '\r' => self.out.push_str("\\r"),
            '\t' => self.out.push_str("\\t"),
            '\u{8}' => self.out.push_str("\\b"),
            '\u{c}' => self.out.push_str("\\f"),
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' | '\0'..='\u{1f}' => {
                let _ = write!(self.out, "\\u{:04x}", u32::from(c));
            }
            _ => self.out.push(c),
        }
    }
}

macro_rules! plain {
    ($($ty:ty: $zero:expr),*) => {$(
        impl ToJson for $ty {
            fn write(&self, to: &mut Writer) {
                to.literal(self);
            }

            fn is_empty(&self) -> bool {
                *self == $zero
            }
        }
    )*};
}

plain!(bool: false, i32: 0, i64: 0, u16: 0, u32: 0, u64: 0, usize: 0);

impl ToJson for Nanos {
    fn write(&self, to: &mut Writer) {
        to.literal(self.0);
    }

    fn is_empty(&self) -> bool {
        self.0 == 0
    }
}

impl ToJson for Wall {
    fn write(&self, to: &mut Writer) {
        to.plain_string(Rfc3339(*self));
    }

    fn is_empty(&self) -> bool {
        self.0 == 0
    }
}

impl ToJson for str {
    fn write(&self, to: &mut Writer) {
        to.string(self);
    }

    fn is_empty(&self) -> bool {
        self.is_empty()
    }
}

impl ToJson for String {
    fn write(&self, to: &mut Writer) {
        to.string(self);
    }

    fn is_empty(&self) -> bool {
        self.is_empty()
    }
}

impl<T: ToJson + ?Sized> ToJson for &T {
    fn write(&self, to: &mut Writer) {
        (**self).write(to);
    }

    fn is_empty(&self) -> bool {
        (**self).is_empty()
    }
}

impl<T: ToJson> ToJson for Option<T> {
    fn write(&self, to: &mut Writer) {
        match self {
            Some(value) => value.write(to),
            None => to.literal("null"),
        }
    }

    fn is_empty(&self) -> bool {
        self.is_none()
    }
}

impl<T: ToJson> ToJson for Vec<T> {
    fn write(&self, to: &mut Writer) {
        self.as_slice().write(to);
    }

    fn is_empty(&self) -> bool {
        self.is_empty()
    }
}

impl<T: ToJson> ToJson for [T] {
    fn write(&self, to: &mut Writer) {
        to.begin_array();
        for value in self {
            value.write(to);
        }
        to.end_array();
    }

    fn is_empty(&self) -> bool {
        self.is_empty()
    }
}

impl<T: ToJson> ToJson for BTreeMap<String, T> {
    fn write(&self, to: &mut Writer) {
        to.begin_object();
        for (key, value) in self {
            to.field(key, value);
        }
        to.end_object();
    }

    fn is_empty(&self) -> bool {
        self.is_empty()
    }
}

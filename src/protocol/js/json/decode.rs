//! Maps parsed JSON to typed values and words the errors.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;

use super::go::{go_quote, time_error};
use super::parse::{Node, SyntaxError, Value, Values, parse};
use super::record::Flags;
use crate::text::duration::Nanos;
use crate::text::rfc3339;
use crate::time::Wall;

/// Whether keys nobody knows are errors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strictness {
    /// They are; and syntax errors tell their offset.
    Strict,
    /// They are skipped.
    Lax,
}

/// Why a request's body cannot be understood. Displays as clients know it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DecodeError(String);

impl DecodeError {
    /// Makes the error with this text.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// Returns the error of an enumeration that does not know the value.
    #[must_use]
    pub(crate) fn unknown_name(node: &Node<'_>) -> Self {
        Self(format!("can not unmarshal {}", go_quote(node.raw)))
    }

    fn syntax(error: SyntaxError, strictness: Strictness) -> Self {
        Self(match (error, strictness) {
            (SyntaxError::Eof, Strictness::Strict) => "unexpected EOF".into(),
            (SyntaxError::Eof, Strictness::Lax) => "unexpected end of JSON input".into(),
            (SyntaxError::At { text, offset }, Strictness::Strict) => {
                format!("{text} at offset {offset}")
            }
            (SyntaxError::At { text, .. }, Strictness::Lax) => text,
        })
    }
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A value that can be read from JSON, into a value that stands already: null changes nothing.
pub trait FromJson: Default {
    /// The type's name in error texts.
    const GO_TYPE: &'static str;
    /// The name of a list of it.
    const GO_SLICE: &'static str;

    /// Reads the value.
    ///
    /// # Errors
    /// When the JSON is of another type.
    fn read(&mut self, node: &Node<'_>, cx: &mut Context) -> Result<(), DecodeError>;
}

/// An object with declared fields.
pub trait Record: Default {
    /// The type's name in error texts, without its package.
    const GO: &'static str;

    /// Reads the field called `key`; false when there is none.
    ///
    /// # Errors
    /// When the field is of another type.
    fn read_field(
        &mut self,
        key: &str,
        node: &Node<'_>,
        cx: &mut Context,
    ) -> Result<bool, DecodeError>;
}

/// Says whether a key of a request names the field `declared`: whatever the case of its letters, with the two
/// letters beyond ASCII that have ASCII ones as their other case.
#[must_use]
pub(crate) fn is_same_key(key: &str, declared: &str) -> bool {
    if key.is_ascii() {
        return key.eq_ignore_ascii_case(declared);
    }
    let folded = key.chars().map(|c| match c {
        '\u{17f}' => 's',
        '\u{212a}' => 'k',
        c => c.to_ascii_lowercase(),
    });
    folded.eq(declared.chars())
}

/// Decodes a JSON object. An empty body and `null` give the default value. If strict, more objects may
/// follow: each changes what it names.
///
/// # Errors
/// When the body is no JSON, has a key that is not known (if strict), or a value of another type. A fault
/// of types is told if the value it is in is JSON, whatever follows that.
pub fn decode<T: Record>(body: &[u8], strictness: Strictness) -> Result<T, DecodeError> {
    let mut value = T::default();
    let mut cx = Context {
        root: T::GO,
        path: String::new(),
        strictness,
        int: false,
    };
    let fault = |error| DecodeError::syntax(error, strictness);
    match strictness {
        Strictness::Strict => {
            let mut values = Values::new(body);
            while let Some(node) = values.next().map_err(fault)? {
                cx.read_record(&mut value, &node)?;
            }
        }
        Strictness::Lax => {
            if let Some(node) = parse(body).map_err(fault)? {
                cx.read_record(&mut value, &node)?;
            }
        }
    }
    Ok(value)
}

/// Where in the document the decoder is, for error texts.
#[derive(Debug)]
pub struct Context {
    root: &'static str,
    path: String,
    strictness: Strictness,
    int: bool,
}

impl Context {
    /// Reads one declared field; error texts spell it as the request does, in `key`.
    ///
    /// # Errors
    /// When the JSON is of another type.
    pub(crate) fn read_field<T: FromJson>(
        &mut self,
        key: &str,
        flags: Flags,
        field: &mut T,
        node: &Node<'_>,
    ) -> Result<(), DecodeError> {
        self.int = flags.int;
        self.within(key, |cx| field.read(node, cx))
    }

    /// Reads the fields of an object in document order.
    ///
    /// # Errors
    /// When the JSON is no object, or at its first faulty field.
    pub(crate) fn read_record<T: Record>(
        &mut self,
        record: &mut T,
        node: &Node<'_>,
    ) -> Result<(), DecodeError> {
        if node.is_null() {
            return Ok(());
        }
        let Value::Object(fields) = &node.value else {
            return Err(self.mismatch(&format!("server.{}", T::GO), node));
        };
        for (key, value) in fields {
            let known = record.read_field(key, value, self)?;
            if !known && self.strictness == Strictness::Strict {
                let key = go_quote(key.as_bytes());
                return Err(DecodeError(format!("json: unknown field {key}")));
            }
        }
        Ok(())
    }

    /// Returns the error for a value of another type than `wanted`.
    #[must_use]
    pub fn mismatch(&self, wanted: &str, node: &Node<'_>) -> DecodeError {
        let found = match (&node.value, wanted) {
            (Value::Number(text), "int" | "int32" | "int64" | "uint64" | "time.Duration") => {
                format!("number {text}")
            }
            (value, _) => value.kind().to_string(),
        };
        let place = if self.path.is_empty() {
            "Go value".to_string()
        } else {
            // An element of a list is no field.
            let last = self.path.rsplit('.').next().unwrap_or_default();
            let is_index = !last.is_empty() && last.bytes().all(|b| b.is_ascii_digit());
            let field = if is_index { "" } else { "Go struct field " };
            format!("{field}{}{}", self.root, self.path)
        };
        DecodeError(format!(
            "json: cannot unmarshal {found} into {place} of type {wanted}"
        ))
    }

    fn within<R>(&mut self, step: &str, read: impl FnOnce(&mut Self) -> R) -> R {
        let len = self.path.len();
        self.path.push('.');
        // Steps are told as a JSON pointer has them.
        for c in step.chars() {
            match c {
                '~' => self.path.push_str("~0"),
                '/' => self.path.push_str("~1"),
                c => self.path.push(c),
            }
        }
        let result = read(self);
        self.path.truncate(len);
        result
    }
}

impl FromJson for String {
    const GO_TYPE: &'static str = "string";
    const GO_SLICE: &'static str = "[]string";

    fn read(&mut self, node: &Node<'_>, cx: &mut Context) -> Result<(), DecodeError> {
        if !node.is_null() {
            let Value::String(text) = &node.value else {
                return Err(cx.mismatch(Self::GO_TYPE, node));
            };
            *self = text.to_string();
        }
        Ok(())
    }
}

impl FromJson for bool {
    const GO_TYPE: &'static str = "bool";
    const GO_SLICE: &'static str = "[]bool";

    fn read(&mut self, node: &Node<'_>, cx: &mut Context) -> Result<(), DecodeError> {
        if !node.is_null() {
            let Value::Bool(value) = node.value else {
                return Err(cx.mismatch(Self::GO_TYPE, node));
            };
            *self = value;
        }
        Ok(())
    }
}

macro_rules! number {
    ($($ty:ty: $go:literal, $slice:literal;)*) => {$(
        impl FromJson for $ty {
            const GO_TYPE: &'static str = $go;
            const GO_SLICE: &'static str = $slice;

            fn read(&mut self, node: &Node<'_>, cx: &mut Context) -> Result<(), DecodeError> {
                let go = if cx.int { "int" } else { Self::GO_TYPE };
                if !node.is_null() {
                    let Value::Number(text) = node.value else {
                        return Err(cx.mismatch(go, node));
                    };
                    *self = text.parse().map_err(|_| cx.mismatch(go, node))?;
                }
                Ok(())
            }
        }
    )*};
}

number! {
    i32: "int32", "[]int32";
    i64: "int64", "[]int64";
    u64: "uint64", "[]uint64";
}

impl FromJson for Nanos {
    const GO_TYPE: &'static str = "time.Duration";
    const GO_SLICE: &'static str = "[]time.Duration";

    fn read(&mut self, node: &Node<'_>, cx: &mut Context) -> Result<(), DecodeError> {
        if !node.is_null() {
            let Value::Number(text) = &node.value else {
                return Err(cx.mismatch(Self::GO_TYPE, node));
            };
            self.0 = text.parse().map_err(|_| cx.mismatch(Self::GO_TYPE, node))?;
        }
        Ok(())
    }
}

impl FromJson for Wall {
    const GO_TYPE: &'static str = "time.Time";
    const GO_SLICE: &'static str = "[]time.Time";

    fn read(&mut self, node: &Node<'_>, cx: &mut Context) -> Result<(), DecodeError> {
        if !node.is_null() {
            let Value::String(text) = &node.value else {
                return Err(cx.mismatch(Self::GO_TYPE, node));
            };
            *self = rfc3339::parse(text).map_err(|error| time_error(text, error))?;
        }
        Ok(())
    }
}

impl<T: FromJson> FromJson for Option<T> {
    const GO_TYPE: &'static str = T::GO_TYPE;
    const GO_SLICE: &'static str = T::GO_SLICE;

    fn read(&mut self, node: &Node<'_>, cx: &mut Context) -> Result<(), DecodeError> {
        if node.is_null() {
            *self = None;
            return Ok(());
        }
        self.get_or_insert_default().read(node, cx)
    }
}

impl<T: FromJson> FromJson for Vec<T> {
    const GO_TYPE: &'static str = T::GO_SLICE;
    const GO_SLICE: &'static str = "[][]";

    fn read(&mut self, node: &Node<'_>, cx: &mut Context) -> Result<(), DecodeError> {
        self.clear();
        if node.is_null() {
            return Ok(());
        }
        let Value::Array(nodes) = &node.value else {
            return Err(cx.mismatch(Self::GO_TYPE, node));
        };
        for (i, node) in nodes.iter().enumerate() {
            let mut value = T::default();
            cx.within(&i.to_string(), |cx| value.read(node, cx))?;
            self.push(value);
        }
        Ok(())
    }
}

impl<T: FromJson> FromJson for BTreeMap<String, T> {
    // Requests hold no other maps.
    const GO_TYPE: &'static str = "map[string]string";
    const GO_SLICE: &'static str = "[]map[string]string";

    fn read(&mut self, node: &Node<'_>, cx: &mut Context) -> Result<(), DecodeError> {
        if node.is_null() {
            self.clear();
            return Ok(());
        }
        let Value::Object(fields) = &node.value else {
            return Err(cx.mismatch(Self::GO_TYPE, node));
        };
        for (key, node) in fields {
            let mut value = T::default();
            cx.within(key, |cx| value.read(node, cx))?;
            self.insert(key.to_string(), value);
        }
        Ok(())
    }
}

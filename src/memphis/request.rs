//! The bodies of requests. Keys are matched without regard to case, as Memphis did: its SDKs spell
//! the same key differently.

use alloc::string::String;
use alloc::vec::Vec;

use serde_json::{Map, Value};

/// A request's JSON object.
#[derive(Clone, Debug)]
pub struct Fields(Map<String, Value>);

/// The body is no JSON object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the request is not a JSON object")]
pub struct NotAnObject;

impl Fields {
    /// Parses a body.
    ///
    /// # Errors
    /// When the body is not one JSON object.
    pub fn parse(body: &[u8]) -> Result<Self, NotAnObject> {
        match serde_json::from_slice(body) {
            Ok(Value::Object(map)) => Ok(Self(map)),
            Ok(_) | Err(_) => Err(NotAnObject),
        }
    }

    /// Returns a text, empty if the key is missing or no text.
    #[must_use]
    pub fn text(&self, key: &str) -> &str {
        self.value(key).and_then(Value::as_str).unwrap_or_default()
    }

    /// Returns the texts of a list; none if the key is missing or no list.
    #[must_use]
    pub fn list(&self, key: &str) -> Vec<String> {
        let list = self.value(key).and_then(Value::as_array);
        let texts = list.into_iter().flatten().filter_map(Value::as_str);
        texts.map(String::from).collect()
    }

    /// Returns the whole numbers of a list, also those written as texts.
    #[must_use]
    pub(crate) fn integers(&self, key: &str) -> Vec<i64> {
        let list = self.value(key).and_then(Value::as_array);
        let number = |value: &Value| match value.as_str() {
            Some(text) => text.parse().ok(),
            None => value.as_i64(),
        };
        list.into_iter().flatten().filter_map(number).collect()
    }

    /// Returns the objects of a list.
    #[must_use]
    pub fn objects(&self, key: &str) -> Vec<Self> {
        let list = self.value(key).and_then(Value::as_array);
        let objects = list.into_iter().flatten().filter_map(Value::as_object);
        objects.map(|object| Self(object.clone())).collect()
    }

    /// Puts a text in place of what the key had.
    pub(crate) fn set(&mut self, key: &str, text: &str) {
        self.0.retain(|k, _| !k.eq_ignore_ascii_case(key));
        self.0.insert(key.into(), text.into());
    }

    /// Returns a whole number, 0 if the key is missing or no such number.
    #[must_use]
    pub fn integer(&self, key: &str) -> i64 {
        self.integer_if_set(key).unwrap_or_default()
    }

    /// Returns a whole number, `None` if the key is missing. The .NET SDK sends some as text.
    #[must_use]
    pub(crate) fn integer_if_set(&self, key: &str) -> Option<i64> {
        let value = self.value(key)?;
        match value.as_str() {
            Some(text) => text.parse().ok(),
            None => value.as_i64(),
        }
    }

    /// Returns a truth value, `None` if the key is missing or no such value.
    #[must_use]
    pub fn flag(&self, key: &str) -> Option<bool> {
        self.value(key).and_then(Value::as_bool)
    }

    /// Returns an object within; an empty one if the key is missing or no object.
    #[must_use]
    pub fn object(&self, key: &str) -> Self {
        match self.value(key) {
            Some(Value::Object(map)) => Self(map.clone()),
            Some(_) | None => Self(Map::new()),
        }
    }

    /// Returns the keys and those values that are texts.
    pub fn texts(&self) -> impl Iterator<Item = (&str, &str)> {
        let pairs = self.0.iter();
        pairs.filter_map(|(key, value)| Some((key.as_str(), value.as_str()?)))
    }

    fn value(&self, key: &str) -> Option<&Value> {
        self.0
            .iter()
            .find(|(k, _)| k.eq_ignore_ascii_case(key))
            .map(|(_, value)| value)
    }
}

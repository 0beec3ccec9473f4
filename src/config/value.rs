//! The tree that a configuration file is parsed into: values with the place they were written at.
//!
//! *Invariant:* a [`Map`] keeps the order of the file and holds each key once; a key that is written
//! again replaces the value before.

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

/// Where something is written. Columns count bytes from 1, on the first line from 0: nats-server
/// prints them so, and tools compare its messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pos {
    /// The path as the user named it.
    pub file: Arc<str>,
    /// The line, from 1.
    pub line: u32,
    /// The column.
    pub column: u32,
}

impl fmt::Display for Pos {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file, self.line, self.column)
    }
}

/// A value and where it stands: in a map the place of its key, in an array its own.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// The value.
    pub value: Value,
    /// The place.
    pub at: Pos,
    /// Whether a `$variable` refers to it, so that its key may be one that no option has.
    pub referenced: bool,
}

/// What a key can hold.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Quoted, or a bare word that is nothing else.
    Text(String),
    /// A whole number, its size suffix applied.
    Int(i64),
    /// A number with a decimal point.
    Float(f64),
    /// A switch.
    Bool(bool),
    /// A point in time, `2006-01-02T15:04:05Z`.
    Time(String),
    /// `[...]`.
    List(Vec<Node>),
    /// `{...}`.
    Map(Map),
}

impl Value {
    /// Names the kind of value as Go does, and nats-server's messages with it.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Text(_) => "string",
            Self::Int(_) => "int64",
            Self::Float(_) => "float64",
            Self::Bool(_) => "bool",
            Self::Time(_) => "time.Time",
            Self::List(_) => "[]interface {}",
            Self::Map(_) => "map[string]interface {}",
        }
    }
}

/// Keys with their values, in the order of the file.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Map(Vec<(String, Node)>);

impl Map {
    /// Returns the entries in the order of the file.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Node)> {
        self.0.iter().map(|(key, node)| (key.as_str(), node))
    }

    /// Returns the value of `key`, matched exactly.
    #[must_use]
    pub fn find(&self, key: &str) -> Option<&Node> {
        self.0.iter().find(|(k, _)| k == key).map(|(_, node)| node)
    }

    /// Tells whether there are no entries.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns how many entries there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn find_mut(&mut self, key: &str) -> Option<&mut Node> {
        let found = self.0.iter_mut().find(|(k, _)| k == key);
        found.map(|(_, node)| node)
    }

    pub(crate) fn set(&mut self, key: String, node: Node) {
        match self.find_mut(&key) {
            Some(old) => *old = node,
            None => self.0.push((key, node)),
        }
    }
}

impl IntoIterator for Map {
    type Item = (String, Node);
    type IntoIter = alloc::vec::IntoIter<(String, Node)>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

//! Takes values of the expected type out of the tree and collects what is wrong with the others, so
//! that a user sees all mistakes at once.

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::time::Duration;

use crate::duration;
use crate::error::Finding;
use crate::value::{Map, Node, Pos, Value};

/// A setting that is understood but has no effect yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unsupported {
    /// The key with the blocks around it, as in `cluster.routes`.
    pub key: String,
    /// Its place; none for a flag.
    pub at: Option<Pos>,
    /// Whether a server without it would be less safe than what is asked for, so that it must not
    /// start.
    pub refuse: bool,
}

impl fmt::Display for Unsupported {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.at {
            Some(at) => write!(f, "{} ({at})", self.key),
            None => f.write_str(&self.key),
        }
    }
}

/// Collects what is found out about the values.
#[derive(Default)]
pub(super) struct Reader {
    pub(super) errors: Vec<Finding>,
    pub(super) warnings: Vec<Finding>,
    pub(super) unsupported: Vec<Unsupported>,
}

/// Puts a value in its place if there is one.
pub(super) fn set<T>(slot: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *slot = value;
    }
}

impl Reader {
    pub(super) fn error(&mut self, at: &Pos, reason: impl Into<String>) {
        self.errors.push(Finding {
            at: at.clone(),
            reason: reason.into(),
        });
    }

    pub(super) fn warning(&mut self, at: &Pos, reason: impl Into<String>) {
        self.warnings.push(Finding {
            at: at.clone(),
            reason: reason.into(),
        });
    }

    /// Notes a setting that has no effect yet.
    pub(super) fn ignored(&mut self, key: &str, node: &Node) {
        self.note(key, node, false);
    }

    /// Notes a setting that has no effect yet and that it would be unsafe to go on without.
    pub(super) fn refused(&mut self, key: &str, node: &Node) {
        self.note(key, node, true);
    }

    fn note(&mut self, key: &str, node: &Node, refuse: bool) {
        self.unsupported.push(Unsupported {
            key: key.to_owned(),
            at: Some(node.at.clone()),
            refuse,
        });
    }

    /// Calls `known` with each entry's lower-cased key; it tells whether it knows the key.
    pub(super) fn each(
        &mut self,
        node: &Node,
        mut known: impl FnMut(&mut Self, &str, &Node) -> bool,
    ) {
        let Some(map) = self.map(node) else { return };
        self.each_of(map, &mut known);
    }

    pub(super) fn each_of(
        &mut self,
        map: &Map,
        mut known: impl FnMut(&mut Self, &str, &Node) -> bool,
    ) {
        for (key, node) in map.iter() {
            if !known(self, &key.to_ascii_lowercase(), node) && !node.referenced {
                self.error(&node.at, format!("unknown field {key:?}"));
            }
        }
    }

    pub(super) fn map<'a>(&mut self, node: &'a Node) -> Option<&'a Map> {
        match &node.value {
            Value::Map(map) => Some(map),
            _ => self.mismatch(node, "a map"),
        }
    }

    pub(super) fn list<'a>(&mut self, node: &'a Node) -> &'a [Node] {
        match &node.value {
            Value::List(items) => items,
            _ => {
                self.mismatch::<()>(node, "a list");
                &[]
            }
        }
    }

    pub(super) fn text(&mut self, node: &Node) -> Option<String> {
        match &node.value {
            Value::Text(text) => Some(text.clone()),
            _ => self.mismatch(node, "a string"),
        }
    }

    /// Returns a text that stands for "not set" when it is empty.
    pub(super) fn name(&mut self, node: &Node) -> Option<Option<String>> {
        self.text(node)
            .map(|text| Some(text).filter(|t| !t.is_empty()))
    }

    /// Returns a password or token. Digits alone are a secret too, not a number.
    pub(super) fn secret(&mut self, node: &Node) -> Option<Option<String>> {
        match &node.value {
            Value::Int(n) => Some(Some(format!("{n}"))),
            _ => self.name(node),
        }
    }

    /// Returns one text or a list of them.
    pub(super) fn texts(&mut self, node: &Node) -> Vec<String> {
        match &node.value {
            Value::Text(text) => Vec::from([text.clone()]),
            Value::List(items) => items.iter().filter_map(|item| self.text(item)).collect(),
            _ => {
                self.mismatch::<()>(node, "a string or a list of strings");
                Vec::new()
            }
        }
    }

    pub(super) fn boolean(&mut self, node: &Node) -> Option<bool> {
        match node.value {
            Value::Bool(switch) => Some(switch),
            _ => self.mismatch(node, "a boolean"),
        }
    }

    pub(super) fn int(&mut self, node: &Node) -> Option<i64> {
        match node.value {
            Value::Int(n) => Some(n),
            _ => self.mismatch(node, "an integer"),
        }
    }

    /// Returns an integer that fits `T`; negative ones count as 0.
    pub(super) fn count<T: TryFrom<i64>>(&mut self, key: &str, node: &Node) -> Option<T> {
        let n = self.int(node)?;
        self.fit(key, node, n.max(0))
    }

    /// Returns an integer that fits `T`; negative ones mean "no limit".
    pub(super) fn cap<T: TryFrom<i64>>(&mut self, key: &str, node: &Node) -> Option<Option<T>> {
        let n = self.int(node)?;
        self.fit_cap(key, node, n)
    }

    /// Returns a size in bytes, a number or a text such as `10G`; negative ones mean "no limit".
    pub(super) fn size_cap(&mut self, key: &str, node: &Node) -> Option<Option<u64>> {
        let n = match &node.value {
            Value::Int(n) => *n,
            Value::Text(text) => match text_size(text) {
                Some(n) => n,
                None => {
                    self.error(
                        &node.at,
                        format!("{key} must be a size that ends in K, M, G or T"),
                    );
                    return None;
                }
            },
            _ => return self.mismatch(node, "a size"),
        };
        self.fit_cap(key, node, n)
    }

    fn fit_cap<T: TryFrom<i64>>(&mut self, key: &str, node: &Node, n: i64) -> Option<Option<T>> {
        if n < 0 {
            return Some(None);
        }
        self.fit(key, node, n).map(Some)
    }

    fn fit<T: TryFrom<i64>>(&mut self, key: &str, node: &Node, n: i64) -> Option<T> {
        let fitting = T::try_from(n).ok();
        if fitting.is_none() {
            self.error(&node.at, format!("{key} value is too big"));
        }
        fitting
    }

    /// Returns a duration; a number counts as seconds and is warned about.
    pub(super) fn duration(&mut self, key: &str, node: &Node) -> Option<Duration> {
        match &node.value {
            Value::Text(text) => self.parsed_duration(key, node, text),
            Value::Int(n) => {
                self.warning(
                    &node.at,
                    format!(
                        "invalid use of field {key:?}: {key} should be converted to a duration"
                    ),
                );
                Some(Duration::from_secs(u64::try_from(*n).unwrap_or(0)))
            }
            _ => self.mismatch(node, "a duration"),
        }
    }

    /// Returns a duration that is by custom written as a number of seconds.
    pub(super) fn seconds(&mut self, key: &str, node: &Node) -> Option<Duration> {
        match &node.value {
            Value::Text(text) => self.parsed_duration(key, node, text),
            Value::Int(n) => Some(Duration::from_secs(u64::try_from(*n).unwrap_or(0))),
            Value::Float(n) => Duration::try_from_secs_f64(*n).ok(),
            _ => self.mismatch(node, "a number of seconds"),
        }
    }

    fn parsed_duration(&mut self, key: &str, node: &Node, text: &str) -> Option<Duration> {
        match duration::parse(text) {
            Ok(duration) => Some(duration),
            Err(e) => {
                self.error(&node.at, format!("error parsing {key}: {e}"));
                None
            }
        }
    }

    pub(super) fn mismatch<T>(&mut self, node: &Node, expected: &str) -> Option<T> {
        self.error(
            &node.at,
            format!("expected {expected}, got {}", node.value.kind()),
        );
        None
    }
}

fn text_size(text: &str) -> Option<i64> {
    if text.is_empty() {
        return Some(0);
    }
    let (digits, unit) = text.split_at_checked(text.len() - 1)?;
    let shift = match unit {
        "K" => 10,
        "M" => 20,
        "G" => 30,
        "T" => 40,
        _ => return None,
    };
    digits.parse::<i64>().ok()?.checked_mul(1 << shift)
}

//! Takes values of the expected type out of the tree and collects what is wrong with the others, so
//! that a user sees all mistakes at once.

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::time::Duration;

use protocol::js::json::go_quote;

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
    guard: Option<Guard>,
}

/// Where values of the wrong type are reported while a block is read that nats-server gives up at the
/// first of them.
struct Guard {
    at: Pos,
    tripped: bool,
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

    /// As [`Self::each`], for a block of which nats-server says in words of its own what it should be.
    pub(super) fn each_in(
        &mut self,
        node: &Node,
        expected: &str,
        mut known: impl FnMut(&mut Self, &str, &Node) -> bool,
    ) {
        match &node.value {
            Value::Map(map) => self.each_of(map, &mut known),
            _ => self.unexpected(node, expected),
        }
    }

    /// Notes a value of another type than what was `expected`.
    pub(super) fn unexpected(&mut self, node: &Node, expected: &str) {
        let kind = node.value.kind();
        self.error(&node.at, format!("{expected}, got {kind}"));
    }

    pub(super) fn each_of(
        &mut self,
        map: &Map,
        mut known: impl FnMut(&mut Self, &str, &Node) -> bool,
    ) {
        for (key, node) in map.iter() {
            if !known(self, &key.to_ascii_lowercase(), node) && !node.referenced {
                let key = go_quote(key.as_bytes());
                self.error(&node.at, format!("unknown field {key}"));
            }
        }
    }

    /// Reads a block of whose values of the wrong type only the first is reported, and where the block
    /// stands: so nats-server does with some.
    pub(super) fn guarded(&mut self, at: &Pos, read: impl FnOnce(&mut Self)) {
        if self.guard.is_some() {
            return read(self);
        }
        self.guard = Some(Guard {
            at: at.clone(),
            tripped: false,
        });
        read(self);
        self.guard = None;
    }

    /// Returns the map of a block that is `what` to nats-server's messages.
    pub(super) fn map_of<'a>(&mut self, node: &'a Node, what: &str) -> Option<&'a Map> {
        if let Value::Map(map) = &node.value {
            return Some(map);
        }
        let shown = go_shown(&node.value);
        self.error(
            &node.at,
            format!("Expected {what} to be a map/struct, got {shown}"),
        );
        None
    }

    pub(super) fn map<'a>(&mut self, node: &'a Node) -> Option<&'a Map> {
        match &node.value {
            Value::Map(map) => Some(map),
            _ => self.mismatch(node, "map[string]interface {}"),
        }
    }

    pub(super) fn list<'a>(&mut self, node: &'a Node) -> &'a [Node] {
        match &node.value {
            Value::List(items) => items,
            _ => {
                self.mismatch::<()>(node, "[]interface {}");
                &[]
            }
        }
    }

    pub(super) fn text(&mut self, node: &Node) -> Option<String> {
        match &node.value {
            Value::Text(text) => Some(text.clone()),
            _ => self.mismatch(node, "string"),
        }
    }

    /// Returns a text that stands for "not set" when it is empty.
    pub(super) fn name(&mut self, node: &Node) -> Option<Option<String>> {
        self.text(node)
            .map(|text| Some(text).filter(|t| !t.is_empty()))
    }

    /// Returns a secret of Memphis, where digits alone are one too. Elsewhere they are refused, as by nats-server:
    /// a number would lose how it was written.
    pub(super) fn secret(&mut self, node: &Node) -> Option<Option<String>> {
        match &node.value {
            Value::Int(n) => Some(Some(format!("{n}"))),
            _ => self.name(node),
        }
    }

    /// Returns one text or a list of them; `what` they are goes into the message.
    pub(super) fn texts(&mut self, node: &Node, what: &str) -> Vec<String> {
        match &node.value {
            Value::Text(text) => Vec::from([text.clone()]),
            Value::List(items) => items.iter().filter_map(|item| self.text(item)).collect(),
            _ => {
                let kind = node.value.kind();
                self.error(
                    &node.at,
                    format!("error parsing {what}: unsupported type {kind}"),
                );
                Vec::new()
            }
        }
    }

    /// Returns one tag or a list of them up to what is none.
    pub(super) fn tags(&mut self, node: &Node) -> Vec<String> {
        let Value::List(items) = &node.value else {
            return self.texts(node, "tags");
        };
        let is_text = |item: &&Node| matches!(item.value, Value::Text(_));
        if !items.iter().all(|item| is_text(&item)) {
            let reason =
                "error parsing tags: unsupported type *conf.token where string is expected";
            self.error(&node.at, reason.to_owned());
        }
        let texts = items.iter().take_while(is_text);
        texts.filter_map(|item| self.text(item)).collect()
    }

    pub(super) fn boolean(&mut self, node: &Node) -> Option<bool> {
        match node.value {
            Value::Bool(switch) => Some(switch),
            _ => self.mismatch(node, "bool"),
        }
    }

    pub(super) fn int(&mut self, node: &Node) -> Option<i64> {
        match node.value {
            Value::Int(n) => Some(n),
            _ => self.mismatch(node, "int64"),
        }
    }

    /// Returns an integer that fits `T`; negative ones count as 0.
    pub(super) fn count<T: TryFrom<i64>>(&mut self, key: &str, node: &Node) -> Option<T> {
        let n = self.int(node)?;
        self.fit(key, node, n.max(0))
    }

    /// Returns a number that nothing reaches if it is too large; negative ones count as 0.
    pub(super) fn amount(&mut self, node: &Node) -> Option<u32> {
        let n = self.int(node)?;
        Some(u32::try_from(n.max(0)).unwrap_or(u32::MAX))
    }

    /// Returns an integer that fits `T`; negative ones mean "no limit".
    pub(super) fn cap<T: TryFrom<i64>>(&mut self, key: &str, node: &Node) -> Option<Option<T>> {
        let n = self.int(node)?;
        self.fit_cap(key, node, n)
    }

    /// Returns a size in bytes, a number or a text such as `10G`; negative ones mean "no limit".
    pub(super) fn size_cap(&mut self, key: &str, node: &Node) -> Option<Option<u64>> {
        let size = match &node.value {
            Value::Int(n) => Ok(*n),
            Value::Text(text) => text_size(text),
            _ => Err(String::from("must be int64 or string")),
        };
        match size {
            Ok(n) => self.fit_cap(key, node, n),
            Err(why) => {
                self.error(&node.at, format!("{key} {why}"));
                None
            }
        }
    }

    /// Returns an integer that a limit of JetStream counts.
    pub(super) fn parseable<T: TryFrom<i64>>(
        &mut self,
        key: &str,
        node: &Node,
    ) -> Option<Option<T>> {
        if let Value::Int(_) = node.value {
            return self.cap(key, node);
        }
        let shown = go_shown(&node.value);
        self.error(
            &node.at,
            format!("Expected a parseable size for {key:?}, got {shown}"),
        );
        None
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
            _ => {
                self.warning(
                    &node.at,
                    format!(
                        "invalid use of field {key:?}: {key} should be converted to a duration"
                    ),
                );
                let seconds = self.int(node)?;
                Some(Duration::from_secs(u64::try_from(seconds).unwrap_or(0)))
            }
        }
    }

    /// Returns a duration that must be written in words.
    pub(super) fn worded_duration(&mut self, key: &str, node: &Node) -> Option<Duration> {
        let text = self.text(node)?;
        self.parsed_duration(key, node, &text)
    }

    /// Returns a duration that is by custom written as a number of seconds; `block` it stands in goes
    /// into the message.
    pub(super) fn seconds(&mut self, block: &str, node: &Node) -> Option<Duration> {
        let why = match &node.value {
            Value::Text(text) => match duration::parse(text) {
                Ok(duration) => return Some(duration),
                Err(why) => format!("{why}"),
            },
            Value::Int(n) => return Some(Duration::from_secs(u64::try_from(*n).unwrap_or(0))),
            Value::Float(n) => return Duration::try_from_secs_f64(*n).ok(),
            _ => String::from("wrong type"),
        };
        self.error(
            &node.at,
            format!("error parsing {block} config, 'timeout' {why}"),
        );
        None
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

    /// Reports a value of the wrong type in the words that nats-server has for most keys.
    pub(super) fn mismatch<T>(&mut self, node: &Node, expected: &str) -> Option<T> {
        let at = match &mut self.guard {
            None => node.at.clone(),
            Some(Guard { tripped: true, .. }) => return None,
            Some(guard) => {
                guard.tripped = true;
                guard.at.clone()
            }
        };
        self.error(
            &at,
            format!(
                "interface conversion: interface {{}} is {}, not {expected}",
                node.value.kind()
            ),
        );
        None
    }
}

/// Returns the size that a text such as `10G` is, or what nats-server says of it.
fn text_size(text: &str) -> Result<i64, String> {
    let Some((last, _)) = text.char_indices().next_back() else {
        return Ok(0);
    };
    let (digits, unit) = text.split_at(last);
    let number: i64 = digits
        .parse()
        .map_err(|_| format!("strconv.ParseInt: parsing {digits:?}: invalid syntax"))?;
    let shift = match unit {
        "K" => 10,
        "M" => 20,
        "G" => 30,
        "T" => 40,
        _ => {
            return Err(String::from(
                "sizes defined as strings must end in K, M, G, T",
            ));
        }
    };
    let out_of_range = || format!("strconv.ParseInt: parsing {digits:?}: value out of range");
    number.checked_mul(1 << shift).ok_or_else(out_of_range)
}

/// Shows a value as Go's `%v` does, where it is one that fits a message.
pub(super) fn go_shown(value: &Value) -> String {
    match value {
        Value::Text(text) | Value::Time(text) => text.clone(),
        Value::Int(n) => format!("{n}"),
        Value::Float(n) => format!("{n}"),
        Value::Bool(on) => format!("{on}"),
        Value::List(_) => String::from("[]"),
        Value::Map(_) => String::from("map[]"),
    }
}

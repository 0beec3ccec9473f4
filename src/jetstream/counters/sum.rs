//! The state of one counter: its total, and how much of it has come from which other counter.
//!
//! *Invariant:* it is a function of the counter's last message, whose body holds the total and whose
//! header holds what came from where.

use alloc::collections::BTreeMap;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;

use bytes::{Bytes, BytesMut};
use protocol::headers::{self, Headers};
use protocol::js::json::to_vec;

use crate::decimal::Decimal;
use crate::entry::Stored;
use crate::env::Inbound;

/// The header that tells what came from where.
pub(super) const SOURCES: &[u8] = b"Nats-Counter-Sources";
/// The header with what was added last.
const INCREMENT: &[u8] = b"Nats-Incr";

/// A counter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sum {
    total: Decimal,
    /// The total of each source when it was looked at last, by stream and subject.
    sources: BTreeMap<String, BTreeMap<String, String>>,
}

impl Sum {
    /// Reads a counter from its last message; nothing if that is none.
    pub(super) fn of(entry: &Bytes) -> Option<Self> {
        let msg = Stored::of(entry).ok()?;
        let total = Decimal::parse(value_of(msg.payload)?.as_bytes())?;
        let sources = Headers::new(msg.headers).get(SOURCES).unwrap_or_default();
        let sources = if sources.is_empty() {
            BTreeMap::new()
        } else {
            serde_json::from_slice(sources).ok()?
        };
        Some(Self { total, sources })
    }

    /// Adds an increment.
    pub(crate) fn add(&mut self, increment: &Decimal) {
        self.total = self.total.plus(increment);
    }

    /// Takes over that `stream` now counts `total` on `subject`; returns what that adds.
    pub(super) fn follow(&mut self, stream: &str, subject: &[u8], total: &Decimal) -> Decimal {
        let subject = String::from_utf8_lossy(subject).into_owned();
        let of_stream = self.sources.entry(stream.to_string()).or_default();
        let before = of_stream.insert(subject, total.to_text());
        let before = before.and_then(|text| Decimal::parse(text.as_bytes()));
        let increment = total.plus(&before.unwrap_or_default().negated());
        self.add(&increment);
        increment
    }

    /// Returns the body of a message with this state.
    pub(crate) fn body(&self) -> Vec<u8> {
        alloc::format!("{{\"val\":\"{}\"}}", self.total.to_text()).into_bytes()
    }

    /// Puts what came from where into a header block; false if there is nothing to tell.
    pub(crate) fn put_sources(&self, block: &[u8], out: &mut BytesMut) -> bool {
        if self.sources.is_empty() {
            return false;
        }
        headers::set(block, SOURCES, &to_vec(&self.sources), out);
        true
    }
}

/// Returns the header block of a copy that adds `increment` to `sum`.
pub(super) fn copied_headers(block: &[u8], increment: &Decimal, sum: &Sum) -> BytesMut {
    let (mut incremented, mut out) = (BytesMut::new(), BytesMut::new());
    let text = increment.to_text();
    headers::set(block, INCREMENT, text.as_bytes(), &mut incremented);
    sum.put_sources(&incremented, &mut out);
    out
}

/// Returns the total that a counter's message brings with it, if it is one.
pub(super) fn total_of(msg: &Inbound<'_>) -> Option<Decimal> {
    let increment = Headers::new(msg.headers).get(INCREMENT)?;
    Decimal::parse(increment)?;
    Decimal::parse(value_of(msg.payload)?.as_bytes())
}

/// Returns the total that a stored body shows.
pub(crate) fn value_of(body: &[u8]) -> Option<&str> {
    let value = body.strip_prefix(b"{\"val\":\"")?.strip_suffix(b"\"}")?;
    core::str::from_utf8(value).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decimal(text: &str) -> Decimal {
        Decimal::parse(text.as_bytes()).unwrap()
    }

    #[test]
    fn a_source_adds_what_it_has_more_than_before() {
        let mut sum = Sum::default();
        assert_eq!(sum.follow("X", b"x.a", &decimal("5")), decimal("5"));
        assert_eq!(sum.follow("Y", b"y.a", &decimal("7")), decimal("7"));
        assert_eq!(sum.follow("X", b"x.a", &decimal("3")), decimal("-2"));
        assert_eq!(sum.body(), b"{\"val\":\"10\"}");
        let mut out = BytesMut::new();
        assert!(sum.put_sources(b"", &mut out));
        let expected = "NATS/1.0\r\nNats-Counter-Sources: {\"X\":{\"x.a\":\"3\"},\"Y\":{\"y.a\":\"7\"}}\r\n\r\n";
        assert_eq!(core::str::from_utf8(&out), Ok(expected));
    }
}

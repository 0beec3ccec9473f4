//! Messages whose life differs from what the stream's age limit gives them: `Nats-TTL`, and the
//! markers that tell of a subject's end.
//!
//! *Invariant:* only live messages are in here, and only those that need it: a stream whose messages
//! bring no time to live pays nothing.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use bytes::BufMut;
use protocol::id::Seq;
use protocol::text::duration::Nanos;
use protocol::time::Wall;

use crate::entry::{DecodeError, Reader, put_varint};

const NANOS_PER_SECOND: u64 = 1_000_000_000;

/// The end of a message that has none. An age limit does not take it either.
const NEVER: Wall = Wall(u64::MAX);

/// A `Nats-TTL`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ttl {
    /// The message stays.
    Never,
    /// It lives that many seconds.
    Seconds(u64),
}

impl Ttl {
    /// Returns what a header says: whole seconds, a duration of at least one, of which whole seconds
    /// count, or `never`.
    pub(crate) fn parse(value: &[u8]) -> Option<Self> {
        let text = core::str::from_utf8(value).ok()?;
        if text.eq_ignore_ascii_case("never") {
            return Some(Self::Never);
        }
        let seconds = if text.bytes().all(|b| b.is_ascii_digit()) {
            text.parse::<i64>().ok()?
        } else if text.starts_with(|c: char| c.is_ascii_digit()) {
            text.parse::<Nanos>().ok()?.0 / 1_000_000_000
        } else {
            return None;
        };
        let seconds = u64::try_from(seconds).ok().filter(|&s| s > 0)?;
        Some(Self::Seconds(seconds))
    }

    /// Returns when a message of that time ends.
    fn end(self, time: Wall) -> Wall {
        match self {
            Self::Never => NEVER,
            Self::Seconds(s) => {
                // The last instant before never: longer than anybody waits.
                let end = time.0.saturating_add(s.saturating_mul(NANOS_PER_SECOND));
                Wall(end.min(NEVER.0 - 1))
            }
        }
    }
}

/// The exceptional messages of one stream.
#[derive(Debug, Default)]
pub(super) struct Lifetimes {
    ends: BTreeMap<Seq, Wall>,
    /// The finite ones of `ends`, soonest first.
    due: BTreeSet<(Wall, Seq)>,
    markers: BTreeSet<Seq>,
}

impl Lifetimes {
    pub(super) fn is_empty(&self) -> bool {
        self.ends.is_empty() && self.markers.is_empty()
    }

    /// Notes the time to live of a message stored at `time`.
    pub(super) fn set(&mut self, seq: Seq, time: Wall, ttl: Ttl) {
        self.set_end(seq, ttl.end(time));
    }

    fn set_end(&mut self, seq: Seq, end: Wall) {
        self.ends.insert(seq, end);
        if end != NEVER {
            self.due.insert((end, seq));
        }
    }

    /// Notes that a message is a marker itself: its end leaves none.
    pub(super) fn set_marker(&mut self, seq: Seq) {
        self.markers.insert(seq);
    }

    pub(super) fn is_marker(&self, seq: Seq) -> bool {
        self.markers.contains(&seq)
    }

    pub(super) fn is_never(&self, seq: Seq) -> bool {
        self.ends.get(&seq) == Some(&NEVER)
    }

    /// Returns whether the message ends by a time to live of its own.
    pub(super) fn has_end(&self, seq: Seq) -> bool {
        self.ends.get(&seq).is_some_and(|&end| end != NEVER)
    }

    /// Returns the message that ends first.
    pub(super) fn first(&self) -> Option<(Wall, Seq)> {
        self.due.first().copied()
    }

    /// Returns those that have ended at `now`, soonest first.
    pub(super) fn ended(&self, now: Wall) -> impl Iterator<Item = (Wall, Seq)> {
        let due = self.due.iter().copied();
        due.take_while(move |&(end, _)| end <= now)
    }

    pub(super) fn remove(&mut self, seq: Seq) {
        if let Some(end) = self.ends.remove(&seq) {
            self.due.remove(&(end, seq));
        }
        self.markers.remove(&seq);
    }

    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    /// Appends what concerns the messages from `first` to `last` to a checkpoint.
    pub(super) fn snapshot(&self, first: Seq, last: Seq, out: &mut Vec<u8>) {
        let ends = self.ends.range(first..=last);
        put_varint(out, u64::try_from(ends.clone().count()).unwrap_or(u64::MAX));
        for (seq, end) in ends {
            out.put_u64_le(seq.0);
            out.put_u64_le(end.0);
        }
        let markers = self.markers.range(first..=last);
        put_varint(
            out,
            u64::try_from(markers.clone().count()).unwrap_or(u64::MAX),
        );
        for seq in markers {
            out.put_u64_le(seq.0);
        }
    }

    /// Takes over what a checkpoint says of some messages.
    pub(super) fn restore(&mut self, from: &mut Reader) -> Result<(), DecodeError> {
        for _ in 0..from.varint()? {
            let seq = Seq(from.u64()?);
            self.set_end(seq, from.time()?);
        }
        for _ in 0..from.varint()? {
            self.set_marker(Seq(from.u64()?));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_to_live_is_whole_seconds_or_a_duration_or_never() {
        let seconds = |s| Some(Ttl::Seconds(s));
        for (text, expected) in [
            ("1", seconds(1)),
            ("3600", seconds(3600)),
            ("1s", seconds(1)),
            ("1500ms", seconds(1)),
            ("1m30s", seconds(90)),
            ("never", Some(Ttl::Never)),
            ("NEVER", Some(Ttl::Never)),
            ("0", None),
            ("-1", None),
            ("+1", None),
            ("1.5", None),
            ("999ms", None),
            ("", None),
            ("bogus", None),
            ("99999999999999999999", None),
        ] {
            assert_eq!(Ttl::parse(text.as_bytes()), expected, "{text}");
        }
        let far = Ttl::parse(b"9223372036854775807").map(|ttl| ttl.end(Wall(5)));
        assert_eq!(far, Some(Wall(u64::MAX - 1)), "far, but not never");
    }
}

//! Which connections publish to which streams, for clients that never say that they are producers.
//!
//! *Invariant:* no more than [`SEEN_MAX`] are remembered; who has gone is forgotten when somebody looks.

use alloc::collections::BTreeMap;

use protocol::id::{ConnId, StreamId};
use protocol::time::Wall;

/// Most pairs of connection and stream that are remembered; then all are forgotten, and those that go
/// on publishing are seen again.
const SEEN_MAX: usize = 10_000;

/// What a connection has published to a stream.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seen {
    pub(crate) stream: StreamId,
    pub(crate) conn: ConnId,
    pub(crate) messages: u64,
    pub(crate) last: Wall,
}

#[derive(Debug, Default)]
pub(crate) struct Publishers {
    seen: alloc::vec::Vec<Seen>,
    index: BTreeMap<(StreamId, ConnId), usize>,
    /// Where the last message was counted: bursts come from one connection.
    latest: usize,
}

impl Publishers {
    /// Counts a message.
    #[inline]
    pub(crate) fn note(&mut self, stream: StreamId, conn: ConnId, now: Wall) {
        if let Some(seen) = self.seen.get_mut(self.latest)
            && seen.stream == stream
            && seen.conn == conn
        {
            seen.messages += 1;
            seen.last = now;
            return;
        }
        self.find(stream, conn);
        if let Some(seen) = self.seen.get_mut(self.latest) {
            seen.messages += 1;
            seen.last = now;
        }
    }

    fn find(&mut self, stream: StreamId, conn: ConnId) {
        if self.seen.len() >= SEEN_MAX && !self.index.contains_key(&(stream, conn)) {
            self.seen.clear();
            self.index.clear();
        }
        let next = self.seen.len();
        self.latest = *self.index.entry((stream, conn)).or_insert(next);
        if self.latest == next {
            self.seen.push(Seen {
                stream,
                conn,
                messages: 0,
                last: Wall(0),
            });
        }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Seen> {
        self.seen.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_counted_by_stream_and_connection() {
        let mut publishers = Publishers::default();
        let conn = |index| ConnId {
            index,
            generation: 0,
        };
        for (stream, index) in [(1, 1), (1, 1), (2, 1), (1, 2), (1, 1)] {
            publishers.note(StreamId(stream), conn(index), Wall(5));
        }
        let counts: alloc::vec::Vec<u64> = publishers.iter().map(|seen| seen.messages).collect();
        assert_eq!(counts, [3, 1, 1]);
    }
}

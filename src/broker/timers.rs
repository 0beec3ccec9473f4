//! Deadlines of connections: a heap of wake-ups, looked at again when they fire.
//!
//! *Invariant:* each connection with a deadline has a wake-up at or before it. A wake-up that comes
//! too early is put back, so that a deadline that moves (each write moves one) costs nothing.

use alloc::collections::BinaryHeap;
use core::cmp::Reverse;

use protocol::id::ConnId;
use protocol::time::Instant;

/// Why the shard wants to be woken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimerKind {
    /// A connection: its login, its PING, a blocked write, or a pause of its reading.
    Connection,
    /// The next client's leave in lame duck mode.
    LameDuck,
    /// The server tells how it is.
    Stats,
    /// A service of another account that has not answered in its time.
    Responses,
    /// JetStream: an expiry, a consumer, or the store's upkeep.
    Streams,
}

/// The wake-ups.
#[derive(Debug, Default)]
pub(crate) struct Timers {
    heap: BinaryHeap<Reverse<(Instant, ConnId)>>,
}

impl Timers {
    /// Asks for a wake-up.
    pub(crate) fn arm(&mut self, at: Instant, conn: ConnId) {
        if at != Instant::NEVER {
            self.heap.push(Reverse((at, conn)));
        }
    }

    /// Returns when the next wake-up is due.
    pub(crate) fn next(&self) -> Option<Instant> {
        self.heap.peek().map(|Reverse((at, _))| *at)
    }

    /// Takes a connection whose wake-up is due.
    pub(crate) fn pop_due(&mut self, now: Instant) -> Option<ConnId> {
        let Reverse((at, _)) = self.heap.peek()?;
        if *at > now {
            return None;
        }
        self.heap.pop().map(|Reverse((_, conn))| conn)
    }
}

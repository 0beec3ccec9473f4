//! What waits to be written to a connection.
//!
//! *Invariant:* `pending` counts every byte from the moment it is queued until the driver says it
//! has been written, because that is what `max_pending` bounds.

use bytes::BytesMut;
use protocol::time::Instant;

use crate::limits::OUTBOX_KEEP;

#[derive(Debug, Default)]
pub(crate) struct Outbox {
    buf: BytesMut,
    /// Taken by the driver and not yet written.
    in_flight: usize,
    /// Whether the driver has been told that there is something to take.
    pub(crate) dirty: bool,
    blocked_since: Option<Instant>,
}

impl Outbox {
    /// Returns the buffer to append to.
    pub(crate) fn buf(&mut self) -> &mut BytesMut {
        &mut self.buf
    }

    /// Returns how many bytes wait.
    #[inline]
    pub(crate) fn pending(&self) -> usize {
        self.buf.len() + self.in_flight
    }

    /// Swaps `spare`, which has been written whole, for what waits; false when nothing does.
    pub(crate) fn take(&mut self, spare: &mut BytesMut) -> bool {
        self.in_flight = 0;
        self.blocked_since = None;
        self.dirty = false;
        if self.buf.is_empty() {
            if self.buf.capacity() > OUTBOX_KEEP {
                self.buf = BytesMut::new();
            }
            return false;
        }
        spare.clear();
        core::mem::swap(&mut self.buf, spare);
        self.in_flight = spare.len();
        true
    }

    /// Notes that a part of what was taken has been written.
    pub(crate) fn written(&mut self, bytes: usize, now: Instant) {
        self.in_flight = self.in_flight.saturating_sub(bytes);
        // Progress starts the write deadline anew, as each write of nats-server has its own.
        if self.blocked_since.is_some() {
            self.blocked_since = Some(now);
        }
    }

    /// Notes that the socket takes no more.
    pub(crate) fn block(&mut self, now: Instant) {
        self.blocked_since.get_or_insert(now);
    }

    /// Returns since when the socket has taken nothing.
    pub(crate) fn blocked_since(&self) -> Option<Instant> {
        self.blocked_since
    }

    /// Throws away what has not been taken.
    pub(crate) fn discard(&mut self) {
        self.buf = BytesMut::new();
    }
}

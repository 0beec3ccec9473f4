//! One fast batch: which message comes next, what is stored, and how often its publisher is told.
//!
//! *Invariant:* a publisher is never told that a message is stored before it is. In a batch that may
//! have no gaps, nothing behind a missing message is stored.

use alloc::boxed::Box;

use protocol::id::Seq;
use protocol::js::errors::ApiError;
use protocol::time::Instant;

use super::line::Line;
use super::place::{Op, Place};
use crate::env::Env;
use crate::stream::Applied;

/// How many messages an ack covers while a batch has the stream for itself.
const ACK_EVERY_MAX: u16 = 500;

/// A batch whose messages are coming.
#[derive(Debug)]
pub(super) struct FastBatch {
    gap_ok: bool,
    /// The number of the last message that came.
    last: u64,
    /// The number of the last message that is stored.
    stored: u64,
    /// The number that the last ack told.
    told: u64,
    /// The last sequence in the stream.
    seq: Seq,
    /// How many messages are on their way through the log.
    pending: u32,
    undecided: Option<u64>,
    ack_every: u16,
    ack_every_max: u16,
    /// Where the end is told: no message comes any more, and what is under way is waited for.
    ending: Option<Box<[u8]>>,
    /// The batch is over.
    pub(super) is_over: bool,
    /// When it is given up, if nothing comes.
    pub(super) deadline: Instant,
}

impl FastBatch {
    /// Returns an empty batch; one that is not alone begins slowly.
    pub(super) fn new(place: &Place<'_>, is_alone: bool, deadline: Instant) -> Self {
        let ack_every = if is_alone {
            place.ack_every.min(ACK_EVERY_MAX)
        } else {
            1
        };
        Self {
            gap_ok: place.gap_ok,
            last: 0,
            stored: 0,
            told: 0,
            seq: Seq(0),
            pending: 0,
            undecided: None,
            ack_every,
            ack_every_max: place.ack_every,
            ending: None,
            is_over: false,
            deadline,
        }
    }

    /// Takes the next message; returns whether it is to be stored. `batches` says how many share the
    /// stream.
    pub(super) fn enter(
        &mut self,
        place: &Place<'_>,
        batches: usize,
        line: &mut Line<'_, impl Env>,
    ) -> bool {
        if place.op == Op::Ping {
            self.on_ping(place, batches, line);
            return false;
        }
        if self.ending.is_some() {
            // The client waits for the end.
            return false;
        }
        let expected = self.last + 1;
        if place.seq != expected {
            line.gap(expected, place.seq);
            if !self.gap_ok || place.seq < expected {
                self.end(place.id, line);
                return false;
            }
        }
        if place.op == Op::CommitBefore {
            self.last = place.seq - 1;
            self.catch_up();
            self.end(place.id, line);
            return false;
        }
        self.last = place.seq;
        if place.op.ends() {
            self.ending = Some(Box::from(line.reply));
        } else if place.seq == 1 && !line.core.config().no_ack {
            line.ack(0, self.ack_every);
        }
        true
    }

    /// Notes that the message taken last was proposed, and whether it may still be refused.
    pub(super) fn on_proposed(&mut self, place: &Place<'_>, is_undecided: bool) {
        self.pending += 1;
        if is_undecided && !self.gap_ok {
            self.undecided = Some(place.seq);
        }
    }

    /// Returns whether a message that the rest of the batch cannot stand without may still be refused.
    pub(super) fn is_undecided(&self) -> bool {
        self.undecided.is_some()
    }

    /// Returns whether messages are on their way through the log.
    pub(super) fn has_pending(&self) -> bool {
        self.pending > 0
    }

    /// Notes that the message taken last is refused before it was proposed.
    pub(super) fn on_refused(
        &mut self,
        place: &Place<'_>,
        error: &ApiError,
        line: &mut Line<'_, impl Env>,
    ) {
        if !place.gap_ok && self.last == 1 {
            self.is_over = true;
            return line.refuse(error);
        }
        line.error(place.seq, error);
        if place.gap_ok && !place.op.ends() {
            return;
        }
        self.last = self.last.min(place.seq - 1);
        self.catch_up();
        self.end(place.id, line);
    }

    /// Notes what became of a message that was proposed.
    pub(super) fn on_outcome(
        &mut self,
        place: &Place<'_>,
        outcome: Result<Applied, &ApiError>,
        batches: usize,
        line: &mut Line<'_, impl Env>,
    ) {
        self.pending = self.pending.saturating_sub(1);
        if self.undecided == Some(place.seq) {
            self.undecided = None;
        }
        match outcome {
            Ok(Applied::Stored(seq) | Applied::Skipped(seq)) => self.seq = seq,
            Ok(Applied::Duplicate(seq)) if !place.gap_ok && place.op.ends() && self.last == 1 => {
                self.is_over = true;
                return line.committed(place.id, seq.0, place.seq, true);
            }
            Ok(Applied::Duplicate(_)) => {}
            Err(error) if self.gap_ok && !place.op.ends() => line.error(place.seq, error),
            Err(error) => return self.on_refused(place, error, line),
        }
        if outcome.is_ok() {
            self.stored = self.stored.max(place.seq);
        }
        self.catch_up();
        let is_repeated = matches!(outcome, Ok(Applied::Duplicate(_)));
        let ends_now = self.ending.is_some() && self.stored == self.last;
        if (!ends_now || is_repeated) && self.is_ack_due(batches) {
            line.ack(self.told, self.ack_every);
        }
        if self.ending.is_some() {
            self.end(place.id, line);
        }
    }

    fn on_ping(&mut self, place: &Place<'_>, batches: usize, line: &mut Line<'_, impl Env>) {
        // What is behind the end is missed by nobody.
        if place.seq > self.last && self.is_waiting() {
            line.gap(self.last + 1, place.seq + 1);
            if self.gap_ok {
                self.last = place.seq;
                self.catch_up();
                self.is_ack_due(batches);
            } else {
                self.end(place.id, line);
            }
        }
        if !self.is_over {
            line.ack(self.told, self.ack_every);
        }
    }

    /// When nothing is under way, what came is what is stored, gaps and repeated messages included.
    fn catch_up(&mut self) {
        if self.pending == 0 {
            self.stored = self.last;
        }
    }

    /// Lets no more messages in, and tells the end once all that came is stored.
    fn end(&mut self, id: &[u8], line: &mut Line<'_, impl Env>) {
        let to = self.ending.get_or_insert_with(|| Box::from(line.reply));
        if self.last == self.stored {
            self.is_over = true;
            let mut line = line.to(to);
            line.committed(id, self.seq.0, self.last, false);
        }
    }

    /// Returns whether enough is stored for the next ack, and adapts how much the one after it covers:
    /// batches of one stream share what it can take.
    fn is_ack_due(&mut self, batches: usize) -> bool {
        let every = u64::from(self.ack_every.max(1));
        if self.stored < self.told + every {
            return false;
        }
        // One ack for all that are due.
        self.told += (self.stored - self.told) / every * every;
        let share = usize::from(ACK_EVERY_MAX) / batches.max(1);
        let share = u16::try_from(share).unwrap_or(ACK_EVERY_MAX);
        let wanted = share.max(1).min(self.ack_every_max);
        self.ack_every = if self.ack_every < wanted {
            self.ack_every.saturating_mul(2).min(wanted)
        } else {
            (self.ack_every / 2).max(wanted).min(self.ack_every)
        };
        true
    }

    /// Returns whether the batch may be given up for want of messages.
    pub(super) fn is_waiting(&self) -> bool {
        self.ending.is_none()
    }
}

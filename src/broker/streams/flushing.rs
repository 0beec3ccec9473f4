//! From the log to segments and checkpoints: when the log has grown long, live messages move to their
//! streams' segments, one stream after the other and not too many at once, and checkpoints let the old
//! log go.
//!
//! *Invariants:* no turn looks at more than one flush's messages. A checkpoint can be taken at any time
//! at the entry that was applied last: it refers to nothing that lies below `keep`, from where no live
//! message has been left behind by the last flush of all streams.

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use jetstream::JetStream;
use protocol::id::{LogPos, StreamId};
use storage::{Packing, Store};

use super::checkpoint;
use crate::stations::Stations;

/// Most messages that one flush of a stream moves, about.
const MESSAGES_PER_FLUSH: usize = 65_536;

/// Returns how a stream's messages are stored.
pub(super) fn packing(machine: &JetStream, stream: StreamId) -> Packing {
    match machine.is_compressed(stream) {
        true => Packing::Compressed,
        false => Packing::Plain,
    }
}

#[derive(Debug, Default)]
pub(super) struct Flushing {
    /// Streams that are still to be flushed.
    queue: VecDeque<StreamId>,
    /// The stream whose flush has not been answered.
    current: Option<StreamId>,
    /// Everything below is to be flushed.
    below: LogPos,
    /// Everything below has been flushed.
    keep: LogPos,
    /// Every entry below has been applied.
    applied: LogPos,
}

impl Flushing {
    /// Notes that the entry at `pos` has been applied.
    #[inline]
    pub(super) fn applied(&mut self, pos: LogPos) {
        self.applied = LogPos(pos.0 + 1);
    }

    /// Notes that everything below `tail` has been restored or applied again, and everything below
    /// `keep` flushed. Without an entry since the last checkpoint there is none that would say so.
    pub(super) fn recovered(&mut self, keep: LogPos, tail: LogPos) {
        self.applied = self.applied.max(tail);
        self.keep = keep;
    }

    /// Begins to move everything below `below` out of the log, and gives up segments that have become
    /// empty.
    pub(super) fn begin(&mut self, below: LogPos, machine: &mut JetStream, store: &mut Store) {
        let mut dead = Vec::new();
        machine.take_dead_segments(&mut dead);
        for (stream, number) in dead {
            store.remove_segment(stream, number);
        }
        self.below = below;
        self.queue = machine.unflushed_streams(below).into();
        if self.current.is_none() {
            self.go_on(machine, store);
        }
    }

    /// Notes that a stream's flush is durable and has moved so many messages.
    pub(super) fn flushed(
        &mut self,
        stream: StreamId,
        moved: usize,
        machine: &JetStream,
        store: &mut Store,
    ) {
        if self.current != Some(stream) {
            return;
        }
        self.current = None;
        // What cannot be read cannot be moved: trying again would never end.
        if moved >= MESSAGES_PER_FLUSH / 2 {
            self.queue.push_front(stream);
        }
        self.go_on(machine, store);
    }

    /// Notes that a stream is gone: its flush, if there was one, is not answered.
    pub(super) fn forget(&mut self, stream: StreamId, machine: &JetStream, store: &mut Store) {
        self.queue.retain(|queued| *queued != stream);
        self.flushed(stream, 0, machine, store);
    }

    fn go_on(&mut self, machine: &JetStream, store: &mut Store) {
        while let Some(stream) = self.queue.pop_front() {
            let mut messages = Vec::new();
            machine.unflushed(stream, self.below, MESSAGES_PER_FLUSH, &mut messages);
            if !messages.is_empty() {
                self.current = Some(stream);
                store.flush_packed(stream, messages, packing(machine, stream));
                return;
            }
        }
        self.keep = self.keep.max(self.below);
        store.finish_flushing(self.below);
    }

    /// Writes a checkpoint; the store asks again if it cannot be taken now.
    pub(super) fn checkpoint(
        &self,
        machine: &mut JetStream,
        stations: &Stations,
        store: &mut Store,
    ) {
        if !store.takes_checkpoint() {
            return;
        }
        for key in store.stale_sections() {
            machine.touch(key);
        }
        let changes = checkpoint::changes(machine, stations);
        let keep = self.keep.min(self.applied);
        store.write_checkpoint(changes, self.applied, keep);
    }
}

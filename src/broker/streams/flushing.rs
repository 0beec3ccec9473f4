//! From the log to segments: when the log has grown long, live messages move to their streams'
//! segments, and a checkpoint lets the old log go.
//!
//! *Invariant:* the checkpoint is taken after the last message has moved, at the entry that was
//! applied last, so that it refers to nothing that lies below `keep`.

use alloc::vec::Vec;

use jetstream::JetStream;
use protocol::id::{LogPos, StreamId};
use storage::Store;

use super::checkpoint;
use crate::stations::Stations;

#[derive(Debug, Default)]
pub(super) struct Flushing {
    /// Streams whose flushes have not been answered.
    open: Vec<StreamId>,
    /// Where the log that must stay begins, once they have.
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

    /// Notes that everything below `tail` has been restored or applied again. Without an entry since the
    /// last checkpoint there is none that would say so.
    pub(super) fn recovered(&mut self, tail: LogPos) {
        self.applied = self.applied.max(tail);
    }

    /// Moves everything below `below` out of the log, and gives up segments that have become empty.
    pub(super) fn begin(
        &mut self,
        below: LogPos,
        machine: &mut JetStream,
        stations: &Stations,
        store: &mut Store,
    ) {
        self.keep = below;
        let mut dead = Vec::new();
        machine.take_dead_segments(&mut dead);
        for (stream, number) in dead {
            store.remove_segment(stream, number);
        }
        let mut all = Vec::new();
        machine.unflushed(below, &mut all);
        for (stream, messages) in all {
            self.open.push(stream);
            store.flush(stream, messages);
        }
        self.finish(machine, stations, store);
    }

    /// Notes that a stream's flush is durable, or that it will not be because the stream is gone.
    pub(super) fn flushed(
        &mut self,
        stream: StreamId,
        machine: &JetStream,
        stations: &Stations,
        store: &mut Store,
    ) {
        let open = self.open.len();
        self.open.retain(|flushing| *flushing != stream);
        if self.open.len() < open {
            self.finish(machine, stations, store);
        }
    }

    fn finish(&mut self, machine: &JetStream, stations: &Stations, store: &mut Store) {
        if !self.open.is_empty() {
            return;
        }
        let state = checkpoint::encode(machine, stations);
        let keep = self.keep.min(self.applied);
        // Refused while another one is being written; the store asks again.
        let _begun = store.write_checkpoint(state, self.applied, keep);
    }
}

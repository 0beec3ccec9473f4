//! When pending messages are due for redelivery.
//!
//! A heap of deadlines that is cleaned lazily: acks do not touch it, so an ack costs nothing here.
//! What is popped is checked against the pending table by the caller, and the heap is rebuilt from
//! the table when most of it is stale.
//!
//! *Invariant:* every pending message that is out has its deadline in the heap.

use alloc::collections::BinaryHeap;
use core::cmp::Reverse;

use protocol::id::Seq;
use protocol::time::Instant;

use super::pending::Stage;
use super::state::ConsumerState;

/// The deadlines of a consumer's pending messages.
#[derive(Clone, Debug, Default)]
pub(super) struct Deadlines {
    heap: BinaryHeap<Reverse<(Instant, Seq)>>,
}

impl Deadlines {
    /// Below this size stale deadlines are left alone.
    const REBUILD_MIN: usize = 1024;

    /// Adds a deadline. Deadlines mostly grow, which costs a heap next to nothing.
    pub(super) fn add(&mut self, due: Instant, seq: Seq, state: &ConsumerState) {
        if self.heap.len() >= Self::REBUILD_MIN && self.heap.len() / 4 > state.num_pending_acks() {
            self.rebuild(state);
        }
        self.heap.push(Reverse((due, seq)));
    }

    /// Builds the heap anew from the pending table.
    pub(super) fn rebuild(&mut self, state: &ConsumerState) {
        self.heap.clear();
        self.heap.extend(
            state
                .pending_iter()
                .filter(|p| p.stage == Stage::Out)
                .map(|p| Reverse((p.due, p.seq))),
        );
    }

    /// Returns when the next deadline comes, without the stale ones before it.
    pub(super) fn next(&mut self, state: &ConsumerState) -> Option<Instant> {
        loop {
            let Reverse((due, seq)) = *self.heap.peek()?;
            if is_current(state, seq, due) {
                return Some(due);
            }
            self.heap.pop();
        }
    }

    /// Takes the next message whose deadline has come.
    pub(super) fn pop_due(&mut self, state: &ConsumerState, now: Instant) -> Option<Seq> {
        loop {
            let Reverse((due, seq)) = *self.heap.peek()?;
            if due > now {
                return None;
            }
            self.heap.pop();
            if is_current(state, seq, due) {
                return Some(seq);
            }
        }
    }
}

fn is_current(state: &ConsumerState, seq: Seq, due: Instant) -> bool {
    state
        .pending(seq)
        .is_some_and(|p| p.due == due && p.stage == Stage::Out)
}

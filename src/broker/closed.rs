//! The connections that have ended, as far as connz remembers them.

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use protocol::errors::CloseReason;
use protocol::time::Wall;

use crate::snapshot::{ConnView, SubView};

/// A connection that has ended.
#[derive(Clone, Debug)]
pub struct Closed {
    /// What it was at its end.
    pub conn: ConnView,
    /// The subscriptions that it held, as far as they are remembered.
    pub subs: Vec<SubView>,
    /// When it ended.
    pub stop: Wall,
    /// Why.
    pub reason: CloseReason,
}

/// A ring of the latest ones.
#[derive(Debug)]
pub(crate) struct ClosedRing {
    ring: VecDeque<Closed>,
    max: usize,
}

impl ClosedRing {
    pub(crate) fn new(max: usize) -> Self {
        Self {
            ring: VecDeque::new(),
            max,
        }
    }

    pub(crate) fn push(&mut self, closed: Closed) {
        if self.max == 0 {
            return;
        }
        if self.ring.len() >= self.max {
            self.ring.pop_front();
        }
        self.ring.push_back(closed);
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Closed> {
        self.ring.iter()
    }
}

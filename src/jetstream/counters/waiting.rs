//! Increments that wait until the total they add to is known.
//!
//! *Invariant:* a stream has one queue: while something waits there, what is published to that stream
//! later waits behind it, whatever its subject. So a stream has its messages in the order in which they
//! came. Streams do not wait for each other.

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, VecDeque};

use protocol::id::{AccountId, StreamId};

use crate::atomic::HeldBatch;
use crate::env::Inbound;

/// Most increments that wait; more get an error answer.
const HELD_MAX: usize = 10_000;

/// What waits, by stream.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    queues: BTreeMap<StreamId, VecDeque<Held>>,
    increments: usize,
}

/// One that waits.
#[derive(Debug)]
pub(super) enum Held {
    /// A message that brings an increment.
    Increment(Increment),
    /// A whole batch of them; there are never more than may be open.
    Batch(HeldBatch),
}

/// An increment that waits.
#[derive(Debug)]
pub(super) struct Increment {
    pub(super) account: AccountId,
    subject: Box<[u8]>,
    reply: Box<[u8]>,
    headers: Box<[u8]>,
}

impl Waiting {
    /// Returns whether something waits at a stream.
    pub(super) fn is_at(&self, stream: StreamId) -> bool {
        // A queue that has become empty is removed.
        self.queues.contains_key(&stream)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.queues.is_empty()
    }

    /// Returns whether as many increments wait as may.
    pub(super) fn is_full(&self) -> bool {
        self.increments >= HELD_MAX
    }

    /// Puts one behind what waits at its stream.
    pub(super) fn push(&mut self, stream: StreamId, held: Held) {
        self.increments += held.increments();
        self.queues.entry(stream).or_default().push_back(held);
    }

    /// Returns the first stream behind `stream` at which something waits.
    pub(super) fn next_stream(&self, stream: Option<StreamId>) -> Option<StreamId> {
        match stream {
            Some(last) => self
                .queues
                .range(last..)
                .map(|(id, _)| *id)
                .find(|id| *id != last),
            None => self.queues.keys().next().copied(),
        }
    }

    /// Takes the first one that waits at a stream out, to be tried.
    pub(super) fn pop(&mut self, stream: StreamId) -> Option<Held> {
        let queue = self.queues.get_mut(&stream)?;
        let held = queue.pop_front()?;
        if queue.is_empty() {
            self.queues.remove(&stream);
        }
        self.increments -= held.increments();
        Some(held)
    }

    /// Puts one back that has to wait on.
    pub(super) fn put_back(&mut self, stream: StreamId, held: Held) {
        self.increments += held.increments();
        self.queues.entry(stream).or_default().push_front(held);
    }
}

impl Held {
    fn increments(&self) -> usize {
        match self {
            Self::Increment(_) => 1,
            Self::Batch(_) => 0,
        }
    }
}

impl Increment {
    pub(super) fn new(account: AccountId, msg: &Inbound<'_>) -> Self {
        Self {
            account,
            subject: Box::from(msg.subject),
            reply: Box::from(msg.reply),
            headers: Box::from(msg.headers),
        }
    }

    pub(super) fn msg(&self) -> Inbound<'_> {
        Inbound {
            subject: &self.subject,
            reply: &self.reply,
            headers: &self.headers,
            payload: b"",
        }
    }
}

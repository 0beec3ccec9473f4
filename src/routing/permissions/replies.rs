//! Reply subjects that a client may answer although its rules do not name them.

use alloc::boxed::Box;
use alloc::collections::VecDeque;

use foldhash::fast::FixedState;
use hashbrown::HashMap;
use protocol::time::Instant;

use super::ResponseSpec;
use crate::limits::REPLIES_MAX;

#[derive(Debug)]
pub(super) struct Replies {
    by_subject: HashMap<Box<[u8]>, Reply, FixedState>,
    /// In the order in which they were added; those that are gone or were added again are skipped.
    order: VecDeque<(Box<[u8]>, u64)>,
    added: u64,
}

#[derive(Clone, Copy, Debug)]
struct Reply {
    serial: u64,
    since: Instant,
    answers: u32,
}

impl Replies {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            by_subject: HashMap::with_hasher(FixedState::with_seed(seed)),
            order: VecDeque::new(),
            added: 0,
        }
    }

    /// Allows answers to `subject` from now on.
    pub(super) fn add(&mut self, subject: &[u8], limits: ResponseSpec, now: Instant) {
        self.added += 1;
        let reply = Reply {
            serial: self.added,
            since: now,
            answers: 0,
        };
        // Two copies of the subject for each request delivered to such a client.
        self.by_subject.insert(subject.into(), reply);
        self.order.push_back((subject.into(), reply.serial));
        while let Some((oldest, serial)) = self.order.front() {
            let known = self.by_subject.get(oldest);
            let is_live = known
                .is_some_and(|known| known.serial == *serial && !is_expired(known, limits, now));
            if is_live && self.order.len() <= REPLIES_MAX {
                return;
            }
            if known.is_some_and(|known| known.serial == *serial) {
                self.by_subject.remove(oldest);
            }
            self.order.pop_front();
        }
    }

    /// Reports whether `subject` may be answered once more, and counts it.
    pub(super) fn take(&mut self, subject: &[u8], limits: ResponseSpec, now: Instant) -> bool {
        let Some(reply) = self.by_subject.get_mut(subject) else {
            return false;
        };
        reply.answers = reply.answers.saturating_add(1);
        let used_up = limits.answers_max.is_some_and(|max| reply.answers > max);
        if used_up || is_expired(reply, limits, now) {
            self.by_subject.remove(subject);
            return false;
        }
        true
    }
}

fn is_expired(reply: &Reply, limits: ResponseSpec, now: Instant) -> bool {
    limits
        .expires
        .is_some_and(|expires| now.since(reply.since) > expires)
}

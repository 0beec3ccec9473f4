//! Answers that wait until an entry has been applied, in log order.
//!
//! *Invariant:* waiters are queued with growing positions, so that only the front has to be looked at.
//! A waiter without an entry of its own (a reading request) stands at the position of the last entry
//! proposed before it: it reads its own writes. The subjects of publish acks lie in one ring of bytes,
//! so that a publish allocates nothing.

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, VecDeque};
use alloc::vec::Vec;

use bytes::Bytes;
use protocol::id::{AccountId, ConnId, LogPos, StreamId};

use crate::env::{ApiCall, Inbound, NameRules};

/// When names of consumers that were changed are this many, those that no longer matter are forgotten.
const CONSUMERS_MAX: usize = 16_384;

/// What waits.
#[derive(Debug)]
pub enum Waiter {
    /// A publisher; its reply subject is at the front of the ring.
    Publish {
        /// Its account.
        account: AccountId,
        /// The length of the reply subject.
        reply_len: u32,
        /// What the message counts against the limit of publishes in flight.
        bytes: u32,
    },
    /// A request that changes something: it is answered from the entry's outcome.
    Change(Box<Answer>),
    /// A request that reads: it runs when everything before it has been applied.
    Read(Box<Answer>),
    /// A confirmed acknowledgement: an empty message goes to the reply subject.
    Ack {
        /// Its account.
        account: AccountId,
        /// The reply subject.
        reply: Box<[u8]>,
    },
}

/// A request kept until it can be answered.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The account that asks.
    pub account: AccountId,
    /// The connection that asks.
    pub client: ConnId,
    /// The rules for names.
    pub rules: NameRules,
    /// The request's subject.
    pub subject: Bytes,
    /// Where the answer goes.
    pub reply: Bytes,
    /// The request's headers.
    pub headers: Bytes,
    /// The request's body.
    pub payload: Bytes,
}

impl Answer {
    /// Keeps a request.
    #[must_use]
    pub fn new(call: &ApiCall<'_>) -> Self {
        Self {
            account: call.account,
            client: call.client,
            rules: call.rules,
            subject: Bytes::copy_from_slice(call.msg.subject),
            reply: Bytes::copy_from_slice(call.msg.reply),
            headers: Bytes::copy_from_slice(call.msg.headers),
            payload: Bytes::copy_from_slice(call.msg.payload),
        }
    }

    /// Returns the request as it was made.
    #[must_use]
    pub fn call(&self) -> ApiCall<'_> {
        ApiCall {
            account: self.account,
            client: self.client,
            rules: self.rules,
            msg: Inbound {
                subject: &self.subject,
                reply: &self.reply,
                headers: &self.headers,
                payload: &self.payload,
            },
        }
    }
}

/// How much a change under way concerns.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Scope<'a> {
    /// Whatever there is: every other request waits for it.
    Everything,
    /// A stream that is to be: applying decides between those of one name or subject.
    NewStream,
    /// A consumer of this stream and name.
    Consumer(StreamId, &'a str),
}

/// The waiters of a shard.
#[derive(Debug, Default)]
pub struct Replies {
    queue: VecDeque<(LogPos, Waiter)>,
    subjects: VecDeque<u8>,
    in_flight_bytes: u64,
    /// Requests of the API in the queue that have changed nothing yet.
    requests: usize,
    last_proposed: Option<LogPos>,
    last_change: Option<LogPos>,
    /// The last change of [`Scope::Everything`].
    last_wide_change: Option<LogPos>,
    /// The changes of consumers that are under way, and some that were.
    consumers: BTreeMap<(StreamId, Box<str>), LogPos>,
    /// A request that had waited waits again: those behind it do not overtake it.
    is_held: bool,
    last_applied: Option<LogPos>,
}

impl Replies {
    /// Notes that an entry was proposed. Every proposal of this crate passes here.
    pub(crate) fn proposed(&mut self, pos: LogPos) {
        debug_assert!(self.last_proposed.is_none_or(|last| last < pos));
        self.last_proposed = Some(pos);
    }

    /// Queues a publisher behind its entry; without a reply subject only its bytes are counted.
    pub(crate) fn push_publish(
        &mut self,
        pos: LogPos,
        account: AccountId,
        reply: &[u8],
        bytes: u32,
    ) {
        self.subjects.extend(reply);
        self.in_flight_bytes += u64::from(bytes);
        let reply_len = u32::try_from(reply.len()).unwrap_or(0);
        let waiter = Waiter::Publish {
            account,
            reply_len,
            bytes,
        };
        self.queue.push_back((pos, waiter));
    }

    /// Queues what is answered when the entry at `pos`, the last one proposed, has been applied.
    pub fn push(&mut self, pos: LogPos, waiter: Waiter) {
        debug_assert!(!matches!(waiter, Waiter::Change(_)), "has a way of its own");
        self.queue.push_back((pos, waiter));
    }

    /// Queues the request that asked for the change at `pos`, the last one proposed.
    pub(crate) fn push_change(&mut self, pos: LogPos, scope: Scope<'_>, answer: Box<Answer>) {
        self.note_change(pos, scope);
        self.queue.push_back((pos, Waiter::Change(answer)));
    }

    /// Notes that the entry at `pos` is a change that requests have to wait for.
    pub(crate) fn note_change(&mut self, pos: LogPos, scope: Scope<'_>) {
        match scope {
            Scope::Everything => self.last_wide_change = Some(pos),
            Scope::NewStream => {}
            Scope::Consumer(stream, name) => {
                if !self.has_changes_under_way() {
                    self.consumers.clear();
                } else if self.consumers.len() >= CONSUMERS_MAX {
                    let applied = self.last_applied;
                    self.consumers.retain(|_, pos| Some(*pos) > applied);
                }
                self.consumers.insert((stream, name.into()), pos);
            }
        }
        self.last_change = Some(pos);
    }

    /// Returns whether a change of this scope may be proposed beside those that are under way. Whatever
    /// else asks waits for all of them.
    #[must_use]
    pub(crate) fn has_room_beside(&self, scope: Scope<'_>) -> bool {
        if self.is_under_way(self.last_wide_change) {
            return false;
        }
        match scope {
            Scope::Everything => !self.has_changes_under_way(),
            Scope::NewStream => true,
            Scope::Consumer(stream, name) => {
                let pos = self.consumers.get(&(stream, name.into())).copied();
                !self.is_under_way(pos)
            }
        }
    }

    /// Notes that requests that have waited get their turn.
    pub fn release(&mut self) {
        self.is_held = false;
    }

    /// Returns whether one of those that got their turn has to wait again.
    #[must_use]
    pub(crate) fn is_held(&self) -> bool {
        self.is_held
    }

    /// Queues what waits until everything that is under way has been applied.
    pub(crate) fn push_behind_all(&mut self, waiter: Waiter) {
        let pos = self.last_proposed.unwrap_or_default();
        self.is_held = true;
        self.requests += usize::from(matches!(waiter, Waiter::Read(_)));
        self.queue.push_back((pos, waiter));
    }

    /// Returns whether anybody waits for an entry.
    #[must_use]
    pub fn is_awaited(&self) -> bool {
        !self.queue.is_empty()
    }

    /// Returns how many requests of the API wait for their turn.
    #[must_use]
    pub fn requests(&self) -> usize {
        self.requests
    }

    /// Forgets every request of the API that waits for its turn.
    pub(crate) fn drop_requests(&mut self) {
        self.queue
            .retain(|(_, waiter)| !matches!(waiter, Waiter::Read(_)));
        self.requests = 0;
    }

    /// Returns where the last entry proposed lies.
    #[must_use]
    pub(crate) fn last_proposed(&self) -> Option<LogPos> {
        self.last_proposed
    }

    /// Returns where the last entry lies, if it has not yet been applied.
    #[must_use]
    pub fn barrier(&self) -> Option<LogPos> {
        self.last_proposed
            .filter(|&pos| self.is_under_way(Some(pos)))
    }

    /// Returns whether the entry at `pos` has been proposed and not yet applied.
    #[must_use]
    pub(crate) fn is_under_way(&self, pos: Option<LogPos>) -> bool {
        pos > self.last_applied
    }

    /// Returns whether a change that somebody asked for has not yet been applied.
    #[must_use]
    pub(crate) fn has_changes_under_way(&self) -> bool {
        self.is_under_way(self.last_change)
    }

    /// Takes the request that asked for the change at `pos`.
    pub(crate) fn take_change(&mut self, pos: LogPos) -> Option<Box<Answer>> {
        let (at, Waiter::Change(_)) = self.queue.front()? else {
            return None;
        };
        if *at != pos {
            return None;
        }
        match self.queue.pop_front()? {
            (_, Waiter::Change(answer)) => Some(answer),
            _ => None,
        }
    }

    /// Returns the bytes of publishes in flight.
    #[must_use]
    pub fn in_flight_bytes(&self) -> u64 {
        self.in_flight_bytes
    }

    /// Takes the next waiter at or before `pos`; a publisher's reply subject is put into `reply`.
    pub fn take(&mut self, pos: LogPos, reply: &mut Vec<u8>) -> Option<Waiter> {
        if self.queue.front().is_none_or(|(at, _)| *at > pos) {
            return None;
        }
        self.take_any(reply)
    }

    /// Takes the publisher of the message at `pos`; its reply subject is put into `reply`. A message that
    /// the server made itself has none, and whoever waits behind it stays.
    pub fn take_publish(&mut self, pos: LogPos, reply: &mut Vec<u8>) -> Option<AccountId> {
        let (at, Waiter::Publish { account, .. }) = self.queue.front()? else {
            return None;
        };
        let account = *account;
        if *at != pos {
            return None;
        }
        self.take_any(reply).map(|_| account)
    }

    /// Takes the next waiter whatever it waits for: when nothing will be applied any more.
    pub(crate) fn take_any(&mut self, reply: &mut Vec<u8>) -> Option<Waiter> {
        let (_, waiter) = self.queue.pop_front()?;
        self.requests -= usize::from(matches!(waiter, Waiter::Read(_)));
        if let Waiter::Publish {
            reply_len, bytes, ..
        } = waiter
        {
            reply.clear();
            let len = usize::try_from(reply_len).unwrap_or(0);
            let len = len.min(self.subjects.len());
            let (head, tail) = self.subjects.as_slices();
            let in_head = head.get(..len).unwrap_or(head);
            reply.extend_from_slice(in_head);
            reply.extend_from_slice(tail.get(..len - in_head.len()).unwrap_or_default());
            self.subjects.drain(..len);
            self.in_flight_bytes = self.in_flight_bytes.saturating_sub(u64::from(bytes));
        }
        Some(waiter)
    }

    /// Notes that the entry at `pos` has been applied.
    pub fn applied(&mut self, pos: LogPos) {
        self.last_applied = Some(pos);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waiters_come_out_when_their_entry_is_applied() {
        let (mut replies, mut reply) = (Replies::default(), Vec::new());
        for (pos, subject) in [(10, "r.1"), (20, ""), (30, "r.333")] {
            replies.proposed(LogPos(pos));
            replies.push_publish(LogPos(pos), AccountId(0), subject.as_bytes(), 5);
        }
        assert_eq!(replies.in_flight_bytes(), 15);
        assert!(replies.is_under_way(replies.last_proposed()));
        assert!(replies.take(LogPos(9), &mut reply).is_none());
        for (pos, subject) in [(10, "r.1"), (20, ""), (30, "r.333")] {
            assert!(replies.take(LogPos(pos), &mut reply).is_some());
            assert_eq!(reply, subject.as_bytes());
            assert!(replies.take(LogPos(pos), &mut reply).is_none());
            replies.applied(LogPos(pos));
        }
        assert!(!replies.is_under_way(replies.last_proposed()));
        assert_eq!(replies.in_flight_bytes(), 0);
    }
}

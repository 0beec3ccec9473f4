//! How many bytes streams use, where an account or the server may have only so many.
//!
//! *Invariant:* nothing is added up for each message. What was counted last, and what has been stored
//! since, is no less than what is used; only when that reaches the limit is it counted again.

use alloc::collections::BTreeMap;

use protocol::id::{AccountId, StreamId};
use protocol::js::errors::{self, ApiError};

use crate::JetStream;
use crate::env::Inbound;

/// Whose bytes are limited.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Whose {
    /// Those of all accounts.
    Server,
    /// Those of one.
    Account(AccountId),
}

/// What is known about used bytes: never logged, gone after a restart.
#[derive(Debug, Default)]
pub struct Room {
    /// The bytes that streams have grown by: on disk, and in memory.
    grown: [u64; 2],
    counted: BTreeMap<(Whose, bool), Counted>,
}

/// A sum of the past.
#[derive(Clone, Copy, Debug)]
struct Counted {
    used: u64,
    /// What all streams had grown by.
    grown: u64,
}

impl Room {
    /// Notes that a stream has grown.
    pub(crate) fn grow(&mut self, is_memory: bool, bytes: u64) {
        *self.grown_mut(is_memory) += bytes;
    }

    /// Forgets what was counted: streams have come to accounts by other ways.
    pub(crate) fn forget(&mut self) {
        self.counted.clear();
    }

    /// Returns whether more than `limit` bytes are used; `count` adds them up.
    fn exceeds(
        &mut self,
        whose: Whose,
        is_memory: bool,
        limit: u64,
        count: impl FnOnce() -> u64,
    ) -> bool {
        let grown = *self.grown_mut(is_memory);
        let known = self.counted.get(&(whose, is_memory));
        let fits = known.is_some_and(|known| known.used + (grown - known.grown) <= limit);
        if fits {
            return false;
        }
        let used = count();
        self.counted
            .insert((whose, is_memory), Counted { used, grown });
        used > limit
    }

    fn grown_mut(&mut self, is_memory: bool) -> &mut u64 {
        let [disk, memory] = &mut self.grown;
        if is_memory { memory } else { disk }
    }
}

impl JetStream {
    /// Returns the error of a message that the server or the stream's account has no bytes left for.
    /// This depends on the configuration, so it cannot be part of applying; what is under way counts as
    /// stored.
    pub(crate) fn exceeds_bytes(
        &mut self,
        stream: StreamId,
        msg: &Inbound<'_>,
    ) -> Option<ApiError> {
        self.exceeds_bytes_behind(stream, msg, 0)
    }

    /// Does what [`JetStream::exceeds_bytes`] does for a copy; `copies` is what the bytes of those before it
    /// are that are under way.
    pub(crate) fn exceeds_bytes_behind(
        &mut self,
        stream: StreamId,
        msg: &Inbound<'_>,
        copies: u64,
    ) -> Option<ApiError> {
        let core = &self.streams.get(&stream)?.core;
        let (account, is_memory) = (core.account(), core.is_memory());
        let limits = self.limits(account);
        let options = &self.shared.options;
        let (server, own) = if is_memory {
            (options.memory_bytes_max, limits.max_memory)
        } else {
            (options.store_bytes_max, limits.max_storage)
        };
        // Without a limit, as usual, nothing is added up.
        let server = u64::try_from(server)
            .ok()
            .filter(|max| *max < i64::MAX as u64);
        let own = u64::try_from(own).ok();
        if server.is_none() && own.is_none() {
            return None;
        }
        let len = msg.subject.len() + msg.headers.len() + msg.payload.len();
        let len = u32::try_from(len).unwrap_or(u32::MAX);
        let size = u64::from(core.index.size_of(len, !msg.headers.is_empty()));
        let under_way = self.shared.replies.in_flight_bytes() + copies;
        let (streams, room) = (&self.streams, &mut self.shared.room);
        let count = |whose: Whose| {
            let cores = streams.values().map(|stream| &stream.core);
            let alike = cores.filter(|core| core.is_memory() == is_memory);
            let counted = alike.filter(|core| match whose {
                Whose::Server => true,
                Whose::Account(id) => core.account() == id,
            });
            counted.map(|core| core.index.bytes()).sum()
        };
        let mut is_beyond = |whose, limit: u64, more: u64| {
            let Some(limit) = limit.checked_sub(more) else {
                return true;
            };
            room.exceeds(whose, is_memory, limit, || count(whose))
        };
        // A server takes messages until it has too much, an account what fits.
        if server.is_some_and(|max| is_beyond(Whose::Server, max, under_way)) {
            return Some(errors::INSUFFICIENT_RESOURCES);
        }
        let own = own.filter(|max| is_beyond(Whose::Account(account), *max, under_way + size));
        own.map(|_| errors::ACCOUNT_RESOURCES_EXCEEDED)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_counted_only_when_the_bound_reaches_the_limit() {
        let mut room = Room::default();
        let mut counts = 0;
        let mut ask = |room: &mut Room, used: u64| {
            room.exceeds(Whose::Server, false, 100, || {
                counts += 1;
                used
            })
        };
        assert!(!ask(&mut room, 10));
        room.grow(false, 90);
        // What memory takes is another matter.
        room.grow(true, 1000);
        assert!(!ask(&mut room, 1000));
        room.grow(false, 1);
        // Something was removed meanwhile.
        assert!(!ask(&mut room, 20));
        room.grow(false, 81);
        assert!(ask(&mut room, 101));
        assert_eq!(counts, 3);
    }

    #[test]
    fn what_has_been_forgotten_is_counted_again() {
        let mut room = Room::default();
        let account = Whose::Account(AccountId(1));
        assert!(!room.exceeds(account, true, 5, || 1));
        room.forget();
        assert!(room.exceeds(account, true, 5, || 6));
    }
}

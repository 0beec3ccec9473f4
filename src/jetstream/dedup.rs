//! The duplicate window: which message ids a stream has stored lately.
//!
//! *Invariant:* time here is entry time, so that the same log gives the same answers. An id takes 24
//! bytes of ring and a slot of the table whatever its length; two ids with the same 64-bit hash would
//! be taken for one, at odds of n²/2^65 for n ids in the window.

use alloc::collections::VecDeque;
use core::hash::BuildHasher;

use foldhash::fast::FixedState;
use hashbrown::HashMap;
use protocol::id::Seq;
use protocol::time::Wall;

/// The hash under which an id is remembered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct MsgIdHash(u64);

/// The hashes are part of checkpoints, so the seed never changes.
const SEED: u64 = 0x4265_616c_6521;

impl MsgIdHash {
    /// Returns the hash of an id.
    #[must_use]
    pub(crate) fn of(id: &[u8]) -> Self {
        Self(FixedState::with_seed(SEED).hash_one(id))
    }

    /// Returns the hash as checkpoints store it.
    #[must_use]
    pub(crate) fn to_bits(self) -> u64 {
        self.0
    }

    /// Returns the hash of a checkpoint.
    #[must_use]
    pub(crate) fn from_bits(bits: u64) -> Self {
        Self(bits)
    }
}

/// The ids of one stream.
#[derive(Debug, Default)]
pub(crate) struct Dedup {
    window_ns: u64,
    by_id: HashMap<MsgIdHash, Seq, FixedState>,
    by_time: VecDeque<Remembered>,
    /// How many ids were forgotten since the stream was made: the number of the oldest one.
    forgotten: u64,
    /// Ids from this number on are not in a checkpoint yet.
    unsaved: u64,
    /// Checkpoints hold no page below this one.
    first_page: u64,
}

/// How many ids a checkpoint holds in one page.
const PAGE_LEN: u64 = 4096;

/// An id in the window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Remembered {
    /// When its message was stored.
    pub time: Wall,
    /// Its hash.
    pub id: MsgIdHash,
    /// Its message.
    pub seq: Seq,
}

impl Dedup {
    /// Returns an empty window; one of no length remembers nothing.
    #[must_use]
    pub(crate) fn new(window_ns: u64) -> Self {
        Self {
            window_ns,
            ..Self::default()
        }
    }

    /// Changes the window's length; ids that are now too old go when time next moves on.
    pub(crate) fn set_window(&mut self, window_ns: u64) {
        self.window_ns = window_ns;
    }

    /// Returns whether ids are remembered at all.
    #[must_use]
    pub(crate) fn is_on(&self) -> bool {
        self.window_ns > 0
    }

    /// Returns the message that was stored under `id` in the window that ends at `now`.
    pub(crate) fn find(&mut self, id: MsgIdHash, now: Wall) -> Option<Seq> {
        self.forget(now);
        self.by_id.get(&id).copied()
    }

    /// Returns the message that was stored under `id` lately, without forgetting any other: for whoever
    /// asks beside the log.
    #[must_use]
    pub(crate) fn peek(&self, id: MsgIdHash) -> Option<Seq> {
        self.by_id.get(&id).copied()
    }

    /// Remembers that `id` was stored.
    pub(crate) fn insert(&mut self, remembered: Remembered) {
        if !self.is_on() {
            return;
        }
        self.by_id.insert(remembered.id, remembered.seq);
        self.by_time.push_back(remembered);
    }

    /// Forgets what is older than the window that ends at `now`.
    pub(crate) fn forget(&mut self, now: Wall) {
        while let Some(oldest) = self.by_time.front()
            && now.0.saturating_sub(oldest.time.0) >= self.window_ns
        {
            if self.by_id.get(&oldest.id) == Some(&oldest.seq) {
                self.by_id.remove(&oldest.id);
            }
            self.by_time.pop_front();
            self.forgotten += 1;
        }
        // A burst of ids should not hold its memory for ever.
        if self.by_time.capacity() > 1024 && self.by_time.len() < self.by_time.capacity() / 8 {
            self.by_time.shrink_to(self.by_time.capacity() / 4);
            self.by_id.shrink_to(self.by_time.capacity());
        }
    }

    /// Returns the number of the oldest id, as checkpoints store it.
    #[must_use]
    pub(crate) fn forgotten(&self) -> u64 {
        self.forgotten
    }

    /// Begins with the ids from number `forgotten` on, which are in a checkpoint.
    pub(crate) fn restore(&mut self, forgotten: u64) {
        self.forgotten = forgotten;
        self.unsaved = forgotten;
        self.first_page = forgotten / PAGE_LEN;
    }

    /// Takes over an id of a checkpoint's page; the ids of a page come in order.
    pub(crate) fn restore_id(&mut self, number: u64, remembered: Remembered) {
        if number < self.forgotten {
            return;
        }
        self.insert(remembered);
        self.unsaved = self.end();
    }

    /// Returns the pages that hold ids.
    pub(crate) fn pages(&self) -> impl Iterator<Item = u64> + use<> {
        let pages = self.forgotten / PAGE_LEN..self.end().div_ceil(PAGE_LEN);
        if self.by_time.is_empty() { 0..0 } else { pages }
    }

    /// Returns the pages that have changed since the last call; those without ids are gone.
    pub(crate) fn take_changed(&mut self) -> impl Iterator<Item = u64> + use<> {
        let gone = self.first_page..self.forgotten / PAGE_LEN;
        let unsaved = self.unsaved.max(self.forgotten) / PAGE_LEN;
        let changed = if self.unsaved < self.end() {
            unsaved..self.end().div_ceil(PAGE_LEN)
        } else {
            0..0
        };
        self.first_page = gone.end;
        self.unsaved = self.end();
        gone.chain(changed)
    }

    /// Has a page, and those behind it, written again by the next checkpoint.
    pub(crate) fn touch(&mut self, page: u64) {
        self.unsaved = self.unsaved.min(page.saturating_mul(PAGE_LEN));
    }

    /// Returns the ids of a page with the number of the first one.
    pub(crate) fn page(&self, page: u64) -> (u64, impl ExactSizeIterator<Item = &Remembered>) {
        let at = |number: u64| usize::try_from(number.saturating_sub(self.forgotten));
        let start = page.saturating_mul(PAGE_LEN);
        let len = self.by_time.len();
        let from = at(start).unwrap_or(len).min(len);
        let to = at(start + PAGE_LEN).unwrap_or(len).min(len);
        (start.max(self.forgotten), self.by_time.range(from..to))
    }

    fn end(&self) -> u64 {
        let len = u64::try_from(self.by_time.len()).unwrap_or(u64::MAX);
        self.forgotten.saturating_add(len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(dedup: &mut Dedup, id: &str, time: u64, seq: u64) {
        dedup.insert(Remembered {
            time: Wall(time),
            id: MsgIdHash::of(id.as_bytes()),
            seq: Seq(seq),
        });
    }

    fn find(dedup: &mut Dedup, id: &str, now: u64) -> Option<u64> {
        dedup
            .find(MsgIdHash::of(id.as_bytes()), Wall(now))
            .map(|seq| seq.0)
    }

    #[test]
    fn an_id_is_known_until_the_window_has_passed() {
        let mut dedup = Dedup::new(100);
        put(&mut dedup, "a", 1000, 1);
        put(&mut dedup, "b", 1050, 2);
        assert_eq!(find(&mut dedup, "a", 1099), Some(1));
        assert_eq!(find(&mut dedup, "a", 1100), None);
        assert_eq!(find(&mut dedup, "b", 1100), Some(2));
        assert_eq!(dedup.page(0).1.len(), 1);
    }

    #[test]
    fn without_a_window_nothing_is_remembered() {
        let mut dedup = Dedup::new(0);
        put(&mut dedup, "a", 1000, 1);
        assert_eq!(find(&mut dedup, "a", 1000), None);
    }

    #[test]
    fn memory_comes_back_after_a_burst() {
        let mut dedup = Dedup::new(100);
        for i in 0..10_000 {
            put(&mut dedup, &alloc::format!("{i}"), i, i);
        }
        dedup.forget(Wall(20_000));
        dedup.forget(Wall(20_000));
        assert!(dedup.by_time.capacity() < 6_000);
    }
}

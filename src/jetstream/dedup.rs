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
pub struct MsgIdHash(u64);

/// The hashes are part of checkpoints, so the seed never changes.
const SEED: u64 = 0x4265_616c_6521;

impl MsgIdHash {
    /// Returns the hash of an id.
    #[must_use]
    pub fn of(id: &[u8]) -> Self {
        Self(FixedState::with_seed(SEED).hash_one(id))
    }

    /// Returns the hash as checkpoints store it.
    #[must_use]
    pub fn to_bits(self) -> u64 {
        self.0
    }

    /// Returns the hash of a checkpoint.
    #[must_use]
    pub fn from_bits(bits: u64) -> Self {
        Self(bits)
    }
}

/// The ids of one stream.
#[derive(Debug, Default)]
pub struct Dedup {
    window_ns: u64,
    by_id: HashMap<MsgIdHash, Seq, FixedState>,
    by_time: VecDeque<Remembered>,
}

/// An id in the window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Remembered {
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
    pub fn new(window_ns: u64) -> Self {
        Self {
            window_ns,
            ..Self::default()
        }
    }

    /// Changes the window's length; ids that are now too old go when time next moves on.
    pub fn set_window(&mut self, window_ns: u64) {
        self.window_ns = window_ns;
    }

    /// Returns whether ids are remembered at all.
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.window_ns > 0
    }

    /// Returns the message that was stored under `id` in the window that ends at `now`.
    pub fn find(&mut self, id: MsgIdHash, now: Wall) -> Option<Seq> {
        self.forget(now);
        self.by_id.get(&id).copied()
    }

    /// Remembers that `id` was stored.
    pub fn insert(&mut self, remembered: Remembered) {
        if !self.is_on() {
            return;
        }
        self.by_id.insert(remembered.id, remembered.seq);
        self.by_time.push_back(remembered);
    }

    /// Forgets what is older than the window that ends at `now`.
    pub fn forget(&mut self, now: Wall) {
        while let Some(oldest) = self.by_time.front()
            && now.0.saturating_sub(oldest.time.0) >= self.window_ns
        {
            if self.by_id.get(&oldest.id) == Some(&oldest.seq) {
                self.by_id.remove(&oldest.id);
            }
            self.by_time.pop_front();
        }
        // A burst of ids should not hold its memory for ever.
        if self.by_time.capacity() > 1024 && self.by_time.len() < self.by_time.capacity() / 8 {
            self.by_time.shrink_to(self.by_time.capacity() / 4);
            self.by_id.shrink_to(self.by_time.capacity());
        }
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.by_id.clear();
        self.by_time.clear();
    }

    /// Returns what is remembered, oldest first.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Remembered> {
        self.by_time.iter()
    }

    /// Returns when the oldest id leaves the window.
    #[must_use]
    pub fn next_expiry(&self) -> Option<Wall> {
        let oldest = self.by_time.front()?;
        Some(Wall(oldest.time.0.saturating_add(self.window_ns)))
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
        assert_eq!(dedup.next_expiry(), Some(Wall(1150)));
        assert_eq!(dedup.iter().len(), 1);
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

//! Decisions remembered by subject, in a table of fixed size in which a newer subject takes the place
//! of an older one.

use alloc::vec::Vec;
use core::hash::BuildHasher;

use foldhash::fast::FixedState;

use crate::limits::DECISIONS;

#[derive(Debug)]
pub(super) struct Decisions {
    /// Empty until the first decision, so that connections without rules hold no table.
    slots: Vec<Slot>,
    hasher: FixedState,
}

#[derive(Clone, Debug, Default)]
struct Slot {
    /// Empty in an unused slot; no client can publish to an empty subject.
    subject: Vec<u8>,
    allowed: bool,
}

impl Decisions {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            slots: Vec::new(),
            hasher: FixedState::with_seed(seed),
        }
    }

    /// Returns the decision about `subject`; asks `decide` if it is not remembered.
    #[inline]
    pub(super) fn decide(&mut self, subject: &[u8], decide: impl FnOnce() -> bool) -> bool {
        if self.slots.is_empty() {
            self.slots.resize(DECISIONS, Slot::default());
        }
        let hash = self.hasher.hash_one(subject);
        let at = usize::try_from(hash % DECISIONS as u64).unwrap_or(0);
        let Some(slot) = self.slots.get_mut(at) else {
            return decide();
        };
        if slot.subject != subject || subject.is_empty() {
            slot.allowed = decide();
            // Reuses the slot's memory: it grows to the longest control line at most.
            slot.subject.clear();
            slot.subject.extend_from_slice(subject);
        }
        slot.allowed
    }
}

//! A connection's subscriptions: by the client's name for them, and by the slot that routing uses.

use alloc::boxed::Box;
use alloc::vec::Vec;

use foldhash::fast::FixedState;
use hashbrown::HashMap;
use slab::Slab;

/// One subscription.
#[derive(Clone, Debug)]
pub(crate) struct Sub {
    pub(crate) sid: Box<[u8]>,
    pub(crate) subject: Box<[u8]>,
    pub(crate) queue: Option<Box<[u8]>>,
    /// Messages delivered since it was made.
    pub(crate) delivered: u64,
    /// After how many it ends; 0 is never.
    pub(crate) max: u64,
}

impl Sub {
    /// Says whether it has had all it asked for.
    #[inline]
    pub(crate) fn is_spent(&self) -> bool {
        self.max != 0 && self.delivered >= self.max
    }
}

#[derive(Debug, Default)]
pub(crate) struct Subs {
    slots: Slab<Sub>,
    // Names are chosen by the client, who can only slow down itself with colliding ones.
    by_sid: HashMap<Box<[u8]>, u32, FixedState>,
}

impl Subs {
    pub(crate) fn len(&self) -> usize {
        self.slots.len()
    }

    pub(crate) fn find(&self, sid: &[u8]) -> Option<u32> {
        self.by_sid.get(sid).copied()
    }

    pub(crate) fn insert(&mut self, sub: Sub) -> u32 {
        let sid = sub.sid.clone();
        let slot = u32::try_from(self.slots.insert(sub)).expect("fewer than 2^32 subscriptions");
        self.by_sid.insert(sid, slot);
        slot
    }

    #[inline]
    pub(crate) fn get_mut(&mut self, slot: u32) -> Option<&mut Sub> {
        self.slots.get_mut(slot as usize)
    }

    pub(crate) fn remove(&mut self, slot: u32) -> Option<Sub> {
        let sub = self.slots.try_remove(slot as usize)?;
        self.by_sid.remove(&sub.sid);
        Some(sub)
    }

    /// Takes all of them, in slot order.
    pub(crate) fn take_all(&mut self) -> Vec<(u32, Sub)> {
        self.by_sid.clear();
        let slots = core::mem::take(&mut self.slots);
        slots
            .into_iter()
            .filter_map(|(slot, sub)| Some((u32::try_from(slot).ok()?, sub)))
            .collect()
    }

    /// Iterates in slot order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u32, &Sub)> {
        self.slots
            .iter()
            .filter_map(|(slot, sub)| Some((u32::try_from(slot).ok()?, sub)))
    }
}

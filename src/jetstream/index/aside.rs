//! The numbers of subjects that are too large for their places: of those with very many messages, or with one
//! that is very old.
//!
//! *Invariant:* a place is given out again once its subject has given it up.

use alloc::vec::Vec;
use core::mem::size_of;

use super::subjects::Counted;

/// Numbers, each at a place.
#[derive(Debug, Default)]
pub(super) struct Aside {
    places: Vec<Counted>,
    free: Vec<u32>,
}

impl Aside {
    pub(super) fn get(&self, at: u32) -> Option<Counted> {
        self.places.get(index(at)).copied()
    }

    pub(super) fn set(&mut self, at: u32, counted: Counted) {
        if let Some(place) = self.places.get_mut(index(at)) {
            *place = counted;
        }
    }

    /// Returns the place that the numbers have got.
    pub(super) fn put(&mut self, counted: Counted) -> u32 {
        if let Some(at) = self.free.pop() {
            self.set(at, counted);
            return at;
        }
        self.places.push(counted);
        u32::try_from(self.places.len() - 1).expect("fewer than 2^32 subjects")
    }

    pub(super) fn give_up(&mut self, at: u32) {
        self.free.push(at);
    }

    pub(super) fn memory(&self) -> usize {
        self.places.capacity() * size_of::<Counted>() + self.free.capacity() * size_of::<u32>()
    }

    /// Returns how many places are taken.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.places.len() - self.free.len()
    }
}

fn index(at: u32) -> usize {
    usize::try_from(at).unwrap_or(usize::MAX)
}

//! Names of queue groups, each kept once and counted.

use alloc::boxed::Box;
use core::hash::BuildHasher;

use foldhash::fast::FixedState;
use hashbrown::HashTable;
use slab::Slab;

/// A queue group's name, within one sublist and as long as the group has members.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct QueueId(usize);

#[derive(Debug)]
pub(super) struct QueueNames {
    names: Slab<Name>,
    by_name: HashTable<QueueId>,
    hasher: FixedState,
}

#[derive(Debug)]
struct Name {
    name: Box<[u8]>,
    uses: usize,
}

impl QueueNames {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            names: Slab::new(),
            by_name: HashTable::new(),
            hasher: FixedState::with_seed(seed),
        }
    }

    /// Returns the id of `name` and counts a use of it.
    pub(super) fn acquire(&mut self, name: &[u8]) -> QueueId {
        if let Some(id) = self.find(name) {
            if let Some(known) = self.names.get_mut(id.0) {
                known.uses += 1;
            }
            return id;
        }
        let id = QueueId(self.names.insert(Name {
            name: name.into(),
            uses: 1,
        }));
        let hash = self.hasher.hash_one(name);
        let (names, hasher) = (&self.names, &self.hasher);
        self.by_name.insert_unique(hash, id, |id| {
            names
                .get(id.0)
                .map_or(0, |name| hasher.hash_one(&*name.name))
        });
        id
    }

    pub(super) fn find(&self, name: &[u8]) -> Option<QueueId> {
        let hash = self.hasher.hash_one(name);
        self.by_name
            .find(hash, |&id| self.name(id) == Some(name))
            .copied()
    }

    pub(super) fn name(&self, id: QueueId) -> Option<&[u8]> {
        self.names.get(id.0).map(|name| &*name.name)
    }

    /// Takes back a use; the last one frees the name.
    pub(super) fn release(&mut self, id: QueueId) {
        let Some(name) = self.names.get_mut(id.0) else {
            return;
        };
        name.uses -= 1;
        if name.uses > 0 {
            return;
        }
        let hash = self.hasher.hash_one(&*name.name);
        if let Ok(entry) = self.by_name.find_entry(hash, |&other| other == id) {
            entry.remove();
        }
        self.names.remove(id.0);
    }
}

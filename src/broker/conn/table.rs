//! The connection table: slots with generations.
//!
//! *Invariant:* a [`ConnId`] finds its connection or nothing, never a later one in the same slot.

use alloc::vec::Vec;

use protocol::id::ConnId;

use crate::conn::Conn;

#[derive(Debug, Default)]
pub(crate) struct ConnTable {
    slots: Vec<Slot>,
    free: Vec<u32>,
}

#[derive(Debug, Default)]
struct Slot {
    generation: u32,
    conn: Option<Conn>,
}

impl ConnTable {
    /// Puts the connection that `make` builds into a slot.
    pub(crate) fn insert(&mut self, make: impl FnOnce(ConnId) -> Conn) -> ConnId {
        let index = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Slot::default());
            u32::try_from(self.slots.len() - 1).expect("fewer than 2^32 sockets")
        });
        let slot = self
            .slots
            .get_mut(index as usize)
            .expect("free slots exist");
        let id = ConnId {
            index,
            generation: slot.generation,
        };
        slot.conn = Some(make(id));
        id
    }

    #[inline]
    pub(crate) fn get(&self, id: ConnId) -> Option<&Conn> {
        let slot = self.slots.get(id.index as usize)?;
        slot.conn.as_ref().filter(|conn| conn.id == id)
    }

    #[inline]
    pub(crate) fn get_mut(&mut self, id: ConnId) -> Option<&mut Conn> {
        let slot = self.slots.get_mut(id.index as usize)?;
        slot.conn.as_mut().filter(|conn| conn.id == id)
    }

    /// Returns the connection in a slot. For holders of an index that is dropped before the slot is
    /// reused: subscriptions.
    #[inline]
    pub(crate) fn at_mut(&mut self, index: u32) -> Option<&mut Conn> {
        self.slots.get_mut(index as usize)?.conn.as_mut()
    }

    /// Takes a connection out and frees its slot.
    pub(crate) fn remove(&mut self, id: ConnId) -> Option<Conn> {
        let slot = self.slots.get_mut(id.index as usize)?;
        if slot.generation != id.generation {
            return None;
        }
        let conn = slot.conn.take()?;
        slot.generation = slot.generation.wrapping_add(1);
        self.free.push(id.index);
        Some(conn)
    }

    /// Iterates in slot order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Conn> {
        self.slots.iter().filter_map(|slot| slot.conn.as_ref())
    }
}

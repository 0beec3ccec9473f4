//! A chunk in memory: unpacked, packed as a checkpoint holds it, or both.
//!
//! *Invariant:* a packed page says what the unpacked chunk says. What changes a chunk drops its page;
//! what only adds a link, which no checkpoint holds, notes it in both.

use alloc::boxed::Box;
use core::cell::{Cell, OnceCell};

use super::SubjectId;
use super::chunk::Chunk;
use super::page::Packed;

/// The place of a chunk in the index; empty once all of its messages are gone. Only full chunks are packed.
#[derive(Debug, Default)]
pub(super) struct Held {
    packed: Option<Box<Packed>>,
    chunk: OnceCell<Box<Chunk>>,
    /// Whether somebody has looked since [`Held::fold`].
    used: Cell<bool>,
    /// Whether it differs from what checkpoints hold of it.
    changed: bool,
}

impl Held {
    /// Returns how many messages live.
    pub(super) fn live(&self) -> u32 {
        match (self.chunk.get(), &self.packed) {
            (Some(chunk), _) => chunk.live(),
            (None, Some(packed)) => packed.live,
            (None, None) => 0,
        }
    }

    /// Returns the page of a chunk that is not unpacked.
    pub(super) fn folded(&self) -> Option<&Packed> {
        match self.chunk.get() {
            Some(_) => None,
            None => self.packed.as_deref(),
        }
    }

    /// Returns the chunk, unpacked, to somebody who is likely to look again.
    pub(super) fn chunk(&self) -> Option<&Chunk> {
        self.used.set(true);
        self.glance()
    }

    /// Returns the chunk, unpacked, to somebody who looks once.
    pub(super) fn glance(&self) -> Option<&Chunk> {
        if let Some(chunk) = self.chunk.get() {
            return Some(chunk);
        }
        let packed = self.packed.as_ref()?;
        let unpack = || {
            let mut chunk = packed.unpack();
            chunk.compact();
            Box::new(chunk)
        };
        Some(self.chunk.get_or_init(unpack))
    }

    /// Returns the chunk if it is there without unpacking.
    pub(super) fn unfolded(&self) -> Option<&Chunk> {
        self.chunk.get().map(|chunk| &**chunk)
    }

    /// Returns the chunk to be changed in what a checkpoint holds of it, and whether that is the first
    /// change since [`Held::saved`].
    pub(super) fn change(&mut self) -> Option<(&mut Chunk, bool)> {
        self.glance()?;
        self.packed = None;
        let first = !core::mem::replace(&mut self.changed, true);
        self.chunk.get_mut().map(|chunk| (&mut **chunk, first))
    }

    /// Returns the chunk to be changed, which is made if there is none; see [`Held::change`].
    pub(super) fn change_or_insert(&mut self, make: impl FnOnce() -> Chunk) -> (&mut Chunk, bool) {
        if self.live() == 0 && self.chunk.get().is_none() {
            self.put(make());
        }
        self.change().expect("it was made above")
    }

    /// Takes over a chunk as checkpoints hold it.
    pub(super) fn put(&mut self, chunk: Chunk) {
        self.packed = None;
        self.chunk = OnceCell::from(Box::new(chunk));
    }

    /// Takes over a page as checkpoints hold it, which is that of the chunk if there is one: that goes if
    /// nobody has looked since [`Held::fold`].
    pub(super) fn put_packed(&mut self, packed: Packed) {
        self.packed = Some(Box::new(packed));
        if !self.used.get() {
            self.chunk = OnceCell::new();
        }
    }

    /// Lets everything go.
    pub(super) fn clear(&mut self) {
        self.packed = None;
        self.chunk = OnceCell::new();
    }

    /// Notes that the next checkpoint holds what is here.
    pub(super) fn saved(&mut self) {
        self.changed = false;
    }

    /// Lets the unpacked chunk go if nobody has looked since the last call, and a page has it.
    pub(super) fn fold(&mut self) {
        if !self.used.replace(false) && self.packed.is_some() {
            self.chunk = OnceCell::new();
        }
    }

    /// Records that the message after `seq`, the last one here on the subject, is `next`.
    pub(super) fn link(&mut self, id: SubjectId, seq: u64, next: u64) {
        if let Some(packed) = &mut self.packed {
            packed.link(id, next);
        }
        if let Some(chunk) = self.chunk.get_mut() {
            chunk.link(seq, next);
        }
    }

    /// Returns what is noted to follow `seq` on a subject, as far as it is at hand.
    pub(super) fn look_at_link(&self, id: SubjectId, seq: u64) -> Option<u64> {
        let packed = self.packed.as_ref().and_then(|packed| packed.link_of(id));
        let chunk = self.chunk.get().and_then(|chunk| chunk.next_link(seq));
        chunk.or(packed)
    }

    pub(super) fn memory(&self) -> usize {
        let packed = self.packed.as_ref().map_or(0, |packed| packed.memory());
        packed + self.chunk.get().map_or(0, |chunk| chunk.memory())
    }
}

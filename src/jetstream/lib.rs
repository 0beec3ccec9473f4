//! Streams and consumers as deterministic state machines, applied from a log.
//!
//! *Invariant:* state that survives a restart changes only in `apply`, in log order; an answer that
//! depends on an entry leaves only after that entry has been applied, which is after it was synced.

#![no_std]

extern crate alloc;

pub mod consumer;
pub mod entry;
pub mod env;
pub mod index;
pub mod shared;
pub mod stream;

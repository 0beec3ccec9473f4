//! Agreement on the order of entries: what is proposed to a group, and when it is committed.
//!
//! Today there is one kind of group, [`SoloLog`]: one replica. A replicated group has the same calls,
//! and commits when a majority has synced; nothing above it changes.
//!
//! *Invariant:* an entry is handed on as committed once, in log order, and never before the local log
//! has synced it.

#![no_std]

extern crate alloc;

mod solo;

pub use solo::{Committed, SoloLog};

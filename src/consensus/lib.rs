//! Agreement on the order of entries: what is proposed to a group, and when it is committed.
//!
//! There is one kind of group, [`SoloLog`]: one replica, whose own log's sync is the agreement. What is
//! above it knows of commits only, not of how many had to agree.
//!
//! *Invariant:* an entry is handed on as committed once, in log order, and never before the local log
//! has synced it.

#![no_std]

extern crate alloc;

mod solo;

pub use solo::{Committed, SoloLog};

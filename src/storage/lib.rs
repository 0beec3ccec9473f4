//! The durable log as a state machine: it asks for disk operations and is told their results.
//!
//! An entry is reported ([`StoreEvent::Entry`]) only after the sync that covers it, in the order in
//! which entries were appended; one sync covers everything that arrived while the last one ran.
//! Damage is found by checksums that bind every record to its place, reported, and never spreads: what
//! is undamaged stays readable. The byte format and the reaction to each I/O error are described in
//! `docs/storage.md`.
//!
//! *Invariants:* no I/O, no clock, no entropy. The only way to durability is a [`DiskOp`] that was
//! answered without an error; after a failed write or sync the store is poisoned and says so.

#![no_std]

extern crate alloc;

mod cache;
mod check;
mod checkpoint;
mod correct;
mod events;
mod flush;
mod ids;
mod log;
mod marks;
pub mod op;
mod options;
mod packing;
mod places;
mod reads;
mod record;
mod recovery;
mod report;
mod scrub;
mod segments;
mod store;
#[cfg(test)]
#[expect(clippy::cast_possible_truncation, reason = "test files are small")]
mod test_disk;
mod vault;

pub use check::{Check, CheckReport, DamagedPlaces, Finding, Flaw, Unreadable};
pub use events::StoreEvent;
pub use op::{DiskAnswer, DiskDone, DiskError, DiskOp, FileName, OpId};
pub use options::StoreOptions;
pub use packing::Packing;
pub use record::{FORMAT, FORMAT_SEALED, begins_sealed};
pub use report::{Damage, RecoveryReport};
pub use store::{Store, StoreStats};
pub use vault::{Cipher, KeyError, KeyFile, LIFE_LEN, OpenedKey, SEED_LEN, StoreKey};

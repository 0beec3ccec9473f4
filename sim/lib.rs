//! Simulation: networks, disks, clocks and processes that fail on purpose, clients that use the broker
//! meanwhile, and an oracle that judges what they saw.
//!
//! *Invariant:* everything is drawn from a seed; two runs of one seed do the same, byte for byte.

#![expect(
    clippy::indexing_slicing,
    reason = "an index that is wrong is a mistake of the simulation, and a panic shows it"
)]

pub mod client;
pub mod director;
pub mod disk;
pub mod drive;
pub mod explorer;
pub mod history;
pub mod hosts;
pub mod lives;
pub mod net;
pub mod oracle;
pub mod trace;
pub mod workload;

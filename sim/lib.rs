//! Simulation: networks, disks, clocks and processes that fail on purpose.

pub mod disk;

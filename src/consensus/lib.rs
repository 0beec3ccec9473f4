//! Replication groups behind one interface: today one replica, committed when the local log is synced.

#![no_std]

extern crate alloc;

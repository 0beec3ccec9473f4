//! Streams and consumers as deterministic state machines, applied from a log.

#![no_std]

extern crate alloc;

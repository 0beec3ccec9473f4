//! The durable log as a state machine: it asks for disk operations and is told their results.

#![no_std]

extern crate alloc;

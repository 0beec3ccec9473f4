//! Who gets a message: subscriptions by subject, queue groups, permissions.
//!
//! *Invariant:* no I/O, no clock, no entropy. What is remembered about subjects that clients choose is
//! bounded by [`limits`].

#![no_std]

extern crate alloc;

pub mod limits;
pub mod mapping;
pub mod permissions;
pub mod sublist;

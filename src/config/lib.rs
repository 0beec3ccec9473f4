//! nats-server's configuration grammar and command line, checked into [`Options`].
//!
//! *Invariant:* pure. Files and environment variables are read through callbacks that the server
//! passes in, so that the same text always gives the same options.

#![no_std]

extern crate alloc;

pub mod options;

pub use options::Options;

//! nats-server's configuration grammar and command line, checked into options.

#![no_std]

extern crate alloc;

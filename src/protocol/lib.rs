//! Bytes to values and back: the NATS protocol, its headers and subjects, the JetStream API types,
//! and the few value types that every pure crate shares (time, ids, seeded randomness).
//!
//! *Invariant:* nothing here does I/O, reads a clock or draws entropy. Parsing never panics, whatever
//! the bytes are.

#![no_std]

extern crate alloc;

pub mod connect;
pub mod encode;
pub mod encoding;
pub mod errors;
pub mod headers;
pub mod id;
pub mod info;
pub mod js;
pub mod message;
pub mod parser;
pub mod proxy;
pub mod rng;
pub mod store;
pub mod subject;
pub mod text;
pub mod time;
pub mod websocket;

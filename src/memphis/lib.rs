//! Stations and what Memphis clients ask for, on top of the JetStream API types.
//!
//! A station is derived from streams and has no second source of truth: a station made the Memphis way
//! is its partition streams `<station>$<n>`, and a stream made by a NATS client is a station of its
//! lower-cased name. [`machine::Memphis`] answers the requests on `$memphis_*` by asking the JetStream
//! API through [`machine::Host`].
//!
//! *Invariant:* it speaks to streams through JetStream API requests only; it knows nothing of logs,
//! disks or connections.

#![no_std]

extern crate alloc;

pub mod machine;
pub mod name;
pub mod request;
pub mod station;

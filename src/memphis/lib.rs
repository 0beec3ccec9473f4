//! Stations and what Memphis clients ask for, on top of the JetStream API types.
//!
//! A station made the Memphis way is its partition streams `<station>$<n>`, and a stream made by a NATS
//! client is a station of its lower-cased name: which stations there are is read off the streams.
//! [`machine::Memphis`] answers the requests on `$memphis_*` by asking the JetStream API through
//! [`machine::Host`]; what streams do not say (options, producers, groups, schemas, dead letters) is
//! its [`book::Book`], which the log keeps.
//!
//! *Invariant:* it changes streams through JetStream API requests, and by the few calls of the host for
//! which there is no request; it knows nothing of disks or connections, and of the log only that what
//! it records comes back once it is safe.

#![no_std]

extern crate alloc;

mod answer;
pub mod book;
mod calls;
pub mod clients;
mod consumer;
pub mod dead;
mod dispatch;
pub mod guard;
pub mod logs;
pub mod machine;
mod making;
pub mod manage;
pub mod name;
mod producer;
mod removing;
mod reply;
pub mod request;
mod schema;
pub mod station;
mod throughput;
mod turns;
mod work;

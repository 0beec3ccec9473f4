//! Monitoring: nats-server's documents (`/varz`, `/connz`, `/jsz` and so on) and Prometheus' text, as
//! functions from statistics to bytes. Field names, their order and their types are nats-server's,
//! because dashboards and client tests read them.
//!
//! *Invariant:* pure. What is shown comes through [`Source`], which the broker implements; each
//! document asks only for what it shows. [`http::respond`] serves HTTP; system requests take the
//! documents from the modules.

#![no_std]

extern crate alloc;

pub mod accountz;
pub mod connz;
pub mod healthz;
pub mod http;
mod index;
pub mod json;
pub mod jsz;
pub mod links;
mod metrics;
mod query;
mod queues;
mod source;
pub mod stats;
pub mod subsz;
pub mod system;
#[cfg(test)]
mod testing;
pub mod varz;

pub use query::{Problem, Query};
pub use source::Source;

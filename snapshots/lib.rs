//! Golden conversations: what the real nats-server answers, and whether we answer the same.
//!
//! A *case* (`cases/<area>/<name>.case`, grammar in [`case`]) is a scripted conversation. [`play`]
//! holds it with any server binary that accepts nats-server's configuration file and gives a
//! transcript whose times, ids and ports are normalised ([`normalise`]). The `record` program plays
//! every case against the real nats-server and writes `recorded/<area>/<name>.txt`; the test plays
//! the same cases against our binary and compares, apart from the wanted differences of
//! `differences.txt` and the cases of `pending.txt` that are known not to pass yet.
//!
//! *Invariant:* nothing here knows how our server works inside; it only sees sockets.

#![allow(missing_docs, reason = "a test tool: fields explain themselves")]

pub mod case;
mod clients;
pub mod compare;
pub mod compat;
pub mod conn;
mod errors;
pub mod lists;
mod memphis;
mod monitoring;
pub mod normalise;
pub mod play;
pub mod process;
mod proofs;
pub mod step;
mod text;

use std::path::PathBuf;

/// The folder that holds cases, recordings and lists.
#[must_use]
pub fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

//! Models against machines, and the world that a machine runs in there.

#![allow(missing_docs, reason = "for tests only")]
#![allow(clippy::indexing_slicing, reason = "a panic here is a failed test")]

extern crate alloc;

// As the world of JetStream's own tests knows them.
use jetstream::{JetStream, Options, env};

// The file itself and no feature of that crate: a build of the workspace would put it into the server, too.
#[path = "../src/jetstream/testing.rs"]
pub mod testing;
pub mod world;

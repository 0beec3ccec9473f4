//! Models against machines, and the world that a machine runs in there.

#![allow(missing_docs, reason = "for tests only")]
#![allow(clippy::indexing_slicing, reason = "a panic here is a failed test")]

pub mod world;

//! `Shard`: one single-threaded broker, driven by inputs, answering with effects.

#![no_std]

extern crate alloc;

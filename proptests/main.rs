//! Models against machines: each file takes one machine, drives it with generated inputs and compares
//! it with something so simple that it is obviously right.

#![allow(missing_docs, reason = "tests are named as sentences")]
#![allow(clippy::indexing_slicing, reason = "a panic here is a failed test")]

mod consumer;
mod costs;
mod memory;
mod parser;
mod recovery;
mod stream;
mod subject;
mod sublist;
mod text;

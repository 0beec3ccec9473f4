//! The project's own tools: the lint test (rules that neither rustc nor clippy knows), and what the
//! bench and the fault checks share.

#![allow(
    clippy::indexing_slicing,
    clippy::std_instead_of_core,
    missing_docs,
    reason = "tools: a wrong index ends the run, and they live on std"
)]

pub mod load;

#[cfg(test)]
mod tidy;

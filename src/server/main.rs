//! The `beale` binary.

fn main() {}

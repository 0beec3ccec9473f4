//! The world that JetStream's machine runs in here: every read is answered in the end, and below `in.` there is
//! always somebody who listens.

pub use crate::testing::{ACCOUNT, Bench, Delivered};

/// Returns a machine that knows no stream yet.
pub fn bench() -> Bench {
    let mut bench = Bench::new();
    bench.world.crowd = Some("in.");
    bench.world.reads_end = true;
    bench
}

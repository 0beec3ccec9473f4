//! The thin driver: sockets, disk threads, signals and logs around `broker::Shard`.

pub mod disk;
pub mod launch;
mod signal_sender;

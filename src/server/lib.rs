//! The thin driver: sockets, disk threads, signals and logs around `broker::Shard`.

pub mod launch;
mod signal_sender;

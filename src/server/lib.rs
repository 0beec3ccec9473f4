//! The thin driver around the pure broker: sockets, the timer, the log, and how the process starts
//! and stops.
//!
//! *Invariant:* decisions are the shard's. The driver carries bytes, time and effects between it and
//! the system, on one thread.

mod check;
mod client;
pub mod clock;
mod closed_door;
mod conn_io;
pub mod disk;
mod disk_times;
mod door;
mod driver;
mod entropy;
mod gather;
mod http;
mod import;
pub mod launch;
pub mod log;
mod log_file;
mod machine;
pub mod net;
mod origin;
mod ports_file;
pub mod process;
mod process_stats;
mod refused;
mod reload;
mod rest;
mod s3;
mod serve;
mod signal_sender;
mod slack;
mod syslog;
mod tls;
mod token_files;
mod web;
mod web_client;
mod websocket;
mod work;

#[cfg(test)]
mod tests;

pub use client::wire;
pub use ports_file::Bound;
pub use reload::{ConfigSource, Fresh, OpenStore, Reload, StoreChange};
pub use serve::{Ends, ServeOptions, Surroundings, serve};

/// Returns the system's text for an error as nats-server prints it: in lower case, without a number.
fn reason(error: &std::io::Error) -> String {
    let text = error.to_string();
    let text = text.split(" (os error").next().unwrap_or_default();
    let mut chars = text.chars();
    let first = chars.next().map(|c| c.to_ascii_lowercase());
    first.into_iter().chain(chars).collect()
}

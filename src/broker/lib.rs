//! `Shard`: one single-threaded broker, driven by inputs, answering with effects.
//!
//! Connections speak the NATS protocol to it as bytes; it authenticates them, routes what they
//! publish, and puts what they are sent into their outboxes.
//!
//! *Invariant:* no I/O, no clock, no entropy. Time and bytes come in as arguments, and everything
//! that must happen outside comes back as [`Effects`], which the driver drains before the next input.

#![no_std]

extern crate alloc;

mod accounts;
mod ahead;
mod auth;
mod callout;
mod closed;
mod conn;
mod connect;
mod crossing;
mod effects;
mod fetching;
mod following;
mod info;
mod lame_duck;
mod limits;
mod monitoring;
mod ops;
mod pings;
mod publish;
mod reload;
mod router;
mod shard;
mod sharing;
mod snapshot;
mod stations;
mod stats;
mod streams;
mod subscribe;
mod system;
mod timers;
mod tls;
mod trace;
mod who;

#[cfg(test)]
mod tests;

pub use closed::Closed;
pub use effects::{
    Accepted, Effects, Errand, FileChange, Gone, Input, Level, LogLine, ManageCall, Rules,
    WebSocketClient, WorkDone, WorkOp,
};
pub use info::Identity;
pub use memphis::book::UserKind;
pub use memphis::guard::{Compiled, SchemaLibrary, SchemaText, Validator};
pub use memphis::machine::{Bucket, Notice, Upload, UploadId};
pub use memphis::manage::{Answer, CallId};
pub use monitoring::Monitoring;
pub use protocol::errors::CloseReason;
pub use protocol::id::ConnId;
pub use shard::{Manager, Proof, Room, Shard, ShardOptions};
pub use snapshot::{ConnView, SubView};
pub use stats::{Flow, Stats};
pub use streams::{Progress, Storage, StorageView};
pub use timers::TimerKind;
pub use tls::{PeerCert, Security, TlsSession};

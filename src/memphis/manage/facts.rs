//! What streams say of themselves, as far as people want to know.

use alloc::string::String;
use alloc::vec::Vec;

use crate::station::StationRetention;

/// What a stream is and holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamFacts {
    /// When messages go; nothing if never.
    pub retention: Option<StationRetention>,
    /// Whether it is in memory.
    pub in_memory: bool,
    /// How many servers keep a copy.
    pub replicas: i64,
    /// How long message ids are remembered, in milliseconds.
    pub idempotency_ms: u64,
    /// How many messages it holds.
    pub messages: u64,
    /// How many bytes they take.
    pub bytes: u64,
    /// When it was made, in nanoseconds since 1970.
    pub created: u64,
    /// Its consumers.
    pub consumers: Vec<ConsumerFacts>,
}

/// How many bytes have gone in and out of an account since the process began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TrafficFacts {
    /// What clients published.
    pub received: u64,
    /// What clients were sent.
    pub sent: u64,
}

/// A connection of a NATS client that publishes to a station.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PublisherFacts {
    /// The name that it gave itself; empty for none.
    pub name: String,
    /// The language of its library.
    pub lang: String,
    /// The connection's number.
    pub connection: u64,
    /// How many messages it has published.
    pub messages: u64,
    /// When it published the last one, in nanoseconds since 1970.
    pub active: u64,
}

/// What a consumer is and how far it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConsumerFacts {
    /// Its name.
    pub name: String,
    /// How many messages it has not delivered.
    pub pending: u64,
    /// How many it has delivered that are not acknowledged.
    pub ack_pending: u64,
    /// How long an ack may take, in milliseconds.
    pub ack_ms: u64,
    /// How often a message is delivered at most; negative for any number.
    pub deliveries_max: i64,
    /// When something last happened, in nanoseconds since 1970; 0 for never.
    pub active: u64,
    /// Whether somebody waits for messages.
    pub is_active: bool,
}

//! Counters that monitoring shows.

/// Messages and bytes in one direction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flow {
    /// Messages.
    pub msgs: u64,
    /// Bytes of headers and payloads.
    pub bytes: u64,
}

impl Flow {
    /// Counts what was counted elsewhere.
    pub(crate) fn merge(&mut self, other: Self) {
        self.msgs += other.msgs;
        self.bytes += other.bytes;
    }

    /// Counts one message.
    pub(crate) fn add(&mut self, bytes: usize) {
        self.msgs += 1;
        self.bytes += bytes as u64;
    }
}

/// A shard's counters since it started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// What clients published.
    pub received: Flow,
    /// What was sent to clients.
    pub sent: Flow,
    /// Connections so far.
    pub connections_total: u64,
    /// Clients cut off because they read too slowly.
    pub slow_consumers: u64,
    /// Connections that answered no PING.
    pub stale_connections: u64,
    /// How often a publisher was paused.
    pub stalls: u64,
}

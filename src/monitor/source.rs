//! Where the documents get what they show.

use alloc::vec::Vec;

use config::Options;
use protocol::time::Now;

use crate::stats::{
    Account, Connection, Health, JetStream, Process, Server, Store, Stream, Subscription,
};

/// A broker, as monitoring sees it.
pub trait Source {
    /// Returns the clocks.
    fn now(&self) -> Now;

    /// Returns what the broker is configured to.
    fn options(&self) -> &Options;

    /// Returns the broker's identity and counters.
    fn server(&self) -> Server;

    /// Returns what the driver measures of the process.
    fn process(&self) -> Process;

    /// Returns the open connections, lowest number first.
    fn connections(&self) -> Vec<Connection>;

    /// Returns the connections that have ended, as far as they are remembered.
    fn closed_connections(&self) -> Vec<Connection>;

    /// Returns the subscriptions of all connections.
    fn subscriptions(&self) -> Vec<Subscription>;

    /// Returns the accounts, the global and the system account among them.
    fn accounts(&self) -> Vec<Account>;

    /// Returns JetStream's totals; none when it is off.
    fn jetstream(&self) -> Option<JetStream>;

    /// Returns an account's streams with their consumers; none when the account may not use
    /// JetStream, or does not exist.
    fn streams(&self, account: &str) -> Option<Vec<Stream>>;

    /// Returns what is known of the store; none without one.
    fn store(&self) -> Option<Store>;

    /// Returns how the broker is.
    fn health(&self) -> Health;
}

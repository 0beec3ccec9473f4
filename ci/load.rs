//! What the bench and the fault checks share: a bare client and a server under test.

pub mod client;
pub mod server;

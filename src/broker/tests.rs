//! The shard driven with bytes: clients connect, say something, and see what they are sent.

mod abuse;
mod callout;
mod fetching;
mod following;
mod harness;
mod keys;

mod lame_duck;
mod limits;
mod login;
mod mending;
mod proxies;
mod pubsub;
mod reload;
mod sharing;
mod shown;
mod signed;
mod signs_of_life;
mod stations;
mod streams;
mod system;
mod tracing;

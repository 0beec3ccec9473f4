//! The JetStream API: its subjects, requests, responses, errors and advisories, and the rules that
//! configurations must obey.
//!
//! *Invariant:* pure values and functions. What a rule needs to know about other streams comes in as an
//! argument; nothing here holds state.
//!
//! Texts, key order and numbers are those of nats-server 2.15.1: clients compare them.

pub mod ack;
pub mod advisory;
pub mod api;
pub mod check;
pub mod config;
pub mod enums;
pub mod errors;
pub mod info;
pub mod json;
pub mod limits;
pub mod pub_ack;
pub mod request;
pub mod response;

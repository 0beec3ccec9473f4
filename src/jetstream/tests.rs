//! The machine end to end: requests and publishes in, acks and answers out.

mod api;
mod atomic;
mod beside;
mod closed;
mod consuming;
mod counters;
mod fast;
mod follow;
mod holes;
mod lifetimes;
mod limits;
mod messages;
mod parking;
mod publish;
mod replay;
mod schedules;
mod subjects;

//! Values as the text that NATS' JSON and configuration use: times, durations and Go's JSON escapes.

pub mod duration;
pub mod json;
pub mod quoted;
pub mod rfc3339;

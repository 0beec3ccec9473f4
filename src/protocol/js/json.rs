//! JSON as the JetStream API speaks it: keys in a fixed order, Go's escapes, and error texts that
//! clients and their users have seen before.
//!
//! *Invariant:* decoding reports the first fault in document order; within a value, a syntax fault anywhere
//! wins over every fault of types. Nothing recurses deeper than [`DEPTH_MAX`].
//!
//! Types are declared by `json_struct!` and `json_enum!`, which write both directions from one list of
//! fields; [`decode`] and [`to_vec`] drive them.

mod decode;
mod encode;
mod go;
mod parse;
#[macro_use]
mod record;

pub use decode::{Context, DecodeError, FromJson, Record, Strictness, decode};
pub use encode::{Fields, ToJson, Writer, to_vec};
pub use go::go_quote;
pub use parse::{DEPTH_MAX, Node, SyntaxError, Value, parse};
pub use record::Flags;

pub(crate) use decode::is_same_key;
pub(crate) use record::{json_enum, json_output, json_struct};

#[cfg(test)]
mod tests;

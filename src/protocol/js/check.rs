//! The rules that configurations obey: what is filled in, what is refused, and in which order.
//!
//! *Invariant:* the first rule that is broken, in nats-server's order, names the error. Checking a
//! configuration that has passed changes nothing.

mod consumer;
mod consumer_defaults;
mod consumer_request;
mod consumer_selection;
mod metadata;
mod names;
mod prefixes;
mod resources;
mod sources;
mod stream;
mod subjects;
mod update;

#[cfg(test)]
mod tests;

pub use crate::subject::transform::{TransformError, check_transform};
pub use consumer::{ConsumerRules, check_consumer, settle_ephemeral, settle_inactivity};
pub use consumer_request::{
    check_consumer_update, check_name_length, check_work_queue, resolve_consumer_request,
};
pub use consumer_selection::is_group_name;
pub use metadata::{
    SERVER_LEVEL_KEY, SERVER_VERSION_KEY, is_level_supported, set_consumer_level, set_stream_level,
    shown_metadata,
};
pub use names::{NameRules, check_memphis_name};
pub use resources::{Reserved, check_resources};
pub use stream::{ServerLimits, StreamRules, check_stream, check_stream_create};
pub use update::check_stream_update;

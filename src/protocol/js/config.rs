//! The configurations of streams and consumers, as requests carry them and as they are stored.
//!
//! Numbers are as clients sent them; the checks fill in defaults and refuse what cannot be.

mod consumer;
mod stream;

pub use consumer::{ConsumerConfig, ConsumerCreateRequest};
pub use stream::{
    ConsumerLimits, External, Metadata, Placement, Republish, SourceConsumer, StreamConfig,
    StreamConfigRequest, StreamSource, SubjectTransform, TIERED,
};

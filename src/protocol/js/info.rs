//! What responses tell about streams, consumers and accounts.

mod account;
mod consumer;
mod stream;

pub use account::{AccountInfo, AccountLimits, ApiStats, Tier};
pub use consumer::{ConsumerInfo, PriorityGroupState, SequenceInfo};
pub use stream::{
    Alternate, ClusterInfo, LostData, PeerInfo, SourceInfo, StoredMessage, StreamInfo, StreamState,
};

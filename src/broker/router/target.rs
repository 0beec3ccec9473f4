//! What stands in the routing tables: who gets a message.

use protocol::id::StreamId;

use crate::sharing::{ServiceRef, ShadowRef};

/// Who a subscription of the routing table belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Target {
    /// A client's subscription.
    Sub(SubRef),
    /// A stream, which stores what it gets.
    Stream(StreamId),
    /// The Memphis layer, which answers requests of SDKs.
    Memphis,
    /// What another account's subscription covers of a stream that it imports.
    Shadow(ShadowRef),
    /// A service of another account.
    Service(ServiceRef),
    /// The answers that other accounts wait for.
    Responses,
    /// The server itself, in the system account.
    System,
}

/// A client's subscription: the connection's slot, and the subscription's slot in it. It is taken out
/// of the routing table before either slot is reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct SubRef {
    pub(crate) conn: u32,
    pub(crate) slot: u32,
}

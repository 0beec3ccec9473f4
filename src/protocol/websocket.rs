//! WebSocket (RFC 6455) as NATS uses it: a stream of protocol bytes in frames whose borders mean
//! nothing, with `permessage-deflate` (RFC 7692) where both sides keep no context between messages.
//!
//! *Invariant:* no I/O. [`Reader`] turns what was received into the bytes inside, [`Writer`] the other
//! way round, [`upgrade`] a request's head into its answer; none holds more than a frame header and a
//! bounded piece of what it decompresses.

mod frame;
mod reader;
#[cfg(test)]
mod tests;
pub mod upgrade;
mod writer;

pub use reader::{CloseFrame, Item, Reader, Violation};
pub use writer::{Deflater, Writer};

use crate::errors::CloseReason;

/// What a close frame gives as its reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CloseStatus(pub u16);

impl CloseStatus {
    /// The connection has done what it was for.
    pub const NORMAL: Self = Self(1000);
    /// The server or the browser goes away.
    pub const GOING_AWAY: Self = Self(1001);
    /// The peer broke the protocol.
    pub const PROTOCOL_ERROR: Self = Self(1002);
    /// A text is none.
    pub const INVALID_PAYLOAD: Self = Self(1007);
    /// The peer may not do what it does.
    pub const POLICY_VIOLATION: Self = Self(1008);
    /// A message is too long.
    pub const TOO_BIG: Self = Self(1009);
    /// The server failed.
    pub const INTERNAL_ERROR: Self = Self(1011);
    /// There was no TLS.
    pub const TLS_HANDSHAKE: Self = Self(1015);

    /// Returns the status that stands for why the server closes a connection.
    #[must_use]
    pub fn of(reason: CloseReason) -> Self {
        use CloseReason as R;
        match reason {
            R::ClientClosed => Self::NORMAL,
            R::AuthenticationTimeout
            | R::AuthenticationViolation
            | R::SlowConsumerPendingBytes
            | R::SlowConsumerWriteDeadline
            | R::MaxAccountConnectionsExceeded
            | R::MaxConnectionsExceeded
            | R::MaxControlLineExceeded
            | R::MaxSubscriptionsExceeded
            | R::MissingAccount
            | R::AuthenticationExpired
            | R::Revocation => Self::POLICY_VIOLATION,
            R::TlsHandshakeError => Self::TLS_HANDSHAKE,
            R::ParseError | R::ProtocolViolation | R::BadClientProtocolVersion => {
                Self::PROTOCOL_ERROR
            }
            R::MaxPayloadExceeded => Self::TOO_BIG,
            R::WriteError | R::ReadError | R::StaleConnection | R::ServerShutdown => {
                Self::GOING_AWAY
            }
            R::WrongPort
            | R::DuplicateRoute
            | R::RouteRemoved
            | R::WrongGateway
            | R::InternalClient
            | R::MessageHeaderViolation
            | R::NoRespondersRequiresHeaders
            | R::ClusterNameConflict
            | R::DuplicateRemoteLeafnodeConnection
            | R::DuplicateClientId
            | R::DuplicateServerName
            | R::MinimumVersionRequired
            | R::ClusterNamesIdentical
            | R::Kicked
            | R::ProxyNotTrusted
            | R::ProxyRequired => Self::INTERNAL_ERROR,
        }
    }

    /// Says whether a peer may send this one.
    fn is_valid(self) -> bool {
        matches!(self.0, 1000..=1003 | 1007..=1011 | 3000..=4999)
    }
}

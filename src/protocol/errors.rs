//! What clients are told in `-ERR`, and the reasons that monitoring shows for closed connections.
//! Client libraries compare these texts, so every byte counts.

use core::fmt;

use crate::text::quoted::Quoted;

/// An error that a client is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProtocolError<'a> {
    /// No such verb, or a payload with a wrong end.
    UnknownOperation,
    /// `SUB` with a subject that cannot be.
    InvalidSubject,
    /// `PUB` with a subject that is no literal, in pedantic mode.
    InvalidPublishSubject,
    /// A payload over the limit.
    MaxPayload,
    /// A control line over the limit.
    MaxControlLine,
    /// One subscription too many.
    MaxSubscriptions,
    /// One connection too many on the server.
    MaxConnections,
    /// One connection too many in the account.
    MaxAccountConnections,
    /// Credentials are missing or wrong.
    AuthorizationViolation,
    /// No `CONNECT` in time.
    AuthenticationTimeout,
    /// The user's credentials ran out.
    UserExpired,
    /// The user's credentials were revoked.
    UserRevoked,
    /// The account ran out.
    AccountExpired,
    /// No answer to the server's `PING`.
    StaleConnection,
    /// Too many connections per second.
    Throttled,
    /// `CONNECT` names a protocol version that does not exist.
    InvalidClientProtocol,
    /// `CONNECT` asks for no-responders messages but not for headers.
    NoRespondersNeedsHeaders,
    /// Not allowed to publish there.
    PublishDenied {
        /// Where.
        subject: &'a [u8],
    },
    /// Not allowed to ask for answers there.
    ReplyDenied {
        /// Where.
        reply: &'a [u8],
    },
    /// Not allowed to subscribe.
    SubscribeDenied {
        /// To what.
        subject: &'a [u8],
        /// In which queue group.
        queue: Option<&'a [u8]>,
    },
    /// A subscription was removed because permissions shrank.
    SubscriptionRevoked {
        /// To what.
        subject: &'a [u8],
        /// In which queue group.
        queue: Option<&'a [u8]>,
        /// The client's name for it.
        sid: &'a [u8],
    },
    /// A subscription's subject has more tokens than allowed.
    TooManyTokens {
        /// Which subject.
        subject: &'a [u8],
    },
}

impl fmt::Display for ProtocolError<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self {
            Self::UnknownOperation => "Unknown Protocol Operation",
            Self::InvalidSubject => "Invalid Subject",
            Self::InvalidPublishSubject => "Invalid Publish Subject",
            Self::MaxPayload => "Maximum Payload Violation",
            Self::MaxControlLine => "maximum control line exceeded",
            Self::MaxSubscriptions => "maximum subscriptions exceeded",
            Self::MaxConnections => "maximum connections exceeded",
            Self::MaxAccountConnections => "maximum account active connections exceeded",
            Self::AuthorizationViolation => "Authorization Violation",
            Self::AuthenticationTimeout => "Authentication Timeout",
            Self::UserExpired => "User Authentication Expired",
            Self::UserRevoked => "User Authentication Revoked",
            Self::AccountExpired => "Account Authentication Expired",
            Self::StaleConnection => "Stale Connection",
            Self::Throttled => "Connection throttling is active. Please try again later.",
            Self::InvalidClientProtocol => "invalid client protocol",
            Self::NoRespondersNeedsHeaders => "no responders requires headers support",
            Self::PublishDenied { subject } => {
                return write!(
                    f,
                    "Permissions Violation for Publish to {}",
                    Quoted(subject)
                );
            }
            Self::ReplyDenied { reply } => {
                let reply = Quoted(reply);
                return write!(f, "Permissions Violation for Publish with Reply of {reply}");
            }
            Self::SubscribeDenied { subject, queue } => {
                return write_subscription(f, subject, *queue);
            }
            Self::SubscriptionRevoked {
                subject,
                queue,
                sid,
            } => {
                write_subscription(f, subject, *queue)?;
                return write!(f, " (sid {})", Quoted(sid));
            }
            Self::TooManyTokens { subject } => {
                write_subscription(f, subject, None)?;
                ", too many tokens"
            }
        };
        f.write_str(text)
    }
}

fn write_subscription(
    f: &mut fmt::Formatter<'_>,
    subject: &[u8],
    queue: Option<&[u8]>,
) -> fmt::Result {
    let subject = Quoted(subject);
    write!(f, "Permissions Violation for Subscription to {subject}")?;
    match queue {
        Some(queue) => write!(f, " using queue {}", Quoted(queue)),
        None => Ok(()),
    }
}

macro_rules! close_reasons {
    ($($(#[$doc:meta])* $name:ident = $text:literal,)*) => {
        /// Why a connection was closed, as `/connz` shows it.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum CloseReason {
            $($(#[$doc])* $name,)*
        }

        impl CloseReason {
            /// Returns the text that `/connz` shows.
            #[must_use]
            pub fn text(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)*
                }
            }
        }
    };
}

close_reasons! {
    /// The client went away.
    ClientClosed = "Client Closed",
    /// No `CONNECT` in time.
    AuthenticationTimeout = "Authentication Timeout",
    /// Credentials are missing or wrong.
    AuthenticationViolation = "Authentication Failure",
    /// TLS could not be set up.
    TlsHandshakeError = "TLS Handshake Failure",
    /// More is waiting for the client than allowed.
    SlowConsumerPendingBytes = "Slow Consumer (Pending Bytes)",
    /// The client did not take what was waiting in time.
    SlowConsumerWriteDeadline = "Slow Consumer (Write Deadline)",
    /// Writing failed.
    WriteError = "Write Error",
    /// Reading failed.
    ReadError = "Read Error",
    /// The client sent something that cannot be read.
    ParseError = "Parse Error",
    /// No answer to the server's `PING`.
    StaleConnection = "Stale Connection",
    /// The client broke the protocol.
    ProtocolViolation = "Protocol Violation",
    /// `CONNECT` names a protocol version that does not exist.
    BadClientProtocolVersion = "Bad Client Protocol Version",
    /// Wrong listener for this kind of peer.
    WrongPort = "Incorrect Port",
    /// One connection too many on the server.
    MaxConnectionsExceeded = "Maximum Connections Exceeded",
    /// One connection too many in the account.
    MaxAccountConnectionsExceeded = "Maximum Account Connections Exceeded",
    /// A payload over the limit.
    MaxPayloadExceeded = "Maximum Message Payload Exceeded",
    /// A control line over the limit.
    MaxControlLineExceeded = "Maximum Control Line Exceeded",
    /// One subscription too many.
    MaxSubscriptionsExceeded = "Maximum Subscriptions Exceeded",
    /// A second route to the same server.
    DuplicateRoute = "Duplicate Route",
    /// The route is no longer configured.
    RouteRemoved = "Route Removed",
    /// The server stops.
    ServerShutdown = "Server Shutdown",
    /// The credentials ran out.
    AuthenticationExpired = "Authentication Expired",
    /// A gateway of another name.
    WrongGateway = "Wrong Gateway",
    /// The account is not known.
    MissingAccount = "Missing Account",
    /// The credentials were revoked.
    Revocation = "Credentials Revoked",
    /// A client inside the server.
    InternalClient = "Internal Client",
    /// A message's header block is broken.
    MessageHeaderViolation = "Message Header Violation",
    /// `CONNECT` asks for no-responders messages but not for headers.
    NoRespondersRequiresHeaders = "No Responders Requires Headers",
    /// The peer's cluster has another name.
    ClusterNameConflict = "Cluster Name Conflict",
    /// The same leaf node again.
    DuplicateRemoteLeafnodeConnection = "Duplicate Remote LeafNode Connection",
    /// An MQTT client id in use by a newer connection.
    DuplicateClientId = "Duplicate Client ID",
    /// A peer with this server's name.
    DuplicateServerName = "Duplicate Server Name",
    /// The peer is too old.
    MinimumVersionRequired = "Minimum Version Required",
    /// Both clusters have the same name.
    ClusterNamesIdentical = "Cluster Names Identical",
    /// An operator closed it.
    Kicked = "Kicked",
    /// The proxy's signature does not fit.
    ProxyNotTrusted = "Proxy Not Trusted",
    /// The user may only connect through a proxy.
    ProxyRequired = "Proxy Required",
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;

    use super::*;

    #[test]
    fn permission_errors_name_the_subject_as_go_quotes_it() {
        let denied = ProtocolError::SubscribeDenied {
            subject: b"a.>",
            queue: Some(b"q"),
        };
        assert_eq!(
            denied.to_string(),
            r#"Permissions Violation for Subscription to "a.>" using queue "q""#
        );
        let revoked = ProtocolError::SubscriptionRevoked {
            subject: b"a",
            queue: None,
            sid: b"7",
        };
        assert_eq!(
            revoked.to_string(),
            r#"Permissions Violation for Subscription to "a" (sid "7")"#
        );
        let odd = ProtocolError::PublishDenied {
            subject: b"a\"\\\x01\xff\xc3\xa9",
        };
        assert_eq!(
            odd.to_string(),
            r#"Permissions Violation for Publish to "a\"\\\x01\xffé""#
        );
        let deep = ProtocolError::TooManyTokens { subject: b"a.b" };
        assert_eq!(
            deep.to_string(),
            r#"Permissions Violation for Subscription to "a.b", too many tokens"#
        );
    }
}

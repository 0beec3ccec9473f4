//! Who may connect, and what each may do: users, permissions, accounts and what they share.

use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

use super::AccountJetStream;

/// The `authorization` block.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Auth {
    /// The one user's name, where no list of users is given.
    pub user: Option<String>,
    /// The one user's password, plain or bcrypt.
    pub password: Option<String>,
    /// The token that clients may connect with, plain or bcrypt.
    pub token: Option<String>,
    /// How long a client may take to authenticate; 2 s, or a second more than TLS', when not set.
    pub timeout: Option<Duration>,
    /// The users of the global account.
    pub users: Vec<User>,
    /// What users without permissions of their own may do.
    pub default_permissions: Option<Permissions>,
    /// The service that decides who may connect.
    pub callout: Option<AuthCallout>,
    /// Whether clients that are none of the users have to come through a trusted proxy.
    pub proxy_required: bool,
}

/// The `proxies` block.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Proxies {
    /// The public keys of the proxies that may vouch for where a client comes from.
    pub trusted: Vec<String>,
}

/// The `auth_callout` block.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuthCallout {
    /// Who signs what the service says.
    pub issuer: String,
    /// The account of the service.
    pub account: String,
    /// Users about whom it does not decide, its own among them.
    pub users: Vec<String>,
    /// The key that questions are encrypted for.
    pub xkey: Option<String>,
    /// The accounts whose users it decides about; all when empty.
    pub accounts: Vec<String>,
}

/// A user with a password or an nkey.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct User {
    /// The name; empty for a user that is known by its nkey only.
    pub name: String,
    /// The password, plain or bcrypt.
    pub password: Option<String>,
    /// The public nkey (`U...`).
    pub nkey: Option<String>,
    /// What the user may publish and subscribe; everything in the account when not set.
    pub permissions: Option<Permissions>,
    /// The kinds of connection that the user may use; empty allows all.
    pub allowed_connection_types: Vec<ConnectionType>,
    /// Whether the user must come through a trusted proxy.
    pub proxy_required: bool,
}

/// A kind of connection, as `allowed_connection_types` names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ConnectionType {
    /// A client over TCP.
    Standard,
    /// A client over WebSocket.
    WebSocket,
    /// A leaf node over TCP.
    LeafNode,
    /// A leaf node over WebSocket.
    LeafNodeWs,
    /// An MQTT client over TCP.
    Mqtt,
    /// An MQTT client over WebSocket.
    MqttWs,
    /// A client inside the process.
    InProcess,
}

/// The names that the configuration gives to connection types.
pub const CONNECTION_TYPES: [(&str, ConnectionType); 7] = [
    ("STANDARD", ConnectionType::Standard),
    ("WEBSOCKET", ConnectionType::WebSocket),
    ("LEAFNODE", ConnectionType::LeafNode),
    ("LEAFNODE_WS", ConnectionType::LeafNodeWs),
    ("MQTT", ConnectionType::Mqtt),
    ("MQTT_WS", ConnectionType::MqttWs),
    ("IN_PROCESS", ConnectionType::InProcess),
];

/// What a user may publish and subscribe.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Permissions {
    /// Subjects to publish; no rule when not set.
    pub publish: Option<PermissionList>,
    /// Subjects to subscribe, each optionally followed by a space and a queue; no rule when not set.
    pub subscribe: Option<PermissionList>,
    /// Whether the reply subjects of received messages may be published to.
    pub responses: Option<ResponseLimits>,
}

/// Allowed and denied subjects. `deny` wins; an absent `allow` allows all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PermissionList {
    /// What is allowed.
    pub allow: Option<Vec<String>>,
    /// What is denied.
    pub deny: Vec<String>,
}

/// How often and how long a reply subject may be published to. `None` is unlimited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ResponseLimits {
    /// How many messages.
    pub msgs_max: Option<u32>,
    /// For how long.
    pub expires: Option<Duration>,
}

impl Default for ResponseLimits {
    fn default() -> Self {
        Self {
            msgs_max: Some(1),
            expires: Some(Duration::from_secs(120)),
        }
    }
}

/// An account of the `accounts` block.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Account {
    /// The name.
    pub name: String,
    /// Its users.
    pub users: Vec<User>,
    /// What its users without permissions of their own may do.
    pub default_permissions: Option<Permissions>,
    /// What it may use of JetStream; none when it may not.
    pub jetstream: Option<AccountJetStream>,
    /// What its connections may do together.
    pub limits: AccountLimits,
    /// Its subject mappings.
    pub mappings: Vec<Mapping>,
    /// What it offers to other accounts.
    pub exports: Vec<Export>,
    /// What it takes from other accounts.
    pub imports: Vec<Import>,
    /// The public key that names it in token positions.
    pub nkey: Option<String>,
    /// Where traces of messages go that carry a sampled `traceparent` header.
    pub trace: Option<Trace>,
}

/// The `msg_trace` block of an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trace {
    /// The subject that traces are published to.
    pub destination: String,
    /// How many of hundred such messages are traced.
    pub percent: u8,
}

/// Limits over all connections of an account. `None` is unlimited.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AccountLimits {
    /// Clients connected at a time.
    pub connections_max: Option<u32>,
    /// Subscriptions of one connection.
    pub subscriptions_max: Option<u32>,
    /// Bytes of one message.
    pub payload_max: Option<u32>,
    /// Leaf nodes connected at a time.
    pub leafnodes_max: Option<u32>,
}

/// A subject mapping: what is published to `source` goes to one of the destinations.
#[derive(Clone, Debug, PartialEq)]
pub struct Mapping {
    /// The subject that is mapped, wildcards allowed.
    pub source: String,
    /// Where to; the weights add up to at most 100 per cluster name.
    pub destinations: Vec<MapDestination>,
}

/// One destination of a mapping.
#[derive(Clone, Debug, PartialEq)]
pub struct MapDestination {
    /// The subject, with mapping functions.
    pub subject: String,
    /// The share of the messages in per cent.
    pub weight: u8,
    /// The cluster that it holds for; all when not set.
    pub cluster: Option<String>,
}

/// Something an account offers.
#[derive(Clone, Debug, PartialEq)]
pub struct Export {
    /// A stream or a service.
    pub kind: ExportKind,
    /// The subject, wildcards allowed.
    pub subject: String,
    /// The accounts that may import it; all when not set.
    pub accounts: Option<Vec<String>>,
    /// Which token of the subject is the importing account's key; 0 is none.
    pub account_token_position: u32,
    /// How the time that a service takes is measured.
    pub latency: Option<Latency>,
    /// Whether traces of messages go on into the account.
    pub allow_trace: bool,
}

/// How the time that a service takes is measured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Latency {
    /// Which requests are measured.
    pub sampling: Sampling,
    /// The subject that measurements are published to.
    pub subject: String,
}

/// Which requests to a service are measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sampling {
    /// So many of hundred.
    Percent(u8),
    /// Those whose headers ask for it.
    Headers,
}

/// What is exported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExportKind {
    /// Messages to subscribe.
    Stream,
    /// Requests to answer.
    Service {
        /// How many answers a request gets.
        response: ResponseType,
        /// How long a request waits for its answer; 2 minutes when not set.
        threshold: Option<Duration>,
    },
}

/// How many answers a service gives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ResponseType {
    /// One.
    #[default]
    Singleton,
    /// Many.
    Stream,
    /// Many, ended by an empty one.
    Chunked,
}

/// Something an account takes from another.
#[derive(Clone, Debug, PartialEq)]
pub struct Import {
    /// The account that exports it.
    pub account: String,
    /// The exported subject.
    pub subject: String,
    /// A stream or a service, and under which name.
    pub kind: ImportKind,
    /// Whether traces of a stream's messages go on into the importing account.
    pub allow_trace: bool,
}

/// What is imported.
#[derive(Clone, Debug, PartialEq)]
pub enum ImportKind {
    /// Messages.
    Stream {
        /// What the subject is prefixed with.
        prefix: Option<String>,
        /// The subject it is mapped to.
        to: Option<String>,
    },
    /// A service.
    Service {
        /// The local subject; the exported one when not set.
        to: Option<String>,
        /// Whether the exporter learns who asks.
        share: bool,
    },
}

//! Claims about accounts: limits, imports and exports, and who signs for them.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;

use serde::{Deserialize, Deserializer};

use super::NO_LIMIT;
use super::user::{Permissions, UserLimits};

/// An account.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Account {
    /// What it takes from other accounts.
    pub imports: Vec<Import>,
    /// What it offers to other accounts.
    pub exports: Vec<Export>,
    /// Its limits.
    pub limits: AccountLimits,
    /// Further keys that sign users.
    pub signing_keys: Vec<SigningKey>,
    /// Users whose claims hold only if they were made after a time: key (`*` is all), seconds.
    pub revocations: BTreeMap<String, i64>,
    /// What users without permissions of their own may do.
    pub default_permissions: Permissions,
    /// Its subject mappings.
    pub mappings: BTreeMap<String, Vec<MapDestination>>,
    /// Who decides about its users instead of this server.
    pub authorization: ExternalAuthorization,
    /// Its tags.
    pub tags: Vec<String>,
    /// Where the ways of its messages are told whose headers ask for that.
    pub trace: Option<MessageTrace>,
}

/// Where the ways of messages are told.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct MessageTrace {
    /// The subject.
    pub dest: String,
    /// How many of hundred such messages.
    pub sampling: i64,
}

/// A service that decides about an account's users.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct ExternalAuthorization {
    /// Users about whom it does not.
    pub auth_users: Vec<String>,
    /// Accounts that it may put users in.
    pub allowed_accounts: Vec<String>,
    /// The key to encrypt requests with.
    pub xkey: String,
}

/// Something that an account offers.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Export {
    /// The subject.
    pub subject: String,
    /// `stream` or `service`.
    pub r#type: String,
    /// Whether importers need a token.
    pub token_req: bool,
    /// Tokens that hold only if they were made after a time: account (`*` is all), seconds.
    pub revocations: BTreeMap<String, i64>,
    /// `Singleton`, `Stream` or `Chunked`.
    pub response_type: String,
    /// How long an answer may take, in nanoseconds.
    pub response_threshold: u64,
    /// Which token of the subject is the importing account's key; 0 is none.
    pub account_token_position: u32,
    /// How the time that a service takes is measured.
    pub service_latency: Option<ServiceLatency>,
    /// Whether the ways of messages are told beyond it.
    pub allow_trace: bool,
}

/// How the time that a service takes is measured.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct ServiceLatency {
    /// Which requests.
    pub sampling: SamplingRate,
    /// The subject of the results.
    pub results: String,
}

/// Which requests to a service are measured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SamplingRate {
    /// Those whose headers ask for it.
    #[default]
    Headers,
    /// So many of hundred.
    Percent(i64),
}

impl<'de> Deserialize<'de> for SamplingRate {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Form {
            Percent(i64),
            Name(String),
        }
        match Form::deserialize(from)? {
            Form::Percent(0) => Ok(Self::Headers),
            Form::Percent(percent) => Ok(Self::Percent(percent)),
            Form::Name(name) if name.eq_ignore_ascii_case("headers") => Ok(Self::Headers),
            Form::Name(_) => Err(serde::de::Error::custom("no sampling rate")),
        }
    }
}

/// Something that an account takes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Import {
    /// The subject in the exporting account.
    pub subject: String,
    /// The exporting account.
    pub account: String,
    /// The exporter's consent, if it needs one.
    pub token: String,
    /// Of old: what a stream's subject is prefixed with, or a service's subject there.
    pub to: String,
    /// The subject here.
    pub local_subject: String,
    /// `stream` or `service`.
    pub r#type: String,
    /// Whether the exporter learns who asks.
    pub share: bool,
    /// Whether the ways of a stream's messages are told beyond it.
    pub allow_trace: bool,
}

/// One destination of a mapping.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct MapDestination {
    /// The subject.
    pub subject: String,
    /// The share in per cent; 0 is all.
    pub weight: u8,
    /// The cluster that it holds for; all when empty.
    pub cluster: String,
}

/// The limits of an account. One that the claims do not name is 0, which zeroes are left out for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct AccountLimits {
    /// Subscriptions of one connection.
    pub subs: i64,
    /// Bytes of one message.
    pub payload: i64,
    /// Clients connected at a time.
    pub conn: i64,
    /// Leaf nodes connected at a time.
    pub leaf: i64,
    /// Whether users must sign the nonce.
    pub disallow_bearer: bool,
    /// Bytes of streams in memory; 0 with no disk is no JetStream.
    pub mem_storage: i64,
    /// Bytes of streams on disk.
    pub disk_storage: i64,
    /// Streams.
    pub streams: i64,
    /// Consumers of all streams.
    pub consumer: i64,
    /// Unacknowledged messages of a consumer.
    pub max_ack_pending: i64,
    /// Bytes of one stream in memory.
    pub mem_max_stream_bytes: i64,
    /// Bytes of one stream on disk.
    pub disk_max_stream_bytes: i64,
    /// Whether streams must have a limit of bytes.
    pub max_bytes_required: bool,
    /// Limits by replicas: `R1`, `R3`.
    pub tiered_limits: BTreeMap<String, TierLimits>,
}

/// The limits of one tier.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
#[expect(missing_docs, reason = "the names are those of AccountLimits")]
pub struct TierLimits {
    pub mem_storage: i64,
    pub disk_storage: i64,
    pub streams: i64,
    pub consumer: i64,
    pub max_ack_pending: i64,
    pub mem_max_stream_bytes: i64,
    pub disk_max_stream_bytes: i64,
    pub max_bytes_required: bool,
}

/// A key that signs users.
#[derive(Clone, Debug, PartialEq)]
pub struct SigningKey {
    /// The key.
    pub key: String,
    /// What its users may do; whatever their claims say when none.
    pub template: Option<Box<UserLimits>>,
}

impl<'de> Deserialize<'de> for SigningKey {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Form {
            Key(String),
            Scope {
                key: String,
                template: Box<Template>,
            },
        }
        Ok(match Form::deserialize(from)? {
            Form::Key(key) => Self {
                key,
                template: None,
            },
            Form::Scope { key, template } => Self {
                key,
                template: Some(Box::new(template.limits())),
            },
        })
    }
}

/// What a key's users may do. Here a limit that is left out is none, and not 0 as in a user's own claims.
#[derive(Deserialize)]
struct Template {
    #[serde(flatten)]
    given: Given,
    #[serde(flatten)]
    rest: UserLimits,
}

#[derive(Deserialize)]
struct Given {
    subs: Option<i64>,
    data: Option<i64>,
    payload: Option<i64>,
}

impl Template {
    fn limits(self) -> UserLimits {
        UserLimits {
            subs: self.given.subs.unwrap_or(NO_LIMIT),
            data: self.given.data.unwrap_or(NO_LIMIT),
            payload: self.given.payload.unwrap_or(NO_LIMIT),
            ..self.rest
        }
    }
}

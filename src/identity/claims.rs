//! What claims say, as JWTs of version 2 carry it.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

/// "No limit" in limits of claims.
pub const NO_LIMIT: i64 = -1;

/// An operator.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Operator {
    /// Further keys that sign accounts.
    pub signing_keys: Vec<String>,
    /// Where its accounts are known from.
    pub account_server_url: String,
    /// The system account.
    pub system_account: String,
    /// Whether accounts must be signed by signing keys, and users likewise.
    pub strict_signing_key_usage: bool,
}

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

/// A user.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct User {
    /// What it may do.
    #[serde(flatten)]
    pub limits: UserLimits,
    /// The account, where a signing key of it is the issuer.
    pub issuer_account: String,
    /// Its tags.
    pub tags: Vec<String>,
}

/// What a user may do.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct UserLimits {
    /// Its permissions.
    #[serde(flatten)]
    pub permissions: Permissions,
    /// Networks it may come from; empty is all.
    #[serde(deserialize_with = "list_or_text")]
    pub src: Vec<String>,
    /// Times of the day at which it may be connected; empty is all.
    pub times: Vec<TimeRange>,
    /// The time zone of those.
    pub times_location: String,
    /// Subscriptions.
    pub subs: i64,
    /// Bytes; never looked at.
    pub data: i64,
    /// Bytes of one message.
    pub payload: i64,
    /// Whether it need not sign the nonce.
    pub bearer_token: bool,
    /// Whether it must come through a proxy.
    pub proxy_required: bool,
    /// The kinds of connection that it may use; empty is all.
    pub allowed_connection_types: Vec<String>,
}

/// From when to when on a day.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct TimeRange {
    /// `15:04:05`.
    pub start: String,
    /// `15:04:05`; before the start it is that of the next day.
    pub end: String,
}

/// What somebody may publish and subscribe.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Permissions {
    /// Subjects to publish.
    pub r#pub: Permission,
    /// Subjects to subscribe, each with a queue or without.
    pub sub: Permission,
    /// Whether the reply subjects of received messages may be published to.
    pub resp: Option<ResponsePermission>,
}

/// Allowed and denied subjects.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Permission {
    /// What is allowed; empty is all.
    pub allow: Vec<String>,
    /// What is denied.
    pub deny: Vec<String>,
}

/// How often and how long a reply subject may be published to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct ResponsePermission {
    /// How often.
    pub max: i64,
    /// How long, in nanoseconds.
    pub ttl: i64,
}

/// An exporter's consent to an import.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Activation {
    /// The subject.
    pub subject: String,
    /// `stream` or `service`.
    pub kind: String,
    /// The account, where a signing key of it is the issuer.
    pub issuer_account: String,
}

/// What a service says about a login that it was asked about.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct AuthorizationResponse {
    /// The user that it vouches for.
    pub jwt: String,
    /// Why there is none.
    pub error: String,
    /// The account, where a signing key of it is the issuer.
    pub issuer_account: String,
}

impl AuthorizationResponse {
    /// The type of these claims.
    pub const TYPE: &'static str = "authorization_response";

    /// Reads the text of such claims; none if it is none.
    #[must_use]
    pub fn read(text: &str) -> Option<Self> {
        read(text).ok()
    }
}

/// What every claim says of itself beside its kind.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default)]
pub struct Standard {
    /// Whom it is for.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub aud: String,
    /// Until when it holds, in seconds; 0 is for ever.
    #[serde(skip_serializing_if = "is_zero")]
    pub exp: i64,
    /// Its digest.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub jti: String,
    /// When it was made, in seconds.
    #[serde(skip_serializing_if = "is_zero")]
    pub iat: i64,
    /// Who signed it.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub iss: String,
    /// A name for people.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// From when it holds, in seconds.
    #[serde(skip_serializing_if = "is_zero")]
    pub nbf: i64,
    /// Whom it is about.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub sub: String,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
fn is_zero(n: &i64) -> bool {
    *n == 0
}

/// Reads claims. Many tools write `null` for what is not there, wherever that is.
pub(crate) fn read<T: DeserializeOwned>(text: &str) -> Result<T, serde_json::Error> {
    let mut value = serde_json::from_str(text)?;
    drop_nulls(&mut value);
    serde_json::from_value(value)
}

/// The depth is bounded: the parser refuses what is nested deeper than 128.
fn drop_nulls(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.retain(|_, value| !value.is_null());
            fields.values_mut().for_each(drop_nulls);
        }
        Value::Array(items) => items.iter_mut().for_each(drop_nulls),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// Reads a list, or a text with commas.
fn list_or_text<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Form {
        List(Vec<String>),
        Text(String),
        Nothing,
    }
    Ok(match Form::deserialize(from)? {
        Form::List(list) => list,
        Form::Text(text) => {
            let parts = text.split(',').map(|part| part.trim().to_ascii_lowercase());
            parts.filter(|part| !part.is_empty()).collect()
        }
        Form::Nothing => Vec::new(),
    })
}

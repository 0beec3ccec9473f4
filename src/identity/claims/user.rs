//! Claims about users: what they may do, when, and from where.

use alloc::string::String;
use alloc::vec::Vec;

use serde::{Deserialize, Deserializer};

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

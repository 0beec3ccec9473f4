//! What claims say, as JWTs of version 2 carry it. What a claim leaves out is empty, 0 or false.

mod account;
mod user;

use alloc::string::String;
use alloc::vec::Vec;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use account::{
    Account, AccountLimits, Export, ExternalAuthorization, Import, MapDestination, MessageTrace,
    SamplingRate, ServiceLatency, SigningKey, TierLimits,
};
pub use user::{Permission, Permissions, ResponsePermission, TimeRange, User, UserLimits};

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

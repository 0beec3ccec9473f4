//! What an account's events and messages are passed on to outside.

use alloc::collections::BTreeMap;
use alloc::string::String;

use serde::{Deserialize, Serialize};

/// Who is told of events.
pub(crate) const SLACK: &str = "slack";
/// Where messages are copied to that have left their stations.
pub(crate) const S3: &str = "s3";
/// Slack's keys.
pub(crate) const AUTH_TOKEN: &str = "auth_token";
pub(crate) const CHANNEL_ID: &str = "channel_id";

/// The keys of [`S3`].
pub(crate) mod s3 {
    pub(crate) const ACCESS_KEY: &str = "access_key";
    pub(crate) const SECRET_KEY: &str = "secret_key";
    pub(crate) const BUCKET: &str = "bucket_name";
    pub(crate) const REGION: &str = "region";
    pub(crate) const URL: &str = "url";
    pub(crate) const PATH_STYLE: &str = "s3_path_style";
}

/// A service outside, and what it is told.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Integration {
    /// How it is reached. Secrets are kept as they are given: the store may be encrypted.
    pub keys: BTreeMap<String, String>,
    /// What it is told: the names of alerts.
    pub properties: BTreeMap<String, bool>,
}

/// What can be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Alert {
    /// A message died.
    Poison,
    /// A message breaks a schema.
    Schema,
    /// Clients are gone.
    Disconnection,
}

impl Alert {
    pub(crate) const ALL: [Self; 3] = [Self::Poison, Self::Schema, Self::Disconnection];

    /// Returns what Memphis calls it.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Poison => "poison_message_alert",
            Self::Schema => "schema_validation_fail_alert",
            Self::Disconnection => "disconnection_events_alert",
        }
    }
}

impl Integration {
    /// Says whether it is told of something.
    pub(crate) fn wants(&self, alert: Alert) -> bool {
        self.properties.get(alert.as_str()) == Some(&true)
    }

    pub(crate) fn key(&self, key: &str) -> &str {
        self.keys.get(key).map_or("", String::as_str)
    }
}

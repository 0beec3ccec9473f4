//! What is known beyond the streams: options of stations, producers, groups, schemas, dead letters.
//!
//! *Invariant:* it changes by [`Book::apply`] only, in log order, so that replaying the log gives the
//! same book. What streams say themselves (which partitions there are, what a station's limits are)
//! is not kept here a second time.

mod apply;
mod change;
mod dead;
mod dying;
mod ids;
mod integration;
mod people;
mod rows;
mod schema;

use alloc::collections::BTreeMap;
use alloc::string::String;

use serde::{Deserialize, Serialize};

pub use change::{Change, Entry, EntryError};
pub(crate) use dead::hex;
pub use dead::{DeadLetter, DeadLetterId, DeadLetterKind, DeadLettersKept, Letter};
pub use dying::{Dying, DyingKey};
pub use ids::{Ids, seal_of};
pub(crate) use ids::{Numbered, free, id_of, number};
pub use integration::Integration;
pub(crate) use integration::{AUTH_TOKEN, Alert, CHANNEL_ID, S3, SLACK, s3};
pub(crate) use people::ROOT;
pub use people::{Audit, PeopleChange, Permissions, Tag, Tagged, Trails, UserKind, UserRow};
pub(crate) use rows::stamp;
pub use rows::{Attached, Client, Consumer, Group, Phase, Producer, Start, StationRow};
pub use schema::{Schema, SchemaKind, Version};

/// The rows of all tenants, by the names of their accounts.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Book {
    tenants: BTreeMap<String, Tenant>,
}

/// The rows of one account.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Tenant {
    /// Stations by external name. One made by a NATS client gets a row when something is noted of it.
    pub stations: BTreeMap<String, StationRow>,
    /// Schemas by name.
    pub schemas: BTreeMap<String, Schema>,
    /// Dead letters.
    pub dead_letters: DeadLettersKept,
    /// Messages on their way to become dead letters.
    #[serde(with = "dying::as_list", default)]
    pub dying: BTreeMap<DyingKey, Dying>,
    /// Users beside those of the configuration.
    #[serde(default)]
    pub users: BTreeMap<String, UserRow>,
    /// Tags by name.
    #[serde(default)]
    pub tags: BTreeMap<String, Tag>,
    /// Services outside by name.
    #[serde(default)]
    pub integrations: BTreeMap<String, Integration>,
    /// Numbers of names.
    #[serde(default)]
    pub ids: Ids,
    /// Who did what to stations.
    #[serde(default)]
    pub trails: Trails,
}

impl Book {
    /// Returns the rows of an account; nothing if none was ever made.
    #[must_use]
    pub fn tenant(&self, account: &str) -> Option<&Tenant> {
        self.tenants.get(account)
    }

    /// Returns every account that has rows, with its rows.
    pub fn tenants(&self) -> impl Iterator<Item = (&str, &Tenant)> + Clone {
        self.tenants
            .iter()
            .map(|(name, rows)| (name.as_str(), rows))
    }

    /// Returns the number of a user.
    #[must_use]
    pub fn user_id(&self, account: &str, user: &str) -> u32 {
        number(Numbered::User, user, self.tenant(account))
    }

    /// Returns the row of a station.
    #[must_use]
    pub fn station(&self, account: &str, station: &str) -> Option<&StationRow> {
        self.tenant(account)?.stations.get(station)
    }
}

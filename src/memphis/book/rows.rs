//! The rows of a station and of who uses it.

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;

use protocol::time::Wall;
use serde::{Deserialize, Serialize};

use crate::name::Name;
use crate::station::{DeadLetters, Station};

/// Where something that takes several steps is in its life.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Phase {
    /// Its streams or durables are being made.
    Making,
    /// It is there.
    #[default]
    Whole,
    /// Its streams or durables are being removed.
    Going,
}

/// What is known of a station.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct StationRow {
    /// Where it is in its life.
    pub phase: Phase,
    /// What was asked for; none for a stream that a NATS client made.
    pub station: Option<Station>,
    /// When it was made, in nanoseconds since 1970.
    pub created: u64,
    /// The attached schema.
    pub schema: Option<Attached>,
    /// Who produces.
    pub producers: Vec<Producer>,
    /// The consumer groups by external name.
    pub groups: BTreeMap<String, Group>,
    /// Which dead letters are kept, where that was changed since.
    #[serde(default)]
    pub kept: Option<DeadLetters>,
    /// Where dead letters are copied to, where that was changed since.
    #[serde(default)]
    pub copies_to: Option<Option<Name>>,
}

impl StationRow {
    /// Returns which dead letters are kept. A NATS client's stream keeps all.
    #[must_use]
    pub fn dead_letters(&self) -> DeadLetters {
        let of_nats = DeadLetters {
            poison: true,
            schemaverse: true,
        };
        let made_with = self.station.as_ref().map(|s| s.dead_letters);
        self.kept.or(made_with).unwrap_or(of_nats)
    }

    /// Returns the station that gets copies of dead letters.
    #[must_use]
    pub fn dls_station(&self) -> Option<&Name> {
        match &self.copies_to {
            Some(changed) => changed.as_ref(),
            None => self.station.as_ref()?.dls_station.as_ref(),
        }
    }
}

/// The version of a schema that a station's producers follow.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attached {
    /// The schema.
    pub schema: String,
    /// Its version.
    pub version: u32,
}

/// Who stands behind a producer or consumer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Client {
    /// The id that the SDK gave its connection.
    pub connection: String,
    /// The user.
    pub username: String,
    /// `application` or `connector`.
    pub kind: String,
    /// The language of the SDK.
    pub sdk: String,
    /// The id of the process.
    pub app_id: String,
    /// The version of the request.
    pub version: i64,
}

/// A producer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Producer {
    /// Its name.
    pub name: Name,
    /// Who stands behind it.
    pub client: Client,
    /// When it was last created, in nanoseconds since 1970.
    pub updated: u64,
}

/// Where a group begins to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Start {
    /// The sequence in each partition.
    pub sequence: u64,
    /// So many of each partition's newest messages; nothing when not asked for.
    pub last: Option<u64>,
}

/// A consumer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Consumer {
    /// Its name.
    pub name: Name,
    /// Its group.
    pub group: Name,
    /// Who stands behind it.
    pub client: Client,
    /// How long an ack may take, in milliseconds.
    pub ack_ms: u64,
    /// How often a message is delivered at most.
    pub deliveries_max: i64,
    /// Where a new group begins.
    pub start: Start,
    /// When it was last created, in nanoseconds since 1970.
    pub updated: u64,
}

/// A consumer group: one durable on each partition.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Group {
    /// Where it is in its life.
    pub phase: Phase,
    /// Its members. While the group is being made: the one who asked for it.
    pub members: Vec<Consumer>,
}

impl Client {
    /// Says whether both are the same connection's.
    #[must_use]
    pub fn is_of(&self, connection: &str) -> bool {
        // The oldest SDKs do not say which connection they mean.
        connection.is_empty() || self.connection == connection
    }
}

/// Returns a time as rows keep it.
pub(crate) const fn stamp(time: Wall) -> u64 {
    time.0
}

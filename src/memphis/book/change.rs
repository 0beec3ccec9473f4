//! The changes of the book as entries of the log.
//!
//! *Invariant:* an entry is one version byte and JSON. Fields are only ever added, with a default, so
//! that old logs stay readable.

use alloc::string::String;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use super::dead::{DeadLetter, DeadLetterId};
use super::dying::{Dying, DyingKey};
use super::integration::Integration;
use super::people::PeopleChange;
use super::rows::{Consumer, Producer};
use super::schema::{SchemaKind, Version};
use crate::name::Name;
use crate::station::{DeadLetters, Station};

/// The version of the encoding.
const VERSION: u8 = 1;

/// A change of an account's rows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// The name of the account: numbers of accounts change with the configuration.
    pub account: String,
    /// When it was asked for, in nanoseconds since 1970.
    pub time: u64,
    /// What changes.
    pub change: Change,
}

/// What changes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Change {
    /// A station's streams are about to be made.
    StationMaking(Station),
    /// All of a station's streams are there.
    StationMade(String),
    /// Streams that are there are a station's from now on.
    StationAdopted(Station),
    /// A station's streams are about to be removed.
    StationGoing(String),
    /// None of a station's streams is there any more.
    StationGone(String),
    /// A producer was created on a station.
    Producer(String, Producer),
    /// A producer of a station ended.
    ProducerGone {
        /// The station.
        station: String,
        /// The producer.
        name: String,
        /// Its connection; empty for any.
        connection: String,
    },
    /// A group's durables are about to be made on a station, for its first consumer.
    GroupMaking(String, Consumer),
    /// A consumer was created on a station; its group has all its durables.
    Consumer(String, Consumer),
    /// A consumer of a station ended.
    ConsumerGone {
        /// The station.
        station: String,
        /// The consumer.
        name: String,
        /// Its connection; empty for any.
        connection: String,
        /// The group that ends with it, if it was the last active member.
        ends: Option<String>,
    },
    /// None of a group's durables is there any more.
    GroupGone(String, String),
    /// A schema got a version; the first one makes the schema.
    SchemaVersion {
        /// The schema.
        schema: String,
        /// What it is written in.
        kind: SchemaKind,
        /// The version.
        version: Version,
    },
    /// Another version of a schema counts from now on.
    SchemaActivated(String, u32),
    /// A station's producers follow a version of a schema.
    Attached {
        /// The station.
        station: String,
        /// The schema.
        schema: String,
        /// Its version.
        version: u32,
    },
    /// A station's producers follow no schema any more.
    Detached(String),
    /// A schema is gone with all its versions.
    SchemaGone(String),
    /// A station keeps other dead letters from now on.
    DeadLettersKept(String, DeadLetters),
    /// A station's dead letters are copied to another station, or to none.
    DlsStation(String, Option<Name>),
    /// A service outside is told of what happens, or is not any more.
    Integration(String, Option<Integration>),
    /// Users or tags change.
    People(PeopleChange),
    /// A message died.
    DeadLetter(DeadLetter),
    /// A consumer will not deliver a message again; it is to become a dead letter.
    Dying(Dying),
    /// What was dying is a dead letter, or none is kept of it.
    Buried(DyingKey, Option<DeadLetter>),
    /// Dead letters are to be sent to their groups again; to one of them if it is named.
    Resend(Vec<DeadLetterId>, Option<String>),
    /// A dead letter was sent to a group again.
    Resent {
        /// The dead letter.
        id: DeadLetterId,
        /// The group.
        group: String,
        /// Whether the group's consumer has it back, so that it is dead for it no longer.
        is_back: bool,
    },
    /// A group has dealt with a dead letter.
    DeadLetterAcked(DeadLetterId, String),
    /// Dead letters were dropped.
    DeadLettersDropped(Vec<DeadLetterId>),
    /// Dead letters from before a time, in nanoseconds since 1970, have been kept long enough.
    DeadLettersExpired(u64),
    /// Producers and consumers of these connections have been away for long enough.
    Forgotten(Vec<String>),
}

/// The bytes are no entry that this version can read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EntryError {
    /// A later version.
    #[error("unknown version of a Memphis entry")]
    Version,
    /// Not what was written.
    #[error("damaged Memphis entry")]
    Damaged,
}

impl Entry {
    /// Returns the entry's bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::from([VERSION]);
        // Writing into memory does not fail, and every map has texts or numbers as keys.
        out.extend(serde_json::to_vec(self).expect("rows are representable in JSON"));
        out
    }

    /// Reads an entry.
    ///
    /// # Errors
    /// If the bytes are damaged or of a later version.
    pub fn decode(bytes: &[u8]) -> Result<Self, EntryError> {
        match bytes.split_first() {
            Some((&VERSION, json)) => serde_json::from_slice(json).map_err(|_| EntryError::Damaged),
            Some(_) => Err(EntryError::Version),
            None => Err(EntryError::Damaged),
        }
    }
}

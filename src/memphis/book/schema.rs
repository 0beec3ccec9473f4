//! Schemas and their versions.

use alloc::string::String;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

/// What a schema is written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SchemaKind {
    /// JSON Schema.
    Json,
    /// A `.proto` file.
    Protobuf,
    /// A GraphQL schema.
    Graphql,
    /// An Avro schema in JSON.
    Avro,
}

impl SchemaKind {
    /// Returns the kind called `name`.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        let all = [Self::Json, Self::Protobuf, Self::Graphql, Self::Avro];
        all.into_iter().find(|kind| kind.as_str() == name)
    }

    /// Returns the name that SDKs know.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Protobuf => "protobuf",
            Self::Graphql => "graphql",
            Self::Avro => "avro",
        }
    }
}

/// A schema.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Schema {
    /// What it is written in.
    pub kind: SchemaKind,
    /// The version that is attached to stations from now on, from 1.
    pub active: u32,
    /// All versions: version 1 is first.
    pub versions: Vec<Version>,
}

/// A version of a schema. Versions never change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Version {
    /// The text.
    pub content: String,
    /// Which message of a `.proto` file is meant; empty otherwise.
    pub message_struct: String,
    /// The serialized `FileDescriptorSet` of a `.proto` file in base64; empty otherwise.
    #[serde(default)]
    pub descriptor: String,
    /// Who made it.
    pub username: String,
    /// When it was made, in nanoseconds since 1970.
    pub created: u64,
}

impl Schema {
    /// Returns version `number`, from 1.
    #[must_use]
    pub fn version(&self, number: u32) -> Option<&Version> {
        self.versions
            .get(usize::try_from(number).ok()?.checked_sub(1)?)
    }
}

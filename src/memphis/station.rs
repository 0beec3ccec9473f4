//! What a station is: the request that makes one, its rules, and the streams it becomes.

use alloc::format;
use alloc::string::String;
use alloc::vec;
use core::time::Duration;

use protocol::js::config::{StreamConfig, TIERED};
use protocol::js::enums::{Retention, Storage};
use protocol::text::duration::Nanos;
use protocol::time::nanos;
use serde::{Deserialize, Serialize};

use crate::name::{Kind, Name, NameError};
use crate::request::Fields;

/// Most partitions a station can have.
pub const PARTITIONS_MAX: i64 = 10_000;
/// How long stations keep messages unless told otherwise.
const RETENTION_DEFAULT_S: i64 = 3600;
/// How long message ids are remembered unless told otherwise.
const IDEMPOTENCY_DEFAULT_MS: i64 = 120_000;
/// The shortest idempotency window; smaller ones are raised to it.
const IDEMPOTENCY_MIN_MS: i64 = 100;
/// The longest idempotency window: 24 hours.
const IDEMPOTENCY_MAX_MS: i64 = 86_400_000;

/// When a station's messages go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum StationRetention {
    /// After so many seconds.
    AgeSeconds(i64),
    /// When there are more messages than that.
    Messages(i64),
    /// When there are more bytes than that.
    Bytes(i64),
    /// When every consumer group has acknowledged them.
    AckBased,
}

/// A checked station, as it was asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Station {
    /// The name.
    pub name: Name,
    /// When messages go.
    pub retention: StationRetention,
    /// Where messages are kept.
    #[serde(with = "storage")]
    pub storage: Storage,
    /// How many servers keep a copy: 1, 3 or 5.
    pub replicas: i64,
    /// How long message ids are remembered.
    pub idempotency: Duration,
    /// How many partitions it has, from 1.
    pub partitions: u32,
    /// Which dead letters are kept.
    pub dead_letters: DeadLetters,
    /// The station that gets copies of dead letters.
    pub dls_station: Option<Name>,
    /// What becomes of a message that breaks the schema.
    #[serde(default)]
    pub misfits: Misfits,
    /// The schema attached from the start.
    pub schema: Option<Name>,
    /// Whether messages that go are to be copied to an object store.
    pub tiered: bool,
    /// Who asked for it.
    pub username: String,
}

/// What becomes of a message that breaks its station's schema.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Misfits {
    /// It is not stored, and whoever awaits its acknowledgement is told why.
    #[default]
    Refuse,
    /// It is stored, and a dead letter as well.
    Store,
}

/// Which dead letters a station keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeadLetters {
    /// Messages that were delivered as often as allowed and never acknowledged.
    pub poison: bool,
    /// Messages that broke the schema.
    pub schemaverse: bool,
}

/// [`Storage`] in the log.
mod storage {
    use protocol::js::enums::Storage;
    use serde::{Deserialize as _, Deserializer, Serializer};

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
    pub(super) fn serialize<S: Serializer>(storage: &Storage, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(match storage {
            Storage::File => "file",
            Storage::Memory => "memory",
        })
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Storage, D::Error> {
        match <&str>::deserialize(from)? {
            "memory" => Ok(Storage::Memory),
            _ => Ok(Storage::File),
        }
    }
}

/// Why a station is refused, in Memphis' words.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StationError {
    /// The name breaks a rule.
    #[error(transparent)]
    Name(#[from] NameError),
    /// The request has no partitions, as those of SDKs before 1.1.
    #[error("you are using an old SDK, make sure to update your SDK")]
    OldSdk,
    /// Too many partitions, or a negative number.
    #[error(
        "cannot create station with {partitions} partitions (max:10000 min:1): Station -  {name}, "
    )]
    Partitions {
        /// What was asked for.
        partitions: i64,
        /// The station's name.
        name: String,
    },
    /// The schema is not known.
    #[error("Schema {0} does not exist")]
    Schema(String),
    /// Another retention type.
    #[error("retention type can be one of the following message_age_sec/messages/bytes/ack_based")]
    Retention,
    /// Another storage type.
    #[error("storage type can be one of the following file/memory")]
    Storage,
    /// Message ids would be remembered for more than a day.
    #[error("idempotency window can not exceed 24 hours")]
    IdempotencyTooLong,
    /// Message ids would outlive the messages.
    #[error("idempotency window cannot be greater than the station retention")]
    IdempotencyOverRetention,
}

impl Station {
    /// Reads and checks a creation request, in Memphis' order of checks.
    ///
    /// # Errors
    /// The first rule that the request breaks.
    pub(crate) fn from_request(fields: &Fields) -> Result<Self, StationError> {
        let name = Name::new(Kind::Station, fields.text("name"))?;
        let partitions = partitions(fields, &name)?;
        let schema = name_if_set(Kind::Schema, fields.text("schema_name"))?;
        let retention = retention(fields)?;
        let storage = match fields.text("storage_type").to_lowercase().as_str() {
            "" | "file" | "disk" => Storage::File,
            "memory" => Storage::Memory,
            _ => return Err(StationError::Storage),
        };
        let idempotency = idempotency(fields, retention)?;
        let dls_station = name_if_set(Kind::Station, fields.text("dls_station"))?;
        let dead_letters = fields.object("dls_configuration");
        let replicas = match fields.integer("replicas") {
            ..=1 => 1,
            2..=4 => 3,
            5.. => 5,
        };
        Ok(Self {
            retention,
            storage,
            replicas,
            idempotency,
            partitions,
            dead_letters: DeadLetters {
                poison: dead_letters.flag("poison").unwrap_or(true),
                schemaverse: dead_letters.flag("schemaverse").unwrap_or(true),
            },
            // A station is not its own dead-letter station: its dead letters would die again.
            dls_station: dls_station.filter(|dls| *dls != name),
            // Not one of Memphis' options.
            misfits: match fields.text("misfits") {
                "store" => Misfits::Store,
                _ => Misfits::Refuse,
            },
            schema,
            tiered: fields.flag("tiered_storage_enabled").unwrap_or_default(),
            username: fields.text("username").to_lowercase(),
            name,
        })
    }

    /// Returns the station that comes to be when something is created on a station that is missing.
    #[must_use]
    pub(crate) fn default_of(name: Name, username: &str) -> Self {
        Self {
            name,
            retention: StationRetention::AgeSeconds(RETENTION_DEFAULT_S),
            storage: Storage::File,
            replicas: 1,
            idempotency: Duration::from_millis(IDEMPOTENCY_DEFAULT_MS.unsigned_abs()),
            partitions: 1,
            dead_letters: DeadLetters {
                poison: true,
                schemaverse: true,
            },
            dls_station: None,
            misfits: Misfits::Refuse,
            schema: None,
            tiered: false,
            username: username.into(),
        }
    }

    /// Returns the configuration of the stream behind partition `number`.
    #[must_use]
    pub(crate) fn stream_config(&self, number: u32) -> StreamConfig {
        let name = self.name.partition_stream(number);
        let mut config = StreamConfig {
            subjects: vec![format!("{name}.>")],
            name,
            max_consumers: -1,
            max_msgs: -1,
            max_bytes: -1,
            max_msgs_per_subject: -1,
            max_msg_size: -1,
            storage: self.storage,
            num_replicas: self.replicas,
            duplicate_window: nanos_of(self.idempotency),
            ..StreamConfig::default()
        };
        if self.tiered {
            config.metadata.insert(TIERED.into(), "true".into());
        }
        match self.retention {
            StationRetention::AgeSeconds(seconds) => {
                let seconds = u64::try_from(seconds).unwrap_or_default();
                config.max_age = nanos_of(Duration::from_secs(seconds));
            }
            StationRetention::Messages(most) => config.max_msgs = most,
            StationRetention::Bytes(most) => config.max_bytes = most,
            StationRetention::AckBased => config.retention = Retention::Interest,
        }
        config
    }
}

fn name_if_set(kind: Kind, typed: &str) -> Result<Option<Name>, NameError> {
    if typed.is_empty() {
        return Ok(None);
    }
    Name::new(kind, typed).map(Some)
}

fn partitions(fields: &Fields, name: &Name) -> Result<u32, StationError> {
    let partitions = fields.integer("partitions_number");
    match u32::try_from(partitions) {
        Ok(0) => Err(StationError::OldSdk),
        Ok(number) if partitions <= PARTITIONS_MAX => Ok(number),
        Ok(_) | Err(_) => Err(StationError::Partitions {
            partitions,
            name: name.external().into(),
        }),
    }
}

fn retention(fields: &Fields) -> Result<StationRetention, StationError> {
    let value = fields.integer("retention_value");
    let kind = fields.text("retention_type").to_lowercase();
    let bounded: fn(i64) -> StationRetention = match kind.as_str() {
        "ack_based" => return Ok(StationRetention::AckBased),
        "" => return Ok(StationRetention::AgeSeconds(RETENTION_DEFAULT_S)),
        "message_age_sec" => StationRetention::AgeSeconds,
        "messages" => StationRetention::Messages,
        "bytes" => StationRetention::Bytes,
        _ => return Err(StationError::Retention),
    };
    if value <= 0 {
        return Ok(StationRetention::AgeSeconds(RETENTION_DEFAULT_S));
    }
    Ok(bounded(value))
}

fn idempotency(fields: &Fields, retention: StationRetention) -> Result<Duration, StationError> {
    // The .NET SDK misspells the key.
    let asked = fields
        .integer_if_set("idempotency_window_in_ms")
        .or_else(|| fields.integer_if_set("idempotency_windows_in_ms"))
        .unwrap_or_default();
    let window_ms = match asked {
        ..=0 => IDEMPOTENCY_DEFAULT_MS,
        1..=IDEMPOTENCY_MAX_MS => asked.max(IDEMPOTENCY_MIN_MS),
        _ => return Err(StationError::IdempotencyTooLong),
    };
    if let StationRetention::AgeSeconds(seconds) = retention
        && seconds.saturating_mul(1000) < window_ms
    {
        return Err(StationError::IdempotencyOverRetention);
    }
    Ok(Duration::from_millis(
        u64::try_from(window_ms).unwrap_or_default(),
    ))
}

fn nanos_of(d: Duration) -> Nanos {
    Nanos(i64::try_from(nanos(d)).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;

    use super::*;

    fn station(body: &str) -> Result<Station, StationError> {
        Station::from_request(&Fields::parse(body.as_bytes()).unwrap())
    }

    #[test]
    fn the_sdks_defaults_give_one_hour_and_two_minutes() {
        let station = station(
            r#"{"name":"Orders.EU","retention_type":"message_age_sec","retention_value":3600,
                "storage_type":"file","replicas":1,"idempotency_window_in_ms":120000,
                "dls_configuration":{"poison":true,"Schemaverse":true},"username":"root",
                "partitions_number":3,"dls_station":""}"#,
        )
        .unwrap();
        assert_eq!(station.partitions, 3);
        let config = station.stream_config(3);
        assert_eq!(config.name, "orders#eu$3");
        assert_eq!(config.subjects, ["orders#eu$3.>"]);
        assert_eq!(config.max_age, Nanos(3_600_000_000_000));
        assert_eq!(config.duplicate_window, Nanos(120_000_000_000));
    }

    #[test]
    fn a_window_longer_than_the_retention_is_refused() {
        let refused = station(
            r#"{"name":"a","retention_type":"message_age_sec","retention_value":60,
                "idempotency_window_in_ms":120000,"partitions_number":1}"#,
        );
        assert_eq!(
            refused.unwrap_err().to_string(),
            "idempotency window cannot be greater than the station retention"
        );
    }

    #[test]
    fn an_old_sdk_is_told_to_update() {
        assert_eq!(station(r#"{"name":"a"}"#), Err(StationError::OldSdk));
        let negative = station(r#"{"name":"a","partitions_number":-1}"#).unwrap_err();
        assert_eq!(
            negative.to_string(),
            "cannot create station with -1 partitions (max:10000 min:1): Station -  a, "
        );
    }
}

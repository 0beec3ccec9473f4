//! Messages that a consumer gave up and that are not dead letters yet.
//!
//! *Invariant:* the note is in the log before what the consumer logs of it, so that a message which no
//! consumer delivers any more is either noted here or a dead letter.

use alloc::string::String;

use serde::{Deserialize, Serialize};

use super::dead::Letter;

/// Most messages of an account that wait to become dead letters.
pub(super) const DYING_MAX: usize = 10_000;

/// A message that a consumer will not deliver again.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct DyingKey {
    /// The stream.
    pub stream: String,
    /// The consumer.
    pub consumer: String,
    /// The message.
    pub seq: u64,
}

/// What is known of its death.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dying {
    /// Which message, for whom.
    pub key: DyingKey,
    /// Why a client gave it up; empty if it was only delivered as often as allowed.
    pub reason: String,
    /// The message, if it was at hand.
    pub letter: Option<Letter>,
}

/// Keys of JSON objects are texts.
pub(super) mod as_list {
    use alloc::collections::BTreeMap;
    use alloc::vec::Vec;

    use serde::{Deserialize as _, Deserializer, Serializer};

    use super::{Dying, DyingKey};

    pub(in super::super) fn serialize<S: Serializer>(
        map: &BTreeMap<DyingKey, Dying>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        to.collect_seq(map.values())
    }

    pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<BTreeMap<DyingKey, Dying>, D::Error> {
        let list: Vec<Dying> = Vec::deserialize(from)?;
        Ok(list.into_iter().map(|d| (d.key.clone(), d)).collect())
    }
}

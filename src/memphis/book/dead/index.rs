//! Which dead letters a station has, and which one a stored message has become: counted and found
//! without a look at all others.
//!
//! *Invariant:* it says the same as a walk over the letters; it is not stored, but made from them.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;

use super::{DeadLetter, DeadLetterId, DeadLetterKind};

/// The letters of each station that has any.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Index(BTreeMap<String, OfStation>);

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct OfStation {
    ids: BTreeSet<DeadLetterId>,
    /// The letters of stored messages, by partition and sequence.
    stored: BTreeMap<(u32, u64), DeadLetterId>,
}

impl Index {
    pub(super) fn of<'a>(letters: impl Iterator<Item = (DeadLetterId, &'a DeadLetter)>) -> Self {
        let mut index = Self::default();
        for (id, dead) in letters {
            index.add(id, dead);
        }
        index
    }

    pub(super) fn add(&mut self, id: DeadLetterId, dead: &DeadLetter) {
        if !self.0.contains_key(&dead.station) {
            self.0.insert(dead.station.clone(), OfStation::default());
        }
        let Some(of_station) = self.0.get_mut(&dead.station) else {
            return;
        };
        of_station.ids.insert(id);
        if dead.kind == DeadLetterKind::Poison {
            of_station.stored.insert((dead.partition, dead.seq), id);
        }
    }

    pub(super) fn remove(&mut self, id: DeadLetterId, dead: &DeadLetter) {
        let Some(of_station) = self.0.get_mut(&dead.station) else {
            return;
        };
        of_station.ids.remove(&id);
        let message = (dead.partition, dead.seq);
        if of_station.stored.get(&message) == Some(&id) {
            of_station.stored.remove(&message);
        }
        if of_station.ids.is_empty() {
            self.0.remove(&dead.station);
        }
    }

    /// Returns the letters of a station, oldest first.
    pub(super) fn of_station(
        &self,
        station: &str,
    ) -> impl DoubleEndedIterator<Item = DeadLetterId> + use<'_> {
        let of_station = self.0.get(station).into_iter();
        of_station.flat_map(|of| of.ids.iter().copied())
    }

    pub(super) fn count(&self, station: &str) -> usize {
        self.0.get(station).map_or(0, |of| of.ids.len())
    }

    pub(super) fn of_message(
        &self,
        station: &str,
        partition: u32,
        seq: u64,
    ) -> Option<DeadLetterId> {
        let of_station = self.0.get(station)?;
        of_station.stored.get(&(partition, seq)).copied()
    }
}

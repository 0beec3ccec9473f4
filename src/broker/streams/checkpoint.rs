//! What a checkpoint holds: the sections of JetStream, and one of the Memphis layer.
//!
//! *Invariant:* the latter is always there: the Memphis layer keeps its rows while it is switched off.

use alloc::string::{String, ToString as _};
use alloc::vec::Vec;

use bytes::Bytes;
use jetstream::JetStream;
use protocol::store::{SectionChange, SectionKey};

use super::{Streams, copies};
use crate::stations::Stations;

/// The section of the Memphis layer, behind those of all streams.
pub(super) const MEMPHIS: SectionKey = SectionKey {
    group: u64::MAX,
    number: 0,
};

/// Returns what has changed of both since the last call.
pub(super) fn changes(machine: &mut JetStream, stations: &Stations) -> Vec<SectionChange> {
    let mut changes = machine.changes();
    let memphis = Bytes::from(stations.machine.snapshot());
    changes.push(SectionChange::Put(MEMPHIS, memphis));
    copies::add(&mut changes);
    changes
}

/// Takes over a section, before any entry is applied.
pub(super) fn restore(key: SectionKey, body: &Bytes, streams: &mut Streams) -> Result<(), String> {
    if key == MEMPHIS {
        let memphis = &mut streams.stations.machine;
        let restored = memphis.restore(body).map_err(|error| error.to_string());
        streams.note_outlets();
        return restored;
    }
    let machine = &mut streams.machine;
    machine
        .restore(key, body)
        .map_err(|error| error.to_string())
}

//! What a checkpoint holds: the state of JetStream, then that of the Memphis layer.
//!
//! *Invariant:* both are always there: the Memphis layer keeps its rows while it is switched off.

use alloc::string::{String, ToString as _};
use alloc::vec::Vec;

use bytes::{Buf as _, BufMut as _, Bytes};
use jetstream::JetStream;

use super::Streams;
use crate::stations::Stations;

/// Returns the state of both.
pub(super) fn encode(machine: &JetStream, stations: &Stations) -> Bytes {
    let mut state = Vec::new();
    state.put_u64_le(0);
    let head = state.len();
    machine.snapshot(&mut state);
    let len = (state.len() - head) as u64;
    if let Some(place) = state.first_chunk_mut() {
        *place = len.to_le_bytes();
    }
    state.extend(stations.machine.snapshot());
    Bytes::from(state)
}

/// Takes over the state of both, before any entry is applied.
pub(super) fn restore(state: &Bytes, streams: &mut Streams) -> Result<(), String> {
    let mut rest = state.clone();
    let len = rest.try_get_u64_le().ok();
    let len = len.and_then(|len| usize::try_from(len).ok());
    let len = len.filter(|len| *len <= rest.len());
    let own = rest.split_to(len.ok_or("it is cut short")?);
    let machine = &mut streams.machine;
    machine.restore(&own).map_err(|error| error.to_string())?;
    let memphis = &mut streams.stations.machine;
    memphis.restore(&rest).map_err(|error| error.to_string())
}

//! The stations of an account as one look over its streams finds them.
//!
//! *Invariant:* the host names its streams once for a listing, however many stations that shows.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;
use alloc::vec::Vec;

use crate::book::{Numbered, free, number};
use crate::machine::Host;
use crate::name::{Kind, Name, station_of_stream};
use crate::work::{Cx, Partition, of_station};

/// What there is, by the external names of stations: those of Memphis, and streams of NATS clients.
pub(in crate::manage) struct Listing {
    streams: BTreeMap<String, Vec<Partition>>,
    /// The numbers of those of which nothing is noted.
    unnoted: BTreeMap<String, u32>,
}

impl Listing {
    pub(in crate::manage) fn of<H: Host>(cx: &Cx<'_, H>) -> Self {
        let mut streams: BTreeMap<String, Vec<Partition>> = BTreeMap::new();
        cx.host.streams(cx.account, &mut |stream| {
            let (name, number) = station_of_stream(stream);
            let stream = stream.into();
            let found = streams.entry(name).or_default();
            found.push(Partition { stream, number });
        });
        Self {
            unnoted: unnoted(&streams, cx),
            streams: streams
                .into_iter()
                .map(|(name, found)| (name, of_station(found)))
                .collect(),
        }
    }

    /// Returns all stations.
    pub(in crate::manage) fn stations(&self) -> impl Iterator<Item = Name> {
        let names = self.streams.keys();
        names.filter_map(|name| Name::new(Kind::Station, name).ok())
    }

    /// Returns the streams behind a station in the order of their numbers.
    pub(super) fn partitions(&self, station: &Name) -> &[Partition] {
        let streams = self.streams.get(station.external());
        streams.map(Vec::as_slice).unwrap_or_default()
    }

    /// Returns the number of a station.
    pub(super) fn id<H: Host>(&self, station: &Name, cx: &Cx<'_, H>) -> u32 {
        let unnoted = self.unnoted.get(station.external());
        let noted = || number(Numbered::Station, station.external(), cx.rows());
        unnoted.copied().unwrap_or_else(noted)
    }
}

/// Numbers streams of NATS clients of which nothing is noted: they make room for stations, and for
/// each other in the order of their names.
fn unnoted<H: Host>(
    streams: &BTreeMap<String, Vec<Partition>>,
    cx: &Cx<'_, H>,
) -> BTreeMap<String, u32> {
    let of = |name: &str| number(Numbered::Station, name, cx.rows());
    let is_noted = |name: &str| cx.book.station(cx.tenant, name).is_some();
    let noted = cx.rows().into_iter().flat_map(|rows| rows.stations.keys());
    let noted: BTreeSet<u32> = noted.map(|name| of(name)).collect();
    let mut taken: BTreeMap<u32, BTreeSet<u32>> = BTreeMap::new();
    let names = streams.keys().filter(|name| !is_noted(name));
    let numbered = names.map(|name| {
        let wanted = of(name);
        let beside = taken.entry(wanted).or_default();
        let id = free(wanted, |id| noted.contains(&id) || beside.contains(&id));
        beside.insert(id);
        (name.clone(), id)
    });
    numbered.collect()
}

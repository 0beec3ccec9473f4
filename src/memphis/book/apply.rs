//! Applies entries of the log to the book.
//!
//! *Invariant:* a function of book and entry alone; what does not fit (a row that is gone) changes
//! nothing.

use alloc::string::String;
use alloc::vec::Vec;

use super::change::{Change, Entry};
use super::dead::DeadLetter;
use super::dying::{DYING_MAX, Dying};
use super::rows::{Attached, Consumer, Group, Phase, Producer, StationRow};
use super::schema::{Schema, SchemaKind, Version};
use super::{Book, Tenant};
use crate::name::station_of_stream;
use crate::station::Station;

/// Most members of a group and producers of a station; the oldest make room, so that clients which
/// create without end do not fill the memory.
const ROWS_MAX: usize = 100_000;

impl Book {
    /// Applies an entry.
    pub fn apply(&mut self, entry: Entry) {
        let tenant = self.tenants.entry(entry.account).or_default();
        let time = entry.time;
        match entry.change {
            Change::StationMaking(station) => tenant.station_making(station, time),
            Change::StationMade(name) => tenant.station_made(&name),
            Change::StationGoing(name) => tenant.row(name, time).phase = Phase::Going,
            Change::StationGone(name) => tenant.forget_station(&name),
            Change::Producer(station, producer) => {
                tenant.row(station, time).producers.put(producer);
            }
            Change::ProducerGone {
                station,
                name,
                connection,
            } => {
                let producers = &mut tenant.row(station, time).producers;
                producers.retain(|p| p.name.external() != name || !p.client.is_of(&connection));
            }
            Change::GroupMaking(station, first) => tenant.group_making(station, first, time),
            Change::Consumer(station, consumer) => tenant.consumer(station, consumer, time),
            Change::ConsumerGone {
                station,
                name,
                connection,
                ends,
            } => tenant.consumer_gone(&station, &name, &connection, ends.as_deref()),
            Change::GroupGone(station, group) => tenant.forget_group(&station, &group),
            Change::SchemaVersion {
                schema,
                kind,
                version,
            } => tenant.add_version(schema, kind, version),
            Change::SchemaActivated(schema, version) => tenant.activate(&schema, version),
            Change::Attached {
                station,
                schema,
                version,
            } => tenant.row(station, time).schema = Some(Attached { schema, version }),
            Change::Detached(station) => tenant.row(station, time).schema = None,
            Change::DeadLetter(mut dead) => {
                dead.updated = time;
                tenant.dead_letters.add(dead);
            }
            Change::Dying(dying) => tenant.add_dying(dying),
            Change::Buried(key, dead) => {
                tenant.dying.remove(&key);
                if let Some(mut dead) = dead {
                    dead.updated = time;
                    tenant.dead_letters.add(dead);
                }
            }
            Change::Resend(ids, group) => tenant.dead_letters.want(&ids, group.as_deref()),
            Change::Resent { id, group, is_back } => {
                tenant.dead_letters.sent(id, &group);
                if is_back {
                    tenant.dead_letters.ack(id, &group);
                }
            }
            Change::DeadLetterAcked(id, group) => tenant.dead_letters.ack(id, &group),
            Change::DeadLettersDropped(ids) => tenant.dead_letters.drop_all(&ids),
            Change::DeadLettersExpired(before) => {
                let is_old = |dead: &DeadLetter| dead.updated < before;
                tenant.dead_letters.remove_where(is_old);
            }
            Change::Forgotten(connections) => tenant.forget_connections(&connections),
        }
    }
}

impl Tenant {
    /// Returns the row of a station; a NATS client's gets its row now.
    fn row(&mut self, station: String, time: u64) -> &mut StationRow {
        self.stations.entry(station).or_insert_with(|| StationRow {
            created: time,
            ..StationRow::default()
        })
    }

    /// Notes a message that died, unless its station keeps no such messages.
    fn add_dying(&mut self, dying: Dying) {
        let (station, _) = station_of_stream(&dying.key.stream);
        let row = self.stations.get(&station);
        let is_kept = row.is_none_or(|row| row.dead_letters().poison);
        if is_kept && self.dying.len() < DYING_MAX {
            self.dying.insert(dying.key.clone(), dying);
        }
    }

    fn station_making(&mut self, station: Station, time: u64) {
        let name = String::from(station.name.external());
        // What an earlier station of this name left must not pass to this one.
        self.forget_station(&name);
        let row = StationRow {
            phase: Phase::Making,
            station: Some(station),
            created: time,
            ..StationRow::default()
        };
        self.stations.insert(name, row);
    }

    fn group_making(&mut self, station: String, first: Consumer, time: u64) {
        let name = first.group.external().into();
        let group = Group {
            phase: Phase::Making,
            members: Vec::from([first]),
        };
        self.row(station, time).groups.insert(name, group);
    }

    fn consumer(&mut self, station: String, consumer: Consumer, time: u64) {
        let name = consumer.group.external().into();
        let group = self.row(station, time).groups.entry(name).or_default();
        group.phase = Phase::Whole;
        group.members.put(consumer);
    }

    fn activate(&mut self, schema: &str, version: u32) {
        if let Some(schema) = self.schemas.get_mut(schema)
            && schema.version(version).is_some()
        {
            schema.active = version;
        }
    }

    fn station_made(&mut self, name: &str) {
        let Some(row) = self.stations.get_mut(name) else {
            return;
        };
        let was = core::mem::take(&mut row.phase);
        let schema = row.station.as_ref().and_then(|s| s.schema.as_ref());
        // A station that is whole again after a removal that failed keeps what it had.
        if was == Phase::Making
            && let Some(schema) = schema
            && let Some(known) = self.schemas.get(schema.external())
        {
            row.schema = Some(Attached {
                schema: schema.external().into(),
                version: known.active,
            });
        }
    }

    fn forget_station(&mut self, name: &str) {
        self.stations.remove(name);
        self.dying
            .retain(|key, _| station_of_stream(&key.stream).0 != name);
        self.dead_letters.remove_where(|dead| dead.station == name);
    }

    fn consumer_gone(&mut self, station: &str, name: &str, connection: &str, ends: Option<&str>) {
        let Some(row) = self.stations.get_mut(station) else {
            return;
        };
        for group in row.groups.values_mut() {
            group
                .members
                .retain(|c| c.name.external() != name || !c.client.is_of(connection));
        }
        if let Some(group) = ends.and_then(|group| row.groups.get_mut(group)) {
            group.phase = Phase::Going;
        }
    }

    fn forget_group(&mut self, station: &str, group: &str) {
        self.dead_letters.end_group(station, group);
        if let Some(row) = self.stations.get_mut(station) {
            row.groups.remove(group);
        }
    }

    fn add_version(&mut self, name: String, kind: SchemaKind, version: Version) {
        let schema = self.schemas.entry(name).or_insert_with(|| Schema {
            kind,
            active: 1,
            versions: Vec::new(),
        });
        schema.versions.push(version);
    }

    fn forget_connections(&mut self, connections: &[String]) {
        for row in self.stations.values_mut() {
            row.producers
                .retain(|p| !connections.contains(&p.client.connection));
            for group in row.groups.values_mut() {
                group
                    .members
                    .retain(|c| !connections.contains(&c.client.connection));
            }
        }
    }
}

/// Rows where a client that creates again takes the place it had: SDKs repeat requests.
trait Put<T> {
    fn put(&mut self, row: T);
}

impl Put<Producer> for Vec<Producer> {
    fn put(&mut self, row: Producer) {
        self.retain(|p| p.name != row.name || p.client.connection != row.client.connection);
        if self.len() >= ROWS_MAX {
            self.remove(0);
        }
        self.push(row);
    }
}

impl Put<Consumer> for Vec<Consumer> {
    fn put(&mut self, row: Consumer) {
        self.retain(|c| c.name != row.name || c.client.connection != row.client.connection);
        if self.len() >= ROWS_MAX {
            self.remove(0);
        }
        self.push(row);
    }
}

//! Applies entries of the log to the book.
//!
//! *Invariant:* a function of book and entry alone; what does not fit (a row that is gone) changes
//! nothing.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::change::{Change, Entry};
use super::dead::DeadLetter;
use super::dying::{DYING_MAX, Dying, DyingKey};
use super::ids::Numbered;
use super::integration::Integration;
use super::people::{Audit, Tagged};
use super::rows::{Attached, Consumer, Group, Phase, Producer, StationRow};
use super::schema::{Schema, SchemaKind, Version};
use super::{Book, Tenant};
use crate::name::{Name, station_of_stream};
use crate::station::Station;

/// The tag of every new station, and its colour.
const TAG_DEFAULT: &str = "default";
const TAG_DEFAULT_COLOR: &str = "0, 165, 255";

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
            Change::StationMade(name) => tenant.station_made(&name, time),
            Change::StationAdopted(station) => tenant.station_adopted(station, time),
            Change::StationGoing(name) => tenant.row(name, time).phase = Phase::Going,
            Change::StationGone(name) => tenant.forget_station(&name),
            Change::Producer(station, producer) => {
                tenant.producer(station, producer, time);
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
            Change::Consumer(station, consumer) => {
                tenant.consumer(station, consumer, time);
            }
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
            Change::SchemaGone(name) => tenant.forget_schema(&name),
            Change::DeadLettersKept(station, kept) => tenant.row(station, time).kept = Some(kept),
            Change::DlsStation(station, dls) => {
                tenant.row(station, time).copies_to = Some(dls);
            }
            Change::Integration(name, known) => tenant.set_integration(name, known),
            Change::People(change) => tenant.apply_people(change),
            Change::Dying(dying) => tenant.add_dying(dying),
            Change::Buried(key, dead) => tenant.buried(&key, dead, time),
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
        if !self.stations.contains_key(&station) {
            self.number_station(&station);
        }
        self.stations.entry(station).or_insert_with(|| StationRow {
            created: time,
            ..StationRow::default()
        })
    }

    fn set_integration(&mut self, name: String, known: Option<Integration>) {
        match known {
            Some(integration) => self.integrations.insert(name, integration),
            None => self.integrations.remove(&name),
        };
    }

    fn number_station(&mut self, name: &str) {
        let others = self.stations.keys().map(String::as_str);
        self.ids.settle(Numbered::Station, name, others);
    }

    /// Takes a message off the dying; it is a dead letter now, or none is kept of it.
    fn buried(&mut self, key: &DyingKey, dead: Option<DeadLetter>, time: u64) {
        self.dying.remove(key);
        if let Some(mut dead) = dead {
            dead.updated = time;
            self.dead_letters.add(dead);
        }
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
        self.number_station(&name);
        self.stations.insert(name, row);
    }

    fn station_adopted(&mut self, station: Station, time: u64) {
        let name = String::from(station.name.external());
        let user = station.username.clone();
        // What was noted of the streams so far stays: they were in use already.
        self.row(name.clone(), time).station = Some(station);
        let text = format!("Station {name} has been created by user {user}");
        self.note(&name, text, &user, time);
    }

    fn group_making(&mut self, station: String, first: Consumer, time: u64) {
        let name = first.group.external().into();
        let group = Group {
            phase: Phase::Making,
            members: Vec::from([first]),
        };
        self.row(station, time).groups.insert(name, group);
    }

    fn producer(&mut self, station: String, producer: Producer, time: u64) {
        let text = format!("Producer {} connected", producer.name.external());
        let user = producer.client.username.clone();
        let row = self.row(station.clone(), time);
        if put(&mut row.producers, producer) == Put::New {
            self.note(&station, text, &user, time);
        }
    }

    fn consumer(&mut self, station: String, consumer: Consumer, time: u64) {
        let text = format!("Consumer {} connected", consumer.name.external());
        let user = consumer.client.username.clone();
        let name = consumer.group.external().into();
        let row = self.row(station.clone(), time);
        let group = row.groups.entry(name).or_default();
        let was_whole = core::mem::take(&mut group.phase) == Phase::Whole;
        // The first member is in the row from when its group began to be made.
        if put(&mut group.members, consumer) == Put::New || !was_whole {
            self.note(&station, text, &user, time);
        }
    }

    fn activate(&mut self, schema: &str, version: u32) {
        if let Some(schema) = self.schemas.get_mut(schema)
            && schema.version(version).is_some()
        {
            schema.active = version;
        }
    }

    /// Adds a line to a station's audit trail.
    fn note(&mut self, station: &str, message: String, username: &str, time: u64) {
        let username = username.into();
        let line = Audit {
            message,
            username,
            time,
        };
        self.trails.note(station, line);
    }

    fn forget_schema(&mut self, name: &str) {
        self.schemas.remove(name);
        self.ids.forget(Numbered::Schema, name);
        self.untag(Tagged::Schema, name);
        for row in self.stations.values_mut() {
            row.schema = row.schema.take().filter(|attached| attached.schema != name);
        }
    }

    fn station_made(&mut self, name: &str, time: u64) {
        let Some(row) = self.stations.get_mut(name) else {
            return;
        };
        let was = core::mem::take(&mut row.phase);
        let maker = row.station.as_ref().map(|station| station.username.clone());
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
        if let (Phase::Making, Some(user)) = (was, maker) {
            let text = format!("Station {name} has been created by user {user}");
            self.note(name, text, &user, time);
            let tag = self.tag_named(TAG_DEFAULT);
            if tag.color.is_empty() {
                tag.color = TAG_DEFAULT_COLOR.into();
            }
            tag.stations.insert(name.into());
        }
    }

    fn forget_station(&mut self, name: &str) {
        self.stations.remove(name);
        self.ids.forget(Numbered::Station, name);
        self.trails.forget(name);
        self.untag(Tagged::Station, name);
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
        let others = self.schemas.keys().map(String::as_str);
        self.ids.settle(Numbered::Schema, &name, others);
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

/// Whether a row is new.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Put {
    New,
    Again,
}

/// A row that a client has made, of which there is one per name and connection.
trait Made {
    /// Returns its name and its connection.
    fn key(&self) -> (&Name, &str);
}

impl Made for Producer {
    fn key(&self) -> (&Name, &str) {
        (&self.name, &self.client.connection)
    }
}

impl Made for Consumer {
    fn key(&self) -> (&Name, &str) {
        (&self.name, &self.client.connection)
    }
}

/// Adds a row. A client that creates again takes the place it had: SDKs repeat requests.
fn put<T: Made>(rows: &mut Vec<T>, row: T) -> Put {
    let before = rows.len();
    rows.retain(|known| known.key() != row.key());
    let put = if rows.len() < before {
        Put::Again
    } else {
        Put::New
    };
    if rows.len() >= ROWS_MAX {
        rows.remove(0);
    }
    rows.push(row);
    put
}

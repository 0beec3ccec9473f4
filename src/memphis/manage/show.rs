//! What people see, in the shapes of Memphis' REST API.

mod letters;
mod listing;
mod people;

use alloc::collections::BTreeMap;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;

use protocol::text::rfc3339;
use protocol::time::Wall;
use serde_json::{Value, json};

use super::{ConsumerFacts, StreamFacts};
use crate::book::{Client, DeadLetter, DeadLetterId, StationRow, Tagged, Tenant, id_of};
use crate::machine::{BROKER, Host};
use crate::name::Name;
use crate::station::StationRetention;
use crate::work::{Cx, Partition, numbers};

pub(super) use letters::{dead_letters, journey, message};
pub(super) use listing::Listing;
use people::tags_of;
pub(super) use people::{attached, root, schema, tag, tag_of, user};

/// The version of stations with partitions.
const VERSION: u32 = 2;
/// What all brokers are called together.
const TOTAL: &str = "total";
/// A producer that nobody named.
const UNKNOWN: &str = "Unknown";

pub(crate) fn time(stamp: u64) -> String {
    rfc3339::Rfc3339(Wall(stamp)).to_string()
}

/// What a station's streams say together.
struct Streams<'a> {
    partitions: &'a [Partition],
    facts: Vec<StreamFacts>,
}

impl<'s> Streams<'s> {
    fn of<H: Host>(station: &Name, listing: &'s Listing, cx: &Cx<'_, H>) -> Self {
        let partitions = listing.partitions(station);
        let facts = partitions
            .iter()
            .filter_map(|p| cx.host.stream(cx.account, &p.stream));
        Self {
            facts: facts.collect(),
            partitions,
        }
    }

    fn messages(&self) -> u64 {
        self.facts.iter().map(|facts| facts.messages).sum()
    }

    fn bytes(&self) -> u64 {
        self.facts.iter().map(|facts| facts.bytes).sum()
    }

    fn consumers<'a>(
        &'a self,
        name: &'a str,
    ) -> impl Iterator<Item = &'a ConsumerFacts> + use<'a, 's> {
        let all = self.facts.iter().flat_map(|facts| &facts.consumers);
        all.filter(move |consumer| consumer.name == name)
    }
}

pub(super) fn station<H: Host>(name: &Name, listing: &Listing, cx: &Cx<'_, H>) -> Value {
    let streams = Streams::of(name, listing, cx);
    let row = cx.row(name).cloned().unwrap_or_default();
    let made = row.station.as_ref();
    let facts = streams.facts.first();
    let retention = made.map(|station| station.retention);
    let retention = retention.or_else(|| facts.and_then(|facts| facts.retention));
    let (retention_type, retention_value) = match retention {
        Some(StationRetention::AgeSeconds(seconds)) => ("message_age_sec", seconds),
        Some(StationRetention::Messages(most)) => ("messages", most),
        Some(StationRetention::Bytes(most)) => ("bytes", most),
        Some(StationRetention::AckBased) => ("ack_based", 0),
        // A NATS client's stream that keeps everything.
        None => ("message_age_sec", 0),
    };
    let kept = row.dead_letters();
    let created = facts.map_or(row.created, |facts| facts.created);
    let list = numbers(streams.partitions);
    let in_memory = facts.is_some_and(|facts| facts.in_memory);
    json!({
        "id": listing.id(name, cx),
        "name": name.external(),
        "retention_type": retention_type,
        "retention_value": retention_value,
        "storage_type": if in_memory { "memory" } else { "disk" },
        "replicas": facts.map_or(1, |facts| facts.replicas),
        "idempotency_window_in_ms": facts.map_or(0, |facts| facts.idempotency_ms),
        "created_by_username": made.map_or("", |station| station.username.as_str()),
        "created_at": time(created),
        "last_update": time(created),
        "is_deleted": false,
        "is_native": made.is_some(),
        "schema_name": row.schema.as_ref().map_or("", |attached| attached.schema.as_str()),
        // As Memphis spells it in lists, and as it spells it elsewhere.
        "schema_vesrion_number": row.schema.as_ref().map_or(0, |attached| attached.version),
        "schema_version_number": row.schema.as_ref().map_or(0, |attached| attached.version),
        "dls_configuration_poison": kept.poison,
        "dls_configuration_schemaverse": kept.schemaverse,
        "dls_configuration": {"poison": kept.poison, "schemaverse": kept.schemaverse},
        "dls_station": row.dls_station().map_or("", Name::external),
        "tiered_storage_enabled": made.is_some_and(|station| station.tiered),
        "resend_disabled": false,
        "partitions_list": list,
        "partitions_number": list.len().max(1),
        "version": VERSION,
        "tags": tags_of(Tagged::Station, name.external(), cx.rows()),
        "functions_lock_held": false,
    })
}

pub(super) fn station_in_list<H: Host>(name: &Name, listing: &Listing, cx: &Cx<'_, H>) -> Value {
    let streams = Streams::of(name, listing, cx);
    let dead = dead_count(name, cx.rows());
    let row = cx.row(name);
    let mut clients = row.into_iter().flat_map(clients_of);
    json!({
        "station": station(name, listing, cx),
        "total_messages": streams.messages(),
        "posion_messages": dead,
        "has_dls_messages": dead > 0,
        "activity": clients.any(|client| cx.clients.is_active(cx.account, &client.connection)),
        "tags": tags_of(Tagged::Station, name.external(), cx.rows()),
    })
}

pub(super) fn station_in_short<H: Host>(name: &Name, listing: &Listing, cx: &Cx<'_, H>) -> Value {
    let attached = cx.row(name).and_then(|row| row.schema.as_ref());
    json!({
        "id": listing.id(name, cx),
        "name": name.external(),
        "dls_messages": dead_count(name, cx.rows()),
        "schema_name": attached.map_or("", |attached| attached.schema.as_str()),
        "total_messages": Streams::of(name, listing, cx).messages(),
        "tags": tags_of(Tagged::Station, name.external(), cx.rows()),
    })
}

/// Returns who stands behind a station's producers and consumers.
fn clients_of(row: &StationRow) -> impl Iterator<Item = &Client> {
    let producers = row.producers.iter().map(|p| &p.client);
    let members = row.groups.values().flat_map(|group| &group.members);
    producers.chain(members.map(|c| &c.client))
}

fn dead_of<'a>(
    station: &'a Name,
    rows: Option<&'a Tenant>,
) -> impl DoubleEndedIterator<Item = (DeadLetterId, &'a DeadLetter)> {
    let rows = rows.into_iter();
    rows.flat_map(|rows| rows.dead_letters.of_station(station.external()))
}

fn dead_count(station: &Name, rows: Option<&Tenant>) -> usize {
    rows.map_or(0, |rows| rows.dead_letters.count_of(station.external()))
}

fn client(name: &str, client: &Client, updated: u64, is_active: bool, station: &Name) -> Value {
    let names = [station.external(), name, &client.connection];
    json!({
        "id": id_of("client", &names),
        "name": name,
        "type": client.kind,
        "connection_id": client.connection,
        "app_id": client.app_id,
        "sdk": client.sdk,
        "sdk_language": client.sdk,
        "version": client.version,
        "created_by_username": client.username,
        "created_at": time(updated),
        "updated_at": time(updated),
        "station_name": station.external(),
        "is_active": is_active,
        "is_deleted": false,
    })
}

pub(super) fn overview<H: Host>(name: &Name, cx: &Cx<'_, H>) -> Value {
    let listing = Listing::of(cx);
    let streams = Streams::of(name, &listing, cx);
    let rows = cx.rows();
    let row = cx.row(name);
    let (here, away) = producers(name, cx);
    let (groups_here, groups_away) = groups(name, &streams, cx);
    let messages = streams.messages();
    let trail = rows
        .into_iter()
        .flat_map(|rows| rows.trails.of(name.external()).rev());
    let audit: Vec<Value> = trail
        .map(|line| {
            json!({
                "message": line.message,
                "created_by_username": line.username,
                "created_at": time(line.time),
            })
        })
        .collect();
    let mut shown = dead_letters(name, cx);
    let mut all = station(name, &listing, cx);
    let fields = json!({
        "connected_producers": here,
        "disconnected_producers": away,
        "deleted_producers": [],
        "connected_cgs": groups_here,
        "disconnected_cgs": groups_away,
        "deleted_cgs": [],
        "total_messages": messages,
        "average_message_size": streams.bytes().checked_div(messages).unwrap_or_default(),
        "audit_logs": audit,
        "messages": [],
        "functions_failed_messages": [],
        "total_dls_messages": dead_count(name, rows),
        "leader": "",
        "followers": [],
        "schema": attached(row, rows),
        "functions_enabled": false,
        "max_amount_of_allowed_producers": -1,
        "source_connectors": [],
        "sink_connectors": [],
        "act_as_dls_station_in_stations": dls_of(name, rows),
    });
    if let (Some(all), Value::Object(fields)) = (all.as_object_mut(), fields) {
        all.extend(fields);
        all.append(&mut shown);
    }
    all
}

/// Returns a station's producers: those that are connected, NATS clients too, and the others.
fn producers<H: Host>(name: &Name, cx: &Cx<'_, H>) -> (Vec<Value>, Vec<Value>) {
    let row = cx.row(name);
    let (mut here, mut away) = (Vec::new(), Vec::new());
    for producer in row.into_iter().flat_map(|row| &row.producers) {
        let is_active = cx
            .clients
            .is_active(cx.account, &producer.client.connection);
        let list = if is_active { &mut here } else { &mut away };
        let shown = producer.name.external();
        list.push(client(
            shown,
            &producer.client,
            producer.updated,
            is_active,
            name,
        ));
    }
    for publisher in cx.host.publishers(cx.account, name.external()) {
        here.push(json!({
            "id": 0,
            "name": if publisher.name.is_empty() { UNKNOWN } else { publisher.name.as_str() },
            "type": "application",
            "connection_id": publisher.connection.to_string(),
            "sdk": publisher.lang,
            "sdk_language": publisher.lang,
            "messages": publisher.messages,
            "updated_at": time(publisher.active),
            "station_name": name.external(),
            "is_active": true,
            "is_deleted": false,
        }));
    }
    (here, away)
}

/// Returns the stations whose dead letters are copied to this one.
fn dls_of(name: &Name, rows: Option<&Tenant>) -> Vec<String> {
    let stations = rows.into_iter().flat_map(|rows| &rows.stations);
    let linked = stations.filter(|(_, row)| row.dls_station() == Some(name));
    linked.map(|(station, _)| station.clone()).collect()
}

/// Returns a station's consumer groups: those with active members, and the others. A NATS client's
/// durable is a group of its own.
fn groups<H: Host>(name: &Name, streams: &Streams<'_>, cx: &Cx<'_, H>) -> (Vec<Value>, Vec<Value>) {
    let (mut here, mut away) = (Vec::new(), Vec::new());
    let row = cx.row(name);
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for group in dead_of(name, cx.rows()).flat_map(|(_, dead)| &dead.groups) {
        *counts.entry(group).or_default() += 1;
    }
    let dead = |group: &str| counts.get(group).copied().unwrap_or_default();
    let mut durables: Vec<String> = Vec::new();
    for (group, members) in row.into_iter().flat_map(|row| &row.groups) {
        let durable = group.replace('.', "#");
        let (mut connected, mut gone) = (Vec::new(), Vec::new());
        for member in &members.members {
            let is_active = cx.clients.is_active(cx.account, &member.client.connection);
            let list = if is_active { &mut connected } else { &mut gone };
            let shown = member.name.external();
            list.push(client(
                shown,
                &member.client,
                member.updated,
                is_active,
                name,
            ));
        }
        let mut shown = consumer_group(group, &durable, streams, dead(group));
        let is_active = !connected.is_empty();
        if let Some(shown) = shown.as_object_mut() {
            shown.insert("is_active".into(), is_active.into());
            shown.insert("connected_consumers".into(), connected.into());
            shown.insert("disconnected_consumers".into(), gone.into());
        }
        if is_active { &mut here } else { &mut away }.push(shown);
        durables.push(durable);
    }
    let consumers = streams.facts.iter().flat_map(|facts| &facts.consumers);
    for consumer in consumers.filter(|consumer| !durables.contains(&consumer.name)) {
        let shown = consumer_group(
            &consumer.name,
            &consumer.name,
            streams,
            dead(&consumer.name),
        );
        if consumer.is_active {
            &mut here
        } else {
            &mut away
        }
        .push(shown);
    }
    (here, away)
}

fn consumer_group(group: &str, durable: &str, streams: &Streams<'_>, dead: usize) -> Value {
    let first = streams
        .consumers(durable)
        .next()
        .cloned()
        .unwrap_or_default();
    let pending: u64 = streams.consumers(durable).map(|c| c.pending).sum();
    let ack_pending: u64 = streams.consumers(durable).map(|c| c.ack_pending).sum();
    let active = streams.consumers(durable).map(|c| c.active).max();
    json!({
        "name": group,
        "unprocessed_messages": pending,
        "in_process_messages": ack_pending,
        "poison_messages": dead,
        "max_ack_time_ms": first.ack_ms,
        "max_msg_deliveries": first.deliveries_max,
        "is_active": first.is_active,
        "is_deleted": false,
        "connected_consumers": [],
        "disconnected_consumers": [],
        "deleted_consumers": [],
        "last_status_change_date": time(active.unwrap_or_default()),
        "partitions": numbers(streams.partitions),
    })
}

/// Returns how much goes in and out: all together, and of each broker.
fn throughput<H: Host>(cx: &Cx<'_, H>) -> Vec<Value> {
    let of = |broker| Some(cx.throughput?.shown(broker));
    [TOTAL, BROKER].into_iter().filter_map(of).collect()
}

pub(super) fn main<H: Host>(cx: &Cx<'_, H>) -> Value {
    let listing = Listing::of(cx);
    let shown: Vec<Value> = listing
        .stations()
        .map(|name| station_in_list(&name, &listing, cx))
        .collect();
    let messages: u64 = listing
        .stations()
        .map(|name| Streams::of(&name, &listing, cx).messages())
        .sum();
    json!({
        "total_stations": shown.len(),
        "total_messages": messages,
        "total_dls_messages": cx.rows().map_or(0, |rows| rows.dead_letters.count()),
        "stations": shown,
        "system_components": [],
        "brokers_throughput": throughput(cx),
        "k8s_env": false,
        "metrics_enabled": true,
        "delayed_cgs": [],
    })
}

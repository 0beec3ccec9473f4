//! Stations: made, listed, changed, emptied, removed.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString as _};
use alloc::vec;
use alloc::vec::Vec;

use bytes::BytesMut;
use protocol::headers::HeaderWriter;
use serde_json::{Value, json};

use super::plan::name;
use super::show::Listing;
use super::{Plan, Refusal, View, show};
use crate::book::{Change, DeadLetterId};
use crate::calls::{Ask, Calls};
use crate::guard::SchemaText;
use crate::logs;
use crate::machine::Host;
use crate::making::Making;
use crate::name::{Kind, Name};
use crate::removing::Removing;
use crate::request::Fields;
use crate::schema::Attaching;
use crate::station::{DeadLetters, Station};
use crate::turns::Topic;
use crate::work::{Cx, Partition, Work};

/// How long a message is that people type.
const TYPED_BYTES_MAX: usize = 100;
/// The producer of messages that people type.
const PRODUCER_UI: &str = "UI";

fn refuse<T>(text: impl Into<String>) -> Result<T, Refusal> {
    Err(Refusal::Showable(text.into()))
}

pub(super) fn plan<H: Host>(
    route: &str,
    user: &str,
    fields: &mut Fields,
    cx: &Cx<'_, H>,
) -> Result<Plan, Refusal> {
    match route {
        "getStation" => {
            let station = there(fields, cx)?;
            Ok(Plan::Now(show::station(&station, &Listing::of(cx), cx)))
        }
        "getStations" => {
            let all = Listing::of(cx);
            let shown = all
                .stations()
                .map(|station| show::station_in_list(&station, &all, cx));
            Ok(Plan::Now(
                json!({"stations": shown.collect::<Vec<Value>>()}),
            ))
        }
        "getAllStations" => {
            let all = Listing::of(cx);
            let shown = all
                .stations()
                .map(|station| show::station_in_short(&station, &all, cx));
            Ok(Plan::Now(json!(shown.collect::<Vec<Value>>())))
        }
        "createStation" => create(user, fields, cx),
        "removeStation" => remove(fields, cx),
        "useSchema" => use_schema(user, fields),
        "removeSchemaFromStation" => {
            fields.set("username", user);
            let work = Attaching::detachment(fields).map_err(Refusal::Showable)?;
            Ok(on_station(
                work.station().clone(),
                Work::Attaching(work),
                View::Empty,
            ))
        }
        "getUpdatesForSchemaByStation" => {
            let station = there(fields, cx)?;
            Ok(Plan::Now(show::attached(cx.row(&station), cx.rows())))
        }
        "updateDlsConfig" => {
            let station = there(fields, cx)?;
            let kept = DeadLetters {
                poison: fields.flag("poison").unwrap_or(true),
                schemaverse: fields.flag("schemaverse").unwrap_or(true),
            };
            let change = Change::DeadLettersKept(station.external().into(), kept);
            let view = View::DeadLettersKept(station.clone());
            Ok(on_station(station, Work::Note(Some(change)), view))
        }
        "attachDlsStation" | "detachDlsStation" => link(route, fields),
        "purgeStation" => purge(fields, cx),
        "removeMessages" => remove_messages(fields, cx),
        "getMessageDetails" => message(fields, cx),
        "produce" => produce(fields, cx),
        _ => Err(Refusal::NoRoute),
    }
}

pub(super) fn monitor<H: Host>(
    route: &str,
    fields: &Fields,
    cx: &Cx<'_, H>,
) -> Result<Plan, Refusal> {
    match route {
        "getStationOverviewData" => {
            let station = there(fields, cx)?;
            Ok(Plan::Now(show::overview(&station, cx)))
        }
        "getMainOverviewData" => Ok(Plan::Now(show::main(cx))),
        "getSystemLogs" => Ok(Plan::Now(logs::shown(cx.log, fields))),
        "downloadSystemLogs" => Ok(Plan::Now(logs::text(cx.log))),
        "getSystemGeneralInfo" => Ok(Plan::Now(json!({
            "total_amount_brokers": 1,
            "total_stations": Listing::of(cx).stations().count(),
            "total_users": cx.rows().map_or(0, |rows| rows.users.len()) + 1,
            "total_schemas": cx.rows().map_or(0, |rows| rows.schemas.len()),
        }))),
        _ => Err(Refusal::NoRoute),
    }
}

/// Returns the station that a call names, if it is there.
fn there<H: Host>(fields: &Fields, cx: &Cx<'_, H>) -> Result<Name, Refusal> {
    let station = name(Kind::Station, fields, "station_name")?;
    if cx.partitions(&station).is_empty() {
        return refuse(format!("Station {} does not exist", station.external()));
    }
    Ok(station)
}

fn on_station(station: Name, work: Work, view: View) -> Plan {
    Plan::Work {
        work,
        topics: vec![Topic::Station(station)],
        view,
    }
}

/// Attaches a schema to stations, one after the other.
fn use_schema(user: &str, fields: &Fields) -> Result<Plan, Refusal> {
    let schema = String::from(fields.text("schema_name"));
    let mut works = Vec::new();
    let mut topics = vec![Topic::Schema(name(Kind::Schema, fields, "schema_name")?)];
    let mut last = None;
    for station in fields.list("station_names") {
        let mut one = fields.clone();
        one.set("station_name", &station);
        one.set("name", &schema);
        one.set("username", user);
        let work = Attaching::attachment(&one).map_err(Refusal::Showable)?;
        topics.push(Topic::Station(work.station().clone()));
        last = Some(work.station().clone());
        works.push(Work::Attaching(work));
    }
    let Some(last) = last else {
        return refuse("no station was named");
    };
    Ok(Plan::Work {
        work: Work::Chain(works.into()),
        topics,
        view: View::Attached(last),
    })
}

fn create<H: Host>(user: &str, fields: &mut Fields, cx: &Cx<'_, H>) -> Result<Plan, Refusal> {
    fields.set("username", user);
    // SDKs that leave it out know no partitions; people leave it out because they want no more than one.
    if fields.integer_if_set("partitions_number").is_none() {
        fields.set("partitions_number", "1");
    }
    let mut station =
        Station::from_request(fields).map_err(|error| Refusal::Showable(error.to_string()))?;
    if fields.flag("adopt").unwrap_or_default() {
        match fields.text("owner") {
            "" => {}
            owner => station.username = owner.to_lowercase(),
        }
        return adopt(station, cx);
    }
    if !cx.partitions(&station.name).is_empty() {
        return refuse(format!(
            "Station {} already exists",
            station.name.external()
        ));
    }
    let name = station.name.clone();
    let mut topics = vec![Topic::Station(name.clone())];
    topics.extend(station.dls_station.clone().map(Topic::Station));
    topics.extend(station.schema.clone().map(Topic::Schema));
    Ok(Plan::Work {
        work: Work::Making(Making::new(station, None)),
        topics,
        view: View::Station(name),
    })
}

/// Makes a station of streams that came from elsewhere.
fn adopt<H: Host>(station: Station, cx: &Cx<'_, H>) -> Result<Plan, Refusal> {
    let name = station.name.clone();
    if cx.row(&name).is_some_and(|row| row.station.is_some()) {
        return refuse(format!("Station {} already exists", name.external()));
    }
    let there = cx.partitions(&name);
    if !there.iter().map(|p| p.number).eq(1..=station.partitions) {
        return refuse(format!("Station {} has other partitions", name.external()));
    }
    let work = Work::Note(Some(Change::StationAdopted(station)));
    Ok(on_station(name.clone(), work, View::Station(name)))
}

fn remove<H: Host>(fields: &Fields, cx: &Cx<'_, H>) -> Result<Plan, Refusal> {
    let mut works = Vec::new();
    let mut topics = Vec::new();
    for station in fields.list("station_names") {
        let mut one = fields.clone();
        one.set("station_name", &station);
        let station = there(&one, cx)?;
        works.push(Work::Removing(Removing::new(station.clone())));
        topics.push(Topic::Station(station));
    }
    Ok(Plan::Work {
        work: Work::Chain(works.into()),
        topics,
        view: View::Empty,
    })
}

fn link(route: &str, fields: &Fields) -> Result<Plan, Refusal> {
    let dls = match route {
        "attachDlsStation" => Some(name(Kind::Station, fields, "name")?),
        _ => None,
    };
    let mut works = Vec::new();
    let mut topics = Vec::new();
    for station in fields.list("station_names") {
        let refuse = |error| Refusal::Showable(format!("{error}"));
        let station = Name::new(Kind::Station, &station).map_err(refuse)?;
        let dls = dls.clone().filter(|dls| *dls != station);
        let change = Change::DlsStation(station.external().into(), dls);
        works.push(Work::Note(Some(change)));
        topics.push(Topic::Station(station));
    }
    let view = dls.map_or(View::Empty, View::Station);
    Ok(Plan::Work {
        work: Work::Chain(works.into()),
        topics,
        view,
    })
}

/// Returns the partitions that a call means; `-1` stands for all.
fn meant<H: Host>(wanted: &[i64], station: &Name, cx: &Cx<'_, H>) -> Vec<Partition> {
    let mut partitions = cx.partitions(station);
    if !wanted.is_empty() && !wanted.contains(&-1) {
        partitions.retain(|p| wanted.contains(&i64::from(p.number)));
    }
    partitions
}

fn purge<H: Host>(fields: &Fields, cx: &Cx<'_, H>) -> Result<Plan, Refusal> {
    let station = there(fields, cx)?;
    let mut asks = Vec::new();
    if fields.flag("purge_station").unwrap_or_default() {
        for Partition { stream, .. } in meant(&fields.integers("partitions_list"), &station, cx) {
            asks.push(Ask {
                subject: format!("$JS.API.STREAM.PURGE.{stream}"),
                headers: Vec::new(),
                body: Vec::new(),
            });
        }
    }
    let dead: Vec<DeadLetterId> = if fields.flag("purge_dls").unwrap_or_default() {
        let rows = cx.rows().into_iter();
        let letters = rows.flat_map(|rows| rows.dead_letters.of_station(station.external()));
        letters.map(|(id, _)| id).collect()
    } else {
        Vec::new()
    };
    let then = (!dead.is_empty()).then_some(Change::DeadLettersDropped(dead));
    let calls = Work::Calls(Calls::new(asks, then));
    Ok(on_station(station, calls, View::Empty))
}

fn remove_messages<H: Host>(fields: &Fields, cx: &Cx<'_, H>) -> Result<Plan, Refusal> {
    let station = there(fields, cx)?;
    let partitions = cx.partitions(&station);
    let mut asks = Vec::new();
    for message in fields.objects("messages") {
        let number = message.integer("partition_number");
        let partition = partitions.iter().find(|p| i64::from(p.number) == number);
        let Some(partition) = partition.or(partitions.first()) else {
            continue;
        };
        let seq = message.integer("message_seq");
        asks.push(Ask {
            subject: format!("$JS.API.STREAM.MSG.DELETE.{}", partition.stream),
            headers: Vec::new(),
            body: json!({"seq": seq}).to_string().into_bytes(),
        });
    }
    let calls = Work::Calls(Calls::new(asks, None));
    Ok(on_station(station, calls, View::Empty))
}

fn message<H: Host>(fields: &Fields, cx: &Cx<'_, H>) -> Result<Plan, Refusal> {
    let station = there(fields, cx)?;
    if fields.flag("is_dls").unwrap_or_default() {
        let id = u64::try_from(fields.integer("message_id")).unwrap_or_default();
        let id = DeadLetterId(id);
        let dead = cx.rows().and_then(|rows| rows.dead_letters.get(id));
        return match dead {
            Some(dead) => Ok(Plan::Now(show::journey(id, dead, cx))),
            None => refuse("the message does not exist any more"),
        };
    }
    let wanted = fields.integer("partition_number");
    let partitions = meant(&[wanted], &station, cx);
    let Some(partition) = partitions.first() else {
        return refuse(format!("Partition {wanted} does not exist"));
    };
    let seq = fields.integer("message_seq");
    let ask = Ask {
        subject: format!("$JS.API.STREAM.MSG.GET.{}", partition.stream),
        headers: Vec::new(),
        body: json!({"seq": seq}).to_string().into_bytes(),
    };
    Ok(Plan::Work {
        work: Work::Calls(Calls::question(ask)),
        topics: Vec::new(),
        view: View::Message {
            station,
            partition: i64::from(partition.number),
            seq,
        },
    })
}

/// Stores a message that somebody has typed.
fn produce<H: Host>(fields: &Fields, cx: &Cx<'_, H>) -> Result<Plan, Refusal> {
    let station = there(fields, cx)?;
    let payload = fields.text("message_payload");
    if payload.len() > TYPED_BYTES_MAX {
        return refuse(format!(
            "the message exceeds the maximum allowed length of {TYPED_BYTES_MAX} characters"
        ));
    }
    if !fields.flag("bypass_schema").unwrap_or_default() {
        check(&station, payload, cx)?;
    }
    let wanted = fields.integer("partition_number");
    let wanted = if wanted < 1 { -1 } else { wanted };
    let Some(partition) = meant(&[wanted], &station, cx).into_iter().next() else {
        return refuse(format!("Partition {wanted} does not exist"));
    };
    let mut headers: BTreeMap<String, String> = BTreeMap::new();
    let typed = fields.object("message_headers");
    headers.extend(typed.texts().map(|(key, value)| (key.into(), value.into())));
    headers.insert("$memphis_producedBy".into(), PRODUCER_UI.into());
    headers.insert("$memphis_connectionId".into(), PRODUCER_UI.into());
    let mut block = BytesMut::new();
    let mut writer = HeaderWriter::new(&mut block);
    for (key, value) in &headers {
        if [key, value].iter().any(|text| text.contains(['\r', '\n'])) {
            return refuse("headers are single lines");
        }
        writer.push(key.as_bytes(), value.as_bytes());
    }
    writer.finish();
    let ask = Ask {
        subject: format!("{}.final", partition.stream),
        headers: block.to_vec(),
        body: payload.into(),
    };
    let calls = Work::Calls(Calls::new([ask], None));
    Ok(on_station(station, calls, View::Empty))
}

fn check<H: Host>(station: &Name, payload: &str, cx: &Cx<'_, H>) -> Result<(), Refusal> {
    let attached = cx.row(station).and_then(|row| row.schema.as_ref());
    let Some((attached, rows)) = attached.zip(cx.rows()) else {
        return Ok(());
    };
    let schema = rows.schemas.get(&attached.schema);
    let Some((kind, version)) = schema.and_then(|s| Some((s.kind, s.version(attached.version)?)))
    else {
        return Ok(());
    };
    let compiled = cx.library.compile(SchemaText {
        kind,
        file_name: &format!("{}_{}.proto", attached.schema, attached.version),
        content: &version.content,
        message_struct: &version.message_struct,
    });
    let checked = compiled.and_then(|compiled| compiled.validator.check(payload.as_bytes()));
    checked.map_err(|reason| Refusal::Showable(format!("Schema validation has failed: {reason}")))
}

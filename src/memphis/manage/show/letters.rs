//! Messages as people see them: dead letters, their journeys, and those that streams hold.

use alloc::string::String;
use alloc::vec::Vec;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use protocol::headers::Headers;
use serde_json::{Map, Value, json};

use super::{Listing, Streams, UNKNOWN, consumer_group, dead_of, time};
use crate::book::{DeadLetter, DeadLetterId, DeadLetterKind, StationRow, hex};
use crate::machine::Host;
use crate::name::{Kind, Name};
use crate::work::Cx;

/// Most dead letters of a kind that are shown.
const LETTERS_MAX: usize = 1000;
/// How many characters of a body lists show.
const EXCERPT: usize = 80;

/// Returns a station's dead letters by their kinds.
pub(in crate::manage) fn dead_letters<H: Host>(name: &Name, cx: &Cx<'_, H>) -> Map<String, Value> {
    let of_kind = |kind: DeadLetterKind| -> Value {
        let newest_first = dead_of(name, cx.rows()).rev();
        let of_kind = newest_first.filter(|(_, dead)| dead.kind == kind);
        let newest = of_kind.take(LETTERS_MAX);
        let mut shown: Vec<Value> = newest.map(|(id, dead)| dead_letter(id, dead)).collect();
        shown.reverse();
        shown.into()
    };
    let mut lists = Map::new();
    lists.insert("poison_messages".into(), of_kind(DeadLetterKind::Poison));
    lists.insert(
        "schema_failed_messages".into(),
        of_kind(DeadLetterKind::Schema),
    );
    lists
}

fn headers_of(dead: &DeadLetter) -> Map<String, Value> {
    let lines = dead.letter.headers.iter();
    lines
        .map(|(key, value)| (key.clone(), value.clone().into()))
        .collect()
}

fn dead_letter(id: DeadLetterId, dead: &DeadLetter) -> Value {
    let excerpt: String = dead.letter.data.chars().take(EXCERPT).collect();
    json!({
        "id": id.0,
        "station_name": dead.station,
        "message_seq": dead.seq,
        "partition_number": dead.partition,
        "poisoned_cgs": dead.groups,
        "producer_name": dead.producer,
        "message_type": match dead.kind {
            DeadLetterKind::Poison => "poison",
            DeadLetterKind::Schema => "schema",
        },
        "validation_error": dead.reason,
        "updated_at": time(dead.updated),
        "message": {
            "time_sent": time(dead.letter.sent),
            "size": dead.letter.data.len() / 2,
            "data": excerpt,
            "headers": headers_of(dead),
        },
    })
}

/// Returns where a message that died has been: who produced it, and how its groups stand.
pub(in crate::manage) fn journey<H: Host>(
    id: DeadLetterId,
    dead: &DeadLetter,
    cx: &Cx<'_, H>,
) -> Value {
    let station = Name::new(Kind::Station, &dead.station).ok();
    let listing = Listing::of(cx);
    let streams = station.as_ref().map(|name| Streams::of(name, &listing, cx));
    let groups: Vec<Value> = dead
        .groups
        .iter()
        .map(|group| match &streams {
            Some(streams) => {
                let durable = group.replace('.', "#");
                let known = streams.consumers(&durable).next().is_some();
                consumer_group(group, if known { &durable } else { group }, streams, 1)
            }
            None => json!({"name": group}),
        })
        .collect();
    let mut shown = dead_letter(id, dead);
    let row = station.as_ref().and_then(|name| cx.row(name));
    if let Some(fields) = shown.as_object_mut() {
        fields.insert("poisoned_cgs".into(), groups.into());
        fields.insert("producer".into(), producer(&dead.producer, row, cx));
        fields.insert(
            "message".into(),
            json!({
                "time_sent": time(dead.letter.sent),
                "size": dead.letter.data.len() / 2,
                "data": dead.letter.data,
                "headers": headers_of(dead),
            }),
        );
    }
    shown
}

fn producer<H: Host>(name: &str, row: Option<&StationRow>, cx: &Cx<'_, H>) -> Value {
    let mut producers = row.into_iter().flat_map(|row| &row.producers);
    let is_active = producers.any(|p| {
        p.name.external() == name && cx.clients.is_active(cx.account, &p.client.connection)
    });
    json!({"name": name, "is_active": is_active})
}

/// Shows a stored message from the answer of `STREAM.MSG.GET`.
pub(in crate::manage) fn message(
    answer: &Value,
    partition: i64,
    seq: i64,
    row: Option<&StationRow>,
) -> Value {
    let message = answer.get("message");
    let text = |key| message.and_then(|m| m.get(key)).and_then(Value::as_str);
    let decode = |key| {
        STANDARD
            .decode(text(key).unwrap_or_default())
            .unwrap_or_default()
    };
    let (block, body) = (decode("hdrs"), decode("data"));
    let lossy = |bytes| String::from_utf8_lossy(bytes).into_owned();
    let headers: Map<String, Value> = Headers::new(&block)
        .iter()
        .map(|(key, value)| (lossy(key), lossy(value).into()))
        .collect();
    let producer = headers.get("$memphis_producedBy").and_then(Value::as_str);
    let producer = producer.unwrap_or(UNKNOWN);
    let is_known = row.is_some_and(|row| {
        let mut producers = row.producers.iter();
        producers.any(|p| p.name.external() == producer)
    });
    json!({
        "message_seq": seq,
        "partition_number": partition,
        "producer": {"name": producer, "is_active": is_known},
        "poisoned_cgs": [],
        "message": {
            "time_sent": text("time").unwrap_or_default(),
            "size": body.len() + block.len(),
            "data": hex(&body),
            "headers": headers,
        },
    })
}

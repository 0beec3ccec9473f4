//! What SDKs are told: answers to creations, and pushes on their subjects.
//!
//! *Invariant:* every key is always there: SDKs look them up without asking whether they exist. Only
//! `partitions_list` may be null, for a stream without partitions: an empty list breaks the SDKs.

use alloc::format;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;

use serde_json::{Value, json};

use crate::book::{Alert, StationRow, Tenant};
use crate::machine::alerts;
use crate::name::Name;

/// Where SDKs listen for what concerns all stations.
pub(crate) const CLIENTS_UPDATES: &str = "$memphis_sdk_clients_updates";
/// The version of stations with partitions and functions.
const STATION_VERSION: u32 = 2;
/// The version of stations without either: SDKs then ask for no partition's functions.
const STATION_VERSION_PLAIN: u32 = 0;
/// Schema push: this version counts from now on.
const UPDATE_ATTACH: u32 = 1;
/// Schema push: no schema any more.
const UPDATE_DETACH: u32 = 2;

/// Writes the answer to a producer's creation.
pub(crate) fn producer(
    tenant: Option<&Tenant>,
    row: Option<&StationRow>,
    partitions: &[u32],
) -> Vec<u8> {
    let schemaverse = row.map(|row| row.dead_letters().schemaverse);
    let version = match partitions {
        [] => STATION_VERSION_PLAIN,
        _ => STATION_VERSION,
    };
    to_vec(&json!({
        "schema_update": schema(tenant, row),
        "partitions_update": partitions_update(partitions),
        "schemaverse_to_dls": schemaverse.unwrap_or_default(),
        "send_notification": alerts::wants(tenant, Alert::Schema),
        "station_version": version,
        "station_partitions_first_functions": {},
        "error": "",
    }))
}

/// Writes the answer to a producer's creation that failed.
pub(crate) fn producer_refused(text: &str) -> Vec<u8> {
    to_vec(&json!({
        "schema_update": no_schema(),
        "partitions_update": {"partitions_list": []},
        "schemaverse_to_dls": false,
        "send_notification": false,
        "station_version": STATION_VERSION,
        "station_partitions_first_functions": {},
        "error": text,
    }))
}

/// Writes the answer to a consumer's creation.
pub(crate) fn consumer(
    tenant: Option<&Tenant>,
    row: Option<&StationRow>,
    partitions: &[u32],
    sdk: &str,
) -> Vec<u8> {
    // The Java SDK takes any text for an error, an empty one too; the others want a text.
    let error = (sdk != "java").then_some("");
    to_vec(&json!({
        "schema_update": schema(tenant, row),
        "partitions_update": partitions_update(partitions),
        "error": error,
    }))
}

/// Writes the answer to a schema's creation.
pub(crate) fn schema_created(error: &str) -> Vec<u8> {
    to_vec(&json!({"error": error}))
}

/// Returns subject and payload of what tells a station's producers about their schema.
pub(crate) fn schema_push(station: &Name, tenant: Option<&Tenant>) -> (String, Vec<u8>) {
    let row = tenant.and_then(|t| t.stations.get(station.external()));
    let (update, init) = match attached(tenant, row) {
        Some(schema) => (UPDATE_ATTACH, schema),
        None => (UPDATE_DETACH, no_schema()),
    };
    let subject = format!("$memphis_schema_updates_{}", station.internal());
    (
        subject,
        to_vec(&json!({"UpdateType": update, "init": init})),
    )
}

/// Writes what makes SDKs forget a station's producers and consumers.
pub(crate) fn remove_station_push(station: &Name) -> Vec<u8> {
    to_vec(&json!({
        "station_name": station.internal(),
        "type": "remove_station",
        "update": null,
    }))
}

/// Writes what makes SDKs tell of messages that break a schema, or not.
pub(crate) fn notification_push(is_wanted: bool) -> Vec<u8> {
    to_vec(&json!({"station_name": "", "type": "send_notification", "update": is_wanted}))
}

fn partitions_update(partitions: &[u32]) -> Value {
    let list = (!partitions.is_empty()).then_some(partitions);
    json!({"partitions_list": list})
}

fn schema(tenant: Option<&Tenant>, row: Option<&StationRow>) -> Value {
    attached(tenant, row).unwrap_or_else(no_schema)
}

fn attached(tenant: Option<&Tenant>, row: Option<&StationRow>) -> Option<Value> {
    let attached = row?.schema.as_ref()?;
    let schema = tenant?.schemas.get(&attached.schema)?;
    let version = schema.version(attached.version)?;
    Some(json!({
        "schema_name": attached.schema,
        "active_version": {
            "version_number": attached.version,
            "descriptor": version.descriptor,
            "schema_content": version.content,
            "message_struct_name": version.message_struct,
        },
        "type": schema.kind.as_str(),
    }))
}

fn no_schema() -> Value {
    json!({
        "schema_name": "",
        "active_version": {
            "version_number": 0,
            "descriptor": "",
            "schema_content": "",
            "message_struct_name": "",
        },
        "type": "",
    })
}

fn to_vec(value: &Value) -> Vec<u8> {
    value.to_string().into_bytes()
}

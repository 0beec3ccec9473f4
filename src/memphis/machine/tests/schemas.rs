//! Schemas are stored, versioned and told to producers.

use serde_json::{Value, json};

use super::world::{World, producer, station, with};
use crate::dispatch::{
    PRODUCER_CREATIONS, SCHEMA_ATTACHMENTS, SCHEMA_CREATIONS, SCHEMA_DETACHMENTS, STATION_CREATIONS,
};

fn schema(kind: &str, content: &str) -> Value {
    json!({
        "name": "sch1", "type": kind, "created_by_username": "root",
        "schema_content": content, "message_struct_name": "",
    })
}

#[test]
fn an_attached_schema_is_in_the_reply_and_pushed_to_those_who_produce() {
    let mut world = World::new();
    world.ask_ok(STATION_CREATIONS, &station("Plain.A", 1));
    let reply = world.ask_json(SCHEMA_CREATIONS, &schema("json", r#"{"type":"object"}"#));
    assert_eq!(reply, json!({"error": ""}));
    let attach = json!({"name": "sch1", "station_name": "plain.a", "username": "root"});
    world.ask_ok(SCHEMA_ATTACHMENTS, &attach);
    let pushed = world.take_published("$memphis_schema_updates_plain#a");
    let pushed: Value = serde_json::from_str(&pushed[0].body).unwrap();
    assert_eq!(pushed["UpdateType"], 1);
    let reply = world.ask_json(PRODUCER_CREATIONS, &producer("p", "plain.a"));
    assert_eq!(reply["schema_update"], pushed["init"]);
    assert_eq!(reply["schema_update"]["schema_name"], "sch1");
    assert_eq!(reply["schema_update"]["type"], "json");
    let version = &reply["schema_update"]["active_version"];
    assert_eq!(version["version_number"], 1);
    assert_eq!(version["schema_content"], r#"{"type":"object"}"#);
}

#[test]
fn a_detached_schema_is_pushed_as_none() {
    let mut world = World::new();
    world.ask_json(SCHEMA_CREATIONS, &schema("json", "{}"));
    world.ask_ok(
        STATION_CREATIONS,
        &with(station("a", 1), "schema_name", "sch1"),
    );
    let reply = world.ask_json(PRODUCER_CREATIONS, &producer("p", "a"));
    assert_eq!(reply["schema_update"]["schema_name"], "sch1");
    let detach = json!({"station_name": "a", "username": "root"});
    world.ask_ok(SCHEMA_DETACHMENTS, &detach);
    let pushed = world.take_published("$memphis_schema_updates_a");
    let pushed: Value = serde_json::from_str(&pushed[0].body).unwrap();
    assert_eq!(pushed["UpdateType"], 2);
    assert_eq!(pushed["init"]["schema_name"], "");
}

#[test]
fn another_content_is_another_version_and_the_same_is_refused() {
    let mut world = World::new();
    let mut create = |kind, content| {
        let reply = world.ask_json(SCHEMA_CREATIONS, &schema(kind, content));
        reply["error"].clone()
    };
    assert_eq!(create("json", "{}"), "");
    assert_eq!(create("json", "true"), "");
    assert_eq!(
        create("json", "{}"),
        "sch1 already exists in the db with the same schema content"
    );
    assert_eq!(
        create("graphql", "type Query"),
        "sch1 already exist with type - json"
    );
    assert_eq!(create("xml", "<a/>"), "unsupported schema type");
    assert_eq!(create("json", "{"), "your json schema is invalid");
    let rows = world.rows();
    assert_eq!(rows.schemas["sch1"].versions.len(), 2);
    assert_eq!(rows.schemas["sch1"].active, 1);
}

#[test]
fn a_proto_files_first_message_is_the_one_meant() {
    let mut world = World::new();
    let proto = "syntax = \"proto3\";\npackage t;\nmessage Order {\n  string id = 1;\n}\n";
    world.ask_json(SCHEMA_CREATIONS, &schema("protobuf", proto));
    let version = &world.rows().schemas["sch1"].versions[0];
    assert_eq!(version.message_struct, "Order");
}

#[test]
fn attaching_what_is_not_there_is_told() {
    let mut world = World::new();
    let attach = json!({"name": "sch1", "station_name": "a", "username": "root"});
    assert_eq!(
        world.ask(SCHEMA_ATTACHMENTS, &attach),
        "memphis: Station a does not exist"
    );
    world.ask_ok(STATION_CREATIONS, &station("a", 1));
    assert_eq!(
        world.ask(SCHEMA_ATTACHMENTS, &attach),
        "Schema sch1 does not exist"
    );
}

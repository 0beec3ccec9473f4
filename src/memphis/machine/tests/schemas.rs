//! Schemas are stored, versioned and told to producers.

use alloc::format;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::world::{ACCOUNT, World, producer, station, with};
use crate::book::DeadLetterKind;
use crate::dispatch::{
    PRODUCER_CREATIONS, SCHEMA_ATTACHMENTS, SCHEMA_CREATIONS, SCHEMA_DETACHMENTS, STATION_CREATIONS,
};
use crate::machine::Misfit;
use crate::station::Misfits;

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
fn what_a_schema_compiles_to_is_kept_with_its_version() {
    let mut world = World::new();
    for (version, content) in ["{}", "true"].into_iter().enumerate() {
        world.ask_json(SCHEMA_CREATIONS, &schema("protobuf", content));
        let version_made = &world.rows().schemas["sch1"].versions[version];
        assert_eq!(version_made.message_struct, "First");
        let descriptor = STANDARD.decode(&version_made.descriptor).unwrap();
        let name = format!("sch1_{}.proto", version + 1);
        assert_eq!(descriptor, name.as_bytes(), "what the Go SDK looks for");
    }
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

/// Makes a station whose schema wants the key `id`.
fn guarded(world: &mut World) {
    world.ask_json(SCHEMA_CREATIONS, &schema("json", r#"{"id":1}"#));
    let station = with(station("a", 2), "schema_name", "sch1");
    world.ask_ok(STATION_CREATIONS, &station);
}

#[test]
fn each_partition_is_guarded_by_the_attached_version() {
    let mut world = World::new();
    assert!(!world.memphis.has_guards());
    guarded(&mut world);
    for stream in ["a$1", "a$2"] {
        let guard = world.memphis.guard("$memphis", stream).unwrap();
        assert_eq!(guard.check(br#"{"id":1}"#), Ok(()));
        assert_eq!(guard.check(b"{}").unwrap_err(), "id is missing");
        assert_eq!(guard.misfits, Misfits::Refuse);
    }
    assert!(world.memphis.guard("$memphis", "b$1").is_none());
    assert!(world.memphis.guard("other", "a$1").is_none());
    let epoch = world.memphis.guards_epoch();
    // Another version does not count for the station before it is attached.
    world.ask_json(SCHEMA_CREATIONS, &schema("json", r#"{"n":1}"#));
    let guard = world.memphis.guard("$memphis", "a$1").unwrap();
    assert_eq!(guard.check(br#"{"id":1}"#), Ok(()));
    world.ask_ok(
        SCHEMA_DETACHMENTS,
        &json!({"station_name": "a", "username": "root"}),
    );
    assert!(world.memphis.guard("$memphis", "a$1").is_none());
    assert!(world.memphis.guards_epoch() > epoch && !world.memphis.has_guards());
}

#[test]
fn a_guard_is_there_again_after_a_crash() {
    let mut world = World::new();
    guarded(&mut world);
    world.crash();
    assert!(world.memphis.has_guards());
    let guard = world.memphis.guard("$memphis", "a$1").unwrap();
    assert!(guard.check(b"{}").is_err());
}

#[test]
fn a_misfit_is_a_dead_letter_before_its_publisher_is_told() {
    let mut world = World::new();
    guarded(&mut world);
    let misfit = Misfit {
        stream: "a$2",
        reply: b"inbox",
        headers: b"NATS/1.0\r\nk: v\r\n\r\n",
        payload: b"{}",
        client: "billing",
        reason: "id is missing",
    };
    world.memphis.misfit(ACCOUNT, misfit, &mut world.host);
    assert!(world.take_replies().is_empty(), "the row is not safe yet");
    world.run();
    let replies = world.take_replies();
    let told: Value = serde_json::from_str(&replies[0]).unwrap();
    assert_eq!(told["error"]["code"], 400);
    assert_eq!(told["error"]["err_code"], 20_001);
    assert_eq!(
        told["error"]["description"],
        "Schema validation has failed: id is missing"
    );
    assert_eq!(told["stream"], "a$2");
    let rows = world.rows();
    let (_, dead) = rows.dead_letters.iter().next().unwrap();
    assert_eq!(dead.kind, DeadLetterKind::Schema);
    assert_eq!((dead.partition, dead.seq), (2, 0));
    assert_eq!(dead.producer, "billing");
    assert_eq!(dead.reason, "id is missing");
    assert_eq!(dead.letter.body(), b"{}");
}

#[test]
fn a_misfit_is_told_as_well_where_no_dead_letters_are_kept() {
    let mut world = World::new();
    world.ask_json(SCHEMA_CREATIONS, &schema("json", r#"{"id":1}"#));
    let station = with(station("a", 1), "schema_name", "sch1");
    let none = json!({"poison": true, "Schemaverse": false});
    world.ask_ok(STATION_CREATIONS, &with(station, "dls_configuration", none));
    let misfit = Misfit {
        stream: "a$1",
        reply: b"inbox",
        headers: b"",
        payload: b"{}",
        client: "",
        reason: "id is missing",
    };
    world.memphis.misfit(ACCOUNT, misfit, &mut world.host);
    world.run();
    assert_eq!(world.take_replies().len(), 1);
    assert_eq!(world.rows().dead_letters.iter().count(), 0);
}

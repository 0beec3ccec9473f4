//! Stations are made and removed.

use alloc::vec::Vec;

use serde_json::json;

use super::world::{World, producer, station, with};
use crate::dispatch::{PRODUCER_CREATIONS, STATION_CREATIONS, STATION_DESTRUCTIONS};

#[test]
fn a_station_becomes_its_partition_streams() {
    let mut world = World::new();
    world.ask_ok(STATION_CREATIONS, &station("Orders.EU", 3));
    assert_eq!(
        world.streams(),
        ["orders#eu$1", "orders#eu$2", "orders#eu$3"]
    );
    let row = &world.rows().stations["orders.eu"];
    assert_eq!(row.station.as_ref().unwrap().partitions, 3);
}

#[test]
fn creating_a_station_again_succeeds_and_changes_nothing() {
    let mut world = World::new();
    world.ask_ok(STATION_CREATIONS, &station("Orders.EU", 3));
    let rows = world.rows();
    world.ask_ok(STATION_CREATIONS, &station("orders.eu", 5));
    assert_eq!(world.streams().len(), 3);
    assert_eq!(world.rows(), rows);
}

#[test]
fn a_repeated_request_waits_for_the_first_and_finds_the_station() {
    let mut world = World::new();
    world.send(STATION_CREATIONS, &station("a", 2));
    world.send(STATION_CREATIONS, &station("a", 4));
    world.run();
    assert_eq!(world.take_replies(), ["", ""]);
    assert_eq!(world.streams(), ["a$1", "a$2"]);
}

#[test]
fn a_stream_of_the_name_in_another_case_is_the_station() {
    let mut world = World::new();
    world.host.streams.entry("Test".into()).or_default();
    world.ask_ok(STATION_CREATIONS, &station("test", 1));
    assert_eq!(world.streams(), ["Test"]);
    let reply = world.ask_json(PRODUCER_CREATIONS, &producer("p", "test"));
    assert_eq!(reply["partitions_update"]["partitions_list"], json!(null));
    assert_eq!(reply["station_version"], 0);
}

#[test]
fn a_station_that_cannot_be_made_whole_is_removed() {
    let mut world = World::new();
    let full = json!({"code": 500, "err_code": 10047, "description": "insufficient storage"});
    world.host.refuse = Some(("$JS.API.STREAM.CREATE.orders#eu$3".into(), full));
    let reply = world.ask(STATION_CREATIONS, &station("Orders.EU", 3));
    assert_eq!(reply, "insufficient storage");
    assert!(world.streams().is_empty());
    assert!(world.rows().stations.is_empty());
}

#[test]
fn too_many_replicas_are_refused_in_memphis_words() {
    let mut world = World::new();
    let single = json!({"code": 500, "err_code": 10074, "description": "replicas > 1 not supported in non-clustered mode"});
    world.host.refuse = Some(("$JS.API.STREAM.CREATE.a$1".into(), single));
    assert_eq!(
        world.ask(STATION_CREATIONS, &station("a", 1)),
        "station can not be created, probably since replicas count is larger than the cluster size"
    );
}

#[test]
fn an_unknown_user_or_schema_is_told_so() {
    let mut world = World::new();
    let request = with(station("a", 1), "username", "Nobody");
    assert_eq!(
        world.ask(STATION_CREATIONS, &request),
        "User nobody does not exist"
    );
    let request = with(station("a", 1), "schema_name", "sch");
    assert_eq!(
        world.ask(STATION_CREATIONS, &request),
        "Schema sch does not exist"
    );
    assert!(world.streams().is_empty());
}

#[test]
fn a_missing_dead_letter_station_is_made_first() {
    let mut world = World::new();
    world.ask_ok(
        STATION_CREATIONS,
        &with(station("a", 1), "dls_station", "Dead"),
    );
    assert_eq!(world.streams(), ["a$1", "dead$1"]);
}

#[test]
fn removing_a_station_removes_all_its_streams_and_tells_clients() {
    let mut world = World::new();
    world.host.streams.entry("other$1".into()).or_default();
    world.ask_ok(STATION_CREATIONS, &station("Orders.EU", 3));
    world.ask_json(PRODUCER_CREATIONS, &producer("p", "orders.eu"));
    let removal = json!({"station_name": "orders.eu", "username": "root"});
    world.ask_ok(STATION_DESTRUCTIONS, &removal);
    assert_eq!(world.streams(), ["other$1"]);
    assert!(world.rows().stations.is_empty());
    let pushed = world.take_published("$memphis_sdk_clients_updates");
    assert_eq!(
        pushed[0].body,
        r##"{"station_name":"orders#eu","type":"remove_station","update":null}"##
    );
    assert!(
        world
            .ask(STATION_DESTRUCTIONS, &removal)
            .contains("not exist")
    );
}

#[test]
fn removing_a_station_spares_the_nats_stream_of_its_name() {
    let mut world = World::new();
    world.ask_ok(STATION_CREATIONS, &station("test", 1));
    world.host.streams.entry("Test".into()).or_default();
    let removal = json!({"station_name": "test", "username": "root"});
    world.ask_ok(STATION_DESTRUCTIONS, &removal);
    assert_eq!(world.streams(), ["Test"]);
}

#[test]
fn a_station_that_cannot_be_removed_stays_one() {
    let mut world = World::new();
    world.ask_ok(STATION_CREATIONS, &station("a", 1));
    let sealed = json!({"code": 500, "err_code": 10109, "description": "invalid operation on sealed stream"});
    world.host.refuse = Some(("$JS.API.STREAM.DELETE.a$1".into(), sealed));
    let removal = json!({"station_name": "a", "username": "root"});
    assert_eq!(
        world.ask(STATION_DESTRUCTIONS, &removal),
        "invalid operation on sealed stream"
    );
    assert_eq!(world.streams(), ["a$1"]);
    assert!(world.rows().stations.contains_key("a"));
}

#[test]
fn a_body_that_is_no_object_is_answered() {
    let mut world = World::new();
    assert!(world.ask(STATION_CREATIONS, &json!([1])).contains("JSON"));
    let reply = world.ask_json(PRODUCER_CREATIONS, &json!([1]));
    assert!(reply["error"].as_str().unwrap().contains("JSON"));
}

#[test]
fn partition_0_is_the_last_one_because_the_js_sdk_counts_keys_from_0() {
    let mut world = World::new();
    world.ask_ok(STATION_CREATIONS, &station("Plain.A", 3));
    for crash in [false, true] {
        if crash {
            world.host.bound.clear();
            world.crash();
        }
        assert!(world.host.bound.contains("plain#a$0.>"));
        world.tell("plain#a$0.final", &json!({"n": 1}));
        world.tell("$JS.API.CONSUMER.MSG.NEXT.plain#a$0.grp", &json!(1));
        let passed = core::mem::take(&mut world.host.passed_on);
        let subjects: Vec<&str> = passed.iter().map(|(subject, _)| subject.as_str()).collect();
        assert_eq!(
            subjects,
            ["plain#a$3.final", "$JS.API.CONSUMER.MSG.NEXT.plain#a$3.grp"]
        );
    }
    world.ask_ok(
        STATION_DESTRUCTIONS,
        &json!({"station_name": "plain.a", "username": "root"}),
    );
    assert!(world.host.bound.is_empty());
}

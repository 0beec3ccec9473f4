//! Producers come and go.

use core::time::Duration;

use serde_json::json;

use super::world::{ACCOUNT, World, producer, station, with};
use crate::dispatch::{PRODUCER_CREATIONS, PRODUCER_DESTRUCTIONS, STATION_CREATIONS};

#[test]
fn the_reply_has_every_key_that_sdks_look_up() {
    let mut world = World::new();
    world.ask_ok(STATION_CREATIONS, &station("Orders.EU", 3));
    let reply = world.ask_json(PRODUCER_CREATIONS, &producer("Prod.A", "Orders.EU"));
    let expected = json!({
        "schema_update": {
            "schema_name": "",
            "active_version": {
                "version_number": 0, "descriptor": "",
                "schema_content": "", "message_struct_name": "",
            },
            "type": "",
        },
        "partitions_update": {"partitions_list": [1, 2, 3]},
        "schemaverse_to_dls": true,
        "send_notification": false,
        "station_version": 2,
        "station_partitions_first_functions": {},
        "error": "",
    });
    assert_eq!(reply, expected);
}

#[test]
fn a_missing_station_is_made_with_defaults() {
    let mut world = World::new();
    let reply = world.ask_json(PRODUCER_CREATIONS, &producer("p", "New.One"));
    assert_eq!(reply["error"], "");
    assert_eq!(reply["partitions_update"]["partitions_list"], json!([1]));
    assert_eq!(world.streams(), ["new#one$1"]);
    assert_eq!(world.rows().stations["new.one"].producers.len(), 1);
}

#[test]
fn a_station_that_cannot_be_made_is_told_in_the_producers_reply() {
    let mut world = World::new();
    let full = json!({"code": 500, "err_code": 10047, "description": "insufficient storage"});
    world.host.refuse = Some(("$JS.API.STREAM.CREATE.a$1".into(), full));
    let reply = world.ask_json(PRODUCER_CREATIONS, &producer("p", "a"));
    assert_eq!(reply["error"], "insufficient storage");
}

#[test]
fn old_sdks_are_told_to_upgrade() {
    let mut world = World::new();
    let old = with(producer("p", "a"), "req_version", 1);
    let reply = world.ask_json(PRODUCER_CREATIONS, &old);
    assert_eq!(
        reply["error"],
        "this station does not exist, a default station can not be created automatically, please upgrade your SDK version"
    );
    world.ask_ok(STATION_CREATIONS, &station("a", 1));
    let reply = world.ask_json(PRODUCER_CREATIONS, &old);
    assert_eq!(
        reply["error"],
        "to produce to this station please upgrade your SDK version"
    );
}

#[test]
fn refusals_come_as_json_in_memphis_words() {
    let mut world = World::new();
    let mut refused = |request| world.ask_json(PRODUCER_CREATIONS, &request)["error"].clone();
    assert_eq!(refused(producer("", "a")), "Producer name can not be empty");
    assert_eq!(
        refused(producer("p", "a b")),
        "Only alphanumeric and the '_', '-', '.' characters are allowed in Station"
    );
    assert_eq!(
        refused(with(producer("p", "a"), "producer_type", "robot")),
        "producer type has to be one of the following application/connector"
    );
    assert_eq!(
        refused(with(producer("p", "a"), "username", "who")),
        "User who does not exist"
    );
}

#[test]
fn a_producer_that_creates_again_keeps_its_row() {
    let mut world = World::new();
    for _ in 0..3 {
        world.ask_json(PRODUCER_CREATIONS, &producer("p", "a"));
    }
    world.ask_json(
        PRODUCER_CREATIONS,
        &with(producer("p", "a"), "connection_id", "u2"),
    );
    assert_eq!(world.rows().stations["a"].producers.len(), 2);
}

#[test]
fn a_destroyed_producer_is_gone_and_the_second_time_says_so() {
    let mut world = World::new();
    world.ask_json(PRODUCER_CREATIONS, &producer("p", "a"));
    let end = json!({"name": "p", "station_name": "A", "username": "root", "connection_id": "u1", "req_version": 1});
    let other = with(end.clone(), "connection_id", "u9");
    assert_eq!(
        world.ask(PRODUCER_DESTRUCTIONS, &other),
        "Producer p at station a does not exist"
    );
    world.ask_ok(PRODUCER_DESTRUCTIONS, &end);
    assert!(world.ask(PRODUCER_DESTRUCTIONS, &end).contains("not exist"));
}

#[test]
fn producers_are_forgotten_when_their_connection_stays_away() {
    let mut world = World::new();
    world.memphis.connected(ACCOUNT, "u1::root");
    world.ask_json(PRODUCER_CREATIONS, &producer("here", "a"));
    let away = with(producer("away", "a"), "connection_id", "u2");
    world.ask_json(PRODUCER_CREATIONS, &away);
    for _ in 0..3 {
        world.pass(Duration::from_secs(2 * 3600));
        world.memphis.handle_timeout(&mut world.host);
        world.run();
    }
    let producers = &world.rows().stations["a"].producers;
    assert_eq!(producers.len(), 1);
    assert_eq!(producers[0].name.external(), "here");
}

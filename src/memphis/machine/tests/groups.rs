//! Consumers and the durables of their groups.

use alloc::format;

use serde_json::json;

use super::world::{ACCOUNT, World, consumer, station, with};
use crate::dispatch::{CONSUMER_CREATIONS, CONSUMER_DESTRUCTIONS, STATION_CREATIONS};

#[test]
fn a_group_is_a_durable_on_each_partition() {
    let mut world = World::new();
    world.ask_ok(STATION_CREATIONS, &station("plain", 2));
    let reply = world.ask_json(CONSUMER_CREATIONS, &consumer("C.One", "plain", "Grp.X"));
    assert_eq!(reply["partitions_update"]["partitions_list"], json!([1, 2]));
    assert_eq!(reply["error"], "");
    for stream in ["plain$1", "plain$2"] {
        assert_eq!(world.durables(stream), ["grp#x"]);
        let config = &world.host.streams[stream].durables["grp#x"];
        assert_eq!(config["durable_name"], "grp#x");
        assert_eq!(config["filter_subject"], format!("{stream}.final"));
        assert_eq!(config["ack_wait"], 1_500_000_000_u64);
        assert_eq!(config["max_deliver"], 2);
        assert_eq!(config["deliver_policy"], "all");
        assert_eq!(config["ack_policy"], "explicit");
        assert_eq!(config["max_ack_pending"], -1);
    }
}

#[test]
fn an_unnamed_group_is_the_consumers_own() {
    let mut world = World::new();
    world.ask_json(CONSUMER_CREATIONS, &consumer("C.One", "plain", ""));
    assert_eq!(world.durables("plain$1"), ["c#one"]);
}

#[test]
fn a_group_begins_where_it_was_asked_to() {
    let mut world = World::new();
    world.ask_ok(STATION_CREATIONS, &station("a", 2));
    for body in ["1", "2", "3", "4", "5"] {
        world.store("a$1", "", body);
    }
    let mut begin = |group: &str, key: &str, value: i64| {
        let request = with(consumer(group, "a", group), key, value);
        world.ask_json(CONSUMER_CREATIONS, &request);
        let policy = |stream: &str| {
            let config = &world.host.streams[stream].durables[group];
            (
                config["deliver_policy"].clone(),
                config["opt_start_seq"].as_u64(),
            )
        };
        (policy("a$1"), policy("a$2"))
    };
    let new = (json!("new"), None);
    assert_eq!(begin("new", "last_messages", 0), (new.clone(), new));
    let at = |seq| (json!("by_start_sequence"), Some(seq));
    assert_eq!(begin("last", "last_messages", 2), (at(4), at(1)));
    assert_eq!(begin("more", "last_messages", 9), (at(1), at(1)));
    assert_eq!(
        begin("seq", "start_consume_from_sequence", 3),
        (at(3), at(3))
    );
}

#[test]
fn refusals_are_plain_text_in_memphis_words() {
    let mut world = World::new();
    let mut refused = |key, value: serde_json::Value| {
        world.ask(
            CONSUMER_CREATIONS,
            &with(consumer("c", "a", "g"), key, value),
        )
    };
    assert_eq!(
        refused("start_consume_from_sequence", json!(0)),
        "startConsumeFromSequence has to be a positive number"
    );
    assert_eq!(
        refused("last_messages", json!(-2)),
        "min value for LastMessages is -1"
    );
    assert_eq!(
        refused("consumer_type", json!("x")),
        "consumer type has to be one of the following application/connector and not x"
    );
    assert_eq!(refused("username", json!("who")), "user does not exist");
    assert_eq!(
        refused("name", json!("-c")),
        "Consumer name can not start or end with non alphanumeric character"
    );
    let both = with(consumer("c", "a", "g"), "start_consume_from_sequence", 2);
    assert_eq!(
        world.ask(CONSUMER_CREATIONS, &with(both, "last_messages", 0)),
        "consumer creation options can't contain both startConsumeFromSequence and lastMessages"
    );
}

#[test]
fn a_member_that_joins_later_changes_times_but_not_the_beginning() {
    let mut world = World::new();
    world.ask_json(CONSUMER_CREATIONS, &consumer("c1", "a", "g"));
    let second = with(consumer("c2", "a", "g"), "max_msg_deliveries", 7);
    let second = with(second, "start_consume_from_sequence", 9);
    world.ask_json(CONSUMER_CREATIONS, &second);
    let config = &world.host.streams["a$1"].durables["g"];
    assert_eq!(config["max_deliver"], 7);
    assert_eq!(config["deliver_policy"], "all");
    assert_eq!(world.rows().stations["a"].groups["g"].members.len(), 2);
}

#[test]
fn a_group_that_cannot_be_made_leaves_no_durable() {
    let mut world = World::new();
    world.ask_ok(STATION_CREATIONS, &station("a", 2));
    let refused =
        json!({"code": 400, "err_code": 10026, "description": "maximum consumers limit reached"});
    world.host.refuse = Some(("$JS.API.CONSUMER.DURABLE.CREATE.a$2.g".into(), refused));
    let reply = world.ask(CONSUMER_CREATIONS, &consumer("c", "a", "g"));
    assert_eq!(reply, "maximum consumers limit reached");
    assert!(world.durables("a$1").is_empty());
    assert!(world.rows().stations["a"].groups.is_empty());
}

/// Returns a world in which two connections are members of one group.
fn group_of_two() -> World {
    let mut world = World::new();
    world.memphis.connected(ACCOUNT, "u1::root");
    world.memphis.connected(ACCOUNT, "u2::root");
    world.ask_json(CONSUMER_CREATIONS, &consumer("c1", "a", "g"));
    let second = with(consumer("c2", "a", "g"), "connection_id", "u2");
    world.ask_json(CONSUMER_CREATIONS, &second);
    world
}

#[test]
fn the_group_ends_with_its_last_active_member() {
    let mut world = group_of_two();
    let end = |name: &str, connection: &str| json!({"name": name, "station_name": "a", "username": "root", "connection_id": connection, "req_version": 1});
    world.ask_ok(CONSUMER_DESTRUCTIONS, &end("c1", "u1"));
    assert_eq!(world.durables("a$1"), ["g"]);
    world.ask_ok(CONSUMER_DESTRUCTIONS, &end("c2", "u2"));
    assert!(world.durables("a$1").is_empty());
    assert_eq!(
        world.ask(CONSUMER_DESTRUCTIONS, &end("c2", "u2")),
        "Consumer c2 at station a does not exist"
    );
}

#[test]
fn members_whose_connection_is_gone_do_not_keep_a_group() {
    let mut world = group_of_two();
    world.memphis.disconnected(ACCOUNT, "u2::root");
    let end = json!({"name": "c1", "station_name": "a", "username": "root", "connection_id": "u1", "req_version": 1});
    world.ask_ok(CONSUMER_DESTRUCTIONS, &end);
    assert!(world.durables("a$1").is_empty());
}

#[test]
fn a_nats_clients_stream_is_consumed_whole() {
    let mut world = World::new();
    world.host.streams.entry("events".into()).or_default();
    world.ask_json(CONSUMER_CREATIONS, &consumer("c", "events", "g"));
    let config = &world.host.streams["events"].durables["g"];
    assert_eq!(config.get("filter_subject"), None);
}

#[test]
fn the_java_sdk_is_there_though_it_says_the_whole_name_of_its_connection() {
    let mut world = World::new();
    world.memphis.connected(ACCOUNT, "u1::root");
    world.memphis.connected(ACCOUNT, "u2::root");
    world.ask_json(CONSUMER_CREATIONS, &consumer("c1", "a", "g"));
    let java = with(consumer("c2", "a", "g"), "connection_id", "u2::root");
    world.ask_json(CONSUMER_CREATIONS, &java);
    let asked = json!({"station_name": "a"});
    let shown = world.manage("monitoring/getStationOverviewData", &asked);
    let members = &shown["connected_cgs"][0]["connected_consumers"];
    let there = members.as_array().expect("a list").len();
    assert_eq!(there, 2, "{shown}");
    let end = json!({"name": "c1", "station_name": "a", "username": "root", "connection_id": "u1", "req_version": 1});
    world.ask_ok(CONSUMER_DESTRUCTIONS, &end);
    assert_eq!(world.durables("a$1"), ["g"], "one member is there");
}

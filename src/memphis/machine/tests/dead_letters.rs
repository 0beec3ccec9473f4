//! Messages die, are kept, and are sent again.

use alloc::vec;
use core::time::Duration;

use serde_json::{Value, json};

use super::world::{ACCOUNT, World, consumer, station, with};
use crate::book::{DeadLetter, DeadLetterId};
use crate::dispatch::{
    CONSUMER_CREATIONS, CONSUMER_DESTRUCTIONS, NACKED_DLS, PM_ACKS, SCHEMAVERSE_DLS,
    STATION_CREATIONS,
};
use crate::machine::ResendError;
use crate::name::{Kind, Name};

const HEADERS: &str = "NATS/1.0\r\nk: v\r\n$memphis_producedBy: prod.a\r\n\r\n";

/// A world with a station of two partitions, a group, and a message in the second partition.
fn with_message(request: &Value) -> World {
    let mut world = World::new();
    world.ask_ok(STATION_CREATIONS, request);
    world.ask_json(CONSUMER_CREATIONS, &consumer("c", "plain.a", "Grp.X"));
    world.store("plain#a$2", HEADERS, "hello");
    world
}

fn exhaust(world: &mut World, group: &str) {
    let subject = "$JS.EVENT.ADVISORY.CONSUMER.MAX_DELIVERIES.plain#a$2.grp#x";
    let advisory =
        json!({"stream": "plain#a$2", "consumer": group, "stream_seq": 1, "deliveries": 2});
    world.tell(subject, &advisory);
}

fn terminate(world: &mut World, reason: &str) {
    let subject = "$JS.EVENT.ADVISORY.CONSUMER.MSG_TERMINATED.plain#a$2.grp#x";
    let advisory =
        json!({"stream": "plain#a$2", "consumer": "grp#x", "stream_seq": 1, "reason": reason});
    world.tell(subject, &advisory);
}

fn letters(world: &World) -> vec::Vec<(DeadLetterId, DeadLetter)> {
    let rows = world.rows();
    let letters = rows.dead_letters.iter();
    letters.map(|(id, dead)| (id, dead.clone())).collect()
}

fn plain() -> Name {
    Name::new(Kind::Station, "plain.a").unwrap()
}

#[test]
fn a_message_delivered_too_often_is_kept_with_its_group() {
    let mut world = with_message(&station("plain.a", 2));
    exhaust(&mut world, "grp#x");
    let (_, dead) = &letters(&world)[0];
    assert_eq!((dead.partition, dead.seq), (2, 1));
    assert_eq!(dead.groups, ["grp.x"]);
    assert_eq!(dead.producer, "prod.a");
    assert_eq!(dead.letter.body(), b"hello");
}

#[test]
fn one_message_dead_for_two_groups_is_one_row() {
    let mut world = with_message(&station("plain.a", 2));
    world.ask_json(CONSUMER_CREATIONS, &consumer("d", "plain.a", "other"));
    for group in ["grp#x", "other", "grp#x"] {
        exhaust(&mut world, group);
    }
    let letters = letters(&world);
    assert_eq!(letters.len(), 1);
    assert_eq!(letters[0].1.groups, ["grp.x", "other"]);
}

#[test]
fn a_consumer_that_is_no_memphis_group_has_no_dead_letters() {
    let mut world = with_message(&station("plain.a", 2));
    exhaust(&mut world, "natsdurable");
    assert!(letters(&world).is_empty());
}

#[test]
fn a_station_may_keep_no_dead_letters() {
    let none = json!({"poison": false, "Schemaverse": false});
    let mut world = with_message(&with(station("plain.a", 2), "dls_configuration", none));
    exhaust(&mut world, "grp#x");
    world.tell(SCHEMAVERSE_DLS, &json!({"station_name": "plain.a"}));
    assert!(letters(&world).is_empty());
}

#[test]
fn a_message_given_up_is_kept_and_its_reason_added_when_it_comes() {
    let mut world = with_message(&station("plain.a", 2));
    terminate(&mut world, "");
    assert_eq!(letters(&world)[0].1.reason, "");
    let nacked = json!({"station_name": "plain#a", "error": "because", "partition": 2, "cg_name": "Grp.X", "seq": 1});
    world.tell(NACKED_DLS, &nacked);
    let letters = letters(&world);
    assert_eq!(letters.len(), 1);
    assert_eq!(letters[0].1.reason, "because");
    assert_eq!(letters[0].1.letter.body(), b"hello");
}

#[test]
fn a_message_that_its_stream_removed_is_not_given_up() {
    let mut world = with_message(&station("plain.a", 2));
    terminate(&mut world, "Unacknowledged message was deleted");
    assert!(letters(&world).is_empty());
}

#[test]
fn the_dead_letter_station_gets_a_copy() {
    let mut world = with_message(&with(station("plain.a", 2), "dls_station", "dead"));
    exhaust(&mut world, "grp#x");
    let copy = &world.host.streams["dead$1"].messages[0];
    assert_eq!(copy.body, "hello");
    for line in ["k: v", "station: plain.a", "type: unacked"] {
        assert!(copy.headers.contains(line), "{line}");
    }
}

#[test]
fn a_message_that_broke_its_schema_is_kept_as_the_sdk_saw_it() {
    let mut world = with_message(&station("plain.a", 2));
    let data = "7b226e223a2278227d0a";
    world.tell(
        SCHEMAVERSE_DLS,
        &json!({
            "station_name": "plain#a", "producer": {"name": "p2", "connection_id": "u1"},
            "message": {"data": data, "headers": {"k": "v"}}, "validation_error": "no n",
        }),
    );
    let (id, dead) = &letters(&world)[0];
    assert_eq!(
        (dead.producer.as_str(), dead.reason.as_str()),
        ("p2", "no n")
    );
    assert_eq!(dead.letter.body(), b"{\"n\":\"x\"}\n");
    let refused = world
        .memphis
        .resend(ACCOUNT, &plain(), &[*id], &mut world.host);
    assert_eq!(refused, Err(ResendError::Schema(id.0)));
}

#[test]
fn a_dead_letter_is_sent_to_its_group_again_until_it_is_acknowledged() {
    let mut world = with_message(&station("plain.a", 2));
    exhaust(&mut world, "grp#x");
    let (id, _) = letters(&world)[0];
    let sent = world
        .memphis
        .resend(ACCOUNT, &plain(), &[], &mut world.host);
    assert_eq!(sent, Ok(1));
    let sent = world.take_published("$memphis_dls_plain#a.grp#x");
    assert_eq!(sent[0].body, "hello");
    for line in [
        "k: v".into(),
        alloc::format!("$memphis_pm_id: {}", id.0),
        "$memphis_pm_cg_name: grp.x".into(),
        "$memphis_producedBy: $memphis_dls".into(),
    ] {
        assert!(sent[0].headers.contains(&line), "{line}");
    }
    assert!(!sent[0].headers.contains("prod.a"));
    // The .NET SDK sends the number as text.
    let ack = json!({"id": alloc::format!("{}", id.0), "cg_name": "grp.x"});
    world.tell(PM_ACKS, &ack);
    assert!(letters(&world).is_empty());
}

#[test]
fn dead_letters_end_with_their_group_and_with_their_time() {
    let mut world = with_message(&station("plain.a", 2));
    exhaust(&mut world, "grp#x");
    let end =
        json!({"name": "c", "station_name": "plain.a", "connection_id": "u1", "req_version": 1});
    world.ask_ok(CONSUMER_DESTRUCTIONS, &end);
    assert!(letters(&world).is_empty());

    let mut world = with_message(&station("plain.a", 2));
    exhaust(&mut world, "grp#x");
    for left in [1, 0] {
        world.pass(Duration::from_secs(2 * 3600));
        world.memphis.handle_timeout(&mut world.host);
        world.run();
        assert_eq!(letters(&world).len(), left);
    }
}

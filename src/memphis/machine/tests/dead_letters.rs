//! Messages die, are kept, and are sent again.

use alloc::collections::BTreeSet;
use alloc::vec;
use core::time::Duration;

use protocol::time::Wall;
use serde_json::{Value, json};

use super::world::{ACCOUNT, Stream, World, consumer, station, with};
use crate::book::{DeadLetter, DeadLetterId, DyingKey};
use crate::dead::{AtHand, death};
use crate::dispatch::{
    CONSUMER_CREATIONS, CONSUMER_DESTRUCTIONS, NACKED_DLS, PM_ACKS, SCHEMAVERSE_DLS,
    STATION_CREATIONS,
};
use crate::machine::{Host as _, ResendError};
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

fn exhaust(world: &mut World, consumer: &str) {
    world.note_death("plain#a$2", consumer, "");
    world.run();
}

fn terminate(world: &mut World, reason: &str) {
    world.note_death("plain#a$2", "grp#x", reason);
    world.run();
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
fn the_messages_of_a_nats_clients_consumer_die_as_well() {
    let mut world = with_message(&station("plain.a", 2));
    exhaust(&mut world, "Nats-Durable");
    assert_eq!(letters(&world)[0].1.groups, ["Nats-Durable"]);
    // On a stream that a NATS client made, too, of which nothing else is known.
    world
        .host
        .streams
        .insert("Orders".into(), Stream::default());
    world.store("Orders", "", "hello");
    world.note_death("Orders", "worker", "cannot be read");
    world.run();
    let (_, dead) = &letters(&world)[1];
    assert_eq!((dead.station.as_str(), dead.partition), ("orders", 0));
    assert_eq!(
        (dead.reason.as_str(), dead.producer.as_str()),
        ("cannot be read", "Unknown")
    );
}

#[test]
fn a_message_at_hand_is_kept_though_its_stream_has_let_it_go() {
    let mut world = with_message(&station("plain.a", 2));
    let key = DyingKey {
        stream: "plain#a$2".into(),
        consumer: "grp#x".into(),
        seq: 7,
    };
    let at_hand = AtHand {
        headers: HEADERS.as_bytes(),
        payload: b"gone",
        sent: Wall(5),
    };
    let entry = death("$memphis", Wall(9), key, b"", Some(at_hand));
    world.host.record(&entry);
    world.run();
    let (_, dead) = &letters(&world)[0];
    assert_eq!(dead.letter.body(), b"gone");
    assert_eq!((dead.producer.as_str(), dead.letter.sent), ("prod.a", 5));
}

#[test]
fn a_message_of_which_nothing_is_left_is_told_of_all_the_same() {
    let mut world = with_message(&station("plain.a", 2));
    world
        .host
        .streams
        .get_mut("plain#a$2")
        .unwrap()
        .messages
        .clear();
    exhaust(&mut world, "grp#x");
    assert_eq!(
        letters(&world)[0].1.reason,
        "the message is not stored any more"
    );
    assert!(world.rows().dying.is_empty());
}

#[test]
fn a_crash_at_any_point_leaves_one_dead_letter_and_one_copy() {
    for steps in 0..20 {
        let mut world = with_message(&with(station("plain.a", 2), "dls_station", "dead"));
        world.note_death("plain#a$2", "grp#x", "");
        let mut happened = 0;
        while happened < steps && world.happen() {
            happened += 1;
        }
        let was_logged = happened > 0;
        world.crash();
        world.run();
        assert_eq!(
            letters(&world).len(),
            usize::from(was_logged),
            "after {steps}"
        );
        assert!(world.rows().dying.is_empty());
        let copies = &world.host.streams["dead$1"].messages;
        let ids: BTreeSet<&str> = copies
            .iter()
            .filter_map(|m| message_id(&m.headers))
            .collect();
        assert_eq!(
            ids.len(),
            usize::from(was_logged),
            "the stream keeps one of each id"
        );
    }
}

fn message_id(headers: &str) -> Option<&str> {
    headers
        .lines()
        .find_map(|line| line.strip_prefix("Nats-Msg-Id: "))
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
fn the_reason_of_an_sdk_that_names_no_partition_finds_its_message() {
    for is_logged in [true, false] {
        let mut world = with_message(&station("plain.a", 2));
        world.store("plain#a$1", "", "healthy");
        world.note_death("plain#a$2", "grp#x", "");
        if is_logged {
            world.run();
        }
        // As the .NET SDK says it of what it fetched from any partition.
        let nacked = json!({"station_name": "plain#a", "error": "because", "partition": -1, "cg_name": "Grp.X", "seq": 1});
        world.tell(NACKED_DLS, &nacked);
        let letters = letters(&world);
        assert_eq!(letters.len(), 1);
        let (_, dead) = &letters[0];
        assert_eq!((dead.partition, dead.reason.as_str()), (2, "because"));
        let unknown = json!({"station_name": "plain#a", "error": "x", "partition": -1, "cg_name": "Grp.X", "seq": 9});
        world.tell(NACKED_DLS, &unknown);
        assert_eq!(self::letters(&world), letters);
    }
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
        .resend(ACCOUNT, &plain(), &[*id], None, &mut world.host);
    assert_eq!(refused, Err(ResendError::Schema(id.0)));
}

#[test]
fn a_dead_letter_is_sent_to_its_group_again_until_it_is_acknowledged() {
    let mut world = with_message(&station("plain.a", 2));
    exhaust(&mut world, "grp#x");
    let (id, _) = letters(&world)[0];
    world
        .host
        .listened
        .push("$memphis_dls_plain#a.grp#x".into());
    resend(&mut world, &[], None);
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

fn resend(world: &mut World, ids: &[DeadLetterId], group: Option<&str>) {
    let asked = world
        .memphis
        .resend(ACCOUNT, &plain(), ids, group, &mut world.host);
    assert_eq!(asked, Ok(()));
    world.run();
}

#[test]
fn a_consumer_without_sdk_gets_its_dead_letter_back_and_the_row_ends() {
    let mut world = with_message(&station("plain.a", 2));
    exhaust(&mut world, "Nats-Durable");
    exhaust(&mut world, "grp#x");
    let (id, _) = letters(&world)[0];
    resend(&mut world, &[id], Some("Nats-Durable"));
    let back = ("plain#a$2".into(), "Nats-Durable".into(), 1);
    assert_eq!(world.host.revived, [back]);
    assert_eq!(letters(&world)[0].1.groups, ["grp.x"]);
    resend(&mut world, &[], None);
    assert_eq!(world.host.revived[1].1, "grp#x", "nobody of it listens");
    assert!(letters(&world).is_empty());
    let refused = world
        .memphis
        .resend(ACCOUNT, &plain(), &[id], None, &mut world.host);
    assert_eq!(refused, Err(ResendError::Unknown(id.0)));
}

#[test]
fn a_group_that_has_not_failed_is_not_sent_anything() {
    let mut world = with_message(&station("plain.a", 2));
    exhaust(&mut world, "grp#x");
    let (id, _) = letters(&world)[0];
    let refused = world
        .memphis
        .resend(ACCOUNT, &plain(), &[id], Some("other"), &mut world.host);
    assert_eq!(refused, Err(ResendError::Group("other".into())));
}

#[test]
fn a_resend_waits_for_somebody_to_listen_across_a_crash_at_any_point() {
    for steps in 0..6 {
        let mut world = with_message(&station("plain.a", 2));
        exhaust(&mut world, "grp#x");
        // The stream has let it go, and so no consumer can have it back.
        world
            .host
            .streams
            .get_mut("plain#a$2")
            .unwrap()
            .messages
            .clear();
        let asked = world
            .memphis
            .resend(ACCOUNT, &plain(), &[], None, &mut world.host);
        assert_eq!(asked, Ok(()));
        let mut happened = 0;
        while happened < steps && world.happen() {
            happened += 1;
        }
        world.crash();
        world
            .host
            .listened
            .push("$memphis_dls_plain#a.grp#x".into());
        world.pass(Duration::from_secs(1));
        world.memphis.handle_timeout(&mut world.host);
        world.run();
        let sent = world.take_published("$memphis_dls_plain#a.grp#x");
        assert_eq!(sent.len(), usize::from(happened > 0), "after {steps}");
        assert_eq!(
            letters(&world).len(),
            1,
            "it stays until it is acknowledged"
        );
        // And not again and again.
        world.pass(Duration::from_secs(1));
        world.memphis.handle_timeout(&mut world.host);
        world.run();
        assert!(
            world
                .take_published("$memphis_dls_plain#a.grp#x")
                .is_empty()
        );
    }
}

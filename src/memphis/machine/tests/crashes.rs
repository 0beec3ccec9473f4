//! The process ends between any two steps of a request. Afterwards everything is whole or absent, and
//! the request can be made again.

use alloc::vec::Vec;

use serde_json::{Value, json};

use super::world::{World, consumer, producer, station, with};
use crate::book::Phase;
use crate::dispatch::{
    CONSUMER_CREATIONS, CONSUMER_DESTRUCTIONS, PRODUCER_CREATIONS, STATION_CREATIONS,
    STATION_DESTRUCTIONS,
};

/// Ends the process after each number of steps of a request to a world that `prepare` made; checks
/// what is left, makes the request again, and checks what that leads to.
fn at_every_step(
    prepare: impl Fn(&mut World),
    (subject, request): (&str, &Value),
    is_sound: impl Fn(&World) -> bool,
    is_done: impl Fn(&World) -> bool,
) {
    let mut steps = 0;
    loop {
        let mut world = World::new();
        prepare(&mut world);
        world.send(subject, request);
        let ran = (0..steps).all(|_| world.happen());
        let answered = !world.take_replies().is_empty();
        world.crash();
        assert_phases(&world);
        assert!(is_sound(&world), "after {steps} steps");
        assert!(
            !answered || is_done(&world),
            "answered, then lost, after {steps} steps"
        );
        let reply = world.ask(subject, request);
        let is_well =
            reply.is_empty() || reply.contains(r#""error":""#) || reply.contains("not exist");
        assert!(is_well, "after {steps} steps: {reply}");
        assert!(is_done(&world), "after {steps} steps and again");
        if !ran {
            assert!(steps > 1, "the request takes no steps");
            return;
        }
        steps += 1;
    }
}

fn assert_phases(world: &World) {
    for row in world.rows().stations.values() {
        assert_eq!(row.phase, Phase::Whole);
        assert!(row.groups.values().all(|group| group.phase == Phase::Whole));
    }
}

fn streams_of(world: &World, station: &str) -> usize {
    let streams = world.streams().into_iter();
    streams
        .filter(|s| s.split('$').next() == Some(station))
        .count()
}

/// Says whether all partitions have the group's durable and a row says so; `None` if neither.
fn group(world: &World, stream_count: usize) -> Option<bool> {
    let with_durable: Vec<bool> = (1..=stream_count)
        .map(|p| !world.durables(&alloc::format!("a${p}")).is_empty())
        .collect();
    let rows = world.rows();
    let has_row = rows
        .stations
        .get("a")
        .is_some_and(|row| !row.groups.is_empty());
    let all = has_row && with_durable.iter().all(|has| *has);
    let none = !has_row && with_durable.iter().all(|has| !has);
    (all || none).then_some(all)
}

#[test]
fn a_crash_while_a_station_is_made_leaves_it_whole_or_absent() {
    let request = with(station("a", 3), "dls_station", "dead");
    at_every_step(
        |_| {},
        (STATION_CREATIONS, &request),
        |world| {
            [0, 3].contains(&streams_of(world, "a")) && [0, 1].contains(&streams_of(world, "dead"))
        },
        |world| streams_of(world, "a") == 3 && streams_of(world, "dead") == 1,
    );
}

#[test]
fn a_crash_while_a_station_is_removed_leaves_it_whole_or_absent() {
    at_every_step(
        |world| world.ask_ok(STATION_CREATIONS, &station("a", 3)),
        (STATION_DESTRUCTIONS, &json!({"station_name": "a"})),
        |world| {
            let has_row = world.rows().stations.contains_key("a");
            streams_of(world, "a") == if has_row { 3 } else { 0 }
        },
        |world| streams_of(world, "a") == 0,
    );
}

#[test]
fn a_crash_while_an_undone_station_is_undone_leaves_nothing() {
    let full = json!({"code": 500, "err_code": 10047, "description": "insufficient storage"});
    for steps in 0..8 {
        let mut world = World::new();
        world.host.refuse = Some(("$JS.API.STREAM.CREATE.a$3".into(), full.clone()));
        world.send(STATION_CREATIONS, &station("a", 3));
        for _ in 0..steps {
            world.happen();
        }
        world.crash();
        assert!(world.streams().is_empty(), "after {steps} steps");
        assert!(world.rows().stations.is_empty(), "after {steps} steps");
    }
}

#[test]
fn a_crash_while_a_producer_makes_its_station_loses_nothing_that_was_answered() {
    at_every_step(
        |_| {},
        (PRODUCER_CREATIONS, &producer("p", "a")),
        |world| [0, 1].contains(&streams_of(world, "a")),
        |world| world.rows().stations["a"].producers.len() == 1,
    );
}

#[test]
fn a_crash_while_a_group_is_made_leaves_it_whole_or_absent() {
    at_every_step(
        |world| world.ask_ok(STATION_CREATIONS, &station("a", 3)),
        (
            CONSUMER_CREATIONS,
            &with(consumer("c", "a", "g"), "last_messages", 5),
        ),
        |world| group(world, 3).is_some(),
        |world| group(world, 3) == Some(true),
    );
}

#[test]
fn a_crash_while_a_group_is_removed_leaves_it_whole_or_absent() {
    let end = json!({"name": "c", "station_name": "a", "connection_id": "u1", "req_version": 1});
    at_every_step(
        |world| {
            world.ask_ok(STATION_CREATIONS, &station("a", 2));
            world.ask_json(CONSUMER_CREATIONS, &consumer("c", "a", "g"));
        },
        (CONSUMER_DESTRUCTIONS, &end),
        |world| group(world, 2).is_some(),
        |world| group(world, 2) == Some(false),
    );
}

#[test]
fn a_station_in_memory_comes_back_empty_with_its_groups() {
    let mut world = World::new();
    world.ask_ok(
        STATION_CREATIONS,
        &with(station("a", 2), "storage_type", "memory"),
    );
    world.ask_json(CONSUMER_CREATIONS, &consumer("c", "a", "g"));
    let rows = world.rows();
    world.host.streams.clear();
    world.crash();
    assert_eq!(world.streams(), ["a$1", "a$2"]);
    assert_eq!(world.host.streams["a$1"].config["storage"], "memory");
    assert_eq!(group(&world, 2), Some(true));
    assert_eq!(world.rows(), rows);
}

#[test]
fn rows_come_back_from_a_snapshot_as_they_were() {
    let mut world = World::new();
    world.ask_ok(
        STATION_CREATIONS,
        &with(station("a", 2), "storage_type", "memory"),
    );
    world.ask_json(CONSUMER_CREATIONS, &consumer("c", "a", "g"));
    world.store("a$1", "NATS/1.0\r\nk: v\r\n\r\n", "body");
    world.note_death("a$1", "g", "");
    world.run();
    world.note_death("a$1", "h", "");
    world.happen();
    assert_eq!(world.rows().dying.len(), 1, "one is on its way");
    let snapshot = world.memphis.snapshot();
    let rows = world.rows();
    assert_eq!(rows.dead_letters.iter().count(), 1);
    let mut other = World::new();
    other.memphis.restore(&snapshot).unwrap();
    assert_eq!(other.rows(), rows);
}

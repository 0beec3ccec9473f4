//! Requests that are made up, malformed or too large: they are refused, and leave nothing behind.

use alloc::format;
use alloc::string::String;

use serde_json::{Value, json};

use super::world::{ACCOUNT, World, consumer, producer, station, with};
use crate::dispatch::{
    CONSUMER_CREATIONS, CONSUMER_DESTRUCTIONS, NACKED_DLS, NOTIFICATIONS, PM_ACKS,
    PRODUCER_CREATIONS, PRODUCER_DESTRUCTIONS, SCHEMA_ATTACHMENTS, SCHEMA_CREATIONS,
    SCHEMA_DETACHMENTS, SCHEMAVERSE_DLS, STATION_CREATIONS, STATION_DESTRUCTIONS, SUBJECTS,
};
use crate::machine::Request;

/// Sends bytes as they are; returns whether there was an answer, and which.
fn send(world: &mut World, subject: &str, body: &[u8]) -> Option<String> {
    let request = Request {
        subject: subject.as_bytes(),
        reply: b"inbox",
        body,
        ..Request::default()
    };
    world.memphis.request(ACCOUNT, &request, &mut world.host);
    world.run();
    world.take_replies().pop()
}

#[test]
fn what_is_no_request_is_refused_on_every_subject() {
    let mut world = World::new();
    let deep = format!("{}1{}", "{\"a\":".repeat(10_000), "}".repeat(10_000));
    let long = format!("{{\"name\":\"{}\"}}", "x".repeat(8 << 20));
    let bodies: [&[u8]; 10] = [
        b"",
        b"{",
        b"[]",
        b"null",
        b"\xff\xfe",
        b"{\"name\":{},\"station_name\":[],\"schema_name\":7}",
        b"{\"name\":\"a\",\"partitions_number\":1e400}",
        b"{\"name\":\"a\",\"partitions_number\":18446744073709551616}",
        deep.as_bytes(),
        long.as_bytes(),
    ];
    for subject in SUBJECTS {
        let subject = subject.replace("*.*", "stations.createStation");
        for body in bodies {
            let answer = send(&mut world, &subject, body);
            let said = answer.as_deref().unwrap_or("nothing");
            // To these, SDKs send without waiting for anything.
            if [PM_ACKS, NACKED_DLS, SCHEMAVERSE_DLS, NOTIFICATIONS].contains(&subject.as_str()) {
                continue;
            }
            assert!(
                !said.is_empty() && !said.contains("\"error\":\"\""),
                "{subject}: {said}"
            );
        }
    }
    assert!(world.streams().is_empty());
    assert_eq!(world.rows(), crate::book::Tenant::default());
}

#[test]
fn names_that_mean_something_elsewhere_are_refused() {
    let mut world = World::new();
    let long = "x".repeat(129);
    for name in [
        "",
        " ",
        "a b",
        "a*",
        "a.>",
        ">",
        "a$1",
        "a#b",
        "../x",
        "a/b",
        "a\\b",
        "a\0b",
        "a\r\nPUB x 0",
        "\u{130}",
        "\u{fdfd}",
        "a\u{200b}",
        "_a",
        "a.",
        "$memphis",
        "$JS",
        long.as_str(),
    ] {
        for (subject, body) in [
            (STATION_CREATIONS, station(name, 1)),
            (
                STATION_CREATIONS,
                with(station("ok", 1), "dls_station", name),
            ),
            (PRODUCER_CREATIONS, producer(name, "ok")),
            (PRODUCER_CREATIONS, producer("ok", name)),
            (CONSUMER_CREATIONS, consumer(name, "ok", "g")),
            (CONSUMER_CREATIONS, consumer("ok", name, "g")),
            (CONSUMER_CREATIONS, consumer("ok", "ok", name)),
        ] {
            // No name is one for these two: there is none, and the consumer's.
            if name.is_empty() && (body["dls_station"] == "" || body["consumers_group"] == "") {
                continue;
            }
            let said = world.ask(subject, &body);
            let is_refused = !said.is_empty() && !said.contains("\"error\":\"\"");
            assert!(is_refused, "{name:?} in {body}: {said}");
        }
    }
    assert!(world.streams().is_empty(), "{:?}", world.streams());
}

#[test]
fn who_may_not_use_a_station_does_not_end_it_either() {
    let mut world = World::new();
    let schema =
        json!({"name": "s", "type": "json", "schema_content": "{}", "created_by_username": "root"});
    world.ask_json(SCHEMA_CREATIONS, &schema);
    world.ask_ok(
        STATION_CREATIONS,
        &with(station("secret", 1), "schema_name", "s"),
    );
    world.ask_json(PRODUCER_CREATIONS, &producer("p", "secret"));
    world.ask_json(CONSUMER_CREATIONS, &consumer("c", "secret", "g"));
    world.store("secret$1", "", "one");
    world.note_death("secret$1", "g", "");
    world.run();
    let secret = json!("Passw0rd!");
    let app = json!({
        "username": "app", "user_type": "application", "password": secret,
        "secret": "$2a$10$abcdefghijklmnopqrstuuM4aYjWJiVmAZ9Q8S0HOqfmV6dKf5qGK",
        "deny_write_permissions": ["secret"], "deny_read_permissions": ["secret"],
    });
    world.manage("usermgmt/addUser", &app);
    let before = world.rows();
    assert_eq!(before.dead_letters.iter().count(), 1);
    let (id, _) = before.dead_letters.iter().next().expect("it died");
    let named = |key: &str, name: &str| json!({key: name, "station_name": "Secret"});
    for (subject, body) in [
        (STATION_DESTRUCTIONS, named("username", "root")),
        (PRODUCER_DESTRUCTIONS, named("name", "p")),
        (CONSUMER_DESTRUCTIONS, named("name", "c")),
        (SCHEMA_DETACHMENTS, named("username", "root")),
        (SCHEMA_ATTACHMENTS, named("name", "s")),
    ] {
        let said = world.ask_as("app", subject, &body);
        let expected = "user app is not allowed to access station secret";
        assert_eq!(said, expected, "{subject}");
    }
    let letter = json!({
        "station_name": "secret", "producer": {"name": "p", "connection_id": "u1"},
        "message": {"data": "00", "headers": {}}, "validation_error": "made up",
    });
    let nacked =
        json!({"station_name": "secret", "error": "x", "partition": 1, "cg_name": "g", "seq": 1});
    for (subject, body) in [
        (PM_ACKS, json!({"id": id.0, "cg_name": "g"})),
        (NACKED_DLS, nacked),
        (SCHEMAVERSE_DLS, letter),
    ] {
        let body = format!("{body}");
        let request = Request {
            subject: subject.as_bytes(),
            body: body.as_bytes(),
            asker: crate::machine::Asker {
                user: "app",
                lang: "",
            },
            ..Request::default()
        };
        world.memphis.request(ACCOUNT, &request, &mut world.host);
        world.run();
    }
    assert_eq!(world.rows(), before);
    assert_eq!(world.durables("secret$1"), ["g"]);
}

#[test]
fn managing_by_message_is_for_managers() {
    let mut world = World::new();
    world.ask_ok(STATION_CREATIONS, &station("a", 1));
    for route in [
        "stations.removeStation",
        "usermgmt.addUser",
        "schemas.removeSchema",
    ] {
        let body =
            json!({"station_names": ["a"], "username": "root", "created_by_username": "root"});
        let said = world.ask_as("", &format!("$memphis_api.{route}"), &body);
        let said: Value = serde_json::from_str(&said).expect("JSON");
        assert_eq!(said["status"], 401, "{route}");
    }
    assert_eq!(world.streams(), ["a$1"]);
}

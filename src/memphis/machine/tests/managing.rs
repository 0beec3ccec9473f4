//! The management interface: stations, schemas, dead letters, and the numbers that everything has.

use alloc::format;
use alloc::vec::Vec;

use serde_json::{Value, json};

use super::world::{Stream, World, consumer, producer, station, with};
use crate::dispatch::{CONSUMER_CREATIONS, PRODUCER_CREATIONS, STATION_CREATIONS};

#[test]
fn who_is_no_manager_is_turned_away() {
    let mut world = World::new();
    let (status, body) = world.call("app", "stations/getStations", &json!({}));
    assert_eq!((status, body), (401, json!({"message": "Unauthorized"})));
    assert_eq!(world.call("root", "stations/nope", &json!({})).0, 404);
    // Clients call by messages.
    let told = world.ask_as("root", "$memphis_api.stations.getAllStations", &json!({}));
    assert_eq!(told, r#"{"body":[],"status":200}"#);
    let told = world.ask_as("", "$memphis_api.stations.getAllStations", &json!({}));
    assert!(told.contains("401"), "{told}");
}

#[test]
fn a_station_is_made_shown_and_removed() {
    let mut world = World::new();
    let made = world.manage("stations/createStation", &station("Plain.A", 2));
    assert_eq!(made["name"], "plain.a");
    assert_eq!(
        (&made["storage_type"], &made["partitions_list"]),
        (&json!("disk"), &json!([1, 2]))
    );
    assert_eq!(made["created_by_username"], "root");
    assert_eq!(
        made["tags"],
        json!([{"name": "default", "color": "0, 165, 255"}])
    );
    let (status, again) = world.call("root", "stations/createStation", &station("plain.a", 1));
    assert_eq!(status, 406);
    assert_eq!(again["message"], "Station plain.a already exists");
    let all = world.manage("stations/getStations", &json!({}));
    assert_eq!(all["stations"][0]["station"]["name"], "plain.a");
    let gone = json!({"station_names": ["plain.a"]});
    assert_eq!(world.manage("stations/removeStation", &gone), json!({}));
    let (status, body) = world.call(
        "root",
        "stations/getStation",
        &json!({"station_name": "plain.a"}),
    );
    assert_eq!(
        (status, &body["message"]),
        (406, &json!("Station plain.a does not exist"))
    );
    assert!(world.rows().tags["default"].stations.is_empty());
}

#[test]
fn streams_that_came_from_elsewhere_become_a_station() {
    let mut world = World::new();
    world.ask_ok(STATION_CREATIONS, &station("plain.a", 2));
    let mut fields = with(station("old.a", 2), "adopt", json!(true));
    fields["owner"] = json!("Someone");
    fields["retention_type"] = json!("messages");
    let adopt =
        |world: &mut World, fields: &Value| world.call("root", "stations/createStation", fields);
    let (status, told) = adopt(&mut world, &fields);
    assert_eq!(
        (status, &told["message"]),
        (406, &json!("Station old.a has other partitions"))
    );
    for number in [1, 2] {
        let config = json!({"name": format!("old#a${number}")});
        let stream = Stream {
            config,
            ..Default::default()
        };
        world.host.streams.insert(format!("old#a${number}"), stream);
    }
    let (status, made) = adopt(&mut world, &fields);
    assert_eq!(status, 200, "{made}");
    assert_eq!(
        (&made["created_by_username"], &made["retention_type"]),
        (&json!("someone"), &json!("messages"))
    );
    assert_eq!(made["partitions_list"], json!([1, 2]));
    for name in ["old.a", "plain.a"] {
        fields["name"] = json!(name);
        let (status, told) = adopt(&mut world, &fields);
        assert_eq!(
            (status, &told["message"]),
            (406, &json!(format!("Station {name} already exists")))
        );
    }
}

#[test]
fn everything_has_a_number_that_stays() {
    let mut world = World::new();
    world.manage("stations/createStation", &station("plain.a", 1));
    world.manage("tags/createNewTag", &json!({"name": "blue", "color": "1"}));
    let ids = |world: &mut World| {
        let stations = world.manage("stations/getAllStations", &json!({}));
        let tags = world.manage("tags/getTags", &json!({}));
        let users = world.manage("usermgmt/getAllUsers", &json!({}));
        [
            stations[0]["id"].clone(),
            tags[0]["id"].clone(),
            tags[1]["id"].clone(),
            users["management_users"][0]["id"].clone(),
        ]
    };
    let before = ids(&mut world);
    let one_each: alloc::collections::BTreeSet<u64> =
        before.iter().filter_map(Value::as_u64).collect();
    assert_eq!(one_each.len(), 4, "{before:?}");
    world.crash();
    assert_eq!(ids(&mut world), before);
}

#[test]
fn streams_of_nats_clients_whose_numbers_are_taken_get_the_next_ones() {
    let mut world = World::new();
    // Both names come to the same number.
    let (first, second) = ("x22357", "x76200");
    for name in [first, second] {
        world.host.streams.insert(name.into(), Stream::default());
    }
    let ids = |world: &mut World| {
        let all = world.manage("stations/getAllStations", &json!({}));
        [&all[0], &all[1]].map(|station| station["id"].as_u64().unwrap())
    };
    let before = ids(&mut world);
    assert_eq!(before[1], before[0] + 1);
    for (name, id) in [(first, before[0]), (second, before[1])] {
        let alone = world.manage("stations/getStation", &json!({"station_name": name}));
        assert_eq!(alone["id"], id);
    }
    // What is noted of the second one gives it its number.
    let noted = json!({"station_name": second, "poison": true, "schemaverse": true});
    world.manage("stations/updateDlsConfig", &noted);
    assert_eq!(ids(&mut world), [before[1], before[0]]);
}

#[test]
fn a_list_looks_at_the_streams_once_however_many_there_are() {
    let visits = |streams: u32| {
        let mut world = World::new();
        for number in 0..streams {
            let name = format!("s{number}");
            world.host.streams.insert(name, Stream::default());
        }
        world.host.visits.set(0);
        let routes = [
            "stations/getStations",
            "stations/getAllStations",
            "monitoring/getMainOverviewData",
        ];
        routes.map(|route| {
            world.manage(route, &json!({}));
            world.host.visits.take()
        })
    };
    assert_eq!(visits(1), [1, 1, 1]);
    assert_eq!(visits(100), [1, 1, 1]);
}

#[test]
fn lists_say_what_they_can_be_filtered_by() {
    let mut world = World::new();
    world.manage("stations/createStation", &station("plain.a", 1));
    let filters = |world: &mut World, route: &str| {
        world.manage("usermgmt/getFilterDetails", &json!({"route": route}))
    };
    let seen = filters(&mut world, "stations");
    assert_eq!(seen["tags"][0]["name"], "default");
    assert_eq!(
        (&seen["users"], &seen["storage"]),
        (&json!(["root"]), &json!(["memory", "disk"]))
    );
    let seen = filters(&mut world, "schemaverse");
    assert_eq!(
        (&seen["tags"], &seen["usage"]),
        (&json!([]), &json!(["used", "not used"]))
    );
    assert_eq!(filters(&mut world, "syslogs")["type"][0], "info");
    assert_eq!(filters(&mut world, "else"), json!({}));
}

#[test]
fn a_station_made_by_people_has_one_partition_unless_they_say_otherwise() {
    let mut world = World::new();
    let made = world.manage("stations/createStation", &json!({"name": "bare"}));
    assert_eq!(made["partitions_list"], json!([1]));
    let none = json!({"name": "none", "partitions_number": 0});
    assert_eq!(world.call("root", "stations/createStation", &none).0, 406);
}

#[test]
fn an_overview_names_who_produces_and_consumes_and_what_happened() {
    let mut world = World::new();
    world.ask_json(PRODUCER_CREATIONS, &producer("p", "plain.a"));
    world.ask_json(CONSUMER_CREATIONS, &consumer("c", "plain.a", "Grp.X"));
    world.memphis.connected(super::world::ACCOUNT, "u1::root");
    let seen = world.manage(
        "monitoring/getStationOverviewData",
        &json!({"station_name": "plain.a", "partition_number": -1}),
    );
    assert_eq!(seen["connected_producers"][0]["name"], "p");
    assert_eq!(seen["connected_producers"][0]["sdk"], "python");
    assert_eq!(
        seen["connected_producers"][1]["name"], "Unknown",
        "a NATS client"
    );
    let group = &seen["connected_cgs"][0];
    assert_eq!(
        (&group["name"], &group["unprocessed_messages"]),
        (&json!("grp.x"), &json!(3))
    );
    let lines: Vec<&Value> = seen["audit_logs"].as_array().unwrap().iter().collect();
    let texts = lines.iter().map(|line| line["message"].as_str().unwrap());
    assert_eq!(
        texts.collect::<Vec<&str>>(),
        [
            "Consumer c connected",
            "Producer p connected",
            "Station plain.a has been created by user root"
        ]
    );
}

#[test]
fn dead_letters_are_shown_sent_again_and_dropped() {
    let mut world = World::new();
    world.ask_ok(STATION_CREATIONS, &station("plain.a", 1));
    world.ask_json(CONSUMER_CREATIONS, &consumer("c", "plain.a", "Grp.X"));
    for body in ["one", "two"] {
        world.store("plain#a$1", "NATS/1.0\r\nk: v\r\n\r\n", body);
    }
    world.note_death("plain#a$1", "grp#x", "because");
    world.run();
    let name = json!({"station_name": "plain.a"});
    let seen = world.manage("stations/getDlsMessages", &name);
    let letter = &seen["poison_messages"][0];
    assert_eq!(letter["validation_error"], "because");
    assert_eq!(letter["poisoned_cgs"], json!(["grp.x"]));
    assert_eq!(letter["message"]["headers"], json!({"k": "v"}));
    let id = letter["id"].clone();
    let journey = world.manage(
        "stations/getPoisonMessageJourney",
        &json!({"message_id": id}),
    );
    assert_eq!(journey["poisoned_cgs"][0]["name"], "grp.x");
    assert_eq!(journey["message"]["data"], "6f6e65");
    let resend = json!({"station_name": "plain.a", "poison_message_ids": [id]});
    assert_eq!(
        world.manage("stations/resendPoisonMessages", &resend),
        json!({})
    );
    assert_eq!(world.host.revived.len(), 1);
    let (status, body) = world.call("root", "stations/resendPoisonMessages", &resend);
    assert_eq!(status, 406, "{body}");

    world.note_death("plain#a$1", "grp#x", "");
    world.run();
    let id = world.manage("stations/getDlsMessages", &name)["poison_messages"][0]["id"].clone();
    let drop = json!({"station_name": "plain.a", "dls_type": "poison", "dls_message_ids": [id]});
    world.manage("stations/dropDlsMessages", &drop);
    assert_eq!(world.rows().dead_letters.iter().count(), 0);
}

#[test]
fn what_a_station_keeps_and_copies_can_be_changed() {
    let mut world = World::new();
    world.ask_ok(STATION_CREATIONS, &station("a", 1));
    let config = json!({"station_name": "a", "poison": false, "schemaverse": true});
    let kept = world.manage("stations/updateDlsConfig", &config);
    assert_eq!(kept, json!({"poison": false, "schemaverse": true}));
    let reply = world.ask_json(PRODUCER_CREATIONS, &producer("p", "a"));
    assert_eq!(reply["schemaverse_to_dls"], true);
    world.store("a$1", "", "x");
    world.note_death("a$1", "worker", "");
    world.run();
    assert_eq!(world.rows().dead_letters.iter().count(), 0);

    world.ask_ok(STATION_CREATIONS, &station("b", 1));
    let link = json!({"name": "a", "station_names": ["b"]});
    world.manage("stations/attachDlsStation", &link);
    world.store("b$1", "", "copy me");
    world.note_death("b$1", "worker", "");
    world.run();
    assert_eq!(world.host.streams["a$1"].messages[1].body, "copy me");
    world.manage("stations/detachDlsStation", &link);
    assert_eq!(
        world.manage("stations/getStation", &json!({"station_name": "b"}))["dls_station"],
        ""
    );
}

#[test]
fn a_station_is_emptied_and_a_message_typed_in() {
    let mut world = World::new();
    world.ask_ok(STATION_CREATIONS, &station("a", 1));
    let typed = json!({
        "station_name": "a", "partition_number": 1, "message_payload": "hello",
        "message_headers": {"k": "v"}, "amount": 1,
    });
    assert_eq!(world.manage("stations/produce", &typed), json!({}));
    let stored = world.host.streams["a$1"].messages[0].clone();
    assert_eq!(stored.body, "hello");
    assert!(
        stored.headers.contains("$memphis_producedBy: UI"),
        "{}",
        stored.headers
    );
    let asked = json!({"station_name": "a", "partition_number": 1, "message_seq": 1});
    let shown = world.manage("stations/getMessageDetails", &asked);
    assert_eq!(shown["message"]["data"], "68656c6c6f");
    assert_eq!(shown["producer"]["name"], "UI");
    let forged = with(typed, "message_headers", json!({"k": "v\r\nx: y"}));
    assert_eq!(world.call("root", "stations/produce", &forged).0, 406);
    let purge = json!({"station_name": "a", "purge_station": true, "partitions_list": [-1]});
    world.manage("stations/purgeStation", &purge);
    assert!(world.host.streams["a$1"].messages.is_empty());
}

#[test]
fn versions_of_a_schema_are_made_activated_and_followed_when_asked() {
    let mut world = World::new();
    world.ask_ok(STATION_CREATIONS, &station("a", 1));
    let schema = json!({"name": "sch", "type": "json", "schema_content": r#"{"id":1}"#});
    let made = world.manage("schemas/createNewSchema", &schema);
    assert_eq!(made["versions"][0]["active"], true);
    let (status, body) = world.call("root", "schemas/createNewSchema", &schema);
    assert_eq!(status, 406);
    assert_eq!(body["message"], "Schema with the name sch already exists");
    let use_it = json!({"station_names": ["a"], "schema_name": "sch"});
    let used = world.manage("stations/useSchema", &use_it);
    assert_eq!(
        (&used["version_number"], &used["updates_available"]),
        (&json!(1), &json!(false))
    );
    world.take_published("$memphis_schema_updates_a");

    let next = json!({"schema_name": "sch", "schema_content": r#"{"n":1}"#});
    world.manage("schemas/createNewVersion", &next);
    let back = json!({"schema_name": "sch", "version_number": 2});
    let details = world.manage("schemas/rollBackVersion", &back);
    assert_eq!(details["active_version_number"], 2);
    assert_eq!(details["used_stations"], json!(["a"]));
    let updates = json!({"station_name": "a"});
    let seen = world.manage("stations/getUpdatesForSchemaByStation", &updates);
    assert_eq!(
        seen["updates_available"], true,
        "a station stays with its version"
    );
    let used = world.manage("stations/useSchema", &use_it);
    assert_eq!(used["version_number"], 2);
    let pushed = world.take_published("$memphis_schema_updates_a");
    assert!(
        pushed[0].body.contains(r#""version_number":2"#),
        "{}",
        pushed[0].body
    );
    let guard = world.memphis.guard("$memphis", "a$1").unwrap();
    assert_eq!(guard.check(b"{}").unwrap_err(), "n is missing");

    let bad = json!({"schema_type": "json", "schema_content": "{"});
    assert_eq!(world.call("root", "schemas/validateSchema", &bad).0, 555);
    world.manage("schemas/removeSchema", &json!({"schema_names": ["sch"]}));
    assert!(world.memphis.guard("$memphis", "a$1").is_none());
}

#[test]
fn two_names_that_come_to_the_same_number_are_told_apart() {
    let mut world = World::new();
    // Found by trying: each pair comes to one number.
    let number = |world: &mut World, name: &str| {
        let shown = world.manage("stations/getStation", &json!({"station_name": name}));
        shown["id"].as_u64().expect("a number")
    };
    for name in ["x22357", "x76200"] {
        world.manage("stations/createStation", &station(name, 1));
    }
    let (first, second) = (number(&mut world, "x22357"), number(&mut world, "x76200"));
    assert_eq!(second, first + 1);
    world.crash();
    assert_eq!(
        number(&mut world, "x76200"),
        second,
        "it stays over a restart"
    );
    let gone = json!({"station_names": ["x22357"]});
    world.manage("stations/removeStation", &gone);
    assert_eq!(
        number(&mut world, "x76200"),
        second,
        "it stays when the first goes"
    );
    // A NATS client's stream has no row, and makes room.
    world.host.streams.entry("x22357".into()).or_default();
    assert_eq!(number(&mut world, "x22357"), first);
    world.manage(
        "stations/removeStation",
        &json!({"station_names": ["x76200"]}),
    );
    world.host.streams.entry("x76200".into()).or_default();
    assert_eq!(number(&mut world, "x76200"), second);
    for (name, kind) in [("x1815", "application"), ("x23304", "management")] {
        let password = "Passw0rd!";
        let secret = format!("$2b$10${}", "x".repeat(53));
        let user =
            json!({"username": name, "password": password, "secret": secret, "user_type": kind});
        world.manage("usermgmt/addUser", &user);
    }
    let all = world.manage("usermgmt/getAllUsers", &json!({}));
    let first = all["application_users"][0]["id"]
        .as_u64()
        .expect("a number");
    assert_eq!(all["management_users"][1]["id"], first + 1);
    assert_eq!(
        u64::from(world.memphis.book().user_id("$memphis", "x23304")),
        first + 1
    );
}

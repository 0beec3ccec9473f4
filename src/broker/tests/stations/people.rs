//! Who may do what to stations: users that were made, tenants and their limits, and what becomes of
//! those who are there when that changes.

use alloc::format;
use alloc::vec::Vec;

use config::Options;
use config::options::{AccountJetStream, AccountLimits, Memphis, Tenant, TenantLimits, User};

use super::super::harness::World;
use super::{LOGIN, STATION, request, sdk, world};
use crate::effects::{Input, Rules, WorkDone};

#[test]
fn a_user_that_was_made_logs_in_also_after_a_restart_and_no_longer_when_removed() {
    let user = "{\"username\":\"app\",\"user_type\":\"application\",\"password\":\"Passw0rd!\",\
                \"secret\":\"$2a$04$abcdefghijklmnopqrstuuM4aYjWJiVmAZ9Q8S0HOqfmV6dKf5qGK\"}";
    let mut world = world();
    let root = sdk(&mut world);
    let made = request(&mut world, root, "$memphis_api.usermgmt.addUser", user);
    assert!(made.contains("\"status\":200"), "{made}");
    let login = "CONNECT {\"user\":\"app\",\"pass\":\"Passw0rd!\"}\r\n";
    for restart in [false, true] {
        if restart {
            world.restart();
        }
        let app = world.accept(Rules::Memphis);
        world.say(app, login);
        assert_eq!(world.work.len(), 1, "the hash is checked");
        world.work.clear();
    }
    let root = sdk(&mut world);
    let gone = request(
        &mut world,
        root,
        "$memphis_api.usermgmt.removeUser",
        "{\"username\":\"app\"}",
    );
    assert!(gone.contains("\"status\":200"), "{gone}");
    let app = world.accept(Rules::Memphis);
    let refused = world.ask(app, login);
    assert!(refused.contains("Authorization Violation"), "{refused}");
}

#[test]
fn a_tenant_has_no_more_than_its_limits() {
    let mut config = Options {
        memphis: Some(Memphis::default()),
        ..Options::default()
    };
    config.jetstream.enabled = true;
    let limits = TenantLimits {
        connections: AccountLimits {
            connections_max: Some(1),
            payload_max: Some(1000),
            ..AccountLimits::default()
        },
        jetstream: Some(AccountJetStream {
            streams_max: Some(2),
            ..AccountJetStream::default()
        }),
    };
    if let Some(memphis) = &mut config.memphis {
        memphis.tenants.push(Tenant {
            id: 2,
            name: "acme".into(),
            limits,
            users: Vec::from([User {
                name: "app".into(),
                password: Some("pw".into()),
                ..User::default()
            }]),
        });
    }
    let mut world = World::new(config);
    world.recover();
    let login = LOGIN
        .replace("root$1", "app$2")
        .replace("\"memphis\"", "\"pw\"");
    let inside = world.accept(Rules::Memphis);
    world.ask(inside, &login);
    world.ask(inside, "SUB in.* 2\r\n");
    let made = request(&mut world, inside, "$memphis_station_creations", STATION);
    assert_eq!(made, "MSG in.1 2 0\r\n\r\n");
    let more = STATION.replace("Plain.A", "more");
    let refused = request(&mut world, inside, "$memphis_station_creations", &more);
    assert!(refused.contains("maximum number of streams"), "{refused}");
    let info = request(&mut world, inside, "$JS.API.INFO", "");
    assert!(
        info.contains("\"streams\":2"),
        "nothing is left of it: {info}"
    );
    let second = world.accept(Rules::Memphis);
    let told = world.ask(second, &login);
    assert!(
        told.contains("maximum account active connections"),
        "{told}"
    );
    let others = sdk(&mut world);
    let made = request(&mut world, others, "$memphis_station_creations", &more);
    assert_eq!(made, "MSG in.1 2 0\r\n\r\n", "others have theirs");
    let large = format!("PUB x 1001\r\n{}\r\n", "x".repeat(1001));
    let told = world.ask(inside, &large);
    assert!(told.contains("Maximum Payload Violation"), "{told}");
}

#[test]
fn who_is_removed_or_gets_another_password_is_sent_away() {
    let named = |secret: &str| {
        format!(
            "{{\"username\":\"app\",\"user_type\":\"application\",\"password\":\"Passw0rd!\",\
             \"secret\":\"$2a$04$abcdefghijklmnopqrstuuM4aYjWJiVmAZ9Q8S0HOqfmV6dKf5q{secret}\"}}"
        )
    };
    let mut world = world();
    let root = sdk(&mut world);
    request(
        &mut world,
        root,
        "$memphis_api.usermgmt.addUser",
        &named("GK"),
    );
    let login = "CONNECT {\"user\":\"app\",\"pass\":\"Passw0rd!\"}\r\n";
    for (route, body) in [("changePassword", named("GL")), ("removeUser", named("GL"))] {
        let inside = world.accept(Rules::Memphis);
        world.say(inside, login);
        world.input(Input::Work(WorkDone::PasswordChecked {
            conn: inside,
            fits: true,
        }));
        world.hear(inside);
        let coming = world.accept(Rules::Memphis);
        world.say(coming, login);
        world.work.clear();
        let subject = format!("$memphis_api.usermgmt.{route}");
        let done = request(&mut world, root, &subject, &body);
        assert!(done.contains("\"status\":200"), "{done}");
        for conn in [inside, coming] {
            let told = world.hear(conn);
            assert!(told.contains("Authorization Violation"), "{route}: {told}");
        }
    }
    assert!(world.ask(root, "PING\r\n").contains("PONG"), "others stay");
}

#[test]
fn permissions_on_stations_hold_for_subjects_that_nats_clients_name() {
    let user = "{\"username\":\"app\",\"user_type\":\"application\",\"password\":\"Passw0rd!\",\
                \"secret\":\"$2a$04$abcdefghijklmnopqrstuuM4aYjWJiVmAZ9Q8S0HOqfmV6dKf5qGK\",\
                \"deny_read_permissions\":[\"plain.*\"],\"deny_write_permissions\":[\"plain.*\"]}";
    let mut world = world();
    let root = sdk(&mut world);
    request(&mut world, root, "$memphis_station_creations", STATION);
    let made = request(&mut world, root, "$memphis_api.usermgmt.addUser", user);
    assert!(made.contains("\"status\":200"), "{made}");
    let app = world.accept(Rules::Memphis);
    world.say(app, "CONNECT {\"user\":\"app\",\"pass\":\"Passw0rd!\"}\r\n");
    world.work.clear();
    world.input(Input::Work(WorkDone::PasswordChecked {
        conn: app,
        fits: true,
    }));
    world.hear(app);
    for (line, refused) in [
        (
            "PUB plain#a$1.final 1\r\nx\r\n",
            "Publish to \"plain#a$1.final\"",
        ),
        (
            "PUB $JS.API.STREAM.MSG.GET.plain#a$1 in.1 0\r\n\r\n",
            "Publish to \"$JS.API.STREAM",
        ),
        (
            "SUB plain#a$2.final 1\r\n",
            "Subscription to \"plain#a$2.final\"",
        ),
        ("SUB > 2\r\n", "Subscription to \">\""),
    ] {
        let told = world.ask(app, line);
        assert!(told.contains("Permissions Violation for "), "{line} {told}");
        assert!(told.contains(refused), "{line} {told}");
    }
    let told = world.ask(app, "PUB other$1.final 1\r\nx\r\nSUB news.* 3\r\n");
    assert!(!told.contains("Violation"), "{told}");
    world.settle();
    let seen = world.manage("root", "stations/getStations", "{}");
    assert_eq!(seen.body["stations"][0]["total_messages"], 0);
}

#[test]
fn who_publishes_without_sdk_is_seen_by_its_name() {
    let mut world = world();
    let a = sdk(&mut world);
    request(&mut world, a, "$memphis_station_creations", STATION);
    let nats = world.accept(Rules::Nats);
    world.ask(
        nats,
        "CONNECT {\"name\":\"billing\",\"lang\":\"go\",\"verbose\":false}\r\n",
    );
    for _ in 0..3 {
        world.ask(nats, "PUB plain#a$1.final 1\r\nx\r\n");
    }
    world.settle();
    let overview = "$memphis_api.monitoring.getStationOverviewData";
    let seen = request(&mut world, a, overview, "{\"station_name\":\"plain.a\"}");
    assert!(
        seen.contains("\"name\":\"billing\"") && seen.contains("\"messages\":3"),
        "{seen}"
    );
}

#[test]
fn the_driver_calls_the_management_interface() {
    let mut world = world();
    let a = sdk(&mut world);
    request(&mut world, a, "$memphis_station_creations", STATION);
    let answer = world.manage(
        "root",
        "stations/getStation",
        "{\"station_name\":\"plain.a\"}",
    );
    assert_eq!(answer.status, 200);
    assert_eq!(answer.body["name"], "plain.a");
    assert_eq!(world.manage("app", "stations/getStation", "{}").status, 401);
}

#[test]
fn managers_do_not_connect_as_clients() {
    let user = "{\"username\":\"boss\",\"user_type\":\"management\",\"password\":\"Passw0rd!\",\
                \"secret\":\"$2a$04$abcdefghijklmnopqrstuuM4aYjWJiVmAZ9Q8S0HOqfmV6dKf5qGK\"}";
    let mut world = world();
    let root = sdk(&mut world);
    let made = request(&mut world, root, "$memphis_api.usermgmt.addUser", user);
    assert!(made.contains("\"status\":200"), "{made}");
    let boss = world.accept(Rules::Memphis);
    let refused = world.ask(
        boss,
        "CONNECT {\"user\":\"boss\",\"pass\":\"Passw0rd!\"}\r\n",
    );
    assert!(refused.contains("Authorization Violation"), "{refused}");
    let seen = world.manage("boss", "usermgmt/getAllUsers", "{}");
    assert_eq!(seen.body["management_users"][1]["username"], "boss");
}

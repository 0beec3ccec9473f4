//! Memphis SDKs against a shard: the lines that they really send.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use config::Options;
use config::options::{AccountJetStream, AccountLimits, Memphis, Tenant, TenantLimits, User};
use protocol::id::ConnId;
use storage::StoreOptions;

use super::harness::World;
use crate::effects::{Input, Rules, WorkDone};

const LOGIN: &str = "CONNECT {\"name\":\"u1::root\",\"user\":\"root$1\",\"pass\":\"memphis\",\
                     \"headers\":true,\"no_responders\":true,\"protocol\":1,\"verbose\":false}\r\n";
const STATION: &str = "{\"name\":\"Plain.A\",\"retention_type\":\"message_age_sec\",\
                       \"retention_value\":3600,\"storage_type\":\"file\",\"replicas\":1,\
                       \"idempotency_window_in_ms\":120000,\"schema_name\":\"\",\
                       \"dls_configuration\":{\"poison\":true,\"Schemaverse\":true},\
                       \"username\":\"root\",\"partitions_number\":2,\"dls_station\":\"\"}";
const PRODUCER: &str = "{\"name\":\"p\",\"station_name\":\"Plain.A\",\"connection_id\":\"u1\",\
                        \"producer_type\":\"application\",\"req_version\":4,\"username\":\"root\"}";
const CONSUMER: &str = "{\"name\":\"c\",\"station_name\":\"plain.a\",\"connection_id\":\"u1\",\
                        \"consumer_type\":\"application\",\"consumers_group\":\"Grp.X\",\
                        \"max_ack_time_ms\":1000,\"max_msg_deliveries\":1,\"req_version\":4,\
                        \"start_consume_from_sequence\":1,\"last_messages\":-1,\
                        \"username\":\"root\"}";

fn world() -> World {
    let mut config = Options {
        memphis: Some(Memphis::default()),
        ..Options::default()
    };
    config.jetstream.enabled = true;
    let mut world = World::new(config);
    world.recover();
    world
}

/// Connects an SDK, which listens on its inbox.
fn sdk(world: &mut World) -> ConnId {
    let id = world.accept(Rules::Memphis);
    world.ask(id, LOGIN);
    world.ask(id, "SUB in.* 2\r\n");
    id
}

/// Sends a request; returns what is heard once the disk has done everything.
fn request(world: &mut World, client: ConnId, subject: &str, body: &str) -> String {
    let len = body.len();
    world.say(client, &format!("PUB {subject} in.1 {len}\r\n{body}\r\n"));
    world.settle();
    world.hear(client)
}

#[test]
fn a_station_is_answered_when_it_is_safe_and_not_before() {
    let mut world = world();
    let a = sdk(&mut world);
    let len = STATION.len();
    let request = format!("PUB $memphis_station_creations in.1 {len}\r\n{STATION}\r\n");
    assert_eq!(world.ask(a, &request), "");
    world.settle();
    assert_eq!(world.hear(a), "MSG in.1 2 0\r\n\r\n");
    let names = self::request(&mut world, a, "$JS.API.STREAM.NAMES", "");
    assert!(names.contains("[\"plain#a$1\",\"plain#a$2\"]"), "{names}");
}

#[test]
fn an_sdk_produces_and_consumes() {
    let mut world = world();
    let a = sdk(&mut world);
    let reply = request(&mut world, a, "$memphis_producer_creations", PRODUCER);
    assert!(reply.contains("\"partitions_list\":[1]"), "{reply}");
    let reply = request(&mut world, a, "$memphis_consumer_creations", CONSUMER);
    assert!(reply.contains("\"error\":\"\""), "{reply}");
    let info = "$JS.API.CONSUMER.INFO.plain#a$1.grp#x";
    let reply = request(&mut world, a, info, "");
    assert!(
        reply.contains("\"filter_subject\":\"plain#a$1.final\""),
        "{reply}"
    );
    let ack = request(&mut world, a, "plain#a$1.final", "hello");
    assert!(
        ack.ends_with("{\"stream\":\"plain#a$1\",\"seq\":1}\r\n"),
        "{ack}"
    );
    let next = "$JS.API.CONSUMER.MSG.NEXT.plain#a$1.grp#x";
    let got = request(&mut world, a, next, "{\"batch\":1,\"expires\":1000000}");
    assert!(got.contains("hello"), "{got}");
}

#[test]
fn the_id_of_a_message_is_remembered_under_both_names() {
    let mut world = world();
    let a = sdk(&mut world);
    request(&mut world, a, "$memphis_station_creations", STATION);
    for (header, duplicate) in [("msg-id", false), ("msg-id", true), ("Nats-Msg-Id", true)] {
        let block = format!("NATS/1.0\r\n{header}: m1\r\n\r\n");
        let len = block.len();
        world.say(
            a,
            &format!("HPUB plain#a$1.final in.1 {len} {len}\r\n{block}\r\n"),
        );
        world.settle();
        let ack = world.hear(a);
        assert_eq!(ack.contains("\"duplicate\""), duplicate, "{ack}");
    }
}

#[test]
fn an_unacknowledged_message_dies_and_is_copied() {
    let mut world = world();
    let a = sdk(&mut world);
    let station = STATION.replace("\"dls_station\":\"\"", "\"dls_station\":\"dead\"");
    request(&mut world, a, "$memphis_station_creations", &station);
    request(&mut world, a, "$memphis_consumer_creations", CONSUMER);
    request(&mut world, a, "plain#a$1.final", "hello");
    let next = "$JS.API.CONSUMER.MSG.NEXT.plain#a$1.grp#x";
    request(&mut world, a, next, "{\"batch\":1,\"expires\":900000000}");
    world.wait(core::time::Duration::from_secs(2));
    request(&mut world, a, next, "{\"batch\":1,\"expires\":900000000}");
    let get = "{\"last_by_subj\":\"dead$1.final\"}";
    let copy = request(&mut world, a, "$JS.API.STREAM.MSG.GET.dead$1", get);
    assert!(copy.contains("\"data\":\"aGVsbG8=\""), "{copy}");
}

#[test]
fn stations_and_their_rows_outlive_the_process() {
    let mut world = world();
    let a = sdk(&mut world);
    request(&mut world, a, "$memphis_producer_creations", PRODUCER);
    request(&mut world, a, "$memphis_consumer_creations", CONSUMER);
    world.restart();
    let a = sdk(&mut world);
    let end =
        "{\"name\":\"p\",\"station_name\":\"plain.a\",\"connection_id\":\"u1\",\"req_version\":1}";
    let reply = request(&mut world, a, "$memphis_producer_destructions", end);
    assert_eq!(reply, "MSG in.1 2 0\r\n\r\n");
    let reply = request(&mut world, a, "$memphis_producer_destructions", end);
    assert!(reply.contains("not exist"), "{reply}");
    let info = request(&mut world, a, "$JS.API.CONSUMER.INFO.plain#a$1.grp#x", "");
    assert!(info.contains("\"durable_name\":\"grp#x\""), "{info}");
}

#[test]
fn a_station_is_whole_or_absent_wherever_the_process_ends() {
    let mut steps = 0;
    loop {
        let mut world = world();
        let a = sdk(&mut world);
        let len = STATION.len();
        world.say(
            a,
            &format!("PUB $memphis_station_creations in.1 {len}\r\n{STATION}\r\n"),
        );
        let ended = !world.settle_steps(steps);
        let answered = world.hear(a).contains("in.1");
        world.restart();
        world.settle();
        let a = sdk(&mut world);
        let names = request(&mut world, a, "$JS.API.STREAM.NAMES", "");
        let both = names.contains("[\"plain#a$1\",\"plain#a$2\"]");
        let none = names.contains("\"streams\":null");
        assert!(both || none, "after {steps} steps: {names}");
        assert!(
            both || !answered,
            "answered, then lost, after {steps} steps"
        );
        if ended {
            assert!(answered && steps > 4, "the disk had little to do");
            return;
        }
        steps += 1;
    }
}

#[test]
fn rows_come_back_from_a_checkpoint() {
    let mut options = Options {
        memphis: Some(Memphis::default()),
        ..Options::default()
    };
    options.jetstream.enabled = true;
    let store = StoreOptions {
        log_file_len: 64 << 10,
        log_file_len_first: 64 << 10,
        flush_threshold: 64 << 10,
        checkpoint_step: 16 << 10,
        ..StoreOptions::default()
    };
    let mut world = World::with_store(options, store);
    world.recover();
    let a = sdk(&mut world);
    request(&mut world, a, "$memphis_producer_creations", PRODUCER);
    let body = "x".repeat(8 << 10);
    for _ in 0..100 {
        request(&mut world, a, "plain#a$1.final", &body);
        world.wait(core::time::Duration::from_secs(1));
        world.settle();
    }
    let is_checkpoint =
        |name: &&storage::FileName| matches!(name, storage::FileName::Checkpoint(_));
    assert!(
        world.files().any(|name| is_checkpoint(&name)),
        "no checkpoint was written"
    );
    world.restart();
    let a = sdk(&mut world);
    let end =
        "{\"name\":\"p\",\"station_name\":\"plain.a\",\"connection_id\":\"u1\",\"req_version\":1}";
    let reply = request(&mut world, a, "$memphis_producer_destructions", end);
    assert_eq!(reply, "MSG in.1 2 0\r\n\r\n");
}

#[test]
fn without_memphis_its_requests_have_no_responders() {
    let mut config = Options::default();
    config.jetstream.enabled = true;
    let mut world = World::new(config);
    world.recover();
    let a = world.client();
    world.ask(a, "SUB in.* 2\r\n");
    let reply = request(&mut world, a, "$memphis_station_creations", STATION);
    assert!(reply.contains("503"), "{reply}");
}

#[test]
fn a_stream_of_a_stations_name_is_refused_where_stations_are_made() {
    let mut world = world();
    let a = sdk(&mut world);
    request(
        &mut world,
        a,
        "$memphis_producer_creations",
        &PRODUCER.replace("Plain.A", "test"),
    );
    for (name, taken) in [("Test", true), ("other", false), ("OTHER", true)] {
        let config = format!("{{\"name\":\"{name}\",\"subjects\":[\"{name}\"]}}");
        let subject = format!("$JS.API.STREAM.CREATE.{name}");
        let reply = request(&mut world, a, &subject, &config);
        assert_eq!(reply.contains("the name is taken"), taken, "{reply}");
    }
}

const SCHEMA: &str = "{\"name\":\"sch\",\"type\":\"json\",\"created_by_username\":\"root\",\
                      \"schema_content\":\"good\",\"message_struct_name\":\"\"}";
const ATTACH: &str = "{\"name\":\"sch\",\"station_name\":\"plain.a\",\"username\":\"root\"}";
const DETACH: &str = "{\"station_name\":\"plain.a\",\"username\":\"root\"}";

#[test]
fn whoever_publishes_what_breaks_the_schema_is_told_and_the_stream_does_not_get_it() {
    let mut world = world();
    let a = sdk(&mut world);
    request(&mut world, a, "$memphis_station_creations", STATION);
    request(&mut world, a, "$memphis_schema_creations", SCHEMA);
    let ack = request(&mut world, a, "plain#a$1.final", "bad");
    assert!(ack.contains("\"seq\":1"), "no schema yet: {ack}");
    request(&mut world, a, "$memphis_schema_attachments", ATTACH);
    let nats = world.accept(Rules::Nats);
    world.ask(nats, "CONNECT {\"name\":\"billing\",\"verbose\":false}\r\n");
    world.ask(nats, "SUB in.* 1\r\n");
    let ack = request(&mut world, nats, "plain#a$1.final", "bad");
    assert!(
        ack.contains("Schema validation has failed: a word is missing"),
        "{ack}"
    );
    let ack = request(&mut world, nats, "plain#a$1.other", "bad");
    assert!(
        ack.contains("\"err_code\":20001"),
        "on any of its subjects: {ack}"
    );
    let ack = request(&mut world, nats, "plain#a$1.final", "good");
    assert!(ack.contains("\"seq\":2"), "{ack}");
    request(&mut world, a, "$memphis_schema_detachments", DETACH);
    let ack = request(&mut world, nats, "plain#a$1.final", "bad");
    assert!(ack.contains("\"seq\":3"), "{ack}");
}

#[test]
fn a_station_may_store_what_breaks_its_schema_as_well_as_bury_it() {
    let mut world = world();
    let a = sdk(&mut world);
    request(&mut world, a, "$memphis_schema_creations", SCHEMA);
    let station = STATION.replace("\"schema_name\":\"\"", "\"schema_name\":\"sch\"");
    let station = station.replace("\"dls_station\":\"\"", "\"dls_station\":\"dead\"");
    let station = station.replace("{\"name\"", "{\"misfits\":\"store\",\"name\"");
    request(&mut world, a, "$memphis_station_creations", &station);
    let ack = request(&mut world, a, "plain#a$1.final", "bad");
    assert_eq!(
        ack.matches("MSG in.1").count(),
        1,
        "one acknowledgement: {ack}"
    );
    assert!(ack.contains("\"seq\":1"), "{ack}");
    let get = "{\"last_by_subj\":\"dead$1.final\"}";
    let copy = request(&mut world, a, "$JS.API.STREAM.MSG.GET.dead$1", get);
    assert!(copy.contains("\"data\":\"YmFk\""), "{copy}");
}

#[test]
fn what_a_nats_clients_consumer_gives_up_is_a_dead_letter_even_if_its_stream_lets_it_go() {
    let mut world = world();
    let a = sdk(&mut world);
    let station = STATION.replace("message_age_sec", "ack_based");
    let station = station.replace("\"dls_station\":\"\"", "\"dls_station\":\"dead\"");
    request(&mut world, a, "$memphis_station_creations", &station);
    let durable = "{\"stream_name\":\"plain#a$1\",\"config\":{\"durable_name\":\"Worker\",\
                   \"ack_policy\":\"explicit\"}}";
    let create = "$JS.API.CONSUMER.DURABLE.CREATE.plain#a$1.Worker";
    request(&mut world, a, create, durable);
    request(&mut world, a, "plain#a$1.final", "hello");
    let next = "$JS.API.CONSUMER.MSG.NEXT.plain#a$1.Worker";
    let got = request(&mut world, a, next, "{\"batch\":1}");
    let ack = got
        .split(' ')
        .find(|word| word.starts_with("$JS.ACK."))
        .unwrap();
    request(&mut world, a, ack, "+TERM it is broken");
    let info = request(&mut world, a, "$JS.API.STREAM.INFO.plain#a$1", "");
    assert!(info.contains("\"messages\":0"), "{info}");
    let letters = world.shard.memphis().unwrap().book().tenant("$G").unwrap();
    let (_, dead) = letters.dead_letters.iter().next().unwrap();
    assert_eq!(dead.reason, "it is broken");
    assert_eq!(dead.groups, ["Worker"]);
    assert_eq!(dead.letter.body(), b"hello");
    let get = "{\"last_by_subj\":\"dead$1.final\"}";
    let copy = request(&mut world, a, "$JS.API.STREAM.MSG.GET.dead$1", get);
    assert!(copy.contains("\"data\":\"aGVsbG8=\""), "{copy}");
}

#[test]
fn advisories_that_clients_make_up_bury_nothing() {
    let mut world = world();
    let a = sdk(&mut world);
    request(&mut world, a, "$memphis_station_creations", STATION);
    request(&mut world, a, "$memphis_consumer_creations", CONSUMER);
    request(&mut world, a, "plain#a$1.final", "hello");
    let advisory = "{\"stream\":\"plain#a$1\",\"consumer\":\"grp#x\",\"stream_seq\":1}";
    let subject = "$JS.EVENT.ADVISORY.CONSUMER.MAX_DELIVERIES.plain#a$1.grp#x";
    request(&mut world, a, subject, advisory);
    let letters = world.shard.memphis().unwrap().book().tenant("$G").unwrap();
    assert_eq!(letters.dead_letters.iter().count(), 0);
}

#[test]
fn what_goes_to_partition_0_arrives_in_the_last_one() {
    let mut world = world();
    let a = sdk(&mut world);
    request(&mut world, a, "$memphis_station_creations", STATION);
    request(&mut world, a, "$memphis_consumer_creations", CONSUMER);
    let ack = request(&mut world, a, "plain#a$0.final", "hello");
    assert!(
        ack.contains("{\"stream\":\"plain#a$2\",\"seq\":1}"),
        "{ack}"
    );
    let next = "$JS.API.CONSUMER.MSG.NEXT.plain#a$0.grp#x";
    let got = request(&mut world, a, next, "{\"batch\":1}");
    assert!(got.contains("hello"), "{got}");
    world.restart();
    let b = sdk(&mut world);
    let ack = request(&mut world, b, "plain#a$0.final", "again");
    assert!(
        ack.contains("{\"stream\":\"plain#a$2\",\"seq\":2}"),
        "{ack}"
    );
}

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

//! Memphis SDKs against a shard: the lines that they really send.

mod people;
mod tiering;

use alloc::format;
use alloc::string::String;

use config::Options;
use config::options::Memphis;
use protocol::id::ConnId;
use storage::StoreOptions;

use super::harness::World;
use crate::effects::Rules;

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

/// Returns a world whose store is so small that little makes it flush and write checkpoints.
fn world_that_flushes(memphis: Memphis) -> World {
    let mut options = Options {
        memphis: Some(memphis),
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
    let mut world = world_that_flushes(Memphis::default());
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
fn plain_clients_are_held_to_the_rules_of_names_and_sdks_are_not() {
    let mut world = world();
    let sdk = sdk(&mut world);
    let plain = world.accept(Rules::Memphis);
    world.ask(plain, &LOGIN.replace("u1::root", "nats-app"));
    world.ask(plain, "SUB in.* 2\r\n");
    let mut make = |client, name: &str| {
        let subject = format!("$JS.API.STREAM.CREATE.{name}");
        let body = format!("{{\"name\":\"{name}\",\"subjects\":[\"of.{name}\"]}}");
        request(&mut world, client, &subject, &body)
    };
    for name in ["odd$1", "odd#name", "_odd", "ödd"] {
        let refused = make(plain, name);
        assert!(refused.contains("\"err_code\":10049"), "{name}: {refused}");
        let made = make(sdk, name);
        assert!(made.contains("\"did_create\":true"), "{name}: {made}");
    }
    assert!(make(plain, "Even-1_b").contains("\"did_create\":true"));
}

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
fn connections_of_the_same_id_are_one_client_until_the_last_of_them_is_gone() {
    let mut world = world();
    let watcher = world.accept(Rules::Memphis);
    world.ask(watcher, &LOGIN.replace("u1::root", "u9::root"));
    world.ask(watcher, "SUB in.* 2\r\n");
    let (first, second) = (sdk(&mut world), sdk(&mut world));
    request(&mut world, first, "$memphis_producer_creations", PRODUCER);
    // Who logs in again on the same connection is still one client.
    world.ask(second, LOGIN);
    let is_there = |world: &mut World| {
        let body = "{\"station_name\":\"plain.a\"}";
        let route = "$memphis_api.monitoring.getStationOverviewData";
        let shown = request(world, watcher, route, body);
        assert!(shown.contains("\"is_active\""), "{shown}");
        shown.contains("\"is_active\":true")
    };
    assert!(is_there(&mut world));
    world.leave(first);
    assert!(is_there(&mut world), "the second one is left");
    world.leave(second);
    assert!(!is_there(&mut world));
}

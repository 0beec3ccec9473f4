//! Streams through the whole shard, with a disk that answers when told to.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use core::time::Duration;

use config::Options;
use protocol::id::ConnId;
use storage::StoreOptions;

use super::harness::World;
use crate::effects::{Input, Rules};
use crate::streams::Storage;

#[test]
fn a_publish_is_acknowledged_when_the_disk_has_it_and_not_before() {
    let mut world = world();
    let a = world.client();
    create(&mut world, a, "S", "s.*");
    world.say(a, "PUB s.a in 2\r\nhi\r\n");
    assert_eq!(world.hear(a), "");
    world.settle_disk();
    assert_eq!(
        world.hear(a),
        "MSG in 1 22\r\n{\"stream\":\"S\",\"seq\":1}\r\n"
    );
}

#[test]
fn a_batch_of_publishes_shares_one_sync() {
    let mut world = world();
    let a = world.client();
    create(&mut world, a, "S", "s.*");
    let before = world.shard.storage().unwrap().stats.syncs;
    world.say(a, &"PUB s.a in 2\r\nhi\r\n".repeat(100));
    world.settle_disk();
    assert_eq!(world.hear(a).matches("\"seq\":").count(), 100);
    assert_eq!(world.shard.storage().unwrap().stats.syncs, before + 1);
}

#[test]
fn messages_for_many_streams_that_come_together_go_each_where_it_belongs() {
    let mut world = world();
    let a = world.client();
    for i in 0..80 {
        let subject = ["s.", "w."].map(|kind| format!("{kind}{i}"));
        create(&mut world, a, &format!("S{i}"), &subject[0]);
        create(
            &mut world,
            a,
            &format!("W{i}"),
            &format!("{}.>", subject[1]),
        );
    }
    let mut sent = String::new();
    for i in 0..80 {
        sent += &format!("PUB s.{i} in 2\r\nhi\r\nPUB nobody.{i} 2\r\nhi\r\n");
        sent += &format!("pub w.{i}.x in 2\r\nhi\r\nPING\r\nPUB w.{i}.y in 2\r\nhi\r\n");
    }
    // In two reads, cut within a message.
    let (first, second) = sent.split_at(sent.len() / 2 + 1);
    world.say(a, first);
    world.say(a, second);
    world.settle_disk();
    let heard = world.hear(a);
    for i in 0..80 {
        for (name, seqs) in [(format!("S{i}"), 1), (format!("W{i}"), 2)] {
            for seq in 1..=seqs {
                let ack = format!("{{\"stream\":\"{name}\",\"seq\":{seq}}}\r\n");
                assert_eq!(heard.matches(&ack).count(), 1, "{ack}");
            }
        }
    }
    assert_eq!(heard.matches("\"seq\":").count(), 240);
}

#[test]
fn core_subscribers_get_what_a_stream_stores_at_once() {
    let mut world = world();
    let (a, b) = (world.client(), world.client());
    create(&mut world, a, "S", "s.*");
    world.say(b, "SUB s.> 9\r\n");
    world.say(a, "PUB s.a 2\r\nhi\r\n");
    assert_eq!(world.hear(b), "MSG s.a 9 2\r\nhi\r\n");
}

#[test]
fn subjects_of_jetstream_nobody_serves_have_no_responders() {
    let mut world = world();
    let a = world.client();
    world.say(a, "SUB in 1\r\n");
    let heard = world.ask(a, "PUB $JS.ACK.nope.c.1.1.1.1.1 in 0\r\n\r\n");
    assert!(heard.starts_with("HMSG in 1 "), "{heard}");
    // An unknown request is met with silence, for a newer server might know it.
    assert_eq!(world.ask(a, "PUB $JS.API.NOPE in 0\r\n\r\n"), "");
}

#[test]
fn without_jetstream_its_api_has_no_responders() {
    let mut world = World::new(Options::default());
    let a = world.client();
    let heard = world.ask(a, "SUB in 1\r\nPUB $JS.API.INFO in 0\r\n\r\n");
    assert!(heard.starts_with("HMSG in 1 "), "{heard}");
    assert!(world.shard.storage().is_none());
}

#[test]
fn a_push_consumer_delivers_once_somebody_listens() {
    let mut world = world();
    let (a, b) = (world.client(), world.client());
    create(&mut world, a, "S", "s.*");
    let config = "{\"stream_name\":\"S\",\"config\":{\"durable_name\":\"C\",\
                  \"deliver_subject\":\"to\",\"ack_policy\":\"none\"}}";
    let subject = "$JS.API.CONSUMER.DURABLE.CREATE.S.C";
    let heard = request(&mut world, a, subject, config);
    assert!(heard.contains("consumer_create_response"), "{heard}");
    world.say(a, "PUB s.a in 2\r\nhi\r\n");
    world.settle_disk();
    world.say(b, "SUB to 3\r\n");
    world.settle_disk();
    let heard = world.hear(b);
    assert!(heard.starts_with("MSG s.a 3 $JS.ACK.S.C.1.1.1."), "{heard}");
    assert!(heard.ends_with(" 2\r\nhi\r\n"), "{heard}");
}

#[test]
fn pull_requests_that_wait_are_told_of_the_shutdown() {
    let mut world = world();
    let a = world.client();
    create(&mut world, a, "S", "s.*");
    let config = r#"{"stream_name":"S","config":{"durable_name":"c","ack_policy":"explicit"}}"#;
    request(&mut world, a, "$JS.API.CONSUMER.DURABLE.CREATE.S.c", config);
    let ask = r#"{"batch":5,"expires":20000000000,"max_bytes":500}"#;
    request(&mut world, a, "$JS.API.CONSUMER.MSG.NEXT.S.c", ask);
    world.input(Input::Shutdown);
    let told = "NATS/1.0 409 Server Shutdown\r\nNats-Pending-Messages: 5\r\n\
                Nats-Pending-Bytes: 500\r\n\r\n";
    let heard = world.hear(a);
    assert!(heard.contains(told), "{heard}");
}

#[test]
fn a_publisher_that_outruns_the_disk_is_paused() {
    let mut options = Options::default();
    options.jetstream.enabled = true;
    options.limits.payload_max = 8 << 20;
    let mut world = World::new(options);
    world.recover();
    let a = world.client();
    create(&mut world, a, "S", "s.*");
    let payload = "x".repeat(8 << 20);
    for _ in 0..5 {
        world.say(a, &format!("PUB s.a in {}\r\n{payload}\r\n", payload.len()));
    }
    assert_eq!(world.gates, [(a, true)]);
    world.settle_disk();
    assert_eq!(world.gates, [(a, true), (a, false)]);
    assert_eq!(world.hear(a).matches("\"seq\":").count(), 5);
}

#[test]
fn a_push_consumer_waits_for_a_client_that_reads_slowly() {
    let mut options = Options::default();
    options.jetstream.enabled = true;
    options.limits.pending_max = 16 << 20;
    let mut world = World::new(options);
    world.recover();
    let a = world.client();
    create(&mut world, a, "S", "s.*");
    let payload = "x".repeat(1 << 20);
    for _ in 0..20 {
        world.say(a, &format!("PUB s.a {}\r\n{payload}\r\n", payload.len()));
        world.settle_disk();
    }
    let b = world.client();
    world.say(b, "SUB deliver 1\r\n");
    let config = "{\"stream_name\":\"S\",\"config\":{\"name\":\"c\",\"deliver_subject\":\"deliver\",\
                  \"ack_policy\":\"none\"}}";
    request(&mut world, a, "$JS.API.CONSUMER.CREATE.S.c", config);
    let mut got = 0;
    for _ in 0..20 {
        world.settle_disk();
        let heard = world.hear(b);
        assert!(heard.len() < 12 << 20, "{} bytes at once", heard.len());
        got += heard.matches("MSG s.a").count();
        world.wait(Duration::from_millis(3));
    }
    assert_eq!(got, 20);
    assert_eq!(world.reason(b), None);
}

#[test]
fn messages_that_moved_out_of_the_log_are_there_after_each_restart() {
    const ROUNDS: usize = 400;
    let store = StoreOptions {
        log_file_len: 64 << 10,
        log_file_len_first: 16 << 10,
        tail_cache_max: 8 << 10,
        read_len: 4 << 10,
        chunk_len: 8 << 10,
        flush_threshold: 48 << 10,
        checkpoint_step: 12 << 10,
        ..StoreOptions::default()
    };
    let mut options = Options::default();
    options.jetstream.enabled = true;
    let mut world = World::with_store(options, store);
    world.recover();
    let a = world.client();
    create(&mut world, a, "S", "s");
    for round in 1..=ROUNDS {
        world.say(a, &format!("PUB s in 500\r\n{round:0500}\r\n"));
        world.settle_disk();
    }
    assert!(world.shard.storage().unwrap().stats.segments > 0);
    // The second restart begins with a checkpoint that the first one may have written again.
    for _ in 0..2 {
        world.restart();
        world.wait(Duration::from_secs(5));
        world.settle_disk();
        let a = world.client();
        world.say(a, "SUB in 1\r\n");
        for round in [1, 2, ROUNDS / 2, ROUNDS] {
            let body = format!("{{\"seq\":{round}}}");
            let line = format!("PUB $JS.API.DIRECT.GET.S in {}\r\n{body}\r\n", body.len());
            world.say(a, &line);
            world.settle_disk();
            let heard = world.hear(a);
            assert!(heard.ends_with(&format!("{round:0500}\r\n")), "{heard}");
        }
    }
    let a = world.client();
    world.say(a, "SUB in 1\r\n");
    world.say(a, "PUB s in 2\r\nhi\r\n");
    world.settle_disk();
    let ack = format!("\"seq\":{}}}\r\n", ROUNDS + 1);
    assert!(world.hear(a).ends_with(&ack));
}

#[test]
fn memphis_clients_name_streams_by_memphis_rules() {
    let mut options = Options::default();
    options.jetstream.enabled = true;
    options.memphis = Some(config::options::Memphis::default());
    let mut world = World::new(options);
    world.recover();
    let a = world.accept(Rules::Memphis);
    let login = "CONNECT {\"verbose\":false,\"user\":\"root\",\"pass\":\"memphis\"}\r\n";
    world.say(a, login);
    world.hear(a);
    create(&mut world, a, "S", "s.*");
}

fn three_messages() -> World {
    let mut world = world();
    let a = world.client();
    create(&mut world, a, "S", "s");
    for body in ["one", "two", "six"] {
        world.say(a, &format!("PUB s in 3\r\n{body}\r\n"));
        world.settle();
    }
    world
}

#[test]
fn a_log_that_cannot_be_read_closes_jetstream_and_nothing_else() {
    let mut world = three_messages();
    world.refuses_reads = true;
    world.restart();
    assert!(!world.shard.is_ready(), "it is tried again first");
    for _ in 0..StoreOptions::default().recovery_read_attempts {
        world.wait(Duration::from_secs(1));
        world.settle();
    }
    let storage = world.shard.storage().map(|view| view.storage);
    assert_eq!(storage, Some(Storage::Unreadable));
    assert!(
        world
            .shard
            .storage_failure()
            .unwrap()
            .contains("checkpoint-")
    );

    let a = world.client();
    world.say(a, "SUB in 1\r\n");
    let info = request(&mut world, a, "$JS.API.STREAM.INFO.S", "");
    assert!(info.contains("\"err_code\":10008"), "{info}");
    world.say(a, "PUB $JS.API.CONSUMER.MSG.NEXT.S.c in 0\r\n\r\n");
    assert!(world.hear(a).contains("503"));
    world.say(a, "PUB in 2\r\nhi\r\n");
    assert!(world.hear(a).contains("hi"), "core messages go on");

    world.refuses_reads = false;
    world.restart();
    let a = world.client();
    world.say(a, "SUB in 1\r\n");
    let info = request(&mut world, a, "$JS.API.STREAM.INFO.S", "");
    assert!(info.contains("\"last_seq\":3"), "{info}");
}

#[test]
fn behind_a_hole_in_the_log_no_message_takes_the_number_of_another() {
    let mut world = three_messages();
    world.rot(b"two");
    world.restart();
    for seq in 3..5 {
        let storage = world.shard.storage().map(|view| view.storage);
        assert_eq!(storage, Some(Storage::Live));
        let a = world.client();
        world.say(a, "SUB in 1\r\n");
        let info = request(&mut world, a, "$JS.API.STREAM.INFO.S", "");
        assert!(info.contains(&format!("\"last_seq\":{seq}")), "{info}");
        assert!(info.contains("\"lost\":{\"msgs\":[2]"), "{info}");
        let third = request(&mut world, a, "$JS.API.STREAM.MSG.GET.S", "{\"seq\":3}");
        assert!(third.contains("c2l4"), "it is still the third: {third}");
        let stored = request(&mut world, a, "s", "new");
        assert!(stored.contains(&format!("\"seq\":{}", seq + 1)), "{stored}");
        // Another start sees the same.
        world.restart();
    }
}

#[test]
fn messages_of_a_stream_whose_creation_is_lost_are_told() {
    let mut world = three_messages();
    world.rot(b"\"name\":\"S\"");
    world.restart();
    let a = world.client();
    world.say(a, "SUB in 1\r\n");
    let info = request(&mut world, a, "$JS.API.STREAM.INFO.S", "");
    assert!(info.contains("stream not found"), "{info}");
    let orphans = world.shard.jetstream().map(jetstream::JetStream::orphans);
    assert_eq!(orphans, Some((1, 3)));
    create(&mut world, a, "S", "s");
    let stored = request(&mut world, a, "s", "new");
    assert!(stored.contains("\"seq\":1"), "{stored}");
}

fn world() -> World {
    let mut options = Options::default();
    options.jetstream.enabled = true;
    let mut world = World::new(options);
    assert_eq!(
        world.shard.storage().map(|view| view.storage),
        Some(Storage::Recovering)
    );
    world.recover();
    assert!(world.shard.is_ready());
    world
}

fn create(world: &mut World, client: ConnId, name: &str, subject: &str) {
    world.say(client, "SUB in 1\r\n");
    let config =
        format!("{{\"name\":\"{name}\",\"subjects\":[\"{subject}\"],\"allow_direct\":true}}");
    let heard = request(
        world,
        client,
        &format!("$JS.API.STREAM.CREATE.{name}"),
        &config,
    );
    assert!(heard.contains("\"did_create\":true"), "{heard}");
}

/// Asks the API, and returns what comes back on the inbox.
fn request(world: &mut World, client: ConnId, subject: &str, body: &str) -> String {
    world.say(
        client,
        &format!("PUB {subject} in {}\r\n{body}\r\n", body.len()),
    );
    world.settle_disk();
    let heard = world.hear(client);
    let lines: Vec<&str> = heard.split("\r\n").collect();
    String::from(lines.get(1).copied().unwrap_or_default())
}

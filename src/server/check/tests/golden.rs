//! The directories under `snapshots/golden`: stores as a version of the format has written them. Each must
//! open, and give what `state.json` beside it says.
//!
//! `GOLDEN=make cargo test -p server golden` makes the directories that are not there, `GOLDEN=record` writes
//! what is found into each `state.json`; CONTRIBUTING.md says when that is due.

use core::net::SocketAddr;
use std::env;

use broker::{Accepted, ConnId, Rules, Security, Storage};
use bytes::BytesMut;
use serde_json::json;

use super::*;

/// Small, so that a hundred messages make segments, checkpoints and some log.
fn options() -> StoreOptions {
    StoreOptions {
        log_file_len: 8 << 10,
        log_file_len_first: 8 << 10,
        log_reserve: 512,
        flush_threshold: 12 << 10,
        checkpoint_step: 4 << 10,
        scrub_rate: 0,
        ..StoreOptions::default()
    }
}

/// When the stores were made; nothing in them may outlive its age by the time that they are opened.
const MADE: Wall = Wall(1_790_000_000_000_000_000);

/// A server with one client, on a directory.
struct Server {
    session: Session,
    client: ConnId,
}

impl Server {
    fn start(dir: &Path) -> Self {
        let (disk, key) = QuietDisk::open(dir, &encryption_of(dir)).unwrap();
        let mut session = Session::new(disk, StoreOptions { key, ..options() }, MADE);
        session.shard.start(session.now, &mut session.fx);
        session.do_all();
        let storage = session.shard.storage().map(|view| view.storage);
        assert_eq!(storage, Some(Storage::Live), "{}", dir.display());
        let accepted = Accepted {
            peer: SocketAddr::from(([127, 0, 0, 1], 5000)),
            local: SocketAddr::from(([127, 0, 0, 1], 4222)),
            rules: Rules::Nats,
            security: Security::Plain,
            origin_follows: false,
            websocket: None,
        };
        let mut fx = Effects::default();
        let client = session.shard.accept(session.now, accepted, &mut fx);
        let mut server = Self { session, client };
        server.say("CONNECT {\"verbose\":false,\"headers\":true}\r\nSUB in 1\r\nSUB work.* 2\r\n");
        server.hear();
        server
    }

    fn say(&mut self, text: &str) {
        let mut buf = BytesMut::from(text);
        let conn = self.client;
        let buf = &mut buf;
        self.session.input(Input::Bytes { conn, buf });
        self.session.do_all();
    }

    fn hear(&mut self) -> String {
        let (mut all, mut part) = (BytesMut::new(), BytesMut::new());
        while self.session.shard.take_outbound(self.client, &mut part) {
            all.extend_from_slice(&part);
        }
        String::from_utf8(all.to_vec()).unwrap()
    }

    /// Sends a request, and returns the first line of the answer's body.
    fn ask(&mut self, subject: &str, body: &str) -> Value {
        self.hear();
        self.say(&format!("PUB {subject} in {}\r\n{body}\r\n", body.len()));
        let heard = self.hear();
        let mut answer = heard
            .split("\r\n")
            .skip_while(|line| !line.starts_with("MSG in "));
        let answer = answer
            .nth(1)
            .unwrap_or_else(|| panic!("{subject}: {heard}"));
        serde_json::from_str(answer).unwrap()
    }

    fn api(&mut self, request: &str, body: &Value) -> Value {
        self.ask(&format!("$JS.API.{request}"), &body.to_string())
    }
}

/// Fills a store: several kinds of streams, consumers on their way, removals, message ids.
fn fill(server: &mut Server) {
    let streams = [
        json!({"name": "ORDERS", "subjects": ["orders.*"], "allow_direct": true}),
        json!({"name": "WORK", "subjects": ["work.*"], "retention": "workqueue"}),
        json!({"name": "KV_config", "subjects": ["$KV.config.>"], "max_msgs_per_subject": 3,
            "allow_rollup_hdrs": true, "deny_delete": true, "discard": "new"}),
        json!({"name": "PACKED", "subjects": ["packed"], "compression": "s2"}),
        json!({"name": "EMPTY", "subjects": ["empty"], "max_age": 3_600_000_000_000_u64}),
        json!({"name": "TIMED", "subjects": ["timed.>"], "allow_msg_ttl": true,
            "subject_delete_marker_ttl": 3_600_000_000_000_u64, "allow_msg_schedules": true}),
        json!({"name": "COUNTS", "subjects": ["counts.*"], "allow_msg_counter": true}),
        json!({"name": "COPY", "mirror": {"name": "ORDERS", "filter_subject": "orders.1"}}),
    ];
    for stream in streams {
        let name = stream["name"].as_str().unwrap().to_owned();
        let made = server.api(&format!("STREAM.CREATE.{name}"), &stream);
        assert_eq!(made["did_create"], true, "{made}");
    }
    for (stream, name) in [("ORDERS", "reader"), ("WORK", "worker")] {
        let config =
            json!({"durable_name": name, "ack_policy": "explicit", "ack_wait": 60_000_000_000_u64});
        let body = json!({"stream_name": stream, "config": config});
        let made = server.api(&format!("CONSUMER.CREATE.{stream}.{name}"), &body);
        assert_eq!(made["name"], name, "{made}");
    }
    for number in 0..90 {
        let body = format!("order {number} {}", "o".repeat(number % 50));
        let head = format!("NATS/1.0\r\nNats-Msg-Id: id-{number}\r\n\r\n");
        let (head_len, len) = (head.len(), head.len() + body.len());
        let subject = format!("orders.{}", number % 4);
        server.say(&format!(
            "HPUB {subject} in {head_len} {len}\r\n{head}{body}\r\n"
        ));
        server.ask("packed", &format!("{number} {}", "again and ".repeat(8)));
        server.ask(&format!("work.{}", number % 3), &format!("job {number}"));
        server.ask(
            &format!("$KV.config.key{}", number % 7),
            &format!("value {number}"),
        );
    }
    fill_features(server);
    for seq in [2, 50] {
        server.api("STREAM.MSG.DELETE.ORDERS", &json!({ "seq": seq }));
    }
    server.api(
        "STREAM.PURGE.ORDERS",
        &json!({"filter": "orders.3", "keep": 2}),
    );
    for (stream, name, count) in [("WORK", "worker", 20), ("ORDERS", "reader", 7)] {
        let body = json!({"batch": count, "no_wait": true}).to_string();
        let subject = format!("$JS.API.CONSUMER.MSG.NEXT.{stream}.{name}");
        server.hear();
        server.say(&format!("PUB {subject} in {}\r\n{body}\r\n", body.len()));
        let heard = server.hear();
        let replies = heard
            .lines()
            .filter_map(|line| line.split(' ').find(|w| w.starts_with("$JS.ACK.")));
        // Some stay out.
        for reply in replies
            .take(count - 3)
            .map(str::to_owned)
            .collect::<Vec<_>>()
        {
            server.say(&format!("PUB {reply} 4\r\n+ACK\r\n"));
        }
    }
    server.ask("orders.0", "in the log only");
}

/// Stores what is kept of messages and consumers beside the usual.
fn fill_features(server: &mut Server) {
    let with_headers = [
        ("timed.session", "Nats-TTL: 1h"),
        ("timed.pinned", "Nats-TTL: never"),
        (
            "timed.plan",
            "Nats-Schedule: @at 2036-01-01T00:00:00Z\r\nNats-Schedule-Target: timed.done",
        ),
        ("counts.visits", "Nats-Incr: +5"),
        ("counts.visits", "Nats-Incr: -2"),
    ];
    for (subject, headers) in with_headers {
        let head = format!("NATS/1.0\r\n{headers}\r\n\r\n");
        let len = head.len();
        server.hear();
        server.say(&format!("HPUB {subject} in {len} {len}\r\n{head}\r\n"));
        let heard = server.hear();
        assert!(heard.contains("\"seq\":"), "{subject}: {heard}");
    }
    let config = json!({"durable_name": "paused", "ack_policy": "explicit",
        "filter_subjects": ["orders.1", "orders.2"], "pause_until": "2036-01-01T00:00:00Z"});
    let body = json!({"stream_name": "ORDERS", "config": config});
    let made = server.api("CONSUMER.CREATE.ORDERS.paused", &body);
    assert_eq!(made["paused"], true, "{made}");
}

/// Returns all that clients can see of a store, and what a check says of it.
fn state(dir: &Path) -> Value {
    let (mut checked, code) = check(dir, false);
    checked["directory"] = Value::Null;
    let mut server = Server::start(dir);
    let names = server.api("STREAM.NAMES", &json!({}));
    let mut streams = Vec::new();
    for name in names["streams"].as_array().unwrap() {
        let name = name.as_str().unwrap();
        let mut info = server.api(
            &format!("STREAM.INFO.{name}"),
            &json!({"deleted_details": true}),
        );
        // Who answers, and when, is none of the store's business.
        (info["ts"], info["cluster"]) = (Value::Null, Value::Null);
        let last = info["state"]["last_seq"].as_u64().unwrap();
        let messages: Vec<Value> = (1..=last)
            .map(|seq| server.api(&format!("STREAM.MSG.GET.{name}"), &json!({ "seq": seq })))
            .map(|mut got| got["message"].take())
            .filter(|message| !message.is_null())
            .collect();
        let mut consumers = server.api(&format!("CONSUMER.LIST.{name}"), &json!({}));
        let mut consumers = consumers["consumers"].take();
        for consumer in consumers.as_array_mut().unwrap() {
            (consumer["ts"], consumer["cluster"]) = (Value::Null, Value::Null);
            if let Some(remaining) = consumer.get_mut("pause_remaining") {
                *remaining = Value::Null;
            }
        }
        streams.push(json!({"info": info, "messages": messages, "consumers": consumers}));
    }
    json!({"check": checked, "check_code": code, "streams": streams})
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

/// Flips a bit of a message that lies in a segment, and one of the last in the log.
fn damage(dir: &Path) {
    for (kind, text) in [("segment", "order 12 "), ("log", "in the log only")] {
        let files = contents(dir)
            .into_iter()
            .filter(|(name, _)| name.starts_with(kind));
        let found = files.into_iter().find_map(|(name, bytes)| {
            let at = bytes
                .windows(text.len())
                .position(|part| part == text.as_bytes())?;
            Some((name, bytes, at))
        });
        let (name, mut bytes, at) = found.unwrap();
        bytes[at] ^= 1;
        fs::write(dir.join(name), bytes).unwrap();
    }
}

fn make(root: &Path) {
    let (whole, damaged) = (root.join("current/whole"), root.join("current/damaged"));
    let encrypted = root.join("current/encrypted");
    if !whole.exists() {
        make_whole(&whole);
        copy(&whole.join("store"), &damaged.join("store"));
        damage(&damaged.join("store"));
        record(&whole);
        record(&damaged);
    }
    if !encrypted.exists() {
        let store = encrypted.join("store");
        fs::create_dir_all(&store).unwrap();
        let encryption = Encryption {
            key: Some("golden".into()),
            ..Encryption::default()
        };
        QuietDisk::open(&store, &encryption).unwrap();
        make_whole(&encrypted);
        let readable = contents(&store).into_iter();
        let readable = readable.filter(|(_, bytes)| bytes.windows(6).any(|part| part == b"order "));
        assert_eq!(readable.map(|(name, _)| name).collect::<Vec<_>>(), [""; 0]);
        record(&encrypted);
    }
}

fn make_whole(whole: &Path) {
    fs::create_dir_all(whole.join("store")).unwrap();
    let mut server = Server::start(&whole.join("store"));
    fill(&mut server);
    for _ in 0..3 {
        server.session.now.mono.0 += TICK_NS;
        server.session.input(Input::Timeout);
        server.session.do_all();
    }
}

fn record(dir: &Path) {
    let text = format!("{:#}\n", found(dir));
    fs::write(dir.join("state.json"), text).unwrap();
}

/// Returns what a copy of a store holds.
fn found(dir: &Path) -> Value {
    let copied = tempfile::tempdir().unwrap();
    copy(&dir.join("store"), copied.path());
    state(copied.path())
}

#[test]
fn stores_of_every_kept_format_open_and_hold_what_was_recorded() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../snapshots/golden");
    let wish = env::var("GOLDEN").unwrap_or_default();
    if wish == "make" {
        make(&root);
    }
    let mut opened = 0;
    for version in fs::read_dir(&root).unwrap() {
        for kind in fs::read_dir(version.unwrap().path()).unwrap() {
            let dir = kind.unwrap().path();
            if wish == "record" {
                record(&dir);
            }
            let recorded = fs::read(dir.join("state.json")).unwrap();
            let recorded: Value = serde_json::from_slice(&recorded).unwrap();
            let found = found(&dir);
            for part in ["check", "check_code", "streams"] {
                let (found, recorded) = (&found[part], &recorded[part]);
                assert!(
                    found == recorded,
                    "{}: {part} is not as recorded",
                    dir.display()
                );
            }
            opened += 1;
        }
    }
    assert!(opened >= 6, "{opened} directories");
}

#[test]
fn stores_called_current_are_of_the_format_that_is_written() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../snapshots/golden/current");
    let store = root.join("whole/store");
    let newest = fs::read(store.join(newest_checkpoint(&store))).unwrap();
    // The first record is the head, and behind the second one's head its contents begin with the version.
    let head_len = u32::from_le_bytes(newest[8..12].try_into().unwrap()) as usize;
    let first = (16 + head_len).next_multiple_of(8);
    assert_eq!(newest[first + 16], jetstream::SECTIONS_VERSION);
}

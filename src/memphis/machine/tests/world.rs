//! The machine on its host, and what clients ask of it.

mod host;

use alloc::format;
use alloc::rc::Rc;
use alloc::string::String;
use alloc::vec::Vec;

use protocol::time::Now;
use serde_json::{Value, json};

use crate::book::DyingKey;
use crate::dead::death;
use crate::guard::{Compiled, SchemaLibrary, SchemaText, Validator};
use crate::machine::*;
use crate::manage::{Call, CallId};
use host::Happening;
pub(super) use host::{FakeHost, Stored, Stream};

pub(super) const ACCOUNT: AccountId = AccountId(3);
const INBOX: &str = "inbox";

/// A schema language for tests: a JSON object, each of whose keys a message must have.
#[derive(Debug)]
struct Keys;

#[derive(Debug)]
struct Wanted(Vec<String>);

impl SchemaLibrary for Keys {
    fn compile(&self, schema: SchemaText<'_>) -> Result<Compiled, String> {
        let content: Value =
            serde_json::from_str(schema.content).map_err(|_| "your json schema is invalid")?;
        let keys = content.as_object().into_iter().flat_map(|map| map.keys());
        Ok(Compiled {
            validator: Rc::new(Wanted(keys.cloned().collect())),
            descriptor: schema.file_name.into(),
            message_struct: "First".into(),
        })
    }
}

impl Validator for Wanted {
    fn check(&self, message: &[u8]) -> Result<(), String> {
        let message: Value = serde_json::from_slice(message).map_err(|e| format!("{e}"))?;
        match self.0.iter().find(|key| message.get(key).is_none()) {
            Some(key) => Err(format!("{key} is missing")),
            None => Ok(()),
        }
    }
}

pub(super) struct World {
    pub(super) memphis: Memphis,
    pub(super) host: FakeHost,
}

impl World {
    pub(super) fn new() -> Self {
        let mut world = Self {
            memphis: machine(),
            host: FakeHost::default(),
        };
        world.pass(Duration::from_secs(1_000_000));
        world.memphis.recovered(&mut world.host);
        world
    }

    pub(super) fn pass(&mut self, time: Duration) {
        let now = self.host.now;
        self.host.now = Now {
            mono: now.mono + time,
            wall: now.wall + time,
        };
    }

    /// Sends a request without waiting for anything.
    pub(super) fn send(&mut self, subject: &str, body: &Value) {
        self.publish(subject, INBOX, body);
    }

    /// Publishes what nobody waits for, and lets it take its course.
    pub(super) fn tell(&mut self, subject: &str, body: &Value) {
        self.publish(subject, "", body);
        self.run();
    }

    fn publish(&mut self, subject: &str, reply: &str, body: &Value) {
        let body = format!("{body}");
        let request = Request {
            subject: subject.as_bytes(),
            reply: reply.as_bytes(),
            body: body.as_bytes(),
            ..Request::default()
        };
        self.memphis.request(ACCOUNT, &request, &mut self.host);
    }

    /// A consumer gives up a message, or has delivered it as often as it may.
    pub(super) fn note_death(&mut self, stream: &str, consumer: &str, reason: &str) {
        let key = DyingKey {
            stream: stream.into(),
            consumer: consumer.into(),
            seq: 1,
        };
        let now = self.host.now.wall;
        let entry = death("$memphis", now, key, reason.as_bytes(), None);
        self.host.record(&entry);
    }

    /// Sends a request; returns the reply once everything has come to rest.
    pub(super) fn ask(&mut self, subject: &str, body: &Value) -> String {
        self.send(subject, body);
        self.run();
        let mut replies = self.take_replies();
        let reply = replies.pop().expect("no answer");
        assert!(replies.is_empty(), "more than one answer");
        reply
    }

    /// Sends a request; the reply is empty, which SDKs take for success.
    pub(super) fn ask_ok(&mut self, subject: &str, body: &Value) {
        assert_eq!(self.ask(subject, body), "");
    }

    pub(super) fn ask_json(&mut self, subject: &str, body: &Value) -> Value {
        let reply = self.ask(subject, body);
        serde_json::from_str(&reply).unwrap_or_else(|_| panic!("not JSON: {reply}"))
    }

    /// Calls the management interface as the driver does.
    pub(super) fn call(&mut self, user: &str, route: &str, body: &Value) -> (u16, Value) {
        let body = format!("{body}");
        let call = Call {
            route,
            user,
            body: body.as_bytes(),
        };
        self.memphis
            .manage(ACCOUNT, CallId(9), call, &mut self.host);
        self.run();
        let (id, answer) = self.host.managed.pop().expect("an answer");
        assert_eq!(id, CallId(9));
        (answer.status, answer.body)
    }

    /// Calls the management interface as root, who may.
    pub(super) fn manage(&mut self, route: &str, body: &Value) -> Value {
        let (status, body) = self.call("root", route, body);
        assert_eq!(status, 200, "{body}");
        body
    }

    /// Sends a request as somebody who has logged in.
    pub(super) fn ask_as(&mut self, user: &str, subject: &str, body: &Value) -> String {
        let body = format!("{body}");
        let request = Request {
            subject: subject.as_bytes(),
            reply: INBOX.as_bytes(),
            body: body.as_bytes(),
            asker: Asker { user, lang: "" },
            ..Request::default()
        };
        self.memphis.request(ACCOUNT, &request, &mut self.host);
        self.run();
        self.take_replies().pop().expect("no answer")
    }

    /// Lets one thing happen; false when nothing is left.
    pub(super) fn happen(&mut self) -> bool {
        match self.host.queue.pop_front() {
            Some(Happening::Request(task, subject, msg)) => {
                let answer = format!("{}", self.host.answer(&subject, &msg));
                self.memphis
                    .answered(task, answer.as_bytes(), &mut self.host);
                true
            }
            Some(Happening::Commit(pos, entry)) => {
                self.host.log.push((pos, entry.clone()));
                let applied = self.memphis.apply(pos, &entry, &mut self.host);
                applied.expect("own entries are readable");
                true
            }
            None => false,
        }
    }

    pub(super) fn run(&mut self) {
        while self.happen() {}
        assert!(self.memphis.tasks.is_empty(), "a task was left behind");
        assert!(
            self.memphis.recording.is_empty(),
            "an entry was left behind"
        );
    }

    /// The process ends now and starts again: what was not in log or streams is gone.
    pub(super) fn crash(&mut self) {
        self.host.queue.clear();
        self.host.published.clear();
        self.memphis = machine();
        let log = core::mem::take(&mut self.host.log);
        for (pos, entry) in &log {
            let applied = self.memphis.apply(*pos, entry, &mut self.host);
            applied.expect("own entries are readable");
        }
        assert!(self.host.queue.is_empty(), "replay asks for nothing");
        self.host.log = log;
        self.memphis.recovered(&mut self.host);
        self.run();
    }

    pub(super) fn take_replies(&mut self) -> Vec<String> {
        let published = core::mem::take(&mut self.host.published);
        let (replies, others) = published.into_iter().partition(|(to, _)| to == INBOX);
        self.host.published = others;
        let replies: Vec<(String, Stored)> = replies;
        replies.into_iter().map(|(_, reply)| reply.body).collect()
    }

    /// Returns what was published on `subject` since the last time.
    pub(super) fn take_published(&mut self, subject: &str) -> Vec<Stored> {
        let published = core::mem::take(&mut self.host.published);
        let (wanted, others) = published.into_iter().partition(|(to, _)| to == subject);
        self.host.published = others;
        let wanted: Vec<(String, Stored)> = wanted;
        wanted.into_iter().map(|(_, msg)| msg).collect()
    }

    pub(super) fn streams(&self) -> Vec<&str> {
        self.host.streams.keys().map(String::as_str).collect()
    }

    /// Returns the durables of a stream.
    pub(super) fn durables(&self, stream: &str) -> Vec<&str> {
        let durables = self.host.streams[stream].durables.keys();
        durables.map(String::as_str).collect()
    }

    pub(super) fn store(&mut self, stream: &str, headers: &str, body: &str) {
        let message = Stored {
            headers: headers.into(),
            body: body.into(),
        };
        let stream = self.host.streams.get_mut(stream).expect("a stream");
        stream.messages.push(message);
    }

    /// A message leaves a stream by retention.
    pub(super) fn park(&mut self, stream: &str, seq: u64) {
        let key = (String::from(stream), seq);
        self.host.parked.insert(key, message_of(seq));
    }

    /// The log says what was let go for good; returns it.
    pub(super) fn let_go(&mut self) -> Vec<(String, u64)> {
        let released = core::mem::take(&mut self.host.released);
        for key in &released {
            self.host.parked.remove(key);
        }
        released
    }

    pub(super) fn rows(&self) -> crate::book::Tenant {
        let rows = self.memphis.book().tenant("$memphis");
        rows.cloned().unwrap_or_default()
    }
}

/// The message of a sequence: each differs.
pub(super) fn message_of(seq: u64) -> Parked {
    Parked::Message {
        headers: b"NATS/1.0\r\nMy-Key: V\r\n\r\n".to_vec(),
        payload: format!("m{seq}").into_bytes(),
    }
}

fn machine() -> Memphis {
    let hour = Duration::from_secs(3600);
    let options = Options {
        first: ACCOUNT,
        dead_letters_kept: 3 * hour,
        clients_kept: 3 * hour,
        tiering: Duration::from_secs(8),
    };
    Memphis::new(options, Rc::new(Keys))
}

/// A station creation with SDK defaults and so many partitions.
pub(super) fn station(name: &str, partitions: u32) -> Value {
    json!({
        "name": name, "retention_type": "message_age_sec", "retention_value": 3600,
        "storage_type": "file", "replicas": 1, "idempotency_window_in_ms": 120_000,
        "schema_name": "", "dls_configuration": {"poison": true, "Schemaverse": true},
        "username": "root", "tiered_storage_enabled": false,
        "partitions_number": partitions, "dls_station": "",
    })
}

/// A producer creation as current SDKs send it.
pub(super) fn producer(name: &str, station: &str) -> Value {
    json!({
        "name": name, "station_name": station, "connection_id": "u1",
        "producer_type": "application", "req_version": 4, "username": "root",
        "app_id": "a", "sdk_lang": "python",
    })
}

/// A consumer creation as current SDKs send it.
pub(super) fn consumer(name: &str, station: &str, group: &str) -> Value {
    json!({
        "name": name, "station_name": station, "connection_id": "u1",
        "consumer_type": "application", "consumers_group": group,
        "max_ack_time_ms": 1500, "max_msg_deliveries": 2,
        "start_consume_from_sequence": 1, "last_messages": -1,
        "req_version": 4, "username": "root", "app_id": "a", "sdk_lang": "python",
    })
}

/// Returns `request` with one field changed.
pub(super) fn with(mut request: Value, key: &str, value: impl Into<Value>) -> Value {
    request[key] = value.into();
    request
}

//! A host that remembers streams, durables and the log, and does one thing at a time.

use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::format;
use alloc::rc::Rc;
use alloc::string::String;
use alloc::vec::Vec;
use core::cell::Cell;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::book::{DyingKey, UserRow};
use crate::dead::death;
use crate::guard::{Compiled, SchemaLibrary, SchemaText, Validator};
use crate::machine::*;
use crate::manage::{
    Answer, Call, CallId, ConsumerFacts, PublisherFacts, StreamFacts, TrafficFacts,
};

pub(super) const ACCOUNT: AccountId = AccountId(3);
const INBOX: &str = "inbox";

/// A stored message.
#[derive(Clone, Default)]
pub(super) struct Stored {
    pub(super) headers: String,
    pub(super) body: String,
}

#[derive(Default)]
pub(super) struct Stream {
    pub(super) config: Value,
    pub(super) messages: Vec<Stored>,
    pub(super) durables: BTreeMap<String, Value>,
}

enum Happening {
    Request(TaskId, String, Stored),
    Commit(LogPos, Vec<u8>),
}

#[derive(Default)]
pub(super) struct FakeHost {
    pub(super) streams: BTreeMap<String, Stream>,
    /// Requests on this subject get this error.
    pub(super) refuse: Option<(String, Value)>,
    /// Subjects that somebody listens on.
    pub(super) listened: Vec<String>,
    /// What consumers were given back: stream, consumer, message.
    pub(super) revived: Vec<(String, String, u64)>,
    /// Subjects that were bound.
    pub(super) bound: BTreeSet<String>,
    /// What was passed on: subject and body.
    pub(super) passed_on: Vec<(String, String)>,
    /// Answers to calls of the driver.
    pub(super) managed: Vec<(CallId, Answer)>,
    /// Users that were changed, and whether they are there now.
    pub(super) users_changed: Vec<(String, bool)>,
    /// What was published, inbox and all.
    pub(super) published: Vec<(String, Stored)>,
    /// What was told outside.
    pub(super) notices: Vec<Notice>,
    /// What has gone in and out.
    pub(super) traffic: TrafficFacts,
    pub(super) now: Now,
    /// How often it was asked to name all streams.
    pub(super) visits: Cell<u32>,
    queue: VecDeque<Happening>,
    log: Vec<(LogPos, Vec<u8>)>,
    last_pos: u64,
}

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

impl Host for FakeHost {
    fn now(&self) -> Now {
        self.now
    }

    fn request(&mut self, _: AccountId, task: TaskId, msg: Message<'_>) {
        let subject = text(msg.subject);
        let stored = Stored {
            headers: text(msg.headers),
            body: text(msg.payload),
        };
        self.queue
            .push_back(Happening::Request(task, subject, stored));
    }

    fn publish(&mut self, _: AccountId, msg: Message<'_>) {
        let stored = Stored {
            headers: text(msg.headers),
            body: text(msg.payload),
        };
        self.published.push((text(msg.subject), stored));
    }

    fn pass_on(&mut self, _: AccountId, request: &Request<'_>) {
        self.passed_on
            .push((text(request.subject), text(request.body)));
    }

    fn has_interest(&mut self, _: AccountId, subject: &str) -> bool {
        self.listened.iter().any(|listened| listened == subject)
    }

    fn bind(&mut self, _: AccountId, subject: &str) {
        self.bound.insert(subject.into());
    }

    fn unbind(&mut self, _: AccountId, subject: &str) {
        self.bound.remove(subject);
    }

    fn revive(&mut self, _: AccountId, stream: &str, consumer: &str, seq: u64) -> bool {
        let messages = self.streams.get(stream).map(|s| s.messages.len() as u64);
        let is_there = messages.is_some_and(|last| seq <= last);
        if is_there {
            self.revived.push((stream.into(), consumer.into(), seq));
        }
        is_there
    }

    fn managed(&mut self, call: CallId, answer: &Answer) {
        self.managed.push((call, answer.clone()));
    }

    fn user_changed(&mut self, _: AccountId, user: &str, row: Option<&UserRow>) {
        self.users_changed.push((user.into(), row.is_some()));
    }

    fn stream(&self, _: AccountId, stream: &str) -> Option<StreamFacts> {
        let stream = self.streams.get(stream)?;
        let durables = stream.durables.keys().map(|name| ConsumerFacts {
            name: name.clone(),
            pending: 3,
            ..ConsumerFacts::default()
        });
        Some(StreamFacts {
            retention: None,
            in_memory: false,
            replicas: 1,
            idempotency_ms: 120_000,
            messages: stream.messages.len() as u64,
            bytes: stream.messages.iter().map(|m| m.body.len() as u64).sum(),
            created: 1,
            consumers: durables.collect(),
        })
    }

    fn publishers(&self, _: AccountId, _: &str) -> Vec<PublisherFacts> {
        Vec::from([PublisherFacts {
            connection: 7,
            messages: 2,
            ..PublisherFacts::default()
        }])
    }

    fn notify(&mut self, notices: Vec<Notice>) {
        self.notices.extend(notices);
    }

    fn traffic(&self, _: AccountId) -> TrafficFacts {
        self.traffic
    }

    fn tenants(&self) -> Vec<AccountId> {
        Vec::from([ACCOUNT])
    }

    fn record(&mut self, entry: &[u8]) -> LogPos {
        self.last_pos += 1;
        let pos = LogPos(self.last_pos);
        self.queue.push_back(Happening::Commit(pos, entry.to_vec()));
        pos
    }

    fn streams(&self, _: AccountId, each: &mut dyn FnMut(&str)) {
        self.visits.set(self.visits.get() + 1);
        for stream in self.streams.keys() {
            each(stream);
        }
    }

    fn has_user(&self, _: AccountId, user: &str) -> bool {
        user == "root"
    }

    fn account_name(&self, _: AccountId) -> String {
        "$memphis".into()
    }

    fn account_named(&self, name: &str) -> Option<AccountId> {
        (name == "$memphis").then_some(ACCOUNT)
    }
}

impl FakeHost {
    /// Answers a request as JetStream would.
    fn answer(&mut self, subject: &str, msg: &Stored) -> Value {
        if let Some((refused, error)) = &self.refuse
            && refused == subject
        {
            return json!({"error": error});
        }
        let Some(api) = subject.strip_prefix("$JS.API.") else {
            let stream = subject.strip_suffix(".final").unwrap();
            let stream = self.streams.get_mut(stream).expect("a stream takes it");
            stream.messages.push(msg.clone());
            return json!({"stream": stream.config["name"], "seq": stream.messages.len()});
        };
        let body: Value = serde_json::from_str(&msg.body).unwrap_or_default();
        let tokens: Vec<&str> = api.split('.').collect();
        match tokens[..] {
            ["STREAM", "CREATE", stream] => {
                let stream = self.streams.entry(stream.into()).or_default();
                stream.config = body;
                json!({"type": "io.nats.jetstream.api.v1.stream_create_response"})
            }
            ["STREAM", "PURGE", name] => {
                self.streams.get_mut(name).unwrap().messages.clear();
                json!({"success": true, "purged": 1})
            }
            ["STREAM", verb, name] => {
                let Some(stream) = self.streams.get(name) else {
                    return error(10059, "stream not found");
                };
                let last = stream.messages.len();
                if verb == "DELETE" {
                    self.streams.remove(name);
                }
                json!({"state": {"last_seq": last}})
            }
            ["STREAM", "MSG", "GET", stream] => self.message(stream, &body),
            ["CONSUMER", "DURABLE", "CREATE", stream, durable] => {
                let Some(stream) = self.streams.get_mut(stream) else {
                    return error(10059, "stream not found");
                };
                stream
                    .durables
                    .insert(durable.into(), body["config"].clone());
                json!({"name": durable})
            }
            ["CONSUMER", verb, stream, durable] => {
                let stream = self.streams.get_mut(stream);
                let durables = stream.map(|stream| &mut stream.durables);
                match durables {
                    Some(durables) if durables.contains_key(durable) => {
                        let config = durables[durable].clone();
                        if verb == "DELETE" {
                            durables.remove(durable);
                        }
                        json!({"config": config})
                    }
                    Some(_) | None => error(10014, "consumer not found"),
                }
            }
            _ => panic!("no such request: {subject}"),
        }
    }

    fn message(&self, stream: &str, body: &Value) -> Value {
        let seq = usize::try_from(body["seq"].as_u64().unwrap()).unwrap();
        match self.streams[stream].messages.get(seq - 1) {
            Some(message) => json!({"message": {
                "subject": format!("{stream}.final"),
                "seq": seq,
                "hdrs": STANDARD.encode(&message.headers),
                "data": STANDARD.encode(&message.body),
                "time": "2024-01-02T03:04:05Z",
            }}),
            None => error(10037, "no message found"),
        }
    }
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

    pub(super) fn rows(&self) -> crate::book::Tenant {
        let rows = self.memphis.book().tenant("$memphis");
        rows.cloned().unwrap_or_default()
    }
}

fn machine() -> Memphis {
    let hour = Duration::from_secs(3600);
    let options = Options {
        dead_letters_kept: 3 * hour,
        clients_kept: 3 * hour,
    };
    Memphis::new(options, Rc::new(Keys))
}

fn error(code: u64, description: &str) -> Value {
    json!({"error": {"code": 404, "err_code": code, "description": description}})
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
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

//! A host that remembers streams, durables and the log, and does one thing at a time.

use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::cell::Cell;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use protocol::time::Now;
use serde_json::{Value, json};

use super::{ACCOUNT, message_of};
use crate::book::UserRow;
use crate::machine::*;
use crate::manage::{Answer, CallId, ConsumerFacts, PublisherFacts, StreamFacts, TrafficFacts};

/// A stored message.
#[derive(Clone, Default)]
pub(in crate::machine::tests) struct Stored {
    pub(in crate::machine::tests) headers: String,
    pub(in crate::machine::tests) body: String,
}

#[derive(Default)]
pub(in crate::machine::tests) struct Stream {
    pub(in crate::machine::tests) config: Value,
    pub(in crate::machine::tests) messages: Vec<Stored>,
    pub(in crate::machine::tests) durables: BTreeMap<String, Value>,
}

pub(super) enum Happening {
    Request(TaskId, String, Stored),
    Commit(LogPos, Vec<u8>),
}

#[derive(Default)]
pub(in crate::machine::tests) struct FakeHost {
    pub(in crate::machine::tests) streams: BTreeMap<String, Stream>,
    /// Requests on this subject get this error.
    pub(in crate::machine::tests) refuse: Option<(String, Value)>,
    /// Subjects that somebody listens on.
    pub(in crate::machine::tests) listened: Vec<String>,
    /// What consumers were given back: stream, consumer, message.
    pub(in crate::machine::tests) revived: Vec<(String, String, u64)>,
    /// Subjects that were bound.
    pub(in crate::machine::tests) bound: BTreeSet<String>,
    /// What was passed on: subject and body.
    pub(in crate::machine::tests) passed_on: Vec<(String, String)>,
    /// Answers to calls of the driver.
    pub(in crate::machine::tests) managed: Vec<(CallId, Answer)>,
    /// Users that were changed, and whether they are there now.
    pub(in crate::machine::tests) users_changed: Vec<(String, bool)>,
    /// What was published, inbox and all.
    pub(in crate::machine::tests) published: Vec<(String, Stored)>,
    /// What was told outside.
    pub(in crate::machine::tests) notices: Vec<Notice>,
    /// What reading each message gives that has left: stream and sequence.
    pub(in crate::machine::tests) parked: BTreeMap<(String, u64), Parked>,
    /// How many of each stream were given up.
    pub(in crate::machine::tests) surplus: u64,
    /// What was let go for good and is there until [`World::let_go`](super::World::let_go).
    pub(in crate::machine::tests) released: Vec<(String, u64)>,
    /// Objects on their way.
    pub(in crate::machine::tests) uploads: Vec<Upload>,
    /// What operators were told.
    pub(in crate::machine::tests) warnings: Vec<String>,
    last_unique: u64,
    /// What has gone in and out.
    pub(in crate::machine::tests) traffic: TrafficFacts,
    pub(in crate::machine::tests) now: Now,
    /// How often it was asked to name all streams.
    pub(in crate::machine::tests) visits: Cell<u32>,
    pub(super) queue: VecDeque<Happening>,
    pub(super) log: Vec<(LogPos, Vec<u8>)>,
    last_pos: u64,
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

    fn parking(&self, _: AccountId) -> Vec<ParkingFacts> {
        let parked: BTreeSet<&str> = self.parked.keys().map(|(stream, _)| &**stream).collect();
        let facts = parked.into_iter().map(|stream| ParkingFacts {
            stream: stream.into(),
            surplus: self.surplus,
        });
        facts.collect()
    }

    fn parked(&self, _: AccountId, stream: &str, after: u64, max: usize) -> Vec<u64> {
        let of_stream = self.parked.keys().filter(|(of, _)| of == stream);
        let behind = of_stream.filter(|(_, seq)| *seq > after);
        behind.map(|(_, seq)| *seq).take(max).collect()
    }

    fn read_parked(&mut self, _: AccountId, stream: &str, seq: u64) -> Parked {
        match self.parked.get_mut(&(stream.into(), seq)) {
            Some(parked) => core::mem::replace(parked, message_of(seq)),
            None => Parked::Lost,
        }
    }

    fn release(&mut self, _: AccountId, stream: &str, seqs: &[u64]) {
        let released = seqs.iter().map(|seq| (String::from(stream), *seq));
        self.released.extend(released);
    }

    fn upload(&mut self, upload: Upload) {
        self.uploads.push(upload);
    }

    fn unique(&mut self) -> String {
        self.last_unique += 1;
        format!("u{}", self.last_unique)
    }

    fn warn(&mut self, _: AccountId, text: String) {
        self.warnings.push(text);
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
    pub(super) fn answer(&mut self, subject: &str, msg: &Stored) -> Value {
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

fn error(code: u64, description: &str) -> Value {
    json!({"error": {"code": 404, "err_code": code, "description": description}})
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

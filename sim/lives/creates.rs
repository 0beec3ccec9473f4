//! New streams and consumers, many at once, sharing their syncs: each that was confirmed is there, each
//! whose end was confirmed is not, and no two streams take the same subjects.

use std::collections::BTreeMap;

use core::time::Duration;

use serde_json::{Value as Json, json};

use super::{Feature, Life, Server, ensure};
use crate::client::jetstream::api_answer;

const NAMES: u64 = 8;
/// Streams whose subjects overlap with each other.
const RIVALS: u64 = 3;

/// What is known of a stream or a consumer.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Known {
    /// It is there, with this description.
    There(String),
    Gone,
    Unsure,
}

/// What was done so far: the consumers of a stream go with it.
#[derive(Debug, Default)]
pub(super) struct Creates {
    streams: BTreeMap<String, Known>,
    consumers: BTreeMap<(String, String), Known>,
    marks: u64,
}

/// A request under way.
struct Open {
    inbox: String,
    stream: String,
    consumer: Option<String>,
    /// What it describes, if it creates.
    mark: Option<String>,
}

impl Creates {
    fn begin(&mut self, server: &mut Server) -> Open {
        self.marks += 1;
        let name = if server.rng.one_in(4) {
            format!("R{}", server.rng.below(RIVALS))
        } else {
            format!("T{}", server.rng.below(NAMES))
        };
        let subject = if name.starts_with('R') {
            String::from("r.>")
        } else {
            format!("t.{name}.>")
        };
        let mut open = Open {
            inbox: server.inbox(),
            stream: name.clone(),
            consumer: None,
            mark: Some(format!("mark {}", self.marks)),
        };
        let (what, body) = match server.rng.below(8) {
            0..3 => {
                let body = json!({ "name": name, "subjects": [subject],
                    "description": open.mark });
                (format!("STREAM.CREATE.{name}"), body)
            }
            3..6 => {
                let consumer = format!("c{}", server.rng.below(4));
                let body = json!({ "stream_name": name, "action": "create", "config": {
                    "name": consumer, "durable_name": consumer, "ack_policy": "explicit",
                    "description": open.mark } });
                open.consumer = Some(consumer.clone());
                (format!("CONSUMER.CREATE.{name}.{consumer}"), body)
            }
            6 => {
                open.mark = None;
                (format!("STREAM.DELETE.{name}"), json!({}))
            }
            _ => {
                let consumer = format!("c{}", server.rng.below(4));
                open.mark = None;
                open.consumer = Some(consumer.clone());
                (format!("CONSUMER.DELETE.{name}.{consumer}"), json!({}))
            }
        };
        server.send(
            &format!("$JS.API.{what}"),
            &open.inbox,
            &[],
            &body.to_string(),
        );
        open
    }

    /// Until it is answered, nothing is known of what a request concerns.
    fn doubt(&mut self, open: &Open) {
        match &open.consumer {
            Some(consumer) => {
                let key = (open.stream.clone(), consumer.clone());
                self.consumers.insert(key, Known::Unsure);
            }
            None => {
                self.streams.insert(open.stream.clone(), Known::Unsure);
                for ((stream, _), known) in &mut self.consumers {
                    if *stream == open.stream {
                        *known = Known::Unsure;
                    }
                }
            }
        }
    }

    /// Sends several requests without waiting; no two concern the same.
    fn several(&mut self, server: &mut Server) -> Life {
        let count = 1 + server.rng.below(6);
        let mut all: Vec<(Open, Known)> = Vec::new();
        for _ in 0..count {
            let open = self.begin(server);
            let before = match &open.consumer {
                Some(consumer) => {
                    let key = (open.stream.clone(), consumer.clone());
                    self.consumers.get(&key).cloned()
                }
                None => self.streams.get(&open.stream).cloned(),
            };
            // One that meets another of the same batch is judged by what is there later.
            let meets = all.iter().any(|(other, _)| other.stream == open.stream);
            let before = if meets {
                Known::Unsure
            } else {
                before.unwrap_or(Known::Gone)
            };
            self.doubt(&open);
            all.push((open, before));
        }
        let alone = |stream: &str| {
            let same = all.iter().filter(|(open, _)| open.stream == stream);
            same.count() == 1
        };
        for (open, before) in &all {
            let answer = server.answer(&open.inbox)?;
            let answer = api_answer(&answer).map_err(super::End::Wrong)?;
            if !alone(&open.stream) {
                continue;
            }
            let known = match (&answer, &open.mark) {
                (Ok(_), Some(mark)) => Known::There(mark.clone()),
                (Ok(_), None) => Known::Gone,
                (Err(_), _) => before.clone(),
            };
            match &open.consumer {
                Some(consumer) => {
                    let key = (open.stream.clone(), consumer.clone());
                    self.consumers.insert(key, known);
                }
                None => {
                    if answer.is_ok() {
                        for ((stream, _), known) in &mut self.consumers {
                            if *stream == open.stream && open.mark.is_none() {
                                *known = Known::Gone;
                            }
                        }
                    }
                    self.streams.insert(open.stream.clone(), known);
                }
            }
        }
        Ok(())
    }
}

impl Feature for Creates {
    fn prepare(&mut self, _: &mut Server) -> Life {
        Ok(())
    }

    fn step(&mut self, server: &mut Server) -> Life {
        if server.rng.one_in(6) {
            return server.wait(Duration::from_millis(500));
        }
        self.several(server)
    }

    fn check(&mut self, server: &mut Server) -> Life {
        let list = server.must("STREAM.LIST", &json!({}))?;
        let mark = |json: &Json| {
            let text = json.pointer("/config/description").and_then(Json::as_str);
            text.unwrap_or("").to_owned()
        };
        let name = |json: &Json| {
            let text = json.pointer("/config/name").and_then(Json::as_str);
            text.unwrap_or("").to_owned()
        };
        let streams = list.get("streams").and_then(Json::as_array);
        let streams = streams.cloned().unwrap_or_default();
        let there: BTreeMap<String, String> = streams
            .iter()
            .map(|json| (name(json), mark(json)))
            .collect();
        let rivals = there.keys().filter(|name| name.starts_with('R')).count();
        ensure(rivals <= 1, || {
            format!("{rivals} streams take the same subjects")
        })?;
        for (name, known) in &self.streams {
            let holds = match known {
                Known::There(mark) => there.get(name) == Some(mark),
                Known::Gone => !there.contains_key(name),
                Known::Unsure => true,
            };
            ensure(holds, || {
                format!("{name} is {:?}, known {known:?}", there.get(name))
            })?;
        }
        let mut consumers = BTreeMap::new();
        for stream in there.keys() {
            let list = server.must(&format!("CONSUMER.LIST.{stream}"), &json!({}))?;
            let all = list.get("consumers").and_then(Json::as_array);
            for json in all.cloned().unwrap_or_default() {
                consumers.insert((stream.clone(), name(&json)), mark(&json));
            }
        }
        for (key, known) in &self.consumers {
            let holds = match known {
                Known::There(mark) => consumers.get(key) == Some(mark),
                Known::Gone => !consumers.contains_key(key),
                Known::Unsure => true,
            };
            ensure(holds, || {
                format!("{key:?} is {:?}, known {known:?}", consumers.get(key))
            })?;
        }
        // From now on it is known; what is there stays.
        self.streams = (0..NAMES)
            .map(|i| format!("T{i}"))
            .chain((0..RIVALS).map(|i| format!("R{i}")))
            .map(|name| {
                let known = there.get(&name).cloned().map_or(Known::Gone, Known::There);
                (name, known)
            })
            .collect();
        self.consumers = consumers
            .into_iter()
            .map(|(key, mark)| (key, Known::There(mark)))
            .collect();
        Ok(())
    }
}

//! What an account offers.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

use super::super::reader::{Reader, set};
use super::go_type;
use crate::duration;
use crate::options::{Export, ExportKind, Latency, ResponseType, Sampling};
use crate::value::{Node, Pos, Value};

/// How many of hundred requests are measured where nothing else is said.
const SAMPLING: Sampling = Sampling::Percent(100);

pub(in super::super) fn exports(read: &mut Reader, node: &Node) -> Vec<Export> {
    let Value::List(items) = &node.value else {
        let kind = go_type(&node.value);
        read.error(&node.at, format!("Exports should be an array, got {kind}"));
        return Vec::new();
    };
    items.iter().filter_map(|item| export(read, item)).collect()
}

/// An export while it is read: its keys come in any order.
#[derive(Default)]
struct Draft {
    stream: Option<String>,
    service: Option<String>,
    response: Option<(ResponseType, Pos)>,
    threshold: Option<Duration>,
    accounts: Option<Vec<String>>,
    account_token_position: u32,
    latency: Option<(Latency, Pos)>,
    allow_trace: Option<(bool, Pos)>,
}

fn export(read: &mut Reader, item: &Node) -> Option<Export> {
    let Value::Map(map) = &item.value else {
        let kind = go_type(&item.value);
        let text = format!("Export Items should be a map with type entry, got {kind}");
        read.error(&item.at, text);
        return None;
    };
    let mut draft = Draft::default();
    read.each_of(map, |read, key, node| draft.key(read, key, node));
    let kind = match (draft.stream.is_some(), draft.response) {
        (true, _) => ExportKind::Stream,
        (false, response) => ExportKind::Service {
            response: response.map(|(response, _)| response).unwrap_or_default(),
            threshold: draft.threshold,
        },
    };
    Some(Export {
        kind,
        // What is neither a stream nor a service is nothing, and no mistake.
        subject: draft.stream.or(draft.service)?,
        accounts: draft.accounts,
        account_token_position: draft.account_token_position,
        latency: draft.latency.map(|(latency, _)| latency),
        allow_trace: draft.allow_trace.is_some_and(|(allow, _)| allow),
    })
}

impl Draft {
    fn key(&mut self, read: &mut Reader, key: &str, node: &Node) -> bool {
        match key {
            "stream" => self.stream(read, node),
            "service" => {
                let Some(subject) = subject(read, "service", node) else {
                    return true;
                };
                if self.stream.is_some() {
                    let text = format!("Detected service {subject:?} but already saw a stream");
                    read.error(&node.at, text);
                } else {
                    self.service = Some(subject);
                }
            }
            "response" | "response_type" => self.response(read, node),
            "threshold" | "response_threshold" | "response_max_time" | "response_time" => {
                self.threshold(read, node);
            }
            "accounts" => self.accounts = Some(read.texts(node, "accounts")),
            "account_token_position" => {
                set(&mut self.account_token_position, read.count(key, node));
            }
            "latency" => {
                let latency = latency(read, node).map(|latency| (latency, node.at.clone()));
                self.latency = latency;
                self.for_services_only(read, "latency", &node.at);
            }
            "allow_trace" => {
                let allow = read.boolean(node);
                self.allow_trace = allow.map(|allow| (allow, node.at.clone()));
                self.for_services_only(read, "allow_trace", &node.at);
            }
            _ => return false,
        }
        true
    }

    fn stream(&mut self, read: &mut Reader, node: &Node) {
        let Some(subject) = subject(read, "stream", node) else {
            return;
        };
        if self.service.is_some() {
            let text = format!("Detected stream {subject:?} but already saw a service");
            return read.error(&node.at, text);
        }
        self.stream = Some(subject);
        let response = self.response.as_ref().map(|(_, at)| (at, "response"));
        let latency = self.latency.as_ref().map(|(_, at)| (at, "latency"));
        let trace = self.allow_trace.as_ref().map(|(_, at)| (at, "allow_trace"));
        if let Some((at, name)) = response.or(latency).or(trace) {
            read.error(at, format!("Detected {name} directive on non-service"));
        }
    }

    fn for_services_only(&self, read: &mut Reader, name: &str, at: &Pos) {
        if self.stream.is_some() {
            read.error(at, format!("Detected {name} directive on non-service"));
        }
    }

    fn response(&mut self, read: &mut Reader, node: &Node) {
        let Value::Text(text) = &node.value else {
            let kind = go_type(&node.value);
            let text = format!("Expected response type to be string, got {kind}");
            return read.error(&node.at, text);
        };
        let response = match text.to_ascii_lowercase().as_str() {
            "single" | "singleton" => ResponseType::Singleton,
            "stream" => ResponseType::Stream,
            "chunk" | "chunked" => ResponseType::Chunked,
            _ => return read.error(&node.at, format!("Unknown response type: {text:?}")),
        };
        self.response = Some((response, node.at.clone()));
        self.for_services_only(read, "response", &node.at);
    }

    fn threshold(&mut self, read: &mut Reader, node: &Node) {
        let given = match &node.value {
            Value::Text(text) => duration::parse(text).map_err(|_| format!("{text:?}")),
            other => Err(String::from(go_type(other))),
        };
        match given {
            Ok(threshold) => self.threshold = Some(threshold),
            Err(given) => read.error(
                &node.at,
                format!("Expected response threshold to be a parseable time duration, got {given}"),
            ),
        }
        self.for_services_only(read, "response", &node.at);
    }
}

fn subject(read: &mut Reader, what: &str, node: &Node) -> Option<String> {
    if let Value::Text(subject) = &node.value {
        return Some(subject.clone());
    }
    let kind = go_type(&node.value);
    let text = format!("Expected {what} name to be string, got {kind}");
    read.error(&node.at, text);
    None
}

/// Reads how a service is measured: a subject, or a map with a share.
fn latency(read: &mut Reader, node: &Node) -> Option<Latency> {
    let map = match &node.value {
        Value::Text(subject) => {
            return Some(Latency {
                sampling: SAMPLING,
                subject: subject.clone(),
            });
        }
        Value::Map(map) => map,
        other => {
            let kind = go_type(other);
            let text = format!("Expected latency entry to be a map/struct or string, got {kind}");
            read.error(&node.at, text);
            return None;
        }
    };
    let find = |wanted: &str| map.iter().find(|(key, _)| *key == wanted);
    let sampling = match find("sampling") {
        Some((_, node)) => sampling(read, node)?,
        None => SAMPLING,
    };
    let Some((_, given)) = find("subject") else {
        read.error(&node.at, "Latency subject required, but missing");
        return None;
    };
    let Value::Text(subject) = &given.value else {
        read.error(
            &given.at,
            "Expected latency subject to be a string, got string",
        );
        return None;
    };
    Some(Latency {
        sampling,
        subject: subject.clone(),
    })
}

fn sampling(read: &mut Reader, node: &Node) -> Option<Sampling> {
    let percent = match &node.value {
        Value::Text(text) if text.trim().eq_ignore_ascii_case("headers") => {
            return Some(Sampling::Headers);
        }
        Value::Text(text) => text.strip_suffix('%').unwrap_or(text).parse().ok(),
        Value::Int(percent) => Some(*percent),
        other => {
            let kind = go_type(other);
            let text = format!("Expected latency sample to be a string or map/struct, got {kind}");
            read.error(&node.at, text);
            return None;
        }
    };
    match percent.map(u8::try_from) {
        Some(Ok(percent @ 1..=100)) => return Some(Sampling::Percent(percent)),
        Some(_) => read.error(&node.at, "bad sampling percentage, should be 1-100"),
        None => {
            let Value::Text(text) = &node.value else {
                return None;
            };
            let digits = text.strip_suffix('%').unwrap_or(text);
            let text = format!(
                "Failed to parse latency sample: strconv.Atoi: parsing {digits:?}: invalid syntax"
            );
            read.error(&node.at, text);
        }
    }
    None
}

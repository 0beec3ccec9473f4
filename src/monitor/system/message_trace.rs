//! What a server tells of the way that one message took through it.
//!
//! *Invariant:* the steps stand in the order in which they were taken.

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;

use protocol::time::Wall;
use serde::{Deserialize, Serialize};

use super::ServerInfo;
use crate::json;
use crate::source::Source;

/// The kind of every connection that is a client.
pub const KIND_CLIENT: u8 = 0;

/// A message and its way.
#[derive(Clone, Debug, Default, Serialize)]
pub struct MessageTrace {
    /// What was sent.
    pub request: Traced,
    /// What became of it.
    pub events: Vec<Step>,
}

/// What of a message a trace shows.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Traced {
    /// Its headers, each with all of its values.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub header: BTreeMap<String, Vec<String>>,
    /// Bytes of headers and payload.
    #[serde(skip_serializing_if = "json::is_default")]
    pub msgsize: usize,
}

/// What may happen to a message.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "type")]
#[expect(missing_docs, reason = "the members' names are those that tools read")]
pub enum Step {
    /// It came from a client.
    #[serde(rename = "in")]
    Ingress {
        #[serde(serialize_with = "json::time")]
        ts: Wall,
        kind: u8,
        cid: u64,
        #[serde(skip_serializing_if = "String::is_empty")]
        name: String,
        acc: String,
        subj: String,
        #[serde(skip_serializing_if = "String::is_empty")]
        error: String,
    },
    /// Its subject was mapped.
    #[serde(rename = "sm")]
    Mapping {
        #[serde(serialize_with = "json::time")]
        ts: Wall,
        to: String,
    },
    /// It went on to an account that imports the stream.
    #[serde(rename = "se")]
    StreamExport {
        #[serde(serialize_with = "json::time")]
        ts: Wall,
        acc: String,
        to: String,
    },
    /// It went on to the account whose service is asked.
    #[serde(rename = "si")]
    ServiceImport {
        #[serde(serialize_with = "json::time")]
        ts: Wall,
        acc: String,
        from: String,
        to: String,
    },
    /// A stream took it, or did not.
    #[serde(rename = "js")]
    Stream {
        #[serde(serialize_with = "json::time")]
        ts: Wall,
        stream: String,
        #[serde(skip_serializing_if = "String::is_empty")]
        subject: String,
        #[serde(skip_serializing_if = "json::is_default")]
        nointerest: bool,
        #[serde(skip_serializing_if = "String::is_empty")]
        error: String,
    },
    /// A subscriber got it, or did not.
    #[serde(rename = "eg")]
    Egress {
        #[serde(serialize_with = "json::time")]
        ts: Wall,
        kind: u8,
        cid: u64,
        #[serde(skip_serializing_if = "String::is_empty")]
        name: String,
        #[serde(skip_serializing_if = "String::is_empty")]
        acc: String,
        #[serde(skip_serializing_if = "String::is_empty")]
        sub: String,
        #[serde(skip_serializing_if = "String::is_empty")]
        queue: String,
        #[serde(skip_serializing_if = "String::is_empty")]
        error: String,
    },
}

/// Returns the event that tells of a message's way.
#[must_use]
pub fn message_trace(source: &dyn Source, trace: &MessageTrace, seq: u64) -> Vec<u8> {
    #[derive(Serialize)]
    struct Document<'a> {
        server: ServerInfo,
        #[serde(flatten)]
        trace: &'a MessageTrace,
    }
    let server = ServerInfo::new(source, seq);
    json::compact(&Document { server, trace })
}

/// What a stream answered to a publish.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// Whether it had the message before.
    pub duplicate: bool,
    /// The number and the text of the error.
    pub error: Option<(u16, String)>,
}

impl Answer {
    /// Reads the answer; none where a status or something else was said.
    #[must_use]
    pub fn read(payload: &[u8]) -> Option<Self> {
        #[derive(Deserialize)]
        struct Fault {
            err_code: u16,
            description: String,
        }
        #[derive(Deserialize)]
        struct Said {
            #[serde(default)]
            duplicate: bool,
            error: Option<Fault>,
        }
        let said: Said = serde_json::from_slice(payload).ok()?;
        Some(Self {
            duplicate: said.duplicate,
            error: said.error.map(|fault| (fault.err_code, fault.description)),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_says_whether_the_message_was_stored() {
        let stored = Answer::read(br#"{"stream":"S","seq":2}"#);
        assert_eq!(stored, Some(Answer::default()));
        let repeated = Answer::read(br#"{"stream":"S","seq":2,"duplicate": true}"#);
        assert!(repeated.is_some_and(|answer| answer.duplicate));
        let refused =
            br#"{"error":{"code":400,"err_code":10060,"description":"no"},"stream":"S","seq":0}"#;
        let refused = Answer::read(refused).and_then(|answer| answer.error);
        assert_eq!(refused, Some((10060, String::from("no"))));
        assert_eq!(Answer::read(b""), None);
    }
}

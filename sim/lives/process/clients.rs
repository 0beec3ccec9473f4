//! The clients of a run's server: one in each of its accounts, what they ask, and what they hear.
//!
//! *Invariant:* a client waits in the time of the run, and only for a server that is well.

use core::time::Duration;
use std::collections::BTreeMap;

use base64::Engine;
use broker::{ConnId, Gone, Input};
use bytes::BytesMut;
use serde_json::{Value as Json, json};

use server::wire::{Message, Reader, ServerOp};

use super::{End, Life, Server};
use crate::client::jetstream::api_answer;
use crate::explorer::plain_connection;

/// How long a client waits for an answer of a server that is well.
const ANSWER_MAX: Duration = Duration::from_secs(5);
/// How many subjects there are for deliveries.
const PULLS: u64 = 4;
/// The subscription of the first of them.
const SID_PULLS: u64 = 10;

/// Folds a byte into a hash.
const FNV_PRIME: u64 = 0x100_0000_01b3;

/// A connection.
#[derive(Debug)]
pub(super) struct Client {
    conn: ConnId,
    reader: Reader,
}

/// A message that was read back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// Its subject.
    pub subject: String,
    /// Its header block.
    pub headers: String,
    /// Its body.
    pub body: String,
}

impl Server {
    /// Breaks the client's connection and makes another.
    ///
    /// # Errors
    /// If the process dies.
    pub fn cut(&mut self) -> Life {
        if let Some(client) = self.clients[self.speaker].take() {
            let (conn, gone) = (client.conn, Gone::Eof);
            let input = Input::Closed { conn, gone };
            self.handle(input);
        }
        self.heard.clear();
        self.connect(self.speaker)
    }

    /// Has the client of the second account speak from now on, or that of the first.
    pub fn speak_as(&mut self, number: usize) {
        self.speaker = number;
    }

    pub(super) fn connect(&mut self, number: usize) -> Life {
        let conn = self
            .shard
            .accept(self.clock(), plain_connection(), &mut self.fx);
        self.take_effects();
        let reader = Reader::default();
        self.clients[number] = Some(Client { conn, reader });
        self.settle()?;
        let user = ["p", "c"][number];
        let hello = format!(
            "CONNECT {{\"user\":\"{user}\",\"pass\":\"x\",\"headers\":true,\
             \"no_responders\":true,\"verbose\":false}}\r\nSUB _INBOX.> 1\r\n"
        );
        let own = (0..PULLS).map(|at| format!("SUB pull.{at} {}\r\n", SID_PULLS + at));
        let hello: String = core::iter::once(hello).chain(own).collect();
        let speaker = core::mem::replace(&mut self.speaker, number);
        self.input(hello.as_bytes());
        self.speaker = speaker;
        self.settle()
    }

    fn input(&mut self, bytes: &[u8]) {
        let Some(client) = &self.clients[self.speaker] else {
            return;
        };
        let (conn, mut buf) = (client.conn, BytesMut::from(bytes));
        let input = Input::Bytes {
            conn,
            buf: &mut buf,
        };
        self.handle(input);
    }

    /// Sends a message; what follows from it is up to [`Server::settle`].
    pub fn send(&mut self, subject: &str, reply: &str, headers: &[(&str, &str)], body: &str) {
        let line = if headers.is_empty() {
            format!("PUB {subject} {reply} {}\r\n{body}\r\n", body.len())
        } else {
            let mut block = String::from("NATS/1.0\r\n");
            for (key, value) in headers {
                block.push_str(&format!("{key}: {value}\r\n"));
            }
            block.push_str("\r\n");
            let (head, all) = (block.len(), block.len() + body.len());
            format!("HPUB {subject} {reply} {head} {all}\r\n{block}{body}\r\n")
        };
        self.input(line.as_bytes());
    }

    /// Returns a reply subject that was never used.
    pub fn inbox(&mut self) -> String {
        self.inboxes += 1;
        format!("_INBOX.r.{}", self.inboxes)
    }

    /// Takes the messages that have come to `pull.<number>`, in their order, with that number: those of
    /// streams keep their own subjects.
    pub fn take_pulled(&mut self) -> Vec<(u64, Message)> {
        let all = core::mem::take(&mut self.heard);
        let (taken, left): (Vec<_>, _) = all.into_iter().partition(|msg| msg.sid >= SID_PULLS);
        self.heard = left;
        let numbered = taken.into_iter().map(|msg| (msg.sid - SID_PULLS, msg));
        numbered.collect()
    }

    /// Takes the messages that have come to subjects that begin with `prefix`.
    pub fn take(&mut self, prefix: &str) -> Vec<Message> {
        let all = core::mem::take(&mut self.heard);
        let (taken, left) = all
            .into_iter()
            .partition(|msg| msg.subject.starts_with(prefix));
        self.heard = left;
        taken
    }

    /// Sends a request and waits for its answer.
    ///
    /// # Errors
    /// If the process dies, or does not answer.
    pub fn ask(&mut self, subject: &str, headers: &[(&str, &str)], body: &str) -> Life<Message> {
        let inbox = self.inbox();
        self.send(subject, &inbox, headers, body);
        self.answer(&inbox)
    }

    /// Waits for the answer to a request.
    ///
    /// # Errors
    /// If the process dies, or does not answer.
    pub fn answer(&mut self, inbox: &str) -> Life<Message> {
        let end = self.now.mono + ANSWER_MAX;
        loop {
            self.settle()?;
            if let Some(at) = self.heard.iter().position(|msg| msg.subject == inbox) {
                self.summary.answers += 1;
                return Ok(self.heard.remove(at));
            }
            if self.now.mono >= end {
                return Err(End::Wrong(format!("no answer at {inbox}")));
            }
            self.wait(Duration::from_millis(100))?;
        }
    }

    /// Calls the API; returns the answer or the error's code.
    ///
    /// # Errors
    /// If the process dies, or does not answer.
    pub fn api(&mut self, what: &str, body: &Json) -> Life<Result<Json, u64>> {
        let body = body.to_string();
        let answer = self.ask(&format!("$JS.API.{what}"), &[], &body)?;
        api_answer(&answer).map_err(End::Wrong)
    }

    /// Calls the API for something that has to succeed.
    ///
    /// # Errors
    /// If the process dies, does not answer, or refuses.
    pub fn must(&mut self, what: &str, body: &Json) -> Life<Json> {
        let answer = self.api(what, body)?;
        answer.map_err(|code| End::Wrong(format!("{what} {body} was refused with {code}")))
    }

    /// Publishes a message; returns its sequence or the error's code.
    ///
    /// # Errors
    /// If the process dies, or does not answer.
    pub fn publish(
        &mut self,
        subject: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Life<Result<u64, u64>> {
        let answer = self.ask(subject, headers, body)?;
        seq_of(&answer)
    }

    /// Reads everything that a stream holds.
    ///
    /// # Errors
    /// If the process dies, or something cannot be read.
    pub fn read_all(&mut self, stream: &str) -> Life<BTreeMap<u64, Kept>> {
        let info = self.must(&format!("STREAM.INFO.{stream}"), &json!({}))?;
        let number = |name| info.pointer(name).and_then(Json::as_u64).unwrap_or(0);
        let (first, last) = (number("/state/first_seq"), number("/state/last_seq"));
        let mut all = BTreeMap::new();
        for seq in first.max(1)..=last {
            let get = format!("STREAM.MSG.GET.{stream}");
            let Ok(answer) = self.api(&get, &json!({ "seq": seq }))? else {
                continue;
            };
            let text = |name| answer.pointer(name).and_then(Json::as_str).unwrap_or("");
            let kept = Kept {
                subject: text("/message/subject").to_owned(),
                headers: decoded(text("/message/hdrs")),
                body: decoded(text("/message/data")),
            };
            all.insert(seq, kept);
        }
        Ok(all)
    }

    pub(super) fn listen(&mut self) {
        let mut out = BytesMut::new();
        for client in self.clients.iter_mut().flatten() {
            while self.shard.take_outbound(client.conn, &mut out) {
                let hash = &mut self.summary.hash;
                for byte in &out {
                    *hash = (*hash ^ u64::from(*byte)).wrapping_mul(FNV_PRIME);
                }
                client.reader.input.extend_from_slice(&out);
                out.clear();
            }
            while let Ok(Some(op)) = client.reader.next_op() {
                if let ServerOp::Message(message) = op {
                    self.heard.push(message);
                }
            }
        }
    }
}

/// Reads the answer to a publish: a sequence or an error's code.
///
/// # Errors
/// If it is neither.
pub(in crate::lives) fn seq_of(answer: &Message) -> Life<Result<u64, u64>> {
    let answer = api_answer(answer).map_err(End::Wrong)?;
    let seq = answer.map(|json| json.get("seq").and_then(Json::as_u64));
    match seq {
        Ok(Some(seq)) => Ok(Ok(seq)),
        Ok(None) => Err(End::Wrong(String::from("an ack without a sequence"))),
        Err(code) => Ok(Err(code)),
    }
}

fn decoded(text: &str) -> String {
    let bytes = base64::engine::general_purpose::STANDARD.decode(text);
    String::from_utf8_lossy(&bytes.unwrap_or_default()).into_owned()
}

//! Reads everything that the streams hold, once all is quiet.

use std::collections::BTreeMap;

use serde_json::{Value as Json, json};

use super::plan::Plan;
use super::register::call;
use super::{Cx, Phase, on_complaint};
use crate::client::jetstream::{api_answer, stored};
use crate::client::{Event, Message, Token};
use crate::history::Contents;
use crate::oracle::Audit;

/// How many reads may be under way.
const WINDOW: usize = 32;
/// "no message found".
const NO_MESSAGE: u64 = 10_037;

/// The state of the auditor.
#[derive(Debug)]
pub struct Auditor {
    streams: Vec<String>,
    /// Streams whose state is not known yet.
    unknown: Vec<String>,
    /// What is still to be read.
    wanted: Vec<(String, u64)>,
    asked: BTreeMap<Token, (String, u64)>,
    audit: Audit,
}

/// Stands for a stream's state where a sequence is meant otherwise.
const STATE: u64 = 0;

impl Auditor {
    /// Returns an auditor of a plan's streams.
    #[must_use]
    pub fn new(plan: &Plan) -> Self {
        let mut auditor = Self {
            streams: plan
                .streams
                .iter()
                .map(|stream| stream.name.clone())
                .collect(),
            unknown: Vec::new(),
            wanted: Vec::new(),
            asked: BTreeMap::new(),
            audit: Audit::new(),
        };
        auditor.restart();
        auditor
    }

    /// Begins anew, and returns what was read.
    pub fn restart(&mut self) -> Audit {
        self.unknown.clone_from(&self.streams);
        self.wanted.clear();
        self.asked.clear();
        core::mem::take(&mut self.audit)
    }

    pub(super) fn on_event(&mut self, event: &Event, cx: &mut Cx<'_>) {
        match event {
            Event::Reply { token, message } => {
                if let Some((stream, seq)) = self.asked.remove(token) {
                    self.on_answer(stream, seq, message, cx);
                }
            }
            Event::Unknown { token, .. } => {
                if let Some((stream, seq)) = self.asked.remove(token) {
                    self.want(stream, seq);
                }
            }
            Event::Up | Event::Message(_) | Event::ServerError(_) => on_complaint(event, cx),
        }
    }

    fn want(&mut self, stream: String, seq: u64) {
        if seq == STATE {
            self.unknown.push(stream);
        } else {
            self.wanted.push((stream, seq));
        }
    }

    fn on_answer(&mut self, stream: String, seq: u64, message: &Message, cx: &mut Cx<'_>) {
        match api_answer(message) {
            Ok(Ok(json)) if seq == STATE => self.on_state(stream, &json, cx),
            Ok(Ok(json)) => match stored(&json) {
                Some(read) if read.seq == seq => {
                    let value = cx.history.learn(&stream, seq, &read.subject, &read.payload);
                    if let (Some(value), Some(contents)) = (value, self.audit.get_mut(&stream)) {
                        contents.read.insert(seq, (read.subject, value));
                    }
                }
                Some(_) | None => {
                    let text = format!("reading {stream}/{seq} gave {json}");
                    cx.history.violate("answers_are_answers", text);
                }
            },
            Ok(Err(NO_MESSAGE)) if seq != STATE => {}
            Ok(Err(code)) => {
                let text = format!("reading {stream}/{seq} gave error {code} with all faults over");
                cx.history.violate("everything_is_readable", text);
            }
            Err(text) => cx.history.violate("answers_are_answers", text),
        }
    }

    fn on_state(&mut self, stream: String, json: &Json, cx: &mut Cx<'_>) {
        let number = |name: &str| {
            json.pointer(&format!("/state/{name}"))
                .and_then(Json::as_u64)
        };
        let (Some(first_seq), Some(last_seq), Some(messages)) =
            (number("first_seq"), number("last_seq"), number("messages"))
        else {
            let text = format!("{stream}'s state is {json}");
            return cx.history.violate("answers_are_answers", text);
        };
        for seq in (first_seq.max(1)..=last_seq).rev() {
            self.wanted.push((stream.clone(), seq));
        }
        let contents = Contents {
            first_seq,
            last_seq,
            messages,
            read: BTreeMap::new(),
        };
        self.audit.insert(stream, contents);
    }

    pub(super) fn act(&mut self, cx: &mut Cx<'_>) {
        if cx.phase != Phase::Audit {
            return;
        }
        while self.asked.len() < WINDOW {
            let (subject, body, stream, seq) = if let Some(stream) = self.unknown.pop() {
                let subject = format!("$JS.API.STREAM.INFO.{stream}");
                (subject, json!({}), stream, STATE)
            } else if let Some((stream, seq)) = self.wanted.pop() {
                let subject = format!("$JS.API.STREAM.MSG.GET.{stream}");
                (subject, json!({ "seq": seq }), stream, seq)
            } else {
                return;
            };
            let token = call(cx, &subject, &body);
            self.asked.insert(token, (stream, seq));
        }
    }

    pub(super) fn is_settled(&self, phase: Phase) -> bool {
        let done = self.unknown.is_empty() && self.wanted.is_empty() && self.asked.is_empty();
        phase != Phase::Audit || done
    }
}

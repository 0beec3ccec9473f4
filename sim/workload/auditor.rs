//! Reads everything that the streams hold, once all is quiet.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value as Json, json};

use super::plan::Plan;
use super::register::call;
use super::{Cx, Phase, on_complaint};
use crate::client::jetstream::{NO_RESPONDERS, PubAnswer, api_answer, pub_answer, stored};
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
    /// What was there before somebody damaged it: errors are findings then, not faults.
    before: Option<Audit>,
    /// Streams that a message is still to be published to.
    probes: Vec<String>,
}

/// Stands for a stream's state where a sequence is meant otherwise.
const STATE: u64 = 0;
/// Stands for a message that is published.
const PROBE: u64 = u64::MAX;

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
            before: None,
            probes: Vec::new(),
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

    /// Begins anew, to find out what is left of `before`; what is found comes from
    /// [`Auditor::restart`].
    pub fn inspect(&mut self, before: Audit) {
        self.restart();
        self.probes.clone_from(&self.streams);
        self.before = Some(before);
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
        } else if seq == PROBE {
            self.probes.push(stream);
        } else {
            self.wanted.push((stream, seq));
        }
    }

    fn on_answer(&mut self, stream: String, seq: u64, message: &Message, cx: &mut Cx<'_>) {
        if seq == PROBE {
            let answer = match pub_answer(message) {
                Ok(PubAnswer::Stored { seq, .. }) => Ok(seq),
                Ok(PubAnswer::Failed(code)) => Err(code),
                Ok(PubAnswer::Refused(_)) => Err(NO_RESPONDERS),
                Err(text) => return cx.history.violate("answers_are_answers", text),
            };
            self.audit.entry(stream).or_default().probe = Some(answer);
            return;
        }
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
            Ok(Err(code)) if self.before.is_some() => self.on_error(stream, seq, code),
            Ok(Err(code)) => {
                let text = format!("reading {stream}/{seq} gave error {code} with all faults over");
                cx.history.violate("everything_is_readable", text);
            }
            Err(text) => cx.history.violate("answers_are_answers", text),
        }
    }

    fn on_error(&mut self, stream: String, seq: u64, code: u64) {
        let contents = self.audit.entry(stream).or_default();
        if seq == STATE {
            contents.refused = Some(code);
        } else {
            contents.errors.insert(seq, code);
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
        let mut wanted: BTreeSet<u64> = (first_seq.max(1)..=last_seq).collect();
        let before = self.before.as_ref().and_then(|before| before.get(&stream));
        wanted.extend(before.iter().flat_map(|contents| contents.read.keys()));
        let wanted = wanted.into_iter().rev();
        self.wanted.extend(wanted.map(|seq| (stream.clone(), seq)));
        let contents = Contents {
            first_seq,
            last_seq,
            messages,
            ..Contents::default()
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
            } else if self.asked.is_empty()
                && let Some(stream) = self.probes.pop()
            {
                let subject = format!("{}.probe", stream.to_ascii_lowercase());
                (subject, json!({}), stream, PROBE)
            } else {
                return;
            };
            let token = call(cx, &subject, &body);
            self.asked.insert(token, (stream, seq));
        }
    }

    pub(super) fn is_settled(&self, phase: Phase) -> bool {
        let done = self.unknown.is_empty()
            && self.wanted.is_empty()
            && self.asked.is_empty()
            && self.probes.is_empty();
        phase != Phase::Audit || done
    }
}

//! Creates the streams, asks about them and reads here and there, and now and then removes messages.

use core::time::Duration;

use protocol::time::Instant;
use serde_json::{Value as Json, json};

use super::plan::{Plan, StreamPlan};
use super::register::call;
use super::{Cx, Phase, note_late, on_complaint};
use crate::client::jetstream::{api_answer, stored};
use crate::client::{Event, Message, Token};
use crate::history::{At, Info, Removal};

/// The mean pause between two calls.
const PAUSE: Duration = Duration::from_millis(700);

#[derive(Debug)]
enum Call {
    Create(usize),
    Info { stream: usize, asked: At },
    Read(usize),
    Remove(usize),
}

/// The state of the caretaker.
#[derive(Debug)]
pub struct Caretaker {
    streams: Vec<StreamPlan>,
    /// How many have been created.
    created: usize,
    removal_every: Duration,
    removal_at: Instant,
    /// The last sequence of each stream, as last heard.
    last: Vec<u64>,
    call: Option<(Token, Call)>,
    pause_until: Instant,
}

impl Caretaker {
    /// Returns the caretaker of a plan's streams.
    #[must_use]
    pub fn new(plan: &Plan) -> Self {
        Self {
            last: vec![0; plan.streams.len()],
            streams: plan.streams.clone(),
            created: 0,
            removal_every: plan.removal_every,
            removal_at: Instant(0) + plan.removal_every,
            call: None,
            pause_until: Instant(0),
        }
    }

    pub(super) fn on_event(&mut self, event: &Event, cx: &mut Cx<'_>) {
        match event {
            Event::Reply { token, message } => {
                if let Some((_, call)) = self.call.take_if(|(ours, _)| ours == token) {
                    self.on_answer(&call, message, cx);
                    self.rest(cx);
                }
            }
            Event::Unknown { token, why } => {
                note_late(*why, "an API call", cx);
                self.call.take_if(|(ours, _)| ours == token);
                self.rest(cx);
            }
            Event::Up | Event::Message(_) | Event::ServerError(_) => on_complaint(event, cx),
        }
    }

    fn rest(&mut self, cx: &mut Cx<'_>) {
        let mean = u64::try_from(PAUSE.as_nanos()).unwrap_or(u64::MAX);
        self.pause_until = cx.now + Duration::from_nanos(cx.rng.below(2 * mean));
    }

    fn on_answer(&mut self, call: &Call, message: &Message, cx: &mut Cx<'_>) {
        let json = match api_answer(message) {
            Ok(Ok(json)) => json,
            Ok(Err(_)) => return,
            Err(text) => return cx.history.violate("answers_are_answers", text),
        };
        match *call {
            Call::Create(stream) => {
                self.created = self.created.max(stream + 1);
            }
            Call::Info { stream, asked } => {
                let last = json.pointer("/state/last_seq").and_then(Json::as_u64);
                let answered = cx.history.at(cx.now);
                if let Some(last_seq) = last {
                    self.last[stream] = last_seq;
                    let stream = self.streams[stream].name.clone();
                    cx.history.infos.push(Info {
                        stream,
                        asked,
                        answered,
                        last_seq,
                    });
                }
            }
            Call::Read(stream) => {
                if let Some(stored) = stored(&json) {
                    let name = &self.streams[stream].name;
                    cx.history
                        .learn(name, stored.seq, &stored.subject, &stored.payload);
                }
            }
            Call::Remove(removal) => {
                let at = cx.history.at(cx.now);
                if json.get("success").and_then(Json::as_bool) == Some(true)
                    && let Some(removal) = cx.history.removals.get_mut(removal)
                {
                    removal.confirmed = Some(at);
                }
            }
        }
    }

    pub(super) fn act(&mut self, cx: &mut Cx<'_>) {
        if self.call.is_some() || self.pause_until > cx.now || cx.phase == Phase::Audit {
            return;
        }
        let (subject, body, call_made) = if let Some(stream) = self.streams.get(self.created) {
            let keeps = stream.keeps;
            cx.history.streams.insert(stream.name.clone(), keeps);
            let subject = format!("$JS.API.STREAM.CREATE.{}", stream.name);
            let config = serde_json::from_str(&stream.config()).expect("a plan is JSON");
            (subject, config, Call::Create(self.created))
        } else {
            self.next_call(cx)
        };
        let token = call(cx, &subject, &body);
        self.call = Some((token, call_made));
    }

    fn next_call(&mut self, cx: &mut Cx<'_>) -> (String, Json, Call) {
        let at = usize::try_from(cx.rng.below(self.streams.len() as u64)).unwrap_or(0);
        let name = self.streams[at].name.clone();
        let last = self.last[at];
        if last > 0 && self.removal_at <= cx.now && cx.phase == Phase::Run {
            self.removal_at = cx.now + self.removal_every;
            return Self::remove(&name, last, cx);
        }
        if last > 0 && cx.rng.one_in(2) {
            let seq = 1 + cx.rng.below(last);
            let subject = format!("$JS.API.STREAM.MSG.GET.{name}");
            return (subject, json!({ "seq": seq }), Call::Read(at));
        }
        let asked = cx.history.at(cx.now);
        let subject = format!("$JS.API.STREAM.INFO.{name}");
        (subject, json!({}), Call::Info { stream: at, asked })
    }

    fn remove(name: &str, last: u64, cx: &mut Cx<'_>) -> (String, Json, Call) {
        let seq = 1 + cx.rng.below(last);
        let number = cx.history.removals.len();
        let (kind, from, to, body) = if cx.rng.one_in(3) {
            // Everything below the sequence goes.
            ("PURGE", 1, seq - 1, json!({ "seq": seq }))
        } else {
            (
                "MSG.DELETE",
                seq,
                seq,
                json!({ "seq": seq, "no_erase": true }),
            )
        };
        cx.history.removals.push(Removal {
            stream: name.to_owned(),
            from,
            to,
            confirmed: None,
        });
        (
            format!("$JS.API.STREAM.{kind}.{name}"),
            body,
            Call::Remove(number),
        )
    }

    pub(super) fn due(&self, phase: Phase) -> Instant {
        if self.call.is_some() || phase == Phase::Audit {
            return Instant::NEVER;
        }
        self.pause_until
    }

    pub(super) fn is_settled(&self, phase: Phase) -> bool {
        let created = self.created == self.streams.len();
        match phase {
            Phase::Run | Phase::Settle => created,
            Phase::Drain | Phase::Audit => created && self.call.is_none(),
        }
    }
}

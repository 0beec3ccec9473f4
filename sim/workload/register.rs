//! Competes for a subject that is a register: reads its last message, and replaces it under the
//! condition that it is still the last.

use core::time::Duration;

use protocol::time::Instant;
use serde_json::Value as Json;

use super::plan::RegisterPlan;
use super::{CALL_MAX, Cx, Phase, REQUEST_MAX, note_late, on_complaint};
use crate::client::jetstream::{PubAnswer, api_answer, pub_answer, stored};
use crate::client::{Answers, Event, Message, Token};
use crate::history::{Attempt, Outcome, Publish, Value};

/// The mean pause between two tries.
const PAUSE: Duration = Duration::from_millis(500);
/// "no message found".
const NO_MESSAGE: u64 = 10_037;

#[derive(Debug)]
enum State {
    /// What the register holds is not known.
    Unsure,
    Reading(Token),
    /// The register's sequence, as far as known; 0 while it is empty.
    Knows(u64),
    Writing(Token, Value),
}

/// The state of a competitor.
#[derive(Debug)]
pub struct Register {
    plan: RegisterPlan,
    state: State,
    next: u32,
    pause_until: Instant,
    settled: bool,
}

impl Register {
    /// Returns a competitor that has not tried yet.
    #[must_use]
    pub fn new(plan: RegisterPlan) -> Self {
        Self {
            plan,
            state: State::Unsure,
            next: 0,
            pause_until: Instant(0),
            settled: false,
        }
    }

    pub(super) fn on_event(&mut self, event: &Event, cx: &mut Cx<'_>) {
        match (&self.state, event) {
            (State::Reading(ours), Event::Reply { token, message }) if ours == token => {
                self.on_read(message, cx);
            }
            (&State::Writing(ours, value), Event::Reply { token, message }) if ours == *token => {
                self.on_written(value, message, cx);
            }
            (State::Reading(ours) | State::Writing(ours, _), Event::Unknown { token, why })
                if ours == token =>
            {
                note_late(*why, "a register's request", cx);
                self.state = State::Unsure;
            }
            _ => on_complaint(event, cx),
        }
    }

    fn on_read(&mut self, message: &Message, cx: &mut Cx<'_>) {
        self.state = match api_answer(message) {
            Ok(Ok(json)) => match stored(&json) {
                Some(stored) => {
                    let stream = &self.plan.stream.name;
                    cx.history
                        .learn(stream, stored.seq, &stored.subject, &stored.payload);
                    State::Knows(stored.seq)
                }
                None => {
                    cx.history.violate("answers_are_answers", json.to_string());
                    State::Unsure
                }
            },
            Ok(Err(NO_MESSAGE)) => State::Knows(0),
            Ok(Err(_)) => State::Unsure,
            Err(text) => {
                cx.history.violate("answers_are_answers", text);
                State::Unsure
            }
        };
        if matches!(self.state, State::Unsure) {
            self.rest(cx);
        }
    }

    fn on_written(&mut self, value: Value, message: &Message, cx: &mut Cx<'_>) {
        let at = cx.history.at(cx.now);
        self.state = State::Unsure;
        match pub_answer(message) {
            Ok(PubAnswer::Stored { seq, duplicate }) => {
                let outcome = Outcome::Acked { seq, duplicate, at };
                cx.history.resolve(value, 0, outcome);
                self.state = State::Knows(seq);
                self.settled |= cx.phase >= Phase::Settle;
            }
            Ok(PubAnswer::Refused(_)) => cx.history.resolve(value, 0, Outcome::Failed),
            Ok(PubAnswer::Failed(_)) => {}
            Err(text) => cx.history.violate("answers_are_answers", text),
        }
        self.rest(cx);
    }

    fn rest(&mut self, cx: &mut Cx<'_>) {
        let mean = u64::try_from(PAUSE.as_nanos()).unwrap_or(u64::MAX);
        self.pause_until = cx.now + Duration::from_nanos(cx.rng.below(2 * mean));
    }

    pub(super) fn act(&mut self, cx: &mut Cx<'_>) {
        if !self.wants_more(cx.phase) || self.pause_until > cx.now {
            return;
        }
        match self.state {
            State::Unsure => self.read(cx),
            State::Knows(seq) => self.write(seq, cx),
            State::Reading(_) | State::Writing(..) => {}
        }
    }

    fn wants_more(&self, phase: Phase) -> bool {
        match phase {
            Phase::Run => self.next < self.plan.tries,
            Phase::Settle => !self.settled,
            Phase::Drain | Phase::Audit => false,
        }
    }

    fn read(&mut self, cx: &mut Cx<'_>) {
        let subject = format!("$JS.API.STREAM.MSG.GET.{}", self.plan.stream.name);
        let body = serde_json::json!({ "last_by_subj": self.plan.subject });
        let token = call(cx, &subject, &body);
        self.state = State::Reading(token);
    }

    fn write(&mut self, expected: u64, cx: &mut Cx<'_>) {
        let value = Value {
            publisher: self.plan.number,
            number: self.next,
        };
        self.next += 1;
        let body = value.payload(0);
        let sent = cx.history.at(cx.now);
        let headers = format!("Nats-Expected-Last-Subject-Sequence: {expected}\r\n");
        let deadline = cx.now + REQUEST_MAX;
        let subject = &self.plan.subject;
        let token = cx
            .client
            .request(subject, &headers, &body, Answers::One, deadline);
        cx.history.publishes.insert(
            value,
            Publish {
                stream: self.plan.stream.name.clone(),
                subject: subject.clone(),
                len: body.len(),
                has_id: false,
                expected: Some(expected),
                attempts: vec![Attempt {
                    sent,
                    link: cx.client.links(),
                    outcome: Outcome::Unknown,
                }],
            },
        );
        cx.history.replies.insert(cx.client.inbox(token), value);
        self.state = State::Writing(token, value);
    }

    pub(super) fn due(&self, phase: Phase) -> Instant {
        match self.state {
            State::Unsure | State::Knows(_) if self.wants_more(phase) => self.pause_until,
            State::Unsure | State::Knows(_) | State::Reading(_) | State::Writing(..) => {
                Instant::NEVER
            }
        }
    }

    pub(super) fn is_settled(&self, phase: Phase) -> bool {
        match phase {
            Phase::Run => self.next >= self.plan.tries,
            Phase::Settle => self.settled,
            Phase::Drain | Phase::Audit => true,
        }
    }
}

/// Sends an API call.
pub(super) fn call(cx: &mut Cx<'_>, subject: &str, body: &Json) -> Token {
    let deadline = cx.now + CALL_MAX;
    let body = body.to_string();
    cx.client
        .request(subject, "", body.as_bytes(), Answers::One, deadline)
}

//! Publishes unique values with a window of unanswered ones; those with an id until each is
//! acknowledged, the others once.

use std::collections::{BTreeMap, VecDeque};

use core::time::Duration;

use protocol::time::Instant;

use super::plan::PublisherPlan;
use super::{Cx, Phase, REQUEST_MAX, note_late, on_complaint};
use crate::client::jetstream::{PubAnswer, pub_answer};
use crate::client::{Answers, Event, Message, Token};
use crate::history::{Attempt, Outcome, Publish, Value};

/// How long a message waits before it is sent again.
const RETRY_PAUSE: Duration = Duration::from_millis(300);

/// The state of a publisher.
#[derive(Debug)]
pub struct Publisher {
    plan: PublisherPlan,
    next: u32,
    /// The message of each request, and which of its attempts it is.
    in_flight: BTreeMap<Token, (Value, usize)>,
    again: VecDeque<Value>,
    /// Nothing is sent before.
    pause_until: Instant,
    /// New messages acknowledged since the faults ended.
    settled: u32,
}

impl Publisher {
    /// Returns a publisher that has not published yet.
    #[must_use]
    pub fn new(plan: PublisherPlan) -> Self {
        Self {
            plan,
            next: 0,
            in_flight: BTreeMap::new(),
            again: VecDeque::new(),
            pause_until: Instant(0),
            settled: 0,
        }
    }

    pub(super) fn on_event(&mut self, event: Event, cx: &mut Cx<'_>) {
        match event {
            Event::Reply { token, message } => self.on_reply(token, &message, cx),
            Event::Unknown { token, why } => {
                if let Some((value, _)) = self.in_flight.remove(&token) {
                    note_late(why, &format!("{value:?}"), cx);
                    self.repeat(value, cx);
                }
            }
            event @ (Event::Up | Event::Message(_) | Event::ServerError(_)) => {
                on_complaint(&event, cx);
            }
        }
    }

    fn on_reply(&mut self, token: Token, message: &Message, cx: &mut Cx<'_>) {
        let Some((value, attempt)) = self.in_flight.remove(&token) else {
            return;
        };
        let at = cx.history.at(cx.now);
        match pub_answer(message) {
            Ok(PubAnswer::Stored { seq, duplicate }) => {
                let outcome = Outcome::Acked { seq, duplicate, at };
                cx.history.resolve(value, attempt, outcome);
                if cx.phase >= Phase::Settle {
                    self.settled += 1;
                }
            }
            Ok(PubAnswer::Refused(_)) => {
                cx.history.resolve(value, attempt, Outcome::Failed);
                self.repeat(value, cx);
            }
            Ok(PubAnswer::Failed(_)) => self.repeat(value, cx),
            Err(text) => cx.history.violate("answers_are_answers", text),
        }
    }

    fn repeat(&mut self, value: Value, cx: &mut Cx<'_>) {
        if self.plan.ids {
            self.again.push_back(value);
        }
        self.pause_until = self.pause_until.max(cx.now + RETRY_PAUSE);
    }

    pub(super) fn act(&mut self, cx: &mut Cx<'_>) {
        while self.pause_until <= cx.now && self.in_flight.len() < self.plan.window {
            let (value, is_new) = match self.again.pop_front() {
                Some(value) => (value, false),
                None if self.wants_new(cx.phase) => (self.fresh(cx), true),
                None => return,
            };
            self.send(value, cx);
            // Some of the time several go out at once.
            if is_new && !cx.rng.one_in(3) {
                let mean = u64::try_from(self.plan.pause.as_nanos()).unwrap_or(u64::MAX);
                let pause = Duration::from_nanos(cx.rng.below(mean.saturating_mul(2)));
                self.pause_until = cx.now + pause;
            }
        }
    }

    fn wants_new(&self, phase: Phase) -> bool {
        match phase {
            Phase::Run => self.next < self.plan.messages,
            Phase::Settle => self.settled == 0 && self.in_flight.is_empty(),
            Phase::Drain | Phase::Audit => false,
        }
    }

    fn fresh(&mut self, cx: &mut Cx<'_>) -> Value {
        let value = Value {
            publisher: self.plan.number,
            number: self.next,
        };
        let subject = u64::from(self.next) % self.plan.subjects;
        self.next += 1;
        let len = usize::try_from(cx.rng.below(self.plan.len_max)).unwrap_or(0);
        cx.history.publishes.insert(
            value,
            Publish {
                stream: self.plan.stream.name.clone(),
                subject: self.plan.stream.subject(&subject.to_string()),
                len: value.payload(len).len(),
                has_id: self.plan.ids,
                expected: None,
                attempts: Vec::new(),
            },
        );
        value
    }

    fn send(&mut self, value: Value, cx: &mut Cx<'_>) {
        let sent = cx.history.at(cx.now);
        let link = cx.client.links();
        let Some(publish) = cx.history.publishes.get_mut(&value) else {
            return;
        };
        let headers = if publish.has_id {
            format!("Nats-Msg-Id: m{}.{}\r\n", value.publisher, value.number)
        } else {
            String::new()
        };
        let body = value.payload(publish.len);
        let deadline = cx.now + REQUEST_MAX;
        let token = cx
            .client
            .request(&publish.subject, &headers, &body, Answers::One, deadline);
        self.in_flight
            .insert(token, (value, publish.attempts.len()));
        publish.attempts.push(Attempt {
            sent,
            link,
            outcome: Outcome::Unknown,
        });
        cx.history.replies.insert(cx.client.inbox(token), value);
    }

    pub(super) fn due(&self, phase: Phase) -> Instant {
        let has_work = !self.again.is_empty() || self.wants_new(phase);
        if has_work && self.in_flight.len() < self.plan.window {
            self.pause_until
        } else {
            Instant::NEVER
        }
    }

    pub(super) fn is_settled(&self, phase: Phase) -> bool {
        phase == Phase::Run && self.next >= self.plan.messages
            || phase > Phase::Run
                && self.settled > 0
                && self.in_flight.is_empty()
                && self.again.is_empty()
    }
}

//! Fetches from a durable pull consumer and acknowledges: mostly with confirmation, sometimes without,
//! sometimes not at all.

use std::collections::BTreeMap;

use core::time::Duration;

use protocol::time::Instant;
use serde_json::{Value as Json, json};

use super::plan::ConsumerPlan;
use super::register::call;
use super::{Cx, Phase, REQUEST_MAX, on_complaint};
use crate::client::jetstream::{api_answer, delivery};
use crate::client::{Answers, Event, Message, Token};
use crate::history::{ConsumerLog, Delivered};

/// How long a fetch waits at the server.
const EXPIRES: Duration = Duration::from_secs(1);
/// How long the client waits for its end.
const FETCH_MAX: Duration = Duration::from_secs(2);
/// How long to rest after a refusal.
const PAUSE: Duration = Duration::from_millis(300);

#[derive(Debug)]
enum State {
    /// The consumer must be created, or found to be there.
    Absent,
    Creating(Token),
    Idle,
    Fetching {
        token: Token,
        left: u64,
        got: u64,
    },
    /// Asking whether anything is left.
    Asking(Token),
    Drained,
}

/// The state of a consumer's client.
#[derive(Debug)]
pub struct Consumer {
    plan: ConsumerPlan,
    state: State,
    /// The sequence of each acknowledgement that waits for its confirmation.
    acks: BTreeMap<Token, u64>,
    pause_until: Instant,
}

impl Consumer {
    /// Returns a client whose consumer does not exist yet.
    #[must_use]
    pub fn new(plan: ConsumerPlan) -> Self {
        Self {
            plan,
            state: State::Absent,
            acks: BTreeMap::new(),
            pause_until: Instant(0),
        }
    }

    fn log<'a>(&self, cx: &'a mut Cx<'_>) -> &'a mut ConsumerLog {
        let log = cx
            .history
            .consumers
            .entry(self.plan.name.clone())
            .or_default();
        if log.stream.is_empty() {
            log.stream.clone_from(&self.plan.stream.name);
        }
        log
    }

    pub(super) fn on_event(&mut self, event: Event, cx: &mut Cx<'_>) {
        match event {
            Event::Reply { token, message } => self.on_reply(token, &message, cx),
            Event::Unknown { token, .. } => self.on_unknown(token, cx),
            event @ (Event::Up | Event::Message(_) | Event::ServerError(_)) => {
                on_complaint(&event, cx);
            }
        }
    }

    fn on_unknown(&mut self, token: Token, cx: &mut Cx<'_>) {
        self.acks.remove(&token);
        match self.state {
            State::Creating(ours) if ours == token => self.state = State::Absent,
            State::Asking(ours) | State::Fetching { token: ours, .. } if ours == token => {
                self.state = State::Idle;
            }
            State::Creating(_)
            | State::Asking(_)
            | State::Fetching { .. }
            | State::Absent
            | State::Idle
            | State::Drained => return,
        }
        self.pause_until = cx.now + PAUSE;
    }

    fn on_reply(&mut self, token: Token, message: &Message, cx: &mut Cx<'_>) {
        if let Some(seq) = self.acks.remove(&token) {
            // An acknowledgement is confirmed by an empty message; a 503 means that nobody took it.
            if message.status().is_none() {
                let at = cx.history.at(cx.now);
                self.log(cx).confirmed.entry(seq).or_insert(at);
                cx.history.promises += 1;
            }
            return;
        }
        match self.state {
            State::Creating(ours) if ours == token => {
                let made = matches!(self.answer(message, cx), Some(Ok(_)));
                self.state = if made { State::Idle } else { State::Absent };
                if !made {
                    self.pause_until = cx.now + PAUSE;
                }
            }
            State::Asking(ours) if ours == token => self.on_info(message, cx),
            State::Fetching { token: ours, .. } if ours == token => self.on_fetched(message, cx),
            State::Creating(_)
            | State::Asking(_)
            | State::Fetching { .. }
            | State::Absent
            | State::Idle
            | State::Drained => {}
        }
    }

    fn answer(&self, message: &Message, cx: &mut Cx<'_>) -> Option<Result<Json, u64>> {
        match api_answer(message) {
            Ok(answer) => Some(answer),
            Err(text) => {
                cx.history.violate("answers_are_answers", text);
                None
            }
        }
    }

    fn on_info(&mut self, message: &Message, cx: &mut Cx<'_>) {
        self.state = State::Idle;
        let Some(Ok(json)) = self.answer(message, cx) else {
            self.pause_until = cx.now + PAUSE;
            return;
        };
        let left = |name| json.get(name).and_then(Json::as_u64);
        if left("num_pending") == Some(0) && left("num_ack_pending") == Some(0) {
            self.log(cx).drained = true;
            self.state = State::Drained;
        }
    }

    fn on_fetched(&mut self, message: &Message, cx: &mut Cx<'_>) {
        let State::Fetching { token, left, got } = &mut self.state else {
            return;
        };
        if message.status().is_some() {
            // 404, 408, 409 and 503 all end a fetch.
            let (token, got) = (*token, *got);
            cx.client.finish(token);
            self.fetched(got, cx);
            return;
        }
        *got += 1;
        *left = left.saturating_sub(1);
        let (token, done, got) = (*token, *left == 0, *got);
        if done {
            cx.client.finish(token);
            self.fetched(got, cx);
        }
        self.on_delivery(message, cx);
    }

    fn fetched(&mut self, got: u64, cx: &mut Cx<'_>) {
        self.state = State::Idle;
        if got == 0 {
            self.pause_until = cx.now + PAUSE;
            if cx.phase >= Phase::Drain && self.acks.is_empty() {
                let plan = &self.plan;
                let subject = format!("$JS.API.CONSUMER.INFO.{}.{}", plan.stream.name, plan.name);
                self.state = State::Asking(call(cx, &subject, &json!({})));
            }
        }
    }

    fn on_delivery(&mut self, message: &Message, cx: &mut Cx<'_>) {
        let Some(meta) = delivery(&message.reply) else {
            let text = format!("a delivery with the reply subject {:?}", message.reply);
            return cx.history.violate("answers_are_answers", text);
        };
        let seq = meta.stream_seq;
        let stream = &self.plan.stream.name;
        let body = &message.payload;
        let Some(value) = cx.history.learn(stream, seq, &message.subject, body) else {
            return;
        };
        let at = cx.history.at(cx.now);
        let log = self.log(cx);
        log.deliveries.push(Delivered { at, seq, value });
        let calm = cx.phase > Phase::Run;
        let choice = cx.rng.below(10);
        if calm || choice < 6 {
            let log = self.log(cx);
            log.acked.entry(seq).or_insert(at);
            let deadline = cx.now + REQUEST_MAX;
            let reply = &message.reply;
            let token = cx
                .client
                .request(reply, "", b"+ACK", Answers::One, deadline);
            self.acks.insert(token, seq);
        } else if choice < 8 {
            self.log(cx).acked.entry(seq).or_insert(at);
            cx.client.publish(&message.reply, "", "", b"+ACK");
        } else if choice < 9 {
            cx.client.publish(&message.reply, "", "", b"-NAK");
        }
    }

    pub(super) fn act(&mut self, cx: &mut Cx<'_>) {
        if self.pause_until > cx.now || cx.phase == Phase::Audit {
            return;
        }
        match self.state {
            State::Absent => {
                let plan = &self.plan;
                let subject = format!("$JS.API.CONSUMER.CREATE.{}.{}", plan.stream.name, plan.name);
                let config = json!({
                    "stream_name": plan.stream.name,
                    "config": {
                        "durable_name": plan.name,
                        "name": plan.name,
                        "ack_policy": "explicit",
                        "deliver_policy": "all",
                        "ack_wait": u64::try_from(plan.ack_wait.as_nanos()).unwrap_or(u64::MAX),
                        "replay_policy": "instant",
                    },
                });
                self.state = State::Creating(call(cx, &subject, &config));
            }
            State::Idle => self.fetch(cx),
            State::Creating(_) | State::Fetching { .. } | State::Asking(_) | State::Drained => {}
        }
    }

    fn fetch(&mut self, cx: &mut Cx<'_>) {
        let plan = &self.plan;
        let subject = format!(
            "$JS.API.CONSUMER.MSG.NEXT.{}.{}",
            plan.stream.name, plan.name
        );
        let expires = u64::try_from(EXPIRES.as_nanos()).unwrap_or(u64::MAX);
        let body = json!({ "batch": plan.batch, "expires": expires }).to_string();
        let deadline = cx.now + FETCH_MAX;
        let token = cx
            .client
            .request(&subject, "", body.as_bytes(), Answers::Many, deadline);
        self.state = State::Fetching {
            token,
            left: plan.batch,
            got: 0,
        };
    }

    pub(super) fn due(&self, phase: Phase) -> Instant {
        match self.state {
            State::Absent | State::Idle if phase != Phase::Audit => self.pause_until,
            State::Absent
            | State::Idle
            | State::Creating(_)
            | State::Fetching { .. }
            | State::Asking(_)
            | State::Drained => Instant::NEVER,
        }
    }

    pub(super) fn is_settled(&self, phase: Phase) -> bool {
        match phase {
            Phase::Run | Phase::Settle => true,
            Phase::Drain | Phase::Audit => matches!(self.state, State::Drained),
        }
    }
}

//! Priority groups: a pinned client alone gets messages until it has been silent for its time, or was let
//! go; one that asks for help on overflow gets messages only beyond its mark. What was confirmed never comes
//! again, and everything comes.

use core::time::Duration;
use std::collections::BTreeSet;

use protocol::time::Instant;
use serde_json::json;

use server::wire::Message;

use super::{Feature, Life, Server, ensure};
use crate::client::jetstream::delivery;

/// How long a pinned client may be silent.
const SILENCE: Duration = Duration::from_secs(4);
/// From how many messages on help is wanted.
const OVERFLOW: u64 = 5;
const CLIENTS: usize = 3;
/// Where help is delivered, behind the clients.
const HELP: u64 = 3;

/// A client of the pinned group.
#[derive(Clone, Debug, Default)]
struct Client {
    /// The id that it was told to carry.
    pin: String,
    /// When it asked last under its pin, or got it, at the earliest.
    asked: Instant,
}

/// What was done so far.
#[derive(Debug, Default)]
pub(super) struct Pinned {
    clients: Vec<Client>,
    /// Who is pinned in this life, as far as messages have shown.
    holder: Option<usize>,
    /// When the present step began.
    since: Instant,
    stored: BTreeSet<u64>,
    got: BTreeSet<u64>,
    confirmed: BTreeSet<u64>,
}

impl Pinned {
    fn ask(&mut self, server: &mut Server, at: usize) -> Life {
        self.since = server.now.mono;
        let client = &mut self.clients[at];
        let mut body = json!({ "batch": 3, "expires": 2_000_000_000u64, "group": "g" });
        if !client.pin.is_empty() {
            body["id"] = json!(client.pin);
            // Too late it gains nothing by that.
            if server.now.mono < client.asked + SILENCE {
                client.asked = server.now.mono;
            }
        }
        let inbox = format!("pull.{at}");
        let next = "$JS.API.CONSUMER.MSG.NEXT.S.P";
        server.send(next, &inbox, &[], &body.to_string());
        server.settle()?;
        self.listen(server)
    }

    fn listen(&mut self, server: &mut Server) -> Life {
        for (number, message) in server.take_pulled() {
            if number == HELP {
                on_help(server, &message)?;
                continue;
            }
            let at = usize::try_from(number).unwrap_or(0);
            if message.status() == Some(423) {
                // Its pin is none any more: it asks without one.
                self.clients[at].pin.clear();
            } else if message.status().is_none() {
                self.on_pinned(server, at, &message)?;
            }
        }
        Ok(())
    }

    fn on_pinned(&mut self, server: &mut Server, at: usize, message: &Message) -> Life {
        let Some(delivery) = delivery(&message.reply) else {
            return ensure(false, || format!("a delivery with {:?}", message.reply));
        };
        let seq = delivery.stream_seq;
        let pin = message.header("Nats-Pin-Id").unwrap_or("").to_owned();
        ensure(!pin.is_empty(), || format!("S/{seq} came without a pin"))?;
        ensure(!self.confirmed.contains(&seq), || {
            format!("S/{seq} came again although its ack was confirmed")
        })?;
        if let Some(holder) = self.holder.filter(|holder| *holder != at) {
            let silent = server
                .now
                .mono
                .0
                .saturating_sub(self.clients[holder].asked.0);
            ensure(u128::from(silent) >= SILENCE.as_nanos(), || {
                format!("S/{seq} came to {at} while {holder} was pinned")
            })?;
        }
        let others = self.clients.iter().enumerate();
        let is_shared = others
            .filter(|(other, _)| *other != at)
            .any(|(_, c)| c.pin == pin);
        ensure(!is_shared, || format!("{pin} is the pin of two"))?;
        self.holder = Some(at);
        if self.clients[at].pin != pin {
            self.clients[at].asked = self.since;
        }
        self.clients[at].pin = pin;
        self.got.insert(seq);
        if server.rng.one_in(4) {
            return Ok(());
        }
        let answer = server.ask(&message.reply, &[], "+ACK")?;
        if answer.status().is_none() {
            self.confirmed.insert(seq);
        }
        Ok(())
    }
}

impl Feature for Pinned {
    fn prepare(&mut self, server: &mut Server) -> Life {
        // Pins live as long as the process.
        self.holder = None;
        if self.clients.is_empty() {
            self.clients = vec![Client::default(); CLIENTS];
        }
        let config = json!({ "name": "S", "subjects": ["s.*"] });
        server.must("STREAM.CREATE.S", &config)?;
        let silence = u64::try_from(SILENCE.as_nanos()).unwrap_or(0);
        let pinned = json!({ "stream_name": "S", "config": {
            "name": "P", "durable_name": "P", "ack_policy": "explicit",
            "ack_wait": 2_000_000_000u64, "priority_groups": ["g"],
            "priority_policy": "pinned_client", "priority_timeout": silence } });
        server.must("CONSUMER.CREATE.S.P", &pinned)?;
        let overflow = json!({ "stream_name": "S", "config": {
            "name": "O", "durable_name": "O", "ack_policy": "explicit",
            "priority_groups": ["g"], "priority_policy": "overflow" } });
        server.must("CONSUMER.CREATE.S.O", &overflow).map(drop)
    }

    fn step(&mut self, server: &mut Server) -> Life {
        self.since = server.now.mono;
        match server.rng.below(12) {
            0..4 => {
                if let Ok(seq) = server.publish("s.a", &[], "x")? {
                    self.stored.insert(seq);
                }
            }
            4..8 => {
                let at = usize::try_from(server.rng.below(CLIENTS as u64)).unwrap_or(0);
                self.ask(server, at)?;
            }
            8 => {
                let body = json!({ "batch": 2, "expires": 1_000_000_000u64, "group": "g",
                    "min_pending": OVERFLOW });
                let next = "$JS.API.CONSUMER.MSG.NEXT.S.O";
                server.send(next, &format!("pull.{HELP}"), &[], &body.to_string());
            }
            9 => {
                self.listen(server)?;
                // Whoever waits may take the place with the answer.
                self.holder = None;
                server.must("CONSUMER.UNPIN.S.P", &json!({ "group": "g" }))?;
            }
            _ => {
                let time = Duration::from_millis(server.rng.below(3_000));
                server.wait(time)?;
            }
        }
        self.listen(server)
    }

    fn check(&mut self, server: &mut Server) -> Life {
        self.listen(server)?;
        let info = server.must("CONSUMER.INFO.S.P", &json!({}))?;
        let pending = info
            .get("num_ack_pending")
            .and_then(serde_json::Value::as_u64);
        let most = self.stored.len().saturating_sub(self.confirmed.len()) as u64 + 40;
        ensure(pending.is_some_and(|pending| pending <= most), || {
            format!("{info}")
        })
    }

    fn finish(&mut self, server: &mut Server) -> Life {
        for round in 0..200 {
            self.ask(server, round % CLIENTS)?;
            server.wait(Duration::from_millis(500))?;
            self.listen(server)?;
        }
        ensure(self.stored.is_subset(&self.got), || {
            format!("{:?} have not come", self.stored.difference(&self.got))
        })
    }
}

/// Looks at a message that came to the client that helps.
fn on_help(server: &mut Server, message: &Message) -> Life {
    let Some(delivery) = delivery(&message.reply) else {
        return Ok(());
    };
    let left = message.reply.rsplit('.').next();
    let there = left.and_then(|left| left.parse::<u64>().ok()).unwrap_or(0) + 1;
    ensure(there >= OVERFLOW, || {
        format!("S/{} came as help at {there} messages", delivery.stream_seq)
    })?;
    server.send(&message.reply, "", &[], "+ACK");
    Ok(())
}

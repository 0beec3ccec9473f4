//! JetStream that is switched off and on again while the server runs: what was under way when it went is
//! answered, while it is off nobody is there, and afterwards everything is as it was.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;

use super::process::seq_of;
use super::{Feature, Life, Server, ensure};
use crate::client::jetstream::delivery;

/// What was done so far.
#[derive(Debug, Default)]
pub(super) struct Switched {
    sent: u64,
    /// What was sent and has not been answered, with the inboxes.
    open: Vec<(u64, String)>,
    /// What was acknowledged, by its sequence.
    sure: BTreeMap<u64, u64>,
    /// The sequences whose acknowledgements by the consumer were confirmed.
    done: BTreeSet<u64>,
}

impl Switched {
    fn send(&mut self, server: &mut Server) {
        self.sent += 1;
        let inbox = server.inbox();
        server.send("s.a", &inbox, &[], &self.sent.to_string());
        self.open.push((self.sent, inbox));
    }

    /// Everything that was sent has an answer by now.
    fn answered(&mut self, server: &mut Server) -> Life {
        for (number, inbox) in core::mem::take(&mut self.open) {
            let Some(answer) = server.take(&inbox).pop() else {
                return ensure(false, || format!("{number} was not answered"));
            };
            if let Ok(seq) = seq_of(&answer)? {
                self.sure.insert(seq, number);
            }
        }
        Ok(())
    }

    fn consume(&mut self, server: &mut Server) -> Life {
        let body = json!({ "batch": 3, "no_wait": true }).to_string();
        server.send("$JS.API.CONSUMER.MSG.NEXT.S.C", "pull.0", &[], &body);
        server.settle()?;
        for (_, message) in server.take_pulled() {
            let Some(seq) = delivery(&message.reply).map(|of| of.stream_seq) else {
                continue;
            };
            let is_new = !self.done.contains(&seq);
            ensure(is_new, || {
                format!("S/{seq} came again after its ack was confirmed")
            })?;
            server.ask(&message.reply, &[], "+ACK")?;
            self.done.insert(seq);
        }
        Ok(())
    }

    /// Switches off in the middle of what is under way, and on again.
    fn switch(&mut self, server: &mut Server) -> Life {
        for _ in 0..server.rng.below(4) {
            self.send(server);
        }
        server.switch_off()?;
        self.answered(server)?;
        for subject in ["s.a", "$JS.API.INFO"] {
            let answer = server.ask(subject, &[], "")?;
            let headers = String::from_utf8_lossy(&answer.headers).into_owned();
            let is_nobody = headers.starts_with("NATS/1.0 503");
            ensure(is_nobody, || {
                format!("while off, {subject} is answered: {answer:?}")
            })?;
        }
        server.switch_on()
    }
}

impl Feature for Switched {
    fn prepare(&mut self, server: &mut Server) -> Life {
        self.open.clear();
        let config = json!({ "name": "S", "subjects": ["s.*"] });
        server.must("STREAM.CREATE.S", &config)?;
        let consumer = json!({ "stream_name": "S", "config": {
            "name": "C", "durable_name": "C", "ack_policy": "explicit",
            "ack_wait": 1_000_000_000 } });
        server.must("CONSUMER.CREATE.S.C", &consumer).map(drop)
    }

    fn step(&mut self, server: &mut Server) -> Life {
        match server.rng.below(10) {
            0..4 => {
                self.send(server);
                Ok(())
            }
            4..6 => {
                server.settle()?;
                self.answered(server)
            }
            6..8 => self.consume(server),
            _ => self.switch(server),
        }
    }

    fn check(&mut self, server: &mut Server) -> Life {
        let read = server.read_all("S")?;
        for (seq, number) in &self.sure {
            let body = read.get(seq).map(|kept| kept.body.as_str());
            ensure(body == Some(number.to_string().as_str()), || {
                format!("S/{seq} was {number}, and is {body:?}")
            })?;
        }
        let is_dense = read.keys().copied().eq(1..=read.len() as u64);
        ensure(is_dense, || {
            format!("sequences are missing: {:?}", read.keys())
        })
    }

    fn finish(&mut self, server: &mut Server) -> Life {
        self.switch(server)?;
        self.check(server)?;
        self.consume(server)
    }
}

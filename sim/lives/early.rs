//! Streams whose publishers do not wait for the disk: an ack comes before the sync and may be wrong
//! after a crash, but what is there is always the beginning of what was sent, in its order; what a consumer
//! has got, and what came with a message id, is there for ever.

use std::collections::BTreeMap;

use serde_json::{Value as Json, json};

use super::process::seq_of;
use super::{Feature, Life, Server, ensure};
use crate::client::jetstream::delivery;

/// What was done so far.
#[derive(Debug, Default)]
pub(super) struct Early {
    sent: u64,
    /// What was sent in this life, in order, and the inbox of its ack.
    life: Vec<(u64, String)>,
    /// Everything that was read after a start, and what must be there since.
    facts: BTreeMap<u64, String>,
    sure: BTreeMap<u64, String>,
}

impl Early {
    fn send(&mut self, server: &mut Server) -> (String, String) {
        self.sent += 1;
        let inbox = server.inbox();
        let len = usize::try_from(server.rng.below(600)).unwrap_or(0);
        let body = format!("{}.{}", self.sent, "x".repeat(len));
        self.life.push((self.sent, inbox.clone()));
        (inbox, body)
    }

    /// Everything that was sent is on the disk now.
    fn settled(&mut self, server: &mut Server) -> Life {
        server.settle()?;
        for (number, inbox) in core::mem::take(&mut self.life) {
            let answers = server.take(&inbox);
            let answer = answers.iter().find(|msg| msg.subject == inbox);
            let Some(answer) = answer else {
                return ensure(false, || format!("{number} was not acknowledged"));
            };
            if let Ok(seq) = seq_of(answer)? {
                self.sure.insert(seq, number.to_string());
            }
        }
        Ok(())
    }

    fn consume(&mut self, server: &mut Server) -> Life {
        let body = json!({ "batch": 5, "no_wait": true }).to_string();
        server.send("$JS.API.CONSUMER.MSG.NEXT.S.C", "pull.0", &[], &body);
        // What comes at once was synced before.
        let taken = server.take_pulled();
        let got = taken.iter().filter_map(|(_, msg)| {
            let seq = delivery(&msg.reply)?.stream_seq;
            let body = String::from_utf8_lossy(&msg.payload).into_owned();
            Some((seq, body.split('.').next()?.to_owned()))
        });
        self.sure.extend(got);
        Ok(())
    }
}

impl Feature for Early {
    fn prepare(&mut self, server: &mut Server) -> Life {
        let config = json!({ "name": "S", "subjects": ["s.*"], "persist_mode": "async" });
        server.must("STREAM.CREATE.S", &config)?;
        let consumer = json!({ "stream_name": "S", "config": {
            "name": "C", "durable_name": "C", "ack_policy": "none" } });
        server.must("CONSUMER.CREATE.S.C", &consumer).map(drop)
    }

    fn step(&mut self, server: &mut Server) -> Life {
        match server.rng.below(10) {
            0..5 => {
                for _ in 0..1 + server.rng.below(9) {
                    let (inbox, body) = self.send(server);
                    server.send("s.a", &inbox, &[], &body);
                }
                Ok(())
            }
            5..7 => {
                let (inbox, body) = self.send(server);
                let id = self.sent.to_string();
                server.send("s.a", &inbox, &[("Nats-Msg-Id", &id)], &body);
                // Whoever is told of it knows of all before it, too.
                self.settled(server)
            }
            7 => self.settled(server),
            _ => self.consume(server),
        }
    }

    fn check(&mut self, server: &mut Server) -> Life {
        let info = server.must("STREAM.INFO.S", &json!({}))?;
        let mode = info.pointer("/config/persist_mode").and_then(Json::as_str);
        ensure(mode == Some("async"), || format!("the mode is {mode:?}"))?;
        // In a life of which this is not the beginning, what was sent is on the disk by now.
        let read = server.read_all("S")?;
        let number = |body: &str| body.split('.').next().unwrap_or("").to_owned();
        let read: BTreeMap<u64, String> = read
            .into_iter()
            .map(|(seq, m)| (seq, number(&m.body)))
            .collect();
        for (seq, body) in self.facts.iter().chain(&self.sure) {
            ensure(read.get(seq) == Some(body), || {
                format!("S/{seq} was {body}, and is {:?}", read.get(seq))
            })?;
        }
        let is_dense = read.keys().copied().eq(1..=read.len() as u64);
        ensure(is_dense, || {
            format!("sequences are missing: {:?}", read.keys())
        })?;
        let new = read.values().skip(self.facts.len()).cloned();
        let sent = self.life.iter().map(|(number, _)| number.to_string());
        let known = self.sure.range(self.facts.len() as u64 + 1..);
        let known: Vec<String> = known.map(|(_, number)| number.clone()).collect();
        let new: Vec<String> = new.filter(|number| !known.contains(number)).collect();
        let sent: Vec<String> = sent.filter(|number| !known.contains(number)).collect();
        ensure(sent.starts_with(&new), || {
            format!("{new:?} is there of {sent:?}")
        })?;
        self.life.clear();
        server.take("_INBOX.r.");
        self.facts = read;
        Ok(())
    }
}

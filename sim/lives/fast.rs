//! Fast batches: what a publisher was told is stored is there, and whatever is there of a batch is its
//! beginning, in its order.

use core::time::Duration;
use std::collections::BTreeMap;

use protocol::time::Instant;
use serde_json::{Value as Json, json};

use super::{Feature, Life, Server, ensure};

/// A batch that is left alone for longer than this may be given up.
const PATIENCE: Duration = Duration::from_secs(8);

#[derive(Debug)]
struct Batch {
    /// How many messages were sent.
    sent: u64,
    /// How many its publisher knows to be stored.
    acked: u64,
    /// The process died on the way, or it has ended.
    over: bool,
    /// When a message of it was sent last.
    touched: Instant,
}

/// What was done so far.
#[derive(Debug, Default)]
pub(super) struct Fast {
    batches: Vec<Batch>,
    facts: BTreeMap<u64, String>,
}

impl Fast {
    /// Sends one message of a batch.
    fn send(&mut self, server: &mut Server, id: usize, op: u32) {
        let batch = &mut self.batches[id];
        batch.touched = server.now.mono;
        let seq = batch.sent + 1;
        if op != 3 {
            batch.sent = seq;
        }
        let reply = format!("_INBOX.f.b{id}.3.fail.{seq}.{op}.$FI");
        let len = usize::try_from(server.rng.below(400)).unwrap_or(0);
        let body = format!("b{id}.{seq}.{}", "x".repeat(len));
        server.send("s.f", &reply, &[], &body);
    }

    /// Reads what publishers were told.
    fn listen(&mut self, server: &mut Server) -> Life {
        for message in server.take("_INBOX.f.") {
            let token = message.subject.split('.').nth(2).unwrap_or("");
            let id: usize = token.trim_start_matches('b').parse().unwrap_or(0);
            let told: Json = serde_json::from_slice(&message.payload).unwrap_or_default();
            let batch = &mut self.batches[id];
            let number = |name| told.get(name).and_then(Json::as_u64);
            if told.get("type").and_then(Json::as_str) == Some("ack") {
                batch.acked = batch.acked.max(number("seq").unwrap_or(0));
            } else if let Some(count) = number("count") {
                batch.acked = count;
                batch.over = true;
            } else {
                // After a start nobody knows the batch any more.
                ensure(batch.over, || format!("batch {id} was told {told}"))?;
            }
            let batch = &self.batches[id];
            ensure(batch.acked <= batch.sent, || {
                format!("batch {id} was told {told} and is {batch:?}")
            })?;
        }
        Ok(())
    }
}

impl Feature for Fast {
    fn prepare(&mut self, server: &mut Server) -> Life {
        for batch in &mut self.batches {
            batch.over = true;
        }
        let config = json!({ "name": "S", "subjects": ["s.*"], "allow_batched": true });
        server.must("STREAM.CREATE.S", &config).map(drop)
    }

    fn step(&mut self, server: &mut Server) -> Life {
        for batch in &mut self.batches {
            batch.over |= server.now.mono > batch.touched + PATIENCE;
        }
        let open: Vec<usize> = (0..self.batches.len())
            .filter(|id| !self.batches[*id].over)
            .collect();
        if open.is_empty() || (open.len() < 3 && server.rng.one_in(6)) {
            self.batches.push(Batch {
                sent: 0,
                acked: 0,
                over: false,
                touched: server.now.mono,
            });
            self.send(server, self.batches.len() - 1, 0);
        } else {
            let at = usize::try_from(server.rng.below(open.len() as u64)).unwrap_or(0);
            let id = open[at];
            for _ in 0..server.rng.below(12) {
                self.send(server, id, 1);
            }
            if server.rng.one_in(6) {
                let op = if server.rng.one_in(2) { 2 } else { 3 };
                self.send(server, id, op);
                server.settle()?;
                self.listen(server)?;
                let batch = &self.batches[id];
                ensure(batch.over && batch.acked == batch.sent, || {
                    format!("batch {id} has ended, and is {batch:?}")
                })?;
            }
            // One that died with the process stays dead.
            if server.rng.one_in(8)
                && let Some(id) = (0..id).find(|id| self.batches[*id].over)
            {
                let batch = &self.batches[id];
                let reply = format!("_INBOX.f.b{id}.3.fail.{}.1.$FI", batch.sent + 1);
                server.send("s.f", &reply, &[], "late");
            }
        }
        if server.rng.one_in(2) {
            server.settle()?;
        }
        self.listen(server)
    }

    fn check(&mut self, server: &mut Server) -> Life {
        server.settle()?;
        self.listen(server)?;
        let read = server.read_all("S")?;
        let read: BTreeMap<u64, String> = read.into_iter().map(|(seq, m)| (seq, m.body)).collect();
        for (seq, body) in &self.facts {
            ensure(read.get(seq) == Some(body), || {
                format!("S/{seq} was {body:.12}, and is {:?}", read.get(seq))
            })?;
        }
        ensure(!read.values().any(|body| body == "late"), || {
            String::from("a batch went on after its end")
        })?;
        for (id, batch) in self.batches.iter().enumerate() {
            let prefix = format!("b{id}.");
            let found = read.values().filter_map(|body| body.strip_prefix(&prefix));
            let numbers: Vec<u64> = found
                .filter_map(|rest| rest.split('.').next()?.parse().ok())
                .collect();
            let is_beginning = numbers.iter().copied().eq(1..=numbers.len() as u64);
            let stored = numbers.len() as u64;
            let holds = is_beginning && (batch.acked..=batch.sent).contains(&stored);
            ensure(holds, || {
                format!("of batch {id} {batch:?} {numbers:?} is there")
            })?;
        }
        self.facts = read;
        Ok(())
    }
}

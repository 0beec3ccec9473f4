//! Atomic batches: all messages of a batch in a row or none, for ever; those of a batch that was
//! acknowledged are there, those of one that was refused or never ended are not.

use core::time::Duration;
use std::collections::BTreeMap;

use serde_json::json;

use super::process::seq_of;
use super::{Feature, Life, Server, ensure};

/// What is known of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// Its end was sent; nobody answered.
    Unknown,
    /// It is stored; this is its last message.
    Stored(u64),
    /// It was refused, or its end was never sent.
    Never,
}

#[derive(Debug)]
struct Batch {
    count: u64,
    fate: Fate,
}

/// What was done so far.
#[derive(Debug, Default)]
pub(super) struct Atomic {
    batches: Vec<Batch>,
    /// Plain messages that were acknowledged.
    plain: BTreeMap<u64, String>,
    sent: u64,
    /// What was read after a start: it stays.
    facts: BTreeMap<u64, String>,
}

impl Atomic {
    fn batch(&mut self, server: &mut Server) -> Life {
        let id = self.batches.len();
        let count = 1 + server.rng.below(6);
        let (ends, is_wrong) = (!server.rng.one_in(5), server.rng.one_in(5));
        self.batches.push(Batch {
            count,
            fate: Fate::Never,
        });
        let name = format!("b{id}");
        for number in 1..=count {
            let seq = number.to_string();
            let mut headers = vec![("Nats-Batch-Id", &*name), ("Nats-Batch-Sequence", &*seq)];
            if is_wrong && number == 1 {
                headers.push(("Nats-Expected-Last-Sequence", "999999"));
            }
            let body = format!("b{id}.{number}.{}", "x".repeat(pad(server)));
            let is_last = number == count;
            if is_last && !ends {
                return Ok(());
            }
            if is_last {
                headers.push(("Nats-Batch-Commit", "1"));
                if !is_wrong {
                    self.batches[id].fate = Fate::Unknown;
                }
                let inbox = server.inbox();
                server.send("s.b", &inbox, &headers, &body);
                let answer = server.answer(&inbox)?;
                let outcome = seq_of(&answer)?;
                self.batches[id].fate = match (outcome, is_wrong) {
                    (Ok(seq), false) => Fate::Stored(seq),
                    (Err(_), true) => Fate::Never,
                    other => return ensure(false, || format!("batch {id} was told {other:?}")),
                };
            } else {
                server.send("s.b", "", &headers, &body);
                match server.rng.below(4) {
                    0 => server.settle()?,
                    1 => self.publish(server)?,
                    _ => {}
                }
            }
        }
        Ok(())
    }

    fn publish(&mut self, server: &mut Server) -> Life {
        self.sent += 1;
        let body = format!("p{}.{}", self.sent, "x".repeat(pad(server)));
        if let Ok(seq) = server.publish("s.p", &[], &body)? {
            self.plain.insert(seq, body);
        }
        Ok(())
    }
}

impl Feature for Atomic {
    fn prepare(&mut self, server: &mut Server) -> Life {
        let config = json!({ "name": "S", "subjects": ["s.*"], "allow_atomic": true });
        server.must("STREAM.CREATE.S", &config).map(drop)
    }

    fn step(&mut self, server: &mut Server) -> Life {
        match server.rng.below(10) {
            0..6 => self.batch(server),
            6..9 => self.publish(server),
            _ => {
                let time = Duration::from_secs(server.rng.below(12));
                server.wait(time)
            }
        }
    }

    fn check(&mut self, server: &mut Server) -> Life {
        let read = server.read_all("S")?;
        let read: BTreeMap<u64, String> = read.into_iter().map(|(seq, m)| (seq, m.body)).collect();
        for (seq, body) in self.facts.iter().chain(&self.plain) {
            ensure(read.get(seq) == Some(body), || {
                format!("S/{seq} was {body:.12}, and is {:?}", read.get(seq))
            })?;
        }
        for (id, batch) in self.batches.iter().enumerate() {
            let prefix = format!("b{id}.");
            let found = read.iter().filter(|(_, body)| body.starts_with(&prefix));
            let found: Vec<_> = found.collect();
            let first = found.first().map_or(0, |(seq, _)| **seq);
            let in_order = (0..).zip(&found).all(|(at, (seq, body))| {
                **seq == first + at && body.starts_with(&format!("{prefix}{}.", at + 1))
            });
            let whole = found.len() as u64 == batch.count && in_order;
            let holds = match batch.fate {
                Fate::Unknown => whole || found.is_empty(),
                Fate::Stored(last) => whole && first + batch.count - 1 == last,
                Fate::Never => found.is_empty(),
            };
            ensure(holds, || format!("batch {id} {batch:?} is {found:.60?}"))?;
        }
        self.facts = read;
        Ok(())
    }
}

/// Draws the length of a body: mostly small.
fn pad(server: &mut Server) -> usize {
    let max = if server.rng.one_in(6) { 3_000 } else { 100 };
    usize::try_from(server.rng.below(max)).unwrap_or(0)
}

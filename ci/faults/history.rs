//! What was acknowledged, and the check of what a restarted server still has of it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use anyhow::{Result, ensure};

use ci::load::client::{Client, publish};
use ci::load::server::Server;

use crate::outcome::Outcome;
use crate::probe;

/// Everything the checks remember over all rounds.
#[derive(Default)]
pub(crate) struct History {
    /// Acknowledged messages: sequence to payload.
    pub(crate) acked: BTreeMap<u64, Vec<u8>>,
    /// Sequences whose consumer acknowledgement was confirmed.
    pub(crate) confirmed: BTreeSet<u64>,
    /// Acknowledged messages that were read back correctly.
    pub(crate) verified: u64,
    /// Acknowledged messages that are gone or changed.
    pub(crate) lost: u64,
    /// Of these, messages of which nobody is told that they are gone.
    pub(crate) silent: u64,
    /// Confirmed messages that were delivered again.
    pub(crate) returned: u64,
    /// Sequences that were given to two messages.
    pub(crate) reused: u64,
}

impl History {
    /// Takes what publishers were acknowledged; a sequence that was given before counts as reused.
    pub(crate) fn take(&mut self, acked: BTreeMap<u64, Vec<u8>>) {
        for (seq, body) in acked {
            let known = self.acked.insert(seq, body);
            self.reused += u64::from(known.is_some());
        }
    }

    /// Reads the stream from `from` on and compares it with what was acknowledged.
    pub(crate) fn verify(&mut self, server: &Server, from: u64) -> Result<()> {
        let expected = self.acked.range(from..);
        let expected: BTreeMap<u64, Vec<u8>> = expected.map(|(s, b)| (*s, b.clone())).collect();
        let mut found = BTreeMap::new();
        let mut caller = Caller::connect(&server.addr, &format!("verify{from}"))?;
        caller.client.set_patience(Duration::from_secs(20))?;
        if let Some(last) = expected.keys().next_back().copied() {
            read(&mut caller, from, last, &mut found)?;
        }
        let is_there = |(seq, body): &(&u64, &Vec<u8>)| found.get(seq) == Some(body);
        let (kept, missing): (Vec<_>, Vec<_>) = expected.iter().partition(is_there);
        self.verified += kept.len() as u64;
        self.lost += missing.len() as u64;
        let missing: Vec<u64> = missing.into_iter().map(|(seq, _)| *seq).collect();
        if !missing.is_empty() && !is_told(&mut caller, server, &missing)? {
            self.silent += missing.len() as u64;
        }
        Ok(())
    }

    /// Returns what the row came to.
    pub(crate) fn outcome(&self, notes: Vec<String>) -> Outcome {
        Outcome {
            acked: self.acked.len() as u64,
            lost: self.lost,
            silent: self.silent,
            confirmed: self.confirmed.len() as u64,
            returned: self.returned,
            reused: self.reused,
            early: 0,
            broken: Vec::new(),
            notes,
        }
    }
}

/// Says whether an operator or a reader can learn that these messages are missing: from the health
/// check, the stream's state, or an error other than "no message found".
fn is_told(caller: &mut Caller, server: &Server, missing: &[u64]) -> Result<bool> {
    const SAMPLE: usize = 20;
    const NO_MESSAGE: u64 = 10_037;
    if probe::health(server).0 != 200 {
        return Ok(true);
    }
    let info = caller.ask("STREAM.INFO.FAULT", "")?;
    if info.contains("\"lost\":{") {
        return Ok(true);
    }
    if info.contains("\"error\":{") {
        // The stream itself is not there, and health is well.
        return Ok(false);
    }
    let step = missing.len().div_ceil(SAMPLE);
    for seq in missing.iter().step_by(step) {
        let answer = caller.ask("STREAM.MSG.GET.FAULT", &format!("{{\"seq\":{seq}}}"))?;
        if number(&answer, "err_code").is_none_or(|code| code == NO_MESSAGE) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Reads the messages `from..=last` by direct gets in batches, as far as there are any.
fn read(
    client: &mut Caller,
    from: u64,
    last: u64,
    found: &mut BTreeMap<u64, Vec<u8>>,
) -> Result<()> {
    let mut next = from;
    while next <= last {
        let request = format!("{{\"seq\":{next},\"batch\":1000}}");
        client.request("$JS.API.DIRECT.GET.FAULT", "get", request.as_bytes())?;
        let before = next;
        loop {
            let frame = client.client.receive()?;
            let (headers, body) = split(frame.body);
            let headers = String::from_utf8_lossy(headers);
            let seq = headers
                .lines()
                .find_map(|l| l.strip_prefix("Nats-Sequence: "));
            // A status ends the batch.
            let Some(seq) = seq.and_then(|n| n.trim().parse::<u64>().ok()) else {
                break;
            };
            found.insert(seq, body.to_vec());
            next = seq + 1;
        }
        // Behind one that cannot be read others may follow.
        if next == before {
            next += 1;
        }
    }
    Ok(())
}

fn split(message: &[u8]) -> (&[u8], &[u8]) {
    let end = message.windows(4).position(|window| window == b"\r\n\r\n");
    end.map_or((message, b""), |at| (&message[..at], &message[at + 4..]))
}

/// A connection with an inbox of its own.
pub(crate) struct Caller {
    pub(crate) client: Client,
    inbox: String,
}

impl Caller {
    /// Connects and subscribes `_INBOX.<name>.*`; the name must be unique on the server.
    pub(crate) fn connect(addr: &str, name: &str) -> Result<Self> {
        let mut client = Client::connect(addr)?;
        let inbox = format!("_INBOX.{name}");
        client.send(format!("SUB {inbox}.* 1\r\n").as_bytes())?;
        client.barrier()?;
        Ok(Self { client, inbox })
    }

    /// Returns the subject in the inbox that ends in `token`.
    pub(crate) fn reply_to(&self, token: impl std::fmt::Display) -> String {
        format!("{}.{token}", self.inbox)
    }

    /// Publishes with a reply to the inbox.
    pub(crate) fn request(&mut self, subject: &str, token: &str, body: &[u8]) -> Result<()> {
        let message = publish(subject, &self.reply_to(token), body);
        self.client.send(&message)
    }

    /// Sends a JetStream API request and returns the answer, an error too.
    pub(crate) fn ask(&mut self, subject: &str, body: &str) -> Result<String> {
        self.request(&format!("$JS.API.{subject}"), "api", body.as_bytes())?;
        Ok(String::from_utf8_lossy(self.client.receive()?.body).into_owned())
    }

    /// Sends a JetStream API request, which must succeed, and returns the answer.
    pub(crate) fn api(&mut self, subject: &str, body: &str) -> Result<String> {
        let answer = self.ask(subject, body)?;
        ensure!(!answer.contains("\"error\":{"), "{subject}: {answer}");
        Ok(answer)
    }
}

/// Returns the number behind `"key":` in a JSON text.
pub(crate) fn number(json: &str, key: &str) -> Option<u64> {
    let (_, rest) = json.split_once(&format!("\"{key}\":"))?;
    let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().ok()
}

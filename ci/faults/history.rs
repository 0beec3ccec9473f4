//! What was acknowledged, and the check of what a restarted server still has of it.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Result, ensure};

use ci::load::client::{Client, publish};

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
    /// Confirmed messages that were delivered again.
    pub(crate) returned: u64,
}

impl History {
    /// Reads the stream from `from` on and compares it with what was acknowledged.
    pub(crate) fn verify(&mut self, client: &mut Caller, from: u64) -> Result<()> {
        let expected: BTreeMap<u64, Vec<u8>> = self
            .acked
            .range(from..)
            .map(|(seq, body)| (*seq, body.clone()))
            .collect();
        let mut found = BTreeMap::new();
        if let Some(last) = expected.keys().next_back().copied() {
            read(client, from, last, &mut found)?;
        }
        for (seq, body) in &expected {
            if found.get(seq) == Some(body) {
                self.verified += 1;
            } else {
                self.lost += 1;
            }
        }
        Ok(())
    }
}

/// Reads the messages `from..=last` by direct gets in batches.
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
            let text = String::from_utf8_lossy(frame.body).into_owned();
            let (headers, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
            if headers.starts_with("NATS/1.0 204") || headers.starts_with("NATS/1.0 404") {
                break;
            }
            let seq: u64 = headers
                .lines()
                .find_map(|l| l.strip_prefix("Nats-Sequence: "))
                .and_then(|n| n.trim().parse().ok())
                .ok_or_else(|| anyhow::anyhow!("no sequence in {headers}"))?;
            found.insert(seq, body.as_bytes().to_vec());
            next = seq + 1;
        }
        if next == before {
            break;
        }
    }
    Ok(())
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

    /// Sends a JetStream API request and returns the answer.
    pub(crate) fn api(&mut self, subject: &str, body: &str) -> Result<String> {
        self.request(&format!("$JS.API.{subject}"), "api", body.as_bytes())?;
        let answer = String::from_utf8_lossy(self.client.receive()?.body).into_owned();
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

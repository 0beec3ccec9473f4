//! What clients and operators are told while a fault lasts.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use anyhow::Result;

use ci::load::client::publish;
use ci::load::server::Server;

use crate::history::{Caller, number};

/// How long an answer may take before it counts as none.
pub(crate) const PATIENCE: Duration = Duration::from_secs(3);

/// How the text of an error with a code begins.
const CODED: &str = "error ";

/// What publishes one after the other were answered.
#[derive(Debug, Default)]
pub(crate) struct Answers {
    /// Acknowledged: sequence to payload.
    pub(crate) acked: BTreeMap<u64, Vec<u8>>,
    /// Error texts and how often each came.
    errors: BTreeMap<String, u64>,
    /// Publishes without an answer.
    silences: u64,
}

impl Answers {
    /// Says what publishers were told beside acknowledgements.
    pub(crate) fn note(&self) -> String {
        let mut parts = Vec::new();
        for (error, count) in &self.errors {
            parts.push(format!("{count} × {error}"));
        }
        if self.silences > 0 {
            parts.push(format!("{} × no answer", self.silences));
        }
        if parts.is_empty() {
            parts.push("only acks".to_owned());
        }
        format!("publishers: {}", parts.join(", "))
    }

    pub(crate) fn is_refused(&self) -> bool {
        self.refused() > 0
    }

    /// Counts the publishes that were not acknowledged.
    pub(crate) fn refused(&self) -> u64 {
        self.silences + self.errors.values().sum::<u64>()
    }

    /// Returns what publishers and operators were told, and which promises that broke: who is not
    /// acknowledged is told so at once, with a code, and then health is not well.
    pub(crate) fn judge(&self, server: &Server) -> (Vec<String>, Vec<String>) {
        let status = self.is_refused().then(|| health(server).0);
        let mut notes = vec![self.note()];
        notes.extend(status.map(note_of));
        (notes, self.broken(status))
    }

    fn broken(&self, status: Option<u16>) -> Vec<String> {
        let mut broken = Vec::new();
        if self.silences > 0 {
            broken.push("publishers have no answer".to_owned());
        }
        if self.errors.keys().any(|error| !error.starts_with(CODED)) {
            broken.push("an error has no code".to_owned());
        }
        if status == Some(200) {
            broken.push("health is well meanwhile".to_owned());
        }
        broken
    }
}

/// Publishes bodies of `len` bytes, one after the other, until `enough` says so; the third silence
/// ends it too.
pub(crate) fn publish_singly(
    server: &Server,
    name: &str,
    len: usize,
    enough: impl Fn(&Answers) -> bool,
) -> Answers {
    // What cannot connect has published nothing.
    Caller::connect(&server.addr, name)
        .map(|mut caller| publish_on(&mut caller, name, len, enough))
        .unwrap_or_default()
}

/// Does the same on a connection that there is.
pub(crate) fn publish_on(
    caller: &mut Caller,
    name: &str,
    len: usize,
    enough: impl Fn(&Answers) -> bool,
) -> Answers {
    let mut answers = Answers::default();
    // A broken connection ends it; what was answered before stands.
    let _ = publish_into(caller, name, len, enough, &mut answers);
    answers
}

fn publish_into(
    caller: &mut Caller,
    name: &str,
    len: usize,
    enough: impl Fn(&Answers) -> bool,
    answers: &mut Answers,
) -> Result<()> {
    caller.client.set_patience(PATIENCE)?;
    let mut n = 0_u64;
    while !enough(answers) && answers.silences < 3 {
        let body = format!("{name}-{n:012}-{}", "x".repeat(len)).into_bytes();
        let reply = caller.reply_to(format_args!("{name}{n}"));
        n += 1;
        let message = publish("fault.load", &reply, &body);
        caller.client.send(&message)?;
        loop {
            let Ok(frame) = caller.client.receive() else {
                answers.silences += 1;
                break;
            };
            if frame.subject != reply.as_bytes() {
                continue;
            }
            let answer = String::from_utf8_lossy(frame.body).into_owned();
            match number(&answer, "seq").filter(|seq| *seq > 0) {
                Some(seq) => {
                    answers.acked.insert(seq, body);
                }
                None => *answers.errors.entry(error_of(&answer)).or_default() += 1,
            }
            break;
        }
    }
    Ok(())
}

fn error_of(answer: &str) -> String {
    let code = number(answer, "err_code").map(|code| format!("{CODED}{code}"));
    let line = answer.lines().next().unwrap_or_default().to_owned();
    code.unwrap_or(line)
}

/// Asks the health check; the status and what it says.
pub(crate) fn health(server: &Server) -> (u16, String) {
    ask(&server.http).unwrap_or((0, "no answer".to_owned()))
}

/// Says in a few words what the health check says.
pub(crate) fn health_note(server: &Server) -> String {
    note_of(health(server).0)
}

fn note_of(status: u16) -> String {
    match status {
        200 => "health ok".to_owned(),
        0 => "health cannot be asked".to_owned(),
        _ => format!("health {status}"),
    }
}

fn ask(address: &str) -> Result<(u16, String)> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    write!(
        stream,
        "GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    )?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    let status = text.split(' ').nth(1).and_then(|code| code.parse().ok());
    let body = text.split("\r\n\r\n").nth(1).unwrap_or_default();
    Ok((status.unwrap_or(0), body.to_owned()))
}

/// Waits until a publish is acknowledged; how long it took, or none within `longest`.
pub(crate) fn serves_again(server: &Server, longest: Duration) -> Option<(Duration, Answers)> {
    let start = Instant::now();
    let mut round = 0;
    while start.elapsed() < longest {
        round += 1;
        let name = format!("again{round}");
        let answers = publish_singly(server, &name, 100, |a| {
            !a.acked.is_empty() || a.is_refused()
        });
        if !answers.acked.is_empty() {
            return Some((start.elapsed(), answers));
        }
        std::thread::sleep(Duration::from_millis(200));
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_refused_is_told_so_with_a_code_while_health_is_not_well() {
        let refused = |error: &str, silences| Answers {
            errors: [(error.to_owned(), 1)].into(),
            silences,
            ..Answers::default()
        };
        assert!(refused("error 10077", 0).broken(Some(503)).is_empty());
        for (answers, status) in [
            (refused("error 10077", 0), 200),
            (refused("error 10077", 1), 503),
            (refused("NATS/1.0 503", 0), 503),
        ] {
            assert_eq!(answers.broken(Some(status)).len(), 1, "{answers:?}");
        }
        assert!(Answers::default().broken(None).is_empty());
    }
}

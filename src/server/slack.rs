//! Tells Slack what has happened.
//!
//! *Invariant:* what is told is text, which Slack is not to read as its own markup; each message is
//! tried on its own, and again if that may help, but a batch takes no longer than a time in all, so
//! that a service that is away costs that much and no more.

use core::time::Duration;
use std::thread;
use std::time::Instant;

use broker::Notice;
use serde_json::{Value, json};

use crate::web_client;

/// How often a message is tried.
const TRIES: u32 = 3;
/// Answers of Slack by which it says that a message may be tried again.
const PASSING: [&str; 5] = [
    "ratelimited",
    "rate_limited",
    "service_unavailable",
    "request_timeout",
    "internal_error",
];

/// How much time there is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience {
    /// Before a message is tried again; more each time.
    pub(crate) pause: Duration,
    /// For a whole batch; what has not been tried by then is dropped.
    pub(crate) batch: Duration,
}

/// What the server has.
pub(crate) const PATIENCE: Patience = Patience {
    pause: Duration::from_secs(1),
    batch: Duration::from_secs(60),
};

/// Why a message was not taken.
enum Refusal {
    /// Another try may help.
    Passing(String),
    /// None will.
    Final(String),
}

/// Tells notices in order; one that is not taken does not keep the others back.
///
/// # Errors
/// How many were not taken, and why the first of them.
pub(crate) fn tell(url: &str, notices: &[Notice], patience: Patience) -> Result<(), String> {
    let until = Instant::now() + patience.batch;
    let mut failed = Vec::new();
    for notice in notices {
        if let Err(why) = tell_one(url, notice, patience.pause, until) {
            failed.push(why);
        }
    }
    match failed.first() {
        None => Ok(()),
        Some(first) => {
            let (lost, all) = (failed.len(), notices.len());
            Err(format!("{first} ({lost} of {all} not told)"))
        }
    }
}

fn tell_one(url: &str, notice: &Notice, pause: Duration, until: Instant) -> Result<(), String> {
    let mut why = "there was no time left".to_owned();
    for tried in 1..=TRIES {
        if Instant::now() >= until {
            break;
        }
        match send(url, notice) {
            Ok(()) => return Ok(()),
            Err(Refusal::Final(error)) => return Err(error),
            Err(Refusal::Passing(error)) => why = error,
        }
        let left = until.saturating_duration_since(Instant::now());
        if tried < TRIES {
            thread::sleep((pause * tried).min(left));
        }
    }
    Err(why)
}

fn send(url: &str, notice: &Notice) -> Result<(), Refusal> {
    let said = json!({
        "channel": notice.channel,
        "text": notice.text,
        "mrkdwn": false,
        "parse": "none",
    });
    let answer = web_client::post(url, &notice.token, &said.to_string());
    let answer = answer.map_err(|error| match error.as_bytes() {
        // What the client has done wrong will be wrong again, unless it was only too much.
        [b'4', b'0'..=b'9', b'0'..=b'9', ..] if !error.starts_with("429") => Refusal::Final(error),
        _ => Refusal::Passing(error),
    })?;
    let answer: Value =
        serde_json::from_str(&answer).map_err(|error| Refusal::Final(error.to_string()))?;
    match (answer.get("ok"), answer.get("error")) {
        (Some(Value::Bool(true)), _) => Ok(()),
        (_, Some(Value::String(why))) if PASSING.contains(&why.as_str()) => {
            Err(Refusal::Passing(why.clone()))
        }
        (_, Some(Value::String(why))) => Err(Refusal::Final(why.clone())),
        (_, _) => Err(Refusal::Final("the answer is not Slack's".to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::TcpListener;

    use super::*;

    const SHORT: Patience = Patience {
        pause: Duration::from_millis(1),
        batch: Duration::from_secs(60),
    };

    /// Tells `texts` to somebody who gives these answers; returns what came of it and what was asked.
    fn told<const N: usize>(
        texts: &[&str],
        answers: [&'static str; N],
        patience: Patience,
    ) -> (Result<(), String>, [String; N]) {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
        let url = format!("http://{}/api", listener.local_addr().expect("bound"));
        let other_side = thread::spawn(move || {
            answers.map(|answer| {
                let (mut stream, _) = listener.accept().expect("a client");
                let mut asked = Vec::new();
                while !asked.ends_with(b"}") {
                    let mut byte = [0];
                    stream.read_exact(&mut byte).expect("a request");
                    asked.extend(byte);
                }
                stream.write_all(answer.as_bytes()).expect("written");
                String::from_utf8(asked).expect("text")
            })
        });
        let notices: Vec<Notice> = texts
            .iter()
            .map(|text| Notice {
                token: "xoxb".to_owned(),
                channel: "C1".to_owned(),
                text: (*text).to_owned(),
            })
            .collect();
        let told = tell(&url, &notices, patience);
        (told, other_side.join().expect("no panic"))
    }

    const TAKEN: &str = "HTTP/1.0 200 OK\r\n\r\n{\"ok\":true}";
    const REFUSED: &str = "HTTP/1.0 200 OK\r\n\r\n{\"ok\":false,\"error\":\"msg_too_long\"}";
    const BUSY: &str = "HTTP/1.0 429 Too Many Requests\r\n\r\n";

    #[test]
    fn a_message_that_slack_refuses_does_not_keep_the_next_back() {
        let texts = ["one", "two", "three"];
        let (told, [first, second, third]) = told(&texts, [TAKEN, REFUSED, TAKEN], SHORT);
        assert_eq!(told, Err("msg_too_long (1 of 3 not told)".to_owned()));
        assert!(first.starts_with("POST /api HTTP/1.0\r\n"), "{first}");
        assert!(first.contains("Authorization: Bearer xoxb\r\n"), "{first}");
        assert!(first.contains(r#""text":"one""#), "{first}");
        assert!(second.contains(r#""text":"two""#), "{second}");
        assert!(third.contains(r#""text":"three""#), "{third}");
    }

    #[test]
    fn a_message_is_tried_again_while_slack_is_busy() {
        let (told, asked) = told(&["one", "two"], [BUSY, BUSY, TAKEN, TAKEN], SHORT);
        assert_eq!(told, Ok(()));
        let texts = asked.map(|asked| asked.contains(r#""text":"one""#));
        assert_eq!(texts, [true, true, true, false]);
    }

    #[test]
    fn nothing_is_tried_for_ever() {
        let (told_of, _) = told(&["one"], [BUSY, BUSY, BUSY], SHORT);
        let why = "429 Too Many Requests (1 of 1 not told)";
        assert_eq!(told_of, Err(why.to_owned()));
        let no_time = Patience {
            batch: Duration::ZERO,
            ..SHORT
        };
        let (told_of, []) = told(&["one", "two"], [], no_time);
        let why = "there was no time left (2 of 2 not told)";
        assert_eq!(told_of, Err(why.to_owned()));
    }
}

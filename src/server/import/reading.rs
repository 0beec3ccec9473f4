//! Messages, read by their numbers: nothing has to be made where they are, and streams of every
//! retention can be read.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use jetstream::archive::Message;
use protocol::id::Seq;
use serde_json::Value;

use super::ask::{ANSWER_MAX, Source, error_of, time};
use super::progress::Progress;
use super::spool::Spool;
use super::{ImportError, Link};

/// Most questions under way.
const WINDOW_MAX: u64 = 256;
/// Bytes of answers under way at most, as far as the average message tells.
const WINDOW_BYTES: u64 = 16 << 20;
/// Least questions under way where there are gaps: most of them find the same message.
const WINDOW_MIN: u64 = 4;
/// JetStream's code for "there is none from here on".
const NO_MESSAGE: u64 = 10_037;

/// Reads a stream's messages in order.
pub(super) struct Reading<'a> {
    source: &'a Source,
    next: Seq,
    window: u64,
    window_max: u64,
}

impl<'a> Reading<'a> {
    /// Begins behind a message.
    pub(super) fn behind(source: &'a Source, last: Seq) -> Self {
        let fitting = WINDOW_BYTES.checked_div(source.bytes_each);
        let window_max = fitting.unwrap_or(WINDOW_MAX).clamp(1, WINDOW_MAX);
        Self {
            source,
            next: last.next().max(source.first),
            window: window_max,
            window_max,
        }
    }

    /// Reads the next messages; none when there are no more.
    pub(super) async fn next(&mut self, link: &mut Link) -> Result<Vec<Message>, ImportError> {
        while self.next <= self.source.last {
            let messages = self.read_window(link).await?;
            if !messages.is_empty() {
                return Ok(messages);
            }
        }
        Ok(Vec::new())
    }

    /// Asks for the message at or behind each number of a window: together that is every message in it,
    /// and the first one behind a gap at its end.
    async fn read_window(&mut self, link: &mut Link) -> Result<Vec<Message>, ImportError> {
        let subject = format!("$JS.API.STREAM.MSG.GET.{}", self.source.name);
        let last = self.source.last.0;
        let end = (self.next.0 + self.window - 1).min(last);
        let mut waiting = std::collections::BTreeSet::new();
        for seq in self.next.0..=end {
            let reply = link.reply_subject();
            let body = format!("{{\"seq\":{seq},\"next_by_subj\":\">\"}}");
            link.publish(&subject, &reply, b"", body.as_bytes());
            waiting.insert(reply);
        }
        let asked = waiting.len() as u64;
        let mut found = BTreeMap::new();
        while !waiting.is_empty() {
            let answer = link.next(ANSWER_MAX).await?;
            if waiting.remove(&answer.subject)
                && let Some(message) = self.message(&answer.payload)?
            {
                found.insert(message.seq, message);
            }
        }
        let reached = found.keys().next_back().map_or(end, |seq| seq.0.max(end));
        self.next = Seq(reached).next();
        // Where there are gaps, fewer questions find as much.
        let is_dense = found.len() as u64 * 2 > asked;
        self.window = match is_dense {
            true => (self.window * 2).min(self.window_max),
            false => (self.window / 2).max(WINDOW_MIN).min(self.window_max),
        };
        let known = found.into_values().filter(|message| message.seq.0 <= last);
        Ok(known.collect())
    }

    /// Reads an answer; nothing if there is no message from its number on.
    fn message(&self, answer: &[u8]) -> Result<Option<Message>, ImportError> {
        let unreadable = || ImportError::Unreadable {
            what: format!("a message of {}", self.source.name),
        };
        let answer: Value = serde_json::from_slice(answer).map_err(|_| unreadable())?;
        match error_of(&answer) {
            Some((NO_MESSAGE, _)) => return Ok(None),
            Some((_, said)) => {
                return Err(ImportError::Refused {
                    what: format!("a message of {}", self.source.name),
                    said: said.to_owned(),
                });
            }
            None => {}
        }
        let message = answer.get("message").ok_or_else(unreadable)?;
        let text = |key: &str| message.get(key).and_then(Value::as_str).unwrap_or_default();
        let bytes = |key: &str| STANDARD.decode(text(key)).map_err(|_| unreadable());
        let seq = message.get("seq").and_then(Value::as_u64);
        Ok(Some(Message {
            seq: Seq(seq.ok_or_else(unreadable)?),
            time: time(message.get("time")).ok_or_else(unreadable)?,
            subject: Bytes::copy_from_slice(text("subject").as_bytes()),
            headers: bytes("hdrs")?.into(),
            payload: bytes("data")?.into(),
        }))
    }
}

/// Reads what an archive lacks.
pub(super) async fn read_into(
    link: &mut Link,
    source: &Source,
    spool: &mut Spool,
    progress: &Progress,
) -> Result<(), ImportError> {
    let (_, last) = spool.messages();
    let mut reading = Reading::behind(source, last);
    loop {
        let messages = reading.next(link).await?;
        if messages.is_empty() {
            return Ok(());
        }
        spool.append(&messages)?;
        progress.bar(&source.name, "read", spool.messages().0, source.messages);
    }
}

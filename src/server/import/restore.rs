//! A whole archive, handed to the server that is to have the stream.

use std::io::Read as _;

use bytes::BytesMut;
use jetstream::archive::{self, End, FRAME_LEN_MAX};
use serde_json::{Value, json};

use super::ask::{ANSWER_MAX, Source, ask, checked};
use super::consumers::put_consumers;
use super::progress::Progress;
use super::spool::Spool;
use super::{ImportError, Link};

/// How many chunks may be unconfirmed.
const WINDOW: usize = 16;

/// Restores a stream from its archive.
pub(super) async fn restore(
    link: &mut Link,
    source: &Source,
    spool: &Spool,
    progress: &Progress,
) -> Result<(), ImportError> {
    let api = format!("STREAM.RESTORE.{}", source.name);
    let body = json!({"config": source.config, "state": source.state});
    let answer = checked(&api, ask(link, &api, &body).await?)?;
    let to = answer.get("deliver_subject").and_then(Value::as_str);
    let to = to.ok_or_else(|| ImportError::Unreadable { what: api.clone() })?;
    let mut upload = Upload {
        link,
        to,
        waiting: Vec::new(),
    };
    let mut chunk = BytesMut::new();
    archive::put_frames_start(&mut chunk);
    upload.send(&chunk).await?;
    let mut file = spool.reader()?;
    let mut piece = vec![0; FRAME_LEN_MAX];
    let (mut sent, len) = (0, file.metadata().map_or(0, |meta| meta.len()));
    loop {
        let read = file.read(&mut piece).map_err(|error| spool.failed(error))?;
        let Some(data) = piece.get(..read).filter(|data| !data.is_empty()) else {
            break;
        };
        upload.send_data(data).await?;
        sent += read as u64;
        progress.bar(&source.name, "restored", sent, len);
    }
    let mut tail = BytesMut::new();
    let consumers = put_consumers(&mut tail, source);
    let end = End {
        last: source.last,
        last_time: source.last_time,
        messages: spool.messages().0,
        consumers,
    };
    archive::put_end(&mut tail, &end);
    for data in tail.chunks(FRAME_LEN_MAX) {
        upload.send_data(data).await?;
    }
    upload.finish().await?;
    let answer = link.request(to, b"", b"", ANSWER_MAX).await?;
    let answer = serde_json::from_slice(&answer.payload);
    let answer = answer.map_err(|_| ImportError::Unreadable { what: api.clone() })?;
    checked(&api, answer).map(|_| ())
}

/// Chunks on their way.
struct Upload<'a> {
    link: &'a mut Link,
    to: &'a str,
    waiting: Vec<String>,
}

impl Upload<'_> {
    /// Sends a piece of the archive.
    async fn send_data(&mut self, data: &[u8]) -> Result<(), ImportError> {
        let mut chunk = BytesMut::new();
        archive::put_frame(&mut chunk, data);
        self.send(&chunk).await
    }

    async fn send(&mut self, chunk: &[u8]) -> Result<(), ImportError> {
        while self.waiting.len() >= WINDOW {
            self.hear().await?;
        }
        let reply = self.link.reply_subject();
        self.link.publish(self.to, &reply, b"", chunk);
        self.waiting.push(reply);
        Ok(())
    }

    /// Waits until all chunks are confirmed.
    async fn finish(&mut self) -> Result<(), ImportError> {
        while !self.waiting.is_empty() {
            self.hear().await?;
        }
        Ok(())
    }

    async fn hear(&mut self) -> Result<(), ImportError> {
        let answer = self.link.next(ANSWER_MAX).await?;
        self.waiting.retain(|reply| *reply != answer.subject);
        // A chunk is confirmed with nothing; what is said is what is wrong.
        if let Ok(said) = serde_json::from_slice::<Value>(&answer.payload) {
            checked("a chunk", said)?;
        }
        Ok(())
    }
}

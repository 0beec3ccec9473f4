//! What a server sends, from bytes to operations.
//!
//! *Invariant:* any split of the bytes gives the same operations.

use bytes::{Buf, Bytes, BytesMut};
use protocol::headers::Headers;

/// A message as a client receives it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Message {
    /// The subject.
    pub subject: String,
    /// The subscription.
    pub sid: u64,
    /// The reply subject; empty for none.
    pub reply: String,
    /// The header block; empty for none.
    pub headers: Bytes,
    /// The body.
    pub payload: Bytes,
}

impl Message {
    /// Returns the status of a message of the server's own, such as 503; none for ordinary messages.
    #[must_use]
    pub fn status(&self) -> Option<u16> {
        let line = self.headers.strip_prefix(b"NATS/1.0 ")?;
        let digits = line.get(..3)?;
        core::str::from_utf8(digits).ok()?.parse().ok()
    }

    /// Returns the value of a header.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let block = core::str::from_utf8(&self.headers).ok()?;
        block.split("\r\n").skip(1).find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }

    /// Returns the headers in their order.
    pub fn pairs(&self) -> impl Iterator<Item = (String, String)> {
        let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
        let pairs = Headers::new(&self.headers).iter();
        pairs.map(move |(key, value)| (text(key), text(value)))
    }
}

/// One operation of the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ServerOp {
    /// INFO, with its JSON.
    Info(Bytes),
    /// MSG or HMSG.
    Message(Message),
    /// PING.
    Ping,
    /// PONG.
    Pong,
    /// +OK.
    Ok,
    /// -ERR, with its text.
    Err(String),
}

/// What came is not the protocol.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the server said {0:?}")]
pub struct NotTheProtocol(String);

/// Collects bytes until an operation is whole.
#[derive(Debug, Default)]
pub struct Reader {
    /// What has come and is not read yet.
    pub input: BytesMut,
}

impl Reader {
    /// Returns the next whole operation.
    ///
    /// # Errors
    /// When what came is none.
    pub fn next_op(&mut self) -> Result<Option<ServerOp>, NotTheProtocol> {
        let Some(end) = self.input.windows(2).position(|pair| pair == b"\r\n") else {
            return Ok(None);
        };
        let line = self.input.get(..end).unwrap_or_default();
        let line = String::from_utf8_lossy(line).into_owned();
        let (verb, args) = line.split_once([' ', '\t']).unwrap_or((&line, ""));
        let op = match verb.to_ascii_uppercase().as_str() {
            "INFO" => ServerOp::Info(Bytes::copy_from_slice(args.trim().as_bytes())),
            "MSG" => return self.message(&line, args, false),
            "HMSG" => return self.message(&line, args, true),
            "PING" => ServerOp::Ping,
            "PONG" => ServerOp::Pong,
            "+OK" => ServerOp::Ok,
            "-ERR" => ServerOp::Err(args.trim().trim_matches('\'').to_owned()),
            _ => return Err(NotTheProtocol(line)),
        };
        self.input.advance(end + 2);
        Ok(Some(op))
    }

    fn message(
        &mut self,
        line: &str,
        args: &str,
        has_headers: bool,
    ) -> Result<Option<ServerOp>, NotTheProtocol> {
        let bad = || NotTheProtocol(line.to_owned());
        let mut words: Vec<&str> = args.split_ascii_whitespace().collect();
        let mut number = || -> Option<usize> { words.pop()?.parse().ok() };
        let total = number().ok_or_else(bad)?;
        let head = if has_headers {
            number().ok_or_else(bad)?
        } else {
            0
        };
        let (subject, sid, reply) = match words.as_slice() {
            [subject, sid] => (*subject, *sid, ""),
            [subject, sid, reply] => (*subject, *sid, *reply),
            _ => return Err(bad()),
        };
        let sid = sid.parse().map_err(|_| bad())?;
        let body = line.len() + 2;
        if self.input.len() < body + total + 2 {
            return Ok(None);
        }
        self.input.advance(body);
        let mut block = self.input.split_to(total).freeze();
        if head > total || !self.input.starts_with(b"\r\n") {
            return Err(bad());
        }
        self.input.advance(2);
        Ok(Some(ServerOp::Message(Message {
            subject: subject.to_owned(),
            sid,
            reply: reply.to_owned(),
            headers: block.split_to(head),
            payload: block,
        })))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPOKEN: &[u8] = b"INFO {\"a\":1}\r\nMSG a.b 3 5\r\nhe\r\no\r\nHMSG c 4 reply 12 14\r\n\
        NATS/1.0\r\n\r\nhi\r\nHMSG d 5 16 16\r\nNATS/1.0 503\r\n\r\n\r\nPING\r\n-ERR 'No'\r\n";

    fn read(pieces: &[&[u8]]) -> Vec<ServerOp> {
        let mut reader = Reader::default();
        let mut ops = Vec::new();
        for piece in pieces {
            reader.input.extend_from_slice(piece);
            while let Some(op) = reader.next_op().unwrap() {
                ops.push(op);
            }
        }
        ops
    }

    #[test]
    fn every_split_gives_the_same_operations() {
        let whole = read(&[SPOKEN]);
        assert_eq!(whole.len(), 6);
        for at in 1..SPOKEN.len() {
            let (a, b) = SPOKEN.split_at(at);
            assert_eq!(read(&[a, b]), whole, "split at {at}");
        }
    }

    #[test]
    fn headers_status_and_body_are_told_apart() {
        let ops = read(&[SPOKEN]);
        let messages = ops.iter().filter_map(|op| {
            let ServerOp::Message(message) = op else {
                return None;
            };
            Some(message)
        });
        let seen: Vec<_> = messages
            .map(|m| (m.reply.as_str(), m.status(), &m.payload[..]))
            .collect();
        let expected: [(&str, Option<u16>, &[u8]); 3] = [
            ("", None, b"he\r\no"),
            ("reply", None, b"hi"),
            ("", Some(503), b""),
        ];
        assert_eq!(seen, expected);
    }

    #[test]
    fn what_is_not_the_protocol_is_an_error() {
        for wrong in [
            "HELLO\r\n",
            "MSG a 1 x\r\n",
            "HMSG a 1 9 3\r\nabc\r\n",
            "MSG a 1 1\r\nabc",
        ] {
            let mut reader = Reader::default();
            reader.input.extend_from_slice(wrong.as_bytes());
            assert!(reader.next_op().is_err(), "{wrong}");
        }
    }
}

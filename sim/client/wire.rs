//! What a server sends, from bytes to operations.
//!
//! *Invariant:* any split of the bytes gives the same operations.

use bytes::{Buf, Bytes, BytesMut};

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
    /// Returns the status of a message without a body, such as 503; none for ordinary messages.
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
}

/// One operation of the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ServerOp {
    Info(Bytes),
    Message(Message),
    Ping,
    Pong,
    Ok,
    Err(String),
}

/// Collects bytes until an operation is whole.
#[derive(Debug, Default)]
pub(crate) struct Reader {
    buf: BytesMut,
}

impl Reader {
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        self.buf.extend_from_slice(bytes);
    }

    /// Returns the next whole operation; an error says what is not the protocol.
    pub(crate) fn next(&mut self) -> Result<Option<ServerOp>, String> {
        let Some(end) = find_crlf(&self.buf) else {
            return Ok(None);
        };
        let line = String::from_utf8_lossy(&self.buf[..end]).into_owned();
        let (verb, args) = line.split_once([' ', '\t']).unwrap_or((&line, ""));
        let op = match verb.to_ascii_uppercase().as_str() {
            "INFO" => ServerOp::Info(Bytes::copy_from_slice(args.trim().as_bytes())),
            "MSG" => return self.message(end, args, HeaderArg::Absent),
            "HMSG" => return self.message(end, args, HeaderArg::Present),
            "PING" => ServerOp::Ping,
            "PONG" => ServerOp::Pong,
            "+OK" => ServerOp::Ok,
            "-ERR" => ServerOp::Err(args.trim().trim_matches('\'').to_owned()),
            _ => return Err(format!("the server said {line:?}")),
        };
        self.buf.advance(end + 2);
        Ok(Some(op))
    }

    fn message(
        &mut self,
        line_len: usize,
        args: &str,
        headers: HeaderArg,
    ) -> Result<Option<ServerOp>, String> {
        let bad = || format!("the server's message line has the arguments {args:?}");
        let mut words: Vec<&str> = args.split_ascii_whitespace().collect();
        let mut number = || -> Option<usize> { words.pop()?.parse().ok() };
        let total = number().ok_or_else(bad)?;
        let head = match headers {
            HeaderArg::Present => number().ok_or_else(bad)?,
            HeaderArg::Absent => 0,
        };
        let (subject, sid, reply) = match words.as_slice() {
            [subject, sid] => (*subject, *sid, ""),
            [subject, sid, reply] => (*subject, *sid, *reply),
            _ => return Err(bad()),
        };
        let body = line_len + 2;
        if self.buf.len() < body + total + 2 {
            return Ok(None);
        }
        if head > total || &self.buf[body + total..body + total + 2] != b"\r\n" {
            return Err(bad());
        }
        let mut message = Message {
            subject: subject.to_owned(),
            sid: sid.parse().map_err(|_| bad())?,
            reply: reply.to_owned(),
            ..Message::default()
        };
        self.buf.advance(body);
        let mut block = self.buf.split_to(total + 2).freeze();
        block.truncate(total);
        message.headers = block.split_to(head);
        message.payload = block;
        Ok(Some(ServerOp::Message(message)))
    }
}

#[derive(Clone, Copy, Debug)]
enum HeaderArg {
    Present,
    Absent,
}

fn find_crlf(bytes: &[u8]) -> Option<usize> {
    bytes.windows(2).position(|pair| pair == b"\r\n")
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
            reader.push(piece);
            while let Some(op) = reader.next().unwrap() {
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
        let [
            _,
            ServerOp::Message(a),
            ServerOp::Message(b),
            ServerOp::Message(c),
            ..,
        ] = &ops[..]
        else {
            panic!("{ops:?}");
        };
        assert_eq!(&a.payload[..], b"he\r\no");
        assert_eq!((b.reply.as_str(), &b.payload[..]), ("reply", &b"hi"[..]));
        assert_eq!((b.status(), c.status()), (None, Some(503)));
    }

    #[test]
    fn what_is_not_the_protocol_is_an_error() {
        let mut reader = Reader::default();
        reader.push(b"HELLO\r\n");
        assert!(reader.next().is_err());
    }
}

//! The protocol's writer: what a server sends to a client, appended to the connection's outbox.

use core::fmt::{self, Write};

use bytes::BytesMut;

use crate::message::Message;

/// Asks the client whether it is there.
pub const PING: &[u8] = b"PING\r\n";
/// Answers a client's `PING`.
pub const PONG: &[u8] = b"PONG\r\n";
/// Confirms an operation in verbose mode.
pub const OK: &[u8] = b"+OK\r\n";

/// Stands for a reply token without text: two separators follow each other. nats-server writes one in
/// a few messages of its own; clients cannot send it.
pub const BLANK_REPLY: &[u8] = b" ";

/// The most that a control line adds: verb, separators, two sizes and three line ends.
const FRAME_MAX: usize = 48;

/// Appends `message` for the subscription that the client calls `sid`: as `HMSG` if it has headers,
/// else as `MSG`.
#[inline]
pub fn message(out: &mut BytesMut, sid: &[u8], message: &Message<'_>) {
    out.reserve(message_len_max(sid, message));
    if message.headers.is_empty() {
        write_msg(out, sid, message);
    } else {
        write_hmsg(out, sid, message);
    }
}

/// Appends `message` for a client that has not enabled headers: they are left out.
pub fn message_without_headers(out: &mut BytesMut, sid: &[u8], message: &Message<'_>) {
    out.reserve(message_len_max(sid, message));
    write_msg(out, sid, message);
}

/// Returns a bound of the bytes that [`message`] appends.
#[must_use]
pub(crate) fn message_len_max(sid: &[u8], message: &Message<'_>) -> usize {
    FRAME_MAX + message.subject.len() + sid.len() + message.reply.len() + message.body_len()
}

/// Appends `-ERR '<text>'`.
pub fn error(out: &mut BytesMut, text: &impl fmt::Display) {
    // Writing to a BytesMut fails only where it cannot grow, which it always can.
    let _ = write!(out, "-ERR '{text}'\r\n");
}

/// Appends `INFO` with the given JSON. The space before the line end is what nats-server sends.
pub fn info(out: &mut BytesMut, json: &[u8]) {
    out.reserve(json.len() + 8);
    out.extend_from_slice(b"INFO ");
    out.extend_from_slice(json);
    out.extend_from_slice(b" \r\n");
}

#[inline]
fn write_msg(out: &mut BytesMut, sid: &[u8], message: &Message<'_>) {
    out.extend_from_slice(b"MSG ");
    write_address(out, sid, message);
    write_size(out, message.payload.len());
    out.extend_from_slice(b"\r\n");
    out.extend_from_slice(message.payload);
    out.extend_from_slice(b"\r\n");
}

fn write_hmsg(out: &mut BytesMut, sid: &[u8], message: &Message<'_>) {
    out.extend_from_slice(b"HMSG ");
    write_address(out, sid, message);
    write_size(out, message.headers.len());
    out.extend_from_slice(b" ");
    write_size(out, message.body_len());
    out.extend_from_slice(b"\r\n");
    out.extend_from_slice(message.headers);
    out.extend_from_slice(message.payload);
    out.extend_from_slice(b"\r\n");
}

/// Appends `subject sid [reply] ` with the separator to what follows.
#[inline]
fn write_address(out: &mut BytesMut, sid: &[u8], message: &Message<'_>) {
    out.extend_from_slice(message.subject);
    out.extend_from_slice(b" ");
    out.extend_from_slice(sid);
    out.extend_from_slice(b" ");
    if !message.reply.is_empty() {
        if message.reply != BLANK_REPLY {
            out.extend_from_slice(message.reply);
        }
        out.extend_from_slice(b" ");
    }
}

#[inline]
fn write_size(out: &mut BytesMut, size: usize) {
    out.extend_from_slice(itoa::Buffer::new().format(size).as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::errors::ProtocolError;

    const PLAIN: Message<'static> = Message {
        subject: b"a.b",
        reply: b"",
        headers: b"",
        payload: b"hello",
    };
    const FULL: Message<'static> = Message {
        subject: b"a.b",
        reply: b"r",
        headers: b"NATS/1.0\r\n\r\n",
        payload: b"hello",
    };

    #[test]
    fn messages_are_framed_by_what_they_hold() {
        let mut out = BytesMut::new();
        message(&mut out, b"7", &PLAIN);
        message(&mut out, b"8", &FULL);
        message_without_headers(&mut out, b"9", &FULL);
        assert_eq!(
            out,
            b"MSG a.b 7 5\r\nhello\r\n\
              HMSG a.b 8 r 12 17\r\nNATS/1.0\r\n\r\nhello\r\n\
              MSG a.b 9 r 5\r\nhello\r\n"
                .as_slice()
        );
    }

    #[test]
    fn a_blank_reply_is_a_token_without_text() {
        let mut out = BytesMut::new();
        let msg = Message {
            reply: BLANK_REPLY,
            ..PLAIN
        };
        message(&mut out, b"7", &msg);
        assert_eq!(out, b"MSG a.b 7  5\r\nhello\r\n".as_slice());
    }

    #[test]
    fn the_bound_of_a_frame_holds() {
        for msg in [PLAIN, FULL] {
            let mut out = BytesMut::new();
            message(&mut out, b"1", &msg);
            assert!(out.len() <= message_len_max(b"1", &msg));
        }
    }

    #[test]
    fn errors_and_info_are_framed() {
        let mut out = BytesMut::new();
        error(&mut out, &ProtocolError::PublishDenied { subject: b"x" });
        info(&mut out, b"{}");
        assert_eq!(
            out,
            b"-ERR 'Permissions Violation for Publish to \"x\"'\r\nINFO {} \r\n".as_slice()
        );
    }
}

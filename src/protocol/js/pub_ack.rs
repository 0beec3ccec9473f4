//! The answer to a publish.
//!
//! *Invariant:* this is the hot path of publishers. Encoding allocates nothing.

use bytes::BytesMut;

use super::errors::ApiError;
use super::json::{Writer, go_quote};

/// What a stored publish is answered with. Its text is a template in NATS, not the encoder's output:
/// the domain stands before the sequence, and `duplicate` has a blank.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PubAck<'a> {
    /// The stream.
    pub stream: &'a str,
    /// The server's domain; empty if it has none.
    pub domain: &'a str,
    /// The sequence the message got, or has got before.
    pub seq: u64,
    /// The message was stored before.
    pub duplicate: bool,
    /// The batch's id and number of messages.
    pub batch: Option<(&'a str, u64)>,
    /// The counter's new value.
    pub value: Option<&'a str>,
}

impl PubAck<'_> {
    /// Appends the text.
    pub fn encode(&self, out: &mut BytesMut) {
        out.extend_from_slice(b"{\"stream\":");
        quote(self.stream, out);
        if !self.domain.is_empty() {
            out.extend_from_slice(b",\"domain\":");
            quote(self.domain, out);
        }
        out.extend_from_slice(b",\"seq\":");
        number(self.seq, out);
        if self.duplicate {
            out.extend_from_slice(b",\"duplicate\": true");
        }
        if let Some((id, count)) = self.batch {
            out.extend_from_slice(b",\"batch\":");
            quote(id, out);
            out.extend_from_slice(b",\"count\":");
            number(count, out);
        }
        if let Some(value) = self.value {
            out.extend_from_slice(b",\"val\":");
            quote(value, out);
        }
        out.extend_from_slice(b"}");
    }
}

/// Appends the answer to a publish that was refused.
pub fn encode_refusal(stream: &str, domain: &str, error: &ApiError, out: &mut BytesMut) {
    let mut to = Writer::default();
    to.begin_object();
    to.field("error", error);
    to.field("stream", stream);
    to.field("seq", &0_u64);
    to.field_if_set("domain", domain);
    to.end_object();
    out.extend_from_slice(&to.into_bytes());
}

fn number(value: u64, out: &mut BytesMut) {
    out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
}

/// Only names with characters that need escaping take the way that allocates.
fn quote(text: &str, out: &mut BytesMut) {
    let plain = text
        .bytes()
        .all(|b| (b' '..0x7f).contains(&b) && b != b'"' && b != b'\\');
    if plain {
        out.extend_from_slice(b"\"");
        out.extend_from_slice(text.as_bytes());
        out.extend_from_slice(b"\"");
    } else {
        out.extend_from_slice(go_quote(text.as_bytes()).as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::super::errors;
    use super::*;

    fn text(ack: PubAck<'_>) -> BytesMut {
        let mut out = BytesMut::new();
        ack.encode(&mut out);
        out
    }

    #[test]
    fn acks_read_as_those_of_the_server() {
        let ack = PubAck {
            stream: "S",
            seq: 1,
            ..PubAck::default()
        };
        assert_eq!(text(ack), &b"{\"stream\":\"S\",\"seq\":1}"[..]);
        let there = PubAck {
            duplicate: true,
            ..ack
        };
        assert_eq!(
            text(there),
            &b"{\"stream\":\"S\",\"seq\":1,\"duplicate\": true}"[..]
        );
        let hub = PubAck {
            domain: "hub",
            ..ack
        };
        assert_eq!(
            text(hub),
            &b"{\"stream\":\"S\",\"domain\":\"hub\",\"seq\":1}"[..]
        );
        let counter = PubAck {
            value: Some("3"),
            ..ack
        };
        assert_eq!(
            text(counter),
            &b"{\"stream\":\"S\",\"seq\":1,\"val\":\"3\"}"[..]
        );
        let batch = PubAck {
            batch: Some(("b", 2)),
            ..ack
        };
        assert_eq!(
            text(batch),
            &b"{\"stream\":\"S\",\"seq\":1,\"batch\":\"b\",\"count\":2}"[..]
        );
        let odd = PubAck {
            stream: "a\"b",
            ..ack
        };
        assert_eq!(text(odd), &b"{\"stream\":\"a\\\"b\",\"seq\":1}"[..]);
    }

    #[test]
    fn refusals_name_the_error_first() {
        let mut out = BytesMut::new();
        let error = errors::STREAM_WRONG_LAST_SEQUENCE.with(7);
        encode_refusal("S", "", &error, &mut out);
        let text = b"{\"error\":{\"code\":400,\"err_code\":10071,\
            \"description\":\"wrong last sequence: 7\"},\"stream\":\"S\",\"seq\":0}";
        assert_eq!(out, &text[..]);
    }
}

//! Acknowledgements: the subject that a delivered message carries as its reply, and what clients send
//! to it.
//!
//! *Invariant:* this is the hot path of consumers. Nothing allocates.

use bytes::BytesMut;

use crate::text::duration::Nanos;

use super::json::{Strictness, decode, json_struct};

/// What every ack subject starts with.
pub const ACK_PREFIX: &[u8] = b"$JS.ACK.";

/// What an ack subject says about a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AckSubject<'a> {
    /// The stream.
    pub stream: &'a str,
    /// The consumer.
    pub consumer: &'a str,
    /// How often this message has been delivered, this time included.
    pub deliveries: u64,
    /// The message's sequence in the stream.
    pub stream_seq: u64,
    /// The delivery's sequence in the consumer.
    pub consumer_seq: u64,
    /// When the message was stored, in nanoseconds since 1970.
    pub timestamp: u64,
    /// How many messages were yet to be delivered.
    pub pending: u64,
}

impl<'a> AckSubject<'a> {
    /// Reads an ack subject of nine tokens, or of eleven and more with domain and account in front.
    #[must_use]
    pub fn parse(subject: &'a [u8]) -> Option<Self> {
        let rest = core::str::from_utf8(subject.strip_prefix(ACK_PREFIX)?).ok()?;
        let tokens = 1 + memchr::memchr_iter(b'.', rest.as_bytes()).count();
        let mut tokens_left = rest.split('.');
        match tokens {
            7 => {}
            9.. => {
                // The domain and the account's hash.
                tokens_left.nth(1)?;
            }
            _ => return None,
        }
        Some(Self {
            stream: tokens_left.next()?,
            consumer: tokens_left.next()?,
            deliveries: number(tokens_left.next()?)?,
            stream_seq: number(tokens_left.next()?)?,
            consumer_seq: number(tokens_left.next()?)?,
            timestamp: number(tokens_left.next()?)?,
            pending: number(tokens_left.next()?)?,
        })
    }

    /// Appends the subject in its short form.
    pub fn encode(&self, out: &mut BytesMut) {
        out.extend_from_slice(ACK_PREFIX);
        out.extend_from_slice(self.stream.as_bytes());
        out.extend_from_slice(b".");
        out.extend_from_slice(self.consumer.as_bytes());
        self.encode_numbers(out);
    }

    /// Appends what follows the consumer's name, for callers that keep the part before it.
    pub(crate) fn encode_numbers(&self, out: &mut BytesMut) {
        let mut buffer = itoa::Buffer::new();
        for number in [
            self.deliveries,
            self.stream_seq,
            self.consumer_seq,
            self.timestamp,
            self.pending,
        ] {
            out.extend_from_slice(b".");
            out.extend_from_slice(buffer.format(number).as_bytes());
        }
    }
}

/// Reads digits as nats-server does: what is no number counts as -1, and one that is too large wraps. So
/// an ack counts if it names its message, whatever the rest says.
fn number(token: &str) -> Option<u64> {
    if token.is_empty() {
        return None;
    }
    let mut value: u64 = 0;
    for digit in token.bytes() {
        if !digit.is_ascii_digit() {
            return Some(u64::MAX);
        }
        value = value.wrapping_mul(10).wrapping_add(u64::from(digit - b'0'));
    }
    Some(value)
}

/// What a client says about a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ack<'a> {
    /// It is done.
    Ack,
    /// It failed: deliver it again, at once or later.
    Nak {
        /// How much later. None when the client does not say, or says it wrongly.
        delay: Option<Nanos>,
    },
    /// It takes longer.
    InProgress,
    /// It is done, and here is a pull request.
    Next {
        /// The pull request's body.
        request: &'a [u8],
    },
    /// It will never work: do not deliver it again.
    Term {
        /// Why; empty if the client does not say.
        reason: &'a [u8],
    },
    /// Something that has no meaning.
    Unknown,
}

impl<'a> Ack<'a> {
    /// Reads the payload of an ack, without its headers.
    #[must_use]
    pub fn parse(payload: &'a [u8]) -> Self {
        match payload {
            b"" | b"+ACK" | b"+OK" => Self::Ack,
            b"+WPI" => Self::InProgress,
            _ => {
                if let Some(request) = payload.strip_prefix(b"+NXT") {
                    Self::Next { request }
                } else if let Some(delay) = payload.strip_prefix(b"-NAK") {
                    Self::Nak {
                        delay: nak_delay(delay.trim_ascii()),
                    }
                } else if let Some(reason) = payload.strip_prefix(b"+TERM") {
                    Self::Term {
                        reason: reason.trim_ascii(),
                    }
                } else {
                    Self::Unknown
                }
            }
        }
    }
}

json_struct! {
    /// The JSON form of a delay.
    pub struct NakOptions["ConsumerNakOptions"] {
        /// How much later.
        delay: Nanos = "delay",
    }
}

fn nak_delay(text: &[u8]) -> Option<Nanos> {
    match text.first()? {
        // Rare enough that decoding may allocate.
        b'{' => decode::<NakOptions>(text, Strictness::Lax)
            .ok()
            .map(|options| options.delay),
        _ => core::str::from_utf8(text).ok()?.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHORT: &[u8] = b"$JS.ACK.S.C.1.22.333.1700000000000000001.4";

    fn delivery() -> AckSubject<'static> {
        AckSubject {
            stream: "S",
            consumer: "C",
            deliveries: 1,
            stream_seq: 22,
            consumer_seq: 333,
            timestamp: 1_700_000_000_000_000_001,
            pending: 4,
        }
    }

    #[test]
    fn an_ack_subject_survives_encoding() {
        let mut out = BytesMut::new();
        delivery().encode(&mut out);
        assert_eq!(out, SHORT);
        assert_eq!(AckSubject::parse(&out), Some(delivery()));
    }

    #[test]
    fn long_forms_name_domain_and_account_first() {
        for subject in [
            &b"$JS.ACK._.hash.S.C.1.22.333.1700000000000000001.4"[..],
            b"$JS.ACK.hub.hash.S.C.1.22.333.1700000000000000001.4.rand",
        ] {
            assert_eq!(AckSubject::parse(subject), Some(delivery()));
        }
    }

    #[test]
    fn other_subjects_are_no_acks() {
        for subject in [
            &b"$JS.ACK.S.C.1.22.333.4"[..],
            b"$JS.ACK.x.S.C.1.22.333.1700000000000000001.4",
            b"$JS.ACK.S.C..22.333.5.4",
            b"$JS.ACK",
            b"foo",
        ] {
            assert_eq!(AckSubject::parse(subject), None);
        }
    }

    #[test]
    fn what_is_no_number_counts_as_minus_one() {
        let ack = AckSubject::parse(b"$JS.ACK.S.C.x.22.-5.1x.18446744073709551617").unwrap();
        assert_eq!((ack.stream_seq, ack.pending), (22, 1));
        let others = [ack.deliveries, ack.consumer_seq, ack.timestamp];
        assert_eq!(others, [u64::MAX; 3]);
    }

    #[test]
    fn payloads_say_what_becomes_of_the_message() {
        for (payload, ack) in [
            (&b""[..], Ack::Ack),
            (b"+ACK", Ack::Ack),
            (b"+OK", Ack::Ack),
            (b"+ACK ", Ack::Unknown),
            (b"+WPI", Ack::InProgress),
            (b"-NAK", Ack::Nak { delay: None }),
            (
                b"-NAK 10s",
                Ack::Nak {
                    delay: Some(Nanos(10_000_000_000)),
                },
            ),
            (
                b"-NAK {\"delay\": 5}",
                Ack::Nak {
                    delay: Some(Nanos(5)),
                },
            ),
            (b"-NAK {\"delay\": \"x\"}", Ack::Nak { delay: None }),
            (b"-NAK soon", Ack::Nak { delay: None }),
            (b"+NXT", Ack::Next { request: b"" }),
            (b"+NXT 5", Ack::Next { request: b" 5" }),
            (b"+TERM", Ack::Term { reason: b"" }),
            (
                b"+TERM  bad data ",
                Ack::Term {
                    reason: b"bad data",
                },
            ),
            (b"hello", Ack::Unknown),
        ] {
            assert_eq!(Ack::parse(payload), ack);
        }
    }
}

//! JetStream as a client sees it: what publishes and API calls are answered, and what deliveries say
//! about themselves.

use base64::Engine;
use bytes::Bytes;
use serde_json::Value as Json;

use super::Message;

/// What a publish was answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PubAnswer {
    /// It is stored.
    Stored {
        /// Under which sequence.
        seq: u64,
        /// Whether it had been stored before.
        duplicate: bool,
    },
    /// It is not stored and never will be.
    Refused(Refusal),
    /// The server has failed while storing it: it may be there or not.
    Failed(u64),
}

/// A definite no.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Nobody listens: there is no such stream now.
    NoResponders,
    /// Too much waits for the disk.
    TooManyRequests,
    /// The expected last sequence was another one.
    WrongLastSequence,
}

/// The codes that deny an expectation ("wrong last sequence", with and without the number).
const WRONG_LAST: [u64; 2] = [10_071, 10_164];

/// Reads the answer to a publish; an error says why it is not one.
///
/// # Errors
/// If it is not one.
pub fn pub_answer(message: &Message) -> Result<PubAnswer, String> {
    if message.status() == Some(503) {
        return Ok(PubAnswer::Refused(Refusal::NoResponders));
    }
    if message.status() == Some(429) {
        return Ok(PubAnswer::Refused(Refusal::TooManyRequests));
    }
    match api_answer(message)? {
        Ok(json) => {
            let seq = json.get("seq").and_then(Json::as_u64);
            let seq = seq.ok_or_else(|| format!("a publish was answered {json}"))?;
            let duplicate = json.get("duplicate").and_then(Json::as_bool);
            Ok(PubAnswer::Stored {
                seq,
                duplicate: duplicate.unwrap_or(false),
            })
        }
        Err(code) if WRONG_LAST.contains(&code) => {
            Ok(PubAnswer::Refused(Refusal::WrongLastSequence))
        }
        Err(code) => Ok(PubAnswer::Failed(code)),
    }
}

/// The error code that stands for an answer of status 503.
pub const NO_RESPONDERS: u64 = 503;

/// Reads the answer to an API call: its body, or its error code.
///
/// # Errors
/// If it is neither.
pub fn api_answer(message: &Message) -> Result<Result<Json, u64>, String> {
    if message.status() == Some(503) {
        return Ok(Err(NO_RESPONDERS));
    }
    let text = String::from_utf8_lossy(&message.payload);
    let json: Json = serde_json::from_slice(&message.payload)
        .map_err(|error| format!("an answer is not JSON ({error}): {text}"))?;
    match json.get("error") {
        Some(error) => {
            let code = error.get("err_code").and_then(Json::as_u64);
            Ok(Err(code.unwrap_or_default()))
        }
        None => Ok(Ok(json)),
    }
}

/// A stored message, as the API returns it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// Its sequence.
    pub seq: u64,
    /// Its subject.
    pub subject: String,
    /// Its body.
    pub payload: Bytes,
}

/// Reads the answer to `STREAM.MSG.GET`.
#[must_use]
pub fn stored(json: &Json) -> Option<Stored> {
    let message = json.get("message")?;
    let data = message.get("data").and_then(Json::as_str).unwrap_or("");
    Some(Stored {
        seq: message.get("seq")?.as_u64()?,
        subject: message.get("subject")?.as_str()?.to_owned(),
        payload: base64::engine::general_purpose::STANDARD
            .decode(data)
            .ok()?
            .into(),
    })
}

/// What a delivery's reply subject says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// How often the message has been delivered, this time included.
    pub delivered: u64,
    /// The message's sequence in the stream.
    pub stream_seq: u64,
    /// The delivery's number.
    pub consumer_seq: u64,
}

/// Reads `$JS.ACK.<stream>.<consumer>.<delivered>.<stream seq>.<consumer seq>.<time>.<pending>`, also
/// in the longer form with a domain and an account.
#[must_use]
pub fn delivery(reply: &str) -> Option<Delivery> {
    let tokens: Vec<&str> = reply.strip_prefix("$JS.ACK.")?.split('.').collect();
    let at = match tokens.len() {
        7 => 2,
        9.. => 4,
        _ => return None,
    };
    let number = |i: usize| tokens.get(at + i)?.parse().ok();
    Some(Delivery {
        delivered: number(0)?,
        stream_seq: number(1)?,
        consumer_seq: number(2)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(payload: &'static [u8]) -> Message {
        Message {
            payload: Bytes::from_static(payload),
            ..Message::default()
        }
    }

    #[test]
    fn stored_refused_and_failed_publishes_are_told_apart() {
        let read = |payload| pub_answer(&answered(payload)).unwrap();
        assert_eq!(
            read(b"{\"stream\":\"S\",\"seq\":4,\"duplicate\":true}"),
            PubAnswer::Stored {
                seq: 4,
                duplicate: true
            }
        );
        assert_eq!(
            read(b"{\"error\":{\"code\":400,\"err_code\":10071,\"description\":\"no\"}}"),
            PubAnswer::Refused(Refusal::WrongLastSequence)
        );
        assert_eq!(
            read(b"{\"error\":{\"code\":503,\"err_code\":10077,\"description\":\"no\"}}"),
            PubAnswer::Failed(10_077)
        );
        let gone = Message {
            headers: Bytes::from_static(b"NATS/1.0 503\r\n\r\n"),
            ..Message::default()
        };
        let refused = PubAnswer::Refused(Refusal::NoResponders);
        assert_eq!(pub_answer(&gone).unwrap(), refused);
    }

    #[test]
    fn both_forms_of_ack_subjects_are_read() {
        let short = delivery("$JS.ACK.S.C.2.17.5.1700000000000000000.0").unwrap();
        let long = delivery("$JS.ACK._.hash.S.C.2.17.5.1700000000000000000.0.x").unwrap();
        assert_eq!(short, long);
        assert_eq!(
            (short.delivered, short.stream_seq, short.consumer_seq),
            (2, 17, 5)
        );
        assert_eq!(delivery("_INBOX.a.1"), None);
    }
}

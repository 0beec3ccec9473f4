//! Producing: a body is a message, or a list of them.

use bytes::{Bytes, BytesMut};
use hyper::body::Incoming;
use hyper::header::{
    AUTHORIZATION, CONNECTION, CONTENT_LENGTH, COOKIE, HOST, HeaderMap, HeaderName,
    PROXY_AUTHORIZATION, TE, TRAILER, TRANSFER_ENCODING, UPGRADE,
};
use hyper::http::request::Parts;
use protocol::headers::HeaderWriter;
use serde_json::{Value, json};
use tokio::io::DuplexStream;

use super::session::Session;
use super::{ANSWER_MAX, BATCH_FACTOR, Gateway, content_type, failed};
use crate::client::{Client, ClientError, Message};
use crate::rest::reply::{self, Refused, Reply};
use crate::web::{BodyError, read_body};

/// The producer that the gateway is.
const PRODUCER: &str = "rest-gateway";
/// What refusals by a schema begin with.
const MISFIT: &str = "Schema validation has failed";
/// What says that nobody stores a message.
const NOBODY: u16 = 503;
/// Most messages of a batch.
const BATCH_MAX: usize = 10_000;

/// Headers of a request that concern the connection, or nobody but the gateway.
const OWN: [HeaderName; 10] = [
    AUTHORIZATION,
    PROXY_AUTHORIZATION,
    COOKIE,
    HOST,
    CONNECTION,
    CONTENT_LENGTH,
    TRANSFER_ENCODING,
    TE,
    TRAILER,
    UPGRADE,
];

/// Why a message is not stored.
enum Unstored {
    /// The broker refuses it, and says why.
    Refused(String),
    /// The connection to the broker does not work any more.
    Broken(ClientError),
}

impl Gateway {
    pub(super) async fn produce_single(
        &self,
        session: &Session,
        station: &str,
        parts: &Parts,
        body: Incoming,
    ) -> Result<Reply, Refused> {
        let kind = content_type(parts);
        let is_text = kind.starts_with("text/");
        if !(is_text || ["application/json", "application/x-protobuf"].contains(&kind.as_str())) {
            return Err(failed(500, "unsupported content type"));
        }
        let message = read(body, self.payload_max).await?;
        if kind == "application/json" && serde_json::from_slice::<Value>(&message).is_err() {
            return Err(failed(400, "the body is not JSON"));
        }
        let errors = self.produce(session, station, parts, &[message]).await?;
        match errors.into_iter().next() {
            None => Ok(stored()),
            Some(text) if text.contains(MISFIT) => Err(failed(400, &text)),
            Some(text) => Err(failed(500, &text)),
        }
    }

    pub(super) async fn produce_batch(
        &self,
        session: &Session,
        station: &str,
        parts: &Parts,
        body: Incoming,
    ) -> Result<Reply, Refused> {
        if content_type(parts) != "application/json" {
            return Err(failed(500, "unsupported content type"));
        }
        let body = read(body, self.payload_max.saturating_mul(BATCH_FACTOR)).await?;
        let messages: Vec<Value> = serde_json::from_slice(&body)
            .map_err(|_| failed(400, "the body is not a JSON array"))?;
        if messages.len() > BATCH_MAX {
            let text = format!("a batch has at most {BATCH_MAX} messages");
            return Err(failed(400, &text));
        }
        let messages: Vec<Bytes> = messages.iter().map(|m| m.to_string().into()).collect();
        if messages
            .iter()
            .any(|message| message.len() > self.payload_max)
        {
            return Err(failed(413, "a message is too large"));
        }
        let errors = self.produce(session, station, parts, &messages).await?;
        if errors.is_empty() {
            return Ok(stored());
        }
        let fail = errors.len();
        let told = json!({
            "success": false, "sent": messages.len() - fail, "fail": fail, "errors": errors,
        });
        Err(Refused::new(400, told))
    }

    /// Stores messages in turn on the station's partitions; returns what was said about those that are not
    /// stored.
    async fn produce(
        &self,
        session: &Session,
        station: &str,
        parts: &Parts,
        messages: &[Bytes],
    ) -> Result<Vec<String>, Refused> {
        let headers = headers(&parts.headers, session).map_err(|text| failed(400, &text))?;
        let mut client = session.producing.lock().await;
        let done = store(&mut client, session, station, &headers, messages).await;
        done.map_err(|unstored| match unstored {
            Unstored::Refused(text) => failed(500, &text),
            Unstored::Broken(error) => {
                session.end();
                failed(500, &error.to_string())
            }
        })
    }
}

async fn store(
    client: &mut Client<DuplexStream>,
    session: &Session,
    station: &str,
    headers: &[u8],
    messages: &[Bytes],
) -> Result<Vec<String>, Unstored> {
    let partitions = partitions(client, session, station).await?;
    let first = session.take_turns(messages.len());
    let mut waiting = Vec::new();
    for (message, turn) in messages.iter().zip(first..) {
        let at = turn % partitions.len().max(1);
        let subject = partitions.get(at).map_or("", String::as_str);
        let reply = client.reply_subject();
        client.publish(subject, &reply, headers, message);
        waiting.push(reply);
    }
    let mut errors = Vec::new();
    while !waiting.is_empty() {
        let answer = client.next(ANSWER_MAX).await.map_err(Unstored::Broken)?;
        let Some(at) = waiting.iter().position(|reply| *reply == answer.subject) else {
            continue;
        };
        waiting.swap_remove(at);
        errors.extend(refusal(&answer));
    }
    Ok(errors)
}

/// Announces the producer, which makes a missing station; returns the subjects of the partitions.
async fn partitions(
    client: &mut Client<DuplexStream>,
    session: &Session,
    station: &str,
) -> Result<Vec<String>, Unstored> {
    let asked = json!({
        "name": PRODUCER, "station_name": station, "connection_id": session.connection,
        "producer_type": "application", "req_version": 4, "username": session.username,
        "app_id": session.connection, "sdk_lang": "rest",
    });
    let asked = asked.to_string();
    let answer = client
        .request(
            "$memphis_producer_creations",
            b"",
            asked.as_bytes(),
            ANSWER_MAX,
        )
        .await
        .map_err(Unstored::Broken)?;
    let said: Value = serde_json::from_slice(&answer.payload).unwrap_or_default();
    let error = said.get("error").and_then(Value::as_str);
    match error {
        Some("") => {}
        Some(text) => return Err(Unstored::Refused(text.to_owned())),
        None => return Err(Unstored::Refused("the broker did not answer".to_owned())),
    }
    let internal = station.to_lowercase().replace('.', "#");
    let list = said.pointer("/partitions_update/partitions_list");
    let numbers = list.and_then(Value::as_array).into_iter().flatten();
    let subjects: Vec<String> = numbers
        .map(|number| format!("{internal}${number}.final"))
        .collect();
    if subjects.is_empty() {
        // A NATS client's stream.
        return Ok(vec![format!("{internal}.final")]);
    }
    Ok(subjects)
}

/// Returns why a message was not stored, if it was not.
fn refusal(answer: &Message) -> Option<String> {
    if answer.status() == Some(NOBODY) {
        let text =
            "Produce operation has failed, please check whether Station/Producer still exist";
        return Some(text.to_owned());
    }
    let said: Value = serde_json::from_slice(&answer.payload).unwrap_or_default();
    let text = said.pointer("/error/description").and_then(Value::as_str);
    text.map(str::to_owned)
}

/// Writes a request's headers as those of its messages.
fn headers(asked: &HeaderMap, session: &Session) -> Result<Vec<u8>, String> {
    let mut block = BytesMut::new();
    let mut writer = HeaderWriter::new(&mut block);
    for (name, value) in asked {
        if OWN.contains(name) {
            continue;
        }
        if name.as_str().starts_with("$memphis") {
            return Err("Keys in headers should not start with $memphis".to_owned());
        }
        writer.push(canonical(name.as_str()).as_bytes(), value.as_bytes());
    }
    writer.push(b"$memphis_producedBy", PRODUCER.as_bytes());
    writer.push(b"$memphis_connectionId", session.connection.as_bytes());
    writer.finish();
    Ok(block.to_vec())
}

/// Writes a header's name as Memphis' gateway does: hyper has them in lower case.
fn canonical(name: &str) -> String {
    // Which message is which is said in the SDKs' spelling.
    if name == "msg-id" {
        return name.to_owned();
    }
    let parts = name.split('-').map(|part| {
        let mut chars = part.chars();
        let first = chars.next().map(|c| c.to_ascii_uppercase());
        first.into_iter().chain(chars).collect::<String>()
    });
    parts.collect::<Vec<String>>().join("-")
}

async fn read(body: Incoming, bytes_max: usize) -> Result<Bytes, Refused> {
    let body = read_body(body, bytes_max).await;
    body.map_err(|error| match error {
        BodyError::TooLarge => failed(413, "the message is too large"),
        BodyError::Incomplete => failed(400, "the request is not complete"),
    })
}

fn stored() -> Reply {
    reply::json(200, &json!({"success": true, "error": null}))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_headers_are_written_as_people_know_them() {
        for (name, expected) in [
            ("content-type", "Content-Type"),
            ("x", "X"),
            ("msg-id", "msg-id"),
            ("nats-msg-id", "Nats-Msg-Id"),
        ] {
            assert_eq!(canonical(name), expected);
        }
    }
}

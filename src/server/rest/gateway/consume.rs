//! Consuming: a batch of messages, acknowledged before it is handed out.
//!
//! *Invariant:* a message that is in an answer is acknowledged, and synced as such; one that is not may
//! come again.

use core::time::Duration;

use serde_json::{Map, Value, json};
use tokio::io::DuplexStream;
use tokio::time::Instant;

use super::session::Session;
use super::{ANSWER_MAX, message_of_consumer};
use crate::client::{Client, ClientError, Message};
use crate::rest::reply::{self, Refused, Reply};

/// What the names of the gateway's groups end with.
const GROUP: &str = "rest-gateway";
const BATCH_DEFAULT: i64 = 10;
const BATCH_MAX: i64 = 5000;
const WAIT_DEFAULT_MS: i64 = 5000;
const WAIT_MAX_MS: i64 = 60_000;
/// Most bytes of the messages of an answer: more are left for the next one.
const BYTES_MAX: u64 = 32 << 20;
/// How much longer than its partitions the answer to a pull may take.
const GRACE: Duration = Duration::from_secs(2);

/// What is asked for.
struct Asked {
    consumer: String,
    group: String,
    size: usize,
    wait: Duration,
}

/// Answers with messages of a station.
pub(super) async fn batch(
    session: &Session,
    station: &str,
    asked: &Map<String, Value>,
) -> Result<Reply, Refused> {
    let asked = Asked::read(asked)?;
    let mut client = session.consuming.lock().await;
    let broken = |error: ClientError| {
        session.end();
        message_of_consumer(&error.to_string())
    };
    let streams = join(&mut client, session, station, &asked).await?;
    let messages = fetch(&mut client, &streams, &asked).await.map_err(broken)?;
    acknowledge(&mut client, &messages).await.map_err(broken)?;
    let shown: Vec<Value> = messages.iter().map(show).collect();
    Ok(reply::json(200, &Value::from(shown)))
}

impl Asked {
    fn read(asked: &Map<String, Value>) -> Result<Self, Refused> {
        let text = |key: &str| asked.get(key).and_then(Value::as_str).unwrap_or_default();
        let number = |key: &str| asked.get(key).and_then(Value::as_i64);
        let consumer = text("consumer_name");
        if consumer.is_empty() {
            return Err(message_of_consumer("Consumer name is required"));
        }
        let group = match text("consumer_group") {
            "" => GROUP.to_owned(),
            group => format!("{group}-{GROUP}"),
        };
        let size = number("batch_size").filter(|size| *size > 0);
        let size = size.unwrap_or(BATCH_DEFAULT);
        if size > BATCH_MAX {
            let text = "Batch size can not be greater than 5000 or less than 1";
            return Err(message_of_consumer(text));
        }
        let wait = number("batch_max_wait_time_ms").filter(|wait| *wait > 0);
        let wait = wait.unwrap_or(WAIT_DEFAULT_MS).min(WAIT_MAX_MS);
        Ok(Self {
            consumer: consumer.to_owned(),
            group,
            size: usize::try_from(size).unwrap_or_default(),
            wait: Duration::from_millis(u64::try_from(wait).unwrap_or_default()),
        })
    }
}

/// Joins the group, and makes it if it is not there; returns the station's streams with their durable.
async fn join(
    client: &mut Client<DuplexStream>,
    session: &Session,
    station: &str,
    asked: &Asked,
) -> Result<Vec<(String, String)>, Refused> {
    let body = json!({
        "name": asked.consumer, "station_name": station, "connection_id": session.connection,
        "consumer_type": "application", "consumers_group": asked.group, "max_ack_time_ms": 30_000,
        "max_msg_deliveries": 1, "start_consume_from_sequence": 1, "last_messages": -1,
        "req_version": 4, "username": session.username, "app_id": session.connection,
        "sdk_lang": "rest",
    });
    let body = body.to_string();
    let answer = client
        .request(
            "$memphis_consumer_creations",
            b"",
            body.as_bytes(),
            ANSWER_MAX,
        )
        .await
        .map_err(|error| message_of_consumer(&error.to_string()))?;
    let said: Value = match serde_json::from_slice(&answer.payload) {
        Ok(said) => said,
        // Refusals are plain text.
        Err(_) => {
            let text = String::from_utf8_lossy(&answer.payload);
            return Err(message_of_consumer(&text));
        }
    };
    if let Some(text) = said.get("error").and_then(Value::as_str)
        && !text.is_empty()
    {
        return Err(message_of_consumer(text));
    }
    let internal = |name: &str| name.to_lowercase().replace('.', "#");
    let (station, durable) = (internal(station), internal(&asked.group));
    let list = said.pointer("/partitions_update/partitions_list");
    let numbers = list.and_then(Value::as_array).into_iter().flatten();
    let mut streams: Vec<(String, String)> = numbers
        .map(|number| (format!("{station}${number}"), durable.clone()))
        .collect();
    if streams.is_empty() {
        streams.push((station, durable));
    }
    Ok(streams)
}

/// Pulls from all partitions at once, until there are enough messages or the time is over.
async fn fetch(
    client: &mut Client<DuplexStream>,
    streams: &[(String, String)],
    asked: &Asked,
) -> Result<Vec<Message>, ClientError> {
    let inbox = client.reply_subject();
    let sid = client.subscribe(&format!("{inbox}.*"));
    let deadline = Instant::now() + asked.wait;
    let mut messages = Vec::new();
    let mut bytes = 0;
    // First what is there, from one partition after the other, so that no more is delivered than fits.
    for (at, (stream, durable)) in streams.iter().enumerate() {
        let missing = asked.size - messages.len();
        if missing == 0 || bytes >= BYTES_MAX {
            break;
        }
        let pull = json!({"batch": missing, "no_wait": true, "max_bytes": BYTES_MAX - bytes});
        let reply = format!("{inbox}.{at}");
        pull_from(client, stream, durable, &reply, &pull);
        bytes += collect(client, &inbox, 1, GRACE, &mut messages).await?;
    }
    if messages.is_empty() {
        let rest = deadline.saturating_duration_since(Instant::now());
        // Each partition may hand out its share: more than asked for is never delivered.
        let share = (asked.size / streams.len()).max(1);
        let chosen = streams.len().min(asked.size);
        for (at, (stream, durable)) in streams.iter().enumerate().take(chosen) {
            let nanos = u64::try_from(rest.as_nanos()).unwrap_or(u64::MAX).max(1);
            let pull = json!({"batch": share, "expires": nanos, "no_wait": true,
                              "max_bytes": BYTES_MAX});
            pull_from(client, stream, durable, &format!("{inbox}.w{at}"), &pull);
        }
        collect(client, &inbox, chosen, rest + GRACE, &mut messages).await?;
    }
    client.unsubscribe(sid);
    client.flush().await?;
    Ok(messages)
}

fn pull_from(
    client: &mut Client<DuplexStream>,
    stream: &str,
    durable: &str,
    reply: &str,
    pull: &Value,
) {
    let subject = format!("$JS.API.CONSUMER.MSG.NEXT.{stream}.{durable}");
    let pull = pull.to_string();
    client.publish(&subject, reply, b"", pull.as_bytes());
}

/// Collects messages until so many pulls have ended; returns how many bytes there were.
async fn collect(
    client: &mut Client<DuplexStream>,
    inbox: &str,
    mut pulls: usize,
    wait: Duration,
    messages: &mut Vec<Message>,
) -> Result<u64, ClientError> {
    let deadline = Instant::now() + wait;
    let mut bytes = 0;
    while pulls > 0 {
        let rest = deadline.saturating_duration_since(Instant::now());
        let message = match client.next(rest).await {
            Ok(message) => message,
            // What is there is worth more than what may come.
            Err(ClientError::Late) => break,
            Err(error) => return Err(error),
        };
        if message.reply.starts_with("$JS.ACK.") {
            bytes += message.payload.len() as u64;
            messages.push(message);
        } else if message.subject.starts_with(inbox) && message.status() != Some(100) {
            pulls -= 1;
        }
    }
    Ok(bytes)
}

/// Acknowledges messages, and waits until that is safe.
async fn acknowledge(
    client: &mut Client<DuplexStream>,
    messages: &[Message],
) -> Result<(), ClientError> {
    let mut waiting = Vec::new();
    for message in messages {
        let reply = client.reply_subject();
        client.publish(&message.reply, &reply, b"", b"+ACK");
        waiting.push(reply);
    }
    while !waiting.is_empty() {
        let answer = client.next(ANSWER_MAX).await?;
        waiting.retain(|reply| *reply != answer.subject);
    }
    Ok(())
}

fn show(message: &Message) -> Value {
    let headers = message.pairs();
    let headers: Map<String, Value> = headers
        .filter(|(key, _)| !key.starts_with("$memphis"))
        .map(|(key, value)| (key, Value::String(value)))
        .collect();
    json!({"message": String::from_utf8_lossy(&message.payload), "headers": headers})
}

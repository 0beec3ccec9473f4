//! Questions to the JetStream API of either server.

use core::time::Duration;

use protocol::id::Seq;
use protocol::text::rfc3339;
use protocol::time::Wall;
use serde_json::{Value, json};

use super::{ImportError, Link};

/// How long an answer may take.
pub(super) const ANSWER_MAX: Duration = Duration::from_secs(30);
/// JetStream's code for a stream that is not there.
const STREAM_NOT_FOUND: u64 = 10_059;

/// A stream as it was when its import began.
#[derive(Clone, Debug)]
pub(super) struct Source {
    pub(super) name: String,
    pub(super) config: Value,
    pub(super) state: Value,
    pub(super) created: Wall,
    pub(super) first: Seq,
    pub(super) last: Seq,
    pub(super) last_time: Wall,
    pub(super) messages: u64,
    /// How many bytes a message takes on average.
    pub(super) bytes_each: u64,
    /// The durable consumers, as their server shows them.
    pub(super) consumers: Vec<Value>,
}

impl Source {
    pub(super) async fn of(link: &mut Link, name: &str) -> Result<Self, ImportError> {
        let unreadable = || ImportError::Unreadable {
            what: name.to_owned(),
        };
        let info = stream_info(link, name).await?.ok_or_else(unreadable)?;
        let (config, state) = (info.get("config"), info.get("state"));
        let (config, state) = config.zip(state).ok_or_else(unreadable)?;
        let number = |key: &str| state.get(key).and_then(Value::as_u64).unwrap_or_default();
        let messages = number("messages");
        let mut consumers = list(link, "CONSUMER.LIST", name, "consumers").await?;
        // Others end with their clients.
        consumers.retain(|info| info.pointer("/config/durable_name").is_some());
        Ok(Self {
            name: name.to_owned(),
            created: time(info.get("created")).ok_or_else(unreadable)?,
            first: Seq(number("first_seq")),
            last: Seq(number("last_seq")),
            last_time: time(state.get("last_ts")).unwrap_or_default(),
            messages,
            bytes_each: number("bytes").checked_div(messages).unwrap_or_default(),
            config: config.clone(),
            state: state.clone(),
            consumers,
        })
    }

    /// Sets how many copies the stream and its consumers get; returns how many it had, if others.
    pub(super) fn set_replicas(&mut self, wanted: u64) -> Option<u64> {
        let had = self.config.get("num_replicas").and_then(Value::as_u64);
        let had = had.filter(|had| *had != wanted)?;
        let config = self.config.as_object_mut()?;
        config.insert("num_replicas".to_owned(), wanted.into());
        for info in &mut self.consumers {
            // As many as its stream.
            if let Some(replicas) = info.pointer_mut("/config/num_replicas") {
                *replicas = 0.into();
            }
        }
        Some(had)
    }
}

/// Reads a time.
pub(super) fn time(value: Option<&Value>) -> Option<Wall> {
    // Go's beginning of time, which stands for "never", is no time since 1970.
    rfc3339::parse(value?.as_str()?).ok()
}

/// Asks the JetStream API.
pub(super) async fn ask(link: &mut Link, api: &str, body: &Value) -> Result<Value, ImportError> {
    let body = Some(body).filter(|body| !body.is_null());
    let body = body.map(Value::to_string).unwrap_or_default();
    let subject = format!("$JS.API.{api}");
    let answer = link
        .request(&subject, b"", body.as_bytes(), ANSWER_MAX)
        .await?;
    if answer.status().is_some() {
        return Err(ImportError::Refused {
            what: api.to_owned(),
            said: "JetStream is not enabled".to_owned(),
        });
    }
    serde_json::from_slice(&answer.payload).map_err(|_| ImportError::Unreadable {
        what: api.to_owned(),
    })
}

/// Returns what an answer says went wrong.
pub(super) fn error_of(answer: &Value) -> Option<(u64, &str)> {
    let error = answer.get("error")?;
    let code = error.get("err_code").and_then(Value::as_u64);
    let text = error.get("description").and_then(Value::as_str);
    Some((code.unwrap_or_default(), text.unwrap_or_default()))
}

/// Makes an answer's error one of the import.
pub(super) fn checked(what: &str, answer: Value) -> Result<Value, ImportError> {
    match error_of(&answer) {
        None => Ok(answer),
        Some((_, said)) => Err(ImportError::Refused {
            what: what.to_owned(),
            said: said.to_owned(),
        }),
    }
}

/// Returns what a server says of a stream, if it has it.
pub(super) async fn stream_info(link: &mut Link, name: &str) -> Result<Option<Value>, ImportError> {
    let api = format!("STREAM.INFO.{name}");
    let answer = ask(link, &api, &Value::Null).await?;
    match error_of(&answer) {
        Some((STREAM_NOT_FOUND, _)) => Ok(None),
        Some(_) | None => checked(&api, answer).map(Some),
    }
}

/// Names all streams.
pub(super) async fn stream_names(link: &mut Link) -> Result<Vec<String>, ImportError> {
    let names = list(link, "STREAM.NAMES", "", "streams").await?;
    let names = names.iter().filter_map(Value::as_str);
    Ok(names.map(str::to_owned).collect())
}

/// Asks for a list, page by page.
async fn list(
    link: &mut Link,
    api: &str,
    name: &str,
    key: &str,
) -> Result<Vec<Value>, ImportError> {
    let api = match name {
        "" => api.to_owned(),
        name => format!("{api}.{name}"),
    };
    let mut all = Vec::new();
    loop {
        let answer = ask(link, &api, &json!({"offset": all.len()})).await?;
        let mut answer = checked(&api, answer)?;
        let total = answer
            .get("total")
            .and_then(Value::as_u64)
            .unwrap_or_default();
        let page = answer.get_mut(key).map(Value::take);
        let Some(Value::Array(page)) = page else {
            return Ok(all);
        };
        let is_last = page.is_empty();
        all.extend(page);
        if is_last || all.len() as u64 >= total {
            return Ok(all);
        }
    }
}

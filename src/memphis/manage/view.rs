//! What a call is answered with once its task has ended.

use alloc::string::{String, ToString as _};

use serde_json::{Value, json};

use super::show::Listing;
use super::{Answer, Refusal, integrations, show};
use crate::answer;
use crate::machine::Host;
use crate::name::Name;
use crate::work::Cx;

/// What the answer shows.
#[derive(Clone, Debug)]
pub(crate) enum View {
    /// Nothing.
    Empty,
    /// A station.
    Station(Name),
    /// Which dead letters a station keeps.
    DeadLettersKept(Name),
    /// A schema.
    Schema(Name),
    /// The schema that a station follows.
    Attached(Name),
    /// A user.
    User(String),
    /// A tag.
    Tag(String),
    /// An integration.
    Integration(String),
    /// A stored message of a station: the task's own answer.
    Message {
        station: Name,
        partition: i64,
        seq: i64,
    },
}

impl View {
    /// Writes the answer; `payload` is what the task ended with: nothing, or what went wrong.
    pub(crate) fn render<H: Host>(&self, payload: &[u8], cx: &Cx<'_, H>) -> Answer {
        if let Self::Message {
            station,
            partition,
            seq,
        } = self
            && let Ok(message) = answer::read(payload)
        {
            let shown = show::message(&message, *partition, *seq, cx.row(station));
            return Answer::ok(&shown);
        }
        if let Some(text) = failure(payload) {
            let is_content = text.starts_with("your ");
            let refusal = if is_content {
                Refusal::Content(text)
            } else {
                Refusal::Showable(text)
            };
            return Answer::refused(&refusal);
        }
        Answer::ok(&match self {
            Self::Empty | Self::Message { .. } => json!({}),
            Self::Station(name) => show::station(name, &Listing::of(cx), cx),
            Self::DeadLettersKept(name) => {
                let kept = cx.row(name).map(|row| row.dead_letters());
                let (poison, schemaverse) =
                    kept.map_or((true, true), |kept| (kept.poison, kept.schemaverse));
                json!({"poison": poison, "schemaverse": schemaverse})
            }
            Self::Schema(name) => show::schema(name.external(), cx),
            Self::Attached(station) => show::attached(cx.row(station), cx.rows()),
            Self::User(name) => show::user(name, cx.rows()),
            Self::Tag(name) => show::tag(name, cx.rows()),
            Self::Integration(name) => integrations::details(name, cx),
        })
    }
}

/// Reads what went wrong: SDKs' requests end with a text, or with JSON that has one.
fn failure(payload: &[u8]) -> Option<String> {
    if payload.is_empty() {
        return None;
    }
    let text = String::from_utf8_lossy(payload);
    match serde_json::from_slice::<Value>(payload) {
        Ok(Value::Object(object)) => {
            let error = object.get("error").and_then(Value::as_str)?;
            (!error.is_empty()).then(|| error.to_string())
        }
        Ok(_) | Err(_) => Some(text.into_owned()),
    }
}

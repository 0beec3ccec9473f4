//! The management interface: what people and the REST API ask for, by the names of Memphis' routes.
//!
//! A call is a route (`stations/getStation`), the user who makes it, and a JSON object with what the
//! route's body or query says. The answer is a status of HTTP and JSON.
//!
//! *Invariant:* reading calls answer at once from the book and from what streams say of themselves;
//! others are tasks like those of SDKs, and are answered when what they did is in the log.

mod facts;
mod integrations;
mod letters;
mod people;
mod plan;
mod schemas;
mod show;
mod stations;
mod view;

use alloc::string::{String, ToString as _};
use alloc::vec::Vec;

use serde_json::{Value, json};

pub use facts::{ConsumerFacts, PublisherFacts, StreamFacts, TrafficFacts};
pub(crate) use plan::{Plan, plan};
pub(crate) use show::time;
pub(crate) use view::View;

/// Names a call that the driver made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct CallId(pub u64);

/// A call.
#[derive(Clone, Copy, Debug)]
pub struct Call<'a> {
    /// The route without its prefix and method: `stations/getStation`.
    pub route: &'a str,
    /// Who calls, without the account.
    pub user: &'a str,
    /// A JSON object; empty for none.
    pub body: &'a [u8],
}

/// What a call led to.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// The status of HTTP.
    pub status: u16,
    /// The body.
    pub body: Value,
}

/// Why a call is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// For the user to read.
    Showable(String),
    /// The content of a schema is wrong.
    Content(String),
    /// The user may not.
    Unauthorized,
    /// There is no such route.
    NoRoute,
    /// Too much is under way.
    Busy,
}

impl Answer {
    /// Returns the answer to somebody who may not call.
    #[must_use]
    pub fn unauthorized() -> Self {
        Self::refused(&Refusal::Unauthorized)
    }

    pub(crate) fn ok(body: &Value) -> Self {
        Self {
            status: 200,
            body: body.clone(),
        }
    }

    pub(crate) fn refused(refusal: &Refusal) -> Self {
        let (status, text) = match refusal {
            Refusal::Showable(text) => (406, text.as_str()),
            Refusal::Content(text) => (555, text.as_str()),
            Refusal::Unauthorized => (401, "Unauthorized"),
            Refusal::NoRoute => (404, "Not found"),
            Refusal::Busy => (503, "the broker is busy, try again later"),
        };
        Self {
            status,
            body: json!({"message": text}),
        }
    }

    /// Returns the answer as one document, for those who called by a message.
    pub(crate) fn message(&self) -> Vec<u8> {
        json!({"status": self.status, "body": self.body})
            .to_string()
            .into_bytes()
    }
}

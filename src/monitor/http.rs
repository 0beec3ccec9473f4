//! From a GET request's target to the response: which document, and in which form.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use serde::Serialize;

use crate::accountz::{self, AccountStatzOptions, AccountzOptions};
use crate::connz::{self, ConnzOptions};
use crate::healthz::{self, HealthzOptions};
use crate::jsz::{self, JszOptions};
use crate::query::{Problem, Query};
use crate::queues::{self, QueueszOptions};
use crate::source::Source;
use crate::subsz::{self, SubszOptions};
use crate::{index, json, links, metrics, varz};

/// What is sent back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// The status code.
    pub status: u16,
    /// The `Content-Type`.
    pub content_type: &'static str,
    /// The body.
    pub body: Vec<u8>,
}

/// The type of documents.
pub const JSON: &str = "application/json";
const JSON_UTF8: &str = "application/json; charset=utf-8";
const TEXT: &str = "text/plain; charset=utf-8";
const HTML: &str = "text/html; charset=utf-8";
const PROMETHEUS: &str = "text/plain; version=0.0.4; charset=utf-8";

impl Response {
    fn document<T: Serialize>(document: &T) -> Self {
        Self {
            status: 200,
            content_type: JSON,
            body: json::indented(document),
        }
    }

    fn text(status: u16, text: String) -> Self {
        Self {
            status,
            content_type: TEXT,
            body: text.into_bytes(),
        }
    }
}

/// Returns the path below `base`, without a slash at its end: how requests are counted and found.
#[must_use]
pub fn endpoint<'a>(base: &str, path: &'a str) -> Option<&'a str> {
    let below = path.strip_prefix(base.trim_end_matches('/'))?;
    match below.trim_end_matches('/') {
        "" => Some("/"),
        below => Some(below).filter(|b| b.starts_with('/')),
    }
}

/// Answers a request for the path `endpoint`, as [`endpoint`] returns it, with the parameters `query`.
#[must_use]
pub fn respond(source: &dyn Source, endpoint: &str, query: &str) -> Response {
    let query = Query::parse(query);
    let answered = match endpoint {
        "/" => Ok(Response {
            status: 200,
            content_type: HTML,
            body: index::page().into_bytes(),
        }),
        "/varz" => Ok(Response::document(&varz::varz(source))),
        "/connz" => ConnzOptions::from_query(&query)
            .and_then(|options| connz::connz(source, &options))
            .map(|document| Response::document(&document)),
        "/subsz" | "/subscriptionsz" => SubszOptions::from_query(&query)
            .and_then(|options| subsz::subsz(source, &options))
            .map(|document| Response::document(&document)),
        "/jsz" => JszOptions::from_query(&query)
            .map(|options| Response::document(&jsz::jsz(source, &options))),
        "/healthz" => HealthzOptions::from_query(&query).map(|options| health(source, &options)),
        "/accountz" => accountz(source, &query),
        "/accstatz" => query.boolean("unused").map(|include_unused| {
            let options = AccountStatzOptions {
                accounts: Vec::new(),
                include_unused,
            };
            Response::document(&accountz::account_statz(source, &options))
        }),
        "/routez" => query
            .subscriptions()
            .map(|_| Response::document(&links::routez(source))),
        "/gatewayz" => query
            .subscriptions()
            .and_then(|_| query.boolean("accs"))
            .map(|_| Response::document(&links::gatewayz(source))),
        "/leafz" => query
            .boolean("subs")
            .map(|_| Response::document(&links::leafz(source))),
        "/ipqueuesz" => QueueszOptions::from_query(&query)
            .map(|options| Response::document(&queues::queuesz(source, &options, 0))),
        "/raftz" => Ok(Response::text(404, "No Raft nodes registered".to_string())),
        "/debug/vars" => Ok(variables(source)),
        "/metrics" => Ok(Response {
            status: 200,
            content_type: PROMETHEUS,
            body: metrics::metrics(source).into_bytes(),
        }),
        _ => Ok(Response::text(404, "404 page not found\n".to_string())),
    };
    answered.unwrap_or_else(|problem: Problem| Response::text(400, format!("{problem}")))
}

fn accountz(source: &dyn Source, query: &Query) -> Result<Response, Problem> {
    let options = AccountzOptions {
        account: query.text("acc").to_string(),
    };
    accountz::accountz(source, &options).map(|document| Response::document(&document))
}

/// Go's variables, for what reads them from every server: of the runtime's memory only what there is an
/// equal to here. The command line is left out, since it may hold passwords.
fn variables(source: &dyn Source) -> Response {
    let memory = source.process().memory_bytes;
    let text = format!(
        "{{\n\"cmdline\": [],\n\"memstats\": {{\"Alloc\":{memory},\"Sys\":{memory}}}\n}}\n"
    );
    Response {
        status: 200,
        content_type: JSON_UTF8,
        body: text.into_bytes(),
    }
}

/// Health is not indented: probes read it, not people.
fn health(source: &dyn Source, options: &HealthzOptions) -> Response {
    let (status, document) = healthz::healthz(source, options);
    Response {
        status,
        content_type: JSON,
        body: json::compact(&document),
    }
}

#[cfg(test)]
mod tests;

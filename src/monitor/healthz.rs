//! `/healthz`: whether the broker, an account, a stream or a consumer works. Damage is told, never
//! passed over: a stream that has lost messages is not healthy until somebody has looked.

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use crate::query::{Problem, Query};
use crate::source::Source;

/// What is asked for. The names are those of system requests.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub struct HealthzOptions {
    /// Whether JetStream must be on, where it is configured; the old name.
    pub js_enabled: bool,
    /// Only whether JetStream is on, where it is configured.
    pub js_enabled_only: bool,
    /// Not how streams are.
    pub js_server_only: bool,
    /// Not how streams are.
    pub js_meta_only: bool,
    /// This account.
    pub account: String,
    /// This stream of the account.
    pub stream: String,
    /// This consumer of the stream.
    pub consumer: String,
    /// Whether all problems are listed.
    pub details: bool,
}

impl HealthzOptions {
    /// Reads the parameters of a URL.
    ///
    /// # Errors
    /// The first parameter that cannot be read.
    pub(crate) fn from_query(query: &Query) -> Result<Self, Problem> {
        Ok(Self {
            js_enabled: query.boolean("js-enabled")?,
            js_enabled_only: query.boolean("js-enabled-only")?,
            js_server_only: query.boolean("js-server-only")?,
            js_meta_only: query.boolean("js-meta-only")?,
            account: query.text("account").to_owned(),
            stream: query.text("stream").to_owned(),
            consumer: query.text("consumer").to_owned(),
            details: query.boolean("details")?,
        })
    }
}

/// The document.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Healthz {
    status: &'static str,
    /// The HTTP status; shown only where there is no HTTP around it.
    #[serde(skip_serializing_if = "Option::is_none")]
    status_code: Option<u16>,
    #[serde(skip_serializing_if = "String::is_empty")]
    error: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<HealthError>,
}

impl Healthz {
    /// Adds the status code, as replies to system requests carry it.
    #[must_use]
    pub(crate) fn with_code(mut self, code: u16) -> Self {
        self.status_code = Some(code);
        self
    }
}

#[derive(Debug, PartialEq, Eq, Serialize)]
struct HealthError {
    #[serde(rename = "type")]
    kind: Kind,
    #[serde(skip_serializing_if = "String::is_empty")]
    account: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    stream: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    consumer: String,
    error: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
enum Kind {
    #[serde(rename = "BAD_REQUEST")]
    BadRequest,
    #[serde(rename = "JETSTREAM")]
    JetStream,
    Account,
    Stream,
    Consumer,
}

/// What is wrong, with its HTTP status.
struct Finding {
    code: u16,
    error: HealthError,
}

/// Returns the HTTP status and the document.
#[must_use]
pub fn healthz(source: &dyn Source, options: &HealthzOptions) -> (u16, Healthz) {
    let findings = findings(source, options);
    let code = findings.first().map_or(200, |finding| finding.code);
    let errors = findings.into_iter().map(|finding| finding.error);
    let mut document = Healthz {
        status: "ok",
        status_code: None,
        error: String::new(),
        errors: Vec::new(),
    };
    if options.details {
        document.errors = errors.collect();
        if !document.errors.is_empty() {
            document.status = "error";
        }
    } else if let Some(first) = errors.into_iter().next() {
        document.status = match first.kind {
            Kind::BadRequest => "error",
            Kind::JetStream | Kind::Account | Kind::Stream | Kind::Consumer => "unavailable",
        };
        document.error = first.error;
    }
    (code, document)
}

fn findings(source: &dyn Source, options: &HealthzOptions) -> Vec<Finding> {
    let finding = |code, kind, error| Finding {
        code,
        error: HealthError {
            kind,
            account: options.account.clone(),
            stream: options.stream.clone(),
            consumer: options.consumer.clone(),
            error,
        },
    };
    let empty =
        |what: &str, of: &str| format!("{what:?} must not be empty when checking {of} health");
    if options.account.is_empty() && !options.stream.is_empty() {
        return Vec::from([finding(400, Kind::BadRequest, empty("account", "stream"))]);
    }
    if options.stream.is_empty() && !options.consumer.is_empty() {
        let mut bad = finding(400, Kind::BadRequest, empty("stream", "consumer"));
        bad.error.account.clear();
        bad.error.consumer.clear();
        return Vec::from([bad]);
    }
    let health = source.health();
    if let Some(reason) = health.unavailable {
        return Vec::from([finding(503, Kind::JetStream, reason)]);
    }
    if options.js_enabled_only || options.js_server_only || options.js_meta_only {
        return Vec::new();
    }
    if source.jetstream().is_none() {
        return Vec::new();
    }
    // Not told where only the server is asked about: a process that is started anew for it, or taken
    // out of service with all its reading clients, has no more space than before.
    if let Some(reason) = health.refuses {
        return Vec::from([finding(503, Kind::JetStream, reason)]);
    }
    if let Some((kind, error)) = missing(source, options) {
        let mut missing = finding(404, kind, error);
        // Below what is missing, nothing has been looked at.
        match kind {
            Kind::Account => {
                missing.error.stream.clear();
                missing.error.consumer.clear();
            }
            Kind::Stream => missing.error.consumer.clear(),
            Kind::BadRequest | Kind::JetStream | Kind::Consumer => {}
        }
        return Vec::from([missing]);
    }
    let asked = |asked: &str, name: &str| asked.is_empty() || asked == name;
    let damaged = health.damaged.into_iter().filter(|damage| {
        asked(&options.account, &damage.account) && asked(&options.stream, &damage.stream)
    });
    // What lay there may have concerned any stream.
    let found = health.found;
    let found = found.map(|reason| finding(503, Kind::JetStream, reason));
    damaged
        .map(|damage| Finding {
            code: 503,
            error: HealthError {
                kind: Kind::Stream,
                error: format!(
                    "JetStream stream {:?} on account {:?} has lost {} messages to damage",
                    damage.stream, damage.account, damage.lost
                ),
                account: damage.account,
                stream: damage.stream,
                consumer: String::new(),
            },
        })
        .chain(found)
        .collect()
}

/// Returns what of the account, the stream and the consumer does not exist.
fn missing(source: &dyn Source, options: &HealthzOptions) -> Option<(Kind, String)> {
    let HealthzOptions {
        account,
        stream,
        consumer,
        ..
    } = options;
    if account.is_empty() {
        return None;
    }
    let Some(streams) = source.streams(account) else {
        return Some((
            Kind::Account,
            format!("JetStream account {account:?} not found"),
        ));
    };
    if stream.is_empty() {
        return None;
    }
    let Some(found) = streams.into_iter().find(|s| s.info.config.name == *stream) else {
        return Some((
            Kind::Stream,
            format!("JetStream stream {stream:?} not found on account {account:?}"),
        ));
    };
    if consumer.is_empty() || found.consumers.iter().any(|c| c.name == *consumer) {
        return None;
    }
    Some((
        Kind::Consumer,
        format!(
            "JetStream consumer {consumer:?} not found for stream {stream:?} on account {account:?}"
        ),
    ))
}

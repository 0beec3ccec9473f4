//! Requests of the system account: the documents of the monitoring port, in an envelope that says which
//! server answers.
//!
//! *Invariant:* a request that this server is not meant by gets no answer at all.

mod amount;
pub mod claims;
mod events;
pub mod message_trace;
mod statsz;

use alloc::borrow::ToOwned;
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use config::NATS_VERSION;
use protocol::js::json::{SyntaxError, parse};
use protocol::time::Wall;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::accountz::{self, AccountStatzOptions, AccountzOptions};
use crate::connz::{self, ConnzOptions};
use crate::healthz::{self, HealthzOptions};
use crate::json;
use crate::jsz::{self, JszOptions};
use crate::links;
use crate::query::Problem;
use crate::queues::{self, QueueszOptions};
use crate::source::Source;
use crate::subsz::{self, SubszOptions};
use crate::varz;

pub use events::{ConnectionEvent, account_connections, connected, disconnected, left};
pub use statsz::statsz;

/// What servers are asked for, all of them or one.
pub const SERVER_REQUESTS: [&str; 15] = [
    "IDZ",
    "STATSZ",
    "VARZ",
    "SUBSZ",
    "CONNZ",
    "ROUTEZ",
    "GATEWAYZ",
    "LEAFZ",
    "ACCOUNTZ",
    "JSZ",
    "HEALTHZ",
    "EXPVARZ",
    "IPQUEUESZ",
    "RAFTZ",
    "PROFILEZ",
];
/// What servers are asked for about one account.
pub const ACCOUNT_REQUESTS: [&str; 7] =
    ["SUBSZ", "CONNZ", "LEAFZ", "JSZ", "INFO", "STATZ", "CONNS"];

/// JetStream is on.
const FLAG_JETSTREAM: u64 = 1;
/// Snapshots are binary, and accounts may have their own replication: clients only print these.
const FLAGS_OF_JETSTREAM: u64 = FLAG_JETSTREAM | 2 | 4;
/// A request's body cannot be understood.
const BAD_REQUEST: u16 = 400;
/// A request cannot be answered.
const FAILED: u16 = 500;

/// Who answers.
#[derive(Clone, Debug, Serialize)]
pub struct ServerInfo {
    name: String,
    host: String,
    id: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    domain: String,
    ver: &'static str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tags: Vec<String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    metadata: BTreeMap<String, String>,
    feature_flags: BTreeMap<String, bool>,
    jetstream: bool,
    flags: u64,
    seq: u64,
    #[serde(serialize_with = "json::time")]
    time: Wall,
}

/// Names a server and nothing more.
#[derive(Debug, Serialize)]
struct Idz {
    name: String,
    host: String,
    id: String,
}

impl ServerInfo {
    /// Returns who this server is. `seq` counts what it says in the system account.
    #[must_use]
    pub fn new(source: &dyn Source, seq: u64) -> Self {
        let (server, options) = (source.server(), source.options());
        let memphis = options.memphis.as_ref().map(|memphis| &memphis.listen);
        let listen = options.listen.as_ref().or(memphis);
        let jetstream = options.jetstream.enabled;
        Self {
            name: server.name,
            host: listen.map(|listen| listen.host.clone()).unwrap_or_default(),
            id: server.id,
            domain: options.jetstream.domain.clone().unwrap_or_default(),
            ver: NATS_VERSION,
            tags: options.server_tags.clone(),
            metadata: options.server_metadata.iter().cloned().collect(),
            feature_flags: varz::feature_flags(options),
            jetstream,
            flags: if jetstream { FLAGS_OF_JETSTREAM } else { 0 },
            seq,
            time: source.now().wall,
        }
    }

    fn idz(self) -> Idz {
        Idz {
            name: self.name,
            host: self.host,
            id: self.id,
        }
    }
}

/// What an answer carries when something is wrong.
#[derive(Debug, Serialize)]
struct Fault {
    code: u16,
    description: String,
}

#[derive(Debug, Serialize)]
struct Envelope {
    server: ServerInfo,
    /// What was asked for. Nothing at all for actions; null where it could not be found.
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<Fault>,
}

/// Returns the answer to an action: nothing but who did it, or why it was not done.
#[must_use]
pub fn done(source: &dyn Source, seq: u64, failed: Option<&str>) -> Vec<u8> {
    json::compact(&Envelope {
        server: ServerInfo::new(source, seq),
        data: None,
        error: failed.map(|why| Fault {
            code: FAILED,
            description: why.to_owned(),
        }),
    })
}

/// Returns an answer that carries `data`, which is JSON.
#[must_use]
pub fn envelope_of(source: &dyn Source, seq: u64, data: String) -> Option<Vec<u8>> {
    let data = RawValue::from_string(data).ok()?;
    Some(json::compact(&Envelope {
        server: ServerInfo::new(source, seq),
        data: Some(data),
        error: None,
    }))
}

/// Reads whose connection a request is about; none when that cannot be understood.
#[must_use]
pub fn cid(body: &[u8]) -> Option<u64> {
    #[derive(Deserialize)]
    struct About {
        cid: u64,
    }
    serde_json::from_slice::<About>(body)
        .ok()
        .map(|about| about.cid)
}

/// Which servers a request is for.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Filter {
    server_name: String,
    cluster: String,
    host: String,
    tags: Vec<String>,
    domain: String,
    exact_match: bool,
}

impl Filter {
    fn means(&self, server: &ServerInfo) -> bool {
        let fits = |wanted: &str, own: &str| match self.exact_match {
            true => wanted.is_empty() || own == wanted,
            false => own.contains(wanted),
        };
        let has = |tag: &String| {
            let mut own = server.tags.iter();
            own.any(|own| own.eq_ignore_ascii_case(tag))
        };
        fits(&self.server_name, &server.name)
            && fits(&self.host, &server.host)
            // This server is in no cluster.
            && fits(&self.cluster, "")
            && (self.domain.is_empty() || self.domain == server.domain)
            && self.tags.iter().all(has)
    }
}

/// Why there is no document.
enum Refusal {
    /// The body cannot be understood.
    Body(String),
    /// There is nothing to show.
    Failed(String),
    /// Nobody is told anything.
    Silence,
}

impl From<Problem> for Refusal {
    fn from(problem: Problem) -> Self {
        Self::Failed(problem.to_string())
    }
}

/// A document, as text.
type Document = Result<Option<Box<RawValue>>, Refusal>;

/// Answers a request to servers; none when this one is not meant.
#[must_use]
pub fn server_request(source: &dyn Source, what: &str, body: &[u8], seq: u64) -> Option<Vec<u8>> {
    let server = ServerInfo::new(source, seq);
    if what == "IDZ" {
        // Whatever the body says: nothing is asked but who is there.
        return Some(json::compact(&server.idz()));
    }
    match filter(body) {
        Ok(filter) if !filter.means(&server) => return None,
        Ok(_) if what == "STATSZ" => return Some(statsz(source, seq)),
        Ok(_) => {}
        Err(why) => return seal(server, Err(Refusal::Body(why))),
    }
    seal(server, server_document(source, what, body))
}

/// Answers a request about one account; none when there is nothing to be told.
#[must_use]
pub fn account_request(
    source: &dyn Source,
    account: &str,
    what: &str,
    body: &[u8],
    seq: u64,
) -> Option<Vec<u8>> {
    let server = ServerInfo::new(source, seq);
    match filter(body) {
        Ok(filter) if !filter.means(&server) => return None,
        Ok(_) => {}
        Err(why) => return seal(server, Err(Refusal::Body(why))),
    }
    seal(server, account_document(source, account, what, body))
}

/// Says whether the body of a request about an account does not mean another one.
#[must_use]
pub fn is_about(account: &str, body: &[u8]) -> bool {
    #[derive(Deserialize)]
    struct Named {
        #[serde(default)]
        acc: Option<String>,
    }
    match serde_json::from_slice::<Named>(body) {
        Ok(named) => named.acc.is_none_or(|named| named == account),
        Err(_) => body.is_empty(),
    }
}

fn server_document(source: &dyn Source, what: &str, body: &[u8]) -> Document {
    Ok(match what {
        "VARZ" => raw(&varz::varz(source)),
        "SUBSZ" => raw(&subsz::subsz(source, &options::<SubszOptions>(body)?)?),
        "CONNZ" => {
            let options = options::<ConnzOptions>(body)?;
            if !options.filter_subject.is_empty() && options.acc.is_empty() {
                return Err(Problem::SubjectWithoutAccount.into());
            }
            raw(&connz::connz(source, &options)?)
        }
        "ROUTEZ" => raw(&links::routez(source)),
        "GATEWAYZ" => raw(&links::gatewayz(source)),
        "LEAFZ" => raw(&links::leafz(source)),
        "ACCOUNTZ" => {
            let options = options::<AccountzOptions>(body)?;
            raw(&accountz::accountz(source, &options)?)
        }
        "JSZ" => raw(&jsz::jsz(source, &options::<JszOptions>(body)?)),
        "HEALTHZ" => {
            let (code, health) = healthz::healthz(source, &options::<HealthzOptions>(body)?);
            raw(&health.with_code(code))
        }
        "IPQUEUESZ" => raw(&queues::queuesz(
            source,
            &options::<QueueszOptions>(body)?,
            1,
        )),
        // Groups and variables of another implementation: this one has none.
        _ => raw(&BTreeMap::<String, u64>::new()),
    })
}

fn account_document(source: &dyn Source, account: &str, what: &str, body: &[u8]) -> Document {
    Ok(match what {
        "SUBSZ" => {
            let mut options = options::<SubszOptions>(body)?;
            account.clone_into(&mut options.account);
            options.subscriptions = true;
            raw(&subsz::subsz(source, &options)?)
        }
        "CONNZ" => {
            let mut options = options::<ConnzOptions>(body)?;
            account.clone_into(&mut options.acc);
            raw(&connz::connz(source, &options)?)
        }
        "LEAFZ" => raw(&links::leafz(source)),
        "JSZ" => {
            let options = options::<JszOptions>(body)?;
            raw(&jsz::account(source, account, &options)?)
        }
        "INFO" => raw(&accountz::info(source, account)?),
        "STATZ" => {
            let mut options = options::<AccountStatzOptions>(body)?;
            if account != "PING" {
                options.accounts = Vec::from([account.to_owned()]);
            }
            let statz = accountz::account_statz(source, &options);
            if statz.is_empty() {
                return Err(Refusal::Silence);
            }
            raw(&statz)
        }
        _ => return Err(Refusal::Silence),
    })
}

/// Puts a document into its envelope.
fn seal(server: ServerInfo, document: Document) -> Option<Vec<u8>> {
    let fault = |code, description| Fault { code, description };
    let (data, error) = match document {
        Ok(data) => (data, None),
        Err(Refusal::Body(why)) => (None, Some(fault(BAD_REQUEST, why))),
        Err(Refusal::Failed(why)) => (Some(RawValue::NULL.to_owned()), Some(fault(FAILED, why))),
        Err(Refusal::Silence) => return None,
    };
    Some(json::compact(&Envelope {
        server,
        data,
        error,
    }))
}

fn raw<T: Serialize>(document: &T) -> Option<Box<RawValue>> {
    let text = String::from_utf8(json::compact(document)).ok()?;
    RawValue::from_string(text).ok()
}

fn filter(body: &[u8]) -> Result<Filter, String> {
    read(body)
}

fn options<T: Default + for<'a> Deserialize<'a>>(body: &[u8]) -> Result<T, Refusal> {
    read(body).map_err(Refusal::Body)
}

/// Reads a request's body; an empty one asks for nothing in particular.
fn read<T: Default + for<'a> Deserialize<'a>>(body: &[u8]) -> Result<T, String> {
    if body.is_empty() {
        return Ok(T::default());
    }
    match parse(body) {
        Ok(_) => {}
        Err(SyntaxError::Eof) => return Err("unexpected end of JSON input".to_owned()),
        Err(SyntaxError::At { text, .. }) => return Err(text),
    }
    serde_json::from_slice(body).map_err(|error| format!("json: {error}"))
}

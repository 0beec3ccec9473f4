//! The requests under way: what each does next when something it waited for has happened.
//!
//! *Invariant:* a step asks one thing, or records one thing, or ends; it never waits for two. What
//! takes several steps is recorded before the first one, so that it can be resumed after a crash.

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::string::String;
use alloc::vec::Vec;

use protocol::id::AccountId;

use crate::book::{Book, Change, Permissions, StationRow, Tenant};
use crate::calls::Calls;
use crate::clients::Clients;
use crate::consumer::{Joining, Leaving};
use crate::dead::Burial;
use crate::guard::SchemaLibrary;
use crate::logs::Log;
use crate::machine::{Host, Message};
use crate::making::Making;
use crate::name::{Name, station_of_stream};
use crate::producer::{Ending, Producing};
use crate::removing::Removing;
use crate::reply;
use crate::schema::{Attaching, Versioning};
use crate::throughput::Throughput;

/// What a task waited for.
#[derive(Debug)]
pub(crate) enum Event<'a> {
    /// Its turn.
    Begin,
    /// The answer to what it asked.
    Answer(&'a [u8]),
    /// The commit of what it recorded.
    Recorded,
}

/// What a task does next.
#[derive(Debug)]
pub(crate) enum Step {
    /// Sends a request and waits for the answer.
    Ask {
        subject: String,
        headers: Vec<u8>,
        body: Vec<u8>,
    },
    /// Puts a change into the log and waits for its commit.
    Record(Change),
    /// Goes on as another work.
    Become(Box<Work>),
    /// Ends with an answer.
    Answer(Vec<u8>),
}

impl Step {
    /// Ends without anything to say, which SDKs take for success.
    pub(crate) const fn done() -> Self {
        Self::Answer(Vec::new())
    }

    pub(crate) fn ask(subject: String, body: Vec<u8>) -> Self {
        Self::Ask {
            subject,
            headers: Vec::new(),
            body,
        }
    }

    pub(crate) fn text(text: impl Into<String>) -> Self {
        Self::Answer(text.into().into_bytes())
    }
}

/// A request under way.
#[derive(Debug)]
pub(crate) enum Work {
    Making(Making),
    Removing(Removing),
    Producing(Producing),
    Ending(Ending),
    Joining(Joining),
    Leaving(Leaving),
    Versioning(Versioning),
    Attaching(Attaching),
    Burial(Burial),
    /// Nothing but a change.
    Note(Option<Change>),
    /// Requests to streams.
    Calls(Calls),
    /// One after the other, until one fails.
    Chain(VecDeque<Work>),
}

impl Work {
    pub(crate) fn on<H: Host>(&mut self, event: &Event<'_>, cx: &mut Cx<'_, H>) -> Step {
        match self {
            Self::Making(work) => work.on(event, cx),
            Self::Removing(work) => work.on(event, cx),
            Self::Producing(work) => work.on(event, cx),
            Self::Ending(work) => work.on(event, cx),
            Self::Joining(work) => work.on(event, cx),
            Self::Leaving(work) => work.on(event, cx),
            Self::Versioning(work) => work.on(event, cx),
            Self::Attaching(work) => work.on(event, cx),
            Self::Burial(work) => work.on(event, cx),
            Self::Note(change) => match change.take() {
                Some(change) => Step::Record(change),
                None => Step::done(),
            },
            Self::Calls(work) => work.on(event),
            Self::Chain(works) => chain(works, event, cx),
        }
    }

    /// Returns `text` as the SDK expects the request to be refused.
    pub(crate) fn refusal(&self, text: &str) -> Vec<u8> {
        match self {
            Self::Producing(_) => reply::producer_refused(text),
            Self::Versioning(_) => reply::schema_created(text),
            Self::Burial(work) => work.refusal().unwrap_or_else(|| text.into()),
            Self::Making(_)
            | Self::Removing(_)
            | Self::Ending(_)
            | Self::Joining(_)
            | Self::Leaving(_)
            | Self::Attaching(_)
            | Self::Note(_)
            | Self::Calls(_)
            | Self::Chain(_) => text.into(),
        }
    }
}

fn chain<H: Host>(works: &mut VecDeque<Work>, event: &Event<'_>, cx: &mut Cx<'_, H>) -> Step {
    let mut event = event;
    while let Some(work) = works.front_mut() {
        match work.on(event, cx) {
            Step::Answer(payload) if payload.is_empty() => {
                works.pop_front();
            }
            Step::Become(other) => *work = *other,
            step @ (Step::Ask { .. } | Step::Record(_) | Step::Answer(_)) => return step,
        }
        event = &Event::Begin;
    }
    Step::done()
}

/// What a step can look at and reach.
#[derive(Debug)]
pub(crate) struct Cx<'a, H> {
    pub(crate) account: AccountId,
    /// The account's name.
    pub(crate) tenant: &'a str,
    pub(crate) book: &'a Book,
    pub(crate) clients: &'a Clients,
    pub(crate) library: &'a dyn SchemaLibrary,
    pub(crate) throughput: Option<&'a Throughput>,
    pub(crate) log: Option<&'a Log>,
    pub(crate) host: &'a mut H,
}

/// A stream behind a station.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Partition {
    pub(crate) stream: String,
    /// From 1; 0 for a stream that a NATS client made.
    pub(crate) number: u32,
}

impl<H: Host> Cx<'_, H> {
    pub(crate) fn rows(&self) -> Option<&Tenant> {
        self.book.tenant(self.tenant)
    }

    pub(crate) fn row(&self, station: &Name) -> Option<&StationRow> {
        self.book.station(self.tenant, station.external())
    }

    /// Says whether the user that a request names may ask; old SDKs name none.
    pub(crate) fn knows_user(&self, username: &str) -> bool {
        username.is_empty()
            || self.host.has_user(self.account, username)
            || self
                .rows()
                .is_some_and(|rows| rows.users.contains_key(username))
    }

    /// Returns which stations a user may use; all if it has no rules.
    pub(crate) fn may(&self, username: &str) -> Permissions {
        let user = self.rows().and_then(|rows| rows.users.get(username));
        user.map(|user| user.permissions.clone())
            .unwrap_or_default()
    }

    /// Returns the streams behind a station in the order of their numbers: its partitions, or else the
    /// one stream that a NATS client made under this name in any case.
    pub(crate) fn partitions(&self, station: &Name) -> Vec<Partition> {
        let mut found = Vec::new();
        self.host.streams(self.account, &mut |stream| {
            let (name, number) = station_of_stream(stream);
            if name == station.external() {
                let stream = stream.into();
                found.push(Partition { stream, number });
            }
        });
        of_station(found)
    }

    pub(crate) fn publish(&mut self, subject: &str, headers: &[u8], payload: &[u8]) {
        let msg = Message {
            subject: subject.as_bytes(),
            headers,
            payload,
        };
        self.host.publish(self.account, msg);
    }
}

/// Returns the streams of a station's name that are behind it, in the order of their numbers.
pub(crate) fn of_station(mut found: Vec<Partition>) -> Vec<Partition> {
    // A station made the Memphis way and a NATS client's stream of the same name are two things.
    if found.iter().any(|partition| partition.number > 0) {
        found.retain(|partition| partition.number > 0);
    }
    found.sort_unstable_by_key(|partition| partition.number);
    found
}

/// Returns what SDKs know as a station's partitions.
pub(crate) fn numbers(partitions: &[Partition]) -> Vec<u32> {
    let numbers = partitions.iter().map(|partition| partition.number);
    numbers.filter(|number| *number > 0).collect()
}

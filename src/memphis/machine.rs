//! Answers the requests on `$memphis_*`. Each request is a short task of JetStream API requests.
//!
//! *Invariant:* a station is whole or absent: when one of its partitions cannot be made, those made
//! before are removed again.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use protocol::id::AccountId;
use protocol::js::json;
use serde_json::Value;

use crate::name::{Kind, Name, station_of_stream};
use crate::request::Fields;
use crate::station::Station;

/// Subjects that Memphis clients send requests to.
pub const SUBJECTS: [&str; 2] = [STATION_CREATIONS, STATION_DESTRUCTIONS];
const STATION_CREATIONS: &str = "$memphis_station_creations";
const STATION_DESTRUCTIONS: &str = "$memphis_station_destructions";

/// Most requests under way at once; more are refused.
pub const TASKS_MAX: usize = 10_000;

/// JetStream error code: more than one replica asked of a single server.
const REPLICAS_NOT_CLUSTERED: u64 = 10_074;
/// JetStream error code: the stream is gone.
const STREAM_NOT_FOUND: u64 = 10_059;

/// Names a JetStream request that the machine waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TaskId(pub u64);

/// What the machine needs from the broker.
pub trait Host {
    /// Sends a JetStream API request; the answer comes through [`Memphis::api_done`].
    fn api(&mut self, account: AccountId, task: TaskId, subject: &str, body: &[u8]);

    /// Publishes an answer.
    fn reply(&mut self, account: AccountId, to: &[u8], payload: &[u8]);

    /// Returns the names of the account's streams, sorted.
    fn streams(&self, account: AccountId) -> Vec<String>;
}

/// The requests under way.
#[derive(Debug, Default)]
pub struct Memphis {
    tasks: BTreeMap<TaskId, Task>,
    next: u64,
}

#[derive(Debug)]
struct Task {
    account: AccountId,
    reply: Vec<u8>,
    work: Work,
}

#[derive(Debug)]
enum Work {
    /// Makes one partition after the other; `made` are those that were not there before.
    Create {
        station: Station,
        current: u32,
        made: Vec<String>,
    },
    /// Removes streams, then answers `outcome`.
    Remove { left: Vec<String>, outcome: String },
}

impl Memphis {
    /// Handles a request on one of [`SUBJECTS`].
    pub fn request(
        &mut self,
        account: AccountId,
        subject: &[u8],
        reply: &[u8],
        body: &[u8],
        host: &mut impl Host,
    ) {
        let outcome = if self.tasks.len() >= TASKS_MAX {
            Err("the broker is busy, try again later".into())
        } else if subject == STATION_CREATIONS.as_bytes() {
            create(account, body, host)
        } else {
            remove(account, body, host)
        };
        match outcome {
            Ok(Some(work)) => self.run(
                Task {
                    account,
                    reply: reply.to_vec(),
                    work,
                },
                host,
            ),
            Ok(None) => host.reply(account, reply, b""),
            Err(text) => host.reply(account, reply, text.as_bytes()),
        }
    }

    /// Handles the answer to a request made through [`Host::api`].
    pub fn api_done(&mut self, task: TaskId, answer: &[u8], host: &mut impl Host) {
        let Some(mut task) = self.tasks.remove(&task) else {
            return;
        };
        task.work = match task.work {
            Work::Create {
                station,
                current,
                made,
            } => match created(station, current, made, answer) {
                Some(work) => work,
                None => return host.reply(task.account, &task.reply, b""),
            },
            Work::Remove { mut left, outcome } => {
                left.pop();
                let failed = ApiFailure::parse(answer).filter(|f| f.code != STREAM_NOT_FOUND);
                let outcome = match failed {
                    Some(failure) if outcome.is_empty() => failure.text,
                    Some(_) | None => outcome,
                };
                if left.is_empty() {
                    return host.reply(task.account, &task.reply, outcome.as_bytes());
                }
                Work::Remove { left, outcome }
            }
        };
        self.run(task, host);
    }

    /// Sends the task's next request.
    fn run(&mut self, task: Task, host: &mut impl Host) {
        let (subject, body) = match &task.work {
            Work::Create {
                station, current, ..
            } => {
                let config = station.stream_config(*current);
                (
                    format!("$JS.API.STREAM.CREATE.{}", config.name),
                    json::to_vec(&config),
                )
            }
            Work::Remove { left, outcome } => match left.last() {
                Some(stream) => (format!("$JS.API.STREAM.DELETE.{stream}"), Vec::new()),
                None => return host.reply(task.account, &task.reply, outcome.as_bytes()),
            },
        };
        self.next += 1;
        let (id, account) = (TaskId(self.next), task.account);
        self.tasks.insert(id, task);
        host.api(account, id, &subject, &body);
    }
}

/// Returns the work of a creation request; nothing if the station is there already, which is a
/// success that changes nothing: SDKs create before each use.
fn create(account: AccountId, body: &[u8], host: &impl Host) -> Result<Option<Work>, String> {
    let fields = Fields::parse(body).map_err(|e| e.to_string())?;
    let station = Station::from_request(&fields).map_err(|e| e.to_string())?;
    if !streams_of(&station.name, account, host).is_empty() {
        return Ok(None);
    }
    Ok(Some(Work::Create {
        station,
        current: 1,
        made: Vec::new(),
    }))
}

fn remove(account: AccountId, body: &[u8], host: &impl Host) -> Result<Option<Work>, String> {
    let fields = Fields::parse(body).map_err(|e| e.to_string())?;
    let name = Name::new(Kind::Station, fields.text("station_name")).map_err(|e| e.to_string())?;
    let left = streams_of(&name, account, host);
    if left.is_empty() {
        return Err(format!("Station {} does not exist", name.external()));
    }
    Ok(Some(Work::Remove {
        left,
        outcome: String::new(),
    }))
}

/// Returns the streams behind a station: its partitions, or the one stream that a NATS client made
/// under this name in any case.
fn streams_of(name: &Name, account: AccountId, host: &impl Host) -> Vec<String> {
    let mut streams = host.streams(account);
    streams.retain(|stream| station_of_stream(stream).0 == name.external());
    streams
}

/// Returns what follows the answer to a partition's creation; nothing when the station is complete.
fn created(station: Station, current: u32, mut made: Vec<String>, answer: &[u8]) -> Option<Work> {
    if let Some(failure) = ApiFailure::parse(answer) {
        let outcome = if failure.code == REPLICAS_NOT_CLUSTERED {
            "station can not be created, probably since replicas count is larger than the cluster size"
                .into()
        } else {
            failure.text
        };
        return Some(Work::Remove {
            left: made,
            outcome,
        });
    }
    made.push(station.name.partition_stream(current));
    (current < station.partitions).then(|| Work::Create {
        station,
        current: current + 1,
        made,
    })
}

/// The error of a JetStream API answer.
struct ApiFailure {
    code: u64,
    text: String,
}

impl ApiFailure {
    fn parse(answer: &[u8]) -> Option<Self> {
        let answer: Value = serde_json::from_slice(answer).ok()?;
        let error = answer.get("error")?;
        Some(Self {
            code: error
                .get("err_code")
                .and_then(Value::as_u64)
                .unwrap_or_default(),
            text: error
                .get("description")
                .and_then(Value::as_str)
                .unwrap_or_default()
                .into(),
        })
    }
}

#[cfg(test)]
mod tests;

//! Consumers and their groups: a group is one durable of its name on each partition.
//!
//! *Invariant:* a group has all its durables or none, also across a crash: the group's row comes
//! before the first durable, and what a row began is resumed.

mod durable;
mod leave;

use alloc::boxed::Box;
use alloc::format;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;

use serde_json::Value;

use crate::answer::{self, CONSUMER_NOT_FOUND};
use crate::book::{Change, Consumer, Phase, Start, stamp};
use crate::machine::{Asker, Host};
use crate::making::Making;
use crate::name::{Kind, Name};
use crate::producer::{client, is_kind, knows_partitions};
use crate::reply;
use crate::request::Fields;
use crate::station::Station;
use crate::work::{Cx, Event, Partition, Step, Work, numbers};

pub(crate) use leave::Leaving;

const ACK_MS_DEFAULT: u64 = 30_000;
const DELIVERIES_MAX: i64 = 10;

/// A consumer's creation.
#[derive(Debug)]
pub(crate) struct Joining {
    station: Name,
    consumer: Consumer,
    partitions: Vec<Partition>,
    /// The partition whose durable is seen to.
    index: usize,
    /// The streams whose durables this request made.
    made: Vec<String>,
    /// Whether this request makes the group.
    is_new: bool,
    at: At,
}

#[derive(Debug)]
enum At {
    Start,
    /// The group's row is on its way into the log.
    Group,
    /// Is the durable there?
    Durable,
    /// Where does the stream end?
    Stream,
    /// The durable is being made.
    Make,
    /// The durable is being changed.
    Change,
    /// Durables made before are being removed again.
    Undo(String),
    /// The end of an undone group is on its way into the log.
    Undone(String),
    /// The consumer's row is on its way into the log.
    Row,
}

impl Joining {
    pub(crate) fn from_request(fields: &Fields, asker: Asker<'_>) -> Result<Self, String> {
        let named = |typed: &str| Name::new(Kind::Consumer, typed).map_err(|e| e.to_string());
        let name = named(fields.text("name"))?;
        let group = match fields.text("consumers_group") {
            "" => name.clone(),
            group => named(group)?,
        };
        let station = fields.text("station_name");
        let station = Name::new(Kind::Station, station).map_err(|e| e.to_string())?;
        let client = client(fields, "consumer_type", asker);
        if !is_kind(&client.kind) {
            let kind = &client.kind;
            return Err(format!(
                "consumer type has to be one of the following application/connector and not {kind}"
            ));
        }
        let start = start(fields, client.version)?;
        let ack_ms = match u64::try_from(fields.integer("max_ack_time_ms")) {
            Ok(0) | Err(_) => ACK_MS_DEFAULT,
            Ok(ms) => ms,
        };
        let deliveries_max = match fields.integer("max_msg_deliveries") {
            asked @ 1..=DELIVERIES_MAX => asked,
            _ => DELIVERIES_MAX,
        };
        let consumer = Consumer {
            name,
            group,
            client,
            ack_ms,
            deliveries_max,
            start,
            updated: 0,
        };
        Ok(Self::new(station, consumer, At::Start))
    }

    /// Goes on with a group whose row was in the log already when the process ended.
    pub(crate) fn resume(station: Name, consumer: Consumer) -> Self {
        let mut joining = Self::new(station, consumer, At::Group);
        joining.is_new = true;
        joining
    }

    const fn new(station: Name, consumer: Consumer, at: At) -> Self {
        Self {
            station,
            consumer,
            partitions: Vec::new(),
            index: 0,
            made: Vec::new(),
            is_new: false,
            at,
        }
    }

    pub(crate) const fn station(&self) -> &Name {
        &self.station
    }

    pub(crate) fn on<H: Host>(&mut self, event: &Event<'_>, cx: &mut Cx<'_, H>) -> Step {
        let answer = match event {
            Event::Answer(answer) => answer,
            Event::Begin | Event::Recorded => &[][..],
        };
        match &self.at {
            At::Start => self.begin(cx),
            At::Group => {
                self.partitions = cx.partitions(&self.station);
                self.see_to(cx)
            }
            At::Durable => self.on_durable(answer, cx),
            At::Stream => match answer::read(answer) {
                Ok(info) => self.make(last_seq(&info)),
                Err(failure) => self.undo(failure.text),
            },
            At::Make => match answer::read(answer) {
                Ok(_) => {
                    if let Some(partition) = self.partitions.get(self.index) {
                        self.made.push(partition.stream.clone());
                    }
                    self.index += 1;
                    self.see_to(cx)
                }
                Err(failure) => self.undo(failure.text),
            },
            At::Change => match answer::read(answer) {
                Ok(_) => {
                    self.index += 1;
                    self.see_to(cx)
                }
                Err(failure) => self.undo(failure.text),
            },
            At::Undo(text) => {
                let text = text.clone();
                self.undo(text)
            }
            At::Undone(text) => Step::text(text.clone()),
            At::Row => {
                let row = cx.row(&self.station);
                let partitions = numbers(&self.partitions);
                let sdk = &self.consumer.client.sdk;
                Step::Answer(reply::consumer(cx.rows(), row, &partitions, sdk))
            }
        }
    }

    fn begin<H: Host>(&mut self, cx: &mut Cx<'_, H>) -> Step {
        let client = &self.consumer.client;
        if !cx.knows_user(&client.username) {
            return Step::text("user does not exist");
        }
        if !cx.may(&client.username).may_read(self.station.external()) {
            let (user, station) = (&client.username, self.station.external());
            return Step::text(format!(
                "user {user} is not allowed to access station {station}"
            ));
        }
        self.partitions = cx.partitions(&self.station);
        if self.partitions.is_empty() {
            if !knows_partitions(client) {
                return Step::text(
                    "This station does not exist, a default station can not be created automatically, please upgrade your SDK version",
                );
            }
            let station = Station::default_of(self.station.clone(), &client.username);
            let me = Self::new(self.station.clone(), self.consumer.clone(), At::Start);
            let making = Making::new(station, Some(Box::new(Work::Joining(me))));
            return Step::Become(Box::new(Work::Making(making)));
        }
        if !knows_partitions(client) && !numbers(&self.partitions).is_empty() {
            return Step::text("to consume from this station please upgrade your SDK version");
        }
        let row = cx.row(&self.station);
        let group = row.and_then(|row| row.groups.get(self.consumer.group.external()));
        let group = group.filter(|group| group.phase == Phase::Whole);
        let first = group.and_then(|group| group.members.first());
        if client.version == 1 && first.is_some_and(|first| first.start != self.consumer.start) {
            return Step::text(
                "consumer already exists with different uneditable configuration parameters (StartConsumeFromSequence/LastMessages)",
            );
        }
        self.is_new = group.is_none();
        self.consumer.updated = stamp(cx.host.now().wall);
        if self.is_new {
            self.at = At::Group;
            let station = self.station.external().into();
            return Step::Record(Change::GroupMaking(station, self.consumer.clone()));
        }
        self.see_to(cx)
    }

    /// Looks for the durable of the next partition; the consumer is there after the last one.
    fn see_to<H: Host>(&mut self, cx: &Cx<'_, H>) -> Step {
        let Some(partition) = self.partitions.get(self.index) else {
            if self.partitions.is_empty() && cx.partitions(&self.station).is_empty() {
                // Resumed, but the station has gone since.
                return self.undo(String::new());
            }
            self.at = At::Row;
            let station = self.station.external().into();
            return Step::Record(Change::Consumer(station, self.consumer.clone()));
        };
        self.at = At::Durable;
        let durable = self.consumer.group.internal();
        let subject = format!("$JS.API.CONSUMER.INFO.{}.{durable}", partition.stream);
        Step::ask(subject, Vec::new())
    }

    fn on_durable<H: Host>(&mut self, answer: &[u8], cx: &Cx<'_, H>) -> Step {
        let Some(Partition { stream, .. }) = self.partitions.get(self.index) else {
            return self.see_to(cx);
        };
        match answer::read(answer) {
            Ok(info) => {
                if let Some(step) = durable::change(&info, stream, &self.consumer) {
                    self.at = At::Change;
                    return step;
                }
                self.index += 1;
                self.see_to(cx)
            }
            Err(failure) if failure.code == CONSUMER_NOT_FOUND => {
                if self.consumer.start.last.is_some_and(|last| last > 0) {
                    self.at = At::Stream;
                    let subject = format!("$JS.API.STREAM.INFO.{stream}");
                    return Step::ask(subject, Vec::new());
                }
                self.make(0)
            }
            Err(failure) => self.undo(failure.text),
        }
    }

    fn make(&mut self, last_seq: u64) -> Step {
        self.at = At::Make;
        match self.partitions.get(self.index) {
            Some(partition) => durable::create(partition, &self.consumer, last_seq),
            None => self.undo(String::new()),
        }
    }

    fn undo(&mut self, text: String) -> Step {
        let durable = self.consumer.group.internal();
        if let Some(stream) = self.made.pop() {
            self.at = At::Undo(text);
            let subject = format!("$JS.API.CONSUMER.DELETE.{stream}.{durable}");
            return Step::ask(subject, Vec::new());
        }
        if !self.is_new {
            return Step::text(text);
        }
        self.at = At::Undone(text);
        let group = self.consumer.group.external().into();
        Step::Record(Change::GroupGone(self.station.external().into(), group))
    }
}

/// Reads where a new group begins. Requests of the first version do not say.
fn start(fields: &Fields, version: i64) -> Result<Start, String> {
    let everything = Start {
        sequence: 1,
        last: None,
    };
    if version == 0 {
        return Ok(everything);
    }
    let sequence = fields.integer_if_set("start_consume_from_sequence");
    let sequence = sequence.unwrap_or(1);
    let last = fields.integer_if_set("last_messages").unwrap_or(-1);
    let sequence = match u64::try_from(sequence) {
        Ok(sequence) if sequence > 0 => sequence,
        Ok(_) | Err(_) => {
            return Err("startConsumeFromSequence has to be a positive number".into());
        }
    };
    if last < -1 {
        return Err("min value for LastMessages is -1".into());
    }
    if sequence > 1 && last >= 0 {
        let text = "consumer creation options can't contain both startConsumeFromSequence and lastMessages";
        return Err(text.into());
    }
    Ok(Start {
        sequence,
        last: u64::try_from(last).ok(),
    })
}

fn last_seq(info: &Value) -> u64 {
    let last = info.get("state").and_then(|state| state.get("last_seq"));
    last.and_then(Value::as_u64).unwrap_or_default()
}

//! Makes a station: its row, then one stream per partition.
//!
//! *Invariant:* a station is whole or absent. When a partition cannot be made, those made before are
//! removed again; after a crash in between, the making is resumed from the row.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;

use protocol::js::json;

use crate::answer::{self, Failure, REPLICAS_NOT_CLUSTERED};
use crate::book::Change;
use crate::machine::Host;
use crate::station::{Station, StationError};
use crate::work::{Cx, Event, Step, Work};

#[derive(Debug)]
pub(crate) struct Making {
    station: Station,
    /// What goes on once the station is there.
    then: Option<Box<Work>>,
    at: At,
}

#[derive(Debug)]
enum At {
    Start,
    /// The row is on its way into the log.
    Row,
    /// The stream of this partition is being made.
    Stream(u32),
    /// The streams up to this partition are being removed again.
    Undo(u32, String),
    /// The end of an undone station is on its way into the log.
    Undone(String),
    /// The whole station is on its way into the log.
    Made,
}

impl Making {
    pub(crate) fn new(station: Station, then: Option<Box<Work>>) -> Self {
        Self {
            station,
            then,
            at: At::Start,
        }
    }

    /// Goes on with a station whose row was in the log already when the process ended.
    pub(crate) fn resume(station: Station) -> Self {
        Self {
            station,
            then: None,
            at: At::Row,
        }
    }

    pub(crate) fn on<H: Host>(&mut self, event: &Event<'_>, cx: &mut Cx<'_, H>) -> Step {
        match (&self.at, event) {
            (At::Start, _) => self.begin(cx),
            (At::Row, _) => self.make(1),
            (At::Stream(number), Event::Answer(answer)) => match answer::read(answer) {
                Ok(_) if *number < self.station.partitions => self.make(number + 1),
                Ok(_) => {
                    self.at = At::Made;
                    Step::Record(Change::StationMade(self.external()))
                }
                Err(failure) => self.undo(number - 1, wording(failure)),
            },
            (At::Undo(number, text), _) => self.undo(number - 1, text.clone()),
            (At::Undone(text), _) => Step::Answer(self.refusal(text)),
            (At::Made, _) => self.follow(),
            (At::Stream(number), Event::Begin | Event::Recorded) => self.make(*number),
        }
    }

    fn begin<H: Host>(&mut self, cx: &mut Cx<'_, H>) -> Step {
        let name = &self.station.name;
        // SDKs create before each use: what is there stays as it is.
        if !cx.partitions(name).is_empty() {
            return self.follow();
        }
        if !cx.knows_user(&self.station.username) {
            let text = format!("User {} does not exist", self.station.username);
            return Step::Answer(self.refusal(&text));
        }
        if !cx.may(&self.station.username).may_write(name.external()) {
            let user = &self.station.username;
            let text = format!(
                "user {user} is not allowed to create station {}",
                name.external()
            );
            return Step::Answer(self.refusal(&text));
        }
        if let Some(schema) = &self.station.schema
            && !cx
                .rows()
                .is_some_and(|rows| rows.schemas.contains_key(schema.external()))
        {
            let error = StationError::Schema(schema.external().into());
            return Step::Answer(self.refusal(&format!("{error}")));
        }
        if let Some(dls) = &self.station.dls_station
            && cx.partitions(dls).is_empty()
        {
            let dls = Station::default_of(dls.clone(), &self.station.username);
            let me = Self::new(self.station.clone(), self.then.take());
            let me = Box::new(Work::Making(me));
            return Step::Become(Box::new(Work::Making(Self::new(dls, Some(me)))));
        }
        self.at = At::Row;
        Step::Record(Change::StationMaking(self.station.clone()))
    }

    fn make(&mut self, number: u32) -> Step {
        self.at = At::Stream(number);
        let config = self.station.stream_config(number);
        let subject = format!("$JS.API.STREAM.CREATE.{}", config.name);
        Step::ask(subject, json::to_vec(&config))
    }

    fn undo(&mut self, number: u32, text: String) -> Step {
        if number == 0 {
            self.at = At::Undone(text);
            return Step::Record(Change::StationGone(self.external()));
        }
        self.at = At::Undo(number, text);
        let stream = self.station.name.partition_stream(number);
        Step::ask(
            format!("$JS.API.STREAM.DELETE.{stream}"),
            Default::default(),
        )
    }

    fn follow(&mut self) -> Step {
        match self.then.take() {
            Some(work) => Step::Become(work),
            None => Step::done(),
        }
    }

    fn refusal(&self, text: &str) -> alloc::vec::Vec<u8> {
        match &self.then {
            Some(work) => work.refusal(text),
            None => text.into(),
        }
    }

    fn external(&self) -> String {
        self.station.name.external().into()
    }
}

fn wording(failure: Failure) -> String {
    if failure.code == REPLICAS_NOT_CLUSTERED {
        return "station can not be created, probably since replicas count is larger than the cluster size".into();
    }
    failure.text
}

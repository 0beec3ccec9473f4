//! Removes a station: all its streams, then its row.
//!
//! *Invariant:* once the removal is in the log it is resumed after a crash, unless JetStream refuses
//! to remove a stream: then what is left stays a station, and the user is told.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use crate::answer;
use crate::book::Change;
use crate::machine::Host;
use crate::name::Name;
use crate::reply;
use crate::work::{Cx, Event, Partition, Step};

#[derive(Debug)]
pub(crate) struct Removing {
    station: Name,
    left: Vec<Partition>,
    at: At,
}

#[derive(Debug)]
enum At {
    Start,
    /// The removal is on its way into the log.
    Row,
    /// The last stream of `left` is being removed.
    Stream,
    /// The end is on its way into the log.
    Gone,
    /// What is left is a station again; that is on its way into the log.
    Kept(String),
}

impl Removing {
    pub(crate) const fn new(station: Name) -> Self {
        Self {
            station,
            left: Vec::new(),
            at: At::Start,
        }
    }

    /// Goes on with a removal that was in the log already when the process ended.
    pub(crate) const fn resume(station: Name) -> Self {
        Self {
            station,
            left: Vec::new(),
            at: At::Row,
        }
    }

    pub(crate) fn on<H: Host>(&mut self, event: &Event<'_>, cx: &mut Cx<'_, H>) -> Step {
        match (&self.at, event) {
            (At::Start, _) => {
                if cx.partitions(&self.station).is_empty() {
                    return Step::text(format!("Station {} does not exist", self.external()));
                }
                self.at = At::Row;
                Step::Record(Change::StationGoing(self.external()))
            }
            (At::Row, _) => {
                self.left = cx.partitions(&self.station);
                self.next()
            }
            (At::Stream, Event::Answer(answer)) => match answer::read(answer) {
                Err(failure) if !failure.is_absence() => {
                    self.at = At::Kept(failure.text);
                    Step::Record(Change::StationMade(self.external()))
                }
                Ok(_) | Err(_) => {
                    self.left.pop();
                    self.next()
                }
            },
            (At::Stream, Event::Begin | Event::Recorded) => self.next(),
            (At::Gone, _) => {
                let push = reply::remove_station_push(&self.station);
                cx.publish(reply::CLIENTS_UPDATES, b"", &push);
                Step::done()
            }
            (At::Kept(text), _) => Step::text(text.clone()),
        }
    }

    fn next(&mut self) -> Step {
        match self.left.last() {
            Some(Partition { stream, .. }) => {
                self.at = At::Stream;
                Step::ask(format!("$JS.API.STREAM.DELETE.{stream}"), Vec::new())
            }
            None => {
                self.at = At::Gone;
                Step::Record(Change::StationGone(self.external()))
            }
        }
    }

    fn external(&self) -> String {
        self.station.external().into()
    }
}

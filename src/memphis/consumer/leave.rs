//! The end of a consumer, and of its group with its last active member.

use alloc::format;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;

use crate::answer;
use crate::book::Change;
use crate::machine::Host;
use crate::name::{Kind, Name};
use crate::producer::connection;
use crate::request::Fields;
use crate::work::{Cx, Event, Partition, Step};

/// A consumer's end.
#[derive(Debug)]
pub(crate) struct Leaving {
    station: Name,
    /// The consumer; none when a group is removed whose last consumer has gone already.
    name: Option<Name>,
    connection: String,
    /// The group that ends with it.
    ends: Option<String>,
    left: Vec<Partition>,
    at: At,
}

#[derive(Debug)]
enum At {
    Start,
    /// The consumer's end is on its way into the log.
    Row,
    /// The durable on the last of `left` is being removed.
    Durable,
    /// The group's end is on its way into the log.
    Gone,
}

impl Leaving {
    pub(crate) fn from_request(fields: &Fields) -> Result<Self, String> {
        let name = Name::new(Kind::Consumer, fields.text("name")).map_err(|e| e.to_string())?;
        let station = fields.text("station_name");
        let station = Name::new(Kind::Station, station).map_err(|e| e.to_string())?;
        Ok(Self {
            station,
            name: Some(name),
            connection: connection(fields),
            ends: None,
            left: Vec::new(),
            at: At::Start,
        })
    }

    /// Goes on with a group whose end was in the log already when the process ended.
    pub(crate) const fn resume(station: Name, group: String) -> Self {
        Self {
            station,
            name: None,
            connection: String::new(),
            ends: Some(group),
            left: Vec::new(),
            at: At::Row,
        }
    }

    pub(crate) const fn station(&self) -> &Name {
        &self.station
    }

    pub(crate) fn on<H: Host>(&mut self, event: &Event<'_>, cx: &mut Cx<'_, H>) -> Step {
        match (&self.at, event) {
            (At::Start, _) => self.begin(cx),
            (At::Row, _) => {
                if self.ends.is_none() {
                    return Step::done();
                }
                self.left = cx.partitions(&self.station);
                self.next()
            }
            (At::Durable, Event::Answer(answer)) => match answer::read(answer) {
                // The group stays on its way out, and is taken up again at the next start.
                Err(failure) if !failure.is_absence() => Step::text(failure.text),
                Ok(_) | Err(_) => {
                    self.left.pop();
                    self.next()
                }
            },
            (At::Durable, Event::Begin | Event::Recorded) => self.next(),
            (At::Gone, _) => Step::done(),
        }
    }

    fn begin<H: Host>(&mut self, cx: &Cx<'_, H>) -> Step {
        let Some(name) = &self.name else {
            return Step::done();
        };
        let mut groups = cx
            .row(&self.station)
            .into_iter()
            .flat_map(|row| &row.groups);
        let is_me =
            |c: &&crate::book::Consumer| c.name == *name && c.client.is_of(&self.connection);
        let Some((group_name, group)) =
            groups.find(|(_, group)| group.members.iter().any(|c| is_me(&c)))
        else {
            let (name, station) = (name.external(), self.station.external());
            return Step::text(format!(
                "Consumer {name} at station {station} does not exist"
            ));
        };
        let mut others = group.members.iter().filter(|c| !is_me(c));
        let is_used = others.any(|c| cx.clients.is_active(cx.account, &c.client.connection));
        self.ends = (!is_used).then(|| group_name.clone());
        self.at = At::Row;
        Step::Record(Change::ConsumerGone {
            station: self.station.external().into(),
            name: name.external().into(),
            connection: self.connection.clone(),
            ends: self.ends.clone(),
        })
    }

    fn next(&mut self) -> Step {
        let group = self.ends.clone().unwrap_or_default();
        match self.left.last() {
            Some(Partition { stream, .. }) => {
                self.at = At::Durable;
                let durable = group.replace('.', "#");
                let subject = format!("$JS.API.CONSUMER.DELETE.{stream}.{durable}");
                Step::ask(subject, Vec::new())
            }
            None => {
                self.at = At::Gone;
                Step::Record(Change::GroupGone(self.station.external().into(), group))
            }
        }
    }
}

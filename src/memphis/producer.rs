//! Producers: their creation, which makes a missing station, and their end.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::{String, ToString as _};

use crate::book::{Change, Client, Producer, stamp};
use crate::clients::connection_id;
use crate::machine::{Asker, Host};
use crate::making::Making;
use crate::name::{Kind, Name};
use crate::reply;
use crate::request::Fields;
use crate::station::Station;
use crate::work::{Cx, Event, Step, Work, numbers};

/// The first request version whose SDKs know partitions.
const KNOWS_PARTITIONS: i64 = 2;

/// A producer's creation.
#[derive(Debug)]
pub(crate) struct Producing {
    station: Name,
    producer: Producer,
    asked: bool,
}

/// A producer's end.
#[derive(Debug)]
pub(crate) struct Ending {
    station: Name,
    name: Name,
    connection: String,
    asked: bool,
}

/// Reads who stands behind a producer or consumer; `kind_key` names what it is in the request.
pub(crate) fn client(fields: &Fields, kind_key: &str, asker: Asker<'_>) -> Client {
    let connection = connection(fields);
    let username = fields.text("username").to_lowercase();
    let app_id = match fields.text("app_id") {
        "" => connection.clone(),
        id => id.into(),
    };
    let kind = match fields.text(kind_key).to_lowercase() {
        _ if username.starts_with('$') => "connector".into(),
        kind if kind.is_empty() => "application".into(),
        kind => kind,
    };
    Client {
        connection,
        username,
        kind,
        sdk: match fields.text("sdk_lang") {
            "" => sdk_of(asker.lang).into(),
            sdk => sdk.into(),
        },
        app_id,
        version: fields.integer("req_version"),
    }
}

/// Returns the id of the connection that a request is about. The Java SDK says its connection's whole
/// name.
pub(crate) fn connection(fields: &Fields) -> String {
    let said = fields.text("connection_id");
    connection_id(said).unwrap_or(said).into()
}

/// Returns what Memphis calls the SDK over a NATS library; SDKs before 1.3 do not say.
fn sdk_of(lang: &str) -> &str {
    match lang {
        "python3" => "python",
        "nats.js" => "node.js",
        lang => lang,
    }
}

/// Says whether a client's kind is one that there is.
pub(crate) fn is_kind(kind: &str) -> bool {
    matches!(kind, "application" | "connector")
}

/// Says whether the SDK behind a request knows stations with partitions.
pub(crate) const fn knows_partitions(client: &Client) -> bool {
    client.version >= KNOWS_PARTITIONS
}

impl Producing {
    pub(crate) fn from_request(fields: &Fields, asker: Asker<'_>) -> Result<Self, String> {
        let name = Name::new(Kind::Producer, fields.text("name")).map_err(|e| e.to_string())?;
        let station = fields.text("station_name");
        let station = Name::new(Kind::Station, station).map_err(|e| e.to_string())?;
        let client = client(fields, "producer_type", asker);
        if !is_kind(&client.kind) {
            let text = "producer type has to be one of the following application/connector";
            return Err(text.into());
        }
        Ok(Self {
            station,
            producer: Producer {
                name,
                client,
                updated: 0,
            },
            asked: false,
        })
    }

    pub(crate) const fn station(&self) -> &Name {
        &self.station
    }

    pub(crate) fn on<H: Host>(&mut self, _: &Event<'_>, cx: &mut Cx<'_, H>) -> Step {
        let partitions = cx.partitions(&self.station);
        if self.asked {
            let row = cx.row(&self.station);
            return Step::Answer(reply::producer(cx.rows(), row, &numbers(&partitions)));
        }
        let client = &self.producer.client;
        let refuse = |text: &str| Step::Answer(reply::producer_refused(text));
        if !cx.knows_user(&client.username) {
            return refuse(&format!("User {} does not exist", client.username));
        }
        if !cx.may(&client.username).may_write(self.station.external()) {
            let (user, station) = (&client.username, self.station.external());
            return refuse(&format!(
                "user {user} is not allowed to access station {station}"
            ));
        }
        if partitions.is_empty() {
            if !knows_partitions(client) {
                return refuse(
                    "this station does not exist, a default station can not be created automatically, please upgrade your SDK version",
                );
            }
            let station = Station::default_of(self.station.clone(), &client.username);
            let me = Work::Producing(Self {
                station: self.station.clone(),
                producer: self.producer.clone(),
                asked: false,
            });
            let making = Making::new(station, Some(Box::new(me)));
            return Step::Become(Box::new(Work::Making(making)));
        }
        if !knows_partitions(client) && !numbers(&partitions).is_empty() {
            return refuse("to produce to this station please upgrade your SDK version");
        }
        self.asked = true;
        self.producer.updated = stamp(cx.host.now().wall);
        let station = self.station.external().into();
        Step::Record(Change::Producer(station, self.producer.clone()))
    }
}

impl Ending {
    pub(crate) fn from_request(fields: &Fields) -> Result<Self, String> {
        let name = Name::new(Kind::Producer, fields.text("name")).map_err(|e| e.to_string())?;
        let station = fields.text("station_name");
        let station = Name::new(Kind::Station, station).map_err(|e| e.to_string())?;
        Ok(Self {
            station,
            name,
            connection: connection(fields),
            asked: false,
        })
    }

    pub(crate) const fn station(&self) -> &Name {
        &self.station
    }

    pub(crate) fn on<H: Host>(&mut self, _: &Event<'_>, cx: &mut Cx<'_, H>) -> Step {
        if self.asked {
            return Step::done();
        }
        let mut producers = cx
            .row(&self.station)
            .into_iter()
            .flat_map(|row| &row.producers);
        if !producers.any(|p| p.name == self.name && p.client.is_of(&self.connection)) {
            let (name, station) = (self.name.external(), self.station.external());
            return Step::text(format!(
                "Producer {name} at station {station} does not exist"
            ));
        }
        self.asked = true;
        Step::Record(Change::ProducerGone {
            station: self.station.external().into(),
            name: self.name.external().into(),
            connection: self.connection.clone(),
        })
    }
}

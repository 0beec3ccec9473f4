//! The subjects that Memphis clients send to, and the work that each asks for.

use alloc::string::{String, ToString as _};
use alloc::vec;
use alloc::vec::Vec;

use crate::consumer::{Joining, Leaving};
use crate::dead;
use crate::machine::Asker;
use crate::making::Making;
use crate::name::{Kind, Name};
use crate::producer::{Ending, Producing};
use crate::removing::Removing;
use crate::reply;
use crate::request::Fields;
use crate::schema::{Attaching, Versioning};
use crate::station::Station;
use crate::turns::Topic;
use crate::work::Work;

/// Subjects whose messages go to [`Memphis::request`](crate::machine::Memphis::request).
pub const SUBJECTS: [&str; 16] = [
    STATION_CREATIONS,
    STATION_DESTRUCTIONS,
    PRODUCER_CREATIONS,
    PRODUCER_DESTRUCTIONS,
    CONSUMER_CREATIONS,
    CONSUMER_DESTRUCTIONS,
    SCHEMA_CREATIONS,
    SCHEMA_ATTACHMENTS,
    SCHEMA_DETACHMENTS,
    SCHEMAVERSE_DLS,
    NACKED_DLS,
    PM_ACKS,
    NOTIFICATIONS,
    "$memphis_api.*.*",
    "$memphis_ws_subs.>",
    "$memphis_syslogs.>",
];
pub(crate) const STATION_CREATIONS: &str = "$memphis_station_creations";
pub(crate) const STATION_DESTRUCTIONS: &str = "$memphis_station_destructions";
pub(crate) const PRODUCER_CREATIONS: &str = "$memphis_producer_creations";
pub(crate) const PRODUCER_DESTRUCTIONS: &str = "$memphis_producer_destructions";
pub(crate) const CONSUMER_CREATIONS: &str = "$memphis_consumer_creations";
pub(crate) const CONSUMER_DESTRUCTIONS: &str = "$memphis_consumer_destructions";
pub(crate) const SCHEMA_CREATIONS: &str = "$memphis_schema_creations";
pub(crate) const SCHEMA_ATTACHMENTS: &str = "$memphis_schema_attachments";
pub(crate) const SCHEMA_DETACHMENTS: &str = "$memphis_schema_detachments";
pub(crate) const SCHEMAVERSE_DLS: &str = "$memphis_schemaverse_dls";
pub(crate) const NACKED_DLS: &str = "$memphis_nacked_dls";
pub(crate) const PM_ACKS: &str = "$memphis_pm_acks";
pub(crate) const NOTIFICATIONS: &str = "$memphis_notifications";

/// What a request asks for.
pub(crate) struct Asked {
    pub(crate) work: Work,
    /// What it works on.
    pub(crate) topics: Vec<Topic>,
}

/// Reads a request; nothing if it is one to be dropped in silence.
///
/// # Errors
/// The answer that tells why it is refused.
pub(crate) fn read(subject: &str, body: &[u8], asker: Asker<'_>) -> Result<Option<Asked>, Vec<u8>> {
    let mut fields = Fields::parse(body).map_err(|error| refusal(subject, &error.to_string()))?;
    // Whoever has logged in does not act in another's name.
    if !asker.user.is_empty() {
        fields.set("username", asker.user);
        fields.set("created_by_username", asker.user);
    }
    let asked = match subject {
        STATION_CREATIONS => making(&fields),
        STATION_DESTRUCTIONS => removing(&fields),
        PRODUCER_CREATIONS => Producing::from_request(&fields, asker).map(|work| {
            let topics = of_station(work.station());
            asked(Work::Producing(work), topics)
        }),
        PRODUCER_DESTRUCTIONS => Ending::from_request(&fields).map(|work| {
            let topics = of_station(work.station());
            asked(Work::Ending(work), topics)
        }),
        CONSUMER_CREATIONS => Joining::from_request(&fields, asker).map(|work| {
            let topics = of_station(work.station());
            asked(Work::Joining(work), topics)
        }),
        CONSUMER_DESTRUCTIONS => Leaving::from_request(&fields).map(|work| {
            let topics = of_station(work.station());
            asked(Work::Leaving(work), topics)
        }),
        SCHEMA_CREATIONS => Versioning::from_request(&fields).map(|work| {
            let topics = vec![Topic::Schema(work.schema().clone())];
            asked(Work::Versioning(work), topics)
        }),
        SCHEMA_ATTACHMENTS => Attaching::attachment(&fields).map(attaching),
        SCHEMA_DETACHMENTS => Attaching::detachment(&fields).map(attaching),
        _ => return Ok(unanswered(subject, &fields)),
    };
    asked.map(Some).map_err(|text| refusal(subject, &text))
}

fn making(fields: &Fields) -> Result<Asked, String> {
    let station = Station::from_request(fields).map_err(|e| e.to_string())?;
    let mut topics = of_station(&station.name);
    topics.extend(station.dls_station.clone().map(Topic::Station));
    topics.extend(station.schema.clone().map(Topic::Schema));
    Ok(asked(Work::Making(Making::new(station, None)), topics))
}

fn removing(fields: &Fields) -> Result<Asked, String> {
    let name = Name::new(Kind::Station, fields.text("station_name")).map_err(|e| e.to_string())?;
    let topics = of_station(&name);
    Ok(asked(Work::Removing(Removing::new(name)), topics))
}

fn attaching(work: Attaching) -> Asked {
    let mut topics = of_station(work.station());
    topics.extend(work.schema().cloned().map(Topic::Schema));
    asked(Work::Attaching(work), topics)
}

/// Reads what nobody waits for.
fn unanswered(subject: &str, fields: &Fields) -> Option<Asked> {
    if subject == PM_ACKS {
        let change = dead::acked(fields)?;
        return Some(asked(Work::Note(Some(change)), Vec::new()));
    }
    let burial = match subject {
        NACKED_DLS => dead::gave_up(fields),
        SCHEMAVERSE_DLS => dead::unfit(fields),
        _ => None,
    }?;
    let topics = of_station(burial.station());
    Some(asked(Work::Burial(burial), topics))
}

const fn asked(work: Work, topics: Vec<Topic>) -> Asked {
    Asked { work, topics }
}

fn of_station(name: &Name) -> Vec<Topic> {
    vec![Topic::Station(name.clone())]
}

/// Returns `text` in the shape that the SDK expects on this subject.
pub(crate) fn refusal(subject: &str, text: &str) -> Vec<u8> {
    match subject {
        PRODUCER_CREATIONS => reply::producer_refused(text),
        SCHEMA_CREATIONS => reply::schema_created(text),
        _ => text.into(),
    }
}

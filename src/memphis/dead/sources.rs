//! What tells of dead messages: notes of the log, and what SDKs publish without waiting for an
//! answer. Whatever cannot be read is dropped: nobody would hear of it.

use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use super::{Burial, PRODUCED_BY, PRODUCER_UNKNOWN, header_lines, station_named};
use crate::book::{
    Change, DeadLetter, DeadLetterId, DeadLetterKind, Dying, Letter, StationRow, hex,
};
use crate::machine::Misfit;
use crate::name::{Kind, Name, station_of_stream};
use crate::request::Fields;

/// A consumer will not deliver a message again. The Python SDK never gets to say why it gave one up, so
/// the end of the delivery counts; a reason that follows is added to the row.
pub(crate) fn dying(dying: &Dying, row: Option<&StationRow>) -> Option<Burial> {
    let (station, partition) = station_of_stream(&dying.key.stream);
    let station = Name::new(Kind::Station, &station).ok()?;
    let consumer = &dying.key.consumer;
    // A group's durables carry its name without dots; a NATS client's consumer is called as it is.
    let group = consumer.replace('#', ".");
    let is_group = row.is_some_and(|row| row.groups.contains_key(&group));
    let group = if is_group { group } else { consumer.clone() };
    let reason = dying.reason.clone();
    let mut burial = stored(station, partition, dying.key.seq, group, reason);
    burial.dead.letter = dying.letter.clone().unwrap_or_default();
    burial.of = Some(dying.key.clone());
    Some(burial)
}

/// The SDK says why a consumer gave a message up.
pub(crate) fn gave_up(fields: &Fields) -> Option<Burial> {
    let station = station_named(fields.text("station_name"))?;
    let partition = u32::try_from(fields.integer("partition")).unwrap_or_default();
    let seq = u64::try_from(fields.integer("seq")).ok()?;
    let group = fields.text("cg_name").to_lowercase().replace('#', ".");
    Some(stored(
        station,
        partition,
        seq,
        group,
        fields.text("error").into(),
    ))
}

fn stored(station: Name, partition: u32, seq: u64, group: String, reason: String) -> Burial {
    let dead = DeadLetter {
        kind: DeadLetterKind::Poison,
        station: station.external().into(),
        partition,
        seq,
        groups: vec![group],
        reason,
        producer: String::new(),
        letter: Letter::default(),
        updated: 0,
    };
    Burial::new(station, dead)
}

/// The SDK refused a message because of its schema.
pub(crate) fn unfit(fields: &Fields) -> Option<Burial> {
    let station = station_named(&fields.text("station_name").to_lowercase())?;
    let message = fields.object("message");
    let headers = message.object("headers");
    let producer = match fields.object("producer").text("name") {
        "" => PRODUCER_UNKNOWN.into(),
        name => String::from(name),
    };
    let one_line = |text: &str| text.replace(['\r', '\n'], " ");
    let headers = headers
        .texts()
        .map(|(key, value)| (one_line(key), one_line(value)));
    let dead = DeadLetter {
        kind: DeadLetterKind::Schema,
        station: station.external().into(),
        partition: u32::try_from(fields.integer("partition_number")).unwrap_or_default(),
        seq: 0,
        groups: Vec::new(),
        reason: fields.text("validation_error").into(),
        producer,
        letter: Letter {
            headers: headers.collect(),
            data: message.text("data").into(),
            sent: 0,
        },
        updated: 0,
    };
    Some(Burial::new(station, dead))
}

/// The broker refused a message because of its schema; `answer` is for whoever awaits its
/// acknowledgement.
pub(crate) fn misfit(misfit: Misfit<'_>, answer: Vec<u8>) -> Option<Burial> {
    let (station, partition) = station_of_stream(misfit.stream);
    let station = Name::new(Kind::Station, &station).ok()?;
    let headers = header_lines(misfit.headers);
    let named = headers.iter().find(|(key, _)| key == PRODUCED_BY);
    let producer = match (named, misfit.client) {
        (Some((_, name)), _) => name.clone(),
        (None, "") => PRODUCER_UNKNOWN.into(),
        (None, client) => client.into(),
    };
    let dead = DeadLetter {
        kind: DeadLetterKind::Schema,
        station: station.external().into(),
        partition,
        seq: 0,
        groups: Vec::new(),
        reason: misfit.reason.into(),
        producer,
        letter: Letter {
            headers,
            data: hex(misfit.payload),
            sent: 0,
        },
        updated: 0,
    };
    let mut burial = Burial::new(station, dead);
    burial.answer = answer;
    Some(burial)
}

/// A group has dealt with a dead letter that was sent to it again.
pub(crate) fn acked(fields: &Fields) -> Option<Change> {
    let id = u64::try_from(fields.integer("id")).ok()?;
    let group = fields.text("cg_name").to_lowercase();
    Some(Change::DeadLetterAcked(DeadLetterId(id), group))
}

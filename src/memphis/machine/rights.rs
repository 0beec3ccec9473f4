//! What users with permissions on stations may ask for. Creations judge for themselves, in Memphis' words; the
//! requests here are those that Memphis did not think of: whoever knows a station's name could end it.
//!
//! *Invariant:* who has not logged in as a user of Memphis is held to the permissions of NATS alone.

use alloc::format;
use alloc::string::String;

use super::Memphis;
use crate::book::Change;
use crate::dispatch::{
    Asked, CONSUMER_DESTRUCTIONS, NACKED_DLS, PM_ACKS, PRODUCER_DESTRUCTIONS, SCHEMA_ATTACHMENTS,
    SCHEMA_DETACHMENTS, SCHEMAVERSE_DLS, STATION_DESTRUCTIONS,
};
use crate::turns::Topic;
use crate::work::Work;

/// What a request takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Right {
    Read,
    Write,
}

fn right_of(subject: &str) -> Option<Right> {
    match subject {
        CONSUMER_DESTRUCTIONS | NACKED_DLS | PM_ACKS => Some(Right::Read),
        STATION_DESTRUCTIONS
        | PRODUCER_DESTRUCTIONS
        | SCHEMA_ATTACHMENTS
        | SCHEMA_DETACHMENTS
        | SCHEMAVERSE_DLS => Some(Right::Write),
        _ => None,
    }
}

impl Memphis {
    /// Returns why a user may not ask for something.
    pub(super) fn forbidden(
        &self,
        tenant: &str,
        user: &str,
        subject: &str,
        asked: &Asked,
    ) -> Option<String> {
        let right = right_of(subject)?;
        let rows = self.book.tenant(tenant)?;
        let permissions = &rows.users.get(user)?.permissions;
        let named = asked.topics.iter().find_map(|topic| match topic {
            Topic::Station(name) => Some(name.external()),
            Topic::Schema(_) => None,
        });
        // An ack names the letter, and that its station.
        let letter = || {
            let Work::Note(Some(Change::DeadLetterAcked(id, _))) = &asked.work else {
                return None;
            };
            let dead = rows.dead_letters.get(*id)?;
            Some(dead.station.as_str())
        };
        let station = named.or_else(letter)?;
        let is_allowed = match right {
            Right::Read => permissions.may_read(station),
            Right::Write => permissions.may_write(station),
        };
        let text = || format!("user {user} is not allowed to access station {station}");
        (!is_allowed).then(text)
    }
}

//! Sends dead letters to their groups again.
//!
//! *Invariant:* the rows stay until the groups acknowledge: who is not there misses nothing.

use alloc::format;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;

use protocol::id::AccountId;

use super::{Host, Memphis, Message};
use crate::book::{DeadLetter, DeadLetterId, DeadLetterKind};
use crate::dead::PRODUCER_DLS;
use crate::name::Name;

/// Why nothing was sent again.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ResendError {
    /// The station has no such dead letter.
    #[error("the station has no dead letter {0}")]
    Unknown(u64),
    /// The message was never stored, so that no group misses it.
    #[error("a message that broke its schema can not be sent again")]
    Schema(u64),
}

impl Memphis {
    /// Sends dead letters of a station to the groups that did not get along with them; all of the
    /// station's if `ids` is empty. Returns how many messages were sent.
    ///
    /// # Errors
    /// If one of `ids` cannot be sent again; then none is.
    pub fn resend(
        &self,
        account: AccountId,
        station: &Name,
        ids: &[DeadLetterId],
        host: &mut impl Host,
    ) -> Result<usize, ResendError> {
        let Some(tenant) = self.book.tenant(&host.account_name(account)) else {
            return Ok(0);
        };
        let letters = &tenant.dead_letters;
        let is_of_station = |dead: &DeadLetter| dead.station == station.external();
        let mut chosen: Vec<(DeadLetterId, &DeadLetter)> = Vec::new();
        for id in ids {
            match letters.get(*id) {
                Some(dead) if !is_of_station(dead) => return Err(ResendError::Unknown(id.0)),
                Some(dead) if dead.kind == DeadLetterKind::Schema => {
                    return Err(ResendError::Schema(id.0));
                }
                Some(dead) => chosen.push((*id, dead)),
                None => return Err(ResendError::Unknown(id.0)),
            }
        }
        if ids.is_empty() {
            let all = letters.iter().filter(|(_, dead)| is_of_station(dead));
            chosen.extend(all.filter(|(_, dead)| dead.kind == DeadLetterKind::Poison));
        }
        let mut sent = 0;
        for (id, dead) in chosen {
            for group in &dead.groups {
                send(account, station, (id, dead), group, host);
                sent += 1;
            }
        }
        Ok(sent)
    }
}

fn send(
    account: AccountId,
    station: &Name,
    (id, dead): (DeadLetterId, &DeadLetter),
    group: &str,
    host: &mut impl Host,
) {
    let id: String = id.0.to_string();
    let headers = dead.letter.header_block(&[
        ("$memphis_pm_id", &id),
        ("$memphis_pm_cg_name", group),
        ("$memphis_producedBy", PRODUCER_DLS),
    ]);
    let body = dead.letter.body();
    let (station, durable) = (station.internal(), group.replace('.', "#"));
    // The second one is where SDKs before 1.0 listen.
    for separator in ['.', '_'] {
        let subject = format!("$memphis_dls_{station}{separator}{durable}");
        let msg = Message {
            subject: subject.as_bytes(),
            headers: &headers,
            payload: &body,
        };
        host.publish(account, msg);
    }
}

//! Sends dead letters to their groups again.
//!
//! *Invariant:* what is to be sent again is in the log until it was: it waits for a member to listen, and
//! a crash at worst sends it twice. A row stays until its groups acknowledge, or until their consumers
//! have the message back.

use alloc::collections::BTreeSet;
use alloc::format;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;
use core::time::Duration;

use protocol::id::AccountId;
use protocol::time::Instant;

use super::{Host, Memphis, Message, record};
use crate::book::{Book, Change, DeadLetter, DeadLetterId, DeadLetterKind, Tenant};
use crate::dead::PRODUCER_DLS;
use crate::name::{Kind, Name, station_of_stream};

/// How often members are looked for.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// Most letters that are sent in one turn.
const SENT_PER_TURN: usize = 1000;

/// Why nothing is sent again.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ResendError {
    /// The station has no such dead letter.
    #[error("the station has no dead letter {0}")]
    Unknown(u64),
    /// The message was never stored, so that no group misses it.
    #[error("a message that broke its schema can not be sent again")]
    Schema(u64),
    /// The message is not dead for this group.
    #[error("the message is not dead for the group {0}")]
    Group(String),
}

/// What was sent and is not noted in the log yet: account, letter, group.
pub(super) type Underway = BTreeSet<(String, DeadLetterId, String)>;

/// Returns the letters of a station that `ids` name; all that can be sent again if there are none.
///
/// # Errors
/// If one of them cannot be sent again.
pub(super) fn chosen(
    book: &Book,
    account: &str,
    station: &str,
    ids: &[DeadLetterId],
) -> Result<Vec<DeadLetterId>, ResendError> {
    let Some(tenant) = book.tenant(account) else {
        return match ids.first() {
            Some(id) => Err(ResendError::Unknown(id.0)),
            None => Ok(Vec::new()),
        };
    };
    let letters = &tenant.dead_letters;
    if ids.is_empty() {
        let letters = letters.of_station(station);
        let poison = letters.filter(|(_, dead)| dead.kind == DeadLetterKind::Poison);
        return Ok(poison.map(|(id, _)| id).collect());
    }
    for id in ids {
        match letters.get(*id).filter(|dead| dead.station == station) {
            Some(dead) if dead.kind == DeadLetterKind::Schema => {
                return Err(ResendError::Schema(id.0));
            }
            Some(_) => {}
            None => return Err(ResendError::Unknown(id.0)),
        }
    }
    Ok(ids.to_vec())
}

impl Memphis {
    /// Sees to it that dead letters of a station are sent again to `group`, or else to all groups that
    /// did not get along with them; all of the station's if `ids` is empty.
    ///
    /// # Errors
    /// If one of `ids` cannot be sent again; then none is.
    pub fn resend(
        &mut self,
        account: AccountId,
        station: &Name,
        ids: &[DeadLetterId],
        group: Option<&str>,
        host: &mut impl Host,
    ) -> Result<(), ResendError> {
        let tenant = host.account_name(account);
        let chosen = chosen(&self.book, &tenant, station.external(), ids)?;
        if let (Some(group), false) = (group, ids.is_empty()) {
            let letters = self.book.tenant(&tenant).map(|rows| &rows.dead_letters);
            let is_of = |id: &DeadLetterId| {
                let dead = letters.and_then(|letters| letters.get(*id));
                dead.is_some_and(|dead| dead.groups.iter().any(|of| of == group))
            };
            if !chosen.iter().all(is_of) {
                return Err(ResendError::Group(group.into()));
            }
        }
        if !chosen.is_empty() {
            record(
                tenant,
                Change::Resend(chosen, group.map(String::from)),
                host,
            );
        }
        Ok(())
    }

    /// Sends what is to be sent again to whoever is there.
    pub(super) fn send_wanted(&mut self, host: &mut impl Host) {
        let mut sent: Vec<(String, Change)> = Vec::new();
        let mut is_left = false;
        for (name, tenant) in self.book.tenants() {
            let Some(account) = host.account_named(name) else {
                continue;
            };
            for (id, group) in tenant.dead_letters.wanted() {
                let key = (String::from(name), id, String::from(group));
                if self.underway.contains(&key) {
                    continue;
                }
                is_left = true;
                if sent.len() >= SENT_PER_TURN {
                    break;
                }
                let Some(dead) = tenant.dead_letters.get(id) else {
                    continue;
                };
                let letter = Letter {
                    account,
                    tenant,
                    id,
                    dead,
                    group,
                };
                let Some(is_back) = letter.send(host) else {
                    continue;
                };
                self.underway.insert(key);
                let group = group.into();
                sent.push((name.into(), Change::Resent { id, group, is_back }));
            }
        }
        for (account, change) in sent {
            record(account, change, host);
        }
        self.next_resend = if is_left {
            host.now().mono + LOOK_AGAIN
        } else {
            Instant::NEVER
        };
    }
}

/// A dead letter on its way to one of its groups.
struct Letter<'a> {
    account: AccountId,
    tenant: &'a Tenant,
    id: DeadLetterId,
    dead: &'a DeadLetter,
    group: &'a str,
}

impl Letter<'_> {
    /// Sends it to a member of the group that listens, or else gives it back to the group's consumer.
    /// Says which; nothing if neither can be done now.
    fn send(&self, host: &mut impl Host) -> Option<bool> {
        let station = Name::new(Kind::Station, &self.dead.station).ok()?;
        let (internal, durable) = (station.internal(), self.group.replace('.', "#"));
        // The second one is where SDKs before 1.0 listen.
        let subjects = ['.', '_'].map(|sign| format!("$memphis_dls_{internal}{sign}{durable}"));
        if subjects
            .iter()
            .any(|subject| host.has_interest(self.account, subject))
        {
            self.publish(&subjects, host);
            return Some(false);
        }
        let row = self.tenant.stations.get(&self.dead.station);
        let is_group = row.is_some_and(|row| row.groups.contains_key(self.group));
        let consumer = if is_group { &durable } else { self.group };
        let mut stream = None;
        host.streams(self.account, &mut |name| {
            let (station, partition) = station_of_stream(name);
            if station == self.dead.station && partition == self.dead.partition {
                stream = Some(String::from(name));
            }
        });
        let is_back = host.revive(self.account, &stream?, consumer, self.dead.seq);
        is_back.then_some(true)
    }

    fn publish(&self, subjects: &[String], host: &mut impl Host) {
        let id: String = self.id.0.to_string();
        let headers = self.dead.letter.header_block(&[
            ("$memphis_pm_id", &id),
            ("$memphis_pm_cg_name", self.group),
            ("$memphis_producedBy", PRODUCER_DLS),
        ]);
        let body = self.dead.letter.body();
        for subject in subjects {
            let msg = Message {
                subject: subject.as_bytes(),
                headers: &headers,
                payload: &body,
            };
            host.publish(self.account, msg);
        }
    }
}

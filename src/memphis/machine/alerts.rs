//! What is told outside: dead letters, messages that break a schema, clients that are gone.
//!
//! *Invariant:* alerts are kept in memory until the next beat and told once or not at all; how many an account
//! has told between two beats is bounded, the rest is counted.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;

use protocol::id::AccountId;

use super::{Host, Memphis, Request};
use crate::book::{AUTH_TOKEN, Alert, CHANNEL_ID, DeadLetter, DeadLetterKind, SLACK, Tenant};
use crate::clients::connection_id;
use crate::dead::PRODUCER_UNKNOWN;
use crate::dispatch::NOTIFICATIONS;
use crate::request::Fields;

/// Most alerts of an account between two beats.
const ALERTS_MAX: usize = 10;
/// How much is told of a message, in characters.
const EXCERPT_MAX: usize = 500;

/// What the outside is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// Who lets it be told.
    pub token: String,
    /// Where it is told.
    pub channel: String,
    /// What is told.
    pub text: String,
}

/// The alerts of an account that wait for the beat.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    texts: Vec<(Alert, String)>,
    /// Connections that were lost.
    gone: Vec<String>,
    surplus: usize,
}

impl Memphis {
    /// Says whether somebody wants to be told.
    fn wants(&self, tenant: &str, alert: Alert) -> bool {
        wants(self.book.tenant(tenant), alert)
    }

    fn alert(&mut self, account: AccountId, alert: Alert, text: String) {
        let waiting = self.alerts.entry(account).or_default();
        if waiting.texts.len() < ALERTS_MAX {
            waiting.texts.push((alert, text));
        } else {
            waiting.surplus += 1;
        }
    }

    /// Handles what an SDK wants to be told; false if it is nothing of that kind.
    pub(super) fn notified(
        &mut self,
        account: AccountId,
        request: &Request<'_>,
        host: &impl Host,
    ) -> bool {
        if request.subject != NOTIFICATIONS.as_bytes() {
            return false;
        }
        let tenant = host.account_name(account);
        if let Ok(said) = Fields::parse(request.body)
            && said.text("type") == Alert::Schema.as_str()
            && self.wants(&tenant, Alert::Schema)
        {
            let (title, what) = (excerpt(said.text("title")), excerpt(said.text("msg")));
            let code = excerpt(said.text("code"));
            self.alert(account, Alert::Schema, format!("{title}\n{what}\n{code}"));
        }
        true
    }

    /// The broker has refused a message because of its schema.
    pub(super) fn alert_misfit(
        &mut self,
        account: AccountId,
        (station, client): (&str, &str),
        (reason, payload): (&str, &[u8]),
        host: &impl Host,
    ) {
        if self.wants(&host.account_name(account), Alert::Schema) {
            let client = if client.is_empty() {
                PRODUCER_UNKNOWN
            } else {
                client
            };
            let (reason, code) = (excerpt(reason), excerpt(&String::from_utf8_lossy(payload)));
            let text = format!(
                "Schema validation has failed\nStation: {station}\nProducer: {client}\nError: {reason}\n{code}"
            );
            self.alert(account, Alert::Schema, text);
        }
    }

    /// A message is a dead letter now.
    pub(super) fn alert_death(&mut self, tenant: &str, dead: &DeadLetter, host: &impl Host) {
        if dead.kind == DeadLetterKind::Poison
            && self.wants(tenant, Alert::Poison)
            && let Some(account) = host.account_named(tenant)
        {
            let DeadLetter {
                station,
                partition,
                seq,
                groups,
                ..
            } = dead;
            let groups = groups.join(", ");
            let text = format!(
                "Poison message\nStation: {station}\nPartition: {partition}\nMessage: {seq}\nConsumer group: {groups}"
            );
            self.alert(account, Alert::Poison, text);
        }
    }

    /// A connection is gone; whether it stays away shows at the beat.
    pub(super) fn alert_gone(&mut self, account: AccountId, name: &str) {
        if let Some(id) = connection_id(name) {
            let gone = &mut self.alerts.entry(account).or_default().gone;
            if gone.len() < ALERTS_MAX {
                gone.push(id.into());
            }
        }
    }

    /// Tells what has come together since the last beat.
    pub(super) fn tell_alerts(&mut self, host: &mut impl Host) {
        let alerts: BTreeMap<AccountId, Waiting> = core::mem::take(&mut self.alerts);
        for (account, mut waiting) in alerts {
            let tenant = host.account_name(account);
            let rows = self.book.tenant(&tenant);
            let Some(slack) = rows.and_then(|rows| rows.integrations.get(SLACK)) else {
                continue;
            };
            for id in core::mem::take(&mut waiting.gone) {
                let is_back = self.clients.is_active(account, &id);
                let lost = rows.map(|rows| lost(rows, &id)).unwrap_or_default();
                if slack.wants(Alert::Disconnection) && !is_back && !lost.is_empty() {
                    let text = format!("Disconnection event\n{}", lost.join("\n"));
                    waiting.texts.push((Alert::Disconnection, text));
                }
            }
            waiting.texts.retain(|(alert, _)| slack.wants(*alert));
            if waiting.surplus > 0 {
                let text = format!("{} more events are not shown", waiting.surplus);
                waiting.texts.push((Alert::Poison, text));
            }
            let notices = waiting.texts.into_iter().map(|(_, text)| Notice {
                token: slack.key(AUTH_TOKEN).into(),
                channel: slack.key(CHANNEL_ID).into(),
                text,
            });
            let notices: Vec<Notice> = notices.collect();
            if !notices.is_empty() {
                host.notify(notices);
            }
        }
    }
}

/// Says whether somebody wants to be told of something in an account.
pub(crate) fn wants(rows: Option<&Tenant>, alert: Alert) -> bool {
    let slack = rows.and_then(|rows| rows.integrations.get(SLACK));
    slack.is_some_and(|slack| slack.wants(alert))
}

/// Names the producers and consumers of a connection.
fn lost(rows: &Tenant, connection: &str) -> Vec<String> {
    let mut lost = Vec::new();
    for (station, row) in &rows.stations {
        let mut add = |kind: &str, name: &str| {
            if lost.len() < ALERTS_MAX {
                lost.push(format!(
                    "{kind} {name} of station {station} is disconnected"
                ));
            }
        };
        let producers = row.producers.iter();
        for producer in producers.filter(|p| p.client.connection == connection) {
            add("Producer", producer.name.external());
        }
        let members = row.groups.values().flat_map(|group| &group.members);
        for consumer in members.filter(|c| c.client.connection == connection) {
            add("Consumer", consumer.name.external());
        }
    }
    lost
}

fn excerpt(text: &str) -> String {
    match text.char_indices().nth(EXCERPT_MAX) {
        Some((end, _)) => format!("{}...", text.get(..end).unwrap_or_default()),
        None => text.to_string(),
    }
}

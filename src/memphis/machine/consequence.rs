//! What applying an entry leads to, beside what the task behind it does.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;

use protocol::id::AccountId;

use super::aliases::Alias;
use super::{Host, Memphis, Reply, Task, alerts};
use crate::book::{Alert, Change, DeadLetter, DeadLetterId, Dying, DyingKey, Entry, PeopleChange};
use crate::dead;
use crate::name::station_of_stream;
use crate::reply::{self, CLIENTS_UPDATES};
use crate::turns::Topic;
use crate::work::Work;

/// What an entry leads to.
pub(super) struct Consequence {
    account: String,
    /// Whether stations may follow another schema, or none, from here on.
    pub(super) concerns_schemas: bool,
    then: Then,
}

enum Then {
    Nothing,
    Alias(String, Alias),
    Bury(DyingKey),
    Resend,
    User(String),
    Resent(DeadLetterId, String),
    Dead(Box<DeadLetter>),
    Integration,
}

impl Consequence {
    pub(super) fn of(entry: &Entry) -> Self {
        let (concerns_schemas, then) = match &entry.change {
            Change::StationMade(name) => (true, Then::Alias(name.clone(), Alias::Begins)),
            Change::StationAdopted(station) => {
                let name = station.name.external().into();
                (true, Then::Alias(name, Alias::Begins))
            }
            Change::StationGoing(name) => (false, Then::Alias(name.clone(), Alias::Ends)),
            Change::StationGone(name) => (true, Then::Alias(name.clone(), Alias::Ends)),
            Change::StationMaking(_)
            | Change::Attached { .. }
            | Change::Detached(_)
            | Change::SchemaGone(_) => (true, Then::Nothing),
            Change::People(PeopleChange::User(name, _) | PeopleChange::UserGone(name)) => {
                (false, Then::User(name.clone()))
            }
            Change::Dying(dying) => (false, Then::Bury(dying.key.clone())),
            Change::Resend(..) => (false, Then::Resend),
            Change::Resent { id, group, .. } => (false, Then::Resent(*id, group.clone())),
            Change::DeadLetter(dead) | Change::Buried(_, Some(dead)) => {
                (false, Then::Dead(Box::new(dead.clone())))
            }
            Change::Integration(..) => (false, Then::Integration),
            Change::Producer(..)
            | Change::ProducerGone { .. }
            | Change::GroupMaking(..)
            | Change::Consumer(..)
            | Change::ConsumerGone { .. }
            | Change::GroupGone(..)
            | Change::SchemaVersion { .. }
            | Change::SchemaActivated(..)
            | Change::Buried(_, None)
            | Change::DeadLetterAcked(..)
            | Change::DeadLettersDropped(_)
            | Change::DeadLettersExpired(_)
            | Change::DeadLettersKept(..)
            | Change::DlsStation(..)
            | Change::People(_)
            | Change::Forgotten(_) => (false, Then::Nothing),
        };
        Self {
            account: entry.account.clone(),
            concerns_schemas,
            then,
        }
    }
}

impl Memphis {
    /// Does what an entry has led to.
    pub(super) fn follow(&mut self, consequence: Consequence, host: &mut impl Host) {
        let name = consequence.account;
        match consequence.then {
            Then::Nothing => {}
            Then::Alias(station, alias) => {
                if let Some(account) = host.account_named(&name) {
                    Self::bind_alias(account, &station, alias, host);
                }
            }
            Then::Bury(key) => {
                let dying = self
                    .book
                    .tenant(&name)
                    .and_then(|rows| rows.dying.get(&key));
                if let (Some(account), Some(dying)) = (host.account_named(&name), dying.cloned()) {
                    self.bury(account, &name, &dying, host);
                }
            }
            Then::User(user) => {
                if let Some(account) = host.account_named(&name) {
                    let row = self
                        .book
                        .tenant(&name)
                        .and_then(|rows| rows.users.get(&user));
                    host.user_changed(account, &user, row);
                }
            }
            Then::Dead(dead) => self.alert_death(&name, &dead, host),
            Then::Integration => {
                if let Some(account) = host.account_named(&name) {
                    let is_wanted = alerts::wants(self.book.tenant(&name), Alert::Schema);
                    let push = reply::notification_push(is_wanted);
                    super::answer(account, CLIENTS_UPDATES.as_bytes(), &push, host);
                }
            }
            Then::Resend => self.send_wanted(host),
            Then::Resent(id, group) => {
                self.underway.remove(&(name, id, group));
            }
        }
    }

    /// Makes a dead letter of a message that died.
    pub(super) fn bury(
        &mut self,
        account: AccountId,
        tenant: &str,
        dying: &Dying,
        host: &mut impl Host,
    ) {
        let (station, _) = station_of_stream(&dying.key.stream);
        let row = self.book.station(tenant, &station);
        let Some(burial) = dead::dying(dying, row) else {
            return;
        };
        let topics = Vec::from([Topic::Station(burial.station().clone())]);
        let task = Task {
            account,
            reply: Reply::Subject(Vec::new()),
            work: Work::Burial(burial),
        };
        self.start(task, topics, host);
    }
}

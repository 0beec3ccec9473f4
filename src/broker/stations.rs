//! The Memphis layer in the shard: mail to it, and the world that it sees.
//!
//! *Invariant:* the layer runs between other machines' turns only: what is meant for it waits as mail
//! until the end of the batch.

mod facts;
mod fence;
mod guarded;
mod host;
mod publishers;

use alloc::boxed::Box;
use alloc::collections::{BTreeSet, VecDeque};
use alloc::rc::Rc;
use alloc::string::String;
use core::time::Duration;

use config::Options;
use memphis::guard::SchemaLibrary;
use memphis::machine::{Asker, Memphis, Options as MemphisOptions, Request, SUBJECTS, TaskId};
use protocol::id::AccountId;
use protocol::message::Message;
use protocol::time::Instant;

use crate::auth::Auth;
use crate::conn::Conn;
use crate::effects::ManageCall;
use crate::router::{Router, Target};

pub(crate) use fence::Fence;
pub(crate) use guarded::Guarded;
pub(crate) use host::Host;
pub(crate) use publishers::Publishers;

/// What the reply subjects of the layer's own requests start with. Clients cannot send a subject with
/// a space.
pub(crate) const ANSWERS: u8 = b' ';
const SECONDS_PER_HOUR: u64 = 3600;

/// Whether a client is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Presence {
    Here,
    Gone,
}

/// The layer, and whom it can ask about. It is always there, so that its rows outlive a start without
/// Memphis; but only where Memphis is configured it is asked for anything.
#[derive(Debug)]
pub(crate) struct Stations {
    pub(crate) machine: Memphis,
    pub(crate) users: BTreeSet<(AccountId, String)>,
    pub(crate) is_on: bool,
    pub(crate) guarded: Guarded,
    pub(crate) publishers: Publishers,
    /// Where events are told.
    pub(crate) slack_url: String,
}

/// What waits for the layer. It is a copy, since it outlives the turn that made it; how much there is
/// is bounded by what clients and JetStream send in one batch.
#[derive(Debug, Default)]
pub(crate) struct Mail {
    letters: VecDeque<Letter>,
}

#[derive(Debug)]
pub(crate) enum Letter {
    /// Somebody asks for something.
    Request(Box<Asked>),
    /// The answer to what the layer asked.
    Answer(TaskId, Box<[u8]>),
    /// The driver calls the management interface.
    Manage(Box<ManageCall>),
    /// A message breaks the schema of the stream that it was for.
    Misfit(Box<Misfit>),
}

/// A message to the layer.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) account: AccountId,
    subject: Box<[u8]>,
    reply: Box<[u8]>,
    headers: Box<[u8]>,
    body: Box<[u8]>,
    /// The user that sent it and its library's language; empty for JetStream.
    user: String,
    lang: String,
}

impl Asked {
    pub(crate) fn request(&self) -> Request<'_> {
        Request {
            subject: &self.subject,
            reply: &self.reply,
            headers: &self.headers,
            body: &self.body,
            asker: Asker {
                user: &self.user,
                lang: &self.lang,
            },
        }
    }
}

/// A message that breaks a schema, and why.
#[derive(Debug)]
pub(crate) struct Misfit {
    pub(crate) account: AccountId,
    pub(crate) stream: String,
    pub(crate) reply: Box<[u8]>,
    pub(crate) headers: Box<[u8]>,
    pub(crate) payload: Box<[u8]>,
    pub(crate) client: String,
    pub(crate) reason: String,
}

impl Mail {
    pub(crate) fn is_empty(&self) -> bool {
        self.letters.is_empty()
    }

    /// Keeps a message for the layer; `from` is the client that sent it.
    pub(crate) fn request(&mut self, account: AccountId, msg: &Message<'_>, from: Option<&Conn>) {
        let user = from.and_then(|conn| conn.user.as_ref());
        self.letters.push_back(Letter::Request(Box::new(Asked {
            account,
            subject: Box::from(msg.subject),
            reply: Box::from(msg.reply),
            headers: Box::from(msg.headers),
            body: Box::from(msg.payload),
            user: user.map_or_else(String::new, |user| user.name.clone()),
            lang: from.map_or_else(String::new, |conn| conn.wishes.lang.clone()),
        })));
    }

    pub(crate) fn manage(&mut self, call: Box<ManageCall>) {
        self.letters.push_back(Letter::Manage(call));
    }

    pub(crate) fn misfit(&mut self, misfit: Misfit) {
        self.letters.push_back(Letter::Misfit(Box::new(misfit)));
    }

    /// Takes the answer to the layer's own request, whose reply subject names the task.
    pub(crate) fn answer(&mut self, to: &[u8], body: &[u8]) {
        let task = to.strip_prefix(&[ANSWERS]);
        let task = task.and_then(|task| core::str::from_utf8(task).ok()?.parse().ok());
        if let Some(task) = task {
            let letter = Letter::Answer(TaskId(task), Box::from(body));
            self.letters.push_back(letter);
        }
    }

    pub(crate) fn take(&mut self) -> Option<Letter> {
        self.letters.pop_front()
    }
}

impl Stations {
    /// Returns the layer; where Memphis is configured, its subjects are bound in each tenant's account.
    pub(crate) fn new(
        options: &Options,
        schemas: Rc<dyn SchemaLibrary>,
        auth: &Auth,
        router: &mut Router,
    ) -> Self {
        let config = options.memphis.clone().unwrap_or_default();
        let users = auth.memphis_users();
        let users: BTreeSet<(AccountId, String)> = users
            .map(|(account, user)| (account, user.into()))
            .collect();
        let accounts: BTreeSet<AccountId> = users.iter().map(|(account, _)| *account).collect();
        for account in accounts {
            router.tenants.insert(account);
            for subject in SUBJECTS {
                if let Some(account) = router.accounts.get_mut(account) {
                    let bound = account
                        .subs
                        .insert(subject.as_bytes(), None, Target::Memphis);
                    debug_assert!(bound.is_ok(), "the subjects are constants");
                }
            }
        }
        let hours =
            |hours: u32| Duration::from_secs(u64::from(hours).saturating_mul(SECONDS_PER_HOUR));
        Self {
            machine: Memphis::new(
                MemphisOptions {
                    first: router.accounts.global,
                    dead_letters_kept: hours(config.dls_retention_hours),
                    clients_kept: hours(config.gc_producer_consumer_retention_hours),
                    tiering: Duration::from_secs(u64::from(
                        config.tiered_storage_upload_interval_seconds,
                    )),
                },
                schemas,
            ),
            users,
            is_on: options.memphis.is_some(),
            guarded: Guarded::default(),
            publishers: Publishers::default(),
            slack_url: config.slack_url,
        }
    }

    /// Returns when the layer wants to be woken.
    pub(crate) fn poll_timeout(&self) -> Instant {
        if self.is_on {
            self.machine.poll_timeout()
        } else {
            Instant::NEVER
        }
    }
}

//! Answers the requests on `$memphis_*`. Each is a short task of JetStream requests and log entries.
//!
//! *Invariant:* an SDK is answered only after what it asked for is in the log. Requests that concern
//! the same station run one after the other. After a crash, [`Memphis::recovered`] takes up what was
//! begun, so that a station or group is whole or absent.

pub(crate) mod alerts;
mod aliases;
mod consequence;
mod guards;
mod host;
mod logging;
mod managing;
mod pulse;
mod resend;
mod rights;
mod sweep;
mod tiering;

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::rc::Rc;
use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

use protocol::id::{AccountId, LogPos};
use protocol::time::Instant;

use crate::book::{Book, Change, Entry, EntryError};
use crate::clients::Clients;
use crate::dispatch;
use crate::guard::SchemaLibrary;
use crate::logs::Logs;
use crate::manage::{CallId, View};
use crate::turns::{Topic, Turns};
use crate::work::{Cx, Event, Step, Work};
use alerts::Waiting;
use consequence::Consequence;
use guards::Guards;
use pulse::Pulse;
use resend::Underway;
use tiering::Tiering;

pub use crate::dispatch::SUBJECTS;
pub use alerts::Notice;
pub use guards::{Guard, Misfit, SCHEMA_ERR_CODE};
pub use host::{Asker, Host, Message, Request, TaskId};
pub(crate) use pulse::BROKER;
pub use resend::ResendError;
pub use tiering::{Bucket, Parked, ParkingFacts, Upload, UploadId};

/// Who the web interface connects as, to watch pages.
pub const WEB_USER: &str = "$memphis_user";
/// Who Memphis' REST gateway logs in as.
const USER_GATEWAY: &str = "$$memphis";

/// Most requests under way at once; more are refused.
pub const TASKS_MAX: usize = 10_000;

/// What the configuration says.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// The first tenant, whose root runs the server.
    pub first: AccountId,
    /// How long dead letters are kept.
    pub dead_letters_kept: Duration,
    /// After how long producers and consumers are forgotten whose connection does not come back.
    pub clients_kept: Duration,
    /// How often what has left stations is copied to an object store.
    pub tiering: Duration,
}

/// The machine.
#[derive(Debug)]
pub struct Memphis {
    options: Options,
    book: Book,
    clients: Clients,
    guards: Guards,
    tasks: BTreeMap<TaskId, Task>,
    turns: Turns,
    /// Who waits for which entry.
    recording: BTreeMap<LogPos, TaskId>,
    last_task: u64,
    next_sweep: Instant,
    next_resend: Instant,
    underway: Underway,
    pulse: Pulse,
    tiering: Tiering,
    alerts: BTreeMap<AccountId, Waiting>,
    logs: Logs,
    /// Set once recovery is over: until then entries are applied and nothing is begun.
    is_live: bool,
    /// Set when the log takes no more entries: why.
    poisoned: Option<String>,
}

#[derive(Debug)]
struct Task {
    account: AccountId,
    reply: Reply,
    work: Work,
}

/// Where an answer goes.
#[derive(Debug)]
enum Reply {
    /// To a subject, as the SDKs' protocol has it; empty for nowhere.
    Subject(Vec<u8>),
    /// To whoever called the management interface, who sees `View`.
    Managed(To, View),
}

/// Who called the management interface.
#[derive(Clone, Debug)]
enum To {
    /// A client, which listens on a subject.
    Subject(Vec<u8>),
    /// The driver.
    Driver(CallId),
}

impl Memphis {
    /// Returns a machine that knows nothing yet: it is told by [`Memphis::restore`] and
    /// [`Memphis::apply`], and works after [`Memphis::recovered`].
    #[must_use]
    pub fn new(options: Options, library: Rc<dyn SchemaLibrary>) -> Self {
        Self {
            options,
            book: Book::default(),
            clients: Clients::default(),
            guards: Guards::new(library),
            tasks: BTreeMap::new(),
            turns: Turns::default(),
            recording: BTreeMap::new(),
            last_task: 0,
            next_sweep: Instant::NEVER,
            next_resend: Instant::NEVER,
            underway: Underway::new(),
            pulse: Pulse::default(),
            tiering: Tiering::new(options.tiering),
            alerts: BTreeMap::new(),
            logs: Logs::default(),
            is_live: false,
            poisoned: None,
        }
    }

    /// Returns what is known beyond the streams.
    #[must_use]
    pub fn book(&self) -> &Book {
        &self.book
    }

    /// Returns which SDK connections are there.
    #[must_use]
    pub fn clients(&self) -> &Clients {
        &self.clients
    }

    /// Returns all rows as bytes for a checkpoint.
    #[must_use]
    pub fn snapshot(&self) -> Vec<u8> {
        // Writing into memory does not fail, and every map has texts or numbers as keys.
        serde_json::to_vec(&self.book).expect("rows are representable in JSON")
    }

    /// Takes all rows from a checkpoint.
    ///
    /// # Errors
    /// If the bytes are no rows.
    pub fn restore(&mut self, snapshot: &[u8]) -> Result<(), EntryError> {
        self.book = serde_json::from_slice(snapshot).map_err(|_| EntryError::Damaged)?;
        self.guards.book_changed(&self.book);
        Ok(())
    }

    /// Handles a message on one of [`SUBJECTS`], or on one that was asked for by [`Host::bind`].
    pub fn request(&mut self, account: AccountId, request: &Request<'_>, host: &mut impl Host) {
        if self.pass_on(account, request, host)
            || self.manage_by_message(account, request, host)
            || self.watch(account, request, host)
            || self.told(account, request, host)
            || self.notified(account, request, host)
        {
            return;
        }
        let Ok(subject) = core::str::from_utf8(request.subject) else {
            return;
        };
        let (reply, body) = (request.reply, request.body);
        let mut user = "";
        let asked = if let Some(text) = &self.poisoned {
            Err(dispatch::refusal(subject, text))
        } else if self.tasks.len() < TASKS_MAX {
            let asker = self.known(account, request.asker, host);
            user = asker.user;
            dispatch::read(subject, body, asker)
        } else {
            let text = "the broker is busy, try again later";
            Err(dispatch::refusal(subject, text))
        };
        match asked {
            Ok(Some(asked)) => {
                let tenant = host.account_name(account);
                if let Some(text) = self.forbidden(&tenant, user, subject, &asked) {
                    let refusal = dispatch::refusal(subject, &text);
                    return answer(account, reply, &refusal, host);
                }
                let reply = reply.to_vec();
                let task = Task {
                    account,
                    reply: Reply::Subject(reply),
                    work: asked.work,
                };
                self.start(task, asked.topics, host);
            }
            Ok(None) => {}
            Err(text) => answer(account, reply, &text, host),
        }
    }

    /// Takes the user off an asker whom Memphis does not know, as it does not users of NATS; its own
    /// gateway acts for others.
    fn known<'a>(&self, account: AccountId, asker: Asker<'a>, host: &impl Host) -> Asker<'a> {
        let rows = self.book.tenant(&host.account_name(account));
        let is_known = host.has_user(account, asker.user)
            || rows.is_some_and(|rows| rows.users.contains_key(asker.user));
        let user = if is_known && asker.user != USER_GATEWAY {
            asker.user
        } else {
            ""
        };
        Asker { user, ..asker }
    }

    /// Handles the answer to a request made through [`Host::request`].
    pub fn answered(&mut self, task: TaskId, answer: &[u8], host: &mut impl Host) {
        self.run(task, &Event::Answer(answer), host);
    }

    /// Applies a committed entry, in log order; the same in life and at recovery.
    ///
    /// # Errors
    /// If the entry cannot be read; then nothing changes.
    pub fn apply(
        &mut self,
        pos: LogPos,
        entry: &[u8],
        host: &mut impl Host,
    ) -> Result<(), EntryError> {
        let entry = Entry::decode(entry)?;
        let consequence = Consequence::of(&entry);
        self.book.apply(entry);
        if consequence.concerns_schemas {
            self.guards.book_changed(&self.book);
        }
        if self.is_live {
            self.follow(consequence, host);
        }
        if let Some(task) = self.recording.remove(&pos) {
            self.run(task, &Event::Recorded, host);
        }
        Ok(())
    }

    /// The log takes no more entries: whoever waits is told, and whoever asks later.
    pub fn poison(&mut self, reason: &str, host: &mut impl Host) {
        let text = format!("the broker can not store anything: {reason}");
        for task in core::mem::take(&mut self.tasks).into_values() {
            let refusal = task.work.refusal(&text);
            self.answer(task.account, &task.reply, &refusal, host);
        }
        self.turns = Turns::default();
        self.recording.clear();
        self.poisoned = Some(text);
    }

    /// A client has logged in on the Memphis listener, under the name that it gave itself.
    pub fn connected(&mut self, account: AccountId, name: &str) {
        self.clients.connected(account, name);
    }

    /// A client that had logged in is gone.
    pub fn disconnected(&mut self, account: AccountId, name: &str) {
        self.clients.disconnected(account, name);
        self.alert_gone(account, name);
    }

    /// Queues a task behind those that concern the same.
    fn start(&mut self, task: Task, topics: Vec<Topic>, host: &mut impl Host) {
        self.last_task += 1;
        let id = TaskId(self.last_task);
        let account = task.account;
        self.tasks.insert(id, task);
        if self.turns.enter(id, account, topics) {
            self.run(id, &Event::Begin, host);
        }
    }

    /// Runs a task until it waits or ends, and then those that waited for its end.
    fn run(&mut self, id: TaskId, event: &Event<'_>, host: &mut impl Host) {
        let mut ready = self.step(id, event, host);
        while let Some(id) = ready.pop() {
            ready.extend(self.step(id, &Event::Begin, host));
        }
    }

    /// Returns what work on an account can look at and reach.
    fn cx<'a, H: Host>(
        &'a self,
        account: AccountId,
        tenant: &'a str,
        host: &'a mut H,
    ) -> Cx<'a, H> {
        Cx {
            account,
            tenant,
            book: &self.book,
            clients: &self.clients,
            library: self.guards.library(),
            throughput: self.pulse.throughput(account),
            log: self.logs.of(account),
            host,
        }
    }

    /// Runs one task until it waits or ends; returns the tasks whose turn has come.
    fn step(&mut self, id: TaskId, event: &Event<'_>, host: &mut impl Host) -> Vec<TaskId> {
        let Some(mut task) = self.tasks.remove(&id) else {
            return Vec::new();
        };
        let account = task.account;
        let tenant = host.account_name(account);
        let mut event = event;
        loop {
            match task.work.on(event, &mut self.cx(account, &tenant, host)) {
                Step::Become(work) => {
                    task.work = *work;
                    event = &Event::Begin;
                }
                Step::Ask {
                    subject,
                    headers,
                    body,
                } => {
                    self.tasks.insert(id, task);
                    let msg = Message {
                        subject: subject.as_bytes(),
                        headers: &headers,
                        payload: &body,
                    };
                    host.request(account, id, msg);
                    return Vec::new();
                }
                Step::Record(change) => {
                    self.tasks.insert(id, task);
                    let pos = record(tenant, change, host);
                    self.recording.insert(pos, id);
                    return Vec::new();
                }
                Step::Answer(payload) => {
                    self.answer(account, &task.reply, &payload, host);
                    return self.turns.leave(id);
                }
            }
        }
    }
}

/// Puts a change into the log.
fn record(account: String, change: Change, host: &mut impl Host) -> LogPos {
    let entry = Entry {
        account,
        time: host.now().wall.0,
        change,
    };
    host.record(&entry.encode())
}

fn answer(account: AccountId, to: &[u8], payload: &[u8], host: &mut impl Host) {
    if !to.is_empty() {
        let msg = Message {
            subject: to,
            headers: b"",
            payload,
        };
        host.publish(account, msg);
    }
}

#[cfg(test)]
mod tests;

//! Sessions: who has logged in, each with connections of its own to the broker.
//!
//! *Invariant:* a session ends with its time, with its connections, or with the server; its number
//! cannot be guessed. There are [`SESSIONS_MAX`] at most, and a login takes the place of none.

use core::cell::{Cell, RefCell};
use core::net::SocketAddr;
use core::time::Duration;
use std::collections::BTreeMap;
use std::rc::Rc;

use broker::{Accepted, Rules, Security};
use protocol::time::Wall;
use serde::{Deserialize, Serialize};
use tokio::io::DuplexStream;
use tokio::sync::{Mutex, Semaphore};

use crate::client::{Client, ClientError, Login};
use crate::conn_io::drive_conn;
use crate::driver::Driver;
use crate::rest::reply::Refused;
use crate::rest::tokens::{hex, random};

/// Most sessions at a time.
const SESSIONS_MAX: usize = 1000;
/// How many logins may be under way: each may wait for the hash of a password.
const LOGINS_MAX: usize = 16;
/// Bytes under way between a session and the broker.
const PIPE_LEN: usize = 64 << 10;
/// How often sessions are looked over.
const SWEEP_EVERY: Duration = Duration::from_secs(30);
/// Turns are counted up to here: any number of partitions gets its own, but for the seam.
const TURNS: usize = 1 << 20;
const NS_PER_MINUTE: u64 = 60_000_000_000;

/// What a token says: which session.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Ticket {
    session: String,
    username: String,
}

/// Somebody who has logged in.
pub(super) struct Session {
    /// The user, without the account.
    pub(super) username: String,
    /// What SDKs call the connection's id.
    pub(super) connection: String,
    /// Waiting for messages does not hold up producing: each has a connection.
    pub(super) producing: Mutex<Client<DuplexStream>>,
    pub(super) consuming: Mutex<Client<DuplexStream>>,
    until: Cell<Wall>,
    /// Whose turn it is among partitions.
    turn: Cell<usize>,
}

impl Session {
    /// Takes the next turns among a station's partitions; returns the first of them.
    pub(super) fn take_turns(&self, count: usize) -> usize {
        let first = self.turn.get();
        self.turn.set(first.wrapping_add(count) % TURNS);
        first
    }

    /// Ends it: its connections are of no use any more.
    pub(super) fn end(&self) {
        self.until.set(Wall(0));
    }
}

/// Why no session is opened.
#[derive(Debug)]
pub(super) enum NoSession {
    Refused,
    Busy,
}

impl NoSession {
    pub(super) fn refused(&self) -> Refused {
        match self {
            Self::Refused => Refused::unauthorized(),
            Self::Busy => Refused::message(503, "the gateway is busy, try again later"),
        }
    }
}

/// All sessions.
pub(super) struct Sessions {
    driver: Rc<Driver>,
    open: RefCell<BTreeMap<String, Rc<Session>>>,
    logins: Semaphore,
}

impl Sessions {
    pub(super) fn new(driver: &Rc<Driver>) -> Self {
        Self {
            driver: Rc::clone(driver),
            open: RefCell::default(),
            logins: Semaphore::new(LOGINS_MAX),
        }
    }

    pub(super) fn now(&self) -> Wall {
        self.driver.wall()
    }

    /// Logs somebody in for a number of minutes.
    pub(super) async fn open(
        &self,
        user: &str,
        password: &str,
        token: &str,
        minutes: u32,
        peer: SocketAddr,
    ) -> Result<Ticket, NoSession> {
        let Ok(_place) = self.logins.try_acquire() else {
            return Err(NoSession::Busy);
        };
        self.sweep();
        if self.open.borrow().len() >= SESSIONS_MAX {
            return Err(NoSession::Busy);
        }
        let (id, connection) = (hex(&random::<16>()), hex(&random::<16>()));
        let login = Login {
            // As an SDK names its connection.
            name: format!("{connection}::{user}"),
            user: if token.is_empty() {
                user.to_owned()
            } else {
                String::new()
            },
            password: password.to_owned(),
            token: token.to_owned(),
            ..Login::default()
        };
        let username = user.split('$').next().unwrap_or_default().to_lowercase();
        let session = Session {
            username: username.clone(),
            producing: Mutex::new(self.connect(&login, peer).await?),
            consuming: Mutex::new(self.connect(&login, peer).await?),
            connection,
            until: Cell::new(self.after(minutes)),
            turn: Cell::new(0),
        };
        self.open.borrow_mut().insert(id.clone(), Rc::new(session));
        Ok(Ticket {
            session: id,
            username,
        })
    }

    /// Connects to the broker inside of this process, in the name of who asks.
    async fn connect(
        &self,
        login: &Login,
        peer: SocketAddr,
    ) -> Result<Client<DuplexStream>, NoSession> {
        let (here, there) = tokio::io::duplex(PIPE_LEN);
        let conn = self.driver.accept(Accepted {
            peer,
            local: peer,
            rules: Rules::Memphis,
            security: Security::Plain,
            origin_follows: false,
            websocket: None,
        });
        tokio::task::spawn_local(drive_conn(Rc::clone(&self.driver), conn, there));
        let inbox = hex(&random::<16>());
        let connected = Client::connect(here, login, &inbox).await;
        connected.map_err(|error| match error {
            ClientError::Late => NoSession::Busy,
            ClientError::Io(_)
            | ClientError::Protocol(_)
            | ClientError::Refused(_)
            | ClientError::Seed(_)
            | ClientError::Closed => NoSession::Refused,
        })
    }

    /// Returns the session of a ticket, while it lasts.
    pub(super) fn find(&self, ticket: &Ticket) -> Option<Rc<Session>> {
        let open = self.open.borrow();
        let session = open.get(&ticket.session)?;
        (self.now() < session.until.get()).then(|| Rc::clone(session))
    }

    /// Lets a session last for a number of minutes from now at least; false if it is over.
    pub(super) fn prolong(&self, ticket: &Ticket, minutes: u32) -> bool {
        let Some(session) = self.find(ticket) else {
            return false;
        };
        let until = self.after(minutes).max(session.until.get());
        session.until.set(until);
        true
    }

    /// Ends sessions whose time is over, for ever.
    pub(super) async fn sweep_for_ever(&self) {
        loop {
            tokio::time::sleep(SWEEP_EVERY).await;
            self.sweep();
        }
    }

    fn sweep(&self) {
        let now = self.now();
        let mut open = self.open.borrow_mut();
        open.retain(|_, session| now < session.until.get());
    }

    fn after(&self, minutes: u32) -> Wall {
        Wall(self.now().0 + u64::from(minutes) * NS_PER_MINUTE)
    }
}

//! What goes into a shard and what comes out of it.
//!
//! *Invariant:* [`Effects`] belongs to the driver, which drains it after every input and reuses it,
//! so that an input costs no allocation.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr};

use bytes::{Bytes, BytesMut};
use config::Options;
use config::options::{ConnectionType, WebAccounts};
use memphis::machine::{Notice, Upload, UploadId};
use memphis::manage::{Answer, CallId};
use monitor::stats::Process;
use protocol::errors::CloseReason;
use protocol::id::{AccountId, ConnId};
use protocol::websocket::upgrade::Cookies;
use storage::{DiskDone, DiskOp};

use crate::tls::{Security, TlsSession};

/// Something that happened outside, for [`Shard::handle`](crate::Shard::handle).
#[derive(Debug)]
pub enum Input<'a> {
    /// A peer sent bytes. Whole operations are consumed; the beginning of the next one stays.
    Bytes {
        /// The connection.
        conn: ConnId,
        /// What was read, after what the last input left.
        buf: &'a mut BytesMut,
    },
    /// A part of what was taken for a connection has been written.
    Written {
        /// The connection.
        conn: ConnId,
        /// How much.
        bytes: usize,
    },
    /// A connection's socket takes no more for now.
    Blocked {
        /// The connection.
        conn: ConnId,
    },
    /// A client waits for INFO before it begins its TLS handshake.
    Greet {
        /// The connection.
        conn: ConnId,
    },
    /// A client begins its TLS handshake.
    Handshake {
        /// The connection.
        conn: ConnId,
    },
    /// A connection's TLS handshake is done.
    Secured {
        /// The connection.
        conn: ConnId,
        /// The protocol, the cipher and the client's certificate.
        session: Box<TlsSession>,
    },
    /// A load balancer's header at the start of a connection has been read.
    Origin {
        /// The connection.
        conn: ConnId,
        /// The client's address, if the header names one; else it is the socket's.
        origin: Option<SocketAddr>,
    },
    /// That header was required, and is missing or wrong.
    NoOrigin {
        /// The connection.
        conn: ConnId,
        /// What is wrong, if that is worth a line in the log.
        why: Option<&'a str>,
    },
    /// A connection's handshake failed.
    HandshakeFailed {
        /// The connection.
        conn: ConnId,
        /// The level to log it at.
        level: Level,
        /// What went wrong.
        why: &'a str,
    },
    /// A connection's socket is gone.
    Closed {
        /// The connection.
        conn: ConnId,
        /// How it went.
        gone: Gone,
    },
    /// The disk has answered. Drained.
    Disk(&'a mut Vec<DiskDone>),
    /// Work outside the shard is done.
    Work(WorkDone),
    /// The time that [`poll_timeout`](crate::Shard::poll_timeout) named has come.
    Timeout,
    /// The process is going to stop, and nobody comes in any more: clients are told to go elsewhere,
    /// and after a time of grace their connections end one after the other.
    LameDuck,
    /// Nothing else is ready: what [`Effects::settle`] asked for.
    Settle,
    /// What [`Errand::Measure`] asked for.
    Measured(Box<Process>),
    /// What came of [`Errand::Reload`]: why it failed, if it did.
    Reloaded(Option<String>),
    /// Somebody who has shown who they are calls the management interface of Memphis.
    Manage(Box<ManageCall>),
    /// Another configuration, judged to be one that this server can go on with. One that switches JetStream off
    /// comes once the disk has nothing to do after [`Input::CloseStreams`]; one that switches it on is followed by
    /// [`Shard::start`](crate::Shard::start).
    Reload(Box<Options>),
    /// JetStream is about to be switched off, and nobody is read from any more.
    CloseStreams,
    /// The process is about to stop: every connection ends.
    Shutdown,
}

/// A connection that the driver has accepted.
#[derive(Clone, Debug)]
pub struct Accepted {
    /// Who connected.
    pub peer: SocketAddr,
    /// Where the listener is bound, as INFO shows it.
    pub local: SocketAddr,
    /// The rules of the listener.
    pub rules: Rules,
    /// What it has to do with TLS.
    pub security: Security,
    /// Whether it may begin with a header that tells where it comes from.
    pub origin_follows: bool,
    /// What it began with, if it is a WebSocket, whose handshake is over by then.
    pub websocket: Option<Box<WebSocketClient>>,
}

impl Accepted {
    /// Returns what kind of connection it is.
    pub(crate) fn kind(&self) -> ConnectionType {
        match self.websocket {
            Some(_) => ConnectionType::WebSocket,
            None => ConnectionType::Standard,
        }
    }
}

/// What a WebSocket client began with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WebSocketClient {
    /// Its encryption, if it has one.
    pub tls: Option<Box<TlsSession>>,
    /// The client behind a proxy.
    pub forwarded_for: Option<IpAddr>,
    /// Credentials, for what its CONNECT leaves out.
    pub cookies: Cookies,
}

/// The rules that a listener's clients live by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Rules {
    /// nats-server's.
    #[default]
    Nats,
    /// Memphis': its login forms and its names.
    Memphis,
}

/// How a socket went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gone {
    /// The peer closed it.
    Eof,
    /// Reading failed.
    ReadFailed,
    /// Writing failed.
    WriteFailed,
    /// The shard had asked for it.
    Told,
}

/// What the driver must do after an input, all of it before the next one.
#[derive(Debug, Default)]
pub struct Effects {
    /// Connections that have something to write.
    pub dirty: Vec<ConnId>,
    /// Connections to end once what waits for them has been written.
    pub close: Vec<(ConnId, CloseReason)>,
    /// Connections to end at once: what waits for them is of no use any more.
    pub abort: Vec<ConnId>,
    /// Connections whose reading is to pause (true) or to go on.
    pub gate: Vec<(ConnId, bool)>,
    /// Operations for the disk, in order.
    pub disk: Vec<DiskOp>,
    /// Work that takes too long for the shard's thread.
    pub work: Vec<WorkOp>,
    /// What the driver is asked for.
    pub errands: Vec<Errand>,
    /// Answers to [`Input::Manage`].
    pub managed: Vec<(CallId, Answer)>,
    /// Lines for the log.
    pub log: Vec<LogLine>,
    /// Whether something waits for the end of the batch: [`Input::Settle`] is wanted once the inputs
    /// that are ready already have been handed in, so that one sync carries what all of them brought.
    pub settle: bool,
}

/// Something that only the driver can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Errand {
    /// Measure the process.
    Measure,
    /// Read the configuration again and put it in force.
    Reload,
}

/// A call of the management interface of Memphis.
#[derive(Clone, Debug)]
pub struct ManageCall {
    /// What the answer carries.
    pub id: CallId,
    /// The name of the account.
    pub account: String,
    /// Who calls, without the account.
    pub user: String,
    /// The route without its prefix and method: `stations/getStation`.
    pub route: String,
    /// A JSON object: what the route's body or query says.
    pub body: Bytes,
}

/// Work that takes too long for the shard's thread.
#[derive(Clone, PartialEq, Eq)]
pub enum WorkOp {
    /// Check a password against its bcrypt hash.
    CheckPassword {
        /// Who shows it. Its reading is paused meanwhile, so that each connection has one at a time.
        conn: ConnId,
        /// The hash.
        hash: String,
        /// What was shown.
        shown: String,
    },
    /// Ask a web server for an account's token.
    FetchAccount {
        /// The server.
        server: WebAccounts,
        /// The account's key.
        key: String,
    },
    /// Tell a service outside, as far as it listens.
    Notify {
        /// The address of the service.
        url: String,
        /// What it is told, in order.
        notices: Vec<Notice>,
    },
    /// Put an object into a store.
    Upload(Box<Upload>),
    /// Change the files of a directory of accounts, durably. What is asked for is done in order.
    ChangeFiles {
        /// The directory.
        directory: String,
        /// The change.
        change: FileChange,
    },
}

/// A change of files in a directory of accounts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FileChange {
    /// Keep an account's token.
    Keep {
        /// The account's key.
        key: String,
        /// The token.
        token: String,
    },
    /// Delete the tokens of accounts.
    Delete {
        /// Their keys.
        keys: Vec<String>,
        /// Whether the files are only renamed.
        rename: bool,
    },
}

impl core::fmt::Debug for WorkOp {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            // Passwords stay out of logs.
            Self::CheckPassword { conn, .. } => write!(f, "CheckPassword({conn:?})"),
            Self::FetchAccount { key, .. } => write!(f, "FetchAccount({key:?})"),
            // Tokens too.
            Self::Notify { url, .. } => write!(f, "Notify({url:?})"),
            Self::Upload(upload) => write!(f, "Upload({:?})", upload.key),
            Self::ChangeFiles { directory, .. } => write!(f, "ChangeFiles({directory:?})"),
        }
    }
}

/// What came of a [`WorkOp`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WorkDone {
    /// The password was checked.
    PasswordChecked {
        /// Who showed it.
        conn: ConnId,
        /// Whether it fits.
        fits: bool,
    },
    /// A web server has answered about an account.
    AccountFetched {
        /// The account's key.
        key: String,
        /// Its token, or why there is none.
        token: Result<String, String>,
    },
    /// A service was told, or why it was not.
    Notified(Result<(), String>),
    /// An object was put into its store, or why it was not.
    Uploaded(UploadId, Result<(), String>),
    /// Files were changed, or why they were not.
    FilesChanged(Result<(), String>),
}

/// A line for the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogLine {
    /// How much it matters.
    pub level: Level,
    /// What it says.
    pub text: String,
    /// The account that it concerns, if it concerns one more than others.
    pub account: Option<AccountId>,
}

impl LogLine {
    /// Returns a line about the server.
    #[must_use]
    pub const fn new(level: Level, text: String) -> Self {
        Self {
            level,
            text,
            account: None,
        }
    }

    pub(crate) const fn of(account: AccountId, level: Level, text: String) -> Self {
        Self {
            level,
            text,
            account: Some(account),
        }
    }
}

/// How much a log line matters, as nats-server grades it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// For operators.
    Info,
    /// Somebody may want to look.
    Warn,
    /// Something was refused or has failed.
    Error,
    /// A change of state, for whoever debugs.
    Debug,
    /// What a client said or is told.
    Trace,
}

impl Effects {
    /// Says whether everything has been drained.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.dirty.is_empty()
            && self.close.is_empty()
            && self.abort.is_empty()
            && self.gate.is_empty()
            && self.disk.is_empty()
            && self.work.is_empty()
            && self.errands.is_empty()
            && self.managed.is_empty()
            && self.log.is_empty()
            && !self.settle
    }
}

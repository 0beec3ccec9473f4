//! Backups: streams that are being written out to a client, and streams that are being taken in.
//!
//! *Invariant:* what is written out is the stream as it was when it was asked for, less what has been
//! removed meanwhile. What is taken in is whole or absent: until its last record has come and is
//! synced, the stream is in the log but nobody can see it, and a restart removes it.
//! Driven by requests, by messages on `$JS.SNAPSHOT.>`, by timers and by the pump.

mod apply;
pub mod archive;
mod frame;
mod record;
mod send;
mod take;

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

use protocol::id::{AccountId, StreamId};
use protocol::store::{ReadError, ReadId};
use protocol::time::Instant;

use crate::JetStream;
use crate::entry::DecodeError;
use crate::env::Env;
use crate::shared::TimerKind;

use send::Sending;
use take::Taking;

/// What messages about backups start with.
const PREFIX: &[u8] = b"$JS.SNAPSHOT.";
/// What those are told that come when there are [`UNDER_WAY_MAX`].
const TOO_MANY: &str = "too many backups are under way";
/// How long a client may be silent.
const SILENCE_MAX: Duration = Duration::from_secs(5);
/// Most backups under way: each holds a chunk or two in memory.
const UNDER_WAY_MAX: usize = 128;
/// Digits of the token that tells backups apart.
const TOKEN_LEN: usize = 22;

/// Why an archive cannot be taken in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ArchiveError {
    /// Another server wrote it.
    #[error(
        "the archive was not written by this server: backups of nats-server can not be restored"
    )]
    Foreign,
    /// A later version of this server wrote it.
    #[error("the archive was written by a later version of this server")]
    Version,
    /// Its checksums or its structure do not hold.
    #[error("the archive is damaged")]
    Damaged,
    /// It is of another stream.
    #[error("the archive is of a stream with another name")]
    Name,
    /// It stops too early.
    #[error("the archive is not complete")]
    Incomplete,
}

impl From<DecodeError> for ArchiveError {
    fn from(_: DecodeError) -> Self {
        Self::Damaged
    }
}

/// Tells backups apart; never used twice in a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BackupId(u64);

/// The backups under way.
#[derive(Debug, Default)]
pub(crate) struct Backups {
    sending: BTreeMap<BackupId, Sending>,
    taking: BTreeMap<BackupId, Taking>,
    /// Those that may have something to send.
    ready: Vec<BackupId>,
    next: u64,
}

impl Backups {
    fn allocate(&mut self) -> BackupId {
        self.next += 1;
        BackupId(self.next)
    }

    fn is_full(&self) -> bool {
        self.sending.len() + self.taking.len() >= UNDER_WAY_MAX
    }

    /// Returns whether nothing is under way: the usual case, which costs the pump nothing.
    pub(crate) fn is_idle(&self) -> bool {
        self.sending.is_empty() && self.taking.is_empty()
    }
}

/// Who takes part in a backup.
#[derive(Clone, Debug)]
struct Party {
    account: AccountId,
    stream: StreamId,
    name: String,
    client: Option<protocol::js::advisory::ClientInfo>,
    started: protocol::time::Wall,
    token: String,
}

impl Party {
    /// Says whether messages of an account that bear a token are its own.
    fn is(&self, account: AccountId, token: &[u8]) -> bool {
        self.account == account && self.token.as_bytes() == token
    }
}

impl JetStream {
    /// Handles a message on `$JS.SNAPSHOT.>`; false if nobody waits for it.
    pub fn backup_message(
        &mut self,
        env: &mut impl Env,
        account: AccountId,
        subject: &[u8],
        reply: &[u8],
        payload: &[u8],
    ) -> bool {
        let Some(rest) = subject.strip_prefix(PREFIX) else {
            return false;
        };
        let mut tokens = rest.split(|&b| b == b'.');
        let (kind, _stream) = (tokens.next(), tokens.next());
        let token = tokens.next().unwrap_or_default();
        match kind {
            Some(b"ACK") => self.on_chunk_acked(account, token, env),
            Some(b"RESTORE") => self.on_chunk(account, token, reply, payload, env),
            Some(_) | None => false,
        }
    }

    /// A client subscribed or unsubscribed: a receiver may have gone.
    pub(crate) fn backup_interest_changed(
        &mut self,
        env: &mut impl Env,
        account: AccountId,
        subject: &[u8],
    ) {
        let sending = self.backups.sending.iter();
        let concerned = sending.filter(|(_, s)| s.is_concerned(account, subject));
        let concerned: Vec<BackupId> = concerned.map(|(id, _)| *id).collect();
        for id in concerned {
            self.on_receiver_changed(id, env);
        }
    }

    /// Goes on with what has something to send.
    pub(crate) fn pump_backups(&mut self, env: &mut impl Env) {
        for id in core::mem::take(&mut self.backups.ready) {
            self.drive_sending(id, env);
        }
    }

    /// The timer of a backup is due.
    pub(crate) fn on_backup_timer(&mut self, id: BackupId, env: &mut impl Env) {
        if self.backups.sending.contains_key(&id) {
            self.on_sending_timer(id, env);
        } else {
            self.on_taking_stalled(id, env);
        }
    }

    /// The bytes of a message that is to be written out have come.
    pub(crate) fn on_backup_read(
        &mut self,
        id: BackupId,
        read: ReadId,
        result: Result<bytes::Bytes, ReadError>,
    ) {
        if let Some(sending) = self.backups.sending.get_mut(&id) {
            sending.on_read(read, result);
            self.backups.ready.push(id);
        }
    }

    fn arm_backup(&mut self, id: BackupId, at: Instant) {
        self.shared.timers.set(TimerKind::Backup(id), at);
    }

    fn party(&self, call: &crate::env::ApiCall<'_>, name: &str, env: &mut impl Env) -> Party {
        let mut token = [0; TOKEN_LEN];
        env.rng().fill_base62(&mut token);
        Party {
            account: call.account,
            stream: StreamId(0),
            name: name.into(),
            client: env.client_info(call.client),
            started: env.now().wall,
            token: String::from_utf8_lossy(&token).into_owned(),
        }
    }
}

#[cfg(test)]
mod tests;

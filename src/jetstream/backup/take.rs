//! Taking a stream in: chunks become frames, frames become records, records become entries of a stream
//! that nobody sees before the last of them is synced.
//!
//! *Invariant:* a chunk is confirmed when everything in it is synced, so that the client never runs
//! ahead of the disk. Every way out but silence ends in an answer and an advisory.

mod records;

use bytes::BytesMut;
use protocol::id::{AccountId, Seq};
use protocol::js::advisory::{RestoreCompleted, RestoreCreated};
use protocol::js::api::{ApiKind, ApiRequest};
use protocol::js::errors::{self, ApiError};
use protocol::js::json::{decode, to_vec};
use protocol::js::request::{RestoreRequest, is_empty};
use protocol::js::response::{RestoreStarted, encode_error, encode_response};
use protocol::time::Wall;

use super::frame::Unframer;
use super::{BackupId, Party, SILENCE_MAX, TOO_MANY};
use crate::JetStream;
use crate::entry::{Entry, StreamCreate};
use crate::env::{ApiCall, Env};
use crate::shared::{TimerKind, Waiter, send};

/// A stream on its way in.
#[derive(Debug)]
pub(super) struct Taking {
    party: Party,
    is_memory: bool,
    unframer: Unframer,
    is_marked: bool,
    created: Wall,
    last: Seq,
    messages: u64,
    consumers: u64,
    sources: BytesMut,
    end: Option<(Seq, Wall)>,
    bytes: u64,
    /// Who waits for the end, once the client has sent everything.
    finishing: Option<alloc::boxed::Box<[u8]>>,
}

impl JetStream {
    /// Begins to take a stream in.
    pub(crate) fn stream_restore(
        &mut self,
        call: &ApiCall<'_>,
        request: &ApiRequest<'_>,
        env: &mut impl Env,
    ) -> Result<(), ApiError> {
        if is_empty(call.msg.payload) {
            return Err(errors::BAD_REQUEST);
        }
        let mut body: RestoreRequest = decode(call.msg.payload, self.strictness())?;
        if body.config.name.is_empty() {
            body.config.name = request.stream.into();
        }
        if body.config.name != request.stream {
            return Err(errors::STREAM_MISMATCH);
        }
        if request.stream.contains(['/', '\\']) {
            return Err(errors::STREAM_NAME_CONTAINS_PATH_SEPARATORS);
        }
        let config = self.complete_restore(call, body.config)?;
        if self.backups.is_full() {
            return Err(errors::STREAM_RESTORE.with(TOO_MANY));
        }
        let mut party = self.party(call, request.stream, env);
        party.stream = self.shared.allocate_stream();
        let account = self.shared.accounts.get(call.account);
        let account = account.map_or(&[][..], |a| a.name.as_bytes());
        let create = StreamCreate {
            stream: party.stream,
            time: self.shared.clock.stamp(env.now()),
            account: bytes::Bytes::copy_from_slice(account),
            config: to_vec(&config).into(),
        };
        let taking = Taking::new(
            party,
            config.storage == protocol::js::enums::Storage::Memory,
        );
        self.log_restore(&taking, &Entry::RestoreBegin(create), env)?;
        self.announce_restore(call, &taking.party, env);
        let id = self.backups.allocate();
        self.backups.taking.insert(id, taking);
        self.arm_backup(id, env.now().mono + SILENCE_MAX);
        Ok(())
    }

    fn announce_restore(&mut self, call: &ApiCall<'_>, party: &Party, env: &mut impl Env) {
        let domain = self.shared.options.domain.clone();
        let event = RestoreCreated {
            stream: &party.name,
            client: party.client.as_ref(),
            domain: &domain,
        };
        self.shared.advise_as_server(call.account, &event, env);
        let Party { name, token, .. } = party;
        let started = RestoreStarted {
            deliver_subject: alloc::format!("$JS.SNAPSHOT.RESTORE.{name}.{token}"),
        };
        self.shared
            .respond(call, ApiKind::StreamRestore, &[], &started, env);
    }

    /// A piece of an archive has come; an empty one says that it was the last.
    pub(super) fn on_chunk(
        &mut self,
        account: AccountId,
        token: &[u8],
        reply: &[u8],
        payload: &[u8],
        env: &mut impl Env,
    ) -> bool {
        let mut taking = self.backups.taking.iter();
        let found = taking.find(|(_, t)| t.party.is(account, token) && t.finishing.is_none());
        let Some((&id, _)) = found else {
            return false;
        };
        let Some(mut taking) = self.backups.taking.remove(&id) else {
            return false;
        };
        let before = self.shared.replies.last_proposed();
        let taken = match payload {
            _ if reply.is_empty() => {
                Err(errors::STREAM_RESTORE.with("a chunk needs a reply subject"))
            }
            [] => self.take_end(&mut taking, reply, env),
            chunk => self.take_chunk(&mut taking, chunk, env),
        };
        match taken {
            Err(error) => self.give_up_restore(id, taking, reply, &error, env),
            Ok(()) if payload.is_empty() => {
                // A stream in memory is there by now.
                if taking.finishing.is_some() {
                    self.shared.timers.clear(TimerKind::Backup(id));
                    self.backups.taking.insert(id, taking);
                }
            }
            Ok(()) => {
                self.backups.taking.insert(id, taking);
                self.arm_backup(id, env.now().mono + SILENCE_MAX);
                match self.shared.replies.last_proposed() {
                    Some(pos) if before != Some(pos) => {
                        let reply = reply.into();
                        self.shared
                            .replies
                            .push(pos, Waiter::Ack { account, reply });
                    }
                    Some(_) | None => send(account, reply, b"", env),
                }
            }
        }
        true
    }

    /// The last entry of a restored stream has been applied.
    pub(crate) fn on_restored(
        &mut self,
        stream: protocol::id::StreamId,
        outcome: Result<(), ApiError>,
        env: &mut impl Env,
    ) {
        let mut taking = self.backups.taking.iter();
        let found = taking.find(|(_, taking)| taking.party.stream == stream);
        let Some(id) = found.map(|(&id, _)| id) else {
            return;
        };
        let Some(taking) = self.backups.taking.remove(&id) else {
            return;
        };
        let reply = taking.finishing.clone().unwrap_or_default();
        match outcome {
            Ok(()) => self.end_restore(&taking, &reply, Ok(()), env),
            Err(error) => self.give_up_restore(id, taking, &reply, &error, env),
        }
    }

    /// Nothing has come for too long.
    pub(super) fn on_taking_stalled(&mut self, id: BackupId, env: &mut impl Env) {
        if let Some(taking) = self.backups.taking.remove(&id) {
            self.discard_restore(&taking, env);
        }
    }

    /// Ends every restore that is under way: nothing can be logged any more.
    pub(crate) fn fail_restores(&mut self, error: &ApiError, env: &mut impl Env) {
        for (id, taking) in core::mem::take(&mut self.backups.taking) {
            self.shared.timers.clear(TimerKind::Backup(id));
            let reply = taking.finishing.clone().unwrap_or_default();
            self.end_restore(&taking, &reply, Err(error), env);
        }
    }

    fn give_up_restore(
        &mut self,
        id: BackupId,
        taking: Taking,
        reply: &[u8],
        error: &ApiError,
        env: &mut impl Env,
    ) {
        self.shared.timers.clear(TimerKind::Backup(id));
        self.end_restore(&taking, reply, Err(error), env);
        self.discard_restore(&taking, env);
    }

    fn discard_restore(&mut self, taking: &Taking, env: &mut impl Env) {
        let entry = Entry::StreamDelete(taking.party.stream);
        if taking.is_memory {
            self.apply_stream_change(&entry, None, env);
        } else if self.poisoned.is_none() {
            let pos = env.propose(|out| entry.encode(out));
            self.shared.replies.proposed(pos);
        }
    }

    /// Tells how it went: whoever listens, and then whoever asked.
    fn end_restore(
        &mut self,
        taking: &Taking,
        reply: &[u8],
        outcome: Result<(), &ApiError>,
        env: &mut impl Env,
    ) {
        let party = &taking.party;
        let domain = self.shared.options.domain.clone();
        let event = RestoreCompleted {
            stream: &party.name,
            start: party.started,
            end: env.now().wall,
            bytes: i64::try_from(taking.bytes).unwrap_or(i64::MAX),
            client: party.client.as_ref(),
            domain: &domain,
        };
        self.shared.advise_as_server(party.account, &event, env);
        let kind = ApiKind::StreamCreate;
        let body = match (outcome, self.streams.get(&party.stream)) {
            (Ok(()), Some(stream)) => encode_response(kind, &self.restored_info(stream, env.now())),
            (Ok(()), None) => encode_error(kind, &errors::STREAM_NOT_FOUND),
            (Err(error), _) => encode_error(kind, error),
        };
        send(party.account, reply, &body, env);
    }
}

impl Taking {
    fn new(party: Party, is_memory: bool) -> Self {
        Self {
            party,
            is_memory,
            unframer: Unframer::default(),
            is_marked: false,
            created: Wall(0),
            last: Seq(0),
            messages: 0,
            consumers: 0,
            sources: BytesMut::new(),
            end: None,
            bytes: 0,
            finishing: None,
        }
    }
}

//! Writing a stream out: messages become records, records become frames, frames are cut into chunks
//! that the client confirms.
//!
//! *Invariant:* no more chunks are unconfirmed than the client's window holds. Every way out ends in one
//! last message without a body, which says how it went, and in one advisory.

mod sending;

use alloc::format;
use alloc::string::String;
use core::time::Duration;

use protocol::id::AccountId;
use protocol::js::advisory::{SnapshotCompleted, SnapshotCreated};
use protocol::js::api::{ApiKind, ApiRequest};
use protocol::js::errors::{self, ApiError};
use protocol::js::json::decode;
use protocol::js::request::{SnapshotRequest, is_empty};
use protocol::js::response::SnapshotStarted;
use protocol::subject;

use super::{BackupId, SILENCE_MAX, TOO_MANY};
use crate::JetStream;
use crate::env::{ApiCall, Env};
use crate::shared::{TimerKind, send_status};
pub(super) use sending::Sending;
use sending::{Filled, Stage};

/// How long a receiver has to subscribe.
const INTEREST_WAIT: Duration = Duration::from_secs(2);
/// Bytes that one turn sends at most: others want theirs.
const TURN_LEN_MAX: usize = 2 << 20;
/// After which time a read that failed is tried again.
const READ_AGAIN: Duration = Duration::from_millis(100);

const NO_INTEREST: &str = "no interest";
const NO_FLOW_RESPONSE: &str = "no flow response";

impl JetStream {
    /// Begins to write a stream out.
    pub(crate) fn stream_snapshot(
        &mut self,
        call: &ApiCall<'_>,
        request: &ApiRequest<'_>,
        env: &mut impl Env,
    ) -> Result<(), ApiError> {
        if is_empty(call.msg.payload) {
            return Err(errors::BAD_REQUEST);
        }
        let mut party = self.party(call, request.stream, env);
        let stream = self
            .stream(call.account, request.stream)
            .ok_or(errors::STREAM_NOT_FOUND)?;
        let body: SnapshotRequest = decode(call.msg.payload, self.strictness())?;
        if !subject::is_valid_literal(body.deliver_subject.as_bytes()) {
            return Err(errors::SNAPSHOT_DELIVER_SUBJECT_INVALID);
        }
        if self.backups.is_full() {
            return Err(errors::STREAM_SNAPSHOT.with(TOO_MANY));
        }
        party.stream = stream.core.id();
        let now = env.now();
        let sending = Sending::begin(stream, party, &body, now.mono + INTEREST_WAIT);
        let state = stream.core.state(stream.consumers.count());
        let started = SnapshotStarted {
            config: Some(stream.core.config().clone()),
            state: Some(state.clone()),
        };
        self.shared
            .respond(call, ApiKind::StreamSnapshot, &[], &started, env);
        let domain = self.shared.options.domain.clone();
        let event = SnapshotCreated {
            stream: request.stream,
            state: &state,
            client: sending.party.client.as_ref(),
            domain: &domain,
        };
        self.shared.advise_as_server(call.account, &event, env);
        let id = self.backups.allocate();
        self.backups.sending.insert(id, sending);
        self.on_receiver_changed(id, env);
        Ok(())
    }

    /// Looks whether the receiver is there.
    pub(super) fn on_receiver_changed(&mut self, id: BackupId, env: &mut impl Env) {
        let Some(sending) = self.backups.sending.get_mut(&id) else {
            return;
        };
        let (account, to) = (sending.party.account, &sending.to);
        match sending.stage {
            // A client's inbox for all answers does not count: this one is yet to be subscribed.
            Stage::Waiting(_) if env.has_exact_interest(account, to) => self.run_sending(id, env),
            Stage::Waiting(until) => self.arm_backup(id, until),
            Stage::Running if env.has_interest(account, to) => {}
            Stage::Running => self.end_sending(id, Err(NO_INTEREST.into()), env),
        }
    }

    fn run_sending(&mut self, id: BackupId, env: &mut impl Env) {
        if let Some(sending) = self.backups.sending.get_mut(&id) {
            sending.stage = Stage::Running;
            self.backups.ready.push(id);
            self.arm_backup(id, env.now().mono + SILENCE_MAX);
        }
    }

    pub(super) fn on_sending_timer(&mut self, id: BackupId, env: &mut impl Env) {
        let Some(sending) = self.backups.sending.get_mut(&id) else {
            return;
        };
        match sending.stage {
            Stage::Waiting(_) => self.run_sending(id, env),
            Stage::Running if sending.unconfirmed >= sending.window => {
                self.end_sending(id, Err(NO_FLOW_RESPONSE.into()), env);
            }
            Stage::Running => self.backups.ready.push(id),
        }
    }

    /// The client has confirmed a chunk.
    pub(super) fn on_chunk_acked(
        &mut self,
        account: AccountId,
        token: &[u8],
        _: &mut impl Env,
    ) -> bool {
        let mut sending = self.backups.sending.iter_mut();
        let Some((id, sending)) = sending.find(|(_, s)| s.party.is(account, token)) else {
            return false;
        };
        sending.unconfirmed = sending.unconfirmed.saturating_sub(1);
        self.backups.ready.push(*id);
        true
    }

    /// Sends as much as the client's window and this turn allow.
    pub(super) fn drive_sending(&mut self, id: BackupId, env: &mut impl Env) {
        let Some(mut sending) = self.backups.sending.remove(&id) else {
            return;
        };
        let now = env.now().mono;
        let mut outcome = None;
        let mut again_at = now + SILENCE_MAX;
        let turn = (TURN_LEN_MAX / sending.chunk_len).max(1);
        for sent in 0.. {
            if sending.stage != Stage::Running || sending.unconfirmed >= sending.window {
                break;
            }
            if sent == turn {
                again_at = now;
                break;
            }
            let Some(stream) = self.streams.get(&sending.party.stream) else {
                outcome = Some(Err("the stream is gone".into()));
                break;
            };
            match sending.fill(id, stream, &mut self.shared.reads, env) {
                Filled::Later => break,
                Filled::Again => {
                    again_at = now + READ_AGAIN;
                    break;
                }
                Filled::Failed(why) => {
                    outcome = Some(Err(why));
                    break;
                }
                Filled::End => {
                    let rest = core::mem::take(&mut sending.frames);
                    if !rest.is_empty() {
                        sending.deliver(&rest, b"", env);
                    }
                    outcome = Some(Ok(()));
                    break;
                }
                Filled::Chunk => {
                    if !sending.send_chunk(env) {
                        outcome = Some(Err(NO_INTEREST.into()));
                        break;
                    }
                }
            }
        }
        self.backups.sending.insert(id, sending);
        match outcome {
            None => self.arm_backup(id, again_at),
            Some(outcome) => self.end_sending(id, outcome, env),
        }
    }

    fn end_sending(&mut self, id: BackupId, outcome: Result<(), String>, env: &mut impl Env) {
        let Some(sending) = self.backups.sending.remove(&id) else {
            return;
        };
        self.shared.timers.clear(TimerKind::Backup(id));
        let error = outcome.err().unwrap_or_default();
        let status = match &*error {
            // As in NATS, a backup of less than one chunk ends without a status.
            "" if sending.chunk == 1 => String::new(),
            "" => String::from("NATS/1.0 204\r\n\r\n"),
            NO_INTEREST => String::from("NATS/1.0 408 No Interest\r\n\r\n"),
            NO_FLOW_RESPONSE => String::from("NATS/1.0 408 No Flow Response\r\n\r\n"),
            why => format!("NATS/1.0 500 {why}\r\n\r\n"),
        };
        let party = &sending.party;
        send_status(party.account, &sending.to, status.as_bytes(), env);
        let domain = self.shared.options.domain.clone();
        let event = SnapshotCompleted {
            stream: &party.name,
            start: party.started,
            end: env.now().wall,
            client: party.client.as_ref(),
            domain: &domain,
            error: &error,
        };
        self.shared.advise_as_server(party.account, &event, env);
    }
}

//! Making, changing, deleting and purging streams, and deleting messages: from the request to a
//! proposed entry, and from its outcome to the answer.

use alloc::boxed::Box;
use alloc::string::String;

use bytes::Bytes;
use protocol::id::{Seq, StreamId};
use protocol::js::advisory::{Action, StreamCreated, StreamDeleted, StreamUpdated};
use protocol::js::api::{ApiKind, ApiRequest};
use protocol::js::config::{StreamConfig, StreamConfigRequest};
use protocol::js::enums::Storage;
use protocol::js::errors::{self, ApiError};
use protocol::js::json::{decode, to_vec};
use protocol::js::request::{MsgDeleteRequest, PurgeRequest, is_empty, is_object};
use protocol::js::response::{self, Initiated, Purged, Success};

use super::info::Cluster;
use crate::JetStream;
use crate::apply::Outcome;
use crate::entry::{Entry, MsgDelete, Purge, StreamCreate, StreamUpdate};
use crate::env::{ApiCall, Env, Purpose};
use crate::shared::{Answer, Scope, Waiter};

pub(super) type Done = Result<(), ApiError>;

/// Returns whether a new stream depends on no other one, nor on how much others are promised, so that it
/// can be made beside others. Of two that want the same name or subject, applying refuses the second.
fn stands_alone(config: &StreamConfig) -> bool {
    config.storage == Storage::File
        && config.max_bytes <= 0
        && config.mirror.is_none()
        && config.sources.is_empty()
}

impl JetStream {
    pub(super) fn stream_create(
        &mut self,
        call: &ApiCall<'_>,
        request: &ApiRequest<'_>,
        env: &mut impl Env,
    ) -> Done {
        let body: StreamConfigRequest = decode(call.msg.payload, self.strictness())?;
        let is_changing = self.shared.replies.has_changes_under_way();
        if is_changing && !stands_alone(&body.config) {
            let waiter = Waiter::Read(Box::new(Answer::new(call)));
            self.shared.replies.push_behind_all(waiter);
            return Ok(());
        }
        let config = self.complete_create(call, request, body)?;
        let account = self.shared.accounts.get(call.account);
        let account = account.map_or(Bytes::new(), |a| Bytes::copy_from_slice(a.name.as_bytes()));
        let entry = Entry::StreamCreate(StreamCreate {
            stream: self.shared.allocate_stream(),
            time: self.shared.clock.stamp(env.now()),
            account,
            config: to_vec(&config).into(),
        });
        self.change(call, &entry, config.storage, env)
    }

    pub(super) fn stream_update(
        &mut self,
        call: &ApiCall<'_>,
        request: &ApiRequest<'_>,
        env: &mut impl Env,
    ) -> Done {
        let body = decode(call.msg.payload, self.strictness())?;
        let (stream, config) = self.complete_update(call, request, body)?;
        let storage = config.storage;
        let entry = Entry::StreamUpdate(StreamUpdate {
            stream,
            time: self.shared.clock.stamp(env.now()),
            config: to_vec(&config).into(),
        });
        self.change(call, &entry, storage, env)
    }

    pub(super) fn stream_delete(
        &mut self,
        call: &ApiCall<'_>,
        request: &ApiRequest<'_>,
        env: &mut impl Env,
    ) -> Done {
        if !is_empty(call.msg.payload) {
            return Err(errors::NOT_EMPTY_REQUEST);
        }
        if let Some(closed) = self.closed_by_name(call.account, request.stream) {
            return self.change(call, &Entry::StreamDelete(closed), Storage::File, env);
        }
        let core = &self.named(call, request)?.core;
        let (entry, storage) = (Entry::StreamDelete(core.id()), core.config().storage);
        self.change(call, &entry, storage, env)
    }

    pub(super) fn stream_purge(
        &mut self,
        call: &ApiCall<'_>,
        request: &ApiRequest<'_>,
        env: &mut impl Env,
    ) -> Done {
        let mut body = PurgeRequest::default();
        if is_object(call.msg.payload) {
            body = decode(call.msg.payload, self.strictness())?;
        }
        if body.seq > 0 && body.keep > 0 {
            return Err(errors::BAD_REQUEST);
        }
        let core = &self.named(call, request)?.core;
        let storage = core.config().storage;
        let entry = Entry::Purge(Purge {
            stream: core.id(),
            filter: body.filter.into(),
            below: Seq(body.seq),
            keep: body.keep,
        });
        self.change(call, &entry, storage, env)
    }

    pub(super) fn msg_delete(
        &mut self,
        call: &ApiCall<'_>,
        request: &ApiRequest<'_>,
        env: &mut impl Env,
    ) -> Done {
        if is_empty(call.msg.payload) {
            return Err(errors::BAD_REQUEST);
        }
        let body: MsgDeleteRequest = decode(call.msg.payload, self.strictness())?;
        let core = &self.named(call, request)?.core;
        core.check_msg_delete(Seq(body.seq))?;
        let storage = core.config().storage;
        let entry = Entry::MsgDelete(MsgDelete {
            stream: core.id(),
            seq: Seq(body.seq),
        });
        self.change(call, &entry, storage, env)
    }

    /// Proposes a change, or applies it at once if it concerns a stream in memory.
    fn change(
        &mut self,
        call: &ApiCall<'_>,
        entry: &Entry,
        storage: Storage,
        env: &mut impl Env,
    ) -> Done {
        let answer = Box::new(Answer::new(call));
        if storage == Storage::Memory {
            self.apply_stream_change(entry, Some(answer), env);
            return Ok(());
        }
        if let Some(error) = &self.poisoned {
            return Err(error.clone());
        }
        let bytes = entry.to_bytes();
        if !env.has_room(bytes.len(), purpose(entry)) {
            return Err(errors::STORAGE_RESOURCES_EXCEEDED);
        }
        let pos = env.propose(|out| out.extend_from_slice(&bytes));
        self.shared.replies.proposed(pos);
        let scope = if matches!(entry, Entry::StreamCreate(_)) {
            Scope::NewStream
        } else {
            Scope::Everything
        };
        self.shared.replies.push_change(pos, scope, answer);
        Ok(())
    }

    /// Answers a change whose entry has been applied; advisories come before the answer.
    pub(crate) fn answer_change(
        &mut self,
        answer: &Answer,
        outcome: Result<Outcome, ApiError>,
        env: &mut impl Env,
    ) {
        let call = answer.call();
        let Some(request) = ApiRequest::parse(&answer.subject) else {
            return;
        };
        let kind = request.kind;
        match outcome {
            Ok(Outcome::Created(id)) => {
                self.advise_created(&call, id, env);
                self.answer_info(&call, kind, id, env);
            }
            Ok(Outcome::Found(id) | Outcome::Updated(id)) => {
                self.answer_info(&call, kind, id, env);
            }
            Ok(Outcome::Deleted) if kind == ApiKind::AccountPurge => {
                self.succeed(&call, kind, &Initiated { initiated: true }, env);
            }
            Ok(Outcome::Deleted) => {
                let domain = self.shared.options.domain.clone();
                let event = StreamDeleted {
                    stream: request.stream,
                    action: Action::Delete,
                    domain: &domain,
                };
                self.shared.advise(call.account, &event, env);
                self.succeed(&call, kind, &Success { success: true }, env);
            }
            Ok(Outcome::Purged(purged)) => {
                let body = Purged {
                    success: true,
                    purged: purged.messages,
                };
                self.succeed(&call, kind, &body, env);
            }
            Ok(Outcome::MsgDeleted) => {
                self.succeed(&call, kind, &Success { success: true }, env);
            }
            Err(error) => self.fail(&call, kind, &error, env),
        }
    }

    fn advise_created(&mut self, call: &ApiCall<'_>, id: StreamId, env: &mut impl Env) {
        let Some(stream) = self.streams.get(&id) else {
            return;
        };
        let domain = self.shared.options.domain.clone();
        let event = StreamCreated {
            stream: stream.core.name(),
            action: Action::Create,
            domain: &domain,
        };
        self.shared.advise(call.account, &event, env);
    }

    fn answer_info(&mut self, call: &ApiCall<'_>, kind: ApiKind, id: StreamId, env: &mut impl Env) {
        let Some(stream) = self.streams.get(&id) else {
            return self.fail(call, kind, &errors::STREAM_NOT_FOUND, env);
        };
        let mut info = self.stream_info(stream, Cluster::Omit, env.now());
        let domain = core::mem::take(&mut info.domain);
        let (stream, domain) = (info.config.name.as_str(), domain.as_str());
        if kind == ApiKind::StreamCreate {
            // Nobody has looked for the origins yet.
            for source in info.mirror.iter_mut().chain(&mut info.sources) {
                source.error = None;
            }
            self.succeed(call, kind, &response::StreamCreated(&info), env);
        } else {
            let event = StreamUpdated {
                stream,
                action: Action::Modify,
                domain,
            };
            self.shared.advise(call.account, &event, env);
            info.domain = String::from(domain);
            self.succeed(call, kind, &info, env);
        }
    }
}

fn purpose(entry: &Entry) -> Purpose {
    match entry {
        Entry::StreamDelete(_)
        | Entry::Purge(_)
        | Entry::MsgDelete(_)
        | Entry::Expire { .. }
        | Entry::EndLives { .. }
        | Entry::Consumed { .. }
        | Entry::Released(_)
        | Entry::ConsumerDelete { .. }
        | Entry::ConsumerDelta { .. } => Purpose::Free,
        Entry::Publish(_)
        | Entry::StreamCreate(_)
        | Entry::StreamUpdate(_)
        | Entry::ConsumerCreate(_)
        | Entry::ConsumerUpdate(_)
        | Entry::RestoreBegin(_)
        | Entry::RestoreConsumer(_)
        | Entry::RestoreEnd(_)
        | Entry::Memphis(_) => Purpose::Store,
    }
}

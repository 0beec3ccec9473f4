//! Requests on `$JS.API.>`: who may ask, what has to wait, and where each kind is handled.
//!
//! *Invariant:* a request runs when every change proposed before it that bears upon it has been applied,
//! and a reading one when all of them and the messages that were published before it have been applied:
//! each connection reads its own writes. Requests for messages of a consumer never wait.

mod accounts;
mod batch;
mod check;
mod direct;
mod info;
mod messages;
mod streams;

use alloc::boxed::Box;

use bytes::BytesMut;
use protocol::headers::{self, Headers};
use protocol::id::AccountId;
use protocol::js::advisory::ApiLimitReached;
use protocol::js::api::{ApiKind, ApiRequest, is_answered_by_assets};
use protocol::js::check::is_level_supported;
use protocol::js::config::ConsumerCreateRequest;
use protocol::js::enums::Retention;
use protocol::js::errors::{self, ApiError};
use protocol::js::json::{Fields, Strictness, decode};
use protocol::js::request::{PauseRequest, is_empty, is_object};

use crate::JetStream;
use crate::consumer::check_consumer_request;
use crate::env::{ApiCall, Env, NameRules, Purpose};
use crate::shared::{Answer, Scope, Waiter};
use crate::stream::Stream;

pub(crate) use batch::Batch;

/// The header by which a client asks for a server that is new enough.
pub(crate) const REQUIRED_API_LEVEL: &[u8] = b"Nats-Required-Api-Level";

/// Returns a message's headers without the demand for a level, which is not stored.
pub(crate) fn headers_without_level<'a>(block: &'a [u8], scratch: &'a mut BytesMut) -> &'a [u8] {
    match headers::remove(block, REQUIRED_API_LEVEL, scratch) {
        headers::Removed::Nothing => block,
        headers::Removed::Line => scratch,
        headers::Removed::Block => &[],
    }
}

/// How a request comes to be handled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Arrival {
    /// It has just come.
    New,
    /// It has waited for what was under way when it came.
    Waited,
}

impl JetStream {
    /// Handles a request. False if nothing listens on its subject: the client gets the status of no
    /// responders.
    pub fn api(&mut self, env: &mut impl Env, call: &ApiCall<'_>) -> bool {
        self.dispatch(call, Arrival::New, env)
    }

    /// Says whether an account has JetStream.
    #[must_use]
    pub fn is_enabled(&self, account: AccountId) -> bool {
        let account = self.shared.accounts.get(account);
        account.is_some_and(|account| account.limits.is_some())
    }

    /// Handles a request that has waited.
    pub(crate) fn api_again(&mut self, answer: Box<Answer>, env: &mut impl Env) {
        if self.shared.replies.is_held() {
            return self.shared.replies.push_behind_all(Waiter::Read(answer));
        }
        self.dispatch(&answer.call(), Arrival::Waited, env);
    }

    /// Answers a request that was kept with an error.
    pub(crate) fn refuse(&mut self, answer: &Answer, error: &ApiError, env: &mut impl Env) {
        if let Some(request) = ApiRequest::parse(&answer.subject) {
            self.fail(&answer.call(), request.kind, error, env);
        }
    }

    fn dispatch(&mut self, call: &ApiCall<'_>, arrival: Arrival, env: &mut impl Env) -> bool {
        // Unknown requests are met with silence, as a newer server's clients expect.
        let Some(mut request) = ApiRequest::parse(call.msg.subject) else {
            return !is_answered_by_assets(call.msg.subject);
        };
        let kind = request.kind;
        if kind == ApiKind::AccountPurge && self.shared.options.system_account == Some(call.account)
        {
            if let Err(error) = self.purge_account(call, &request, env) {
                self.fail(call, kind, &error, env);
            }
            return true;
        }
        if is_of_cluster(kind) {
            return true;
        }
        if self.closed {
            // Who asks for messages knows no other answer than that nobody is there.
            let asks_for_messages = matches!(
                kind,
                ApiKind::ConsumerNext | ApiKind::DirectGet | ApiKind::DirectGetLast
            );
            if !asks_for_messages {
                self.fail(call, kind, &errors::CLUSTER_NOT_AVAIL, env);
            }
            return !asks_for_messages;
        }
        if kind == ApiKind::ConsumerNext {
            return self.consumer_api(call, &request, env);
        }
        if !self.is_enabled(call.account) {
            self.fail(call, kind, &errors::NOT_ENABLED_FOR_ACCOUNT, env);
            return true;
        }
        let serving;
        if matches!(kind, ApiKind::DirectGet | ApiKind::DirectGetLast) {
            let Some(found) = self.serves_direct(call.account, request.stream) else {
                return false;
            };
            serving = found;
            request.stream = &serving;
        }
        if kind == ApiKind::StreamInfo
            && let Some(id) = self.shared.accounts.stream(call.account, request.stream)
        {
            self.pump_consumed(env, id);
        }
        if self.has_to_wait(call, &request, arrival, env) {
            if self.shared.replies.requests() >= self.shared.options.requests_max {
                self.drop_requests(env);
                return true;
            }
            let answer = Waiter::Read(Box::new(Answer::new(call)));
            self.shared.replies.push_behind_all(answer);
            return true;
        }
        // A reset is answered by the consumer itself, so that a missing one is silent.
        let is_heard = kind != ApiKind::ConsumerReset
            || self
                .stream(call.account, request.stream)
                .is_some_and(|stream| stream.consumers.get(request.consumer).is_some());
        if is_heard
            && !level_is_enough(call)
            && !is_refused_before_level(kind, call, self.strictness())
        {
            self.fail(call, kind, &errors::REQUIRED_API_LEVEL, env);
            return true;
        }
        self.run(call, &request, env)
    }

    /// More requests wait than the server allows. Those who asked time out and ask again; the operator
    /// is told, as in NATS.
    fn drop_requests(&mut self, env: &mut impl Env) {
        let dropped = self.shared.replies.requests() + 1;
        self.shared.replies.drop_requests();
        let Some(system) = self.shared.options.system_account else {
            return;
        };
        let options = &self.shared.options;
        let (server, domain) = (options.server_name.clone(), options.domain.clone());
        let event = ApiLimitReached {
            server: &server,
            domain: &domain,
            dropped: i64::try_from(dropped).unwrap_or(i64::MAX),
        };
        self.shared.advise_as_server(system, &event, env);
    }

    fn run(&mut self, call: &ApiCall<'_>, request: &ApiRequest<'_>, env: &mut impl Env) -> bool {
        let kind = request.kind;
        if kind != ApiKind::StreamDelete
            && let Some(error) = self.is_closed(call.account, request.stream)
        {
            self.fail(call, kind, &error, env);
            return true;
        }
        let result = match kind {
            ApiKind::AccountInfo => self.account_info(call, env),
            ApiKind::StreamCreate => self.stream_create(call, request, env),
            ApiKind::StreamUpdate => self.stream_update(call, request, env),
            ApiKind::StreamNames => self.stream_names(call, env),
            ApiKind::StreamList => self.stream_list(call, env),
            ApiKind::StreamInfo => self.stream_info_request(call, request, env),
            ApiKind::StreamDelete => self.stream_delete(call, request, env),
            ApiKind::StreamPurge => self.stream_purge(call, request, env),
            ApiKind::MsgGet => self.msg_get(call, request, env),
            ApiKind::MsgDelete => self.msg_delete(call, request, env),
            ApiKind::DirectGet | ApiKind::DirectGetLast => {
                self.direct_get(call, request, env);
                Ok(())
            }
            ApiKind::StreamLeaderStepdown
            | ApiKind::StreamPeerRemove
            | ApiKind::StreamPeerEvacuate
            | ApiKind::StreamCancelMove => Err(errors::CLUSTER_REQUIRED),
            ApiKind::StreamSnapshot => self.stream_snapshot(call, request, env),
            ApiKind::StreamRestore => self.stream_restore(call, request, env),
            ApiKind::ConsumerCreate
            | ApiKind::ConsumerCreateNamed
            | ApiKind::ConsumerCreateDurable
            | ApiKind::ConsumerNames
            | ApiKind::ConsumerList
            | ApiKind::ConsumerInfo
            | ApiKind::ConsumerDelete
            | ApiKind::ConsumerNext
            | ApiKind::ConsumerPause
            | ApiKind::ConsumerUnpin
            | ApiKind::ConsumerReset
            | ApiKind::ConsumerLeaderStepdown
            | ApiKind::ConsumerPeerRemove
            | ApiKind::ConsumerPeerEvacuate => return self.consumer_api(call, request, env),
            ApiKind::MetaLeaderStepdown
            | ApiKind::ServerRemove
            | ApiKind::ServerEvacuate
            | ApiKind::MetaRescue
            | ApiKind::AccountPurge
            | ApiKind::AccountStreamMove
            | ApiKind::AccountStreamCancelMove => Ok(()),
        };
        if let Err(error) = result {
            self.fail(call, kind, &error, env);
        }
        true
    }

    fn consumer_api(
        &mut self,
        call: &ApiCall<'_>,
        request: &ApiRequest<'_>,
        env: &mut impl Env,
    ) -> bool {
        let id = self.shared.accounts.stream(call.account, request.stream);
        if let Some(error) = &self.poisoned
            && changes(request.kind)
        {
            let error = error.clone();
            self.fail(call, request.kind, &error, env);
            return true;
        }
        if let Some(stream) = id.and_then(|id| self.streams.get_mut(&id)) {
            let Stream {
                core, consumers, ..
            } = stream;
            return consumers.api(core, call, request, &mut self.shared, env);
        }
        if request.kind == ApiKind::ConsumerNext {
            return false;
        }
        // A reset is answered by the consumer itself, so that a missing one is silent.
        if request.kind != ApiKind::ConsumerReset {
            let checked = check_consumer_request(call, request, self.strictness());
            let error = checked.err().unwrap_or(errors::STREAM_NOT_FOUND);
            self.fail(call, request.kind, &error, env);
        }
        true
    }

    /// Returns whether something that the request must see is still under way.
    fn has_to_wait(
        &self,
        call: &ApiCall<'_>,
        request: &ApiRequest<'_>,
        arrival: Arrival,
        env: &impl Env,
    ) -> bool {
        let replies = &self.shared.replies;
        // Nothing that is under way will ever be applied.
        if self.poisoned.is_some() {
            return false;
        }
        if replies.has_changes_under_way() {
            let overtakes = arrival == Arrival::New && replies.requests() > 0;
            return overtakes || !self.has_room_beside_changes(call, request);
        }
        if arrival == Arrival::Waited || changes(request.kind) {
            return false;
        }
        if request.stream.is_empty() {
            return replies.is_under_way(replies.last_proposed());
        }
        let id = self.shared.accounts.stream(call.account, request.stream);
        let stream = id.and_then(|id| self.streams.get(&id));
        stream.is_some_and(|stream| {
            // On a full disk acks lie in wait until there is space; whoever asks is answered all the same.
            let consumed = stream.core.consumed();
            let consumed = consumed.filter(|_| env.has_room(0, Purpose::Store));
            replies.is_under_way(stream.core.proposed().max(consumed))
        })
    }

    /// Returns whether a request asks for something new that nothing under way bears upon: thousands of
    /// streams or consumers share a sync, like messages, instead of waiting for one each.
    fn has_room_beside_changes(&self, call: &ApiCall<'_>, request: &ApiRequest<'_>) -> bool {
        let replies = &self.shared.replies;
        let limits = self.limits(call.account);
        #[expect(
            clippy::wildcard_enum_match_arm,
            reason = "everything else waits for what is under way"
        )]
        match request.kind {
            ApiKind::StreamCreate => {
                call.rules == NameRules::Nats
                    && limits.max_streams <= 0
                    && replies.has_room_beside(Scope::NewStream)
            }
            ApiKind::ConsumerCreateNamed | ApiKind::ConsumerCreateDurable => {
                let id = self.shared.accounts.stream(call.account, request.stream);
                let Some(stream) = id.and_then(|id| self.streams.get(&id)) else {
                    return false;
                };
                let config = stream.core.config();
                !request.consumer.is_empty()
                    && config.retention != Retention::WorkQueue
                    && config.max_consumers <= 0
                    && limits.max_consumers <= 0
                    && replies.has_room_beside(Scope::Consumer(stream.core.id(), request.consumer))
            }
            _ => false,
        }
    }

    pub(crate) fn strictness(&self) -> Strictness {
        if self.shared.options.strict {
            Strictness::Strict
        } else {
            Strictness::Lax
        }
    }

    /// Answers a request.
    fn succeed(
        &mut self,
        call: &ApiCall<'_>,
        kind: ApiKind,
        body: &impl Fields,
        env: &mut impl Env,
    ) {
        self.shared.respond(call, kind, &[], body, env);
    }

    /// Answers a request with an error.
    fn fail(&mut self, call: &ApiCall<'_>, kind: ApiKind, error: &ApiError, env: &mut impl Env) {
        if matches!(kind, ApiKind::DirectGet | ApiKind::DirectGetLast) {
            return direct::refuse(call, error, env);
        }
        self.shared.respond_error(call, kind, error, env);
    }

    /// Returns the stream that a request names.
    fn named(&self, call: &ApiCall<'_>, request: &ApiRequest<'_>) -> Result<&Stream, ApiError> {
        self.stream(call.account, request.stream)
            .ok_or(errors::STREAM_NOT_FOUND)
    }
}

/// Returns whether a request changes something, so that reading its own connection's publishes does
/// not matter to it.
fn changes(kind: ApiKind) -> bool {
    matches!(
        kind,
        ApiKind::StreamCreate
            | ApiKind::StreamUpdate
            | ApiKind::StreamDelete
            | ApiKind::StreamPurge
            | ApiKind::MsgDelete
            | ApiKind::ConsumerCreate
            | ApiKind::ConsumerCreateNamed
            | ApiKind::ConsumerCreateDurable
            | ApiKind::ConsumerDelete
            | ApiKind::ConsumerPause
            | ApiKind::ConsumerReset
    )
}

/// Requests that only a cluster's servers answer, or the system account's.
fn is_of_cluster(kind: ApiKind) -> bool {
    matches!(
        kind,
        ApiKind::MetaLeaderStepdown
            | ApiKind::ServerRemove
            | ApiKind::ServerEvacuate
            | ApiKind::MetaRescue
            | ApiKind::AccountPurge
            | ApiKind::AccountStreamMove
            | ApiKind::AccountStreamCancelMove
    )
}

/// Returns whether a request is refused before anybody looks at the level that it wants.
fn is_refused_before_level(kind: ApiKind, call: &ApiCall<'_>, strictness: Strictness) -> bool {
    let needs_cluster = matches!(
        kind,
        ApiKind::StreamPeerRemove
            | ApiKind::StreamLeaderStepdown
            | ApiKind::StreamCancelMove
            | ApiKind::StreamPeerEvacuate
            | ApiKind::ConsumerLeaderStepdown
            | ApiKind::ConsumerPeerRemove
            | ApiKind::ConsumerPeerEvacuate
    );
    let payload = call.msg.payload;
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "of all others the level is looked at first"
    )]
    match kind {
        ApiKind::ConsumerInfo => !is_empty(payload),
        ApiKind::ConsumerCreate | ApiKind::ConsumerCreateNamed | ApiKind::ConsumerCreateDurable => {
            decode::<ConsumerCreateRequest>(payload, strictness).is_err()
        }
        ApiKind::ConsumerPause => {
            is_object(payload) && decode::<PauseRequest>(payload, strictness).is_err()
        }
        _ => needs_cluster,
    }
}

pub(crate) fn level_is_enough(call: &ApiCall<'_>) -> bool {
    let wanted = Headers::new(call.msg.headers).get(REQUIRED_API_LEVEL);
    wanted.is_none_or(is_level_supported)
}

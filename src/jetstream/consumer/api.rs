//! Requests about consumers.
//!
//! *Invariant:* a change of a logged consumer is answered when its entry has been applied; everything
//! else is answered at once, since the stream machine lets nothing in before its turn.

mod change;
mod create;
mod identity;

use alloc::vec::Vec;

use protocol::js::api::{ApiKind, ApiRequest};
use protocol::js::check::{is_group_name, resolve_consumer_request, shown_metadata};
use protocol::js::config::ConsumerCreateRequest;
use protocol::js::errors::{self, ApiError};
use protocol::js::info::ConsumerInfo;
use protocol::js::json::{Strictness, decode};
use protocol::js::limits::{LIST_PAGE, NAMES_PAGE};
use protocol::js::request::{
    ConsumersRequest, PauseRequest, UnpinRequest, decode_optional, is_empty, is_object,
};
use protocol::js::response::{Listed, Page};

use super::{Consumer, Consumers};
use crate::env::{ApiCall, Env};
use crate::shared::Shared;
use crate::stream::StreamCore;

/// What a handler works with.
pub(super) struct Request<'a, E> {
    pub(super) core: &'a mut StreamCore,
    pub(super) call: &'a ApiCall<'a>,
    pub(super) api: &'a ApiRequest<'a>,
    pub(super) shared: &'a mut Shared,
    pub(super) env: &'a mut E,
}

impl<E: Env> Request<'_, E> {
    fn strictness(&self) -> Strictness {
        if self.shared.options.strict {
            Strictness::Strict
        } else {
            Strictness::Lax
        }
    }

    fn respond(&mut self, body: &impl protocol::js::json::Fields) {
        self.respond_with(&[], body);
    }

    fn respond_with(&mut self, headers: &[u8], body: &impl protocol::js::json::Fields) {
        self.shared
            .respond(self.call, self.api.kind, headers, body, self.env);
    }
}

/// Checks what can be checked of a request without its stream, as nats-server does before it looks for
/// one.
///
/// # Errors
/// What is wrong with the request.
pub(crate) fn check_consumer_request(
    call: &ApiCall<'_>,
    request: &ApiRequest<'_>,
    strictness: Strictness,
) -> Result<(), ApiError> {
    let payload = call.msg.payload;
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "requests about streams end elsewhere"
    )]
    match request.kind {
        ApiKind::ConsumerCreate | ApiKind::ConsumerCreateNamed | ApiKind::ConsumerCreateDurable => {
            let mut body: ConsumerCreateRequest = decode(payload, strictness)?;
            resolve_consumer_request(request, &mut body)
        }
        ApiKind::ConsumerNames | ApiKind::ConsumerList => {
            decode_optional::<ConsumersRequest>(payload)?;
            Ok(())
        }
        ApiKind::ConsumerInfo | ApiKind::ConsumerDelete if !is_empty(payload) => {
            Err(errors::NOT_EMPTY_REQUEST)
        }
        ApiKind::ConsumerPause if is_object(payload) => {
            decode::<PauseRequest>(payload, strictness)?;
            Ok(())
        }
        ApiKind::ConsumerUnpin => unpin_request(payload).map(|_| ()),
        ApiKind::ConsumerLeaderStepdown
        | ApiKind::ConsumerPeerRemove
        | ApiKind::ConsumerPeerEvacuate => Err(errors::CLUSTER_REQUIRED),
        _ => Ok(()),
    }
}

/// Reads a request to let go of the pinned client.
fn unpin_request(payload: &[u8]) -> Result<UnpinRequest, ApiError> {
    if payload.trim_ascii().is_empty() {
        return Err(errors::INVALID_JSON.with("unexpected end of JSON input"));
    }
    // Fields that nobody knows are let pass here.
    let body: UnpinRequest = decode(payload, Strictness::Lax)?;
    if body.group.is_empty() {
        return Err(errors::INVALID_JSON.with("consumer group not specified"));
    }
    if !is_group_name(&body.group) {
        return Err(errors::CONSUMER_INVALID_GROUP_NAME);
    }
    Ok(body)
}

impl Consumers {
    /// Handles a request of one of the `ApiKind::Consumer*`. False if nothing listens there. All but
    /// `ConsumerNext` come here when every change proposed before them has been applied.
    pub fn api(
        &mut self,
        core: &mut StreamCore,
        call: &ApiCall<'_>,
        request: &ApiRequest<'_>,
        shared: &mut Shared,
        env: &mut impl Env,
    ) -> bool {
        if request.kind == ApiKind::ConsumerNext {
            return self.request_next(core, request.consumer, call, shared, env);
        }
        self.settle_lost(core, shared, env);
        let mut request = Request {
            core,
            call,
            api: request,
            shared,
            env,
        };
        if let Err(error) = self.handle(&mut request) {
            let kind = request.api.kind;
            request
                .shared
                .respond_error(call, kind, &error, request.env);
        }
        true
    }

    fn handle<E: Env>(&mut self, request: &mut Request<'_, E>) -> Result<(), ApiError> {
        #[expect(
            clippy::wildcard_enum_match_arm,
            reason = "requests about streams end elsewhere"
        )]
        match request.api.kind {
            ApiKind::ConsumerCreate
            | ApiKind::ConsumerCreateNamed
            | ApiKind::ConsumerCreateDurable => self.create(request),
            ApiKind::ConsumerNames => self.names(request),
            ApiKind::ConsumerList => self.list(request),
            ApiKind::ConsumerInfo => self.tell(request),
            ApiKind::ConsumerDelete => self.delete(request),
            ApiKind::ConsumerPause => self.pause(request),
            ApiKind::ConsumerUnpin => self.unpin(request),
            ApiKind::ConsumerReset => self.reset(request),
            ApiKind::ConsumerLeaderStepdown
            | ApiKind::ConsumerPeerRemove
            | ApiKind::ConsumerPeerEvacuate => Err(errors::CLUSTER_REQUIRED),
            _ => Ok(()),
        }
    }

    fn names<E: Env>(&mut self, request: &mut Request<'_, E>) -> Result<(), ApiError> {
        let body: ConsumersRequest = decode_optional(request.call.msg.payload)?;
        let page = Page::new(self.listed().count(), body.offset, NAMES_PAGE);
        let names = self.listed().skip(page.offset).take(NAMES_PAGE);
        let listed = Listed {
            page,
            key: "consumers",
            entries: &names.map(Consumer::name).collect::<Vec<&str>>(),
        };
        request.respond(&listed);
        Ok(())
    }

    fn list<E: Env>(&mut self, request: &mut Request<'_, E>) -> Result<(), ApiError> {
        let body: ConsumersRequest = decode_optional(request.call.msg.payload)?;
        let (stream, now) = (&*request.core, request.env.now().wall);
        let page = Page::new(self.listed().count(), body.offset, LIST_PAGE);
        let infos = self.listed().skip(page.offset).take(LIST_PAGE);
        let listed = Listed {
            page,
            key: "consumers",
            entries: &infos
                .map(|c| c.snapshot_info(stream, now))
                .collect::<Vec<ConsumerInfo>>(),
        };
        request.respond(&listed);
        Ok(())
    }

    fn tell<E: Env>(&mut self, request: &mut Request<'_, E>) -> Result<(), ApiError> {
        if !is_empty(request.call.msg.payload) {
            return Err(errors::NOT_EMPTY_REQUEST);
        }
        let info = self
            .shown(request.api.consumer, request)
            .ok_or(errors::CONSUMER_NOT_FOUND)?;
        request.respond(&info);
        Ok(())
    }

    /// Returns a consumer as responses about it alone show it.
    fn shown<E: Env>(&mut self, name: &str, request: &mut Request<'_, E>) -> Option<ConsumerInfo> {
        let mut info = self.info(request.core, name, request.shared, request.env)?;
        let version = &request.shared.options.version;
        info.config.metadata = shown_metadata(&info.config.metadata, version);
        Some(info)
    }

    /// Returns the consumers that clients may know of, in the order of their names.
    fn listed(&self) -> impl Iterator<Item = &Consumer> {
        self.iter().filter(|consumer| !consumer.config().direct)
    }
}

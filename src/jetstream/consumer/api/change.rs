//! Requests that end, pause, unpin or restart a consumer, and the answers to all changes.
//!
//! *Invariant:* the answer tells what has been applied, not what was asked for.

use alloc::boxed::Box;

use bytes::Bytes;
use protocol::id::{ConsumerId, LogPos, Seq};
use protocol::js::api::{ApiKind, ApiRequest};
use protocol::js::check::set_consumer_level;
use protocol::js::enums::DeliverPolicy;
use protocol::js::errors::{self, ApiError};
use protocol::js::json::{Strictness, decode};
use protocol::js::request::{PauseRequest, ResetRequest, is_empty, is_object};
use protocol::js::response::{ConsumerWasReset, Empty, Paused, Success};
use protocol::text::duration::Nanos;
use protocol::time::Wall;

use super::super::advisory;
use super::super::cx::Cx;
use super::super::delta::Op;
use super::super::machine::Consumer;
use super::super::{Consumers, after};
use super::create::propose;
use super::{Request, identity, unpin_request};
use crate::entry::Entry;
use crate::env::Env;
use crate::shared::{Answer, Scope, Shared};
use crate::stream::StreamCore;

impl Consumers {
    pub(super) fn delete<E: Env>(&mut self, request: &mut Request<'_, E>) -> Result<(), ApiError> {
        if !is_empty(request.call.msg.payload) {
            return Err(errors::NOT_EMPTY_REQUEST);
        }
        let consumer = self
            .get(request.api.consumer)
            .ok_or(errors::CONSUMER_NOT_FOUND)?;
        let (id, logged) = (consumer.id, consumer.logged);
        if logged {
            let entry = Entry::ConsumerDelete {
                stream: request.core.id(),
                consumer: id,
            };
            propose(&entry, Scope::Everything, request);
            return Ok(());
        }
        self.remove(id, request.core, request.shared, request.env);
        self.answer_change(id, request);
        Ok(())
    }

    pub(super) fn pause<E: Env>(&mut self, request: &mut Request<'_, E>) -> Result<(), ApiError> {
        let payload = request.call.msg.payload;
        let body = if is_object(payload) {
            decode(payload, request.strictness())?
        } else {
            PauseRequest::default()
        };
        let consumer = self
            .get(request.api.consumer)
            .ok_or(errors::CONSUMER_NOT_FOUND)?;
        let (identity, mut config) = (consumer.identity(), consumer.config.clone());
        config.pause_until = Some(body.pause_until).filter(|until| *until != Wall(0));
        set_consumer_level(&mut config);
        self.put_config(identity, config, request)
    }

    pub(super) fn unpin<E: Env>(&mut self, request: &mut Request<'_, E>) -> Result<(), ApiError> {
        let body = unpin_request(request.call.msg.payload)?;
        let name = request.api.consumer;
        let consumer = self.get(name).ok_or(errors::CONSUMER_NOT_FOUND)?;
        if !consumer.config.priority_groups.contains(&body.group) {
            return Err(errors::CONSUMER_INVALID_PRIORITY_GROUP);
        }
        self.with_named(
            name,
            request.core,
            request.shared,
            request.env,
            |consumer, cx, _| {
                consumer.unpin("admin", cx);
            },
        );
        request.respond(&Empty);
        Ok(())
    }

    /// Starts a consumer again. Nobody answers for a consumer that is not there.
    pub(super) fn reset<E: Env>(&mut self, request: &mut Request<'_, E>) -> Result<(), ApiError> {
        let Some(key) = self.by_name.get(request.api.consumer).copied() else {
            return Ok(());
        };
        let Some(consumer) = self.table.get_mut(key) else {
            return Ok(());
        };
        let payload = request.call.msg.payload;
        // A body of blanks is not the same as none.
        if !payload.is_empty() && payload.trim_ascii().is_empty() {
            return Err(errors::INVALID_JSON.with("unexpected end of JSON input"));
        }
        let body: ResetRequest = decode(payload, Strictness::Lax)?;
        let next = consumer.reset_target(body.seq, request.core)?;
        let mut cx = Cx::new(request.core, request.shared, request.env);
        let (id, logged) = (consumer.id, consumer.logged);
        if let Some(pos) = consumer.restart(next, &mut cx) {
            let answer = Box::new(Answer::new(request.call));
            cx.shared
                .replies
                .push_change(pos, Scope::Everything, answer);
        }
        after(consumer, key, &mut self.touched, &mut cx);
        if !logged {
            self.release_unwanted(request.core);
            self.answer_change(id, request);
        }
        Ok(())
    }

    /// Starts a consumer again behind what it has acknowledged, if it is there.
    pub(super) fn begin_again<E: Env>(&mut self, id: ConsumerId, request: &mut Request<'_, E>) {
        let found = self.by_id.get(&id).copied();
        let Some((key, consumer)) = found.and_then(|key| Some((key, self.table.get_mut(key)?)))
        else {
            return;
        };
        let next = consumer.state.ack_floor().stream.next();
        let mut cx = Cx::new(request.core, request.shared, request.env);
        consumer.restart(next, &mut cx);
        after(consumer, key, &mut self.touched, &mut cx);
    }

    /// Answers whoever asked for the change that was applied at `pos`.
    pub(in super::super) fn answer_applied(
        &mut self,
        pos: LogPos,
        id: ConsumerId,
        core: &mut StreamCore,
        shared: &mut Shared,
        env: &mut impl Env,
    ) {
        let Some(answer) = shared.replies.take_change(pos) else {
            return;
        };
        let call = answer.call();
        let Some(api) = ApiRequest::parse(call.msg.subject) else {
            return;
        };
        let mut request = Request {
            core,
            call: &call,
            api: &api,
            shared,
            env,
        };
        self.answer_change(id, &mut request);
    }

    /// Answers a change that has been made.
    pub(super) fn answer_change<E: Env>(&mut self, id: ConsumerId, request: &mut Request<'_, E>) {
        let kind = request.api.kind;
        if kind == ApiKind::ConsumerDelete {
            return request.respond(&Success { success: true });
        }
        let found = self.by_id.get(&id).and_then(|key| self.table.get(*key));
        let Some(consumer) = found else {
            let error = errors::CONSUMER_NOT_FOUND;
            return request
                .shared
                .respond_error(request.call, kind, &error, request.env);
        };
        if kind == ApiKind::ConsumerPause {
            let paused = consumer.paused(request.env.now().wall);
            return request.respond(&paused);
        }
        let (name, reset_seq) = (consumer.owned_name(), consumer.reset_seq);
        let tells = if kind == ApiKind::ConsumerReset {
            identity::is_asked_for(request.call)
        } else {
            identity::is_told_to(&consumer.config)
        };
        let Some(info) = self.shown(&name, request) else {
            return;
        };
        let headers = if tells {
            identity::headers(request.core)
        } else {
            Bytes::new()
        };
        if kind == ApiKind::ConsumerReset {
            let body = ConsumerWasReset {
                info: &info,
                reset_seq: reset_seq.0,
            };
            return request.respond_with(&headers, &body);
        }
        request.respond_with(&headers, &info);
        self.tell_pause(id, request);
    }

    /// Tells of a consumer that starts paused, or is found so by whoever asks for it.
    fn tell_pause<E: Env>(&mut self, id: ConsumerId, request: &mut Request<'_, E>) {
        let found = self.by_id.get(&id).and_then(|key| self.table.get(*key));
        let is_paused =
            |consumer: &&Consumer| consumer.pause_remaining_ns(request.env.now().wall) > 0;
        if let Some(consumer) = found.filter(is_paused) {
            let mut cx = Cx::new(request.core, request.shared, request.env);
            advisory::paused(consumer, &mut cx);
        }
    }
}

impl Consumer {
    /// Returns where a reset may go.
    fn reset_target(&self, asked: u64, core: &StreamCore) -> Result<Seq, ApiError> {
        if asked == 0 {
            return Ok(self.state.ack_floor().stream.next());
        }
        let (first, below) = match self.config.deliver_policy {
            DeliverPolicy::All => (Seq(0), ""),
            DeliverPolicy::ByStartSequence => (Seq(self.config.opt_start_seq), "below start seq"),
            DeliverPolicy::ByStartTime => {
                let time = self.config.opt_start_time.unwrap_or_default();
                (core.index.first_since(time), "below start time")
            }
            DeliverPolicy::Last | DeliverPolicy::New | DeliverPolicy::LastPerSubject => {
                return Err(errors::CONSUMER_INVALID_RESET.with("not allowed"));
            }
        };
        if Seq(asked) < first {
            return Err(errors::CONSUMER_INVALID_RESET.with(below));
        }
        Ok(Seq(asked))
    }

    /// Starts again at `next`. Returns where the log says so, if it does.
    fn restart<E: Env>(&mut self, next: Seq, cx: &mut Cx<'_, E>) -> Option<LogPos> {
        // What was recorded before belongs to acks that are answered first.
        self.flush(cx);
        self.change(Op::Reset { next }, cx.env.now().wall);
        self.reset_seq = next;
        self.redeliver.clear();
        self.spent.clear();
        self.queued = 0;
        self.deadlines.rebuild(&self.state);
        self.resume(cx.core);
        self.ready = true;
        self.flush(cx)
    }

    fn paused(&self, now: Wall) -> Paused {
        let remaining = self.pause_remaining_ns(now);
        Paused {
            paused: remaining > 0,
            pause_until: self.config.pause_until.unwrap_or_default(),
            pause_remaining: Nanos(i64::try_from(remaining).unwrap_or(i64::MAX)),
        }
    }
}

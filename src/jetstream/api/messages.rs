//! Reading one message as JSON.

use alloc::boxed::Box;
use alloc::string::String;

use bytes::Bytes;
use protocol::id::Seq;
use protocol::js::api::{ApiKind, ApiRequest};
use protocol::js::errors::{self, ApiError};
use protocol::js::info::StoredMessage;
use protocol::js::json::{Strictness, decode};
use protocol::js::request::MsgGetRequest;
use protocol::js::response::Message;
use protocol::store::ReadError;

use super::direct;
use crate::JetStream;
use crate::entry::Stored;
use crate::env::{ApiCall, Env};
use crate::shared::{Answer, Reader};
use crate::stream::{MsgRead, StreamCore};

impl JetStream {
    pub(super) fn msg_get(
        &mut self,
        call: &ApiCall<'_>,
        request: &ApiRequest<'_>,
        env: &mut impl Env,
    ) -> Result<(), ApiError> {
        if call.msg.payload.is_empty() {
            return Err(errors::BAD_REQUEST);
        }
        let body: MsgGetRequest = decode(call.msg.payload, self.strictness())?;
        check_one_message(&body)?;
        let core = &self.named(call, request)?.core;
        let Some(seq) = find(core, &body) else {
            return Err(errors::NO_MESSAGE_FOUND);
        };
        self.read_for(call, request, seq, env)
    }

    /// Reads a message and answers the request with it, now or when the disk has answered.
    pub(super) fn read_for(
        &mut self,
        call: &ApiCall<'_>,
        request: &ApiRequest<'_>,
        seq: Seq,
        env: &mut impl Env,
    ) -> Result<(), ApiError> {
        let core = &self.named(call, request)?.core;
        match core.read(seq, env) {
            MsgRead::Hit(entry) => self.answer_read(call, request, seq, &entry, env),
            MsgRead::Pending(read) => {
                let answer = Box::new(Answer::new(call));
                self.shared.reads.insert(read, Reader::Get(answer, seq));
                Ok(())
            }
            MsgRead::Gone => Err(errors::NO_MESSAGE_FOUND),
            MsgRead::Failed(error) => Err(self.lost(call, request, seq, error)),
        }
    }

    /// Answers a request whose message has been read from disk.
    pub(crate) fn answer_get(
        &mut self,
        answer: &Answer,
        seq: Seq,
        result: &Result<Bytes, ReadError>,
        env: &mut impl Env,
    ) {
        let call = answer.call();
        let Some(mut request) = ApiRequest::parse(&answer.subject) else {
            return;
        };
        let serving;
        if request.kind != ApiKind::MsgGet
            && let Some(found) = self.serves_direct(call.account, request.stream)
        {
            serving = found;
            request.stream = &serving;
        }
        let answered = match result {
            Ok(entry) => self.answer_read(&call, &request, seq, entry, env),
            Err(error) => Err(self.lost(&call, &request, seq, *error)),
        };
        if let Err(error) = answered {
            self.fail(&call, request.kind, &error, env);
        }
    }

    /// Notes that a message is there but cannot be read; returns what the client is told.
    fn lost(
        &mut self,
        call: &ApiCall<'_>,
        request: &ApiRequest<'_>,
        seq: Seq,
        error: ReadError,
    ) -> ApiError {
        let id = self.shared.accounts.stream(call.account, request.stream);
        if let Some(stream) = id.and_then(|id| self.streams.get_mut(&id)) {
            stream.core.note_lost(seq);
        }
        errors::STREAM_STORE_FAILED.with(error)
    }

    fn answer_read(
        &mut self,
        call: &ApiCall<'_>,
        request: &ApiRequest<'_>,
        seq: Seq,
        entry: &Bytes,
        env: &mut impl Env,
    ) -> Result<(), ApiError> {
        let Ok(msg) = Stored::of(entry) else {
            return Err(self.lost(call, request, seq, ReadError::Damaged));
        };
        if request.kind != ApiKind::MsgGet {
            let to = (call.account, call.msg.reply);
            let body: MsgGetRequest = decode(call.msg.payload, Strictness::Lax)?;
            if body.no_hdr {
                direct::send_bare(to, &msg, env);
            } else {
                let stream = request.stream;
                direct::send(to, stream, seq, &msg, None, &mut self.shared, env);
            }
            return Ok(());
        }
        let body: MsgGetRequest = decode(call.msg.payload, self.strictness())?;
        let subject = String::from_utf8_lossy(msg.subject);
        let message = StoredMessage {
            subject: &subject,
            seq: seq.0,
            headers: if body.no_hdr { &[] } else { msg.headers },
            payload: msg.payload,
            time: msg.time,
        };
        self.succeed(call, ApiKind::MsgGet, &Message(message), env);
        Ok(())
    }
}

/// Returns the message that a request means.
pub(super) fn find(core: &StreamCore, body: &MsgGetRequest) -> Option<Seq> {
    if body.last_by_subj == ">" {
        // Of all subjects nats-server looks at the stream's last sequence alone, which may be deleted.
        return core.index.meta(core.index.last_seq()).map(|meta| meta.seq);
    }
    if !body.last_by_subj.is_empty() {
        return core.last_by_subject(body.last_by_subj.as_bytes());
    }
    let from = match body.start_time {
        Some(time) => core.index.first_since(time),
        None => Seq(body.seq),
    };
    if !body.next_by_subj.is_empty() {
        let filter = core.filter(body.next_by_subj.as_bytes());
        return core.index.next(&filter, from);
    }
    core.index.meta(from).map(|meta| meta.seq)
}

/// Checks that a request asks for one message and says which in one way.
fn check_one_message(body: &MsgGetRequest) -> Result<(), ApiError> {
    let by_last = !body.last_by_subj.is_empty();
    let by_next = !body.next_by_subj.is_empty();
    let by_time = body.start_time.is_some();
    // What else direct gets of several messages have is passed over, as nats-server does.
    let many = body.batch > 0 || body.max_bytes > 0;
    let by_seq = body.seq > 0;
    let nothing = !(by_seq || by_last || by_next || by_time);
    let starts = u8::from(by_seq) + u8::from(by_time) + u8::from(by_last);
    if many || nothing || starts > 1 || (by_last && by_next) {
        return Err(errors::BAD_REQUEST);
    }
    Ok(())
}

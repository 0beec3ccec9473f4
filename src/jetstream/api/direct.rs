//! Direct gets: messages as they are, with where it comes from in its headers.

use alloc::borrow::Cow;

use bytes::{BufMut, BytesMut};
use protocol::headers;
use protocol::id::{AccountId, Seq};
use protocol::js::api::{ApiKind, ApiRequest};
use protocol::js::errors::{self, ApiError};
use protocol::js::json::{Strictness, decode};
use protocol::js::request::MsgGetRequest;
use protocol::text::rfc3339::Rfc3339;

use super::messages::find;
use crate::JetStream;
use crate::entry::Stored;
use crate::env::{ApiCall, Env, Outgoing};
use crate::shared::{Shared, send_status};

const NOT_FOUND: &[u8] = b"NATS/1.0 404 Message Not Found\r\n\r\n";
const EMPTY_REQUEST: &[u8] = b"NATS/1.0 408 Empty Request\r\n\r\n";
const MALFORMED_REQUEST: &[u8] = b"NATS/1.0 408 Malformed Request\r\n\r\n";
const BAD_REQUEST: &[u8] = b"NATS/1.0 408 Bad Request\r\n\r\n";
const LEVEL_REQUIRED: &[u8] = b"NATS/1.0 412 Required Api Level\r\n\r\n";

/// The end of a header block: the empty line, which new lines go before.
const BLOCK_END: &[u8] = b"\r\n";

impl JetStream {
    /// Returns which stream answers direct gets of a stream: itself, or a mirror in its stead; if none does, nobody
    /// listens.
    pub(super) fn serves_direct<'a>(
        &self,
        account: AccountId,
        name: &'a str,
    ) -> Option<Cow<'a, str>> {
        let stream = self.stream(account, name);
        if stream.is_some_and(|stream| stream.core.config().allow_direct) {
            return Some(Cow::Borrowed(name));
        }
        self.mirror_for(account, name).map(Cow::Owned)
    }

    pub(super) fn direct_get(
        &mut self,
        call: &ApiCall<'_>,
        request: &ApiRequest<'_>,
        env: &mut impl Env,
    ) {
        let reply = call.msg.reply;
        let mut body = match read_body(call) {
            Ok(body) => body,
            Err(status) => return send_status(call.account, reply, status, env),
        };
        if request.kind == ApiKind::DirectGetLast {
            body.last_by_subj = request.rest.into();
        }
        if let Some(status) = refusal(&body) {
            return send_status(call.account, reply, status, env);
        }
        if body.batch != 0 || !body.multi_last.is_empty() {
            if let Some(id) = self.shared.accounts.stream(call.account, request.stream) {
                self.direct_batch(call, id, &body, env);
            }
            return;
        }
        let found = self.named(call, request).map(|s| find(&s.core, &body));
        let result = match found {
            Ok(Some(seq)) => self.read_for(call, request, seq, env),
            Ok(None) => Err(errors::NO_MESSAGE_FOUND),
            Err(error) => Err(error),
        };
        if let Err(error) = result {
            refuse(call, &error, env);
        }
    }
}

/// Answers a direct get with a status.
pub(super) fn refuse(call: &ApiCall<'_>, error: &ApiError, env: &mut impl Env) {
    let reply = call.msg.reply;
    if error.is(&errors::NO_MESSAGE_FOUND) || error.is(&errors::STREAM_NOT_FOUND) {
        return send_status(call.account, reply, NOT_FOUND, env);
    }
    if error.is(&errors::REQUIRED_API_LEVEL) {
        return send_status(call.account, reply, LEVEL_REQUIRED, env);
    }
    let text = alloc::format!("NATS/1.0 {} {}\r\n\r\n", error.code, error.description);
    send_status(call.account, reply, text.as_bytes(), env);
}

/// Reads the body of a direct get; a get by subject need not have one.
fn read_body(call: &ApiCall<'_>) -> Result<MsgGetRequest, &'static [u8]> {
    decode(call.msg.payload, Strictness::Lax).map_err(|_| MALFORMED_REQUEST)
}

/// Returns the status of a request that does not say which messages it wants, or says it twice.
fn refusal(body: &MsgGetRequest) -> Option<&'static [u8]> {
    let by_seq = body.seq > 0;
    let by_time = body.start_time.is_some();
    let by_last = !body.last_by_subj.is_empty();
    let by_next = !body.next_by_subj.is_empty();
    let by_lasts = !body.multi_last.is_empty();
    if !(by_seq || by_time || by_last || by_next || by_lasts) {
        return Some(EMPTY_REQUEST);
    }
    let twice = (by_seq && (by_time || by_last))
        || (by_last && (by_next || by_time || by_lasts || body.batch > 0))
        || (by_next && by_lasts)
        || (body.up_to_seq > 0 && body.up_to_time.is_some());
    twice.then_some(BAD_REQUEST)
}

/// What a message of a batch tells in addition.
#[derive(Clone, Copy, Debug)]
pub(super) struct Extra {
    /// How many messages come after it.
    pub(super) pending: u64,
    /// The message before it.
    pub(super) last: Seq,
}

/// Sends a stored message with where it comes from added to its headers.
pub(super) fn send(
    (account, reply): (AccountId, &[u8]),
    stream: &str,
    seq: Seq,
    msg: &Stored<'_>,
    extra: Option<Extra>,
    shared: &mut Shared,
    env: &mut impl Env,
) {
    let out = &mut shared.scratch;
    out.clear();
    out.put_slice(headers::open(msg.headers));
    line(out, b"Nats-Stream: ", stream.as_bytes());
    line(out, b"Nats-Subject: ", msg.subject);
    number(out, b"Nats-Sequence: ", seq.0);
    let time = alloc::format!("{}", Rfc3339(msg.time));
    line(out, b"Nats-Time-Stamp: ", time.as_bytes());
    if let Some(extra) = extra {
        number(out, b"Nats-Num-Pending: ", extra.pending);
        number(out, b"Nats-Last-Sequence: ", extra.last.0);
    }
    out.put_slice(BLOCK_END);
    let msg = Outgoing {
        subject: reply,
        reply: &[],
        headers: out,
        payload: msg.payload,
        shared: Some(msg.entry),
    };
    env.deliver(account, reply, msg);
}

/// Sends a stored message without any headers.
pub(super) fn send_bare(
    (account, reply): (AccountId, &[u8]),
    msg: &Stored<'_>,
    env: &mut impl Env,
) {
    let out = Outgoing {
        subject: reply,
        payload: msg.payload,
        shared: Some(msg.entry),
        ..Outgoing::default()
    };
    env.deliver(account, reply, out);
}

fn number(out: &mut BytesMut, key: &[u8], value: u64) {
    line(out, key, itoa::Buffer::new().format(value).as_bytes());
}

fn line(out: &mut BytesMut, key: &[u8], value: &[u8]) {
    out.put_slice(key);
    out.put_slice(value);
    out.put_slice(BLOCK_END);
}

//! Direct gets: one message as it is, with where it comes from in its headers.

use bytes::{BufMut, BytesMut};
use protocol::headers::VERSION;
use protocol::id::Seq;
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
    /// Returns whether the stream of a direct get answers them; if not, nobody listens.
    pub(super) fn serves_direct(&self, call: &ApiCall<'_>, request: &ApiRequest<'_>) -> bool {
        let stream = self.stream(call.account, request.stream);
        stream.is_some_and(|stream| stream.core.config().allow_direct)
    }

    pub(super) fn direct_get(
        &mut self,
        call: &ApiCall<'_>,
        request: &ApiRequest<'_>,
        env: &mut impl Env,
    ) {
        let reply = call.msg.reply;
        let body = if request.kind == ApiKind::DirectGetLast {
            MsgGetRequest {
                last_by_subj: request.rest.into(),
                ..MsgGetRequest::default()
            }
        } else if call.msg.payload.is_empty() {
            return send_status(call.account, reply, EMPTY_REQUEST, env);
        } else {
            match decode(call.msg.payload, Strictness::Lax) {
                Ok(body) => body,
                Err(_) => return send_status(call.account, reply, MALFORMED_REQUEST, env),
            }
        };
        if body == MsgGetRequest::default() {
            return send_status(call.account, reply, EMPTY_REQUEST, env);
        }
        if body.batch != 0 || !body.multi_last.is_empty() {
            return send_status(call.account, reply, BAD_REQUEST, env);
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

/// Sends a stored message with where it comes from added to its headers.
pub(super) fn send(
    call: &ApiCall<'_>,
    stream: &str,
    seq: Seq,
    msg: &Stored<'_>,
    shared: &mut Shared,
    env: &mut impl Env,
) {
    let headers = &mut shared.scratch;
    headers.clear();
    match msg.headers.strip_suffix(BLOCK_END) {
        Some(block) => headers.put_slice(block),
        None => {
            headers.put_slice(VERSION);
            headers.put_slice(BLOCK_END);
        }
    }
    line(headers, b"Nats-Stream: ", stream.as_bytes());
    line(headers, b"Nats-Subject: ", msg.subject);
    line(
        headers,
        b"Nats-Sequence: ",
        itoa::Buffer::new().format(seq.0).as_bytes(),
    );
    let time = alloc::format!("{}", Rfc3339(msg.time));
    line(headers, b"Nats-Time-Stamp: ", time.as_bytes());
    headers.put_slice(BLOCK_END);
    let out = Outgoing {
        subject: call.msg.reply,
        reply: &[],
        headers,
        payload: msg.payload,
        shared: Some(msg.entry),
    };
    env.deliver(call.account, call.msg.reply, out);
}

fn line(out: &mut BytesMut, key: &[u8], value: &[u8]) {
    out.put_slice(key);
    out.put_slice(value);
    out.put_slice(BLOCK_END);
}

//! Publishing again what a stream has stored, for those who follow it without a consumer.
//!
//! *Invariant:* only live, never during recovery, and without any promise: nobody acknowledges it.

use alloc::string::ToString as _;
use alloc::vec::Vec;

use bytes::BytesMut;
use protocol::headers::HeaderWriter;
use protocol::id::Seq;
use protocol::text::rfc3339::Rfc3339;

use crate::entry::Stored;
use crate::env::{Env, Outgoing};
use crate::stream::StreamCore;

/// Publishes the message `seq` again; `before` is the last message on its subject before it.
pub(crate) fn republish(
    core: &StreamCore,
    seq: Seq,
    before: Seq,
    msg: &Stored<'_>,
    env: &mut impl Env,
) {
    let Some(rule) = core.rules().republish(msg.subject) else {
        return;
    };
    // Two small allocations per message, only for streams that republish.
    let (mut to, mut headers) = (Vec::new(), BytesMut::new());
    rule.transform.apply(msg.subject, env.rng(), &mut to);
    let mut lines = HeaderWriter::continuing(&mut headers, msg.headers);
    lines
        .push(b"Nats-Stream", core.name().as_bytes())
        .push(b"Nats-Subject", msg.subject)
        .push_number(b"Nats-Sequence", seq.0)
        .push(b"Nats-Time-Stamp", Rfc3339(msg.time).to_string().as_bytes())
        .push_number(b"Nats-Last-Sequence", before.0);
    if rule.headers_only {
        let len = u64::try_from(msg.payload.len()).unwrap_or(u64::MAX);
        lines.push_number(b"Nats-Msg-Size", len);
    }
    lines.finish();
    let payload = if rule.headers_only { &[] } else { msg.payload };
    let out = Outgoing {
        subject: &to,
        headers: &headers,
        payload,
        ..Outgoing::default()
    };
    env.deliver(core.account(), &to, out);
}

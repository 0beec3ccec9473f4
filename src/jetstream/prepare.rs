//! What is stored instead of what was sent: the message as the stream's configuration wants it, made
//! before it is proposed, so that an entry holds what is read back later.
//!
//! *Invariant:* a message that needs no change is passed on as it is, without a copy.

use alloc::vec::Vec;

use bytes::BytesMut;
use protocol::headers;
use protocol::rng::Rng;

use crate::env::Inbound;
use crate::stream::StreamCore;

/// A header that servers add between accounts; it is never stored.
const REQUEST_INFO: &[u8] = b"Nats-Request-Info";

/// Where changed parts of a message lie. Nothing is allocated unless one changes.
#[derive(Debug, Default)]
pub(crate) struct Changed {
    subject: Vec<u8>,
    headers: BytesMut,
}

/// Returns the message that `core` takes in for `msg`.
pub(crate) fn prepare<'a>(
    core: &StreamCore,
    msg: Inbound<'a>,
    changed: &'a mut Changed,
    rng: &mut Rng,
) -> Inbound<'a> {
    let Changed { subject, headers } = changed;
    let mut msg = strip_request_info(msg, headers);
    if let Some(transform) = core.rules().transform()
        && transform.matches(msg.subject)
    {
        transform.apply(msg.subject, rng, subject);
        msg.subject = subject;
    }
    msg
}

fn strip_request_info<'a>(msg: Inbound<'a>, out: &'a mut BytesMut) -> Inbound<'a> {
    if msg.headers.is_empty() {
        return msg;
    }
    let headers = match headers::remove(msg.headers, REQUEST_INFO, out) {
        headers::Removed::Nothing => msg.headers,
        headers::Removed::Line => out,
        headers::Removed::Block => &[],
    };
    Inbound { headers, ..msg }
}

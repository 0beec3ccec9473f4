//! What is stored instead of what was sent: the message as the stream's configuration wants it, made
//! before it is proposed, so that an entry holds what is read back later.
//!
//! *Invariant:* a message that needs no change is passed on as it is, without a copy.

use alloc::vec::Vec;

use bytes::BytesMut;
use protocol::headers::{self, Headers};
use protocol::rng::Rng;

use crate::env::Inbound;
use crate::schedule;
use crate::stream::{StreamCore, Ttl};

/// A header that servers add between accounts; it is never stored.
const REQUEST_INFO: &[u8] = b"Nats-Request-Info";

/// How long a message lives.
const TTL: &[u8] = b"Nats-TTL";

/// What a message takes the place of.
const ROLLUP: &[u8] = b"Nats-Rollup";

/// Where changed parts of a message lie. Nothing is allocated unless one changes.
#[derive(Debug, Default)]
pub(crate) struct Changed {
    subject: Vec<u8>,
    headers: BytesMut,
    rolled_up: BytesMut,
    raised: BytesMut,
}

/// Returns the message that `core` takes in for `msg`.
pub(crate) fn prepare<'a>(
    core: &StreamCore,
    msg: Inbound<'a>,
    changed: &'a mut Changed,
    rng: &mut Rng,
) -> Inbound<'a> {
    let Changed {
        subject,
        headers,
        rolled_up,
        raised,
    } = changed;
    let mut msg = strip_request_info(msg, headers);
    if let Some(transform) = core.rules().transform()
        && transform.matches(msg.subject)
    {
        transform.apply(msg.subject, rng, subject);
        msg.subject = subject;
    }
    if core.rules().allow_msg_schedules && replaces_schedule(msg.headers) {
        headers::set(msg.headers, ROLLUP, b"sub", rolled_up);
        msg.headers = rolled_up;
    }
    if let Some(seconds) = ttl_to_raise(core, msg.headers) {
        raise_ttl(msg.headers, seconds, raised);
        msg.headers = raised;
    }
    msg
}

/// Returns whether a message is a schedule that does not say what it takes the place of: it is the one
/// before it on its subject.
fn replaces_schedule(block: &[u8]) -> bool {
    let headers = Headers::new(block);
    let is_there = |key| headers.get(key).is_some_and(|value| !value.is_empty());
    is_there(schedule::PATTERN) && !is_there(ROLLUP)
}

/// Returns the seconds that a message has to live at least so that the marker of its subject's end
/// does not go before it; nothing if it lives that long, or if no message but the last counts.
fn ttl_to_raise(core: &StreamCore, headers: &[u8]) -> Option<u64> {
    if headers.is_empty() {
        return None;
    }
    let config = core.config();
    let marker = u64::try_from(config.subject_delete_marker_ttl.0).unwrap_or(0) / 1_000_000_000;
    if marker == 0 || config.max_msgs_per_subject == 1 {
        return None;
    }
    match Ttl::parse(Headers::new(headers).get(TTL)?)? {
        Ttl::Seconds(seconds) => (seconds < marker).then_some(marker),
        Ttl::Never => None,
    }
}

fn raise_ttl(block: &[u8], seconds: u64, out: &mut BytesMut) {
    let mut rest = BytesMut::new();
    // The header moves to the end of the block, as in NATS.
    headers::remove(block, TTL, &mut rest);
    headers::set(
        &rest,
        TTL,
        itoa::Buffer::new().format(seconds).as_bytes(),
        out,
    );
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

//! Whether a message is followed.
//!
//! *Invariant:* a message that only wants to be followed is never delivered, even where it cannot be.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use bytes::BytesMut;
use monitor::system::message_trace::{KIND_CLIENT, MessageTrace, Step, Traced};
use protocol::encoding::Encoding;
use protocol::errors::ProtocolError;
use protocol::headers::{self, Headers};
use protocol::id::ConnId;
use protocol::message::Message;
use protocol::subject;
use protocol::text::quoted::Quoted;

use super::{DEST, DISABLED, Following, text};
use crate::effects::Level;
use crate::shard::Shard;

/// Whether the message is only followed.
const ONLY: &[u8] = b"Nats-Trace-Only";
/// What older servers set; nothing that carries it is followed.
const ORIGIN_ACCOUNT: &[u8] = b"Nats-Trace-Origin-Account";
/// The W3C's header.
const TRACE_PARENT: &[u8] = b"traceparent";

/// Says whether headers ask to follow their message: by name, or by a trace that is sampled.
#[inline]
pub(crate) fn is_asked_for(block: &[u8]) -> bool {
    Headers::new(block)
        .iter()
        .any(|(key, _)| key == DEST || key.eq_ignore_ascii_case(TRACE_PARENT))
}

/// How a message goes on.
#[derive(Debug)]
enum Start {
    /// Like any other.
    Unfollowed,
    /// Like any other, with headers that keep everyone from following it.
    Disabled,
    /// Not at all.
    Dropped,
    /// Followed.
    Followed(Box<Following>),
}

impl Shard {
    /// Routes a client's message that asks to be followed.
    #[cold]
    pub(crate) fn on_followed_publish(&mut self, from: ConnId, msg: &Message<'_>) {
        match self.start_following(from, msg) {
            Start::Unfollowed => self.take_publish(from, msg),
            Start::Dropped => {}
            Start::Disabled => {
                let mut headers = BytesMut::new();
                headers::set_last(msg.headers, DEST, DISABLED, &mut headers);
                let headers = &headers;
                self.take_publish(from, &Message { headers, ..*msg });
            }
            Start::Followed(following) => {
                self.router.followed.current = Some(following);
                self.take_publish(from, msg);
                self.end_following();
            }
        }
    }

    /// Tells of a message that was refused because of its length, if it asked to be followed.
    #[cold]
    pub(crate) fn on_oversized(&mut self, from: ConnId, msg: &Message<'_>, len: usize) {
        if !is_asked_for(msg.headers) {
            return;
        }
        if let Start::Followed(mut following) = self.start_following(from, msg) {
            following.trace.request.msgsize = len;
            following.refused(String::from("maximum payload exceeded"));
            self.router.finish(following);
            self.report_followed();
        }
    }

    fn start_following(&mut self, from: ConnId, msg: &Message<'_>) -> Start {
        let block = Headers::new(msg.headers);
        let named = block.get(DEST);
        if named == Some(DISABLED) {
            return Start::Unfollowed;
        }
        let only = named.is_some() && block.get(ONLY).is_some_and(is_yes);
        let otherwise = match only {
            true => Start::Dropped,
            false => Start::Unfollowed,
        };
        if named.is_some_and(<[u8]>::is_empty) || named.is_none() && !is_sampled(block) {
            return otherwise;
        }
        if let Some(account) = block.get(ORIGIN_ACCOUNT).filter(|name| !name.is_empty()) {
            let header = Quoted(ORIGIN_ACCOUNT);
            let account = Quoted(account);
            self.log_conn(from, Level::Error, |cid| {
                format!("{cid} - Message tracing disabled because of header {header} with value={account}")
            });
            return match only {
                true => Start::Dropped,
                false => Start::Disabled,
            };
        }
        let Some(conn) = self.router.conns.get(from) else {
            return Start::Dropped;
        };
        let account = conn.account;
        let dest = match named {
            Some(dest) => dest.to_vec(),
            None => {
                let own = self.router.accounts.get(account);
                let Some(own) = own.and_then(|account| account.trace.as_ref()) else {
                    return Start::Unfollowed;
                };
                if self.rng.below(100) >= u64::from(own.percent) {
                    return Start::Disabled;
                }
                own.destination.as_bytes().to_vec()
            }
        };
        if !subject::is_valid_literal(&dest) {
            let dest = Quoted(&dest);
            self.log_conn(from, Level::Error, |cid| {
                format!("{cid} - Destination {dest} is not valid, won't be able to trace events")
            });
            return otherwise;
        }
        if !self.may_report(from, &dest) {
            self.refuse(from, &ProtocolError::PublishDenied { subject: &dest });
            return Start::Dropped;
        }
        self.follow(from, msg, dest, only)
    }

    fn may_report(&mut self, from: ConnId, dest: &[u8]) -> bool {
        let now = self.router.now.mono;
        let system = self.router.accounts.system;
        let Some(conn) = self.router.conns.get_mut(from) else {
            return false;
        };
        let internal = Some(conn.account) == system;
        let allowed = match &mut conn.permit {
            Some(permit) => permit.may_publish(dest, now),
            None => true,
        };
        allowed && (internal || !subject::is_reserved_for_publish(dest))
    }

    fn follow(&self, from: ConnId, msg: &Message<'_>, dest: Vec<u8>, only: bool) -> Start {
        let Some(conn) = self.router.conns.get(from) else {
            return Start::Dropped;
        };
        let mut header: BTreeMap<String, Vec<String>> = BTreeMap::new();
        let lines = Headers::new(msg.headers).iter();
        for (key, value) in lines.filter(|(key, value)| !key.is_empty() && !value.is_empty()) {
            header.entry(text(key)).or_default().push(text(value));
        }
        let ingress = Step::Ingress {
            ts: self.router.now.wall,
            kind: KIND_CLIENT,
            cid: conn.cid,
            name: conn.wishes.name.clone(),
            acc: String::from(self.router.accounts.name(conn.account)),
            subj: text(msg.subject),
            error: String::new(),
        };
        Start::Followed(Box::new(Following {
            account: conn.account,
            dest,
            only,
            encoding: Encoding::wanted(msg.headers),
            trace: MessageTrace {
                request: Traced {
                    header,
                    msgsize: msg.body_len(),
                },
                events: Vec::from([ingress]),
            },
            awaited: None,
        }))
    }
}

fn is_yes(value: &[u8]) -> bool {
    [&b"1"[..], b"true", b"on"]
        .iter()
        .any(|yes| value.eq_ignore_ascii_case(yes))
}

/// Says whether one of the W3C's headers is there whose trace is sampled.
fn is_sampled(block: Headers<'_>) -> bool {
    let parents = block
        .iter()
        .filter(|(key, _)| key.eq_ignore_ascii_case(TRACE_PARENT));
    parents
        .into_iter()
        .any(|(_, value)| has_sampled_flag(value))
}

fn has_sampled_flag(value: &[u8]) -> bool {
    let mut parts = value.split(|byte| *byte == b'-');
    let flags = parts.nth(3);
    let flags = flags.filter(|flags| flags.len() == 2 && parts.next().is_none());
    let flags = flags.and_then(|flags| core::str::from_utf8(flags).ok());
    flags.is_some_and(|flags| i8::from_str_radix(flags, 16).is_ok_and(|flags| flags & 1 == 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trace_is_sampled_if_the_lowest_flag_says_so() {
        for (value, expected) in [
            (
                "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
                true,
            ),
            (
                "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00",
                false,
            ),
            ("00-x-y-03", true),
            ("00-x-y-1", false),
            ("00-x-01", false),
            ("00-x-y-01-z", false),
            ("00-x-y-zz", false),
        ] {
            assert_eq!(has_sampled_flag(value.as_bytes()), expected, "{value}");
        }
    }

    #[test]
    fn only_these_headers_ask() {
        let asks = |line: &str| is_asked_for(format!("NATS/1.0\r\n{line}\r\n\r\n").as_bytes());
        assert!(asks("Nats-Trace-Dest: a"));
        assert!(asks("TraceParent: a"));
        assert!(!asks("nats-trace-dest: a"));
        assert!(!asks("A: Nats-Trace-Dest: a"));
    }
}

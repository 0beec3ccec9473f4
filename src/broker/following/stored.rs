//! Followed messages that a stream takes: the report waits for what the stream answers.
//!
//! *Invariant:* what the report says is what the stream did. The publisher gets the stream's answer as if
//! nobody had listened. How many reports wait is bounded.

use alloc::borrow::ToOwned;
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use bytes::BytesMut;
use jetstream::Foresight;
use monitor::system::message_trace::{Answer, Step};
use protocol::headers::{self, Headers};
use protocol::id::{AccountId, StreamId};
use protocol::js::errors::{self, ApiError};
use protocol::message::Message;
use protocol::time::Wall;

use super::{DEST, DISABLED, Following, text};
use crate::limits::FOLLOWED_MAX;
use crate::router::Router;
use crate::streams::{Streams, inbound};

/// What the reply subjects begin with that streams answer to. Clients cannot send a subject with a tab.
pub(crate) const STORED: u8 = b'\t';
/// What a message is told that has the id of an earlier one.
const DUPLICATE: &str = "msgid is duplicate";

/// Followed messages that streams have not answered yet.
#[derive(Debug, Default)]
pub(crate) struct Awaited {
    serial: u64,
    open: BTreeMap<u64, Await>,
}

#[derive(Debug)]
struct Await {
    /// Where the publisher expects the answer.
    reply: Box<[u8]>,
    /// What the headers demanded.
    headers: Box<[u8]>,
    /// What the stream said, if that was before the message's way had ended.
    answer: Option<Option<Answer>>,
    /// The message, once its way has ended.
    following: Option<Box<Following>>,
}

impl Streams {
    /// Hands a followed message to the stream that stores its subject.
    #[cold]
    pub(crate) fn publish_followed(
        &mut self,
        router: &mut Router,
        account: AccountId,
        stream: StreamId,
        msg: &Message<'_>,
    ) {
        let Some(mut following) = router.followed.current.take() else {
            return;
        };
        let foreseen = self.foresee(router, stream, msg);
        let ts = router.now.wall;
        if let Some(mut foresight) = foreseen {
            // Who reads it later does not follow it.
            let mut headers = BytesMut::new();
            headers::set(msg.headers, DEST, DISABLED, &mut headers);
            let msg = &Message {
                headers: &headers,
                ..*msg
            };
            if following.only {
                // Whether there is room is found out when there is something to write.
                if foresight
                    .outcome
                    .as_ref()
                    .is_err_and(|error| is_late(error.err_code))
                {
                    foresight.outcome = Ok(None);
                }
                following.takes_in(&foresight, msg.headers, ts);
                self.answer_foreseen(router, account, stream, (msg.reply, &foresight));
            } else if foresight.is_answered
                && following.awaited.is_none()
                && router.followed.awaited.open.len() < FOLLOWED_MAX
            {
                following.takes_in(&would_store(foresight), msg.headers, ts);
                let (id, reply) = router.followed.awaited.open(msg);
                following.awaited = Some(id);
                let msg = Message {
                    reply: &reply,
                    ..*msg
                };
                self.publish(router, account, stream, &msg, None);
            } else {
                following.takes_in(&foresight, msg.headers, ts);
                self.publish(router, account, stream, msg, None);
            }
        }
        router.followed.current = Some(following);
    }

    /// Returns what would become of a message that a stream takes in.
    fn foresee(
        &mut self,
        router: &mut Router,
        stream: StreamId,
        msg: &Message<'_>,
    ) -> Option<Foresight> {
        let (machine, mut world) = self.split(router);
        machine.foresee(&mut world, stream, inbound(msg))
    }

    /// Answers a publisher whose message was only looked at.
    fn answer_foreseen(
        &mut self,
        router: &mut Router,
        account: AccountId,
        stream: StreamId,
        foreseen: (&[u8], &Foresight),
    ) {
        let (machine, mut world) = self.split(router);
        machine.answer_foreseen(&mut world, account, stream, foreseen);
    }
}

/// Returns the same foresight without what only the stream itself can say.
fn would_store(foresight: Foresight) -> Foresight {
    Foresight {
        outcome: Ok(None),
        ..foresight
    }
}

impl Awaited {
    fn open(&mut self, msg: &Message<'_>) -> (u64, Vec<u8>) {
        self.serial += 1;
        let id = self.serial;
        self.open.insert(
            id,
            Await {
                reply: Box::from(msg.reply),
                headers: Box::from(msg.headers),
                answer: None,
                following: None,
            },
        );
        let mut reply = Vec::from([STORED]);
        reply.extend_from_slice(&id.to_be_bytes());
        (id, reply)
    }
}

impl Following {
    /// Notes that a stream takes the message in, or would.
    fn takes_in(&mut self, foresight: &Foresight, headers: &[u8], ts: Wall) {
        let (error, is_stored) = match &foresight.outcome {
            Ok(None) => (String::new(), true),
            Ok(Some(_)) => (DUPLICATE.to_owned(), false),
            Err(error) => {
                let (number, text) = (error.err_code, &error.description);
                (reason(number, text, headers), is_late(number))
            }
        };
        let subject = text(&foresight.subject);
        self.trace.events.push(Step::Stream {
            ts,
            stream: foresight.stream.clone(),
            subject: subject_if(is_stored, subject),
            nointerest: is_stored && !foresight.is_wanted,
            error,
        });
    }

    /// Notes what the stream answered.
    fn answered(&mut self, answer: Option<&Answer>, headers: &[u8], now: Wall) {
        let steps = self.trace.events.iter_mut();
        let step = steps.rev().find(|step| matches!(step, Step::Stream { .. }));
        let (
            Some(answer),
            Some(Step::Stream {
                ts,
                subject,
                nointerest,
                error,
                ..
            }),
        ) = (answer, step)
        else {
            return;
        };
        *ts = now;
        let (why, is_stored) = match &answer.error {
            Some((number, text)) => (reason(*number, text, headers), is_late(*number)),
            None if answer.duplicate => (DUPLICATE.to_owned(), false),
            None => return,
        };
        *error = why;
        *nointerest &= is_stored;
        *subject = subject_if(is_stored, core::mem::take(subject));
    }
}

impl Router {
    /// Takes a stream's answer, and returns where the publisher expects it.
    pub(crate) fn on_stored(&mut self, to: &[u8], payload: &[u8]) -> Option<Box<[u8]>> {
        let id = to.get(1..)?.try_into().ok().map(u64::from_be_bytes)?;
        let awaited = self.followed.awaited.open.get_mut(&id)?;
        let answer = Answer::read(payload);
        match awaited.following.take() {
            None => {
                awaited.answer = Some(answer);
                Some(awaited.reply.clone())
            }
            Some(mut following) => {
                let awaited = self.followed.awaited.open.remove(&id)?;
                following.answered(answer.as_ref(), &awaited.headers, self.now.wall);
                self.followed.finished.push(*following);
                Some(awaited.reply)
            }
        }
    }

    /// Ends the way of the message that is being followed: its report goes out, or waits for a stream.
    pub(super) fn finish(&mut self, mut following: Box<Following>) {
        let open = &mut self.followed.awaited.open;
        if let Some(id) = following.awaited
            && let Some(awaited) = open.get_mut(&id)
        {
            let Some(answer) = awaited.answer.take() else {
                awaited.following = Some(following);
                return;
            };
            following.answered(answer.as_ref(), &awaited.headers, self.now.wall);
            open.remove(&id);
        }
        self.followed.finished.push(*following);
    }
}

fn subject_if(shown: bool, subject: String) -> String {
    if shown { subject } else { String::new() }
}

/// Says whether an error is found only when the message is about to be written.
fn is_late(number: u16) -> bool {
    number == errors::STREAM_STORE_FAILED.err_code
}

/// Returns an error as reports tell it, which is not always as the publisher is told it.
fn reason(number: u16, told: &str, headers: &[u8]) -> String {
    let demanded = |key: &[u8]| text(Headers::new(headers).get(key).unwrap_or_default());
    let is = |error: &ApiError| number == error.err_code;
    // Publishers are told what there is; reports also what was demanded.
    let found = told.rsplit(": ").next().unwrap_or_default();
    if is(&errors::STREAM_WRONG_LAST_SEQUENCE) {
        let by_subject = demanded(b"Nats-Expected-Last-Subject-Sequence");
        if by_subject.is_empty() {
            let wanted = demanded(b"Nats-Expected-Last-Sequence");
            return format!("last sequence mismatch: {wanted} vs {found}");
        }
        return format!("last sequence by subject mismatch: {by_subject} vs {found}");
    }
    if is(&errors::STREAM_WRONG_LAST_MSG_ID) {
        let wanted = demanded(b"Nats-Expected-Last-Msg-Id");
        return format!("last msgid mismatch: {wanted:?} vs {found:?}");
    }
    if is(&errors::STREAM_MESSAGE_EXCEEDS_MAXIMUM) {
        return "maximum payload exceeded".to_owned();
    }
    if is(&errors::MESSAGE_TTL_DISABLED) {
        return "message TTL disabled".to_owned();
    }
    told.to_owned()
}

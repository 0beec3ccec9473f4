//! Making the copy of one message: its subject, its headers, its entry.

use alloc::string::String;
use alloc::vec::Vec;

use bytes::{Bytes, BytesMut};
use protocol::headers::{self, HeaderWriter, Headers};
use protocol::id::{Seq, StreamId};
use protocol::js::config::StreamSource;
use protocol::store::Loc;
use protocol::time::Wall;

use super::Upstream;
use crate::JetStream;
use crate::consumer::token;
use crate::counters::{Copied, Counted, Sum};
use crate::entry::{Origin, Publish, Stored};
use crate::env::{Env, Inbound, Purpose};
use crate::stream::StreamCore;

/// The header that tells where a message was copied from.
pub(super) const STREAM_SOURCE: &[u8] = b"Nats-Stream-Source";
/// What a publisher expected of the origin means nothing to the copy.
const EXPECTED: &[u8] = b"Nats-Expected-";
/// Nor does the batch that brought it there.
const BATCH: &[u8] = b"Nats-Batch-";

impl JetStream {
    /// Proposes the copy of a message, or stores it at once in a stream in memory. False if there is no
    /// room for it now.
    pub(super) fn copy(
        &mut self,
        id: StreamId,
        upstream: &mut Upstream,
        seq: Seq,
        entry: &Bytes,
        env: &mut impl Env,
    ) -> bool {
        let (Ok(msg), Some(from)) = (
            Stored::of(entry),
            upstream.origin.and_then(|id| self.streams.get(&id)),
        ) else {
            upstream.next = seq.next();
            return true;
        };
        let mut subject = Vec::new();
        let transform = upstream.transforms.iter().find(|t| t.matches(msg.subject));
        match transform {
            Some(transform) => transform.apply(msg.subject, env.rng(), &mut subject),
            None => subject.extend_from_slice(msg.subject),
        }
        // The stream's own transform comes after that of the source.
        let own = self.streams.get(&id).map(|stream| stream.core.rules());
        if let Some(own) = own.and_then(|rules| rules.transform())
            && own.matches(&subject)
        {
            let before = core::mem::take(&mut subject);
            own.apply(&before, env.rng(), &mut subject);
        }
        let headers = if upstream.is_mirror {
            kept_headers(msg.headers, None)
        } else {
            kept_headers(
                msg.headers,
                Some(&source_value(upstream, seq, &msg, &from.core)),
            )
        };
        let copy = Inbound {
            subject: &subject,
            reply: b"",
            headers: &headers,
            payload: msg.payload,
        };
        let place = (upstream.source.name.as_str(), msg.subject);
        let Ok(counted) = self.counted(id, upstream.is_mirror, &copy, place, env) else {
            self.pause(id, upstream, env);
            return false;
        };
        let at = (seq, msg.time);
        match counted {
            None => self.propose_copy(id, upstream, at, &copy, None, env),
            Some(Counted::Known(counted)) => {
                let Copied {
                    headers,
                    payload,
                    sum,
                } = *counted;
                let copy = Inbound {
                    headers: &headers,
                    payload: &payload,
                    ..copy
                };
                self.propose_copy(id, upstream, at, &copy, Some(sum), env)
            }
            // The next batch of input finds the log or the disk further on.
            Some(Counted::Later | Counted::Broken) => false,
        }
    }

    /// Proposes a copy as it is to be stored; `at` tells its sequence and time in the origin.
    fn propose_copy(
        &mut self,
        id: StreamId,
        upstream: &mut Upstream,
        (seq, at): (Seq, Wall),
        copy: &Inbound<'_>,
        sum: Option<Sum>,
        env: &mut impl Env,
    ) -> bool {
        // What limits refuse comes later, when there is room for it.
        let under_way = u64::try_from(upstream.in_flight_bytes).unwrap_or(u64::MAX);
        if self.exceeds_bytes_behind(id, copy, under_way).is_some() {
            self.pause(id, upstream, env);
            return false;
        }
        let time = if upstream.is_mirror {
            at
        } else {
            self.shared.clock.stamp(env.now())
        };
        let origin = Origin {
            source: upstream.key,
            seq,
            after: upstream.last,
        };
        let len = Publish::HEADER_LEN
            + Publish::ORIGIN_LEN
            + copy.subject.len()
            + copy.headers.len()
            + copy.payload.len();
        let Some(stream) = self.streams.get_mut(&id) else {
            return false;
        };
        let mark = stream.core.mark();
        if stream.core.is_memory() {
            let mut out = BytesMut::with_capacity(len);
            Publish::encode_copy(&mut out, mark, time, origin, copy);
            self.copy_unlogged(id, upstream, origin, &out.freeze(), env);
            return !upstream.is_paused;
        }
        if !env.has_room(len, Purpose::Store) {
            self.pause(id, upstream, env);
            return false;
        }
        let pos = env.propose(|out| Publish::encode_copy(out, mark, time, origin, copy));
        self.shared.replies.proposed(pos);
        stream.core.set_proposed(pos);
        let is_behind_certain = upstream.behind(&stream.core) >= upstream.unsure;
        if let Some(sum) = sum
            && !self.copy_counted(id, copy, pos, sum, is_behind_certain)
        {
            upstream.unsure = seq;
        }
        upstream.in_flight += 1;
        upstream.in_flight_bytes += len;
        upstream.taken(seq, env);
        true
    }

    fn copy_unlogged(
        &mut self,
        id: StreamId,
        upstream: &mut Upstream,
        origin: Origin,
        entry: &Bytes,
        env: &mut impl Env,
    ) {
        let (Ok(msg), Some(stream)) = (Stored::of(entry), self.streams.get_mut(&id)) else {
            return;
        };
        crate::ingest::take_in(stream, &msg, Loc::from_bits(0), None, &mut self.shared, env);
        if stream.core.copied(origin.source) == origin.seq {
            upstream.again = None;
            return upstream.taken(origin.seq, env);
        }
        self.pause(id, upstream, env);
    }

    /// Lets a source try again a while later.
    pub(super) fn pause(&mut self, id: StreamId, upstream: &mut Upstream, env: &impl Env) {
        upstream.is_paused = true;
        let at = env.now().mono + super::RETRY_AFTER;
        let kind = crate::TimerKind::Follow(id);
        self.shared.timers.set_earlier(kind, at);
    }

    /// Works out how a counter takes a copy in; nothing for other streams.
    fn counted(
        &mut self,
        id: StreamId,
        is_mirror: bool,
        copy: &Inbound<'_>,
        place: (&str, &[u8]),
        env: &mut impl Env,
    ) -> Result<Option<Counted>, Unfit> {
        let stream = self.streams.get(&id);
        if is_mirror || !stream.is_some_and(|stream| stream.core.config().allow_msg_counter) {
            return Ok(None);
        }
        match self.count_copy(env, id, copy, place) {
            Counted::Broken => Err(Unfit),
            counted @ (Counted::Known(_) | Counted::Later) => Ok(Some(counted)),
        }
    }
}

/// A message that a counter cannot take in: as in NATS, its source waits for better times.
struct Unfit;

impl Upstream {
    fn taken(&mut self, seq: Seq, env: &impl Env) {
        self.next = seq.next();
        self.last = seq;
        self.active = Some(env.now().mono);
    }
}

/// Returns the headers of a copy: without what was expected of the origin, and with where it is from.
fn kept_headers(block: &[u8], source: Option<&[u8]>) -> BytesMut {
    let mut out = BytesMut::new();
    let is_kept = |key: &[u8]| {
        let is_of_origin = source.is_some() && key == STREAM_SOURCE;
        !key.starts_with(EXPECTED) && !key.starts_with(BATCH) && !is_of_origin
    };
    if Headers::new(block).iter().all(|(key, _)| is_kept(key)) {
        match source {
            Some(value) => headers::set(block, STREAM_SOURCE, value, &mut out),
            None => out.extend_from_slice(block),
        }
        return out;
    }
    if source.is_none() && !Headers::new(block).iter().any(|(key, _)| is_kept(key)) {
        return out;
    }
    let mut writer = HeaderWriter::new(&mut out);
    for (key, value) in Headers::new(block).iter().filter(|(key, _)| is_kept(key)) {
        writer.push(key, value);
    }
    if let Some(value) = source {
        writer.push(STREAM_SOURCE, value);
    }
    writer.finish();
    out
}

/// Returns where a message is from: stream, sequence, filter and destination of the source, subject, and
/// which stream of that name it was.
fn source_value(upstream: &Upstream, seq: Seq, msg: &Stored<'_>, from: &StreamCore) -> Vec<u8> {
    let (name, filter, dest) = source_names(&upstream.source);
    let head = alloc::format!("{name} {} {filter} {dest} ", seq.0);
    let mut value = head.into_bytes();
    value.extend_from_slice(msg.subject);
    value.push(b' ');
    value.extend_from_slice(&from.identity());
    value
}

/// Returns what the header calls a source: its stream, filter and destination.
pub(super) fn source_names(source: &StreamSource) -> (String, String, String) {
    let or_all = |text: &str| {
        if text.is_empty() {
            ">".into()
        } else {
            text.into()
        }
    };
    let (filter, dest) = match source.subject_transforms.as_slice() {
        [] => (or_all(&source.filter_subject), ">".into()),
        transforms => {
            // A transform that says nothing about it takes everything, or changes nothing.
            let joined = |part: fn(&_) -> &str| {
                let parts: Vec<String> = transforms.iter().map(|t| or_all(part(t))).collect();
                parts.join("\u{c}")
            };
            (joined(src_of), joined(dest_of))
        }
    };
    (name_of(source), filter, dest)
}

fn src_of(transform: &protocol::js::config::SubjectTransform) -> &str {
    &transform.src
}

fn dest_of(transform: &protocol::js::config::SubjectTransform) -> &str {
    &transform.dest
}

/// Returns what the header calls a source: with hashes of the API that it is reached by, if that is another
/// account's, and of the consumer that it names.
fn name_of(source: &StreamSource) -> String {
    let mut name = source.name.clone();
    if let Some(external) = &source.external {
        name.push(':');
        name.push_str(&token(&external.api));
    }
    if let Some(consumer) = &source.consumer {
        name.push_str(":C=");
        name.push_str(&token(&consumer.name));
    }
    name
}

//! Streams that copy from others: mirrors and streams with sources. They read straight from their
//! origins' indexes and propose what they find.
//!
//! *Invariant:* nothing here is durable. How far a source has come stands in the stream, and a restart
//! goes on from there.

mod again;
mod consuming;
mod copy;
mod through;
mod told;

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

use bytes::Bytes;
use protocol::id::{AccountId, LogPos, Seq, StreamId};
use protocol::js::config::{StreamConfig, StreamSource};
use protocol::store::ReadError;
use protocol::subject;
use protocol::subject::transform::Transform;
use protocol::time::{Instant, Now, Wall};

use crate::JetStream;
use crate::dedup::MsgIdHash;
use crate::entry::{Entry, Origin, Purge, SourceKey, Stored};
use crate::env::{Env, Purpose};
use crate::index::Filter;
use crate::shared::{Reader, TimerKind};
use crate::stream::{MsgRead, Stream, StreamCore};

use again::Again;
use through::Passage;

/// Most copies of one source that wait for the disk.
const IN_FLIGHT_MAX: u32 = 256;
/// Most bytes of them.
const IN_FLIGHT_BYTES_MAX: usize = 8 << 20;
/// How often nats-server's origins say that they are there when they have nothing else to say.
const HEARTBEAT: Duration = Duration::from_secs(1);
/// How long a stream waits after a copy was refused.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// The streams that copy.
#[derive(Debug, Default)]
pub(crate) struct Followers {
    upstreams: BTreeMap<StreamId, Vec<Upstream>>,
    /// Whether consumers of origins may have lost what they were made for.
    has_strays: bool,
}

/// One mirror or source of a stream.
#[derive(Debug)]
pub(crate) struct Upstream {
    key: SourceKey,
    source: StreamSource,
    is_mirror: bool,
    filters: Vec<Filter>,
    transforms: Vec<Transform>,
    /// The account whose streams an external source means, while that may be copied from.
    exporter: Option<AccountId>,
    /// Its consumer, where acks remove messages.
    consumer: Option<String>,
    /// Where the entry that makes it lies.
    making: Option<LogPos>,
    /// The stream it reads from, once that is there.
    origin: Option<StreamId>,
    /// The next sequence to look at.
    next: Seq,
    /// The sequence that was copied last, applied or not.
    last: Seq,
    /// The last copy under way that may be refused even if those before it are not.
    unsure: Seq,
    in_flight: u32,
    in_flight_bytes: usize,
    is_reading: bool,
    is_paused: bool,
    /// Whether it has had all that the origin held at some time.
    has_caught_up: bool,
    /// Whether it may answer direct gets for its origin.
    is_direct: bool,
    active: Option<Instant>,
    /// Since when the origin has been looked for in vain.
    missing: Option<Instant>,
    /// Where it goes on until the first copy, if that is not behind what was copied last.
    again: Option<Again>,
}

impl Followers {
    /// Takes over what a configuration says about mirror and sources.
    pub(crate) fn configure(&mut self, core: &StreamCore) {
        let mut upstreams = upstreams(core.config());
        for mut old in self.upstreams.remove(&core.id()).into_iter().flatten() {
            // What stays goes on where it is, wherever it would begin now.
            if let Some(same) = upstreams.iter_mut().find(|new| new.key == old.key) {
                old.source = same.source.clone();
                old.missing = None;
                // Who is asked later than it is made to answer does so at once.
                old.has_caught_up |= same.is_direct && !old.is_direct;
                old.is_direct = same.is_direct;
                *same = old;
            } else {
                self.has_strays = true;
            }
        }
        if !upstreams.is_empty() {
            self.upstreams.insert(core.id(), upstreams);
        }
    }

    /// Forgets a stream that is gone.
    pub(crate) fn forget(&mut self, stream: StreamId) {
        self.has_strays |= self.upstreams.remove(&stream).is_some();
    }
}

impl Upstream {
    fn new(source: &StreamSource, is_mirror: bool) -> Self {
        let filters = consuming::wanted_subjects(source);
        let filters = filters.iter();
        let transforms = source.subject_transforms.iter();
        let transforms = transforms.filter(|t| !t.dest.is_empty());
        Self {
            key: key_of(source),
            source: source.clone(),
            is_mirror,
            filters: filters.map(|s| Filter::new(s.as_bytes())).collect(),
            transforms: transforms
                .filter_map(|t| Transform::new(&t.src, &t.dest).ok())
                .collect(),
            exporter: None,
            consumer: None,
            making: None,
            origin: None,
            next: Seq(0),
            last: Seq(0),
            unsure: Seq(0),
            in_flight: 0,
            in_flight_bytes: 0,
            is_reading: false,
            is_paused: false,
            has_caught_up: false,
            is_direct: false,
            active: None,
            missing: None,
            again: None,
        }
    }

    /// Begins to read from `origin` behind what was copied before.
    fn start(&mut self, core: &StreamCore, from: &Stream, now: Instant) {
        let origin = &from.core;
        self.origin = Some(origin.id());
        // nats-server's consumer of it is refused, now and ever.
        let is_valid = self.source.filter_subject.is_empty()
            || subject::is_valid(self.source.filter_subject.as_bytes());
        self.active = is_valid.then_some(now);
        self.missing = None;
        let behind = self.behind(core);
        self.last = self.last_copied(core);
        self.in_flight = 0;
        self.in_flight_bytes = 0;
        self.is_reading = false;
        self.next = if behind.0 > 0 {
            behind.next()
        } else if let Some(time) = self.start_time() {
            origin.index.first_since(time)
        } else {
            Seq(self.source.opt_start_seq)
        };
        self.begin_through(from);
    }

    /// Returns whether its origin has never been there.
    fn is_new(&self) -> bool {
        self.origin.is_none() && self.active.is_none()
    }

    /// Returns the time from which on messages are wanted; a sequence says it better.
    fn start_time(&self) -> Option<Wall> {
        let time = self.source.opt_start_time;
        time.filter(|_| self.source.opt_start_seq == 0)
    }

    fn can_go_on(&self) -> bool {
        let has_room = self.in_flight < IN_FLIGHT_MAX && self.in_flight_bytes < IN_FLIGHT_BYTES_MAX;
        !self.is_reading && !self.is_paused && has_room
    }
}

impl JetStream {
    /// Finds the streams that copy, after recovery.
    pub(crate) fn find_followers(&mut self) {
        for stream in self.streams.values().filter(|s| !s.is_hidden) {
            self.followers.configure(&stream.core);
        }
        self.followers.has_strays = true;
    }

    /// Lets a stream go on that has paused.
    pub(crate) fn follow_again(&mut self, stream: StreamId) {
        for upstream in self
            .followers
            .upstreams
            .get_mut(&stream)
            .into_iter()
            .flatten()
        {
            upstream.is_paused = false;
        }
    }

    /// Proposes copies of what has come to the origins.
    pub(crate) fn pump_followers(&mut self, env: &mut impl Env) {
        if !self.shared.live || self.poisoned.is_some() {
            return;
        }
        if self.followers.has_strays {
            self.end_strays(env);
        }
        if self.followers.upstreams.is_empty() {
            return;
        }
        let mut followers = core::mem::take(&mut self.followers);
        for (&id, upstreams) in &mut followers.upstreams {
            for upstream in upstreams {
                self.pump_upstream(id, upstream, env);
            }
        }
        self.followers = followers;
    }

    fn pump_upstream(&mut self, id: StreamId, upstream: &mut Upstream, env: &mut impl Env) {
        let Some(core) = self.streams.get(&id).map(|stream| &stream.core) else {
            return;
        };
        if let Some(external) = &upstream.source.external {
            let exporter = env.exporter(core.account(), &external.api, upstream.delivery());
            upstream.exporter = exporter;
        }
        let origin = self.origin_of(core, upstream);
        let Some(origin) = origin.filter(|origin| upstream.passage(origin) == Passage::Open) else {
            let now = env.now().mono;
            if upstream.origin.take().is_some() {
                upstream.active = Some(now);
            }
            upstream.missing.get_or_insert(now);
            return;
        };
        let origin = origin.core.id();
        if !self.can_take(id, origin, upstream, env) {
            return;
        }
        let (Some(core), Some(origin)) = (
            self.streams.get(&id).map(|stream| &stream.core),
            self.streams.get(&origin),
        ) else {
            return;
        };
        let mut begins = None;
        if upstream.origin != Some(origin.core.id()) {
            upstream.start(core, origin, env.now().mono);
            begins = self.gap_before(core, &origin.core, upstream);
        }
        let origin = origin.core.id();
        if let Some(below) = begins {
            self.pass_gap(id, below, env);
        }
        // A stream in memory takes copies at once; even so others want their turn.
        for _ in 0..IN_FLIGHT_MAX {
            if !upstream.can_go_on() || !self.copy_next(id, origin, upstream, env) {
                return;
            }
        }
        let now = env.now().mono;
        self.shared.timers.set(TimerKind::Follow(id), now);
    }

    /// Returns where a mirror without messages begins, if its next sequence lies before that: what its
    /// origin does not have any more it never gets, and tells so from the start.
    fn gap_before(
        &self,
        core: &StreamCore,
        origin: &StreamCore,
        upstream: &Upstream,
    ) -> Option<Seq> {
        let is_idle =
            core.index.messages() == 0 && !self.shared.replies.is_under_way(core.proposed());
        let begins = upstream.next.max(origin.index.first_seq());
        let is_behind = core.index.last_seq().next() < begins;
        (upstream.is_mirror && is_idle && is_behind).then_some(begins)
    }

    /// Moves a stream without messages on, so that its next message gets the sequence `below` or a later
    /// one.
    fn pass_gap(&mut self, id: StreamId, below: Seq, env: &mut impl Env) {
        let entry = Entry::Purge(Purge {
            stream: id,
            filter: Bytes::new(),
            below,
            keep: Purge::KEEP_ALL,
        });
        if self.streams.get(&id).is_some_and(|s| s.core.is_memory()) {
            return self.apply_stream_change(&entry, None, env);
        }
        let bytes = entry.to_bytes();
        // Without it the first message tells as much.
        if env.has_room(bytes.len(), Purpose::Store) {
            let pos = env.propose(|out| out.extend_from_slice(&bytes));
            self.shared.replies.proposed(pos);
        }
    }

    /// Copies the next message of the origin; false if there is none now.
    fn copy_next(
        &mut self,
        id: StreamId,
        origin: StreamId,
        upstream: &mut Upstream,
        env: &mut impl Env,
    ) -> bool {
        let Some(from) = self.streams.get(&origin).map(|stream| &stream.core) else {
            return false;
        };
        let Some(seq) = from.index.next_any(&upstream.filters, upstream.next) else {
            upstream.next = upstream.next.max(from.index.last_seq().next());
            // One that has never brought anything does not answer for its origin.
            upstream.has_caught_up |= upstream.last.0 > 0;
            return false;
        };
        match from.read(seq, env) {
            MsgRead::Hit(entry) => self.copy(id, upstream, seq, &entry, env),
            MsgRead::Pending(read) => {
                upstream.is_reading = true;
                let reader = Reader::Copy(id, upstream.key, seq);
                self.shared.reads.insert(read, reader);
                true
            }
            MsgRead::Failed(error) if error.may_pass() => {
                upstream.is_paused = true;
                let at = env.now().mono + RETRY_AFTER;
                self.shared.timers.set_earlier(TimerKind::Follow(id), at);
                false
            }
            // It cannot be had; the origin's health tells.
            MsgRead::Gone | MsgRead::Failed(_) => {
                upstream.next = seq.next();
                true
            }
        }
    }

    /// The disk has answered for a message that is to be copied.
    pub(crate) fn on_copy_read(
        &mut self,
        id: StreamId,
        source: SourceKey,
        seq: Seq,
        result: Result<Bytes, ReadError>,
        env: &mut impl Env,
    ) {
        let mut followers = core::mem::take(&mut self.followers);
        let upstreams = followers.upstreams.get_mut(&id).into_iter().flatten();
        for upstream in upstreams.filter(|upstream| upstream.key == source && upstream.is_reading) {
            upstream.is_reading = false;
            match &result {
                Ok(entry) => {
                    self.copy(id, upstream, seq, entry, env);
                }
                Err(error) if error.may_pass() => {
                    upstream.is_paused = true;
                    let at = env.now().mono + RETRY_AFTER;
                    self.shared.timers.set_earlier(TimerKind::Follow(id), at);
                }
                Err(_) => upstream.next = seq.next(),
            }
        }
        self.followers = followers;
    }

    /// A copy has been applied, or refused: then it is tried again later.
    pub(crate) fn on_copied(&mut self, msg: &Stored<'_>, origin: Origin, now: Now) {
        let id = msg.stream;
        let Some(core) = self.streams.get(&id).map(|stream| &stream.core) else {
            return;
        };
        let copied = core.copied(origin.source);
        let upstreams = self.followers.upstreams.get_mut(&id).into_iter().flatten();
        for upstream in upstreams.filter(|upstream| upstream.key == origin.source) {
            // After a change of the configuration, what was under way before it still comes.
            upstream.in_flight = upstream.in_flight.saturating_sub(1);
            let bytes = &mut upstream.in_flight_bytes;
            *bytes = bytes.saturating_sub(msg.entry.len());
            if copied == origin.seq {
                upstream.again = None;
            }
            if copied < origin.seq {
                upstream.is_paused = true;
                upstream.last = upstream.last_copied(core);
                upstream.next = upstream.next.min(origin.seq);
                let at = now.mono + RETRY_AFTER;
                self.shared.timers.set_earlier(TimerKind::Follow(id), at);
            }
        }
    }

    /// Returns the stream that a source means: one of the same account, or of another whose API the
    /// account imports.
    fn origin_of(&self, core: &StreamCore, upstream: &Upstream) -> Option<&Stream> {
        let account = match &upstream.source.external {
            Some(_) => upstream.exporter?,
            None => core.account(),
        };
        let origin = self.stream(account, &upstream.source.name)?;
        (origin.core.id() != core.id()).then_some(origin)
    }
}

fn upstreams(config: &StreamConfig) -> Vec<Upstream> {
    let mirror = config.mirror.iter().map(|mirror| Upstream {
        is_direct: config.mirror_direct,
        ..Upstream::new(mirror, true)
    });
    let sources = config.sources.iter();
    let sources = sources.map(|source| Upstream::new(source, false));
    mirror.chain(sources).collect()
}

/// Returns what tells a source from the others of its stream, as nats-server tells them apart.
fn key_of(source: &StreamSource) -> SourceKey {
    let mut text = String::from(source.name.as_str());
    text.push(' ');
    text.push_str(&source.filter_subject);
    if let Some(external) = &source.external {
        text.push(' ');
        text.push_str(&external.api);
    }
    for transform in &source.subject_transforms {
        for part in [&transform.src, &transform.dest] {
            text.push(' ');
            text.push_str(part);
        }
    }
    SourceKey(MsgIdHash::of(text.as_bytes()).to_bits())
}

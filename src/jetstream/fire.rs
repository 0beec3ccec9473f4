//! Scheduled messages whose time has come: what they say is read, and what they bring is proposed.
//!
//! *Invariant:* nothing here is durable. What was proposed counts only if its schedule still stands, at
//! that time, when it is applied; what was not is found due again after a restart.

use alloc::boxed::Box;
use alloc::string::ToString as _;
use core::time::Duration;

use bytes::{Bytes, BytesMut};
use protocol::headers::{HeaderWriter, Headers};
use protocol::id::{Seq, StreamId};
use protocol::store::{Loc, ReadError};
use protocol::text::rfc3339::Rfc3339;
use protocol::time::{Now, Wall};

use crate::JetStream;
use crate::entry::{Fired, Publish, Stored};
use crate::env::{Env, Inbound, Purpose};
use crate::ingest::take_in;
use crate::prepare::{Changed, prepare};
use crate::schedule::{self, Due, ScheduleHeaders};
use crate::shared::{Reader, Shared, TimerKind};
use crate::stream::{MsgRead, StreamCore};

/// Most schedules of a stream that fire in one round.
const ROUND_MAX: usize = 256;
/// Shortest pause before a round, as in NATS: schedules that come together fire together.
const PAUSE: Duration = Duration::from_millis(250);
/// Longest time that the timer trusts the wall clock, which may be set.
const RECHECK: Duration = Duration::from_secs(60);
/// How long a schedule waits that the disk would not give, or that there was no room for.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// A schedule that is due, and what is known of it so far.
#[derive(Debug)]
pub struct Firing {
    stream: StreamId,
    schedule: Seq,
    due: Wall,
    /// The schedule itself, while the message that it repeats is being read.
    entry: Option<Bytes>,
}

impl JetStream {
    /// Sets the timer of a stream's schedules.
    pub(crate) fn arm_schedules(&mut self, stream: StreamId, env: &mut impl Env) {
        if let Some(stream) = self.streams.get(&stream) {
            self.shared.arm_schedules(&stream.core, env.now());
        }
    }

    /// Fires the schedules that are due.
    pub(crate) fn on_schedules(&mut self, id: StreamId, env: &mut impl Env) {
        let now = env.now();
        for _ in 0..ROUND_MAX {
            let Some(stream) = self.streams.get_mut(&id) else {
                return;
            };
            if self.poisoned.is_some() || stream.core.config().sealed {
                return;
            }
            let Some((schedule, due)) = stream.core.take_schedule(now) else {
                break;
            };
            let firing = Firing {
                stream: id,
                schedule,
                due,
                entry: None,
            };
            self.read_fired(firing, schedule, env);
        }
        self.arm_schedules(id, env);
    }

    /// The disk has answered for a schedule or for what it repeats.
    pub(crate) fn on_schedule_read(
        &mut self,
        firing: Firing,
        result: Result<Bytes, ReadError>,
        env: &mut impl Env,
    ) {
        match result {
            Ok(entry) => self.go_on(firing, entry, env),
            Err(error) => self.on_unreadable(firing, error, env),
        }
    }

    fn read_fired(&mut self, firing: Firing, seq: Seq, env: &mut impl Env) {
        let Some(stream) = self.streams.get(&firing.stream) else {
            return;
        };
        match stream.core.read(seq, env) {
            MsgRead::Hit(entry) => self.go_on(firing, entry, env),
            MsgRead::Pending(read) => {
                let reader = Reader::Schedule(Box::new(firing));
                self.shared.reads.insert(read, reader);
            }
            MsgRead::Gone => self.on_unreadable(firing, ReadError::Missing, env),
            MsgRead::Failed(error) => self.on_unreadable(firing, error, env),
        }
    }

    /// Looks for the message that the schedule repeats, or fires.
    fn go_on(&mut self, mut firing: Firing, read: Bytes, env: &mut impl Env) {
        let Some(schedule) = firing.entry.take() else {
            let source = Stored::of(&read).ok().and_then(|msg| {
                let asked = ScheduleHeaders::parse(msg.headers);
                let stream = self.streams.get(&firing.stream)?;
                let source = (!asked.source.is_empty()).then_some(asked.source)?;
                stream.core.last_by_subject(source)
            });
            return match source {
                Some(seq) => {
                    firing.entry = Some(read);
                    self.read_fired(firing, seq, env);
                }
                // Without a source, or while there is nothing on it, the schedule has the content.
                None => self.fire(&firing, &read, &read, env),
            };
        };
        self.fire(&firing, &schedule, &read, env);
    }

    fn on_unreadable(&mut self, mut firing: Firing, error: ReadError, env: &mut impl Env) {
        if let Some(schedule) = firing.entry.take()
            && !error.may_pass()
        {
            return self.fire(&firing, &schedule, &schedule, env);
        }
        if error.may_pass() {
            self.retry(&firing, env);
        }
        // A schedule that is gone or damaged stays under way, so that nobody asks for it again.
    }

    fn retry(&mut self, firing: &Firing, env: &mut impl Env) {
        if let Some(stream) = self.streams.get_mut(&firing.stream) {
            let at = env.now().mono + RETRY_AFTER;
            stream.core.retry_schedule(firing.schedule, at);
            let kind = TimerKind::Schedules(firing.stream);
            self.shared.timers.set_earlier(kind, at);
        }
    }

    /// Proposes what `schedule` brings, with the content of `content`; a stream in memory has it at
    /// once.
    fn fire(&mut self, firing: &Firing, schedule: &Bytes, content: &Bytes, env: &mut impl Env) {
        let Some(stream) = self.streams.get_mut(&firing.stream) else {
            return;
        };
        let (Ok(schedule), Ok(content)) = (Stored::of(schedule), Stored::of(content)) else {
            return;
        };
        let asked = ScheduleHeaders::parse(schedule.headers);
        // After a pause, it fires once for all the times that have passed.
        let Ok(Some(next)) = asked.due(firing.due.max(env.now().wall)) else {
            return;
        };
        let headers = produced(&asked, schedule.subject, next, content.headers);
        let msg = Inbound {
            subject: asked.target,
            reply: b"",
            headers: &headers,
            payload: content.payload,
        };
        let mut changed = Changed::default();
        let msg = prepare(&stream.core, msg, &mut changed, env.rng());
        let fired = Fired {
            schedule: firing.schedule,
            due: firing.due,
            next: if next.repeats { next.at } else { Wall(0) },
        };
        let len = Publish::HEADER_LEN
            + Publish::FIRED_LEN
            + msg.subject.len()
            + msg.headers.len()
            + msg.payload.len();
        let time = self.shared.clock.stamp(env.now());
        let at = stream.core.mark();
        if stream.core.is_memory() {
            let mut out = BytesMut::with_capacity(len);
            Publish::encode_fired(&mut out, at, time, fired, &msg);
            let entry = out.freeze();
            if let Ok(msg) = Stored::of(&entry) {
                let shared = &mut self.shared;
                take_in(stream, &msg, Loc::from_bits(0), None, shared, env);
            }
            return;
        }
        if !env.has_room(len, Purpose::Store) {
            return self.retry(firing, env);
        }
        let pos = env.propose(|out| Publish::encode_fired(out, at, time, fired, &msg));
        stream.core.set_proposed(pos);
        self.shared.replies.proposed(pos);
    }
}

impl Shared {
    /// Sets the timer of a stream's schedules to the one that is due first.
    pub(crate) fn arm_schedules(&mut self, core: &StreamCore, now: Now) {
        let kind = TimerKind::Schedules(core.id());
        let due = core.next_schedule();
        let due = due.map(|due| now.mono + due.since(now.wall).clamp(PAUSE, RECHECK));
        // One that is set already stays, or a schedule after the other could put it off for ever.
        if let Some(at) = due.into_iter().chain(core.next_schedule_retry()).min() {
            self.timers.set_earlier(kind, at);
        }
    }
}

/// Returns the headers of a message that the schedule on `scheduler` brings: those of its content that
/// would not keep it from being stored, and where it comes from.
fn produced(asked: &ScheduleHeaders<'_>, scheduler: &[u8], next: Due, content: &[u8]) -> BytesMut {
    let mut out = BytesMut::new();
    let mut lines = HeaderWriter::new(&mut out);
    for (key, value) in Headers::new(content) {
        let is_ours = key.starts_with(schedule::PREFIX)
            || key.starts_with(b"Nats-Expected-")
            || matches!(key, b"Nats-Msg-Id" | b"Nats-TTL" | b"Nats-Rollup");
        if !is_ours {
            lines.push(key, value);
        }
    }
    lines.push(schedule::SCHEDULER, scheduler);
    if next.repeats {
        lines.push(schedule::NEXT, Rfc3339(next.at).to_string().as_bytes());
    } else {
        lines.push(schedule::NEXT, schedule::NEXT_PURGE);
    }
    if !asked.ttl.is_empty() {
        lines.push(b"Nats-TTL", asked.ttl);
    }
    if !asked.rollup.is_empty() {
        lines.push(b"Nats-Rollup", asked.rollup);
    }
    lines.finish();
    out
}

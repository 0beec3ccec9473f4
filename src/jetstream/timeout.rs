//! Deadlines: when they come, and what they do.

use core::time::Duration;

use bytes::BytesMut;
use protocol::id::{Seq, StreamId};
use protocol::store::Loc;
use protocol::time::{Instant, Now, Wall};

use crate::entry::{Entry, Publish, Stored};
use crate::env::{Env, Purpose};
use crate::ingest::take_in;
use crate::shared::{Shared, TimerKind};
use crate::stream::{Round, Stream, StreamCore};
use crate::{JetStream, Removals};

/// Shortest pause between two rounds of expiry of a stream: each round is a log entry.
const EXPIRY_PAUSE: Duration = Duration::from_millis(25);

/// Longest time that an expiry timer trusts the wall clock, which may be set.
const EXPIRY_RECHECK: Duration = Duration::from_secs(60);

impl JetStream {
    /// Returns the next deadline and why it is set.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<(Instant, TimerKind)> {
        self.shared.timers.next()
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, env: &mut impl Env) {
        while let Some(kind) = self.shared.timers.take_due(env.now().mono) {
            match kind {
                TimerKind::Expire(stream) => self.on_expiry(stream, env),
                TimerKind::Schedules(stream) => self.on_schedules(stream, env),
                TimerKind::Batches => self.on_batches_idle(env),
                // The pump at the end of the batch goes on.
                TimerKind::Follow(stream) => self.follow_again(stream),
                TimerKind::Backup(backup) => self.on_backup_timer(backup, env),
                TimerKind::Consumer(stream, consumer) => {
                    if let Some(stream) = self.streams.get_mut(&stream) {
                        let Stream {
                            core, consumers, ..
                        } = stream;
                        consumers.on_timer(core, consumer, &mut self.shared, env);
                    }
                }
            }
        }
    }

    /// Sets the expiry timer of a stream.
    pub(crate) fn arm_expiry(&mut self, stream: StreamId, env: &mut impl Env) {
        if let Some(stream) = self.streams.get(&stream) {
            self.shared.arm_expiry(&stream.core, env.now());
        }
    }

    fn on_expiry(&mut self, id: StreamId, env: &mut impl Env) {
        let Some(stream) = self.streams.get(&id) else {
            return;
        };
        let Some(due) = stream.core.next_expiry() else {
            return;
        };
        let now = env.now();
        if due > now.wall || self.poisoned.is_some() {
            return self.arm_expiry(id, env);
        }
        let Round {
            markers,
            cutoff,
            ended,
        } = stream.core.expiry_round(now.wall);
        for seq in markers {
            self.mark_end(id, seq, env);
        }
        // The timer is set again when they have been applied.
        let ends = cutoff.map(Ends::Aged).into_iter();
        for ends in ends.chain(ended.map(Ends::Lived)) {
            self.propose_ends(id, ends, env);
        }
    }

    /// Proposes the marker that takes the place of a subject's last message.
    fn mark_end(&mut self, id: StreamId, seq: Seq, env: &mut impl Env) {
        let Some(stream) = self.streams.get_mut(&id) else {
            return;
        };
        let core = &mut stream.core;
        let Some(meta) = core.index.meta(seq) else {
            return;
        };
        let subject = core.index.subject(meta.subject);
        let mut headers = BytesMut::new();
        core.put_marker(&mut headers);
        let len = Publish::HEADER_LEN + subject.len() + headers.len();
        if !core.is_memory() && !env.has_room(len, Purpose::Store) {
            // The message goes all the same: that makes room.
            return;
        }
        let time = self.shared.clock.stamp(env.now());
        let at = core.mark();
        let encode =
            |out: &mut BytesMut| Publish::encode_marker(out, at, time, seq, subject, &headers);
        if core.is_memory() {
            let mut entry = BytesMut::new();
            encode(&mut entry);
            let entry = entry.freeze();
            if let Ok(stored) = Stored::of(&entry) {
                take_in(
                    stream,
                    &stored,
                    Loc::from_bits(0),
                    None,
                    &mut self.shared,
                    env,
                );
            }
            return;
        }
        let pos = env.propose(encode);
        core.set_proposed(pos);
        self.shared.replies.proposed(pos);
    }

    fn propose_ends(&mut self, stream: StreamId, ends: Ends, env: &mut impl Env) {
        if self.streams.get(&stream).is_none_or(|s| s.core.is_memory()) {
            return self.apply_ends(stream, ends, env);
        }
        let entry = match ends {
            Ends::Aged(cutoff) => Entry::Expire { stream, cutoff },
            Ends::Lived(until) => Entry::EndLives { stream, until },
        };
        let pos = env.propose(|out| entry.encode(out));
        self.shared.replies.proposed(pos);
    }

    /// Removes messages whose time is over.
    pub(crate) fn apply_ends(&mut self, id: StreamId, ends: Ends, env: &mut impl Env) {
        let Some(stream) = self.streams.get_mut(&id) else {
            return;
        };
        stream.unsaved = true;
        let Stream {
            core, consumers, ..
        } = stream;
        let shared = &mut self.shared;
        let mut removals = Removals { consumers, shared };
        match ends {
            Ends::Aged(cutoff) => core.expire(cutoff, &mut removals),
            Ends::Lived(until) => core.end_lives(until, &mut removals),
        }
        if self.shared.live {
            self.shared.mark_dirty(id);
            self.arm_expiry(id, env);
        }
    }
}

/// Whose time is over.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Ends {
    /// Messages stored at or before that time, by the stream's age limit.
    Aged(Wall),
    /// Messages whose own time to live ended at or before that time.
    Lived(Wall),
}

impl Shared {
    /// Returns whether a message that was just stored in a stream with others may be the next to go.
    pub(crate) fn wants_timer(&self, core: &StreamCore, seq: Seq) -> bool {
        core.has_lifetimes()
            && (core.has_end(seq) || !self.timers.is_set(TimerKind::Expire(core.id())))
    }

    /// Sets the expiry timer of a stream to its oldest message.
    pub(crate) fn arm_expiry(&mut self, core: &StreamCore, now: Now) {
        let kind = TimerKind::Expire(core.id());
        let Some(due) = core.next_expiry() else {
            return self.timers.clear(kind);
        };
        let wait = due.since(now.wall).clamp(EXPIRY_PAUSE, EXPIRY_RECHECK);
        self.timers.set(kind, now.mono + wait);
    }
}

//! Deadlines: when they come, and what they do.

use core::time::Duration;

use protocol::id::StreamId;
use protocol::time::{Instant, Now, Wall};

use crate::entry::Entry;
use crate::env::Env;
use crate::shared::{Shared, TimerKind};
use crate::stream::{Stream, StreamCore};
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
                TimerKind::Batches => self.on_batches_idle(env),
                TimerKind::Consumer(stream, consumer) => {
                    if let Some(stream) = self.streams.get_mut(&stream) {
                        let Stream {
                            core, consumers, ..
                        } = &mut **stream;
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
        let age = u64::try_from(stream.core.config().max_age.0).unwrap_or(u64::MAX);
        let cutoff = Wall(now.wall.0.saturating_sub(age));
        if stream.core.is_memory() {
            return self.apply_expire(id, cutoff, env);
        }
        // The timer is set again when the entry has been applied.
        let entry = Entry::Expire { stream: id, cutoff };
        let pos = env.propose(|out| entry.encode(out));
        self.shared.replies.proposed(pos);
    }

    /// Applies the expiry of messages.
    pub(crate) fn apply_expire(&mut self, id: StreamId, cutoff: Wall, env: &mut impl Env) {
        let Some(stream) = self.streams.get_mut(&id) else {
            return;
        };
        let Stream {
            core, consumers, ..
        } = &mut **stream;
        let shared = &mut self.shared;
        core.expire(cutoff, &mut Removals { consumers, shared });
        if self.shared.live {
            self.shared.mark_dirty(id);
            self.arm_expiry(id, env);
        }
    }
}

impl Shared {
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

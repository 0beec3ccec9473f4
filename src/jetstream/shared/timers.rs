//! All deadlines of the machine in one place, each with the reason why it is set.

use alloc::collections::{BTreeMap, BTreeSet};

use protocol::id::{ConsumerId, StreamId};
use protocol::time::Instant;

use crate::backup::BackupId;

/// Why a timer is set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TimerKind {
    /// The oldest message of the stream reaches its age limit.
    Expire(StreamId),
    /// The consumer wants to be called: ack wait, heartbeat, request expiry, inactivity.
    Consumer(StreamId, ConsumerId),
    /// An open atomic batch has had no new message for too long.
    Batches,
    /// The stream tries again to copy from others, or goes on with it.
    Follow(StreamId),
    /// A scheduled message of the stream is due.
    Schedules(StreamId),
    /// A backup goes on, or its client has been silent for too long.
    Backup(BackupId),
}

/// The deadlines: at most one per reason.
#[derive(Debug, Default)]
pub struct Timers {
    by_time: BTreeSet<(Instant, TimerKind)>,
    by_kind: BTreeMap<TimerKind, Instant>,
    next: Option<(Instant, TimerKind)>,
}

impl Timers {
    /// Sets the timer to `at`, wherever it stood before.
    pub fn set(&mut self, kind: TimerKind, at: Instant) {
        let old = self.by_kind.insert(kind, at);
        if old == Some(at) {
            return;
        }
        if let Some(old) = old {
            self.by_time.remove(&(old, kind));
        }
        self.by_time.insert((at, kind));
        self.next = self.by_time.first().copied();
    }

    /// Sets the timer to `at` unless it fires earlier anyhow.
    pub(crate) fn set_earlier(&mut self, kind: TimerKind, at: Instant) {
        if self.by_kind.get(&kind).is_none_or(|&old| at < old) {
            self.set(kind, at);
        }
    }

    /// Returns whether the timer is set.
    #[must_use]
    pub(crate) fn is_set(&self, kind: TimerKind) -> bool {
        self.by_kind.contains_key(&kind)
    }

    /// Ends the timer.
    pub fn clear(&mut self, kind: TimerKind) {
        if let Some(old) = self.by_kind.remove(&kind) {
            self.by_time.remove(&(old, kind));
            self.next = self.by_time.first().copied();
        }
    }

    /// Returns the next deadline.
    #[must_use]
    pub fn next(&self) -> Option<(Instant, TimerKind)> {
        self.next
    }

    /// Takes a timer that is due.
    pub(crate) fn take_due(&mut self, now: Instant) -> Option<TimerKind> {
        let (at, kind) = self.next?;
        if at > now {
            return None;
        }
        self.clear(kind);
        Some(kind)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timer_set_again_fires_once_at_the_new_time() {
        let mut timers = Timers::default();
        let (a, b) = (
            TimerKind::Expire(StreamId(1)),
            TimerKind::Expire(StreamId(2)),
        );
        timers.set(a, Instant(10));
        timers.set(b, Instant(20));
        timers.set(a, Instant(30));
        timers.set_earlier(b, Instant(25));
        assert_eq!(timers.next(), Some((Instant(20), b)));
        assert_eq!(timers.take_due(Instant(19)), None);
        assert_eq!(timers.take_due(Instant(40)), Some(b));
        assert_eq!(timers.take_due(Instant(40)), Some(a));
        assert_eq!(timers.take_due(Instant(40)), None);
    }
}

//! The pauses of the publisher, repeated for messages that were there before the consumer.

use protocol::id::Seq;
use protocol::js::config::ConsumerConfig;
use protocol::js::enums::ReplayPolicy;
use protocol::time::{Instant, Wall};

/// Shorter pauses are not worth a timer.
const PAUSE_MIN_NS: u64 = 1_000_000;

/// How far the replay has come.
#[derive(Clone, Copy, Debug)]
pub(super) struct Replay {
    /// Messages after this one come at once, once somebody has waited for one.
    until: Seq,
    /// The time of the last message that was sent.
    last: Option<Wall>,
    /// When the next one is due, since somebody wants it.
    due: Option<Instant>,
}

impl Replay {
    /// Repeats the pauses between messages up to `until`, if the configuration asks for that.
    pub(super) fn new(config: &ConsumerConfig, until: Seq) -> Option<Self> {
        (config.replay_policy == ReplayPolicy::Original).then_some(Self {
            until,
            last: None,
            due: None,
        })
    }

    /// Returns whether all messages that were there have been sent.
    pub(super) fn is_over(&self, next: Seq) -> bool {
        next > self.until
    }

    /// Returns when a message of `time` is due that somebody wants: the pause begins with that.
    pub(super) fn due(&mut self, time: Wall, now: Instant) -> Instant {
        let pause = self.last.map_or(0, |last| time.0.saturating_sub(last.0));
        if pause <= PAUSE_MIN_NS {
            return Instant(0);
        }
        let due = || Instant(now.0.saturating_add(pause));
        *self.due.get_or_insert_with(due)
    }

    /// Notes a message that was sent.
    pub(super) fn on_sent(&mut self, time: Wall) {
        self.last = Some(time);
        self.due = None;
    }
}

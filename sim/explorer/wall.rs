//! The wall clock of the machine under test, which may jump, stand still, or go at another speed.

use protocol::time::{Instant, Wall};

/// The wall clock when a run begins.
const START: Wall = Wall(1_700_000_000_000_000_000);
/// The rate of a clock that goes right, in percent.
const RIGHT: u64 = 100;

/// The clock.
#[derive(Debug)]
pub(super) struct WallClock {
    /// How far it is ahead of where it should be.
    ahead_ns: i64,
    /// In percent of true time, since `since`.
    rate: u64,
    since: Instant,
}

impl WallClock {
    pub(super) fn new() -> Self {
        Self {
            ahead_ns: 0,
            rate: RIGHT,
            since: Instant(0),
        }
    }

    fn ahead(&self, now: Instant) -> i64 {
        if self.rate == RIGHT {
            return self.ahead_ns;
        }
        let lasted = i64::try_from(now.0 - self.since.0).unwrap_or(i64::MAX);
        let shown = lasted / 100 * i64::try_from(self.rate).unwrap_or(0);
        self.ahead_ns + shown - lasted
    }

    pub(super) fn at(&self, now: Instant) -> Wall {
        Wall((START.0 + now.0).saturating_add_signed(self.ahead(now)))
    }

    pub(super) fn jump(&mut self, by_ns: i64) {
        self.ahead_ns += by_ns;
    }

    /// Goes at this speed from now on, without a jump.
    pub(super) fn set_rate(&mut self, now: Instant, percent: u64) {
        self.ahead_ns = self.ahead(now);
        (self.rate, self.since) = (percent, now);
    }
}

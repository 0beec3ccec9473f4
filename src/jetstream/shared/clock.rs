//! The time in log entries.
//!
//! *Invariant:* each entry's time is later than that of the one before, whatever the wall clock does,
//! so that expiry and duplicate windows are functions of the log.

use protocol::time::{Now, Wall};

/// Stamps entries.
#[derive(Clone, Copy, Debug, Default)]
pub struct EntryClock {
    last: Wall,
}

impl EntryClock {
    /// Returns the time of a new entry.
    pub fn stamp(&mut self, now: Now) -> Wall {
        self.last = Wall(now.wall.0.max(self.last.0.saturating_add(1)));
        self.last
    }

    /// Takes note of the time of an entry that was read back.
    pub(crate) fn observe(&mut self, time: Wall) {
        self.last = self.last.max(time);
    }

    /// Returns the time of the last entry.
    #[must_use]
    pub fn last(&self) -> Wall {
        self.last
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::time::Instant;

    #[test]
    fn time_in_entries_goes_forward_when_the_wall_clock_jumps_back() {
        let mut clock = EntryClock::default();
        let at = |wall| Now {
            mono: Instant(0),
            wall: Wall(wall),
        };
        assert_eq!(clock.stamp(at(100)), Wall(100));
        assert_eq!(clock.stamp(at(50)), Wall(101));
        clock.observe(Wall(500));
        assert_eq!(clock.stamp(at(200)), Wall(501));
    }
}

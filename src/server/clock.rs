//! The clocks, read in one place.
//!
//! *Invariant:* the monotonic clock is tokio's, so that a simulated runtime's time is the shard's
//! time; the wall clock is a function passed in.

use std::time::{SystemTime, UNIX_EPOCH};

use protocol::time::{Instant, Now, Wall, nanos};

/// Reads both clocks.
pub struct Clock {
    start: tokio::time::Instant,
    wall: Box<dyn Fn() -> Wall>,
}

impl core::fmt::Debug for Clock {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Clock")
            .field("start", &self.start)
            .finish_non_exhaustive()
    }
}

impl Clock {
    /// Starts the monotonic clock at zero; `wall` tells the time of day.
    pub fn new(wall: impl Fn() -> Wall + 'static) -> Self {
        Self {
            start: tokio::time::Instant::now(),
            wall: Box::new(wall),
        }
    }

    /// Returns the present.
    #[must_use]
    pub fn now(&self) -> Now {
        Now {
            mono: Instant(nanos(self.start.elapsed())),
            wall: (self.wall)(),
        }
    }

    /// Waits until `at` has come. If it has already, only the tasks that are ready go first: tokio's timers
    /// look once per millisecond, and a consumer that pauses between two bursts would wait for that.
    pub(crate) async fn wait_until(&self, at: Instant) {
        if at <= self.now().mono {
            tokio::task::yield_now().await;
        } else {
            tokio::time::sleep_until(self.deadline(at)).await;
        }
    }

    /// Translates a shard's instant into one that tokio can sleep until.
    fn deadline(&self, at: Instant) -> tokio::time::Instant {
        // A year is for ever, and keeps the sum below what the system's clock can represent.
        const FOR_EVER_NS: u64 = 365 * 86_400 * 1_000_000_000;
        self.start + core::time::Duration::from_nanos(at.0.min(FOR_EVER_NS))
    }
}

/// The system's wall clock.
#[must_use]
pub(crate) fn system_wall() -> Wall {
    Wall(
        SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, nanos),
    )
}

#[cfg(test)]
mod tests {
    use core::future::Future;
    use core::pin::pin;
    use core::task::{Context, Waker};

    use super::*;

    #[test]
    fn what_is_due_waits_for_ready_tasks_only() {
        let clock = Clock::new(|| Wall(0));
        // Outside of a runtime, so that a look at its timers would panic.
        let mut waiting = pin!(clock.wait_until(Instant(0)));
        let mut cx = Context::from_waker(Waker::noop());
        assert!(waiting.as_mut().poll(&mut cx).is_pending());
        assert!(waiting.as_mut().poll(&mut cx).is_ready());
    }
}

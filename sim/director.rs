//! Moves a run through its phases, and says when the broker takes too long to recover.
//!
//! *Invariant:* faults happen in [`Phase::Run`] only; after it everything must converge in bounded
//! virtual time (promise P4), whatever the faults were.

use core::time::Duration;

use protocol::time::Instant;

use crate::history::Violation;
use crate::workload::{Actor, Phase};

/// How long a phase without faults may take. Recovery, repeated requests (seconds each), redelivery
/// (up to 8 s) and reading everything fit in several times over.
const PHASE_MAX: Duration = Duration::from_secs(90);

/// Where a run stands.
#[derive(Clone, Debug)]
pub struct Director {
    phase: Phase,
    /// When the phase began.
    since: Instant,
    run_for: Duration,
}

/// What the director finds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress {
    /// The phase goes on.
    Same,
    /// A new phase has begun.
    Next(Phase),
    /// Everything has been read.
    Done,
    /// The phase takes too long.
    Stalled(Violation),
}

impl Director {
    /// Returns a run at its beginning.
    #[must_use]
    pub fn new(now: Instant, run_for: Duration) -> Self {
        Self {
            phase: Phase::Run,
            since: now,
            run_for,
        }
    }

    /// Returns the phase.
    #[must_use]
    pub fn phase(&self) -> Phase {
        self.phase
    }

    /// Reads everything once more.
    pub fn audit_again(&mut self, now: Instant) {
        self.phase = Phase::Audit;
        self.since = now;
    }

    /// Looks whether a phase is over.
    pub fn on_time<'a>(
        &mut self,
        now: Instant,
        actors: impl Iterator<Item = &'a Actor>,
    ) -> Progress {
        let lasted = now.since(self.since);
        if self.phase == Phase::Run {
            if lasted < self.run_for {
                return Progress::Same;
            }
        } else {
            let unsettled = actors.filter(|actor| !actor.is_settled(self.phase));
            let unsettled: Vec<_> = unsettled.collect();
            if !unsettled.is_empty() {
                return self.stalled(lasted, &unsettled);
            }
        }
        self.since = now;
        self.phase = match self.phase {
            Phase::Run => Phase::Settle,
            Phase::Settle => Phase::Drain,
            Phase::Drain => Phase::Audit,
            Phase::Audit => return Progress::Done,
        };
        Progress::Next(self.phase)
    }

    fn stalled(&self, lasted: Duration, unsettled: &[&Actor]) -> Progress {
        if lasted < PHASE_MAX {
            return Progress::Same;
        }
        let states = unsettled.iter();
        let states: Vec<_> = states
            .map(|actor| {
                let client = actor.client();
                let up = client.is_up();
                let mut state = format!("{:?}", actor.role);
                state.truncate(600);
                format!("{} (connected: {up}): {state}", client.name())
            })
            .collect();
        Progress::Stalled(Violation {
            invariant: "liveness",
            text: format!(
                "{:?} was not over after {PHASE_MAX:?} without faults: {}",
                self.phase,
                states.join("\n  ")
            ),
        })
    }
}

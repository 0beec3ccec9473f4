//! What came of a run.

use std::collections::BTreeMap;

use protocol::time::Instant;

use super::{Explorer, FaultKind};
use crate::history::Violation;
use crate::oracle::{self, Audit};
use crate::trace::Trace;
use crate::workload::plan::Plan;

/// What came of a run.
#[derive(Debug)]
pub struct Report {
    /// The scenario.
    pub scenario: &'static str,
    /// What the clients did.
    pub plan: Plan,
    /// What was wrong.
    pub violations: Vec<Violation>,
    /// What happened.
    pub trace: Trace,
    /// How much virtual time it took.
    pub lasted: Instant,
    /// Messages published.
    pub published: usize,
    /// Messages acknowledged.
    pub acked: usize,
    /// Messages read at the end.
    pub read: usize,
    /// Deliveries to consumers.
    pub delivered: usize,
    /// Acknowledgements that were seen to leave after their sync.
    pub acks_checked: u64,
    /// Starts of the process.
    pub lives: u64,
    /// Files damaged at the end.
    pub damaged: u64,
    /// Messages that this cost.
    pub missing: usize,
    /// How often each fault struck.
    pub struck: BTreeMap<FaultKind, u64>,
}

impl Explorer {
    pub(super) fn report(mut self, plan: Plan, audit: Option<Audit>) -> Report {
        let mut violations = core::mem::take(&mut self.violations);
        match &audit {
            Some(audit) => violations.extend(oracle::judge(&self.history, audit)),
            None => violations.append(&mut self.history.violations),
        }
        if self.scenario.prompt
            && let Some(first) = self.history.late.first()
        {
            violations.push(Violation {
                invariant: "errors_are_answers",
                text: format!("{} in all; {first}", self.history.late.len()),
            });
        }
        let audit = audit.unwrap_or_default();
        let consumers = self.history.consumers.values();
        Report {
            scenario: self.scenario.name,
            plan,
            violations,
            lasted: self.now,
            published: self.history.publishes.len(),
            acked: self.history.acked(),
            read: audit.values().map(|contents| contents.read.len()).sum(),
            delivered: consumers.map(|log| log.deliveries.len()).sum(),
            acks_checked: self.tap.checked,
            lives: self.node.lives(),
            damaged: self.damaged,
            missing: self.missing,
            struck: self.nemesis.struck,
            trace: self.trace,
        }
    }
}

impl Report {
    /// Returns the command that shows this run again.
    #[must_use]
    pub fn command(&self) -> String {
        let (scenario, seed) = (self.scenario, self.plan.seed);
        format!("cargo run -p sim --release --example sweep -- --scenario {scenario} --seed {seed}")
    }
}

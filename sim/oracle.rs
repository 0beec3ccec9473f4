//! Judges a history: each invariant is one file, with its source.
//!
//! *Invariant:* a check reads only the history and what streams held at the end. None is ever made
//! weaker to let a run pass; what a fault may excuse is written into the check.

mod consumers;
pub mod damage;
mod dedup;
mod expected;
mod last_seq;
mod no_invention;
mod no_loss;
mod order;
mod removals;
mod sequences;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use crate::history::{Contents, History, Violation};

/// What every stream held when everything was read.
pub type Audit = BTreeMap<String, Contents>;

type Check = fn(&History, &Audit, &mut Vec<Violation>);

/// All checks. What can be seen at once is in [`History::violations`] already.
const CHECKS: [Check; 9] = [
    no_loss::check,
    no_invention::check,
    sequences::check,
    order::check,
    dedup::check,
    expected::check,
    last_seq::check,
    consumers::check,
    removals::check,
];

/// Returns everything that is wrong.
#[must_use]
pub fn judge(history: &History, audit: &Audit) -> Vec<Violation> {
    let mut found = history.violations.clone();
    for check in CHECKS {
        check(history, audit, &mut found);
    }
    found
}

/// Returns what changed between two readings of everything, which nothing but a restart lay between.
#[must_use]
pub fn compare(before: &Audit, after: &Audit) -> Vec<Violation> {
    let mut found = Vec::new();
    for (stream, contents) in before {
        if after.get(stream) != Some(contents) {
            found.push(Violation {
                invariant: "restart_changes_nothing",
                text: format!(
                    "{stream} held {contents:?}\nand now {:?}",
                    after.get(stream)
                ),
            });
        }
    }
    found
}

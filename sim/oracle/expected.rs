//! A conditional publish is stored only right after the message it was conditional on.
//!
//! Source: `Nats-Expected-Last-Subject-Sequence`, which makes a subject a register with compare-and-set
//! (`reliability.md` B1.7). Every value carries its expectation, so the chain of a subject's messages
//! proves linearizability: each one names its predecessor.

use std::collections::BTreeMap;

use crate::history::{History, Violation};

use super::Audit;

pub(super) fn check(history: &History, _: &Audit, found: &mut Vec<Violation>) {
    let mut last: BTreeMap<(&str, &str), u64> = BTreeMap::new();
    // Facts are ordered by stream and sequence; a register's messages are known without a gap only if
    // all were read, so a predecessor that is unknown proves nothing, but a wrong one does.
    for ((stream, seq), value) in &history.facts {
        let Some(publish) = history.publishes.get(value) else {
            continue;
        };
        let before = last.insert((stream, &publish.subject), *seq);
        let Some(expected) = publish.expected else {
            continue;
        };
        let skipped = before.is_some_and(|before| before > expected);
        if skipped || expected >= *seq {
            found.push(Violation {
                invariant: "compare_and_set",
                text: format!(
                    "{stream}/{seq} = {value:?} expected {expected}, before it is {before:?}"
                ),
            });
        }
    }
}

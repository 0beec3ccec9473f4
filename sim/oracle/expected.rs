//! A conditional publish is stored only right after the message it was conditional on.
//!
//! Source: `Nats-Expected-Last-Subject-Sequence`, which makes a subject a register with compare-and-set
//! (`reliability.md` B1.7). Every value carries its expectation, so the chain of a subject's messages
//! proves linearizability: each one names its predecessor.

use std::collections::BTreeMap;

use crate::history::{History, Violation};

use super::Audit;
use super::no_loss::may_be_gone;

pub(super) fn check(history: &History, _: &Audit, found: &mut Vec<Violation>) {
    let mut before: BTreeMap<(&str, &str), Vec<u64>> = BTreeMap::new();
    // Facts are ordered by stream and sequence. What was stored and never seen proves nothing; what
    // was seen between a message and its expectation does, unless it was removed on purpose.
    for ((stream, seq), value) in &history.facts {
        let Some(publish) = history.publishes.get(value) else {
            continue;
        };
        let before = before.entry((stream, &publish.subject)).or_default();
        if let Some(expected) = publish.expected {
            let mut skipped = before.iter().filter(|&&earlier| earlier > expected);
            let skipped = skipped.find(|&&earlier| !may_be_gone(history, stream, earlier, 0));
            if skipped.is_some() || expected >= *seq {
                found.push(Violation {
                    invariant: "compare_and_set",
                    text: format!(
                        "{stream}/{seq} = {value:?} expected {expected}, before it is {skipped:?}"
                    ),
                });
            }
        }
        before.push(*seq);
    }
}

//! A message is stored once, and a stream's numbers fit what it holds.
//!
//! Source: promise P2 ("nothing doubled or renumbered"). That a sequence never changes its meaning is
//! checked whenever one is seen ([`History::learn_value`]). Messages without an id are sent once, those
//! with one lie inside the duplicate window, so each value has one place.

use std::collections::BTreeMap;

use crate::history::{History, Violation};

use super::Audit;

pub(super) fn check(history: &History, audit: &Audit, found: &mut Vec<Violation>) {
    let mut places = BTreeMap::new();
    for ((stream, seq), value) in &history.facts {
        if let Some(other) = places.insert((stream, value), seq) {
            found.push(Violation {
                invariant: "stored_once",
                text: format!("{value:?} is {stream}/{other} and {stream}/{seq}"),
            });
        }
    }
    for (stream, contents) in audit {
        let read = contents.read.len() as u64;
        let range = contents.first_seq..=contents.last_seq;
        let inside = contents.read.keys().all(|seq| range.contains(seq));
        if contents.messages != read || !inside {
            let (first, last) = (contents.first_seq, contents.last_seq);
            found.push(Violation {
                invariant: "counts_are_true",
                text: format!(
                    "{stream} says {} messages in {first}..={last}; {read} can be read",
                    contents.messages
                ),
            });
        }
    }
}

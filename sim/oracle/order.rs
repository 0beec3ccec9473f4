//! Messages that one connection published to one subject are stored in the order of sending.
//!
//! Source: NATS' ordering guarantee per publisher and subject; `reliability.md` B1.4. Only messages
//! sent once count: a repetition is stored wherever its first success was.

use std::collections::BTreeMap;

use crate::history::{History, Violation};

use super::Audit;

pub(super) fn check(history: &History, _: &Audit, found: &mut Vec<Violation>) {
    let mut seqs = BTreeMap::new();
    for ((stream, seq), value) in &history.facts {
        seqs.insert((stream.as_str(), *value), *seq);
    }
    let mut last: BTreeMap<(u32, u64, &str), (u64, u64)> = BTreeMap::new();
    let mut sent: Vec<_> = history
        .publishes
        .iter()
        .filter_map(|(value, publish)| match publish.attempts.as_slice() {
            [only] => Some((only.sent.step, value, publish, only.link)),
            _ => None,
        })
        .collect();
    sent.sort_by_key(|(step, ..)| *step);
    for (step, value, publish, link) in sent {
        let Some(&seq) = seqs.get(&(publish.stream.as_str(), *value)) else {
            continue;
        };
        let key = (value.publisher, link, publish.subject.as_str());
        if let Some((before, earlier)) = last.insert(key, (seq, step))
            && before >= seq
        {
            found.push(Violation {
                invariant: "order",
                text: format!(
                    "{value:?} (step {step}) is {}/{seq}, behind it is {before} (step {earlier})",
                    publish.stream
                ),
            });
        }
    }
}

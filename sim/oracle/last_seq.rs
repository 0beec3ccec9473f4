//! A stream's last sequence never goes back, and is never below an acknowledged one.
//!
//! Source: promise P2; what nats-server 2.15.1 does when the last block is damaged (it acknowledges
//! numbers a second time).

use crate::history::{History, Info, Outcome, Violation};

use super::Audit;

pub(super) fn check(history: &History, audit: &Audit, found: &mut Vec<Violation>) {
    for info in &history.infos {
        let earlier = history
            .infos
            .iter()
            .filter(|earlier| earlier.stream == info.stream && earlier.answered < info.asked);
        let Some(floor) = earlier.map(|earlier| earlier.last_seq).max() else {
            continue;
        };
        compare(info, floor, "an earlier answer", found);
    }
    for publish in history.publishes.values() {
        for attempt in &publish.attempts {
            let Outcome::Acked { seq, at, .. } = attempt.outcome else {
                continue;
            };
            let later = |info: &&Info| info.stream == publish.stream && info.asked > at;
            for info in history.infos.iter().filter(later) {
                compare(info, seq, "an acknowledgement", found);
            }
            if audit
                .get(&publish.stream)
                .is_some_and(|contents| contents.last_seq < seq)
            {
                found.push(Violation {
                    invariant: "last_seq",
                    text: format!("{} ends below the acknowledged {seq}", publish.stream),
                });
            }
        }
    }
}

fn compare(info: &Info, floor: u64, source: &str, found: &mut Vec<Violation>) {
    if info.last_seq < floor {
        found.push(Violation {
            invariant: "last_seq",
            text: format!(
                "{} says {} at step {}, {source} said {floor}",
                info.stream, info.last_seq, info.answered.step
            ),
        });
    }
}

//! Inside the duplicate window one message id has one sequence, and "duplicate" means stored.
//!
//! Source: promise P2; the server's documentation of `Nats-Msg-Id`; `reliability.md` B1.5.

use crate::history::{History, Outcome, Violation};

use super::Audit;

pub(super) fn check(history: &History, _: &Audit, found: &mut Vec<Violation>) {
    for (value, publish) in &history.publishes {
        let acks: Vec<_> = publish
            .attempts
            .iter()
            .filter_map(|attempt| match attempt.outcome {
                Outcome::Acked { seq, duplicate, .. } => Some((seq, duplicate)),
                Outcome::Unknown | Outcome::Failed => None,
            })
            .collect();
        let first = acks.first().map(|(seq, _)| *seq);
        if acks.iter().any(|(seq, _)| Some(*seq) != first) {
            found.push(Violation {
                invariant: "dedup",
                text: format!("{value:?} was acknowledged as {acks:?}"),
            });
        }
        let stored = acks.iter().filter(|(_, duplicate)| !duplicate).count();
        if stored > 1 {
            found.push(Violation {
                invariant: "dedup",
                text: format!("{value:?} was stored anew {stored} times: {acks:?}"),
            });
        }
        let alone = publish.attempts.len() == 1;
        if alone && acks.iter().any(|(_, duplicate)| *duplicate) {
            found.push(Violation {
                invariant: "dedup",
                text: format!("{value:?} was sent once and called a duplicate"),
            });
        }
    }
}

//! A durable consumer gets every message until it acknowledges it, and not again once that
//! acknowledgement was confirmed.
//!
//! Source: promise P1 ("a confirmed consumer ack"); `reliability.md` B1.6. An acknowledgement without
//! confirmation may be lost with its connection, so it proves nothing.

use std::collections::BTreeSet;

use crate::history::{ConsumerLog, History, Violation};

use super::Audit;

pub(super) fn check(history: &History, audit: &Audit, found: &mut Vec<Violation>) {
    for (name, log) in &history.consumers {
        never_again(name, log, found);
        if log.drained {
            nothing_skipped(name, log, audit, found);
        }
    }
}

fn never_again(name: &str, log: &ConsumerLog, found: &mut Vec<Violation>) {
    for delivery in &log.deliveries {
        // Deliveries and the confirmation come over one connection, in the order of the server's
        // doing; a delivery on an earlier connection cannot arrive after one on a later.
        if let Some(confirmed) = log.confirmed.get(&delivery.seq)
            && delivery.at > *confirmed
        {
            found.push(Violation {
                invariant: "acked_stays_acked",
                text: format!(
                    "{name}: {}/{} came again at step {}, confirmed at step {}",
                    log.stream, delivery.seq, delivery.at.step, confirmed.step
                ),
            });
        }
    }
}

fn nothing_skipped(name: &str, log: &ConsumerLog, audit: &Audit, found: &mut Vec<Violation>) {
    let Some(contents) = audit.get(&log.stream) else {
        return;
    };
    let seen: BTreeSet<u64> = log.deliveries.iter().map(|delivery| delivery.seq).collect();
    for seq in contents.read.keys().filter(|seq| !seen.contains(seq)) {
        found.push(Violation {
            invariant: "nothing_skipped",
            text: format!("{name}: {}/{seq} was never delivered", log.stream),
        });
    }
}

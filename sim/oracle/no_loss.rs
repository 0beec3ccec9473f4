//! What was acknowledged can be read, until it is removed on purpose.
//!
//! Source: promise P1 of the design; Jepsen's queue checker for NATS ("lost" = acked minus read, split
//! into prefix, middle and postfix).

use crate::history::{History, Keeps, Violation};

use super::Audit;

pub(super) fn check(history: &History, audit: &Audit, found: &mut Vec<Violation>) {
    for (value, publish) in &history.publishes {
        let Some(seq) = publish.acked() else {
            continue;
        };
        let Some(contents) = audit.get(&publish.stream) else {
            // Streams that are deleted on purpose are not read at the end.
            continue;
        };
        if contents
            .read
            .get(&seq)
            .is_some_and(|(_, read)| read == value)
        {
            continue;
        }
        if !may_be_gone(history, &publish.stream, seq, contents.last_seq) {
            let place = match contents.read.keys().next() {
                None => "everything is gone",
                Some(&first) if seq < first => "before what can be read",
                Some(_)
                    if contents
                        .read
                        .keys()
                        .next_back()
                        .is_some_and(|&last| seq > last) =>
                {
                    "after what can be read"
                }
                Some(_) => "in the middle",
            };
            found.push(Violation {
                invariant: "no_loss",
                text: format!("{}/{seq} = {value:?} is lost ({place})", publish.stream),
            });
        }
    }
}

/// Says whether a removal, a limit or a consumer can be the reason that a message is gone.
pub(super) fn may_be_gone(history: &History, stream: &str, seq: u64, last_seq: u64) -> bool {
    let removals = history.removals.iter();
    let mut removals = removals.filter(|removal| removal.stream == stream);
    if removals.any(|removal| (removal.from..=removal.to).contains(&seq)) {
        return true;
    }
    let Some(&Keeps {
        messages_max,
        work_queue,
    }) = history.streams.get(stream)
    else {
        return false;
    };
    if messages_max != 0 && seq + messages_max <= last_seq {
        return true;
    }
    let mut consumers = history
        .consumers
        .values()
        .filter(|log| log.stream == stream);
    work_queue && consumers.any(|log| log.acked.contains_key(&seq))
}

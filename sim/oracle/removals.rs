//! What was removed, and confirmed to be, does not come back.
//!
//! Source: promise P1 ("a purge"); nats-server #7676 (a kill during a purge).

use crate::history::{History, Violation};

use super::Audit;

pub(super) fn check(history: &History, audit: &Audit, found: &mut Vec<Violation>) {
    for removal in &history.removals {
        let Some(contents) = audit.get(&removal.stream) else {
            continue;
        };
        // A purge below the first sequence removes nothing.
        if removal.confirmed.is_none() || removal.from > removal.to {
            continue;
        }
        if let Some((seq, _)) = contents.read.range(removal.from..=removal.to).next() {
            found.push(Violation {
                invariant: "removed_stays_removed",
                text: format!("{}/{seq} is there in spite of {removal:?}", removal.stream),
            });
        }
    }
}

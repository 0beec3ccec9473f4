//! Nothing is read that was not published, and nothing that was refused.
//!
//! Source: promise P2; Jepsen's "unexpected" = read minus attempted. That a body is what was sent, on
//! the subject it was sent to, is checked when it is read ([`History::learn`]).

use crate::history::{History, Violation};

use super::Audit;

pub(super) fn check(history: &History, audit: &Audit, found: &mut Vec<Violation>) {
    for (stream, contents) in audit {
        for (seq, (_, value)) in &contents.read {
            let publish = history.publishes.get(value);
            if publish.is_none_or(|publish| publish.is_failed()) {
                found.push(Violation {
                    invariant: "no_invention",
                    text: format!("{stream}/{seq} = {value:?} was refused: {publish:?}"),
                });
            }
        }
    }
}

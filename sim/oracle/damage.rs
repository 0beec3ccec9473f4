//! Damage is never silent, spreads to nothing, and renumbers nothing.
//!
//! Source: promise P3; `reliability.md` B1.10 ("health truth"); what nats-server 2.15.1 does with one
//! flipped bit: thousands of messages become "deleted", health is ok, numbers are given twice.

use crate::history::Violation;

use super::Audit;

/// The answer to a publish when nothing is stored at all.
const STORE_FAILED: u64 = 10077;

/// What the health check said after everything had been read.
#[derive(Clone, Debug)]
pub struct Health {
    /// Its HTTP status.
    pub status: u16,
    /// What it says.
    pub text: String,
}

/// Compares what was there before a file was damaged with what is there after, and counts the messages
/// that cannot be read any more.
#[must_use]
pub fn judge(before: &Audit, after: &Audit, health: &Health) -> (Vec<Violation>, usize) {
    let mut found = Vec::new();
    let mut missing = 0;
    let is_told = health.status != 200;
    let mut violate = |invariant, text: String| found.push(Violation { invariant, text });
    for (stream, contents) in before {
        let Some(now) = after.get(stream) else {
            violate("damage_is_told", format!("{stream} gave no answer"));
            continue;
        };
        let mut gone = Vec::new();
        for (seq, message) in &contents.read {
            match now.read.get(seq) {
                Some(read) if read == message => {}
                Some(read) => {
                    let text = format!("{stream}/{seq} was {message:?} and is {read:?}");
                    violate("sequence_is_forever", text);
                }
                None => gone.push(*seq),
            }
        }
        missing += gone.len();
        // Where a stream was full, what was published after everything had been read has pushed the oldest
        // message out, and with it what health said of it.
        let oldest = contents.read.keys().next();
        let refused = |seq: &u64| now.errors.contains_key(seq);
        let pushed_out =
            matches!(now.probe, Some(Ok(_))) && gone.iter().eq(oldest.filter(|seq| refused(seq)));
        if !gone.is_empty() && !is_told && !pushed_out {
            let text = format!("{stream} lacks {gone:?}, and {health:?}");
            violate("damage_is_told", text);
        }
        let more = now.read.keys().find(|seq| !contents.read.contains_key(seq));
        if let Some(seq) = more.filter(|_| !is_told) {
            violate(
                "damage_is_told",
                format!("{stream}/{seq} is back, and {health:?}"),
            );
        }
        if now.last_seq < contents.last_seq && !is_told {
            let (was, is) = (contents.last_seq, now.last_seq);
            violate(
                "damage_is_told",
                format!("{stream} ended at {was} and ends at {is}"),
            );
        }
        if now.probe == Some(Err(STORE_FAILED)) {
            let text = format!("nothing is stored in {stream}, and {health:?}");
            violate("damage_stays_where_it_is", text);
        }
        if let Some(Ok(seq)) = now.probe
            && seq <= contents.last_seq
        {
            violate("last_seq", format!("{stream}/{seq} is given a second time"));
        }
    }
    (found, missing)
}

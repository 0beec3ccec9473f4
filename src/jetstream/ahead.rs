//! Having at hand what the next entries concern.
//!
//! Of a million subjects or ten thousand streams none lies where the processor finds it at once, and each
//! message would wait for one place of memory after the other. What is known to come next is therefore
//! looked at for many messages together, step by step: the waits of one step are one wait.
//!
//! *Invariant:* nothing depends on this: it only reads, and where it reads in vain nothing is lost.

use core::hint::black_box;

use crate::JetStream;
use crate::entry::Publish;
use crate::index::{Index, SubjectId};

/// How many entries are looked at together: a processor waits for about as many places at once.
pub const AHEAD: usize = 16;

/// With so many streams those of the next messages are seldom at hand.
const STREAMS_MANY: usize = 64;

impl JetStream {
    /// Looks at what the next entries concern, at most [`AHEAD`] of them.
    pub fn look_ahead<'a>(&self, entries: impl Iterator<Item = &'a [u8]>) {
        let many = self.streams.len() >= STREAMS_MANY;
        let mut met: [Option<(&Index, &[u8])>; AHEAD] = [None; AHEAD];
        for (place, entry) in met.iter_mut().zip(entries) {
            let Some((stream, subject)) = Publish::glance(entry) else {
                continue;
            };
            let Some(stream) = self.streams.get(&stream) else {
                continue;
            };
            if many {
                stream.look();
            }
            if many || stream.core.index.is_wide() {
                *place = Some((&stream.core.index, subject));
            }
        }
        let mut known: [Option<(&Index, SubjectId)>; AHEAD] = [None; AHEAD];
        for (place, (index, subject)) in known.iter_mut().zip(met.iter().flatten()) {
            if many {
                index.look_at_end();
            }
            *place = index.guess(subject).map(|id| (*index, id));
        }
        let mut linked: [Option<(&Index, SubjectId, u64)>; AHEAD] = [None; AHEAD];
        for (place, (index, id)) in linked.iter_mut().zip(known.iter().flatten()) {
            *place = index.last_known(*id).map(|last| (*index, *id, last));
        }
        for (index, id, last) in linked.iter().flatten() {
            black_box(index.look_at_link(*id, *last));
        }
    }
}

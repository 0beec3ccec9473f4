//! Fetches into the processor's caches what the next entries concern.
//!
//! Of a million subjects or ten thousand streams none lies where the processor finds it at once, and each
//! message would wait for one place of memory after the other. What is known to come next is therefore
//! looked at for many messages together, step by step: the waits of one step are one wait.
//!
//! *Invariant:* nothing depends on this: it only reads, and where it reads in vain nothing is lost.

use core::hint::black_box;

use protocol::id::StreamId;

use crate::JetStream;
use crate::entry::Publish;
use crate::index::{Index, SubjectId};
use crate::stream::Stream;

/// How many entries are looked at together: a processor waits for about as many places at once.
pub const AHEAD: usize = 16;

/// With so many streams those of the next messages are seldom at hand.
const STREAMS_MANY: usize = 64;

impl JetStream {
    /// Returns whether there are so many streams that it is worth to look for them before messages are taken.
    #[must_use]
    pub fn has_many_streams(&self) -> bool {
        self.streams.len() >= STREAMS_MANY
    }

    /// Looks at the streams that are about to take messages, at most [`AHEAD`] of them.
    pub fn look_at_takers(&self, streams: impl Iterator<Item = StreamId>) {
        let mut met: [Option<&Stream>; AHEAD] = [None; AHEAD];
        for (place, id) in met.iter_mut().zip(streams) {
            *place = self.streams.get(&id);
        }
        for stream in met.into_iter().flatten() {
            stream.look_as_taker();
        }
    }

    /// Looks at what the next entries concern, at most [`AHEAD`] of them.
    pub fn look_ahead<'a>(&self, entries: impl Iterator<Item = &'a [u8]>) {
        let many = self.has_many_streams();
        let mut met: [Option<(&Stream, &[u8])>; AHEAD] = [None; AHEAD];
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
                *place = Some((stream, subject));
            }
        }
        let mut known: [Option<(&Index, SubjectId)>; AHEAD] = [None; AHEAD];
        for (place, (stream, subject)) in known.iter_mut().zip(met.iter().flatten()) {
            let index = &stream.core.index;
            if many {
                stream.look_beyond();
            }
            *place = index.guess(subject).map(|id| (index, id));
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

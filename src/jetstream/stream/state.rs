//! What a stream tells about itself.

use alloc::string::String;
use alloc::vec::Vec;

use protocol::id::Seq;
use protocol::js::info::{LostData, StreamState};

use super::{LOST_NOTED_MAX, StreamCore};
use crate::index::Filter;

/// Most sequences that `deleted` lists: a request must not make the server list millions.
const DELETED_LISTED_MAX: usize = 100_000;

impl StreamCore {
    /// Returns what the stream holds.
    #[must_use]
    pub fn state(&self, consumers: usize) -> StreamState {
        let (first, last) = (self.index.first_seq().0, self.index.last_seq().0);
        StreamState {
            messages: self.index.messages(),
            bytes: self.index.bytes(),
            // A stream that never had a message has no first sequence yet, unless it was given one or
            // was purged.
            first_seq: if last == 0 && !self.has_first {
                0
            } else {
                first
            },
            first_ts: self.index.first_time(),
            last_seq: last,
            last_ts: self.index.last_time(),
            num_subjects: self.index.num_subjects(),
            num_deleted: self.index.num_deleted(),
            consumer_count: u64::try_from(consumers).unwrap_or(u64::MAX),
            lost: self.lost_data(),
            ..StreamState::default()
        }
    }

    /// Returns which live messages could not be read.
    fn lost_data(&self) -> Option<LostData> {
        let live = self.lost.iter().filter_map(|&seq| self.index.meta(seq));
        let mut data = LostData::default();
        for meta in live {
            data.msgs.push(meta.seq.0);
            data.bytes += u64::from(meta.size);
        }
        for &(first, last) in &self.missing {
            let room = LOST_NOTED_MAX.saturating_sub(data.msgs.len());
            data.msgs.extend((first.0..=last.0).take(room));
        }
        data.msgs.sort_unstable();
        (!data.msgs.is_empty()).then_some(data)
    }

    /// Returns the removed sequences between the first and the last message.
    #[must_use]
    pub fn deleted(&self) -> Vec<u64> {
        let mut out = Vec::new();
        let mut expected = self.index.first_seq();
        while out.len() < DELETED_LISTED_MAX && expected <= self.index.last_seq() {
            let next = self.index.next(&Filter::All, expected);
            let end = next.unwrap_or(self.index.last_seq().next());
            let room = DELETED_LISTED_MAX - out.len();
            out.extend((expected.0..end.0).take(room));
            expected = end.next();
        }
        out
    }

    /// Returns the subjects that match and their counts, sorted.
    #[must_use]
    pub(crate) fn subject_counts(&self, pattern: &str) -> Vec<(String, u64)> {
        self.index
            .subjects(&self.filter(pattern.as_bytes()))
            .into_iter()
            .map(|(name, info)| (String::from_utf8_lossy(name).into_owned(), info.messages))
            .collect()
    }

    /// Returns the sequence of the last message of a subject or pattern.
    #[must_use]
    pub(crate) fn last_by_subject(&self, pattern: &[u8]) -> Option<Seq> {
        self.index.last(&self.filter(pattern))
    }
}

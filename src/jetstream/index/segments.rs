//! What lies in each segment of a stream, so that empty ones can go and wasteful ones be rewritten.
//!
//! *Invariant:* the newest segment is never given up: the store may still be adding to it.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use protocol::store::{Loc, Place};

/// How many bytes of a segment a live byte may cost before the segment is rewritten.
const WASTE_MAX: u64 = 4;

/// What lies in a segment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct SegmentUse {
    /// Live messages.
    pub(super) messages: u64,
    /// What they count.
    pub(super) live_bytes: u64,
    /// What all messages counted that ever moved here.
    pub(super) total_bytes: u64,
}

impl SegmentUse {
    fn is_wasteful(&self) -> bool {
        self.live_bytes.saturating_mul(WASTE_MAX) < self.total_bytes
    }
}

/// The segments of one stream.
#[derive(Debug, Default)]
pub(super) struct Segments {
    by_number: BTreeMap<u32, SegmentUse>,
    /// Whether one may have become empty since they were taken last.
    emptied: bool,
}

impl Segments {
    /// A live message that counts `size` lies at `loc` now.
    pub(super) fn added(&mut self, loc: Loc, size: u32) {
        let Place::Segment { number, .. } = loc.place() else {
            return;
        };
        let used = self.by_number.entry(number).or_default();
        used.messages += 1;
        used.live_bytes += u64::from(size);
        used.total_bytes += u64::from(size);
        // The segment before may have waited for a newer one.
        self.emptied |= used.messages == 1;
    }

    /// Live messages that count `bytes` together have been found in a checkpoint.
    pub(super) fn found(&mut self, number: u32, messages: u64, bytes: u64) {
        let used = self.by_number.entry(number).or_default();
        used.messages += messages;
        used.live_bytes += bytes;
    }

    /// The message at `loc` went away or elsewhere.
    pub(super) fn removed(&mut self, loc: Loc, size: u32) {
        let Place::Segment { number, .. } = loc.place() else {
            return;
        };
        if let Some(used) = self.by_number.get_mut(&number) {
            used.messages -= 1;
            used.live_bytes -= u64::from(size);
            self.emptied |= used.messages == 0;
        }
    }

    /// All messages went away.
    pub(super) fn clear(&mut self) {
        for used in self.by_number.values_mut() {
            used.messages = 0;
            used.live_bytes = 0;
        }
        self.emptied = true;
    }

    /// Takes the segments that hold no live message.
    pub(super) fn take_dead(&mut self, each: impl FnMut(u32)) {
        if !core::mem::take(&mut self.emptied) {
            return;
        }
        let newest = self.by_number.last_key_value().map(|(number, _)| *number);
        let empty = |(number, used): (&u32, &SegmentUse)| {
            (used.messages == 0 && Some(*number) != newest).then_some(*number)
        };
        let dead: Vec<u32> = self.by_number.iter().filter_map(empty).collect();
        for number in &dead {
            self.by_number.remove(number);
        }
        dead.into_iter().for_each(each);
    }

    /// Returns the oldest segment that is mostly waste.
    pub(super) fn wasteful(&self) -> Option<u32> {
        let newest = *self.by_number.last_key_value()?.0;
        let mut older = self.by_number.range(..newest);
        let (number, _) = older.find(|(_, used)| used.messages > 0 && used.is_wasteful())?;
        Some(*number)
    }

    /// Returns what lies in each segment.
    pub(super) fn iter(&self) -> impl ExactSizeIterator<Item = (u32, SegmentUse)> {
        self.by_number.iter().map(|(number, used)| (*number, *used))
    }

    /// Tells how much ever moved to a segment of a checkpoint.
    pub(super) fn set_total(&mut self, number: u32, total_bytes: u64) {
        self.by_number.entry(number).or_default().total_bytes = total_bytes;
        self.emptied = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dead(segments: &mut Segments) -> Vec<u32> {
        let mut dead = Vec::new();
        segments.take_dead(|number| dead.push(number));
        dead
    }

    #[test]
    fn an_empty_segment_goes_when_a_newer_one_exists() {
        let mut segments = Segments::default();
        segments.added(Loc::segment(1, 0), 10);
        segments.removed(Loc::segment(1, 0), 10);
        assert!(dead(&mut segments).is_empty());
        segments.added(Loc::segment(2, 0), 10);
        assert_eq!(dead(&mut segments), [1]);
        assert!(dead(&mut segments).is_empty());
        segments.clear();
        assert!(dead(&mut segments).is_empty());
    }

    #[test]
    fn a_segment_is_wasteful_when_little_of_it_lives() {
        let mut segments = Segments::default();
        for offset in 0..10 {
            segments.added(Loc::segment(1, offset), 10);
        }
        segments.added(Loc::segment(2, 0), 10);
        for offset in 0..7 {
            segments.removed(Loc::segment(1, offset), 10);
        }
        assert_eq!(segments.wasteful(), None);
        segments.removed(Loc::segment(1, 7), 10);
        assert_eq!(segments.wasteful(), Some(1));
    }
}

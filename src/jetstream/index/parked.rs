//! Messages that have left their stream by retention and whose bytes are wanted for a while: they are to be
//! copied elsewhere.
//!
//! *Invariant:* a parked message is in none of the index's counts, and nobody reads it by its sequence; only
//! its place is kept, and the segment that it lies in. How many there are is bounded: the oldest goes first.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use protocol::id::{LogPos, Seq};
use protocol::store::{Loc, Place};

use super::segments::Segments;
use super::{Index, Meta};
use crate::entry::{DecodeError, Reader, put_step, put_varint};

/// Most parked messages of a stream.
pub(crate) const PARKED_MAX: usize = 1_000_000;
/// Most bytes of the parked messages of a stream.
pub(crate) const PARKED_BYTES_MAX: u64 = 1 << 30;

/// A parked message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Spot {
    loc: Loc,
    size: u32,
}

/// The parked messages of a stream.
#[derive(Debug, Default)]
pub(super) struct Parked {
    spots: BTreeMap<u64, Spot>,
    bytes: u64,
    /// Those whose entries lie in the log.
    in_log: BTreeSet<u64>,
    /// Whether checkpoints hold something else.
    changed: bool,
    /// How many were given up since the process started because there were too many.
    surplus: u64,
}

impl Parked {
    fn put(&mut self, seq: u64, spot: Spot) {
        self.changed = true;
        self.bytes += u64::from(spot.size);
        if matches!(spot.loc.place(), Place::Log(_)) {
            self.in_log.insert(seq);
        }
        if let Some(before) = self.spots.insert(seq, spot) {
            self.bytes -= u64::from(before.size);
        }
    }

    fn take(&mut self, seq: u64) -> Option<Spot> {
        let spot = self.spots.remove(&seq)?;
        self.changed = true;
        self.bytes -= u64::from(spot.size);
        self.in_log.remove(&seq);
        Some(spot)
    }

    fn oldest(&self) -> Option<u64> {
        self.spots.first_key_value().map(|(seq, _)| *seq)
    }

    fn is_too_much(&self, messages_max: usize, bytes_max: u64) -> bool {
        // One message has room, however large.
        self.spots.len() > messages_max || (self.bytes > bytes_max && self.spots.len() > 1)
    }

    /// Says in segments what lies there, after those have forgotten.
    fn keep_segments(&self, segments: &mut Segments) {
        for spot in self.spots.values() {
            keep(segments, *spot);
        }
    }
}

fn keep(segments: &mut Segments, spot: Spot) {
    if let Place::Segment { number, .. } = spot.loc.place() {
        segments.found(number, 1, u64::from(spot.size));
    }
}

impl Index {
    /// Removes a message as [`Index::remove`] does, but keeps its bytes; those of the oldest ones go when
    /// there are too many. Returns what went for good.
    pub(crate) fn park(&mut self, seq: Seq) -> Vec<Seq> {
        self.park_within(seq, PARKED_MAX, PARKED_BYTES_MAX)
    }

    fn park_within(&mut self, seq: Seq, messages_max: usize, bytes_max: u64) -> Vec<Seq> {
        let Some(Meta { loc, size, .. }) = self.remove(seq) else {
            return Vec::new();
        };
        let spot = Spot { loc, size };
        keep(&mut self.segments, spot);
        self.parked.put(seq.0, spot);
        let mut gone = Vec::new();
        while self.parked.is_too_much(messages_max, bytes_max)
            && let Some(oldest) = self.parked.oldest()
        {
            self.parked.surplus += 1;
            self.unpark(Seq(oldest));
            gone.push(Seq(oldest));
        }
        gone
    }

    /// Lets a parked message go for good; false if there is none of this sequence.
    pub(crate) fn unpark(&mut self, seq: Seq) -> bool {
        let Some(spot) = self.parked.take(seq.0) else {
            return false;
        };
        self.segments.removed(spot.loc, spot.size);
        true
    }

    /// Returns where a parked message lies.
    #[must_use]
    pub(crate) fn parked_at(&self, seq: Seq) -> Option<Loc> {
        self.parked.spots.get(&seq.0).map(|spot| spot.loc)
    }

    /// Returns the sequences of parked messages behind `after`, in order.
    pub fn parked(&self, after: Seq) -> impl Iterator<Item = Seq> + '_ {
        let behind = self.parked.spots.range(after.0.saturating_add(1)..);
        behind.map(|(seq, _)| Seq(*seq))
    }

    /// Returns how many messages are parked.
    #[must_use]
    pub fn parked_count(&self) -> usize {
        self.parked.spots.len()
    }

    /// Returns how many parked messages were given up since the process started: there were too many.
    #[must_use]
    pub fn parked_surplus(&self) -> u64 {
        self.parked.surplus
    }

    /// Calls `each` with every parked message and where its entry lies, in order.
    pub(super) fn each_parked(&self, mut each: impl FnMut(Seq, Loc)) {
        for (seq, spot) in &self.parked.spots {
            each(Seq(*seq), spot.loc);
        }
    }

    /// Appends the parked messages whose entries lie in the log, below `below`, to `out`: about `max` of
    /// them.
    pub(super) fn unflushed_parked(&self, below: LogPos, max: usize, out: &mut Vec<(Seq, Loc)>) {
        for seq in &self.parked.in_log {
            if out.len() >= max {
                return;
            }
            if let Some(spot) = self.parked.spots.get(seq)
                && matches!(spot.loc.place(), Place::Log(pos) if pos < below)
            {
                out.push((Seq(*seq), spot.loc));
            }
        }
    }

    /// Records where the entry of a parked message has moved.
    pub(super) fn relocated_parked(&mut self, seq: Seq, loc: Loc) {
        if let Some(before) = self.parked.take(seq.0) {
            self.segments.removed(before.loc, before.size);
            self.segments.added(loc, before.size);
            let size = before.size;
            self.parked.put(seq.0, Spot { loc, size });
        }
    }

    /// After everything was removed from the segments' counts.
    pub(super) fn keep_parked(&mut self) {
        self.parked.keep_segments(&mut self.segments);
    }

    /// Says whether the parked messages differ from what checkpoints hold, and notes that the next one
    /// holds them.
    pub(crate) fn take_parked_changed(&mut self) -> bool {
        core::mem::take(&mut self.parked.changed)
    }

    /// Has the parked messages written again by the next checkpoint.
    pub(crate) fn touch_parked(&mut self) {
        self.parked.changed = true;
    }

    /// Appends the parked messages to a checkpoint; nothing if there are none.
    pub(crate) fn snapshot_parked(&self, out: &mut Vec<u8>) {
        let spots = &self.parked.spots;
        if spots.is_empty() {
            return;
        }
        put_varint(out, u64::try_from(spots.len()).unwrap_or(u64::MAX));
        let (mut seq_before, mut loc_before) = (0, 0);
        for (seq, spot) in spots {
            let loc = spot.loc.to_bits();
            put_step(out, seq_before, *seq);
            put_step(out, loc_before, loc);
            put_varint(out, u64::from(spot.size));
            (seq_before, loc_before) = (*seq, loc);
        }
    }

    /// Takes over the parked messages of a checkpoint.
    ///
    /// # Errors
    /// If the bytes are cut short or contradict themselves.
    pub(crate) fn restore_parked(&mut self, from: &mut Reader) -> Result<(), DecodeError> {
        for (seq, spot) in spots(from)? {
            keep(&mut self.segments, spot);
            self.parked.put(seq.0, spot);
        }
        self.parked.changed = false;
        Ok(())
    }
}

fn spots(from: &mut Reader) -> Result<Vec<(Seq, Spot)>, DecodeError> {
    let count = from.varint()?;
    let mut found = Vec::new();
    let (mut seq, mut loc) = (0, 0);
    for _ in 0..count {
        seq = from.step(seq)?;
        loc = from.step(loc)?;
        let size = u32::try_from(from.varint()?).map_err(|_| DecodeError::Length)?;
        let spot = Spot {
            loc: Loc::from_bits(loc),
            size,
        };
        found.push((Seq(seq), spot));
    }
    Ok(found)
}

/// Returns the parked messages of a checkpoint whose entries lay in the log.
pub(crate) fn parked_in_log(from: &mut Reader) -> Result<Vec<(Seq, Loc)>, DecodeError> {
    let all = spots(from)?.into_iter().map(|(seq, spot)| (seq, spot.loc));
    let in_log = |loc: &Loc| matches!(loc.place(), Place::Log(_));
    Ok(all.filter(|(_, loc)| in_log(loc)).collect())
}

#[cfg(test)]
mod tests {
    use protocol::time::Wall;

    use super::super::{NewMsg, Overhead};
    use super::*;

    /// An index with so many messages of which each counts 10 bytes, in the log.
    fn filled(messages: u64) -> Index {
        let overhead = Overhead {
            fixed: 0,
            headers: 0,
        };
        let mut index = Index::new(Seq(1), overhead);
        for at in 0..messages {
            let msg = NewMsg {
                loc: Loc::log(LogPos(at * 100)),
                time: Wall(at),
                len: 10,
                has_headers: false,
            };
            index.push(b"a", msg);
        }
        index
    }

    fn unflushed(index: &Index) -> Vec<(Seq, Loc)> {
        let mut found = Vec::new();
        index.unflushed(LogPos(u64::MAX), usize::MAX, &mut found);
        found
    }

    fn dead(index: &mut Index) -> Vec<u32> {
        let mut dead = Vec::new();
        index.take_dead_segments(|number| dead.push(number));
        dead
    }

    #[test]
    fn a_parked_message_is_gone_for_readers_and_counts() {
        let mut index = filled(3);
        assert!(index.park(Seq(1)).is_empty());
        assert_eq!((index.messages(), index.bytes()), (2, 20));
        assert_eq!((index.first_seq(), index.meta(Seq(1))), (Seq(2), None));
        assert_eq!(index.parked_at(Seq(1)), Some(Loc::log(LogPos(0))));
        assert!(index.parked(Seq(0)).eq([Seq(1)]));
        assert!(index.park(Seq(1)).is_empty(), "it is not there any more");
        assert!(index.unpark(Seq(1)) && !index.unpark(Seq(1)));
        assert_eq!(index.parked_count(), 0);
    }

    #[test]
    fn a_parked_message_moves_to_segments_and_keeps_its_own() {
        let mut index = filled(2);
        index.park(Seq(1));
        let moved: Vec<_> = unflushed(&index)
            .into_iter()
            .map(|(seq, _)| (seq, Loc::segment(u32::try_from(seq.0).unwrap(), 0)))
            .collect();
        assert_eq!(moved.len(), 2);
        index.relocated(&moved);
        assert!(unflushed(&index).is_empty());
        assert!(dead(&mut index).is_empty(), "it lies in the first segment");
        index.clear(Seq(0));
        assert!(dead(&mut index).is_empty(), "a purge does not concern it");
        index.unpark(Seq(1));
        assert_eq!(dead(&mut index), [1]);
    }

    #[test]
    fn a_checkpoint_holds_what_is_parked() {
        let mut index = filled(4);
        index.park(Seq(3));
        index.park(Seq(1));
        index.relocated(&[(Seq(3), Loc::segment(7, 9))]);
        assert!(index.take_parked_changed() && !index.take_parked_changed());
        let mut body = Vec::new();
        index.snapshot_parked(&mut body);
        let mut other = filled(0);
        let mut from = Reader::new(body.clone().into());
        other.restore_parked(&mut from).expect("it is readable");
        assert!(from.finish().is_ok());
        assert!(other.parked(Seq(0)).eq([Seq(1), Seq(3)]));
        assert_eq!(other.parked_at(Seq(3)), Some(Loc::segment(7, 9)));
        assert_eq!(unflushed(&other), [(Seq(1), Loc::log(LogPos(0)))]);
        let in_log = parked_in_log(&mut Reader::new(body.into())).unwrap();
        assert_eq!(in_log, [(Seq(1), Loc::log(LogPos(0)))]);
    }

    #[test]
    fn the_oldest_go_when_there_are_too_many() {
        let mut index = filled(5);
        assert!(index.park_within(Seq(1), 2, 1000).is_empty());
        assert!(index.park_within(Seq(2), 2, 1000).is_empty());
        assert_eq!(index.park_within(Seq(3), 2, 1000), [Seq(1)]);
        assert_eq!(index.park_within(Seq(4), 2, 19), [Seq(2), Seq(3)]);
        assert_eq!(index.parked_surplus(), 3);
        assert!(
            index.park_within(Seq(5), 2, 0).eq(&[Seq(4)]),
            "one has room"
        );
    }
}

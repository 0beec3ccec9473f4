//! What the store tells its user, in order.

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use bytes::Bytes;
use protocol::id::{LogPos, Seq, StreamId};
use protocol::store::{Loc, ReadError, ReadId, SectionKey};

use crate::log::Chunk;
use crate::op::DiskError;
use crate::record::{self, HEAD, Kind, Peek};
use crate::report::{Damage, RecoveryReport};

/// Something that the store's user must know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreEvent {
    /// A section of the state that recovery begins from. Sections come in the order of their keys, and
    /// entries follow.
    Section {
        /// Which one.
        key: SectionKey,
        /// Its contents.
        body: Bytes,
    },
    /// A section of the state that recovery begins from is damaged, and there is no older copy.
    SectionLost(SectionKey),
    /// The sections so far came from a checkpoint that is damaged: they do not count.
    CheckpointGivenUp,
    /// The next entry in log order. Its bytes are durable: replayed at recovery, or just synced.
    Entry {
        /// The position that [`crate::Store::append`] gave.
        pos: LogPos,
        /// Where to read it again.
        loc: Loc,
        /// The bytes, a slice of the buffer they were written from.
        entry: Bytes,
    },
    /// Between the entries before and those that follow, entries may be missing that were
    /// acknowledged: this range of the log is damaged.
    Hole(Damage),
    /// A part of a file that recovery needs could not be read, however often it was tried, or not be
    /// made durable again: the store stays closed until the process starts anew, since what was told of
    /// that part may not be there then. Nothing new has been written to the disk.
    Unreadable {
        /// The part; none if it is the directory.
        part: Option<Damage>,
        /// The disk's last answer.
        error: DiskError,
    },
    /// Everything stored has been replayed; from here on entries can be appended.
    Recovered(RecoveryReport),
    /// A read that was pending is done.
    ReadDone {
        /// The id that [`crate::Store::read`] gave.
        read: ReadId,
        /// The entry's bytes.
        result: Result<Bytes, ReadError>,
    },
    /// Much has changed since the last checkpoint: write one.
    CheckpointWanted,
    /// The log has grown long: flush the entries that lie below, then call
    /// [`crate::Store::finish_flushing`].
    FlushWanted {
        /// Entries from here on may stay in the log.
        below: LogPos,
    },
    /// A flush is durable: these entries are to be read at their new places from now on.
    Flushed {
        /// The stream.
        stream: StreamId,
        /// The entries and their places, in the order given.
        moved: Vec<(Seq, Loc)>,
        /// Entries that could not be read: they are lost.
        lost: Vec<Seq>,
    },
    /// A checkpoint is durable.
    CheckpointWritten {
        /// It holds every entry below.
        applied: LogPos,
    },
    /// A checkpoint could not be written; the one before still counts. The changes are kept, and
    /// another [`StoreEvent::CheckpointWanted`] follows.
    CheckpointRefused(DiskError),
    /// Reading again what is stored has found that this part has rotted. What can be written anew from
    /// memory is written with the next checkpoint.
    Rotten {
        /// The part.
        damage: Damage,
        /// The stream of a segment and its entries there, as far as they are known.
        lost: Option<(StreamId, Vec<(Seq, Loc)>)>,
    },
    /// A write or sync failed: nothing is stored any more until the process starts anew.
    Poisoned(DiskError),
}

/// A queue of events in which a whole batch of entries takes one place.
#[derive(Debug, Default)]
pub(crate) struct Events {
    walk: Option<Walk>,
    queue: VecDeque<Queued>,
}

#[derive(Debug)]
enum Queued {
    Entries(Walk),
    Event(StoreEvent),
}

/// The way through a row of records.
#[derive(Debug)]
struct Walk {
    chunk: Chunk,
    at: usize,
    /// Entries below are skipped.
    from: LogPos,
}

impl Events {
    pub(crate) fn push(&mut self, event: StoreEvent) {
        self.queue.push_back(Queued::Event(event));
    }

    /// Adds the entries of a chunk, from position `from` on.
    pub(crate) fn push_entries(&mut self, chunk: Chunk, from: LogPos) {
        self.queue
            .push_back(Queued::Entries(Walk { chunk, at: 0, from }));
    }

    pub(crate) fn poll(&mut self) -> Option<StoreEvent> {
        loop {
            if let Some(walk) = &mut self.walk {
                if let Some(event) = walk.next() {
                    return Some(event);
                }
                self.walk = None;
            }
            match self.queue.pop_front()? {
                Queued::Entries(walk) => self.walk = Some(walk),
                Queued::Event(event) => return Some(event),
            }
        }
    }
}

impl Events {
    /// Shows the entries that come next, as far as they lie in one row, and no more than `max`.
    pub(crate) fn upcoming(&self, max: usize) -> impl Iterator<Item = &[u8]> {
        let walk = match (&self.walk, self.queue.front()) {
            (Some(walk), _) if walk.at < walk.chunk.bytes.len() => Some(walk),
            (_, Some(Queued::Entries(walk))) => Some(walk),
            (_, Some(Queued::Event(_)) | None) => None,
        };
        let entries = walk.into_iter().flat_map(Walk::entries);
        entries.take(max)
    }
}

impl Walk {
    /// Shows the entries that are left.
    fn entries(&self) -> impl Iterator<Item = &[u8]> {
        let mut at = self.at;
        core::iter::from_fn(move || {
            loop {
                let here = at;
                let Peek {
                    kind, len, total, ..
                } = record::peek(self.chunk.bytes.get(here..)?)?;
                at += total;
                if kind == Kind::Entry && LogPos(self.chunk.start.0 + here as u64) >= self.from {
                    return self.chunk.bytes.get(here + HEAD..here + HEAD + len);
                }
            }
        })
    }

    #[inline]
    fn next(&mut self) -> Option<StoreEvent> {
        loop {
            let bytes = &self.chunk.bytes;
            let at = self.at;
            let Peek {
                kind, len, total, ..
            } = record::peek(bytes.get(at..)?)?;
            self.at += total;
            let pos = LogPos(self.chunk.start.0 + at as u64);
            if kind == Kind::Entry && pos >= self.from {
                return Some(StoreEvent::Entry {
                    pos,
                    loc: Loc::log(pos),
                    entry: bytes.slice(at + HEAD..at + HEAD + len),
                });
            }
        }
    }
}

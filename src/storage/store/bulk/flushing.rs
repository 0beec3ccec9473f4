//! Copying entries from the log to the segments of their streams, one flush at a time.

use alloc::vec::Vec;

use protocol::id::{LogPos, Seq, StreamId};
use protocol::store::Loc;

use super::super::{Store, places};
use crate::events::StoreEvent;
use crate::flush::{self, Flush, Flushed, Order, Source};
use crate::packing::Packing;

/// What a flush is told.
#[derive(Clone, Copy)]
pub(super) enum Drive {
    Begin,
    Advance,
}

impl Store {
    /// Copies live entries of a stream, given in log order, to the stream's segment;
    /// [`StoreEvent::Flushed`] follows once they are durable there. Entries that already lie in a
    /// segment may be among them: that is how a segment is rewritten.
    pub fn flush(&mut self, stream: StreamId, entries: Vec<(Seq, Loc)>) {
        self.flush_packed(stream, entries, Packing::Plain);
    }

    /// Does what [`Store::flush`] does; what comes from the log is stored as `packing` says.
    pub fn flush_packed(&mut self, stream: StreamId, entries: Vec<(Seq, Loc)>, packing: Packing) {
        if self.poisoned.is_some() {
            return;
        }
        if entries.is_empty() {
            let (moved, lost) = (Vec::new(), Vec::new());
            self.events.push(StoreEvent::Flushed {
                stream,
                moved,
                lost,
            });
            return;
        }
        self.bulk.queue.push_back(Order {
            stream,
            entries,
            packing,
        });
        self.begin_flush();
    }

    /// Returns the position below which everything has been flushed.
    #[must_use]
    pub fn flushed(&self) -> LogPos {
        self.bulk.flushed
    }

    /// Notes that every entry below `below` has been flushed or is no longer alive.
    pub fn finish_flushing(&mut self, below: LogPos) {
        self.bulk.flushed = self.bulk.flushed.max(below);
        self.bulk.asked = false;
        self.check_bulk();
    }

    pub(super) fn begin_flush(&mut self) {
        if self.bulk.flush.is_some() || self.poisoned.is_some() {
            return;
        }
        let Some(order) = self.bulk.queue.pop_front() else {
            return;
        };
        let len_max = self.options.segment_len_max;
        let (number, start) = self.bulk.segments.place_for(order.stream, len_max);
        self.bulk.flush = Some(Flush::new(order, number, start));
        self.drive_flush(Drive::Begin);
    }

    pub(super) fn drive_flush(&mut self, drive: Drive) {
        let Some(log) = &self.log else {
            return;
        };
        let Some(flush) = &mut self.bulk.flush else {
            return;
        };
        let places = places(log, &self.epochs, &self.bulk.segments);
        let source = Source {
            cache: &self.cache,
            places: &places,
            vault: &mut self.vault,
        };
        match drive {
            Drive::Begin => flush.begin(source, &mut self.ids, &mut self.wanted),
            Drive::Advance => {
                flush.advance(source, &mut self.ids, &mut self.wanted);
            }
        }
    }

    pub(super) fn on_flush(&mut self, outcome: flush::Outcome) {
        match outcome {
            flush::Outcome::Going => self.drive_flush(Drive::Advance),
            flush::Outcome::Waiting => {}
            flush::Outcome::Failed(error) => self.poison(error),
            flush::Outcome::Done(flushed) => {
                let Flushed {
                    stream,
                    moved,
                    lost,
                    segment,
                    len,
                } = flushed;
                self.bulk.segments.insert(segment, len);
                self.bulk.flush = None;
                self.events.push(StoreEvent::Flushed {
                    stream,
                    moved,
                    lost,
                });
                self.begin_flush();
            }
        }
    }
}

//! The store as its user sees it: appends and reads go in, disk operations and events come out.
//!
//! Driven like this: [`Store::start`], then after each [`Store::handle`] drain [`Store::poll`]; call
//! [`Store::pump`] once per batch of input and [`Store::tick`] about once a second.

mod bulk;
mod mending;
mod opening;

use alloc::boxed::Box;
use alloc::vec::Vec;

use bytes::{Bytes, BytesMut};
use protocol::id::{LogPos, StreamId};
use protocol::store::{Loc, Place, ReadError, ReadOutcome};

use crate::cache::TailCache;
use crate::events::{Events, StoreEvent};
use crate::ids::OpIds;
use crate::log::{Chunk, Log};
use crate::op::{DiskAnswer, DiskDone, DiskError, DiskOp};
use crate::options::StoreOptions;
use crate::places::Places;
use crate::reads::Reads;
use crate::record::EpochNo;
use crate::scrub::Scrub;
use crate::segments::Segments;
use crate::vault::Vault;
use bulk::Bulk;
use opening::Opening;

/// Numbers about the store, for monitoring.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StoreStats {
    /// Entries in the log since its beginning that are durable.
    pub entries: u64,
    /// Everything below is durable.
    pub synced: LogPos,
    /// Bytes appended that are not durable yet.
    pub unsynced_bytes: u64,
    /// Syncs of the log since the start.
    pub syncs: u64,
    /// Bytes of new entries kept in memory.
    pub tail_cache_bytes: usize,
    /// Bytes of read blocks kept in memory.
    pub read_cache_bytes: usize,
    /// Reads that found a damaged record since the start.
    pub damaged_reads: u64,
    /// Bytes read again since the start to find rot.
    pub scrubbed_bytes: u64,
    /// Laps of that which are over.
    pub scrub_laps: u64,
    /// Segments and sections of a checkpoint that are still to be read in this lap.
    pub scrub_waiting: usize,
    /// Segments that are in use.
    pub segments: usize,
    /// Their bytes.
    pub segment_bytes: u64,
}

#[derive(Debug)]
enum Phase {
    Idle,
    Opening(Box<Opening>),
    Live,
}

/// One shard's durable store: the log of all entries, the segments of each stream, and checkpoints.
///
/// An entry that was appended comes back as [`StoreEvent::Entry`] once it is durable: only then may it
/// be acknowledged.
#[derive(Debug)]
pub struct Store {
    options: StoreOptions,
    ids: OpIds,
    phase: Phase,
    /// There from the moment the log is open for writing.
    log: Option<Log>,
    epochs: Vec<(LogPos, EpochNo)>,
    cache: TailCache,
    reads: Reads,
    bulk: Bulk,
    scrub: Scrub,
    /// Operations wanted by calls that have no place to put them; the next `pump` hands them out.
    wanted: Vec<DiskOp>,
    events: Events,
    poisoned: Option<DiskError>,
    vault: Vault,
}

impl Store {
    /// Returns a store that has not looked at its disk yet.
    #[must_use]
    pub fn new(options: StoreOptions) -> Self {
        Self {
            ids: OpIds::default(),
            phase: Phase::Idle,
            log: None,
            epochs: Vec::new(),
            cache: TailCache::new(options.tail_cache_max),
            reads: Reads::new(&options),
            bulk: Bulk::default(),
            scrub: Scrub::new(options.scrub_rate, options.scrub_pause),
            wanted: Vec::new(),
            events: Events::default(),
            poisoned: None,
            vault: Vault::new(options.key),
            options,
        }
    }

    /// Returns the limits it was made with.
    #[must_use]
    pub fn options(&self) -> StoreOptions {
        self.options
    }

    /// Begins recovery. [`StoreEvent::Recovered`] tells its end.
    pub fn start(&mut self, ops: &mut Vec<DiskOp>) {
        self.phase = Phase::Opening(Box::new(Opening::start(&mut self.ids, ops)));
    }

    /// Takes the answer to an operation.
    pub fn handle(&mut self, done: DiskDone, ops: &mut Vec<DiskOp>) {
        let DiskDone { op, result } = done;
        if let Phase::Opening(opening) = &self.phase
            && opening.op() == Some(op)
        {
            self.handle_opening(result, ops);
            return;
        }
        let result = match result {
            Ok(DiskAnswer::Read(bytes)) => Ok(bytes),
            Ok(DiskAnswer::Done | DiskAnswer::Listed(_)) => Ok(Bytes::new()),
            Err(error) => Err(error),
        };
        if self
            .reads
            .on_done(op, &result, &mut self.vault, &mut self.ids, ops)
        {
            for (read, result) in self.reads.done.drain(..) {
                self.events.push(StoreEvent::ReadDone { read, result });
            }
            return;
        }
        if self.on_bulk_done(op, &result, ops) || self.on_scrubbed(op, &result, ops) {
            return;
        }
        let result = result.map(|_| ());
        let Some(log) = &mut self.log else {
            return;
        };
        if log.files.on_done(op, result) {
            self.check_open(ops);
            return;
        }
        match log.on_done(op, result) {
            Some(Ok(chunks)) => self.on_synced(chunks, ops),
            Some(Err(error)) => self.poison(error),
            None => {}
        }
    }

    fn on_synced(&mut self, chunks: Vec<Chunk>, ops: &mut Vec<DiskOp>) {
        if self.poisoned.is_some() || chunks.is_empty() {
            return;
        }
        for chunk in chunks {
            self.cache.push(chunk.clone());
            self.events.push_entries(chunk, LogPos(0));
        }
        while let Some(bytes) = self.cache.evict() {
            if let Some(log) = &mut self.log {
                log.reuse(bytes);
            }
        }
        self.check_open(ops);
        self.check_bulk();
    }

    fn poison(&mut self, error: DiskError) {
        if self.poisoned.is_some() {
            return;
        }
        self.poisoned = Some(error);
        self.bulk.stop();
        self.scrub.stop();
        self.wanted.retain(|op| matches!(op, DiskOp::Read { .. }));
        self.events.push(StoreEvent::Poisoned(error));
    }

    /// Stores nothing from here on: what is there does not bear to be built on.
    pub fn seal(&mut self) {
        self.poisoned.get_or_insert(DiskError::ReadOnly);
        self.bulk.stop();
        self.scrub.stop();
        self.wanted.retain(|op| matches!(op, DiskOp::Read { .. }));
    }

    /// Returns the next thing the user must know.
    #[inline]
    pub fn poll(&mut self) -> Option<StoreEvent> {
        self.events.poll()
    }

    /// Shows some of the entries that [`Store::poll`] will return next, at most `max` of them: whoever applies
    /// them can have at hand what they concern.
    pub fn upcoming(&self, max: usize) -> impl Iterator<Item = &[u8]> {
        self.events.upcoming(max)
    }

    /// Appends an entry and returns its position; [`StoreEvent::Entry`] follows once it is durable,
    /// and never if the store is poisoned before.
    ///
    /// # Panics
    /// Before [`StoreEvent::Recovered`], and if the entry does not fit into a log file of full length.
    #[inline]
    pub fn append(&mut self, encode: impl FnOnce(&mut BytesMut)) -> LogPos {
        self.append_with(|log| log.append(encode))
    }

    /// Does what [`Store::append`] does, for an entry that nobody waits for: [`Store::pump_busily`] leaves it
    /// for later, until [`Store::hurry`] or another entry says that it is time.
    ///
    /// # Panics
    /// As [`Store::append`].
    #[inline]
    pub fn append_lazily(&mut self, encode: impl FnOnce(&mut BytesMut)) -> LogPos {
        self.append_with(|log| log.append_lazily(encode))
    }

    #[inline]
    fn append_with(&mut self, append: impl FnOnce(&mut Log) -> LogPos) -> LogPos {
        let log = self.log.as_mut().expect("appends begin after Recovered");
        let pos = append(log);
        if self.poisoned.is_some() {
            log.discard();
        }
        pos
    }

    /// Has everything appended so far written with the next batch.
    pub fn hurry(&mut self) {
        if let Some(log) = &mut self.log {
            log.hurry();
        }
    }

    /// Returns a position that all entries appended so far lie below and all later ones do not.
    #[must_use]
    pub fn tail(&self) -> LogPos {
        self.log.as_ref().map_or(LogPos(0), Log::tail)
    }

    /// Returns why an entry of `len` bytes that a publisher brings cannot be stored now. A full disk
    /// leaves some room that only deletes and acknowledgements may use: ask with [`Store::is_full`].
    #[must_use]
    pub fn refuses(&self, len: usize) -> Option<DiskError> {
        self.refusal(len, self.options.log_reserve)
    }

    /// Returns why an entry of `len` bytes cannot be stored now, also if it frees space.
    #[must_use]
    pub fn is_full(&self, len: usize) -> Option<DiskError> {
        self.refusal(len, 0)
    }

    /// Returns why the log cannot grow now: publishers are refused, or will be when the present file is
    /// full.
    #[must_use]
    pub fn lacks(&self) -> Option<DiskError> {
        self.log.as_ref()?.lacks()
    }

    #[inline]
    fn refusal(&self, len: usize, reserve: u64) -> Option<DiskError> {
        if self.poisoned.is_some() {
            return self.poisoned;
        }
        self.log.as_ref()?.refuses(len as u64, reserve)
    }

    /// Writes what has been appended, with one sync for all, unless a sync is under way. When nothing
    /// has been, the log is marked as idle.
    pub fn pump(&mut self, ops: &mut Vec<DiskOp>) {
        self.pump_with(Log::pump, ops);
    }

    /// Does the same, but leaves out what may wait, and the mark of an idle log: for publishers that wait
    /// for each answer, a write more per message. [`Store::lacks_pump`] says that something is missing.
    pub fn pump_busily(&mut self, ops: &mut Vec<DiskOp>) {
        self.pump_with(Log::write_urgent, ops);
    }

    fn pump_with(
        &mut self,
        write: impl FnOnce(&mut Log, &mut Vault, &mut OpIds, &mut Vec<DiskOp>),
        ops: &mut Vec<DiskOp>,
    ) {
        ops.append(&mut self.wanted);
        if self.poisoned.is_some() {
            return;
        }
        if let Some(log) = &mut self.log {
            write(log, &mut self.vault, &mut self.ids, ops);
        }
    }

    /// Returns whether [`Store::pump`] should follow soon: entries wait for more, or the log is idle and rot
    /// of its last batch would be taken for a torn write.
    #[must_use]
    pub fn lacks_pump(&self) -> bool {
        let lacks = |log: &Log| log.is_holding() || log.lacks_mark();
        self.poisoned.is_none() && self.log.as_ref().is_some_and(lacks)
    }

    /// Tries again what has failed for want of space and makes the last mark durable; for about once a
    /// second, and before a clean stop.
    pub fn tick(&mut self, ops: &mut Vec<DiskOp>) {
        if self.poisoned.is_some() {
            return;
        }
        self.retry_opening(ops);
        self.retry_bulk();
        if let (Phase::Live, Some(log)) = (&self.phase, &self.log) {
            let places = places(log, &self.epochs, &self.bulk.segments);
            self.scrub.tick(
                &places,
                &self.bulk.sections,
                &mut self.ids,
                &mut self.wanted,
            );
        }
        if let Some(log) = &mut self.log {
            log.files.retry();
            log.pump(&mut self.vault, &mut self.ids, ops);
            log.settle(&mut self.vault, &mut self.ids, ops);
        }
        ops.append(&mut self.wanted);
    }

    /// Returns the bytes of a stored entry, or asks the disk for them; the operation is handed out by
    /// the next [`Store::pump`].
    pub fn read(&mut self, stream: StreamId, loc: Loc) -> ReadOutcome {
        if let Place::Log(pos) = loc.place()
            && let Some(entry) = self.cache.entry(pos)
        {
            return ReadOutcome::Hit(entry);
        }
        let Some(target) = self.places().and_then(|places| places.locate(stream, loc)) else {
            return ReadOutcome::Failed(ReadError::Missing);
        };
        match self.reads.cached(target, &mut self.vault) {
            Some(Ok(entry)) => ReadOutcome::Hit(entry),
            Some(Err(error)) => ReadOutcome::Failed(error),
            None => {
                let read = self.reads.fetch(target, &mut self.ids, &mut self.wanted);
                ReadOutcome::Pending(read)
            }
        }
    }

    fn places(&self) -> Option<Places<'_>> {
        let log = self.log.as_ref()?;
        Some(places(log, &self.epochs, &self.bulk.segments))
    }

    /// Returns why the store stores nothing any more, if so.
    #[must_use]
    pub fn poisoned(&self) -> Option<DiskError> {
        self.poisoned
    }

    /// Returns numbers for monitoring.
    #[must_use]
    pub fn stats(&self) -> StoreStats {
        let log = self.log.as_ref();
        StoreStats {
            entries: log.map_or(0, Log::entries_synced),
            synced: log.map_or(LogPos(0), Log::synced),
            unsynced_bytes: log.map_or(0, Log::unsynced),
            syncs: log.map_or(0, Log::syncs),
            tail_cache_bytes: self.cache.bytes(),
            read_cache_bytes: self.reads.bytes(),
            damaged_reads: self.reads.damaged,
            scrubbed_bytes: self.scrub.bytes,
            scrub_laps: self.scrub.laps,
            scrub_waiting: self.scrub.waiting(),
            segments: self.bulk.segments.count(),
            segment_bytes: self.bulk.segments.bytes(),
        }
    }
}

fn places<'a>(log: &'a Log, epochs: &'a [(LogPos, EpochNo)], segments: &'a Segments) -> Places<'a> {
    Places {
        files: &log.files,
        synced: log.synced(),
        epochs,
        segments,
    }
}

#[cfg(test)]
mod tests;

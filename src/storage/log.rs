//! The log's writer: collects entries, which leave in batches ([`batch`]) and are handed back once they
//! are durable.
//!
//! *Invariants:* one batch is in flight at a time and lies within one file; an entry is handed back
//! only after the sync that covers it; positions are given out once and grow. After a failed write or
//! sync nothing is written any more: the caller drops the log's answers.

mod batch;
mod chunk;
pub(crate) mod files;

use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::mem;

use bytes::{BufMut, Bytes, BytesMut};
use protocol::id::LogPos;

use crate::ids::OpIds;
use crate::marks::{Commit, End, Epoch, FileHead};
use crate::op::{DiskError, DiskOp, OpId};
use crate::options::StoreOptions;
use crate::record::{self, EpochNo, Form, HEAD, Kind, Site, padded};
use crate::vault::Vault;
use batch::Batch;
pub(crate) use chunk::Chunk;
use chunk::{Waiting, put_record};
use files::Files;

/// Room kept behind each record for the marks that may follow it: the batch's commit mark, two more
/// when the log falls idle, and the file's end mark.
const MARKS_ROOM: u64 = 3 * Commit::TOTAL + End::TOTAL;

/// The writer's state.
#[derive(Debug)]
pub(crate) struct Log {
    pub(crate) files: Files,
    /// What is being collected. Its file may not exist yet.
    building: Waiting,
    /// Full buffers, and the rest of files that have been left; in order.
    ready: VecDeque<Waiting>,
    in_flight: Option<Batch>,
    /// The write of an idle mark that no sync covers yet.
    mark: Option<OpId>,
    /// Everything below is durable.
    synced: u64,
    /// The newest mark on disk says that everything below is durable.
    marked: u64,
    /// Whether that mark itself is durable.
    mark_synced: bool,
    epoch: EpochNo,
    /// How entries are written.
    form: Form,
    entries: u64,
    entries_synced: u64,
    chunk_len: usize,
    /// Whether anything waits to be written that must not wait longer.
    is_urgent: bool,
    /// Buffers that have fallen out of the cache.
    spares: Vec<BytesMut>,
    syncs: u64,
}

impl Log {
    /// How many unused buffers are kept.
    const SPARES_MAX: usize = 4;

    /// Opens the log for writing at `tail` in a new epoch. `files` holds the files that exist.
    pub(crate) fn open(
        options: &StoreOptions,
        mut files: Files,
        tail: LogPos,
        epoch: EpochNo,
        entries: u64,
    ) -> Self {
        let file = files.covering(tail.0).unwrap_or_else(|| files.plan(tail.0));
        let mut log = Self {
            files,
            building: Waiting {
                file,
                start: tail.0,
                bytes: BytesMut::with_capacity(options.chunk_len),
            },
            ready: VecDeque::new(),
            in_flight: None,
            mark: None,
            synced: tail.0,
            marked: tail.0,
            mark_synced: true,
            epoch,
            form: options.key.map_or(Form::Clear, |_| Form::Sealed),
            entries,
            entries_synced: entries,
            chunk_len: options.chunk_len,
            is_urgent: true,
            spares: Vec::new(),
            syncs: 0,
        };
        if tail.0 == file.base {
            log.put_file_head();
        }
        log.push((Kind::Epoch, Form::Clear), |out| {
            Epoch { epoch, entries }.encode(out)
        });
        log
    }

    /// Adds an entry to the next batch.
    #[inline]
    pub(crate) fn append(&mut self, encode: impl FnOnce(&mut BytesMut)) -> LogPos {
        self.is_urgent = true;
        self.append_lazily(encode)
    }

    /// Adds an entry that may wait for more.
    #[inline]
    pub(crate) fn append_lazily(&mut self, encode: impl FnOnce(&mut BytesMut)) -> LogPos {
        let pos = self.push((Kind::Entry, self.form), encode);
        // Counted after the push: a file head written on the way counts what lies before it.
        self.entries += 1;
        pos
    }

    /// Notes in the log that a checkpoint has been finished: should it not be readable later, it was
    /// not torn.
    pub(crate) fn note_checkpoint(&mut self, number: u64) {
        self.is_urgent = true;
        self.push((Kind::Checkpointed, Form::Clear), |out| {
            out.put_u64_le(number);
        });
    }

    /// Returns a position that no entry before the next has reached.
    pub(crate) fn tail(&self) -> LogPos {
        LogPos(self.building.tail())
    }

    /// Returns the position below which everything is durable.
    pub(crate) fn synced(&self) -> LogPos {
        LogPos(self.synced)
    }

    pub(crate) fn entries_synced(&self) -> u64 {
        self.entries_synced
    }

    pub(crate) fn syncs(&self) -> u64 {
        self.syncs
    }

    /// Returns how many bytes wait for a sync, those in flight included.
    pub(crate) fn unsynced(&self) -> u64 {
        self.building.tail().saturating_sub(self.synced)
    }

    #[inline]
    fn push(&mut self, tagged: (Kind, Form), encode: impl FnOnce(&mut BytesMut)) -> LogPos {
        let (_, form) = tagged;
        let (at, len) = put_record(&mut self.building.bytes, form, encode);
        let (mut at, mut pos) = (at, self.building.start + at as u64);
        if pos + padded(len as usize) as u64 + MARKS_ROOM > self.building.file.end() {
            (at, pos) = self.cross(at);
        }
        let record = self.building.bytes.get_mut(at..).unwrap_or_default();
        record::seal_in(record, len, Site::log(pos, self.epoch), tagged);
        self.roll(padded(len as usize));
        LogPos(pos)
    }

    /// Moves the unsealed record at `at` to the next file in which it fits.
    #[cold]
    fn cross(&mut self, at: usize) -> (usize, u64) {
        let record = self.building.bytes.split_off(at);
        loop {
            let file = self.files.after(self.building.file);
            let bytes = self.fresh();
            let left = mem::replace(
                &mut self.building,
                Waiting {
                    file,
                    start: file.base,
                    bytes,
                },
            );
            self.ready.push_back(left);
            self.put_file_head();
            let pos = self.building.tail();
            if pos + record.len() as u64 + MARKS_ROOM <= file.end() {
                let at = self.building.bytes.len();
                self.building.bytes.extend_from_slice(&record);
                return (at, pos);
            }
        }
    }

    fn put_file_head(&mut self) {
        let head = FileHead {
            len: self.building.file.len,
            entries: self.entries,
        };
        self.building
            .seal_in(self.epoch, Kind::File, |out| head.encode(out));
    }

    /// Begins a new buffer when the present one is nearly full, or has no room for another record as long
    /// as the last, so that records are not copied when it grows.
    #[inline]
    fn roll(&mut self, last_len: usize) {
        let bytes = &self.building.bytes;
        if bytes.capacity() - bytes.len() >= last_len.max(self.chunk_len / 16) {
            return;
        }
        let (file, start) = (self.building.file, self.building.tail());
        let bytes = self.fresh();
        let full = mem::replace(&mut self.building, Waiting { file, start, bytes });
        if !full.bytes.is_empty() {
            self.ready.push_back(full);
        }
    }

    fn fresh(&mut self) -> BytesMut {
        self.spares
            .pop()
            .unwrap_or_else(|| BytesMut::with_capacity(self.chunk_len))
    }

    /// Takes a buffer back that has fallen out of the cache.
    pub(crate) fn reuse(&mut self, bytes: Bytes) {
        if self.spares.len() >= Self::SPARES_MAX {
            return;
        }
        let Ok(mut bytes) = bytes.try_into_mut() else {
            return;
        };
        bytes.clear();
        if bytes.try_reclaim(self.chunk_len) {
            self.spares.push(bytes);
        }
    }

    /// Forgets what waits to be written: for a poisoned store, which must not collect for ever.
    #[cold]
    pub(crate) fn discard(&mut self) {
        self.ready.clear();
        self.building.start = self.building.tail();
        self.building.bytes.clear();
    }

    /// Writes what has arrived, with one sync, unless a sync is under way; marks an idle log.
    pub(crate) fn pump(&mut self, vault: &mut Vault, ids: &mut OpIds, ops: &mut Vec<DiskOp>) {
        self.write_batch(vault, ids, ops);
        if self.is_idle() && self.files.is_ready(self.building.file) {
            self.write_idle_mark(ids, ops);
        }
    }

    /// Has what waits written with the next batch, however long it could wait.
    pub(crate) fn hurry(&mut self) {
        self.is_urgent = true;
    }

    /// Does what [`Log::write_batch`] does if there is something that must not wait longer.
    pub(crate) fn write_urgent(
        &mut self,
        vault: &mut Vault,
        ids: &mut OpIds,
        ops: &mut Vec<DiskOp>,
    ) {
        if self.is_urgent {
            self.write_batch(vault, ids, ops);
        } else {
            self.files.drive(self.building.file, ids, ops);
        }
    }

    /// Whether nothing waits or is under way.
    fn is_idle(&self) -> bool {
        self.in_flight.is_none() && self.ready.is_empty() && self.building.bytes.is_empty()
    }

    /// Whether the log is idle and no mark says yet that its last batch is durable.
    pub(crate) fn lacks_mark(&self) -> bool {
        self.is_idle() && self.marked < self.synced
    }

    /// Whether all that waits may wait for more.
    pub(crate) fn is_holding(&self) -> bool {
        let nothing_waits = self.ready.is_empty() && self.building.bytes.is_empty();
        !(self.is_urgent || nothing_waits)
    }

    /// Returns why the file being written, or the one behind it, cannot be made; none when both are
    /// there or on their way.
    pub(crate) fn lacks(&self) -> Option<DiskError> {
        let file = self.building.file;
        let next = || self.files.covering(file.end());
        let failed = self.files.failure(file);
        failed.or_else(|| self.files.failure(next()?))
    }

    /// Returns why an entry of `len` bytes that leaves `reserve` bytes free cannot be stored now: the
    /// next file could not be made and the present ones are full.
    pub(crate) fn refuses(&self, len: u64, reserve: u64) -> Option<DiskError> {
        let file = self.building.file;
        if let Some(error) = self.files.failure(file) {
            return Some(error);
        }
        let next = self.files.covering(file.end())?;
        let error = self.files.failure(next)?;
        let need = len + (HEAD + self.form.room()) as u64 + MARKS_ROOM + reserve.min(file.len / 4);
        (self.building.tail() + need > file.end()).then_some(error)
    }
}

//! Copying a stream's live entries from the log into its segment.
//!
//! A flush appends the entries' records, re-based to their new place or, where the store has a key, sealed
//! for it, and then an index of them; one
//! sync ends it, and only then are the new places told. *Invariants:* one flush at a time, with one
//! operation under way, so that it takes little memory and leaves the disk to the log; an entry that
//! cannot be read is named as lost, not left out.

use alloc::vec::Vec;
use core::mem;

use bytes::{BufMut, Bytes, BytesMut};
use protocol::id::{Seq, StreamId};
use protocol::store::{Loc, Place};

use crate::cache::TailCache;
use crate::ids::OpIds;
use crate::op::{DiskError, DiskOp, FileName, OpId};
use crate::packing::{Packing, pack};
use crate::places::{Places, Target};
use crate::record::{self, Form, Kind, Parsed, Record, SEAL, Site, parse};
use crate::segments::SegmentKey;
use crate::vault::Vault;

/// How much is written at once.
const WRITE_LEN: usize = 1 << 20;
/// How far one read of scattered entries reaches.
const READ_SPAN: u64 = 1 << 20;
/// What a read fetches behind the start of the last record it is for.
const READ_SLACK: u64 = 8 << 10;
/// A read that fails is repeated with less, down to a record's head, which tells the record's length:
/// one bad sector must not cost its neighbours.
const READ_LEAST: u64 = record::HEAD as u64;
/// How many ticks a flush waits for entries that the disk refuses to read before it goes on without.
const WAITS_MAX: u32 = 10;

/// What is to be flushed.
#[derive(Debug)]
pub(crate) struct Order {
    pub(crate) stream: StreamId,
    /// Entries and where they lie, in log order.
    pub(crate) entries: Vec<(Seq, Loc)>,
    pub(crate) packing: Packing,
}

/// What a finished flush has done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Flushed {
    pub(crate) stream: StreamId,
    pub(crate) moved: Vec<(Seq, Loc)>,
    pub(crate) lost: Vec<Seq>,
    pub(crate) segment: SegmentKey,
    /// The segment's new length.
    pub(crate) len: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Creating,
    Reading,
    Writing,
    Syncing,
}

/// A flush under way.
#[derive(Debug)]
pub(crate) struct Flush {
    pub(crate) stream: StreamId,
    entries: Vec<(Seq, Loc)>,
    next: usize,
    segment: SegmentKey,
    packing: Packing,
    /// Where the flush began in the segment: it begins there again if the disk was full.
    start: u64,
    /// The offset of `out` in the segment.
    at: u64,
    out: BytesMut,
    indexed: bool,
    moved: Vec<(Seq, Loc)>,
    lost: Vec<Seq>,
    block: Option<(FileName, u64, Bytes)>,
    /// The operation under way and what it is; none when the flush waits for a tick.
    doing: Option<(OpId, Step)>,
    asked: Option<Ask>,
    span_max: u64,
    /// How often the flush has waited because an entry could not be read.
    waits: u32,
}

/// A read of the flush's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Ask {
    file: FileName,
    offset: u64,
    len: u32,
    why: Why,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Why {
    /// For this entry and those close behind.
    Span,
    /// For one record whose length is known.
    Whole,
}

/// Where entries are found, and what they are sealed with.
pub(crate) struct Source<'a> {
    pub(crate) cache: &'a TailCache,
    pub(crate) places: &'a Places<'a>,
    pub(crate) vault: &'a mut Vault,
}

/// What an answer leads to.
pub(crate) enum Outcome {
    /// Call [`Flush::advance`].
    Going,
    /// Waits for the next tick: for space, or for a read to succeed.
    Waiting,
    Done(Flushed),
    Failed(DiskError),
}

impl Flush {
    pub(crate) fn new(order: Order, number: u32, start: u64) -> Self {
        let Order {
            stream,
            entries,
            packing,
        } = order;
        Self {
            stream,
            entries,
            packing,
            segment: (stream, number),
            start,
            next: 0,
            at: start,
            out: BytesMut::new(),
            indexed: false,
            moved: Vec::new(),
            lost: Vec::new(),
            block: None,
            doing: None,
            asked: None,
            span_max: READ_SPAN,
            waits: 0,
        }
    }

    fn file(&self) -> FileName {
        let (stream, number) = self.segment;
        FileName::Segment { stream, number }
    }

    /// Whether the flush reads this file.
    pub(crate) fn uses(&self, file: FileName) -> bool {
        self.asked.is_some_and(|asked| asked.file == file)
    }

    pub(crate) fn is_waiting(&self) -> bool {
        self.doing.is_none()
    }

    fn ask(&mut self, step: Step, op: DiskOp, ops: &mut Vec<DiskOp>) {
        self.doing = Some((op.id(), step));
        ops.push(op);
    }

    /// Begins, or begins again.
    pub(crate) fn begin(&mut self, source: Source<'_>, ids: &mut OpIds, ops: &mut Vec<DiskOp>) {
        (self.next, self.at, self.indexed) = (0, self.start, false);
        (self.block, self.asked) = (None, None);
        self.out.clear();
        self.moved.clear();
        self.lost.clear();
        if self.start > 0 {
            self.advance(source, ids, ops);
            return;
        }
        let (op, file) = (ids.take(), self.file());
        self.ask(Step::Creating, DiskOp::Create { op, file, len: 0 }, ops);
    }

    /// Copies until something has to be read or written.
    pub(crate) fn advance(
        &mut self,
        mut source: Source<'_>,
        ids: &mut OpIds,
        ops: &mut Vec<DiskOp>,
    ) {
        while self.out.len() < WRITE_LEN {
            let Some(&(seq, loc)) = self.entries.get(self.next) else {
                if self.indexed {
                    break;
                }
                self.put_index();
                continue;
            };
            if let Err(asked) = self.copy(seq, loc, &mut source) {
                self.asked = Some(asked);
                let Ask {
                    file, offset, len, ..
                } = asked;
                let op = ids.take();
                let read = DiskOp::Read {
                    op,
                    file,
                    offset,
                    len,
                };
                self.ask(Step::Reading, read, ops);
                return;
            }
            self.next += 1;
        }
        let (op, file, offset) = (ids.take(), self.file(), self.at);
        if self.out.is_empty() {
            self.ask(Step::Syncing, DiskOp::Sync { op, file }, ops);
            return;
        }
        let data = mem::take(&mut self.out).freeze();
        self.at += data.len() as u64;
        let write = DiskOp::Write {
            op,
            file,
            offset,
            data,
        };
        self.ask(Step::Writing, write, ops);
    }

    /// Copies one entry; asks for a read if it is not in memory.
    fn copy(&mut self, seq: Seq, loc: Loc, source: &mut Source<'_>) -> Result<(), Ask> {
        let Source {
            cache,
            places,
            vault,
        } = source;
        let Some(target) = places.locate(self.stream, loc) else {
            self.lost.push(seq);
            return Ok(());
        };
        // What has been damaged in memory may still be whole on the disk.
        if let Some(record) = cached(cache, loc)
            && self.put(seq, &record, target.site, vault)
        {
            return Ok(());
        }
        let Target {
            file,
            offset,
            site,
            file_len,
        } = target;
        let block = self.block.as_ref();
        let block = block.filter(|(of, start, bytes)| {
            *of == file && (*start..*start + bytes.len() as u64).contains(&offset)
        });
        if let Some((_, start, bytes)) = block {
            let at = usize::try_from(offset - start).unwrap_or(usize::MAX);
            let rest = bytes.slice(at.min(bytes.len())..);
            match parse(&rest, site) {
                Parsed::Valid(found) => self.put_found(seq, &rest, &found, site, vault),
                Parsed::Short { total } if offset + total as u64 <= file_len => {
                    let len = u32::try_from(total).unwrap_or(u32::MAX);
                    let why = Why::Whole;
                    let ask = Ask {
                        file,
                        offset,
                        len,
                        why,
                    };
                    if self.asked != Some(ask) {
                        return Err(ask);
                    }
                    self.lost.push(seq);
                }
                Parsed::Short { .. } | Parsed::Invalid => self.lost.push(seq),
            }
            return Ok(());
        }
        let span = self.span(file, offset, places).min(self.span_max);
        let len = span.min(file_len.saturating_sub(offset));
        let len = u32::try_from(len).unwrap_or(u32::MAX);
        let why = Why::Span;
        Err(Ask {
            file,
            offset,
            len,
            why,
        })
    }

    /// Returns how much to read so that the entries that lie close behind come along.
    fn span(&self, file: FileName, offset: u64, places: &Places<'_>) -> u64 {
        let mut last = offset;
        for &(_, loc) in self.entries.get(self.next..).unwrap_or_default() {
            match places.locate(self.stream, loc) {
                Some(target)
                    if target.file == file
                        && target.offset >= last
                        && target.offset - offset < READ_SPAN =>
                {
                    last = target.offset;
                }
                Some(_) | None => break,
            }
        }
        last - offset + READ_SLACK
    }

    /// Appends a record that has been read; `rest` begins with it.
    fn put_found(
        &mut self,
        seq: Seq,
        rest: &[u8],
        found: &Record<'_>,
        site: Site,
        vault: &mut Vault,
    ) {
        let is_entry = matches!(found.kind, Kind::Entry | Kind::Packed);
        match found.form {
            Form::Clear if is_entry => {
                let record = rest.get(..found.total).unwrap_or_default();
                self.put(seq, record, site, vault);
            }
            Form::Sealed if is_entry => match vault.open(found, site) {
                Some(contents) => self.put_sealed(seq, found.kind, &contents, vault),
                None => self.lost.push(seq),
            },
            Form::Clear | Form::Sealed => self.lost.push(seq),
        }
    }

    /// Notes where the next record comes to lie.
    fn place(&mut self, seq: Seq) -> Site {
        let offset = self.at + self.out.len() as u64;
        let (stream, number) = self.segment;
        self.moved.push((seq, Loc::segment(number, offset)));
        Site::segment(stream, number, offset)
    }

    /// Appends a record that lies `from` in the clear, on the disk or in memory; false if it is to be
    /// sealed and is damaged.
    fn put(&mut self, seq: Seq, record: &[u8], from: Site, vault: &mut Vault) -> bool {
        if vault.form() == Form::Sealed {
            let Parsed::Valid(found) = parse(record, from) else {
                return false;
            };
            let len = found.body.len().saturating_sub(found.form.room());
            let contents = found.body.get(..len).unwrap_or_default();
            self.put_sealed(seq, found.kind, contents, vault);
            return true;
        }
        let at = self.out.len();
        let to = self.place(seq);
        if self.packing == Packing::Compressed && self.put_packed(record, to).is_some() {
            return true;
        }
        self.out.extend_from_slice(record);
        record::reseal(self.out.get_mut(at..).unwrap_or_default(), from, to);
        true
    }

    /// Appends an entry, or what has been compressed of it, under the store's key.
    fn put_sealed(&mut self, seq: Seq, kind: Kind, contents: &[u8], vault: &mut Vault) {
        let at = self.out.len();
        let to = self.place(seq);
        self.out.put_bytes(0, record::HEAD);
        let packs = self.packing == Packing::Compressed && kind == Kind::Entry;
        let packed = if packs {
            pack(contents, &mut self.out)
        } else {
            None
        };
        let (len, kind) = match packed {
            Some(len) => (len, Kind::Packed),
            None => {
                self.out.extend_from_slice(contents);
                (contents.len(), kind)
            }
        };
        let len = len + SEAL;
        let total = record::padded(len);
        self.out.put_bytes(0, at + total - self.out.len());
        let len = u32::try_from(len).expect("an entry is far shorter than a record may be");
        let record = self.out.get_mut(at..).unwrap_or_default();
        vault.seal(record, len, to, kind);
    }

    /// Appends a verified record compressed; nothing if it is already, or would not become short enough.
    fn put_packed(&mut self, record: &[u8], to: Site) -> Option<()> {
        let len = record::peek(record)
            .filter(|record| record.kind == Kind::Entry)?
            .len;
        let entry = record.get(record::HEAD..record::HEAD + len)?;
        let at = self.out.len();
        self.out.put_bytes(0, record::HEAD);
        let Some(len) = pack(entry, &mut self.out) else {
            self.out.truncate(at);
            return None;
        };
        self.out
            .put_bytes(0, record::padded(len) - record::HEAD - len);
        let packed = self.out.get_mut(at..)?;
        let len = u32::try_from(len).expect("shorter than the entry");
        record::seal(packed, len, to, Kind::Packed);
        Some(())
    }

    /// Appends the index of this flush: sequences and offsets.
    fn put_index(&mut self) {
        self.indexed = true;
        if self.moved.is_empty() {
            return;
        }
        let at = self.out.len();
        let offset = self.at + at as u64;
        let len = 8 + self.moved.len() * 16;
        self.out.put_bytes(0, record::HEAD);
        self.out.put_u64_le(self.moved.len() as u64);
        for (seq, loc) in &self.moved {
            self.out.put_u64_le(seq.0);
            self.out.put_u64_le(loc.to_bits());
        }
        self.out
            .put_bytes(0, record::padded(len) - record::HEAD - len);
        let (stream, number) = self.segment;
        let site = Site::segment(stream, number, offset);
        let record = self.out.get_mut(at..).unwrap_or_default();
        let len = u32::try_from(len).expect("a flush holds less than 2^27 entries");
        record::seal(record, len, site, Kind::Index);
    }

    /// Takes the answer to the operation under way; `None` if it is to another.
    pub(crate) fn on_done(
        &mut self,
        op: OpId,
        result: &Result<Bytes, DiskError>,
    ) -> Option<Outcome> {
        let (_, step) = self.doing.filter(|&(doing, _)| doing == op)?;
        self.doing = None;
        Some(match (step, result) {
            // That says nothing about the entry, however long it lasts: files will be closed again.
            (Step::Reading, Err(DiskError::TooManyFiles)) => Outcome::Waiting,
            (Step::Reading, result) => self.take_block(result.clone().unwrap_or_default()),
            (Step::Creating | Step::Writing, Ok(_)) => Outcome::Going,
            (Step::Syncing, Ok(_)) => Outcome::Done(Flushed {
                stream: self.stream,
                moved: mem::take(&mut self.moved),
                lost: mem::take(&mut self.lost),
                segment: self.segment,
                len: self.at,
            }),
            // Nothing refers to the segment yet, and the log has the entries. A file that could not be
            // opened has not been written to.
            (Step::Creating, Err(_))
            | (Step::Writing, Err(DiskError::NoSpace | DiskError::TooManyFiles)) => {
                Outcome::Waiting
            }
            (Step::Writing | Step::Syncing, Err(error)) => Outcome::Failed(*error),
        })
    }

    /// Takes what a read gave; empty if it failed.
    fn take_block(&mut self, bytes: Bytes) -> Outcome {
        let Some(Ask {
            file,
            offset,
            len,
            why,
        }) = self.asked
        else {
            return Outcome::Going;
        };
        if !bytes.is_empty() {
            self.span_max = READ_SPAN;
            self.block = Some((file, offset, bytes));
        } else if why == Why::Span && u64::from(len) > READ_LEAST {
            self.span_max = (u64::from(len) / 8).max(READ_LEAST);
        } else if self.waits < WAITS_MAX {
            // The fault may pass, and an entry told as lost does not come back.
            self.waits += 1;
            return Outcome::Waiting;
        } else if let Some(&(seq, _)) = self.entries.get(self.next) {
            self.lost.push(seq);
            self.next += 1;
        }
        Outcome::Going
    }
}

fn cached(cache: &TailCache, loc: Loc) -> Option<Bytes> {
    match loc.place() {
        Place::Log(pos) => cache.record(pos),
        Place::Segment { .. } => None,
    }
}

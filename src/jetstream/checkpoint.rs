//! The machine's durable state as sections: everything that the log up to here has made.
//!
//! *Invariant:* restoring the sections, each as it was written last, and applying the entries after
//! the last checkpoint gives what applying all entries gives. Memory streams are not in them.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;

use bytes::{BufMut, Bytes};
use protocol::id::{LogPos, Seq, StreamId};
use protocol::js::enums::Compression;
use protocol::store::{Loc, Place, SectionChange, SectionKey};

use crate::JetStream;
use crate::consumer::Consumers;
use crate::entry::{DecodeError, Reader, put_bytes};
use crate::index::Page;
use crate::stream::{Stream, StreamCore};

/// The version of the sections that are written.
pub const SECTIONS_VERSION: u8 = 9;
/// The first that says which streams are closed.
const VERSION_CLOSED: u8 = 7;
/// The oldest that is read.
const VERSION_MIN: u8 = 6;

/// The group of what concerns all streams; a stream's group is its id, which is never zero.
const SHARED: SectionKey = SectionKey {
    group: 0,
    number: 0,
};

/// A stream is only being restored.
const HIDDEN: u8 = 1;
/// It has a first sequence though it never had a message.
const HAS_FIRST: u8 = 2;

/// A checkpoint cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RestoreError {
    /// A later version wrote it.
    #[error("checkpoint version {0} is not known")]
    Version(u8),
    /// It contradicts itself although its checksum holds.
    #[error("the checkpoint is damaged: {0}")]
    Damaged(#[from] DecodeError),
}

/// A part of a stream that is a section of its own, in the order in which they are restored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// Its account and configuration.
    Config,
    /// What concerns all messages.
    State,
    /// A page of message ids.
    Ids(u64),
    /// A page of messages.
    Messages(Page),
    /// The consumers.
    Consumers,
    /// Messages that have left and are kept until they were copied elsewhere.
    Parked,
}

impl Part {
    /// The part's kind is in the upper byte of a section's number.
    const KIND_SHIFT: u32 = 56;

    fn key(self, stream: StreamId) -> SectionKey {
        let (kind, number) = match self {
            Self::Config => (0, 0),
            Self::State => (1, 0),
            Self::Ids(page) => (2, page),
            Self::Messages(page) => (3, page.0),
            Self::Consumers => (4, 0),
            Self::Parked => (5, 0),
        };
        debug_assert!(number >> Self::KIND_SHIFT == 0, "pages of 4096 sequences");
        SectionKey {
            group: stream.0,
            number: kind << Self::KIND_SHIFT | number,
        }
    }

    pub(crate) fn of(key: SectionKey) -> Option<Self> {
        let number = key.number & ((1 << Self::KIND_SHIFT) - 1);
        Some(match key.number >> Self::KIND_SHIFT {
            0 => Self::Config,
            1 => Self::State,
            2 => Self::Ids(number),
            3 => Self::Messages(Page(number)),
            4 => Self::Consumers,
            5 => Self::Parked,
            _ => return None,
        })
    }
}

impl JetStream {
    /// Returns all sections of the state.
    #[must_use]
    pub fn sections(&self) -> Vec<(SectionKey, Bytes)> {
        let mut out = Vec::from([(SHARED, self.snapshot_shared())]);
        let mut scratch = Vec::new();
        for stream in self.streams.values().filter(|s| !s.core.is_memory()) {
            let ids = stream.core.message_id_pages().map(Part::Ids);
            let messages = stream.core.index.pages().map(Part::Messages);
            let parts = [Part::Config, Part::State].into_iter().chain(ids);
            for part in parts.chain(messages).chain([Part::Consumers, Part::Parked]) {
                let key = part.key(stream.core.id());
                let body = self.snapshot_part(stream, part, &mut scratch);
                if part != Part::Parked || !body.is_empty() {
                    out.push((key, body));
                }
            }
        }
        out
    }

    /// Returns what has changed of the state since the last call.
    pub fn changes(&mut self) -> Vec<SectionChange> {
        let mut changed = Vec::new();
        for (id, stream) in self.streams.iter_mut() {
            let unsaved = core::mem::take(&mut stream.unsaved);
            if stream.core.is_memory() {
                continue;
            }
            stream.core.index.fold();
            if unsaved {
                // Its configuration, too, changed or not: of a stream in use each of the two newest
                // checkpoints has a copy of its own, and damage to one leaves the other.
                changed.extend([Part::Config, Part::State, Part::Consumers].map(|part| (id, part)));
                let ids = stream.core.take_changed_message_ids();
                changed.extend(ids.map(|page| (id, Part::Ids(page))));
                let parked = stream.core.index.take_parked_changed();
                changed.extend(parked.then_some((id, Part::Parked)));
                let pages = stream.core.index.take_changed();
                changed.extend(pages.into_iter().map(|page| (id, Part::Messages(page))));
            }
        }
        let gone = core::mem::take(&mut self.gone).into_iter();
        let mut out: Vec<_> = gone
            .map(|stream| SectionChange::DropGroup(stream.0))
            .collect();
        out.push(SectionChange::Put(SHARED, self.snapshot_shared()));
        let mut scratch = Vec::new();
        for (id, part) in changed {
            let Some(stream) = self.streams.get(&id) else {
                continue;
            };
            let body = self.snapshot_part(stream, part, &mut scratch);
            let key = part.key(id);
            if let (Part::Messages(page), Some(stream)) = (part, self.streams.get_mut(&id)) {
                stream.core.index.keep_page(page, &body);
            }
            out.push(if body.is_empty() {
                SectionChange::Drop(key)
            } else {
                SectionChange::Put(key, body)
            });
        }
        out
    }

    /// Has a section written again by the next checkpoint, changed or not.
    pub fn touch(&mut self, key: SectionKey) {
        let Some(stream) = self.streams.get_mut(&StreamId(key.group)) else {
            return;
        };
        stream.unsaved = true;
        match Part::of(key) {
            Some(Part::Ids(page)) => stream.core.touch_message_ids(page),
            Some(Part::Messages(page)) => stream.core.index.touch(page),
            Some(Part::Parked) => stream.core.index.touch_parked(),
            Some(Part::Config | Part::State | Part::Consumers) | None => {}
        }
    }

    fn snapshot_shared(&self) -> Bytes {
        let mut out = Vec::new();
        out.put_u8(SECTIONS_VERSION);
        out.put_u64_le(self.shared.clock.last().0);
        out.put_u64_le(self.shared.next_stream);
        out.put_u64_le(self.shared.next_consumer);
        self.holes.snapshot(&mut out);
        self.broken.snapshot(&mut out);
        out.into()
    }

    /// Returns a part of a stream; nothing if there is nothing in it. All parts together are kept until they
    /// are written, so each takes only what it needs.
    fn snapshot_part(&self, stream: &Stream, part: Part, scratch: &mut Vec<u8>) -> Bytes {
        scratch.clear();
        match part {
            Part::Config => self.snapshot_config(stream, scratch),
            Part::State => {
                stream.core.snapshot_state(scratch);
                // Once more, far from the section of its own and that one's copy.
                let mut config = Vec::new();
                self.snapshot_config(stream, &mut config);
                put_bytes(scratch, &config);
            }
            Part::Ids(page) => stream.core.snapshot_ids(page, scratch),
            Part::Messages(page) => stream.core.snapshot_page(page, scratch),
            Part::Consumers => stream.consumers.snapshot(scratch),
            Part::Parked => stream.core.index.snapshot_parked(scratch),
        }
        Bytes::copy_from_slice(scratch)
    }

    fn snapshot_config(&self, stream: &Stream, out: &mut Vec<u8>) {
        let account = self.shared.accounts.get(stream.core.account());
        put_bytes(out, account.map_or(&[], |account| account.name.as_bytes()));
        stream.core.snapshot_config(out);
        let has_first = u8::from(stream.core.has_first()) * HAS_FIRST;
        let is_hidden = u8::from(stream.is_hidden) * HIDDEN;
        out.put_u8(is_hidden | has_first);
    }

    /// Takes over a section of a checkpoint, before any entry is applied. Sections come in the order of
    /// their keys.
    ///
    /// # Errors
    /// If the bytes are of another version or contradict themselves.
    pub fn restore(&mut self, key: SectionKey, body: &Bytes) -> Result<(), RestoreError> {
        let mut from = Reader::new(body.clone());
        if key == SHARED {
            return self.restore_shared(from);
        }
        let id = StreamId(key.group);
        let part = Part::of(key).ok_or(DecodeError::Length)?;
        if self.broken.has(id) && !(part == Part::State && self.regain(id, body)) {
            return Ok(self.restore_closed(id, part, body)?);
        }
        if part == Part::Config {
            self.restore_config(id, &mut from)?;
            return Ok(from.finish()?);
        }
        let stream = self.streams.get_mut(&id).ok_or(DecodeError::Length)?;
        let core = &mut stream.core;
        if matches!(part, Part::Messages(_)) && core.index.last_seq() == Seq(0) {
            // Its state has been lost before, and so has the note that says it.
            self.close_stream(id);
            return Ok(self.restore_closed(id, part, body)?);
        }
        match part {
            Part::Config => {}
            Part::State => {
                core.restore_state(&mut from)?;
                // Its configuration, which earlier versions did not write here.
                if from.finish().is_err() {
                    from.bytes()?;
                }
            }
            Part::Ids(_) => core.restore_ids(&mut from)?,
            Part::Messages(page) => core.restore_page(page, &mut from)?,
            Part::Consumers => stream.consumers = Consumers::restore(core, from.rest())?,
            Part::Parked => core.index.restore_parked(&mut from)?,
        }
        Ok(from.finish()?)
    }

    fn restore_shared(&mut self, mut from: Reader) -> Result<(), RestoreError> {
        let version = from.u8()?;
        if !(VERSION_MIN..=SECTIONS_VERSION).contains(&version) {
            return Err(RestoreError::Version(version));
        }
        self.shared.clock.observe(from.time()?);
        self.shared.next_stream = self.shared.next_stream.max(from.u64()?);
        self.shared.next_consumer = self.shared.next_consumer.max(from.u64()?);
        self.holes.restore(&mut from)?;
        if version >= VERSION_CLOSED {
            self.broken.restore(&mut from)?;
        }
        Ok(from.finish()?)
    }

    pub(crate) fn restore_config(
        &mut self,
        id: StreamId,
        from: &mut Reader,
    ) -> Result<(), DecodeError> {
        let name = String::from_utf8_lossy(&from.bytes()?).into_owned();
        let account = self.shared.accounts.by_name(&name);
        let mut core = StreamCore::restore(id, account, from)?;
        // Sections of the first version that had them end here.
        let marks = if from.finish().is_ok() { 0 } else { from.u8()? };
        let is_hidden = marks & HIDDEN != 0;
        core.set_has_first(marks & HAS_FIRST != 0);
        core.set_outlet(self.has_outlet(account));
        self.shared.next_stream = self.shared.next_stream.max(id.0 + 1);
        if let Some(account) = self.shared.accounts.get_mut(account)
            && !is_hidden
        {
            account.add(&core);
        }
        let mut stream = Stream::new(core, Consumers::default());
        stream.unsaved = false;
        stream.is_hidden = is_hidden;
        self.streams.insert(id, Box::new(stream));
        Ok(())
    }

    /// Notes that a section of a checkpoint cannot be had. Returns whether what is left can be gone on
    /// with: a page of messages is told as lost, one of message ids is no loss of messages; what entries to
    /// come were numbered by is doubted then. A stream that
    /// lacks another section is closed. Without what concerns all streams, new ids are far from old ones.
    pub fn section_lost(&mut self, key: SectionKey) -> bool {
        if key == SHARED {
            self.leave_ids();
            return true;
        }
        let id = StreamId(key.group);
        match Part::of(key) {
            Some(Part::Messages(page)) => {
                if let Some(stream) = self.streams.get_mut(&id) {
                    stream.core.note_missing(page.first(), page.last());
                }
                self.doubt(id);
                true
            }
            Some(Part::Ids(_)) => {
                self.doubt(id);
                true
            }
            // What is still in the stream does not depend on it.
            Some(Part::Parked) => true,
            Some(Part::Config | Part::State | Part::Consumers) => {
                self.close_stream(id);
                true
            }
            None => false,
        }
    }

    /// Forgets what was restored: the checkpoint turned out to be damaged, and another one follows.
    pub fn forget(&mut self) {
        self.holes = crate::holes::Holes::default();
        self.stand_ins.clear();
        let served = core::mem::take(&mut self.streams).into_values();
        for stream in served.chain(self.broken.take_all()) {
            if let Some(account) = self.shared.accounts.get_mut(stream.core.account()) {
                account.remove(&stream.core);
            }
        }
    }

    /// Returns the streams that have messages in the log below `below`, or a segment that is mostly
    /// waste.
    #[must_use]
    pub fn unflushed_streams(&self, below: LogPos) -> Vec<StreamId> {
        let mut some = Vec::new();
        let streams = self.streams.values().filter(|s| !s.core.is_memory());
        let unflushed = streams.filter(|stream| {
            some.clear();
            stream.core.index.unflushed(below, 1, &mut some);
            !some.is_empty() || stream.core.index.has_wasteful_segment()
        });
        let unflushed = unflushed.map(|stream| stream.core.id());
        let orphans = self.holes.orphans.iter();
        let orphans = orphans.filter(|(_, orphan)| !orphan.in_log.is_empty());
        unflushed.chain(orphans.map(|(&id, _)| id)).collect()
    }

    /// Appends messages of a stream that are to be moved to `out`, about `max` of them: those whose
    /// entries lie in the log below `below`, so that it can go, and before them those of a segment that
    /// is mostly waste, which empties it.
    pub fn unflushed(
        &self,
        stream: StreamId,
        below: LogPos,
        max: usize,
        out: &mut Vec<(Seq, Loc)>,
    ) {
        if let Some(stream) = self.streams.get(&stream) {
            stream.core.index.wasteful_segment(max, out);
            stream.core.index.unflushed(below, max, out);
        } else if let Some(orphan) = self.holes.orphans.get(&stream) {
            orphan.unflushed(below, out);
        }
    }

    /// Whether the messages of a stream are stored compressed.
    #[must_use]
    pub fn is_compressed(&self, stream: StreamId) -> bool {
        let stream = self.streams.get(&stream);
        stream.is_some_and(|stream| stream.core.config().compression == Compression::S2)
    }

    /// Notes that messages have moved.
    pub fn relocated(&mut self, stream: StreamId, moved: &[(Seq, Loc)]) {
        if let Some(stream) = self.streams.get_mut(&stream) {
            stream.core.index.relocated(moved);
            stream.unsaved = true;
        } else if let Some(orphan) = self.holes.orphans.get_mut(&stream) {
            for (seq, _) in moved {
                orphan.in_log.remove(seq);
            }
            self.broken.relocated(stream, moved);
        }
    }

    /// Notes messages that cannot be read; their stream's info tells.
    pub fn note_lost(&mut self, stream: StreamId, lost: &[Seq]) {
        if let Some(stream) = self.streams.get_mut(&stream) {
            for &seq in lost {
                stream.core.note_lost(seq);
            }
        }
    }

    /// Notes messages that have rotted, as far as they still lie there.
    pub fn note_rotten(&mut self, stream: StreamId, lost: &[(Seq, Loc)]) {
        if let Some(stream) = self.streams.get_mut(&stream) {
            for &(seq, loc) in lost {
                let meta = stream.core.index.meta(seq);
                if meta.is_some_and(|meta| meta.loc == loc) {
                    stream.core.note_lost(seq);
                }
            }
        }
    }

    /// Notes that the log has rotted from one position to another: what still lies there is lost.
    pub fn note_rotten_log(&mut self, from: LogPos, to: LogPos) {
        let mut found = Vec::new();
        for stream in self.streams.values_mut().filter(|s| !s.core.is_memory()) {
            stream.core.index.unflushed(to, usize::MAX, &mut found);
            for (seq, loc) in found.drain(..) {
                if matches!(loc.place(), Place::Log(pos) if pos >= from) {
                    stream.core.note_lost(seq);
                }
            }
        }
    }

    /// Takes the segments that hold no live message any more: the store can give them up.
    pub fn take_dead_segments(&mut self, out: &mut Vec<(StreamId, u32)>) {
        for (id, stream) in self.streams.iter_mut() {
            let index = &mut stream.core.index;
            index.take_dead_segments(|number| out.push((id, number)));
        }
    }
}

//! The index in a checkpoint: what concerns all of it, and the messages in pages of one chunk each.

use alloc::vec::Vec;

use bytes::{BufMut, Bytes};
use protocol::store::Place;

use super::chunk::CHUNK_LEN;
use super::page::{self, Packed, Page, Summary};
use super::{Held, Index};
use crate::entry::{DecodeError, Reader};

impl Index {
    /// Appends what concerns the whole index to a checkpoint.
    pub fn snapshot(&self, out: &mut Vec<u8>) {
        out.put_u64_le(self.last);
        out.put_u64_le(self.last_time.0);
        let segments = self.segments.iter();
        out.put_u32_le(u32::try_from(segments.len()).unwrap_or(u32::MAX));
        for (number, used) in segments {
            out.put_u32_le(number);
            out.put_u64_le(used.total_bytes);
        }
    }

    /// Takes over what a checkpoint says of the whole index; the pages follow, in order.
    ///
    /// # Errors
    /// If the bytes are cut short or contradict themselves.
    pub(crate) fn restore(&mut self, from: &mut Reader) -> Result<(), DecodeError> {
        (self.last, self.last_time) = (from.u64()?, from.time()?);
        self.first = self.last + 1;
        self.flushed_below = self.first;
        self.missing_upto = self.last;
        for _ in 0..from.u32()? {
            let (number, total_bytes) = (from.u32()?, from.u64()?);
            self.segments.set_total(number, total_bytes);
        }
        Ok(())
    }

    /// Returns the pages that hold live messages.
    pub fn pages(&self) -> impl Iterator<Item = Page> + '_ {
        let numbered = (self.base..).zip(&self.chunks);
        numbered
            .filter(|(_, held)| held.live() > 0)
            .map(|(number, _)| Page(number))
    }

    /// Returns the pages that have changed since the last call; those without messages are gone.
    pub(crate) fn take_changed(&mut self) -> Vec<Page> {
        let mut changed = core::mem::take(&mut self.changed);
        changed.sort_unstable();
        changed.dedup();
        for number in &changed {
            if let Some(held) = self.held_mut(number * CHUNK_LEN) {
                held.saved();
            }
        }
        changed.into_iter().map(Page).collect()
    }

    /// Has a page written again by the next checkpoint.
    pub fn touch(&mut self, page: Page) {
        self.changed.push(page.0);
    }

    /// Appends a page to a checkpoint; nothing if it holds no message.
    pub(crate) fn snapshot_page(&self, page: Page, out: &mut Vec<u8>) {
        let at = self.position(page.first().0);
        let Some(held) = at.and_then(|at| self.chunks.get(at)) else {
            return;
        };
        // One that stays packed is unpacked for this alone.
        let unpacked = held.folded().map(Packed::unpack);
        if let Some(chunk) = unpacked.as_ref().or_else(|| held.unfolded())
            && chunk.live() > 0
        {
            page::put(page, chunk, |id| self.subjects.name(id), out);
        }
    }

    /// Keeps a page that has just been written, so that its chunk need not stay unpacked.
    pub(crate) fn keep_page(&mut self, page: Page, body: &Bytes) {
        let Ok(summary) = Summary::take(page, self.last, &mut Reader::new(body.clone())) else {
            return;
        };
        if !self.is_cold(page, &summary) {
            return;
        }
        let at = self.position(page.first().0);
        let held = at.and_then(|at| self.chunks.get(at));
        let Some(chunk) = held.and_then(Held::unfolded) else {
            return;
        };
        let subjects = summary.subjects.iter().filter_map(|subject| {
            let id = self.subjects.find(&subject.name)?;
            Some((id, chunk.next_link(subject.last)))
        });
        let packed = summary.pack(subjects);
        if packed.is_handy()
            && let Some(held) = self.held_mut(page.first().0)
        {
            held.put_packed(packed);
        }
    }

    /// Lets unpacked chunks go that a page has and nobody has looked at since the last call.
    pub(crate) fn fold(&mut self) {
        self.chunks.iter_mut().for_each(Held::fold);
    }

    /// Takes over a page of a checkpoint.
    ///
    /// # Errors
    /// If the bytes are cut short or contradict themselves.
    pub(crate) fn restore_page(
        &mut self,
        page: Page,
        from: &mut Reader,
    ) -> Result<(), DecodeError> {
        let summary = Summary::take(page, self.last, from)?;
        let first = summary.first();
        let mut ids = Vec::with_capacity(summary.subjects.len());
        for subject in &summary.subjects {
            let id = self.subjects.intern(&subject.name);
            ids.push((id, None));
            let found = self
                .subjects
                .found(id, subject.count, subject.first, subject.last);
            if let Some(previous) = found {
                self.link(id, previous, subject.first);
            }
        }
        if self.messages == 0 {
            self.first = first;
        }
        self.messages += summary.all.messages;
        self.bytes += summary.all.bytes(self.overhead);
        for (number, tally) in &summary.segments {
            let bytes = tally.bytes(self.overhead);
            self.segments.found(*number, tally.messages, bytes);
        }
        let cold = self.is_cold(page, &summary);
        let packed = summary.pack(ids.into_iter());
        let held = self.held_for_push(first);
        if cold && packed.is_handy() {
            held.put_packed(packed);
            return Ok(());
        }
        let mut chunk = packed.unpack();
        if chunk.live() != packed.live {
            return Err(DecodeError::Length);
        }
        if summary.in_log > 0 {
            let in_log = |loc: protocol::store::Loc| matches!(loc.place(), Place::Log(_));
            let mut slots = chunk.live_slots();
            if let Some((seq, _)) = slots.find(|(_, slot)| in_log(slot.loc)) {
                self.flushed_below = self.flushed_below.min(seq);
            }
        }
        if !chunk.accepts(self.last + 1) {
            chunk.compact();
        }
        self.held_for_push(first).put(chunk);
        Ok(())
    }

    /// Returns whether a page may be packed: nothing is about to be added to it or moved.
    fn is_cold(&self, page: Page, summary: &Summary) -> bool {
        summary.is_cold() && self.last >= page.last().0
    }
}

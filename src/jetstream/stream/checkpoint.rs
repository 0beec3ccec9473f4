//! A stream in a checkpoint, in sections: what was configured, what concerns all of its messages, and
//! pages of message ids and of messages. Memory streams are never written.
//!
//! *Invariant:* a section is written again when it has changed, so that a checkpoint costs what has
//! happened since the one before and not what is stored.

use alloc::boxed::Box;
use alloc::vec::Vec;

use bytes::BufMut;
use protocol::id::{AccountId, Seq, StreamId};
use protocol::js::config::StreamConfig;
use protocol::js::json::{Strictness, decode, to_vec};

use super::{Schedules, StreamCore};
use crate::dedup::{MsgIdHash, Remembered};
use crate::entry::{DecodeError, Reader, SourceKey, put_bytes};
use crate::index::Page;

impl StreamCore {
    /// Appends what only changes when the stream's configuration does.
    pub(crate) fn snapshot_config(&self, out: &mut Vec<u8>) {
        out.put_u64_le(self.created.0);
        put_bytes(out, &to_vec(&self.config));
        put_count(out, self.subjects_ever.len());
        for subject in &self.subjects_ever {
            put_bytes(out, subject);
        }
    }

    /// Returns the stream of a checkpoint, without messages.
    ///
    /// # Errors
    /// If the bytes are cut short or contradict themselves.
    pub(crate) fn restore(
        id: StreamId,
        account: AccountId,
        from: &mut Reader,
    ) -> Result<Self, DecodeError> {
        let created = from.time()?;
        let config: StreamConfig =
            decode(&from.bytes()?, Strictness::Lax).map_err(|_| DecodeError::Config)?;
        let mut core = Self::new(id, account, config, created);
        core.subjects_ever.clear();
        for _ in 0..from.u32()? {
            core.subjects_ever.push(Box::from(&*from.bytes()?));
        }
        core.note_subjects();
        Ok(core)
    }

    /// Appends what concerns all messages.
    pub(crate) fn snapshot_state(&self, out: &mut Vec<u8>) {
        put_bytes(out, &self.last_msg_id);
        put_count(out, self.copied.len());
        for (source, seq) in &self.copied {
            out.put_u64_le(source.0);
            out.put_u64_le(seq.0);
        }
        self.schedules.snapshot(out);
        put_count(out, self.missing.len());
        for (first, last) in &self.missing {
            out.put_u64_le(first.0);
            out.put_u64_le(last.0);
        }
        out.put_u64_le(self.dedup.forgotten());
        self.index.snapshot(out);
    }

    /// Takes over what a checkpoint says of all messages; the pages follow.
    ///
    /// # Errors
    /// If the bytes are cut short or contradict themselves.
    pub(crate) fn restore_state(&mut self, from: &mut Reader) -> Result<(), DecodeError> {
        self.last_msg_id = from.bytes()?.to_vec();
        for _ in 0..from.u32()? {
            let source = SourceKey(from.u64()?);
            self.copied.insert(source, Seq(from.u64()?));
        }
        self.schedules = Schedules::restore(from)?;
        for _ in 0..from.u32()? {
            self.missing.push((Seq(from.u64()?), Seq(from.u64()?)));
        }
        self.dedup.restore(from.u64()?);
        self.index.restore(from)
    }

    /// Appends a page of messages; nothing if it holds none.
    pub(crate) fn snapshot_page(&self, page: Page, out: &mut Vec<u8>) {
        let begin = out.len();
        self.index.snapshot_page(page, out);
        if out.len() > begin {
            self.lifetimes.snapshot(page.first(), page.last(), out);
        }
    }

    /// Takes over a page of messages.
    ///
    /// # Errors
    /// If the bytes are cut short or contradict themselves.
    pub(crate) fn restore_page(
        &mut self,
        page: Page,
        from: &mut Reader,
    ) -> Result<(), DecodeError> {
        self.index.restore_page(page, from)?;
        self.lifetimes.restore(from)
    }

    /// Appends a page of message ids; nothing if it holds none.
    pub(crate) fn snapshot_ids(&self, page: u64, out: &mut Vec<u8>) {
        let (first, ids) = self.dedup.page(page);
        if ids.len() == 0 {
            return;
        }
        out.put_u64_le(first);
        put_count(out, ids.len());
        for remembered in ids {
            out.put_u64_le(remembered.time.0);
            out.put_u64_le(remembered.id.to_bits());
            out.put_u64_le(remembered.seq.0);
        }
    }

    /// Takes over a page of message ids.
    ///
    /// # Errors
    /// If the bytes are cut short.
    pub(crate) fn restore_ids(&mut self, from: &mut Reader) -> Result<(), DecodeError> {
        let first = from.u64()?;
        for number in 0..from.u32()? {
            let remembered = Remembered {
                time: from.time()?,
                id: MsgIdHash::from_bits(from.u64()?),
                seq: Seq(from.u64()?),
            };
            self.dedup
                .restore_id(first.saturating_add(u64::from(number)), remembered);
        }
        Ok(())
    }
}

fn put_count(out: &mut Vec<u8>, count: usize) {
    out.put_u32_le(u32::try_from(count).unwrap_or(u32::MAX));
}

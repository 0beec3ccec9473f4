//! A stream in a checkpoint. Memory streams are never written.

use alloc::boxed::Box;
use alloc::vec::Vec;

use bytes::BufMut;
use protocol::id::{AccountId, Seq, StreamId};
use protocol::js::config::StreamConfig;
use protocol::js::json::{Strictness, decode, to_vec};

use super::{Lifetimes, OVERHEAD_FILE, Schedules, StreamCore};
use crate::dedup::{MsgIdHash, Remembered};
use crate::entry::{DecodeError, Reader, SourceKey, put_bytes};
use crate::index::Index;

impl StreamCore {
    /// Appends the stream to a checkpoint.
    pub fn snapshot(&self, out: &mut Vec<u8>) {
        out.put_u64_le(self.id.0);
        out.put_u64_le(self.created.0);
        put_bytes(out, &to_vec(&self.config));
        put_bytes(out, &self.last_msg_id);
        put_count(out, self.subjects_ever.len());
        for subject in &self.subjects_ever {
            put_bytes(out, subject);
        }
        put_count(out, self.dedup.iter().len());
        for remembered in self.dedup.iter() {
            out.put_u64_le(remembered.time.0);
            out.put_u64_le(remembered.id.to_bits());
            out.put_u64_le(remembered.seq.0);
        }
        put_count(out, self.copied.len());
        for (source, seq) in &self.copied {
            out.put_u64_le(source.0);
            out.put_u64_le(seq.0);
        }
        self.index.snapshot(out);
        self.lifetimes.snapshot(out);
        self.schedules.snapshot(out);
    }

    /// Returns the stream of a checkpoint.
    ///
    /// # Errors
    /// If the bytes are cut short or contradict themselves.
    pub(crate) fn restore(from: &mut Reader, account: AccountId) -> Result<Self, DecodeError> {
        let (id, created) = (StreamId(from.u64()?), from.time()?);
        let config: StreamConfig =
            decode(&from.bytes()?, Strictness::Lax).map_err(|_| DecodeError::Config)?;
        let mut core = Self::new(id, account, config, created);
        core.last_msg_id = from.bytes()?.to_vec();
        core.subjects_ever.clear();
        for _ in 0..from.u32()? {
            core.subjects_ever.push(Box::from(&*from.bytes()?));
        }
        for _ in 0..from.u32()? {
            core.dedup.insert(Remembered {
                time: from.time()?,
                id: MsgIdHash::from_bits(from.u64()?),
                seq: Seq(from.u64()?),
            });
        }
        for _ in 0..from.u32()? {
            let source = SourceKey(from.u64()?);
            core.copied.insert(source, Seq(from.u64()?));
        }
        core.index = Index::restore(from, OVERHEAD_FILE)?;
        core.lifetimes = Lifetimes::restore(from)?;
        Ok(core)
    }

    /// Adds the schedules, which earlier versions did not write.
    pub(crate) fn restore_schedules(&mut self, from: &mut Reader) -> Result<(), DecodeError> {
        self.schedules = Schedules::restore(from)?;
        Ok(())
    }
}

fn put_count(out: &mut Vec<u8>, count: usize) {
    out.put_u32_le(u32::try_from(count).unwrap_or(u32::MAX));
}

//! Taking in what was copied from another stream.
//!
//! *Invariant:* a copy counts only right behind the one before it, so that a message which was refused
//! for want of room is not passed over. How far each source has come is part of the durable state.

use protocol::id::Seq;
use protocol::js::errors;
use protocol::store::Loc;

use super::publish::{Applied, Interest, Refusal, refuse};
use super::{PublishHeaders, Removal, StreamCore};
use crate::dedup::{MsgIdHash, Remembered};
use crate::entry::{Origin, SourceKey, Stored};

/// The longest gap between two messages of a mirror: the index keeps a few bytes for every chunk of
/// sequences in between.
const GAP_MAX: u64 = 1 << 31;

impl StreamCore {
    /// Returns the sequence of the last message that a source has brought; zero for none.
    #[must_use]
    pub fn copied(&self, source: SourceKey) -> Seq {
        self.copied.get(&source).copied().unwrap_or_default()
    }

    /// Applies a message of a mirror's origin or of a source.
    pub(super) fn apply_copy(
        &mut self,
        msg: &Stored<'_>,
        origin: Origin,
        place: (Loc, Interest),
        removal: &mut impl Removal,
    ) -> Result<Applied, Refusal> {
        let (loc, wanted) = place;
        if self.config.mirror.is_none() && self.config.sources.is_empty() {
            return refuse(errors::STREAM_INVALID_CONFIG.with("nothing is copied any more"));
        }
        if origin.after == Origin::ANEW {
            // If it is refused, it is the next one that counts.
            let before = Seq(origin.seq.0.saturating_sub(1));
            self.copied.insert(origin.source, before);
        } else if self.copied(origin.source) != origin.after || origin.seq <= origin.after {
            return refuse(errors::STREAM_WRONG_LAST_SEQUENCE_CONSTANT);
        }
        let mut headers = PublishHeaders::parse(msg.headers);
        if !self.config.allow_rollup_hdrs || self.config.deny_purge {
            // What was rolled up in the origin is kept here.
            headers.rollup = None;
        }
        let is_mirror = self.config.mirror.is_some();
        if let Some(id) = headers.msg_id
            && let Some(seq) = self.dedup.find(MsgIdHash::of(id), msg.time)
        {
            self.copied.insert(origin.source, origin.seq);
            return Ok(Applied::Duplicate(seq));
        }
        if is_mirror {
            let last = self.index.last_seq();
            if origin.seq <= last || (self.index.messages() > 0 && origin.seq.0 - last.0 > GAP_MAX)
            {
                return refuse(errors::STREAM_WRONG_LAST_SEQUENCE_CONSTANT);
            }
        }
        // What no later try could change is passed over.
        let checked = self.check_size(msg).and_then(|()| self.check_ttl(&headers));
        if let Err(error) = checked {
            self.copied.insert(origin.source, origin.seq);
            return Err(error);
        }
        if is_mirror {
            self.index.skip_to(origin.seq);
        }
        let seq = self.store_wanted(msg, (loc, wanted), &headers, removal)?;
        self.copied.insert(origin.source, origin.seq);
        if let Some(id) = headers.msg_id {
            self.dedup.insert(Remembered {
                time: msg.time,
                id: MsgIdHash::of(id),
                seq,
            });
        }
        Ok(wanted.applied(seq))
    }
}

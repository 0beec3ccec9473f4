//! The stream's limits: refusing what is too much, or letting old messages go for it.

use protocol::id::Seq;
use protocol::js::errors;

use super::publish::{Refusal, refuse};
use super::{Removal, StreamCore};

/// What is stored before a message but not yet in the index: the messages of its batch.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Ahead {
    pub(super) messages: u64,
    pub(super) bytes: u64,
    pub(super) on_subject: u64,
}

impl StreamCore {
    /// Refuses a message of `size` bytes that a stream which discards new messages has no room for.
    pub(super) fn check_room(
        &self,
        subject: &[u8],
        size: u32,
        ahead: Ahead,
    ) -> Result<(), Refusal> {
        let full = |limit: i64, count: u64| u64::try_from(limit).is_ok_and(|max| count >= max);
        let per_subject = self.config.max_msgs_per_subject;
        // Looked up only if it matters: it costs as much as the push itself.
        let of_subject = if per_subject > 0 {
            self.index.subject_info(subject)
        } else {
            None
        };
        let on_subject = of_subject.map_or(0, |info| info.messages) + ahead.on_subject;
        let is_full = per_subject > 0 && full(per_subject, on_subject);
        let replaced = of_subject.filter(|_| is_full);
        if is_full && self.config.discard_new_per_subject {
            return refuse(
                errors::STREAM_STORE_FAILED.with("maximum messages per subject exceeded"),
            );
        }
        let max_msgs = self.config.max_msgs;
        if max_msgs > 0
            && full(max_msgs, self.index.messages() + ahead.messages)
            && replaced.is_none()
        {
            return refuse(errors::STREAM_STORE_FAILED.with("maximum messages exceeded"));
        }
        let freed = replaced
            .and_then(|info| self.index.meta(info.first))
            .map_or(0, |first| u64::from(first.size));
        let after = (self.index.bytes() + ahead.bytes + u64::from(size)).saturating_sub(freed);
        if u64::try_from(self.config.max_bytes).is_ok_and(|max| max > 0 && after > max) {
            return refuse(errors::STREAM_STORE_FAILED.with("maximum bytes exceeded"));
        }
        Ok(())
    }

    /// Lets old messages go after one was added on `subject`.
    pub(super) fn make_room(&mut self, subject: &[u8], removal: &mut impl Removal) {
        if let Some(max) = self.rules.of_subject_max {
            while let Some(info) = self.index.subject_info(subject)
                && info.messages > max.get()
            {
                self.let_go(info.first, removal);
            }
        }
        self.enforce_totals(removal);
    }

    /// Lets go of everything that the limits leave no room for, after they were changed.
    pub(crate) fn enforce_limits(&mut self, removal: &mut impl Removal) {
        if let Ok(max) = u64::try_from(self.config.max_msgs_per_subject)
            && max > 0
        {
            for (subject, count) in self.index.subjects_above(max) {
                for _ in max..count {
                    let Some(info) = self.index.subject_info(&subject) else {
                        break;
                    };
                    self.let_go(info.first, removal);
                }
            }
        }
        self.enforce_totals(removal);
    }

    fn enforce_totals(&mut self, removal: &mut impl Removal) {
        let (msgs_max, bytes_max) = (self.rules.msgs_max, self.rules.bytes_max);
        while self.index.messages() > msgs_max || self.index.bytes() > bytes_max {
            let first: Seq = self.index.first_seq();
            if !self.let_go(first, removal) {
                break;
            }
        }
    }
}

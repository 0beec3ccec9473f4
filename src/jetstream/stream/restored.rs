//! Taking in the messages of a backup under their own numbers.
//!
//! *Invariant:* nothing is checked and nothing pushed out meanwhile: what the limits of the
//! configuration leave no room for goes when all messages are there.

use protocol::id::Seq;
use protocol::store::Loc;
use protocol::time::Wall;

use super::StreamCore;
use crate::dedup::{MsgIdHash, Remembered};
use crate::entry::{SourceKey, Stored};
use crate::index::NewMsg;

impl StreamCore {
    /// Takes in a message of a backup; it must come behind those that are there.
    pub(crate) fn take_restored(&mut self, msg: &Stored<'_>, seq: Seq, loc: Loc) {
        if seq <= self.index.last_seq() {
            debug_assert!(false, "checked before it was logged");
            return;
        }
        let headers = self.headers_of(msg);
        let body_len = msg.subject.len() + msg.headers.len() + msg.payload.len();
        self.index.skip_to(seq);
        self.index.push(
            msg.subject,
            NewMsg {
                loc,
                time: msg.time,
                len: u32::try_from(body_len).unwrap_or(u32::MAX >> 1),
                has_headers: !msg.headers.is_empty(),
            },
        );
        self.note_lifetime(seq, msg.time, &headers);
        if self.config.allow_msg_schedules {
            self.note_schedule(seq, msg, &headers);
        }
        if let Some(entries) = &mut self.memory {
            entries.insert(seq.0, msg.entry.clone());
        }
        if let Some(id) = headers.msg_id {
            self.dedup.insert(Remembered {
                time: msg.time,
                id: MsgIdHash::of(id),
                seq,
            });
            self.last_msg_id.clear();
            self.last_msg_id.extend_from_slice(id);
        }
    }

    /// All messages are there: `last` was the last sequence given out, at `last_time`.
    pub(crate) fn end_restored(&mut self, created: Wall, last: Seq, last_time: Wall) {
        self.created = created;
        self.index.set_last(last, last_time);
        self.note_subjects_held();
    }

    /// Returns how far each source has come.
    pub(crate) fn copied_all(&self) -> impl Iterator<Item = (SourceKey, Seq)> {
        self.copied.iter().map(|(key, seq)| (*key, *seq))
    }

    /// Notes how far a source has come.
    pub(crate) fn set_copied(&mut self, source: SourceKey, seq: Seq) {
        self.copied.insert(source, seq);
    }

    /// Messages may lie on subjects that the configuration no longer names.
    fn note_subjects_held(&mut self) {
        let held = self.index.subjects(&crate::index::Filter::All);
        let foreign = held.iter().any(|(subject, _)| {
            let mut known = self.subjects_ever.iter();
            !known.any(|pattern| protocol::subject::matches(pattern, subject))
        });
        if foreign {
            self.subjects_ever.push(b">".as_slice().into());
        }
    }
}

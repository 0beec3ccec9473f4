//! Looking at what the next messages will read and write, before they come; see `ahead`.

use core::hint::black_box;

use super::{Index, SubjectId};

/// With so many subjects those of the next messages are seldom at hand.
const SUBJECTS_WIDE: u64 = 4096;

impl Index {
    /// Returns whether there are so many subjects that it is worth to look for them ahead.
    pub(crate) fn is_wide(&self) -> bool {
        self.num_subjects() >= SUBJECTS_WIDE
    }

    /// Looks at the index itself.
    pub(crate) fn look(&self) {
        black_box((self.last, self.chunks.len(), self.subjects.len()));
    }

    /// Looks at where the next message goes.
    pub(crate) fn look_at_end(&self) {
        if let Some(chunk) = self.chunks.back().and_then(|held| held.unfolded()) {
            black_box((chunk.live(), chunk.last_row()));
        }
    }

    /// Returns which subject this is most likely, without looking at its text.
    pub(crate) fn guess(&self, subject: &[u8]) -> Option<SubjectId> {
        self.subjects.guess(subject)
    }

    /// Returns the last message of a subject, live or not.
    pub(crate) fn last_known(&self, id: SubjectId) -> Option<u64> {
        Some(self.subjects.entry(id)?.last)
    }

    /// Looks at what the message after `last` on a subject will be noted in.
    pub(crate) fn look_at_link(&self, id: SubjectId, last: u64) -> Option<u64> {
        let held = self.chunks.get(self.position(last)?)?;
        held.look_at_link(id, last)
    }
}

#[cfg(test)]
mod tests {
    use alloc::format;

    use protocol::id::Seq;
    use protocol::store::Loc;
    use protocol::time::Wall;

    use super::super::{NewMsg, Overhead};
    use super::*;

    #[test]
    fn what_is_looked_at_is_what_the_next_message_of_a_subject_follows() {
        let overhead = Overhead {
            fixed: 0,
            headers: 0,
        };
        let mut index = Index::new(Seq(1), overhead);
        assert!(index.guess(b"s.1").is_none());
        for i in 0..SUBJECTS_WIDE {
            assert!(!index.is_wide());
            let msg = NewMsg {
                loc: Loc::from_bits(i),
                time: Wall(i),
                len: 1,
                has_headers: false,
            };
            index.push(format!("s.{i}").as_bytes(), msg);
        }
        assert!(index.is_wide());
        let id = index.guess(b"s.77").expect("it is there");
        assert_eq!(index.subject(id), b"s.77");
        assert_eq!(index.last_known(id), Some(78));
        assert_eq!(index.look_at_link(id, 78), None, "none has followed");
        assert_eq!(index.look_at_link(id, 1 << 40), None, "out of reach");
    }
}

//! A checkpoint's head: what the store itself must know to begin from it, and where the sections of the
//! user's state lie.

use alloc::vec::Vec;

use bytes::{Buf, BufMut};
use protocol::id::{LogPos, StreamId};

use super::Sections;
use crate::record::EpochNo;
use crate::segments::SegmentKey;

/// The version of the head's layout.
const LAYOUT: u32 = 2;

/// What precedes the sections in a checkpoint.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Head {
    /// The state holds every entry below; replay begins here.
    pub(crate) applied: LogPos,
    /// The state refers to entries of the log from here on.
    pub(crate) keep: LogPos,
    /// The number of the checkpoint before, which with the log gives the same state; 0 for none.
    pub(crate) previous: u64,
    /// Where the end of the checkpoint lies in its file.
    pub(crate) end: u64,
    /// Which epochs the log from `keep` on was written in.
    pub(crate) epochs: Vec<(LogPos, EpochNo)>,
    /// The segments that the state may refer to, with their lengths.
    pub(crate) segments: Vec<(SegmentKey, u64)>,
    /// Segments that are not needed any more and may still exist.
    pub(crate) doomed: Vec<SegmentKey>,
    /// The sections that make up the state.
    pub(crate) sections: Sections,
}

impl Head {
    /// Returns how long it is with `sections` sections.
    pub(crate) fn encoded_len(&self, sections: usize) -> usize {
        let lists = self.epochs.len() * 12 + self.segments.len() * 20 + self.doomed.len() * 12;
        4 + 4 * 8 + 3 * 8 + lists + Sections::encoded_len(sections)
    }

    pub(crate) fn encode(&self, out: &mut impl BufMut) {
        out.put_u32_le(LAYOUT);
        out.put_u64_le(self.applied.0);
        out.put_u64_le(self.keep.0);
        out.put_u64_le(self.previous);
        out.put_u64_le(self.end);
        out.put_u64_le(self.epochs.len() as u64);
        for (pos, epoch) in &self.epochs {
            out.put_u64_le(pos.0);
            out.put_u32_le(epoch.0);
        }
        out.put_u64_le(self.segments.len() as u64);
        for (key, len) in &self.segments {
            put_key(out, *key);
            out.put_u64_le(*len);
        }
        out.put_u64_le(self.doomed.len() as u64);
        for key in &self.doomed {
            put_key(out, *key);
        }
        self.sections.encode(out);
    }

    pub(crate) fn decode(mut body: &[u8]) -> Option<Self> {
        let body = &mut body;
        if body.try_get_u32_le().ok()? != LAYOUT {
            return None;
        }
        let mut head = Self {
            applied: LogPos(body.try_get_u64_le().ok()?),
            keep: LogPos(body.try_get_u64_le().ok()?),
            previous: body.try_get_u64_le().ok()?,
            end: body.try_get_u64_le().ok()?,
            ..Self::default()
        };
        for _ in 0..body.try_get_u64_le().ok()? {
            let pos = LogPos(body.try_get_u64_le().ok()?);
            head.epochs
                .push((pos, EpochNo(body.try_get_u32_le().ok()?)));
        }
        for _ in 0..body.try_get_u64_le().ok()? {
            let key = key(body)?;
            head.segments.push((key, body.try_get_u64_le().ok()?));
        }
        for _ in 0..body.try_get_u64_le().ok()? {
            head.doomed.push(key(body)?);
        }
        head.sections = Sections::decode(body)?;
        Some(head)
    }
}

fn put_key(out: &mut impl BufMut, (stream, number): SegmentKey) {
    out.put_u64_le(stream.0);
    out.put_u32_le(number);
}

fn key(body: &mut &[u8]) -> Option<SegmentKey> {
    let stream = StreamId(body.try_get_u64_le().ok()?);
    Some((stream, body.try_get_u32_le().ok()?))
}

#[cfg(test)]
mod tests {
    use protocol::store::SectionKey;

    use super::*;
    use crate::checkpoint::SectionPlace;

    #[test]
    fn head_survives_encoding() {
        let mut sections = Sections::default();
        let (key, file) = (
            SectionKey {
                group: 4,
                number: 5,
            },
            6,
        );
        let place = SectionPlace {
            file,
            offset: 7,
            len: 8,
        };
        sections.insert(key, place);
        let head = Head {
            applied: LogPos(900),
            keep: LogPos(500),
            previous: 8,
            end: 7,
            epochs: [(LogPos(0), EpochNo(1)), (LogPos(640), EpochNo(2))].into(),
            segments: [((StreamId(3), 1), 4096)].into(),
            doomed: [(StreamId(2), 0)].into(),
            sections,
        };
        let mut bytes = Vec::new();
        head.encode(&mut bytes);
        assert_eq!(bytes.len(), head.encoded_len(1));
        assert_eq!(Head::decode(&bytes), Some(head));
        assert_eq!(Head::decode(&bytes[..bytes.len() - 1]), None);
    }
}

//! What the stream machines and the storage engine say to each other about stored bytes.

use bytes::Bytes;

use crate::id::LogPos;

/// Where a stored entry lies, packed into 64 bits: a position in the log, or a segment and an offset
/// in it. The stream index holds one per message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Loc(u64);

/// [`Loc`], unpacked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Still only in the log.
    Log(LogPos),
    /// In a segment of its stream.
    Segment {
        /// The segment's number within the stream, below 2^23.
        number: u32,
        /// The record's offset in bytes, below 2^40.
        offset: u64,
    },
}

impl Loc {
    const SEGMENT: u64 = 1 << 63;
    const OFFSET_BITS: u32 = 40;

    /// Returns the location of the log entry at `pos`.
    #[must_use]
    pub fn log(pos: LogPos) -> Self {
        debug_assert!(pos.0 & Self::SEGMENT == 0, "2^63 bytes of log");
        Self(pos.0)
    }

    /// Returns the location at `offset` in segment `number`.
    #[must_use]
    pub fn segment(number: u32, offset: u64) -> Self {
        debug_assert!(
            offset >> Self::OFFSET_BITS == 0,
            "segments stay below 1 TiB"
        );
        debug_assert!(number >> 23 == 0, "segment numbers stay below 2^23");
        Self(Self::SEGMENT | (u64::from(number) << Self::OFFSET_BITS) | offset)
    }

    /// Returns the unpacked form.
    #[must_use]
    pub fn place(self) -> Place {
        if self.0 & Self::SEGMENT == 0 {
            return Place::Log(LogPos(self.0));
        }
        let number = (self.0 & !Self::SEGMENT) >> Self::OFFSET_BITS;
        Place::Segment {
            number: u32::try_from(number).unwrap_or(u32::MAX),
            offset: self.0 & ((1 << Self::OFFSET_BITS) - 1),
        }
    }

    /// Returns the packed form, as checkpoints store it.
    #[must_use]
    pub fn to_bits(self) -> u64 {
        self.0
    }

    /// Returns the location of a packed form.
    #[must_use]
    pub fn from_bits(bits: u64) -> Self {
        Self(bits)
    }
}

/// Names a section of the state that checkpoints hold. Sections come back in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SectionKey {
    /// What belongs together and goes together, such as a stream.
    pub group: u64,
    /// The section within it.
    pub number: u64,
}

/// What a checkpoint changes of the state that the one before holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SectionChange {
    /// The section's contents from now on.
    Put(SectionKey, Bytes),
    /// The section is no more.
    Drop(SectionKey),
    /// All sections of the group are no more.
    DropGroup(u64),
}

/// A read under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReadId(pub u64);

/// What asking for an entry gives at once.
#[derive(Clone, Debug)]
pub enum ReadOutcome {
    /// The entry's bytes, a slice of a cached block.
    Hit(Bytes),
    /// The disk has been asked; the answer comes later under this id.
    Pending(ReadId),
    /// The entry cannot be had.
    Failed(ReadError),
}

/// Why an entry cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// The record's checksum does not match what is there: rot, or bytes of another place.
    #[error("the stored record is damaged")]
    Damaged,
    /// The file is gone.
    #[error("the file is missing")]
    Missing,
    /// The disk refused; the number is the system's `errno`.
    #[error("read failed with errno {0}")]
    Io(i32),
}

impl ReadError {
    /// Returns whether the same read may succeed later: the disk refused, which says nothing about the
    /// bytes. Nothing may be given up for that.
    #[must_use]
    pub fn may_pass(self) -> bool {
        match self {
            Self::Io(_) => true,
            Self::Damaged | Self::Missing => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn locations_survive_packing() {
        for place in [
            Place::Log(LogPos(0)),
            Place::Log(LogPos((1 << 63) - 1)),
            Place::Segment {
                number: 0,
                offset: 0,
            },
            Place::Segment {
                number: (1 << 23) - 1,
                offset: (1 << 40) - 1,
            },
        ] {
            let loc = match place {
                Place::Log(pos) => Loc::log(pos),
                Place::Segment { number, offset } => Loc::segment(number, offset),
            };
            assert_eq!(Loc::from_bits(loc.to_bits()).place(), place);
        }
    }
}

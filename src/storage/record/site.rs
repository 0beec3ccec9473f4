//! Where a record belongs, and what that adds to its checksum.

use protocol::id::StreamId;

/// Counts the lives of the log: each start of the process begins the next one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct EpochNo(pub(crate) u32);

impl EpochNo {
    #[inline]
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the lower half is what the head holds"
    )]
    pub(super) const fn low(self) -> u16 {
        self.0 as u16
    }

    /// Returns the first epoch from `self` on whose lower half is `low`.
    #[inline]
    pub(super) const fn at_or_after(self, low: u16) -> Self {
        let step = low.wrapping_sub(self.low());
        Self(self.0.wrapping_add(step as u32))
    }
}

/// Where a record belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Site {
    identity: u64,
    position: u64,
    pub(super) epoch: EpochNo,
}

impl Site {
    const PRIME_1: u64 = 0x9e37_79b1_85eb_ca87;
    const PRIME_2: u64 = 0xc2b2_ae3d_27d4_eb4f;

    /// Returns the place at log position `position`, written in `epoch`.
    #[inline]
    pub(crate) const fn log(position: u64, epoch: EpochNo) -> Self {
        Self {
            identity: 0x4c4f_4700,
            position,
            epoch,
        }
    }

    /// Returns the place at `offset` of a segment.
    pub(crate) fn segment(stream: StreamId, number: u32, offset: u64) -> Self {
        Self {
            identity: mix(stream.0 ^ 0x5345_474d_0000_0000).wrapping_add(u64::from(number)),
            position: offset,
            epoch: EpochNo(0),
        }
    }

    /// Returns the place at `offset` of a checkpoint.
    pub(crate) const fn checkpoint(number: u64, offset: u64) -> Self {
        Self {
            identity: 0x434b_5054_0000_0000 ^ number,
            position: offset,
            epoch: EpochNo(0),
        }
    }

    /// Returns the same place as it was written to in `epoch`.
    pub(crate) const fn in_epoch(self, epoch: EpochNo) -> Self {
        Self { epoch, ..self }
    }

    /// Returns what tells it from all other places of a store but for the epoch.
    pub(crate) fn to_bytes(self) -> [u8; 16] {
        let mut bytes = [0; 16];
        let (identity, position) = bytes.split_at_mut(8);
        identity.copy_from_slice(&self.identity.to_le_bytes());
        position.copy_from_slice(&self.position.to_le_bytes());
        bytes
    }

    /// Returns what the place and the head contribute to the checksum.
    #[inline]
    pub(super) const fn salt(self, len: u32, code: u8) -> u64 {
        let place = mix(self.identity.wrapping_mul(Self::PRIME_1) ^ mix(self.position));
        let head = (len as u64) | ((self.epoch.0 as u64) << 32);
        mix(place ^ head.wrapping_mul(Self::PRIME_2) ^ code as u64)
    }

    /// Returns the check byte of a head in this place.
    #[inline]
    pub(super) const fn check(self, len: u32, code: u8) -> u8 {
        let head = (len as u64) | ((self.epoch.low() as u64) << 32) | ((code as u64) << 48);
        let word = (head ^ self.position.rotate_left(17)).wrapping_mul(Self::PRIME_2);
        word.to_le_bytes()[7]
    }
}

#[inline]
const fn mix(mut x: u64) -> u64 {
    x = (x ^ (x >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    x = (x ^ (x >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    x ^ (x >> 33)
}

//! What a power loss leaves of what was written and not synced.

use protocol::rng::Rng;

/// Which unsynced sectors a power loss keeps: each way finds other bugs.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kept {
    All,
    None,
    Half,
    Most,
    /// The first ones were written back.
    First,
    /// The last ones were: writes were reordered.
    Last,
}

impl Kept {
    pub(super) fn draw(rng: &mut Rng) -> Self {
        match rng.below(6) {
            0 => Self::All,
            1 => Self::None,
            2 => Self::Half,
            3 => Self::Most,
            4 => Self::First,
            _ => Self::Last,
        }
    }

    pub(super) fn keeps(self, count: usize, at: usize, rng: &mut Rng) -> bool {
        match self {
            Self::All => true,
            Self::None => false,
            Self::Half => rng.one_in(2),
            Self::Most => !rng.one_in(8),
            Self::First => at * 2 < count,
            Self::Last => at * 2 >= count,
        }
    }
}

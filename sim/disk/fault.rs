//! What can go wrong with an operation.

use protocol::rng::Rng;
use storage::{DiskError, DiskOp};

/// A fault of one operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It fails. A write has written a part of its data then; a sync has dropped the dirty pages, and
    /// the next one succeeds.
    Fail(DiskError),
    /// A write is acknowledged and synced, and never reaches the medium: reads see it until the power
    /// fails.
    LoseWrite,
    /// Like [`Fault::LoseWrite`], and the data lands elsewhere in the file.
    MisdirectWrite,
    /// It never ends, and nothing of its lane does.
    Stick,
}

/// How often faults hit at random: once in so many operations of the kind; 0 is never.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rates {
    /// Reads that fail.
    pub read_fails: u64,
    /// Writes that fail.
    pub write_fails: u64,
    /// Syncs that fail.
    pub sync_fails: u64,
    /// Creations, renames and removals that fail.
    pub name_fails: u64,
    /// Writes that are lost.
    pub writes_lost: u64,
    /// Writes that are misdirected.
    pub writes_misdirected: u64,
}

impl Rates {
    pub(super) fn draw(&self, op: &DiskOp, rng: &mut Rng) -> Option<Fault> {
        let fails = match op {
            DiskOp::List { .. } => 0,
            DiskOp::Read { .. } => self.read_fails,
            DiskOp::Write { .. } => {
                if rng.one_in(self.writes_lost) {
                    return Some(Fault::LoseWrite);
                }
                if rng.one_in(self.writes_misdirected) {
                    return Some(Fault::MisdirectWrite);
                }
                self.write_fails
            }
            DiskOp::Sync { .. } => self.sync_fails,
            DiskOp::Create { .. } | DiskOp::Recycle { .. } | DiskOp::Remove { .. } => {
                self.name_fails
            }
        };
        rng.one_in(fails).then_some(Fault::Fail(DiskError::Io(5)))
    }
}

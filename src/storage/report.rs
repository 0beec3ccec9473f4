//! What recovery found.

use alloc::vec::Vec;

use protocol::id::LogPos;

use crate::op::FileName;

/// A range of a file that does not hold what was once durable there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Damage {
    /// The file.
    pub file: FileName,
    /// Where the damage begins: a log position in the log, an offset in other files.
    pub from: u64,
    /// Where what is good begins again.
    pub to: u64,
}

/// How recovery went. The store serves what is undamaged, whatever this says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RecoveryReport {
    /// Where the log goes on. Every entry ever acknowledged lies below.
    pub tail: LogPos,
    /// How many entries were replayed.
    pub replayed: u64,
    /// How many entries the log's marks count that are not there any more, at least.
    pub lost: u64,
    /// How many entries may be missing, at most.
    pub lost_max: u64,
    /// What is damaged; empty if nothing is.
    pub damage: Vec<Damage>,
    /// How many bytes were left behind the tail by a batch that was never acknowledged.
    pub cut: u64,
    /// The checkpoint that recovery began from.
    pub checkpoint: Option<u64>,
    /// Segments that nothing refers to and that are kept because something is damaged.
    pub orphans: usize,
}

impl RecoveryReport {
    /// Notes damage, once.
    pub(crate) fn note(&mut self, damage: Damage) {
        if !self.damage.contains(&damage) {
            self.damage.push(damage);
        }
    }
}

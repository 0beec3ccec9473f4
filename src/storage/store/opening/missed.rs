//! Checkpoints that were finished, and are not there or have no beginning or no end.

use alloc::vec::Vec;

use super::Opening;
use crate::op::FileName;
use crate::report::Damage;

impl Opening {
    /// Returns what is damaged of them, as far as no section has told it.
    pub(super) fn missed_checkpoints(&self) -> Vec<Damage> {
        let finished = self.recovery.checkpointed();
        // A checkpoint without an end was never finished, unless the log says so, or the log before it
        // is gone.
        let damaged = !(self.report.damage.is_empty() && self.recovery.damage.is_empty());
        let trimmed = damaged && self.head.is_none();
        let was = |number| trimmed || finished.is_some_and(|finished| number <= finished);
        let broken = self.broken.iter().filter(|&&(number, _)| was(number));
        let mut missed: Vec<(u64, u64)> = broken.copied().collect();
        let loaded = self.report.checkpoint;
        let newest = finished.filter(|&number| Some(number) > loaded);
        // Of a newest one that is damaged, the one before the older is gone for good.
        let is_whole = self.broken.is_empty() && self.damaged.is_empty();
        let older = self.head.as_ref().filter(|_| is_whole);
        let older = older.map(|head| head.previous).filter(|&number| number > 0);
        for number in newest.into_iter().chain(older) {
            let file = FileName::Checkpoint(number);
            if !self.listed.iter().any(|&(name, _)| name == file) {
                missed.push((number, 1));
            }
        }
        let damage = missed.into_iter().map(|(number, to)| Damage {
            file: FileName::Checkpoint(number),
            from: 0,
            to,
        });
        damage.collect()
    }
}

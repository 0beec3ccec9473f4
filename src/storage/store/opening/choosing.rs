//! Which checkpoint a start begins from, where not all of them are whole, and how far the log behind it may
//! have reached.

use alloc::collections::BTreeMap;

use super::Opening;
use crate::checkpoint::Rule;
use crate::op::FileName;
use crate::store::bulk::CHECKPOINT_SHARE;

/// How many checkpoints stay with all that they need.
const CHECKPOINTS: usize = 2;

impl Opening {
    /// Returns the checkpoint to try next. Of those before the newest only one has all that it needs: if
    /// that cannot be had whole either, and the log does not go back to its beginning, what is left of one
    /// of the two has to do: the newest of which only what it shares with others is damaged, or else the older
    /// one, which was finished for certain.
    pub(super) fn choose(&mut self) -> Option<(u64, Rule)> {
        if let Some(&(_, previous)) = self.damaged.first() {
            self.candidates.retain(|&(number, _)| number <= previous);
        }
        let failed = self.broken.len() + self.damaged.len();
        let goes_on = failed < CHECKPOINTS || self.readable.is_empty();
        if goes_on && let Some((number, _)) = self.candidates.pop() {
            return Some((number, Rule::Whole));
        }
        self.candidates.clear();
        if self.damaged.is_empty() && self.log_is_whole() {
            return None;
        }
        let readable = core::mem::take(&mut self.readable);
        let complete = self.damaged.first().map(|(number, _)| number);
        let best = complete.filter(|number| readable.contains(number));
        let best = best.or(readable.last());
        best.map(|&number| (number, Rule::Salvage))
    }

    /// Returns whether nothing of the log has been given up yet, so that it gives all by itself.
    fn log_is_whole(&self) -> bool {
        let files = self.log_files();
        let bases: BTreeMap<u64, u64> = files.iter().map(|file| (file.base, file.end())).collect();
        let mut next = 0;
        for (base, end) in bases {
            if base != next {
                return false;
            }
            next = end;
        }
        next > 0
    }

    /// Returns about how much of the log lies behind the checkpoint that was loaded, at most: so much is
    /// between two of them, and there is one for each that could not be read.
    pub(super) fn step_max(&self, checkpoint_step: u64) -> u64 {
        let lens = self.listed.iter().filter_map(|&(name, len)| match name {
            FileName::Checkpoint(number) if Some(number) >= self.report.checkpoint => Some(len),
            FileName::Log(_) | FileName::Segment { .. } | FileName::Checkpoint(_) => None,
        });
        let steps = lens.map(|len| checkpoint_step.max(len.saturating_mul(CHECKPOINT_SHARE)));
        steps.fold(0_u64, u64::saturating_add).max(checkpoint_step)
    }
}

//! The log's files: which there are, which are being made ahead, which can be used again.
//!
//! Files are zero-filled before use, so that a sync of the log changes no metadata, and renamed for
//! reuse once nothing in them is needed. *Invariant:* making a file never fails the log: what cannot
//! be made now is asked for again later, and publishing goes on in the files that are there.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use crate::ids::OpIds;
use crate::op::{DiskError, DiskOp, FileName, OpId};
use crate::options::StoreOptions;

/// A range of log positions that one file covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Extent {
    pub(crate) base: u64,
    pub(crate) len: u64,
}

impl Extent {
    pub(crate) const fn end(self) -> u64 {
        self.base.saturating_add(self.len)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Planned, not asked for yet; with why it could not be made before.
    Wanted(Option<DiskError>),
    /// Asked for under this operation; with why it could not be made before.
    Making(OpId, Option<DiskError>),
    /// Could not be made; asked for again on the next tick.
    Failed(DiskError),
    Ready,
}

/// The table of the log's files.
#[derive(Debug)]
pub(crate) struct Files {
    table: BTreeMap<u64, (u64, State)>,
    /// Files that nothing needs any more, to be renamed for reuse.
    free: Vec<Extent>,
    /// How many of them are kept; the others are removed.
    spares: usize,
    removing: Vec<OpId>,
    len_first: u64,
    len_max: u64,
    ahead: usize,
}

impl Files {
    /// How many times as long as the one before it a file is, up to the longest: a log that is written to
    /// fast waits for the end of each of the short ones.
    const GROWTH: u64 = 4;
    /// How many files that are not needed are kept for reuse, at most.
    const SPARES_MAX: u64 = 8;

    pub(crate) fn new(options: &StoreOptions) -> Self {
        // As many as are filled from one flush to the next.
        let spares = options.flush_threshold / options.log_file_len.max(1);
        let spares = spares.clamp(1, Self::SPARES_MAX);
        Self {
            spares: usize::try_from(spares).unwrap_or(1),
            table: BTreeMap::new(),
            free: Vec::new(),
            removing: Vec::new(),
            len_first: options.log_file_len_first,
            len_max: options.log_file_len,
            ahead: options.log_files_ahead,
        }
    }

    /// Notes the files that exist when the log goes on at `tail`. Of those behind the one that is
    /// written next, only an unbroken row can be used under their names; recovery has found nothing in
    /// the others. One that was cut off before it was used is made again under its name.
    pub(crate) fn adopt(&mut self, mut files: Vec<Extent>, tail: u64) {
        let len_min = self.len_first.min(self.len_max);
        files.retain(|file| file.base < tail || file.len >= len_min);
        files.sort_unstable_by_key(|file| file.base);
        let mut next = None;
        for file in files {
            if file.base <= tail || next == Some(file.base) {
                self.table.insert(file.base, (file.len, State::Ready));
                next = Some(file.end());
            } else {
                self.free.push(file);
            }
        }
    }

    /// Returns the file that covers `pos`.
    pub(crate) fn covering(&self, pos: u64) -> Option<Extent> {
        let (&base, &(len, _)) = self.table.range(..=pos).next_back()?;
        let file = Extent { base, len };
        (pos < file.end()).then_some(file)
    }

    /// Returns the files that end at or below `pos`.
    pub(crate) fn below(&self, pos: u64) -> impl Iterator<Item = Extent> + '_ {
        let files = self.table.iter();
        let files = files.map(|(&base, &(len, _))| Extent { base, len });
        files.take_while(move |file| file.end() <= pos)
    }

    /// Returns the file behind `file`, planning it if there is none.
    pub(crate) fn after(&mut self, file: Extent) -> Extent {
        let base = file.end();
        let grown = file.len.saturating_mul(Self::GROWTH);
        let len = grown.clamp(self.len_first, self.len_max);
        let (len, _) = *self.table.entry(base).or_insert((len, State::Wanted(None)));
        Extent { base, len }
    }

    /// Plans a file that begins at `base`.
    pub(crate) fn plan(&mut self, base: u64) -> Extent {
        let len = self.len_first;
        let (len, _) = *self.table.entry(base).or_insert((len, State::Wanted(None)));
        Extent { base, len }
    }

    pub(crate) fn is_ready(&self, file: Extent) -> bool {
        matches!(self.table.get(&file.base), Some((_, State::Ready)))
    }

    /// Returns why `file` could not be made, if it could not. A further try does not make that untrue
    /// before it succeeds: what is taken meanwhile would wait for the file without an answer.
    pub(crate) fn failure(&self, file: Extent) -> Option<DiskError> {
        match self.table.get(&file.base)? {
            (_, State::Failed(error)) => Some(*error),
            (_, State::Wanted(before) | State::Making(_, before)) => *before,
            (_, State::Ready) => None,
        }
    }

    /// Asks for the files that are planned and for those to be made ahead of `current`, one after the
    /// other: a file on the disk proves that the one before it was made, so that a missing one is
    /// known to be lost.
    pub(crate) fn drive(&mut self, current: Extent, ids: &mut OpIds, ops: &mut Vec<DiskOp>) {
        let mut last = current;
        for _ in 0..self.ahead {
            last = self.after(last);
        }
        let mut missing = self.table.iter_mut();
        let missing = missing.find(|(_, (_, state))| *state != State::Ready);
        if let Some((&base, (len, state))) = missing
            && let State::Wanted(before) = *state
        {
            let op = ids.take();
            *state = State::Making(op, before);
            let file = FileName::Log(base);
            let spare = self.free.iter().position(|free| free.len == *len);
            ops.push(match spare {
                Some(at) => DiskOp::Recycle {
                    op,
                    from: FileName::Log(self.free.swap_remove(at).base),
                    to: file,
                },
                None => DiskOp::Create {
                    op,
                    file,
                    len: *len,
                },
            });
        }
        let fits = self.free.iter().filter(|free| free.len == self.len_max);
        let kept = fits.count().min(self.spares);
        self.free
            .sort_unstable_by_key(|free| free.len != self.len_max);
        for free in self.free.drain(kept..) {
            let op = ids.take();
            self.removing.push(op);
            let file = FileName::Log(free.base);
            ops.push(DiskOp::Remove { op, file });
        }
    }

    /// Takes the answer to an operation of this table; false if it is none.
    pub(crate) fn on_done(&mut self, op: OpId, result: Result<(), DiskError>) -> bool {
        if let Some(at) = self.removing.iter().position(|&removing| removing == op) {
            // A file that could not be removed costs space until the next start, nothing else.
            self.removing.swap_remove(at);
            return true;
        }
        let mut states = self.table.values_mut().map(|(_, state)| state);
        let asked = |state: &&mut State| matches!(state, State::Making(making, _) if *making == op);
        let Some(state) = states.find(asked) else {
            return false;
        };
        *state = match result {
            Ok(()) => State::Ready,
            Err(error) => State::Failed(error),
        };
        true
    }

    /// Lets files that could not be made be asked for again.
    pub(crate) fn retry(&mut self) {
        for (_, state) in self.table.values_mut() {
            if let State::Failed(error) = *state {
                *state = State::Wanted(Some(error));
            }
        }
    }

    /// Gives up the files that end at or below `below`, except those that are `busy`; returns their
    /// bases.
    pub(crate) fn trim(&mut self, below: u64, busy: impl Fn(FileName) -> bool) -> Vec<u64> {
        let before = self.free.len();
        let free = &mut self.free;
        self.table.retain(|&base, &mut (len, state)| {
            let file = Extent { base, len };
            let keep = state != State::Ready || file.end() > below || busy(FileName::Log(base));
            if !keep {
                free.push(file);
            }
            keep
        });
        let freed = free.iter().skip(before);
        freed.map(|file| file.base).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(files: &mut Files, current: Extent, ids: &mut OpIds) -> Vec<(FileName, OpId)> {
        let mut ops = Vec::new();
        files.drive(current, ids, &mut ops);
        let mut created = Vec::new();
        for op in ops {
            if let DiskOp::Create { op, file, .. } = op {
                created.push((file, op));
            }
        }
        created
    }

    #[test]
    fn a_failure_holds_until_the_file_is_made() {
        let mut ids = OpIds::default();
        let mut files = Files::new(&StoreOptions::default());
        let file = files.plan(0);
        assert_eq!(files.failure(file), None);
        for _ in 0..2 {
            let made = asked(&mut files, file, &mut ids);
            files.on_done(made[0].1, Err(DiskError::NoSpace));
            files.retry();
            assert_eq!(files.failure(file), Some(DiskError::NoSpace));
        }
        let made = asked(&mut files, file, &mut ids);
        assert_eq!(files.failure(file), Some(DiskError::NoSpace));
        files.on_done(made[0].1, Ok(()));
        assert_eq!(files.failure(file), None);
    }

    #[test]
    fn a_file_is_made_only_when_the_one_before_it_is_there() {
        let mut ids = OpIds::default();
        let mut files = Files::new(&StoreOptions::default());
        let first = files.plan(0);
        let made = asked(&mut files, first, &mut ids);
        assert!(matches!(made.as_slice(), [(FileName::Log(0), _)]));
        assert!(asked(&mut files, first, &mut ids).is_empty());
        assert!(files.on_done(made[0].1, Err(DiskError::Io(5))));
        assert!(asked(&mut files, first, &mut ids).is_empty());
        files.retry();
        let again = asked(&mut files, first, &mut ids);
        assert!(files.on_done(again[0].1, Ok(())));
        let next = asked(&mut files, first, &mut ids);
        assert_eq!(next[0].0, FileName::Log(first.end()));
    }
}

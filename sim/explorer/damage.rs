//! Damage done to a file while the process is away: rot, and what people and devices do to files.

use protocol::rng::Rng;
use storage::FileName;

use super::{Explorer, FaultKind};
use crate::disk::SimDisk;
use crate::history::Violation;
use crate::oracle::{Audit, damage};

/// The stream of randomness for damage.
const RNG_DAMAGE: u64 = 15;
/// The stream of randomness for which damage it is.
const RNG_DRAW: u64 = 16;
/// What a file system or a device exchanges as a whole.
const BLOCK: u64 = 4096;

/// Which files are damaged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileKind {
    /// Files of the log.
    Log,
    /// Segments.
    Segment,
    /// Checkpoints.
    Checkpoint,
}

/// What is done to one of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Damage {
    /// A bit flips.
    Flip,
    /// It is cut off somewhere.
    Cut,
    /// It is gone.
    Remove,
    /// Several are gone, of those with the greatest numbers.
    RemoveNewest,
    /// A block of it is as it was some time before: a lost write.
    StaleBlock,
    /// A block of it holds what belongs into another place: a misdirected write.
    ForeignBlock,
    /// One of these, to a file of any kind: whatever the seed draws.
    Any,
}

impl FileKind {
    fn of(file: FileName) -> Self {
        match file {
            FileName::Log(_) => Self::Log,
            FileName::Segment { .. } => Self::Segment,
            FileName::Checkpoint(_) => Self::Checkpoint,
        }
    }
}

/// Draws what is done to which kind of file.
fn draw(seed: u64) -> (Damage, FileKind) {
    use Damage as D;
    use FileKind as F;
    let mut rng = Rng::new(seed, RNG_DRAW);
    let mut below = |count: usize| usize::try_from(rng.below(count as u64)).unwrap_or(0);
    let damages = [
        D::Flip,
        D::Cut,
        D::Remove,
        D::RemoveNewest,
        D::StaleBlock,
        D::ForeignBlock,
    ];
    let kinds = [F::Log, F::Segment, F::Checkpoint];
    (damages[below(damages.len())], kinds[below(kinds.len())])
}

/// A disk to be damaged, and what is known of it.
struct Victim<'a> {
    disk: &'a mut SimDisk,
    /// As it was some time before.
    old: &'a SimDisk,
    /// Where the log ends.
    log_end: Option<(FileName, u64)>,
}

/// Damages a file of a kind; false if there is none or nothing to damage.
fn inflict(damage: Damage, kind: FileKind, victim: Victim<'_>, seed: u64) -> bool {
    let Victim { disk, old, log_end } = victim;
    let mut rng = Rng::new(seed, RNG_DAMAGE);
    let files = disk.files();
    let files = files.iter().filter(|(file, _)| FileKind::of(*file) == kind);
    if damage == Damage::RemoveNewest {
        return remove_newest(files.map(|(file, _)| *file).collect(), disk, &mut rng);
    }
    let used = |file: FileName| {
        let bytes = disk.contents(file).unwrap_or_default();
        let end = bytes.iter().rposition(|&byte| byte != 0);
        end.map_or(0, |end| end as u64 + 1)
    };
    let files: Vec<_> = files.map(|(file, _)| (*file, used(*file))).collect();
    let files: Vec<_> = files.into_iter().filter(|(_, used)| *used > 0).collect();
    let at = usize::try_from(rng.below(files.len() as u64)).unwrap_or(0);
    let Some(&(file, used)) = files.get(at) else {
        return false;
    };
    // Where nothing else lies in the directory, what is left is what a new store begins from.
    if damage == Damage::Remove && disk.files().len() == 1 {
        return false;
    }
    let offset = rng.below(used);
    let block = offset / BLOCK * BLOCK;
    // What proves that the log's last block was written lies in that block: with an older block in its
    // place the log has ended before, and nothing can tell.
    // Files that are kept to be used again have greater names, and old contents lie behind the end.
    if matches!(damage, Damage::StaleBlock | Damage::ForeignBlock)
        && log_end.is_some_and(|(last, end)| last == file && block + 2 * BLOCK > end)
    {
        return false;
    }
    match damage {
        Damage::Flip => disk.flip(file, offset, u8::try_from(rng.below(8)).unwrap_or(0)),
        Damage::Cut => disk.truncate(file, offset),
        Damage::Remove | Damage::RemoveNewest | Damage::Any => disk.remove(file),
        Damage::StaleBlock => {
            let Some(data) = block_of(old, file, block) else {
                return false;
            };
            disk.overwrite(file, block, &data);
        }
        Damage::ForeignBlock => {
            let (from, used) = files[usize::try_from(rng.below(files.len() as u64)).unwrap_or(0)];
            let source = rng.below(used) / BLOCK * BLOCK;
            let Some(data) = block_of(disk, from, source) else {
                return false;
            };
            disk.overwrite(file, block, &data);
        }
    }
    true
}

/// Removes at least two of the newest of these files, if anything is left then; false if not.
fn remove_newest(mut files: Vec<FileName>, disk: &mut SimDisk, rng: &mut Rng) -> bool {
    files.sort_unstable();
    let count = 2 + usize::try_from(rng.below(3)).unwrap_or(0);
    let gone: Vec<_> = files.into_iter().rev().take(count).collect();
    if gone.len() < 2 || gone.len() == disk.files().len() {
        return false;
    }
    gone.into_iter().for_each(|file| disk.remove(file));
    true
}

fn block_of(disk: &SimDisk, file: FileName, offset: u64) -> Option<Vec<u8>> {
    let bytes = disk.contents(file)?;
    let start = usize::try_from(offset).ok()?.min(bytes.len());
    let end = (start + usize::try_from(BLOCK).ok()?).min(bytes.len());
    bytes.get(start..end).map(<[u8]>::to_vec)
}

impl Explorer {
    /// Damages a file of the quiet disk, restarts the process, and lets the auditor look what is left of
    /// `before`; false if the scenario has no damage or there was nothing to damage.
    pub(super) fn damage(&mut self, before: &Audit) -> bool {
        let seed = self.node.seed();
        let (damage, kind) = match self.scenario.damage {
            Some((Damage::Any, _)) => draw(seed),
            Some(damage) => damage,
            None => return false,
        };
        self.crash(FaultKind::Kill);
        let old = self
            .old_disk
            .take()
            .unwrap_or_else(|| self.node.disk.clone());
        let log_end = self.node.log_end();
        let victim = Victim {
            disk: &mut self.node.disk,
            old: &old,
            log_end,
        };
        if !inflict(damage, kind, victim, seed) {
            return false;
        }
        self.damaged += 1;
        self.auditor().inspect(before.clone());
        self.before_damage = Some(before.clone());
        self.director.audit_again(self.now);
        true
    }

    /// Judges what the auditor found after damage.
    pub(super) fn judge_damage(&mut self, before: &Audit, after: &Audit) {
        let (status, text) = self.node.health(self.now).unwrap_or_default();
        let health = damage::Health { status, text };
        let (violations, missing) = damage::judge(before, after, &health);
        self.violations.extend(violations);
        self.missing += missing;
        if missing > self.scenario.costs_max {
            let most = self.scenario.costs_max;
            self.violations.push(Violation {
                invariant: "undamaged_is_readable",
                text: format!("{missing} messages cannot be read, {most} at most were hit"),
            });
        }
    }
}

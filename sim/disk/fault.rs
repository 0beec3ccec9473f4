//! What can go wrong with an operation.

use protocol::rng::Rng;
use storage::{DiskError, DiskOp, FileName};

/// What kind of operation a fault waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpClass {
    /// A read.
    Read,
    /// A write to the log.
    LogWrite,
    /// A sync of the log.
    LogSync,
    /// A write to, or a sync of, a segment or a checkpoint.
    Bulk,
    /// The making, renaming or removing of a file.
    Names,
}

impl OpClass {
    pub(super) fn of(op: &DiskOp) -> Option<Self> {
        match op {
            DiskOp::List { .. } => None,
            DiskOp::Read { .. } => Some(Self::Read),
            DiskOp::Write { file, .. } if is_log(*file) => Some(Self::LogWrite),
            DiskOp::Sync { file, .. } if is_log(*file) => Some(Self::LogSync),
            DiskOp::Write { .. } | DiskOp::Sync { .. } => Some(Self::Bulk),
            DiskOp::Create { .. } | DiskOp::Recycle { .. } | DiskOp::Remove { .. } => {
                Some(Self::Names)
            }
        }
    }
}

fn is_log(file: FileName) -> bool {
    matches!(file, FileName::Log(_))
}

/// What the whole disk suffers from until it is over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Condition {
    /// Nothing.
    #[default]
    Well,
    /// Nothing can be changed: the file system has been mounted again for reading.
    ReadOnly,
    /// The process has no file descriptor left for files that are not open.
    TooManyFiles,
    /// Nothing can be read.
    Unreadable,
}

impl Condition {
    /// Returns the error that an operation meets, which does nothing then.
    pub(super) fn denies(self, op: &DiskOp) -> Option<DiskError> {
        let class = OpClass::of(op)?;
        match (self, class) {
            (Self::Well, _) | (Self::ReadOnly, OpClass::Read) => None,
            (Self::ReadOnly, _) => Some(DiskError::ReadOnly),
            (Self::Unreadable, OpClass::Read) => Some(DiskError::Io(5)),
            (Self::Unreadable, _) => None,
            // The log's files are open, and what has unsynced writes; removing opens nothing.
            (Self::TooManyFiles, OpClass::LogWrite | OpClass::LogSync) => None,
            (Self::TooManyFiles, OpClass::Bulk) if matches!(op, DiskOp::Sync { .. }) => None,
            (Self::TooManyFiles, OpClass::Names) if !matches!(op, DiskOp::Create { .. }) => None,
            (Self::TooManyFiles, _) => Some(DiskError::TooManyFiles),
        }
    }
}

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

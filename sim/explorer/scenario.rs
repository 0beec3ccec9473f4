//! What a run is exposed to.

use core::time::Duration;

use super::damage::{Damage, FileKind};
use super::faults::FaultKind;

/// A row of the fault matrix.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// Its name.
    pub name: &'static str,
    /// The faults that it draws from.
    pub faults: Vec<FaultKind>,
    /// The mean time between two of them.
    pub every: Duration,
    /// Whether every request must be answered within its time as long as its connection lasts,
    /// whatever the answer.
    pub prompt: bool,
    /// Whether rare paths are made common: sizes that are the least, operations that fail at random.
    pub rare: bool,
    /// What is done to a file at the end.
    pub damage: Option<(Damage, FileKind)>,
    /// How many messages that may cost at most.
    pub costs_max: usize,
    /// A deception that the oracle must see through.
    pub cheat: Option<Cheat>,
}

/// Ways to break the promise on purpose: a check that does not notice them is worth nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cheat {
    /// Syncs succeed and keep nothing.
    DiskLies,
    /// The shard is told that a sync has succeeded when it has only been asked for.
    AckBeforeSync,
}

impl Scenario {
    /// Returns a scenario without deception.
    #[must_use]
    pub fn new(name: &'static str, faults: &[FaultKind], every: Duration) -> Self {
        Self {
            name,
            faults: faults.to_vec(),
            every,
            prompt: false,
            rare: false,
            damage: None,
            costs_max: 0,
            cheat: None,
        }
    }

    /// Returns a scenario in which a file is damaged at the end.
    fn damaged(name: &'static str, damage: Damage, kind: FileKind, costs_max: usize) -> Self {
        Self {
            damage: Some((damage, kind)),
            costs_max,
            rare: true,
            ..Self::new(name, &[FaultKind::Kill], Duration::from_secs(6))
        }
    }

    /// Returns a scenario in which an error must be an answer, never a silence.
    fn prompt(name: &'static str, faults: &[FaultKind], every: Duration) -> Self {
        Self {
            prompt: true,
            ..Self::new(name, faults, every)
        }
    }

    /// Returns all scenarios of one node, named after the rows of the fault matrix.
    #[must_use]
    pub fn all() -> Vec<Self> {
        use FaultKind as F;
        let seconds = Duration::from_secs;
        let at_random = |name, faults: &[F], every| Self {
            rare: true,
            ..Self::new(name, faults, every)
        };
        vec![
            Self::prompt("no_faults", &[], seconds(60)),
            Self::new("process_kill", &[F::Kill], seconds(4)),
            Self::new("power_loss", &[F::PowerLoss], seconds(4)),
            Self::new("power_loss_at_any_op", &[F::PowerLossAtOp], seconds(2)),
            Self::new("kill_then_power_loss", &[F::Kill, F::PowerLoss], seconds(1)),
            Self::new(
                "crash_after_promise",
                &[F::KillAfterPromise, F::PowerLossAfterPromise],
                seconds(1),
            ),
            Self::new("io_error", &[F::IoError], seconds(6)),
            Self::prompt("sync_error", &[F::SyncError], seconds(6)),
            Self::prompt("write_error", &[F::WriteError, F::BulkError], seconds(6)),
            Self::prompt("read_error", &[F::ReadError, F::Kill], seconds(3)),
            Self::prompt("unreadable", &[F::Unreadable, F::Kill], seconds(6)),
            Self::prompt("name_error", &[F::NameError, F::Kill], seconds(2)),
            Self::prompt("disk_full", &[F::DiskFull], seconds(6)),
            Self::prompt("read_only_disk", &[F::ReadOnly], seconds(8)),
            Self::prompt("too_many_files", &[F::TooManyFiles, F::Kill], seconds(6)),
            Self::new("slow_disk", &[F::SlowDisk], seconds(4)),
            Self::new("stuck_disk", &[F::StuckDisk], seconds(8)),
            Self::new("partition", &[F::HoldAll, F::HoldOne], seconds(3)),
            Self::new("one_way_partition", &[F::OneWay], seconds(3)),
            Self::new("swizzle", &[F::Swizzle], seconds(4)),
            Self::new("broken_connections", &[F::Reset], seconds(1)),
            Self::new("half_open", &[F::HalfOpen], seconds(4)),
            Self::new("slow_reader", &[F::SlowReader], seconds(3)),
            Self::new("pause", &[F::Pause], seconds(8)),
            Self::new(
                "pause_and_power_loss",
                &[F::Pause, F::PowerLoss, F::Kill],
                seconds(4),
            ),
            Self::new(
                "partition_and_power_loss",
                &[F::HoldAll, F::OneWay, F::Swizzle, F::PowerLossAtOp],
                seconds(2),
            ),
            Self::new(
                "full_and_failing_disk",
                &[
                    F::DiskFull,
                    F::IoError,
                    F::SlowDisk,
                    F::NameError,
                    F::TooManyFiles,
                ],
                seconds(3),
            ),
            Self::new("clock_jump", &[F::ClockJump, F::Kill], seconds(3)),
            Self::new("clock_drift", &[F::ClockRate, F::Kill], seconds(3)),
            at_random("rare_paths", &[F::Kill, F::PowerLossAtOp], seconds(4)),
            Self::new("everything", &F::ALL, seconds(3)),
            at_random("everything_rare", &F::ALL, seconds(2)),
        ]
    }

    /// Returns the scenarios in which a file is damaged while the process is away, each with what that
    /// may cost.
    #[must_use]
    pub fn all_damaged() -> Vec<Self> {
        use Damage as D;
        use FileKind as F;
        /// A block holds no more messages than this.
        const BLOCK: usize = 48;
        /// What is hit is told, whatever it is: `docs/storage.md` says what a hole in the log, and a
        /// section that both checkpoints share, cost.
        const ANY: usize = usize::MAX;
        vec![
            Self::damaged("log_rot", D::Flip, F::Log, ANY),
            Self::damaged("log_cut", D::Cut, F::Log, ANY),
            Self::damaged("log_lost", D::Remove, F::Log, ANY),
            Self::damaged("logs_lost", D::RemoveNewest, F::Log, ANY),
            Self::damaged("log_stale_block", D::StaleBlock, F::Log, ANY),
            Self::damaged("log_foreign_block", D::ForeignBlock, F::Log, ANY),
            Self::damaged("segment_rot", D::Flip, F::Segment, 1),
            Self::damaged("segment_cut", D::Cut, F::Segment, ANY),
            Self::damaged("segment_lost", D::Remove, F::Segment, ANY),
            Self::damaged("segment_stale_block", D::StaleBlock, F::Segment, BLOCK),
            Self::damaged("segment_foreign_block", D::ForeignBlock, F::Segment, BLOCK),
            Self::damaged("checkpoint_rot", D::Flip, F::Checkpoint, 0),
            Self::damaged("checkpoint_cut", D::Cut, F::Checkpoint, ANY),
            Self::damaged("checkpoint_lost", D::Remove, F::Checkpoint, ANY),
            Self::damaged("checkpoints_lost", D::RemoveNewest, F::Checkpoint, ANY),
            Self::damaged("checkpoint_stale_block", D::StaleBlock, F::Checkpoint, 0),
            Self::damaged(
                "checkpoint_foreign_block",
                D::ForeignBlock,
                F::Checkpoint,
                0,
            ),
            Self {
                faults: FaultKind::ALL.to_vec(),
                ..Self::damaged("everything_then_damage", D::Any, F::Log, ANY)
            },
        ]
    }

    /// Returns the scenario of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        let mut all = Self::all().into_iter().chain(Self::all_damaged());
        all.find(|scenario| scenario.name == name)
    }
}

//! What a run is exposed to.

use core::time::Duration;

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
            cheat: None,
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
            Self::new("clock_jump", &[F::ClockJump, F::Kill], seconds(3)),
            Self::new("clock_drift", &[F::ClockRate, F::Kill], seconds(3)),
            at_random("rare_paths", &[F::Kill, F::PowerLossAtOp], seconds(4)),
            Self::new("everything", &F::ALL, seconds(3)),
            at_random("everything_rare", &F::ALL, seconds(2)),
        ]
    }

    /// Returns the scenario of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::all()
            .into_iter()
            .find(|scenario| scenario.name == name)
    }
}

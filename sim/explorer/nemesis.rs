//! Faults: which, when, and how they end.

use std::collections::BTreeMap;

use core::time::Duration;

use protocol::rng::Rng;
use protocol::time::Instant;
use storage::DiskError;

use super::Explorer;
use super::link::Held;
use super::scenario::Scenario;
use crate::disk::Fault;
use crate::workload::Phase;

/// A kind of fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum FaultKind {
    /// The process is killed; the page cache stays.
    Kill,
    /// The machine loses its power; of what is not synced any part may be lost.
    PowerLoss,
    /// A disk operation fails; somebody restarts the process a while later.
    IoError,
    /// The disk has no space left for a while.
    DiskFull,
    /// The disk takes up to seconds for an operation, for a while.
    SlowDisk,
    /// A disk operation never ends; somebody restarts the process a while later.
    StuckDisk,
    /// Nothing arrives on any connection for a while.
    HoldAll,
    /// Nothing arrives on one connection for a while.
    HoldOne,
    /// A client reads nothing for a while.
    SlowReader,
    /// A connection goes silent for ever, and nobody is told.
    HalfOpen,
    /// A connection breaks.
    Reset,
    /// The wall clock jumps.
    ClockJump,
}

impl FaultKind {
    /// All kinds.
    pub const ALL: [Self; 12] = [
        Self::Kill,
        Self::PowerLoss,
        Self::IoError,
        Self::DiskFull,
        Self::SlowDisk,
        Self::StuckDisk,
        Self::HoldAll,
        Self::HoldOne,
        Self::SlowReader,
        Self::HalfOpen,
        Self::Reset,
        Self::ClockJump,
    ];
}

/// Draws faults.
#[derive(Debug)]
pub(super) struct Nemesis {
    kinds: Vec<FaultKind>,
    every: Duration,
    rng: Rng,
    next_at: Instant,
    /// When what a fault did to the disk ends.
    ease_at: Instant,
    /// When somebody restarts the process.
    restart_at: Instant,
    /// How often each kind has struck.
    pub(super) struck: BTreeMap<FaultKind, u64>,
}

/// Clocks are set back or forward by at most this, so that all jumps together stay far below the
/// duplicate window.
const JUMP_MAX: Duration = Duration::from_secs(60);
/// The slowest disk takes this many times as long.
const SLOWNESS_MAX: u64 = 8_000;

impl Nemesis {
    pub(super) fn new(scenario: &Scenario, rng: Rng) -> Self {
        let mut nemesis = Self {
            kinds: scenario.faults.clone(),
            every: scenario.every,
            rng,
            next_at: Instant::NEVER,
            ease_at: Instant::NEVER,
            restart_at: Instant::NEVER,
            struck: BTreeMap::new(),
        };
        nemesis.plan(Instant(0));
        nemesis
    }

    /// Returns when the next fault begins or ends.
    pub(super) fn due(&self, phase: Phase) -> Instant {
        if phase != Phase::Run {
            return Instant::NEVER;
        }
        self.next_at.min(self.ease_at).min(self.restart_at)
    }

    fn plan(&mut self, now: Instant) {
        if !self.kinds.is_empty() {
            self.next_at = now + self.up_to(self.every * 2);
        }
    }

    fn up_to(&mut self, longest: Duration) -> Duration {
        let nanos = u64::try_from(longest.as_nanos()).unwrap_or(u64::MAX);
        Duration::from_nanos(self.rng.below(nanos))
    }
}

impl Explorer {
    /// Begins or ends what is due.
    pub(super) fn fault(&mut self) {
        let now = self.now;
        if self.nemesis.ease_at <= now {
            self.nemesis.ease_at = Instant::NEVER;
            self.node.disk.set_capacity(None);
            self.node.slowness = 1;
        }
        if self.nemesis.restart_at <= now {
            self.nemesis.restart_at = Instant::NEVER;
            self.crash(FaultKind::Kill);
        }
        if self.nemesis.next_at > now {
            return;
        }
        self.nemesis.plan(now);
        let kinds = self.nemesis.kinds.len() as u64;
        let at = usize::try_from(self.nemesis.rng.below(kinds)).unwrap_or(0);
        let kind = self.nemesis.kinds[at];
        *self.nemesis.struck.entry(kind).or_default() += 1;
        self.trace.step(now.0, "fault", kind as u64, b"");
        self.strike(kind);
    }

    fn strike(&mut self, kind: FaultKind) {
        let now = self.now;
        let nemesis = &mut self.nemesis;
        match kind {
            FaultKind::Kill | FaultKind::PowerLoss => self.crash(kind),
            FaultKind::IoError => self.plan_disk_fault(Fault::Fail(DiskError::Io(5))),
            FaultKind::StuckDisk => self.plan_disk_fault(Fault::Stick),
            FaultKind::DiskFull => {
                let files = self.node.disk.files();
                let used: u64 = files.iter().map(|(_, len)| len).sum();
                let left = nemesis.rng.below(40_000);
                self.node.disk.set_capacity(Some(used + left));
                nemesis.ease_at = now + nemesis.up_to(Duration::from_secs(15));
            }
            FaultKind::SlowDisk => {
                let slowness = 1 + nemesis.rng.below(SLOWNESS_MAX);
                self.node.slowness = u32::try_from(slowness).unwrap_or(1);
                nemesis.ease_at = now + nemesis.up_to(Duration::from_secs(8));
            }
            FaultKind::HoldAll => self.hold(Held::All),
            FaultKind::HoldOne => self.hold(Held::One),
            FaultKind::SlowReader => self.hold(Held::Reader),
            FaultKind::HalfOpen => self.links.silence(),
            FaultKind::Reset => self.links.reset(now),
            FaultKind::ClockJump => {
                let jump = nemesis.up_to(JUMP_MAX * 2).as_nanos();
                let jump = i64::try_from(jump).unwrap_or(0);
                let most = i64::try_from(JUMP_MAX.as_nanos()).unwrap_or(0);
                self.node.wall_ahead_ns += jump - most;
            }
        }
    }

    /// Lets one of the next operations meet a fault, and somebody restart the process a while later.
    fn plan_disk_fault(&mut self, fault: Fault) {
        let at = self.node.disk.executed() + self.nemesis.rng.below(12);
        self.node.disk.plan(at, fault);
        self.nemesis.restart_at = self.now + self.nemesis.up_to(Duration::from_secs(10));
    }

    fn hold(&mut self, which: Held) {
        let until = self.now + self.nemesis.up_to(Duration::from_secs(8));
        self.links.hold(until, which);
    }

    /// Ends the process, and lets it start again soon.
    pub(super) fn crash(&mut self, kind: FaultKind) {
        let power = kind == FaultKind::PowerLoss;
        if power {
            self.node.disk.lose_power();
        } else {
            self.node.disk.kill();
        }
        let longest = Duration::from_secs(if self.nemesis.rng.one_in(3) { 4 } else { 1 });
        let pause = self.nemesis.up_to(longest);
        self.node.die(self.now + pause);
        self.tap.on_death();
        // A killed process' kernel closes its connections; a machine without power says nothing.
        let notice = if power {
            Duration::from_secs(3)
        } else {
            Duration::from_millis(2)
        };
        self.links.server_died(self.now, notice);
    }

    /// All faults are over. A process that cannot recover by itself is restarted.
    pub(super) fn heal(&mut self) {
        self.node.disk.calm();
        self.node.slowness = 1;
        self.links.release();
        if self.node.is_up() && !self.node.is_well() || self.nemesis.restart_at != Instant::NEVER {
            self.crash(FaultKind::Kill);
        }
    }
}

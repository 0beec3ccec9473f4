//! Faults: which, when, and how they end.

use std::collections::BTreeMap;

use core::time::Duration;

use protocol::rng::Rng;
use protocol::time::Instant;
use storage::DiskError;

use super::Explorer;
use super::faults::FaultKind;
use super::link::Held;
use super::scenario::Scenario;
use crate::disk::{Condition, Fault, OpClass};
use crate::workload::Phase;

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
    /// How many more connections a swizzle stops.
    swizzle: u64,
    /// The power fails when the disk has executed so many operations.
    crash_at_op: Option<u64>,
    /// What happens as soon as clients have been given more promises than this.
    armed: Option<(FaultKind, u64)>,
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
            swizzle: 0,
            crash_at_op: None,
            armed: None,
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
            self.node.disk.set_condition(Condition::Well);
            self.node.slowness = 1;
        }
        if self.nemesis.restart_at <= now {
            self.nemesis.restart_at = Instant::NEVER;
            self.crash(FaultKind::Kill);
        }
        if self.nemesis.next_at > now {
            return;
        }
        if self.nemesis.swizzle > 0 {
            return self.swizzle();
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
        use FaultKind as F;
        let error = Fault::Fail(DiskError::Io(5));
        match kind {
            F::Kill | F::PowerLoss => self.crash(kind),
            F::PowerLossAtOp => {
                let at = self.node.disk.executed() + 1 + self.nemesis.rng.below(12);
                self.nemesis.crash_at_op = Some(at);
            }
            F::KillAfterPromise | F::PowerLossAfterPromise => {
                self.nemesis.armed = Some((kind, self.history.promises));
            }
            F::Pause => {
                let until = self.soon(Duration::from_secs(30));
                self.node.pause(until);
            }
            F::ClockJump => self.jump(),
            F::ClockRate => {
                let percent = [0, 50, 99, 101, 200][self.pick(5)];
                self.node.clock.set_rate(self.now, percent);
            }
            F::IoError => self.plan_disk_fault(error),
            F::StuckDisk => self.plan_disk_fault(Fault::Stick),
            F::DiskFull => self.fill_disk(),
            F::SlowDisk => {
                let slowness = 1 + self.nemesis.rng.below(SLOWNESS_MAX);
                self.node.slowness = u32::try_from(slowness).unwrap_or(1);
                self.ease_within(Duration::from_secs(8));
            }
            F::SyncError => self.plan_error(OpClass::LogSync),
            F::WriteError => self.plan_error(OpClass::LogWrite),
            F::BulkError => self.plan_error(OpClass::Bulk),
            F::NameError => self.node.disk.plan_next(OpClass::Names, error),
            F::ReadError => {
                for _ in 0..=self.nemesis.rng.below(4) {
                    self.node.disk.plan_next(OpClass::Read, error);
                }
            }
            F::Unreadable => self.suffer(Condition::Unreadable),
            F::TooManyFiles => self.suffer(Condition::TooManyFiles),
            F::ReadOnly => {
                self.suffer(Condition::ReadOnly);
                let pause = self.nemesis.up_to(Duration::from_secs(3));
                self.nemesis.restart_at = self.nemesis.ease_at + pause;
            }
            F::HoldAll => self.hold(Held::All),
            F::HoldOne => self.hold(Held::One),
            F::SlowReader => self.hold(Held::Reader),
            F::OneWay => {
                let way = [Held::ToServer, Held::ToClient][self.pick(2)];
                self.hold(way);
            }
            F::Swizzle => {
                self.nemesis.swizzle = 1 + self.nemesis.rng.below(6);
                self.swizzle();
            }
            F::HalfOpen => self.links.silence(),
            F::Reset => self.links.reset(self.now),
        }
    }

    fn jump(&mut self) {
        let jump = self.nemesis.up_to(JUMP_MAX * 2).as_nanos();
        let jump = i64::try_from(jump).unwrap_or(0);
        let most = i64::try_from(JUMP_MAX.as_nanos()).unwrap_or(0);
        self.node.clock.jump(jump - most);
    }

    fn fill_disk(&mut self) {
        let files = self.node.disk.files();
        let used: u64 = files.iter().map(|(_, len)| len).sum();
        let left = self.nemesis.rng.below(40_000);
        self.node.disk.set_capacity(Some(used + left));
        self.ease_within(Duration::from_secs(15));
    }

    /// Stops one more connection.
    fn swizzle(&mut self) {
        self.nemesis.swizzle -= 1;
        self.hold(Held::One);
        if self.nemesis.swizzle > 0 {
            self.nemesis.next_at = self.soon(Duration::from_millis(500));
        } else {
            self.nemesis.plan(self.now);
        }
    }

    fn pick(&mut self, count: u64) -> usize {
        usize::try_from(self.nemesis.rng.below(count)).unwrap_or(0)
    }

    fn soon(&mut self, longest: Duration) -> Instant {
        self.now + self.nemesis.up_to(longest)
    }

    fn ease_within(&mut self, longest: Duration) {
        self.nemesis.ease_at = self.soon(longest);
    }

    fn suffer(&mut self, condition: Condition) {
        self.node.disk.set_condition(condition);
        self.ease_within(Duration::from_secs(12));
    }

    /// Lets the next operation of a kind fail, and somebody restart the process a while later.
    fn plan_error(&mut self, class: OpClass) {
        let error = Fault::Fail(DiskError::Io(5));
        self.node.disk.plan_next(class, error);
        self.nemesis.restart_at = self.soon(Duration::from_secs(10));
    }

    /// Strikes if a fault has waited for this many disk operations; says whether.
    pub(super) fn crash_at_op(&mut self) -> bool {
        let executed = self.node.disk.executed();
        let due = self.nemesis.crash_at_op.take_if(|at| *at <= executed);
        if due.is_some() {
            self.crash(FaultKind::PowerLoss);
        }
        due.is_some()
    }

    /// Strikes if a fault has waited for a promise.
    pub(super) fn crash_after_promise(&mut self) {
        let promises = self.history.promises;
        let due = self.nemesis.armed.take_if(|(_, known)| *known < promises);
        match due {
            Some((FaultKind::PowerLossAfterPromise, _)) => self.crash(FaultKind::PowerLoss),
            Some(_) => self.crash(FaultKind::Kill),
            None => {}
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

    /// All faults are over. A process that cannot recover by itself is restarted, if what has struck
    /// lets a process stop storing until then.
    pub(super) fn heal(&mut self) {
        self.node.disk.calm();
        self.node.slowness = 1;
        self.node.pause(Instant(0));
        self.node.clock.set_rate(self.now, 100);
        self.nemesis.crash_at_op = None;
        self.nemesis.armed = None;
        self.links.release();
        let awaited = self.nemesis.restart_at != Instant::NEVER || self.node.disk.is_stuck();
        let may_stop = self.nemesis.kinds.iter().any(|kind| kind.ends_storing());
        if awaited || may_stop && self.node.is_up() && !self.node.is_well() {
            self.crash(FaultKind::Kill);
        } else if self.node.has_given_up() {
            let text = String::from("nothing is stored any more, and no fault lets it be so");
            self.history.violate("service_returns", text);
        }
    }
}

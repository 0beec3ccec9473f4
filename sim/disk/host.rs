//! The simulated disk under the driver: the same machine, with latencies in virtual time.
//!
//! *Invariant:* the disk outlives the processes that use it. Taking its ends anew is what a start of a
//! process does: it kills what the process before left under way.

use core::cell::RefCell;
use core::time::Duration;
use std::rc::Rc;

use protocol::rng::Rng;
use server::disk::{Disk, DiskAnswers, DiskQueue};
use storage::{DiskDone, DiskOp};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

use super::{LANES, SimDisk};

/// How long operations take.
#[derive(Clone, Copy, Debug)]
pub struct Latency {
    /// The least.
    pub min: Duration,
    /// The most, as a rule.
    pub max: Duration,
    /// Once in so many operations it takes `slow`; 0 is never.
    pub slow_one_in: u64,
    /// How long a slow operation takes.
    pub slow: Duration,
}

impl Default for Latency {
    fn default() -> Self {
        Self {
            min: Duration::from_micros(50),
            max: Duration::from_millis(2),
            slow_one_in: 0,
            slow: Duration::from_secs(5),
        }
    }
}

impl Latency {
    fn draw(&self, rng: &mut Rng) -> Duration {
        if rng.one_in(self.slow_one_in) {
            return self.slow;
        }
        let range = self.max.saturating_sub(self.min);
        let micros = u64::try_from(range.as_micros()).unwrap_or(u64::MAX);
        self.min + Duration::from_micros(rng.below(micros.saturating_add(1)))
    }
}

#[derive(Debug)]
struct Shared {
    disk: SimDisk,
    latency: Latency,
    rng: Rng,
    /// When the first operation of each lane ends.
    due: [Option<Instant>; LANES],
    /// Counts the processes that have used the disk: a dead one's ends do nothing any more.
    life: u64,
}

/// A simulated disk that tests and processes share.
#[derive(Clone, Debug)]
pub struct SimHandle {
    shared: Rc<RefCell<Shared>>,
    notify: Rc<Notify>,
}

/// The queue of a [`SimHandle`].
#[derive(Debug)]
pub struct SimQueue {
    handle: SimHandle,
    life: u64,
}

/// The answers of a [`SimHandle`].
#[derive(Debug)]
pub struct SimAnswers {
    handle: SimHandle,
    life: u64,
}

impl SimHandle {
    /// Returns a disk that draws latencies with `seed`.
    #[must_use]
    pub fn new(disk: SimDisk, latency: Latency, seed: u64) -> Self {
        let shared = Shared {
            disk,
            latency,
            rng: Rng::new(seed, 0x6c61_7465),
            due: [None; LANES],
            life: 0,
        };
        Self {
            shared: Rc::new(RefCell::new(shared)),
            notify: Rc::new(Notify::new()),
        }
    }

    /// Does something to the disk, as a nemesis.
    pub fn with<T>(&self, work: impl FnOnce(&mut SimDisk) -> T) -> T {
        work(&mut self.shared.borrow_mut().disk)
    }

    /// Changes how long operations take from now on.
    pub fn set_latency(&self, latency: Latency) {
        self.shared.borrow_mut().latency = latency;
    }

    /// The machine's power fails; the process that used the disk gets no answers any more.
    pub fn lose_power(&self) {
        let mut shared = self.shared.borrow_mut();
        shared.life += 1;
        shared.due = [None; LANES];
        shared.disk.lose_power();
    }
}

impl Disk for SimHandle {
    type Queue = SimQueue;
    type Answers = SimAnswers;

    fn split(self) -> (SimQueue, SimAnswers) {
        let life = {
            let mut shared = self.shared.borrow_mut();
            shared.life += 1;
            shared.due = [None; LANES];
            shared.disk.kill();
            shared.life
        };
        let queue = SimQueue {
            handle: self.clone(),
            life,
        };
        (queue, SimAnswers { handle: self, life })
    }
}

impl DiskQueue for SimQueue {
    fn submit(&self, ops: &mut Vec<DiskOp>) {
        let mut shared = self.handle.shared.borrow_mut();
        if shared.life != self.life {
            ops.clear();
            return;
        }
        shared.disk.submit(ops);
        drop(shared);
        self.handle.notify.notify_one();
    }
}

impl Shared {
    /// Draws when the operations that have become the first of their lanes end; returns the earliest.
    fn plan_next(&mut self, now: Instant) -> Option<(usize, Instant)> {
        let ready = self.disk.ready_lanes();
        for (lane, due) in self.due.iter_mut().enumerate() {
            if !ready.contains(&lane) {
                *due = None;
            } else if due.is_none() {
                *due = Some(now + self.latency.draw(&mut self.rng));
            }
        }
        let due = self.due.iter().enumerate();
        let due = due.filter_map(|(lane, due)| Some((lane, (*due)?)));
        due.min_by_key(|&(lane, at)| (at, lane))
    }
}

impl DiskAnswers for SimAnswers {
    async fn next(&mut self, done: &mut Vec<DiskDone>) {
        loop {
            let next = {
                let mut shared = self.handle.shared.borrow_mut();
                if shared.life == self.life {
                    shared.plan_next(Instant::now())
                } else {
                    None
                }
            };
            let notified = self.handle.notify.notified();
            let Some((lane, at)) = next else {
                notified.await;
                continue;
            };
            tokio::select! {
                biased;
                () = sleep_until(at) => {}
                () = notified => continue,
            }
            let mut shared = self.handle.shared.borrow_mut();
            if shared.life != self.life {
                continue;
            }
            if let Some(due) = shared.due.get_mut(lane) {
                *due = None;
            }
            if let Some(answer) = shared.disk.step_lane(lane) {
                done.push(answer);
                return;
            }
        }
    }
}

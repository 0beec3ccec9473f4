//! The server of a run, its disk and its clock.
//!
//! *Invariant:* time passes only here; each disk operation takes some of it, and before each the process
//! may die.

mod clients;

use core::time::Duration;

use broker::{Effects, Input, Shard, Storage};
use protocol::rng::Rng;
use protocol::time::{Instant, Now, Wall};
use server::wire::Message;
use storage::DiskOp;

use super::Summary;
use super::config::{Bridge, configured, options};
use crate::disk::{Condition, SimDisk};
use clients::Client;
pub(super) use clients::Kept;
pub(super) use clients::seq_of;

/// The stream of randomness of a run.
const RNG_LIFE: u64 = 20;
/// When a run begins.
const BEGIN: Wall = Wall(1_700_000_000_000_000_000);
/// What a clock that runs makes of a second.
const RUNS: u64 = 2;
/// The mean time of a disk operation.
const DISK_TIME: Duration = Duration::from_micros(150);
/// The process dies after at most so many of them.
const OPS_MAX: u64 = 200;

/// Why a life ended before its time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// The process died on purpose.
    Dark,
    /// A promise did not hold.
    Wrong(String),
}

/// What is done in a life: to its end, or not.
pub type Life<T = ()> = Result<T, End>;

/// How the process will die.
#[derive(Clone, Copy, Debug)]
enum Death {
    Kill,
    PowerLoss,
}

/// How a server breaks its promises on purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cheat {
    /// Its disk keeps nothing of what it syncs.
    DiskLies,
    /// Its clock runs twice as fast as that of its clients.
    ClockRuns,
}

/// The server.
#[derive(Debug)]
pub struct Server {
    shard: Shard,
    disk: SimDisk,
    fx: Effects,
    ops: Vec<DiskOp>,
    wants_settle: bool,
    /// The present.
    pub now: Now,
    clients: [Option<Client>; 2],
    /// Which of them speaks.
    speaker: usize,
    bridge: Bridge,
    heard: Vec<Message>,
    /// The randomness of what is done.
    pub rng: Rng,
    seed: u64,
    /// After so many disk operations the process dies.
    fate: Option<(u64, Death)>,
    /// How much slower than usual the disk is in this life.
    slowness: u32,
    inboxes: u64,
    summary: Summary,
    cheat: Option<Cheat>,
}

impl Server {
    /// Returns a server that has never run, honest or not.
    #[must_use]
    pub fn new(seed: u64, cheat: Option<Cheat>) -> Self {
        let now = Now {
            mono: Instant(0),
            wall: BEGIN,
        };
        let mut disk = SimDisk::new(seed);
        disk.set_lying(cheat == Some(Cheat::DiskLies));
        Self {
            shard: Shard::new(options(now, Bridge::Open), seed),
            disk,
            fx: Effects::default(),
            ops: Vec::new(),
            wants_settle: false,
            now,
            clients: [None, None],
            speaker: 0,
            bridge: Bridge::Open,
            heard: Vec::new(),
            rng: Rng::new(seed, RNG_LIFE),
            seed,
            fate: None,
            slowness: 1,
            inboxes: 0,
            summary: Summary::default(),
            cheat,
        }
    }

    /// Decides when and how the next life ends.
    pub fn draw_fate(&mut self) {
        let ops = self.rng.below(OPS_MAX);
        let death = if self.rng.one_in(3) {
            Death::Kill
        } else {
            Death::PowerLoss
        };
        self.fate = Some((ops, death));
        self.slowness = if self.rng.one_in(4) { 1_000 } else { 1 };
    }

    /// From now on nothing happens to it.
    pub fn calm(&mut self) {
        self.fate = None;
        self.bridge = Bridge::Open;
        self.set_readable(true);
        self.slowness = 1;
    }

    /// Returns what the run came to.
    #[must_use]
    pub fn summary(&self) -> Summary {
        self.summary
    }

    /// Starts the process on what the disk has kept, and connects.
    ///
    /// # Errors
    /// If it dies, or does not serve.
    pub fn boot(&mut self) -> Life {
        self.set_readable(true);
        // It was down for a while.
        let down = Duration::from_millis(self.rng.below(2_000));
        self.advance(self.now.mono + down);
        self.summary.lives += 1;
        self.shard = Shard::new(
            options(self.clock(), self.bridge),
            self.seed ^ self.summary.lives,
        );
        self.fx = Effects::default();
        self.ops.clear();
        self.clients = [None, None];
        self.heard.clear();
        self.wants_settle = false;
        self.shard.start(self.clock(), &mut self.fx);
        self.take_effects();
        self.settle()?;
        self.is_live()?;
        self.connect(0)?;
        self.connect(1)
    }

    /// Lets the second account reach the first, or not.
    ///
    /// # Errors
    /// If the process dies.
    pub fn set_bridge(&mut self, is_open: bool) -> Life {
        self.bridge = if is_open { Bridge::Open } else { Bridge::Cut };
        let config = Box::new(configured(self.bridge));
        self.handle(Input::Reload(config));
        self.settle()
    }

    /// Switches JetStream off, as the driver does: nobody is read from until it is done.
    ///
    /// # Errors
    /// If the process dies.
    pub fn switch_off(&mut self) -> Life {
        for _ in 0..2 {
            self.handle(Input::CloseStreams);
            self.settle()?;
        }
        let mut config = configured(self.bridge);
        config.jetstream.enabled = false;
        self.handle(Input::Reload(Box::new(config)));
        self.settle()
    }

    /// Switches it on again.
    ///
    /// # Errors
    /// If the process dies, or does not serve.
    pub fn switch_on(&mut self) -> Life {
        let config = Box::new(configured(self.bridge));
        self.handle(Input::Reload(config));
        self.shard.start(self.now, &mut self.fx);
        self.take_effects();
        self.settle()?;
        self.is_live()
    }

    fn is_live(&self) -> Life {
        let storage = self.shard.storage().map(|view| view.storage);
        if storage != Some(Storage::Live) {
            return Err(End::Wrong(format!("after a start it is {storage:?}")));
        }
        Ok(())
    }

    /// Lets reads fail, or no longer.
    pub fn set_readable(&mut self, is_readable: bool) {
        self.disk.set_condition(if is_readable {
            Condition::Well
        } else {
            Condition::Unreadable
        });
    }

    /// Lets time pass.
    ///
    /// # Errors
    /// If the process dies.
    pub fn wait(&mut self, time: Duration) -> Life {
        let end = self.now.mono + time;
        self.settle()?;
        while let Some(at) = self.alarm().filter(|at| *at <= end) {
            self.advance(at.max(self.now.mono));
            self.handle(Input::Timeout);
            self.settle()?;
        }
        self.advance(end);
        Ok(())
    }

    /// Returns what the server takes for the present.
    fn clock(&self) -> Now {
        match self.cheat {
            Some(Cheat::ClockRuns) => Now {
                mono: Instant(self.now.mono.0 * RUNS),
                wall: Wall(BEGIN.0 + (self.now.wall.0 - BEGIN.0) * RUNS),
            },
            Some(Cheat::DiskLies) | None => self.now,
        }
    }

    /// Returns when the server wants to be woken.
    fn alarm(&self) -> Option<Instant> {
        let (at, _) = self.shard.poll_timeout()?;
        match self.cheat {
            Some(Cheat::ClockRuns) => Some(Instant(at.0.div_ceil(RUNS))),
            Some(Cheat::DiskLies) | None => Some(at),
        }
    }

    fn advance(&mut self, to: Instant) {
        if to <= self.now.mono {
            return;
        }
        let passed = Duration::from_nanos(to.0 - self.now.mono.0);
        self.now = Now {
            mono: to,
            wall: self.now.wall + passed,
        };
    }

    /// Lets everything happen that follows; the process may die in between.
    ///
    /// # Errors
    /// If it does.
    pub fn settle(&mut self) -> Life {
        loop {
            if core::mem::take(&mut self.wants_settle) {
                self.handle(Input::Settle);
                continue;
            }
            self.disk.submit(&mut self.ops);
            if let Some((0, death)) = self.fate {
                self.fate = None;
                match death {
                    Death::Kill => self.disk.kill(),
                    Death::PowerLoss => self.disk.lose_power(),
                }
                return Err(End::Dark);
            }
            let Some(done) = self.disk.step() else {
                return Ok(());
            };
            if let Some((left, _)) = &mut self.fate {
                *left -= 1;
            }
            let mean = u64::try_from(DISK_TIME.as_nanos()).unwrap_or(0) * u64::from(self.slowness);
            let took = Duration::from_nanos(self.rng.below(2 * mean));
            self.advance(self.now.mono + took);
            let mut done = vec![done];
            self.handle(Input::Disk(&mut done));
        }
    }

    /// Hands an input in, and takes what the shard wants.
    fn handle(&mut self, input: Input<'_>) {
        self.shard.handle(self.clock(), input, &mut self.fx);
        self.take_effects();
    }

    fn take_effects(&mut self) {
        self.ops.append(&mut self.fx.disk);
        self.wants_settle |= core::mem::take(&mut self.fx.settle);
        // Nobody else is there who could want something.
        self.fx = Effects::default();
        self.listen();
    }
}

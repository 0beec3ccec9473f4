//! The process under test: a shard, its disk and its clocks, from boot to death and again.

use std::collections::{BTreeSet, VecDeque};
use std::rc::Rc;

use core::net::SocketAddr;
use core::time::Duration;

use broker::{Accepted, ConnId, Effects, Gone, Input, Room, Rules, Security, Shard, ShardOptions};
use bytes::BytesMut;
use config::Options;
use monitor::stats::Process;
use protocol::rng::Rng;
use protocol::time::{Instant, Now};
use schemas::Languages;
use storage::{DiskAnswer, DiskDone, DiskOp, FileName, OpId, StoreOptions};

use super::scenario::Cheat;
use super::sizes;
use super::tap::Tap;
use super::wall::WallClock;
use crate::disk::SimDisk;
use crate::trace::Trace;

/// The mean time of a disk operation.
const DISK_TIME: Duration = Duration::from_micros(150);
/// How long it takes at most until nothing else is ready: other inputs come in between.
const BATCH_TIME_MAX: Duration = Duration::from_micros(300);
/// The stream of randomness for the disk's times.
const RNG_DISK_TIMES: u64 = 12;
/// The stream of randomness for the ends of batches.
const RNG_BATCHES: u64 = 13;

/// Something that the shard wants done.
#[derive(Clone, Copy, Debug)]
pub(super) enum Effect {
    Dirty(ConnId),
    Gate(ConnId, bool),
    Close(ConnId),
}

#[derive(Debug)]
struct Life {
    shard: Box<Shard>,
    /// When it began: the shard's clock starts at zero.
    since: Instant,
}

/// The process, and the machine under it.
#[derive(Debug)]
pub(super) struct Node {
    seed: u64,
    cheat: Option<Cheat>,
    life: Option<Life>,
    boot_at: Instant,
    lives: u64,
    pub(super) disk: SimDisk,
    rng: Rng,
    /// How much slower than usual the disk is.
    pub(super) slowness: u32,
    disk_at: Instant,
    batch_rng: Rng,
    /// When the shard's batch of input ends.
    settle_at: Instant,
    /// Operations that the disk has not answered.
    outstanding: usize,
    /// Operations that the disk has not been given yet.
    pending: Vec<DiskOp>,
    done: Vec<DiskDone>,
    /// Syncs that were answered by the cheat.
    answered: BTreeSet<OpId>,
    fx: Effects,
    effects: VecDeque<Effect>,
    pub(super) clock: WallClock,
    /// The process does nothing before.
    paused_until: Instant,
    options: StoreOptions,
    /// Writes and syncs of the log that the disk has not answered.
    log_ops: BTreeSet<OpId>,
    /// Where the last write to the log ends: its file, and the offset there.
    log_end: Option<(FileName, u64)>,
    /// Whether one of them has failed in this life.
    is_hurt: bool,
}

impl Node {
    pub(super) fn new(seed: u64, cheat: Option<Cheat>, options: StoreOptions) -> Self {
        let mut disk = SimDisk::new(seed);
        disk.set_lying(cheat == Some(Cheat::DiskLies));
        Self {
            seed,
            cheat,
            life: None,
            boot_at: Instant(0),
            lives: 0,
            disk,
            rng: Rng::new(seed, RNG_DISK_TIMES),
            slowness: 1,
            disk_at: Instant::NEVER,
            batch_rng: Rng::new(seed, RNG_BATCHES),
            settle_at: Instant::NEVER,
            outstanding: 0,
            pending: Vec::new(),
            done: Vec::new(),
            answered: BTreeSet::new(),
            fx: Effects::default(),
            effects: VecDeque::new(),
            clock: WallClock::new(),
            paused_until: Instant(0),
            options,
            log_ops: BTreeSet::new(),
            log_end: None,
            is_hurt: false,
        }
    }

    pub(super) fn seed(&self) -> u64 {
        self.seed
    }

    pub(super) fn lives(&self) -> u64 {
        self.lives
    }

    pub(super) fn is_up(&self) -> bool {
        self.life.is_some()
    }

    /// Says whether it serves as it should.
    pub(super) fn is_well(&self) -> bool {
        let live = |life: &Life| {
            let storage = life.shard.storage();
            storage.is_some_and(|view| view.storage == broker::Storage::Live)
        };
        self.life.as_ref().is_some_and(live)
    }

    /// Says whether it stores nothing any more until it starts anew.
    pub(super) fn has_given_up(&self) -> bool {
        use broker::Storage;
        let gone = |life: &Life| {
            let storage = life.shard.storage()?.storage;
            Some(!matches!(storage, Storage::Recovering | Storage::Live))
        };
        self.life.as_ref().and_then(gone).unwrap_or(false)
    }

    fn clocks(&self, now: Instant, since: Instant) -> Now {
        Now {
            mono: Instant(now.0 - since.0),
            wall: self.clock.at(now),
        }
    }

    pub(super) fn boot_due(&self) -> Instant {
        match self.life {
            Some(_) => Instant::NEVER,
            None => self.boot_at,
        }
    }

    pub(super) fn timer_due(&self) -> Instant {
        let due = |life: &Life| {
            let (at, _) = life.shard.poll_timeout()?;
            Some(Instant(at.0.saturating_add(life.since.0)))
        };
        let due = self.life.as_ref().and_then(due).unwrap_or(Instant::NEVER);
        due.max(self.paused_until)
    }

    pub(super) fn disk_due(&self) -> Instant {
        self.disk_at.max(self.paused_until)
    }

    pub(super) fn settle_due(&self) -> Instant {
        self.settle_at.max(self.paused_until)
    }

    /// Returns when the process goes on.
    pub(super) fn paused_until(&self) -> Instant {
        self.paused_until
    }

    /// Stops the process until then; a stopped process can be killed.
    pub(super) fn pause(&mut self, until: Instant) {
        self.paused_until = until;
    }

    /// Returns the status of `/healthz` and what it says; none while there is no process.
    pub(super) fn health(&self, now: Instant) -> Option<(u16, String)> {
        let life = self.life.as_ref()?;
        let clocks = self.clocks(now, life.since);
        let view = life.shard.monitoring(clocks, Process::default());
        let answer = monitor::http::respond(&view, "/healthz", "");
        Some((answer.status, String::from_utf8_lossy(&answer.body).into()))
    }

    /// Returns where the last write to the log ends: its file, and the offset there.
    pub(super) fn log_end(&self) -> Option<(FileName, u64)> {
        self.log_end
    }

    /// Whether a write or a sync of the log has failed in this life.
    pub(super) fn is_hurt(&self) -> bool {
        self.is_hurt
    }

    /// Starts the process.
    pub(super) fn boot(&mut self, now: Instant) {
        self.lives += 1;
        let mut config = Options {
            server_name: Some("simulated".into()),
            ping_interval: Duration::from_secs(10),
            ..Options::default()
        };
        config.jetstream.enabled = true;
        config.jetstream.memory_max = Some(1 << 30);
        config.jetstream.file_max = Some(1 << 30);
        let options = ShardOptions {
            secret: [5; 32],
            config,
            version: "0.0.0".into(),
            start: self.clocks(now, now),
            store: StoreOptions {
                key: sizes::key(self.seed, self.lives),
                ..self.options
            },
            schemas: Rc::new(Languages),
            room: Room::UNLIMITED,
        };
        let shard = Shard::new(options, self.seed.wrapping_add(self.lives));
        let mut life = Life {
            shard: Box::new(shard),
            since: now,
        };
        life.shard.start(self.clocks(now, now), &mut self.fx);
        self.life = Some(life);
        self.collect(now);
    }

    /// The process dies, and starts again at `boot_at`. What happens to the disk is the caller's.
    pub(super) fn die(&mut self, boot_at: Instant) {
        self.life = None;
        self.boot_at = boot_at;
        self.disk_at = Instant::NEVER;
        self.settle_at = Instant::NEVER;
        self.outstanding = 0;
        self.pending.clear();
        self.done.clear();
        self.answered.clear();
        self.log_ops.clear();
        self.is_hurt = false;
        self.paused_until = Instant(0);
        self.fx = Effects::default();
        self.effects.clear();
    }

    fn input(&mut self, now: Instant, input: Input<'_>) {
        let Some(life) = &mut self.life else {
            return;
        };
        let clock = Now {
            mono: Instant(now.0 - life.since.0),
            wall: self.clock.at(now),
        };
        life.shard.handle(clock, input, &mut self.fx);
        self.collect(now);
    }

    /// Takes a connection in; none while the process is not there or not ready.
    pub(super) fn accept(&mut self, now: Instant) -> Option<ConnId> {
        let life = self.life.as_ref().filter(|life| life.shard.is_ready())?;
        let clock = self.clocks(now, life.since);
        let life = self.life.as_mut()?;
        let id = life.shard.accept(clock, plain_connection(), &mut self.fx);
        self.collect(now);
        Some(id)
    }

    pub(super) fn bytes(&mut self, now: Instant, conn: ConnId, buf: &mut BytesMut) {
        self.input(now, Input::Bytes { conn, buf });
    }

    pub(super) fn closed(&mut self, now: Instant, conn: ConnId) {
        let gone = Gone::Eof;
        self.input(now, Input::Closed { conn, gone });
    }

    pub(super) fn closed_as_told(&mut self, now: Instant, conn: ConnId) {
        let gone = Gone::Told;
        self.input(now, Input::Closed { conn, gone });
    }

    pub(super) fn blocked(&mut self, now: Instant, conn: ConnId) {
        self.input(now, Input::Blocked { conn });
    }

    pub(super) fn timeout(&mut self, now: Instant) {
        self.input(now, Input::Timeout);
    }

    pub(super) fn settle(&mut self, now: Instant) {
        self.settle_at = Instant::NEVER;
        self.input(now, Input::Settle);
    }

    pub(super) fn take_outbound(&mut self, conn: ConnId, spare: &mut BytesMut) -> bool {
        let life = self.life.as_mut();
        life.is_some_and(|life| life.shard.take_outbound(conn, spare))
    }

    /// Queues what the shard asks for; operations for the disk stay for [`Node::submit`].
    fn collect(&mut self, now: Instant) {
        let fx = &mut self.fx;
        if core::mem::take(&mut fx.settle) && self.settle_at == Instant::NEVER {
            // As often as not nothing comes in between.
            let most = u64::try_from(BATCH_TIME_MAX.as_nanos()).unwrap_or(0);
            let time = most * self.batch_rng.below(2);
            self.settle_at = now + Duration::from_nanos(self.batch_rng.below(time + 1));
        }
        self.effects
            .extend(fx.gate.drain(..).map(|(id, gated)| Effect::Gate(id, gated)));
        self.effects.extend(fx.dirty.drain(..).map(Effect::Dirty));
        self.effects
            .extend(fx.close.drain(..).map(|(id, _)| Effect::Close(id)));
        self.effects.extend(fx.abort.drain(..).map(Effect::Close));
        fx.log.clear();
        self.pending.append(&mut fx.disk);
    }

    pub(super) fn take_effect(&mut self) -> Option<Effect> {
        self.effects.pop_front()
    }

    /// Hands the shard's operations to the disk.
    pub(super) fn submit(&mut self, now: Instant, tap: &mut Tap, trace: &mut Trace) {
        if self.pending.is_empty() {
            return;
        }
        for op in &self.pending {
            tap.on_submit(op);
            if let DiskOp::Write { op, file, .. } | DiskOp::Sync { op, file } = op
                && matches!(file, FileName::Log(_))
            {
                self.log_ops.insert(*op);
            }
            if let DiskOp::Write {
                file, offset, data, ..
            } = op
                && matches!(file, FileName::Log(_))
            {
                self.log_end = Some((*file, offset + data.len() as u64));
            }
            trace_op(now, op, trace);
            if self.cheat == Some(Cheat::AckBeforeSync)
                && let DiskOp::Sync { op, .. } = op
            {
                self.answered.insert(*op);
                let result = Ok(DiskAnswer::Done);
                self.done.push(DiskDone { op: *op, result });
            }
        }
        self.outstanding += self.pending.len();
        self.disk.submit(&mut self.pending);
        self.plan_disk(now);
        self.deliver_disk(now);
    }

    fn plan_disk(&mut self, now: Instant) {
        if self.outstanding > 0 && self.disk_at == Instant::NEVER {
            let mean = u64::try_from(DISK_TIME.as_nanos()).unwrap_or(0);
            let time = self
                .rng
                .below(2 * mean)
                .saturating_mul(u64::from(self.slowness));
            self.disk_at = now + Duration::from_nanos(time);
        }
    }

    /// Lets the disk do one thing; returns which operation was answered, and whether it worked.
    pub(super) fn disk_step(&mut self, now: Instant, trace: &mut Trace) -> Option<(OpId, bool)> {
        self.disk_at = Instant::NEVER;
        // With nothing to answer, everything left is stuck.
        let done = self.disk.step()?;
        self.outstanding -= 1;
        self.plan_disk(now);
        let (op, worked) = (done.op, done.result.is_ok());
        self.is_hurt |= self.log_ops.remove(&op) && !worked;
        trace.step(now.0, "done", op.0, &[u8::from(worked)]);
        if !self.answered.remove(&op) {
            self.done.push(done);
        }
        Some((op, worked))
    }

    /// Hands the disk's answers to the shard.
    pub(super) fn deliver_disk(&mut self, now: Instant) {
        if self.done.is_empty() {
            return;
        }
        let mut done = core::mem::take(&mut self.done);
        self.input(now, Input::Disk(&mut done));
        done.clear();
        self.done = done;
    }
}

fn trace_op(now: Instant, op: &DiskOp, trace: &mut Trace) {
    let (kind, data): (_, &[u8]) = match op {
        DiskOp::List { .. } => ("op list", b""),
        DiskOp::Read { .. } => ("op read", b""),
        DiskOp::Create { .. } => ("op create", b""),
        DiskOp::Write { data, .. } => ("op write", data),
        DiskOp::Sync { .. } => ("op sync", b""),
        DiskOp::Recycle { .. } => ("op recycle", b""),
        DiskOp::Remove { .. } => ("op remove", b""),
    };
    trace.step(now.0, kind, op.id().0, data);
}

/// A client's connection without TLS.
pub(crate) fn plain_connection() -> Accepted {
    Accepted {
        peer: SocketAddr::from(([10, 0, 0, 1], 40_000)),
        local: SocketAddr::from(([10, 0, 0, 2], 4222)),
        rules: Rules::Nats,
        security: Security::Plain,
        origin_follows: false,
        websocket: None,
    }
}

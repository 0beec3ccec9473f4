//! The pure explorer: one `Shard` on a simulated disk, clients on simulated connections, virtual time,
//! and faults, in one loop without tasks. It runs thousands of seeds a minute and finds the bugs of
//! protocols and storage; those of the driver are turmoil's to find.
//!
//! *Invariant:* the next thing to happen is the earliest one, ties broken in a fixed order; everything
//! that happens is folded into the trace.

mod damage;
mod faults;
mod link;
mod nemesis;
mod node;
mod report;
mod scenario;
mod sizes;
mod tap;
mod wall;

use core::time::Duration;

use bytes::BytesMut;
use protocol::id::ConnId;
use protocol::rng::Rng;
use protocol::time::Instant;

use crate::director::{Director, Progress};
use crate::disk::{Rates, SimDisk};
use crate::history::{History, Violation};
use crate::oracle::{self, Audit};
use crate::trace::{Keep, Trace};
use crate::workload::auditor::Auditor;
use crate::workload::plan::Plan;
use crate::workload::{Actor, Phase, Role};

pub use damage::{Damage, FileKind};
pub use faults::FaultKind;
use link::{End, Links};
use nemesis::Nemesis;
use node::Node;
pub(crate) use node::plain_connection;
pub use report::Report;
pub use scenario::{Cheat, Scenario};
pub(crate) use sizes::small_files;
use tap::Tap;

/// How often the director looks.
const GLANCE: Duration = Duration::from_millis(100);
/// More steps than any run takes; a loop that makes no progress in time ends here.
const STEPS_MAX: u64 = 2_000_000;
/// How often operations fail in scenarios that make rare paths common: those whose failure a running
/// process gets over.
const RARE: Rates = Rates {
    read_fails: 40,
    write_fails: 0,
    sync_fails: 0,
    name_fails: 8,
    writes_lost: 0,
    writes_misdirected: 0,
};
/// The streams of randomness.
const RNG_NETWORK: u64 = 10;
const RNG_NEMESIS: u64 = 11;

/// A run.
#[derive(Debug)]
struct Explorer {
    now: Instant,
    scenario: Scenario,
    actors: Vec<Actor>,
    history: History,
    director: Director,
    glance_at: Instant,
    node: Node,
    links: Links,
    nemesis: Nemesis,
    tap: Tap,
    trace: Trace,
    /// What was read before the last restart of the quiet end.
    first_audit: Option<Audit>,
    /// The disk when the faults were over, for damage that brings old contents back.
    old_disk: Option<SimDisk>,
    /// What was read before a file was damaged.
    before_damage: Option<Audit>,
    /// How many files were damaged, and how many messages it cost.
    damaged: u64,
    missing: usize,
    violations: Vec<Violation>,
}

/// Something that can happen next.
#[derive(Clone, Copy, Debug)]
enum What {
    Boot,
    Timer,
    Disk,
    Settle,
    ToServer(ConnId),
    ToClient(ConnId),
    Broken(usize),
    Dial(usize),
    Client(usize),
    Fault,
    Glance,
}

/// Runs a scenario with a seed.
#[must_use]
pub fn explore(scenario: &Scenario, seed: u64, keep: Keep) -> Report {
    let plan = Plan::draw(seed);
    let actors = Actor::cast(&plan);
    let mut rng = Rng::new(seed, RNG_NEMESIS);
    let run_for = Duration::from_millis(5_000 + rng.below(25_000));
    let sizes = if scenario.rare {
        sizes::rare_sizes(seed)
    } else {
        small_files()
    };
    let mut explorer = Explorer {
        now: Instant(0),
        scenario: scenario.clone(),
        links: Links::new(actors.len(), Rng::new(seed, RNG_NETWORK)),
        actors,
        history: History::default(),
        director: Director::new(Instant(0), run_for),
        glance_at: Instant(0),
        node: Node::new(seed, scenario.cheat, sizes),
        nemesis: Nemesis::new(scenario, rng),
        tap: Tap::new(sizes::key(seed, 0).is_some()),
        trace: Trace::new(keep),
        first_audit: None,
        old_disk: None,
        before_damage: None,
        damaged: 0,
        missing: 0,
        violations: Vec::new(),
    };
    if scenario.rare {
        explorer.node.disk.set_rates(RARE);
    }
    let audit = explorer.run();
    explorer.report(plan, audit)
}

impl Explorer {
    /// Runs to the end; returns what was read there, if it was reached.
    fn run(&mut self) -> Option<Audit> {
        for _ in 0..STEPS_MAX {
            let (at, what) = self.next();
            self.now = self.now.max(at);
            if !matches!(what, What::Glance) {
                self.happen(what);
            } else if let Some(audit) = self.glance() {
                return Some(audit);
            }
            // What follows a violation says nothing new, but for what a stalled run has lost.
            if !self.history.violations.is_empty() || self.violations.len() > 1 {
                return None;
            }
        }
        let text = format!("no end after {STEPS_MAX} steps, at {:?}", self.now);
        self.violations.push(Violation {
            invariant: "liveness",
            text,
        });
        None
    }

    /// Lets the director look; returns what was read when everything is over.
    fn glance(&mut self) -> Option<Audit> {
        self.glance_at = self.now + GLANCE;
        match self.director.on_time(self.now, self.actors.iter()) {
            Progress::Same => {}
            Progress::Next(phase) => self.on_phase(phase),
            Progress::Stalled(violation) => {
                self.violations.push(violation);
                self.director.audit_again(self.now);
                self.on_phase(Phase::Audit);
            }
            Progress::Done => {
                let audit = self.auditor().restart();
                if let Some(before) = self.before_damage.take() {
                    self.judge_damage(&before, &audit);
                    return Some(before);
                }
                let Some(before) = self.first_audit.take() else {
                    self.look_again(audit);
                    return None;
                };
                self.violations.extend(oracle::compare(&before, &audit));
                if !self.damage(&audit) {
                    return Some(audit);
                }
            }
        }
        None
    }

    /// Restarts the quiet server, after a power loss: everything must be the same.
    fn look_again(&mut self, audit: Audit) {
        self.first_audit = Some(audit);
        self.crash(FaultKind::PowerLoss);
        self.director.audit_again(self.now);
    }

    fn auditor(&mut self) -> &mut Auditor {
        match self.actors.last_mut().map(|actor| &mut actor.role) {
            Some(Role::Auditor(auditor)) => auditor,
            Some(_) | None => panic!("the auditor is the last of the cast"),
        }
    }

    fn on_phase(&mut self, phase: Phase) {
        self.trace.step(self.now.0, "phase", phase as u64, b"");
        if phase == Phase::Settle {
            self.heal();
            self.old_disk = self.scenario.damage.map(|_| self.node.disk.clone());
        }
        for number in 0..self.actors.len() {
            self.actors[number].on_time(self.now, phase, &mut self.history);
            self.send_from(number);
        }
    }

    /// Returns what happens next, and when.
    fn next(&self) -> (Instant, What) {
        let mut first = (self.glance_at, What::Glance);
        let mut offer = |at: Instant, what: What| {
            if at < first.0 {
                first = (at, what);
            }
        };
        offer(self.node.boot_due(), What::Boot);
        offer(self.node.timer_due(), What::Timer);
        offer(self.node.disk_due(), What::Disk);
        offer(self.node.settle_due(), What::Settle);
        offer(self.nemesis.due(self.director.phase()), What::Fault);
        let awake = self.node.paused_until();
        for (id, link) in self.links.iter() {
            offer(link.server_due().max(awake), What::ToServer(id));
            offer(link.client_due(), What::ToClient(id));
        }
        for (number, actor) in self.actors.iter().enumerate() {
            match *self.links.end(number) {
                End::Down { dial_at } => offer(dial_at.max(awake), What::Dial(number)),
                End::Broken { at } => offer(at, What::Broken(number)),
                End::Up(_) => offer(actor.due(self.director.phase()), What::Client(number)),
            }
        }
        first
    }

    fn happen(&mut self, what: What) {
        match what {
            What::Boot => {
                self.trace.step(self.now.0, "boot", self.node.lives(), b"");
                self.node.boot(self.now);
                self.after_shard();
            }
            What::Timer => {
                self.trace.step(self.now.0, "timer", 0, b"");
                self.node.timeout(self.now);
                self.after_shard();
            }
            What::Settle => {
                self.trace.step(self.now.0, "settle", 0, b"");
                self.node.settle(self.now);
                self.after_shard();
            }
            What::Disk => {
                let synced = self.node.disk_step(self.now, &mut self.trace);
                if let Some((op, worked)) = synced {
                    self.tap.on_done(op, worked);
                }
                if self.crash_at_op() {
                    return;
                }
                self.node.deliver_disk(self.now);
                self.after_shard();
            }
            What::ToServer(id) => self.arrive_at_server(id),
            What::ToClient(id) => self.arrive_at_client(id),
            What::Broken(number) => {
                self.links.set_down(number, self.now);
                let phase = self.director.phase();
                self.actors[number].link_down(self.now, phase, &mut self.history);
            }
            What::Dial(number) => self.dial(number),
            What::Client(number) => {
                let phase = self.director.phase();
                self.actors[number].on_time(self.now, phase, &mut self.history);
                self.send_from(number);
            }
            What::Fault => self.fault(),
            What::Glance => {}
        }
    }

    fn dial(&mut self, number: usize) {
        if let Some(id) = self.node.accept(self.now) {
            self.trace.step(self.now.0, "accept", number as u64, b"");
            self.links.connect(number, id);
            self.actors[number].link_up(self.now);
            self.after_shard();
        } else {
            self.links.set_down(number, self.now);
        }
    }

    /// Bytes, or the end of them, arrive at the server.
    fn arrive_at_server(&mut self, id: ConnId) {
        match self.links.arrive_at_server(id) {
            Some(bytes) if bytes.is_empty() => {
                self.trace.step(self.now.0, "eof", u64::from(id.index), b"");
                self.node.closed(self.now, id);
            }
            Some(bytes) => {
                let slot = u64::from(id.index);
                self.trace.step(self.now.0, "in", slot, &bytes);
                if let Some(link) = self.links.link_mut(id) {
                    link.inbuf.extend_from_slice(&bytes);
                    self.node.bytes(self.now, id, &mut link.inbuf);
                }
            }
            None => return,
        }
        self.after_shard();
    }

    /// Bytes, or the end of them, arrive at a client.
    fn arrive_at_client(&mut self, id: ConnId) {
        let Some((number, bytes)) = self.links.arrive_at_client(id) else {
            return;
        };
        let phase = self.director.phase();
        if bytes.is_empty() {
            self.links.set_down(number, self.now);
            self.actors[number].link_down(self.now, phase, &mut self.history);
            return;
        }
        self.actors[number].on_bytes(&bytes, self.now, phase, &mut self.history);
        self.send_from(number);
        self.crash_after_promise();
        // Room in the pipe: what the socket did not take goes on.
        self.flush(id);
        self.after_shard();
    }

    /// Sends what an actor has written; gives a link up that answers nothing.
    fn send_from(&mut self, number: usize) {
        let out = self.actors[number].take_out();
        self.links.send_to_server(number, &out, self.now);
        if self.actors[number].client().is_stale() {
            self.links.hang_up(number, self.now);
            let phase = self.director.phase();
            self.actors[number].link_down(self.now, phase, &mut self.history);
        }
    }

    /// Carries out what the shard asks for, until it asks for nothing.
    fn after_shard(&mut self) {
        self.look_at_health();
        loop {
            self.node.submit(self.now, &mut self.tap, &mut self.trace);
            let Some(effect) = self.node.take_effect() else {
                return;
            };
            match effect {
                node::Effect::Dirty(id) => self.flush(id),
                node::Effect::Gate(id, gated) => {
                    if let Some(link) = self.links.link_mut(id) {
                        link.gated = gated;
                    }
                }
                node::Effect::Close(id) => {
                    self.flush(id);
                    self.links.end_of_server(id, self.now);
                    self.node.closed_as_told(self.now, id);
                }
            }
        }
    }

    /// Notes what the health check says, and that it hides nothing.
    fn look_at_health(&mut self) {
        let Some((status, text)) = self.node.health(self.now) else {
            return;
        };
        if status != 200 {
            self.tap.unhealthy_at = self.now;
            if !text.contains("\"error\"") {
                let text = format!("the health check gives no reason: {text}");
                self.history.violate("health_is_true", text);
            }
        } else if self.node.is_hurt() {
            let text = String::from("a write or sync of the log has failed, and health is ok");
            self.history.violate("health_is_true", text);
        }
    }

    /// Takes what waits for a client, as far as its socket takes it.
    fn flush(&mut self, id: ConnId) {
        let mut spare = BytesMut::new();
        loop {
            match self.links.has_room(id) {
                None => return,
                Some(true) => {}
                Some(false) => {
                    if self.links.block(id) {
                        self.node.blocked(self.now, id);
                    }
                    return;
                }
            }
            if !self.node.take_outbound(id, &mut spare) {
                return;
            }
            let slot = u64::from(id.index);
            self.trace.step(self.now.0, "out", slot, &spare);
            self.tap.on_output(id, &spare, &mut self.history);
            self.links.send_to_client(id, &spare, self.now);
            spare.clear();
        }
    }
}

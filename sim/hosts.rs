//! The whole driver in turmoil: the code of the real server on simulated TCP, a simulated disk and
//! tokio's paused clock, with the clients and the oracle of the explorer.
//!
//! It finds what the explorer cannot: bugs of accepting, framing, back-pressure and shutdown. turmoil
//! retransmits nothing, so a partition leaves the connections it hit silent for ever.

use core::future;
use core::time::Duration;
use std::time::UNIX_EPOCH;

use config::Options;
use config::options::Listen;
use protocol::rng::Rng;
use protocol::time::{Instant, Wall, nanos};
use server::{Ends, ServeOptions, Surroundings, serve};
use storage::StoreOptions;
use turmoil::Sim;

use crate::director::{Director, Progress};
use crate::disk::{Latency, SimDisk, SimHandle};
use crate::drive::{Stage, drive_actor};
use crate::history::Violation;
use crate::net::TurmoilNet;
use crate::oracle;
use crate::trace::{Keep, Trace};
use crate::workload::plan::Plan;
use crate::workload::{Actor, Phase, Role};

/// The server's name and port.
const SERVER: &str = "server";
const PORT: u16 = 4222;
/// The time of day when a run begins.
const EPOCH: Duration = Duration::from_secs(1_700_000_000);
/// The stream of randomness for faults.
const RNG_FAULTS: u64 = 20;

/// A fault of the driver's world.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HostFault {
    /// The process dies; peers read the end of the stream.
    Kill,
    /// The machine loses its power; peers hear nothing.
    PowerLoss,
    /// Segments between the server and one client are lost for a while.
    Partition,
    /// Segments between the server and one client wait for a while.
    Hold,
    /// The disk takes up to a second for an operation for a while.
    SlowDisk,
}

/// What came of a run.
#[derive(Debug)]
pub struct HostReport {
    /// What was wrong.
    pub violations: Vec<Violation>,
    /// A digest of everything that clients did and saw.
    pub digest: u64,
    /// Messages acknowledged.
    pub acked: usize,
    /// Messages read at the end.
    pub read: usize,
    /// How many faults struck.
    pub struck: u64,
}

/// What ends at a later time.
#[derive(Debug)]
enum Relief {
    Bounce,
    Repair(String),
    Release(String),
    FastDisk,
}

struct Run<'a> {
    sim: Sim<'a>,
    disk: SimHandle,
    clients: Vec<String>,
    rng: Rng,
    reliefs: Vec<(Duration, Relief)>,
    down: bool,
    struck: u64,
}

/// Runs the driver under `faults`, about one every three seconds.
///
/// # Panics
/// When the server or a client panics.
#[must_use]
pub fn run(faults: &[HostFault], seed: u64) -> HostReport {
    let plan = Plan::draw(seed);
    let elapsed = || Instant(nanos(turmoil::sim_elapsed().unwrap_or_default()));
    let stage = Stage::new(Actor::cast(&plan), elapsed);
    let mut run = Run {
        sim: simulation(seed),
        disk: SimHandle::new(SimDisk::new(seed), Latency::default(), seed),
        clients: Vec::new(),
        rng: Rng::new(seed, RNG_FAULTS),
        reliefs: Vec::new(),
        down: false,
        struck: 0,
    };
    run.add_server(seed);
    run.add_clients(&stage);
    let mut director = Director::new(Instant(0), Duration::from_secs(15));
    let mut next_fault = Duration::from_secs(1);
    let mut violations = Vec::new();
    loop {
        run.sim.step().expect("no host fails");
        let now = run.sim.elapsed();
        run.relieve(now);
        if director.phase() == Phase::Run && now >= next_fault && !faults.is_empty() {
            next_fault = now + Duration::from_millis(500 + run.rng.below(5_000));
            let at = usize::try_from(run.rng.below(faults.len() as u64)).unwrap_or(0);
            run.strike(faults[at], now);
        }
        match stage.direct_at(Instant(nanos(now)), &mut director) {
            Progress::Next(Phase::Settle) => run.relieve(Duration::MAX),
            Progress::Same | Progress::Next(_) => {}
            Progress::Done => break,
            Progress::Stalled(violation) => {
                violations.push(violation);
                break;
            }
        }
    }
    report(&stage, violations, run.struck)
}

fn report(stage: &Stage, mut violations: Vec<Violation>, struck: u64) -> HostReport {
    let mut actors = stage.actors.borrow_mut();
    let Some(Role::Auditor(auditor)) = actors.last_mut().map(|actor| &mut actor.role) else {
        panic!("the auditor is the last of the cast");
    };
    let audit = auditor.restart();
    let history = stage.history.borrow();
    if violations.is_empty() {
        violations = oracle::judge(&history, &audit);
    }
    let mut trace = Trace::new(Keep::Hash);
    trace.step(0, "history", 0, format!("{history:?}").as_bytes());
    HostReport {
        violations,
        digest: trace.hash(),
        acked: history.acked(),
        read: audit.values().map(|contents| contents.read.len()).sum(),
        struck,
    }
}

fn simulation<'a>(seed: u64) -> Sim<'a> {
    turmoil::Builder::new()
        .epoch(UNIX_EPOCH + EPOCH)
        .rng_seed(seed)
        .simulation_duration(Duration::from_secs(900))
        .tick_duration(Duration::from_millis(1))
        .min_message_latency(Duration::from_millis(1))
        .max_message_latency(Duration::from_millis(6))
        .tcp_capacity(1 << 14)
        .build()
}

impl Run<'_> {
    fn add_server(&mut self, seed: u64) {
        let disk = self.disk.clone();
        self.sim.host(SERVER, move || {
            let disk = disk.clone();
            async move {
                let around = Surroundings {
                    wall: Box::new(wall),
                    log: Box::new(|_| {}),
                    reload: None,
                    opening: Box::new(|| {}),
                };
                let ends = Ends {
                    leave: future::pending(),
                    stop: future::pending(),
                };
                serve::<TurmoilNet, SimHandle>(options(seed), Some(disk), around, |_| {}, ends)
                    .await?;
                Ok(())
            }
        });
    }

    fn add_clients(&mut self, stage: &std::rc::Rc<Stage>) {
        for number in 0..stage.actors.borrow().len() {
            let name = format!("client{number}");
            let stage = stage.clone();
            self.sim.client(name.as_str(), async move {
                let dial = || turmoil::net::TcpStream::connect((SERVER, PORT));
                drive_actor(stage, number, dial).await;
                Ok(())
            });
            self.clients.push(name);
        }
    }

    fn pick(&mut self) -> String {
        let at = usize::try_from(self.rng.below(self.clients.len() as u64)).unwrap_or(0);
        self.clients[at].clone()
    }

    fn strike(&mut self, fault: HostFault, now: Duration) {
        self.struck += 1;
        let mut later = |most_ms| now + Duration::from_millis(1 + self.rng.below(most_ms));
        let (at, relief) = match fault {
            HostFault::Kill | HostFault::PowerLoss if self.down => return,
            HostFault::Kill => {
                let at = later(1_500);
                self.sim.crash(SERVER);
                self.down = true;
                (at, Relief::Bounce)
            }
            HostFault::PowerLoss => {
                let at = later(1_500);
                for client in &self.clients {
                    self.sim.partition(SERVER, client.as_str());
                    self.reliefs.push((at, Relief::Repair(client.clone())));
                }
                self.sim.crash(SERVER);
                self.disk.lose_power();
                self.down = true;
                (at, Relief::Bounce)
            }
            HostFault::Partition => {
                let at = later(6_000);
                let client = self.pick();
                self.sim.partition(SERVER, client.as_str());
                (at, Relief::Repair(client))
            }
            HostFault::Hold => {
                let at = later(6_000);
                let client = self.pick();
                self.sim.hold(SERVER, client.as_str());
                (at, Relief::Release(client))
            }
            HostFault::SlowDisk => {
                let at = later(6_000);
                self.disk.set_latency(Latency {
                    min: Duration::from_millis(20),
                    max: Duration::from_secs(1),
                    ..Latency::default()
                });
                (at, Relief::FastDisk)
            }
        };
        self.reliefs.push((at, relief));
    }

    /// Ends what is due to end.
    fn relieve(&mut self, now: Duration) {
        let reliefs = core::mem::take(&mut self.reliefs);
        for (at, relief) in reliefs {
            if at > now {
                self.reliefs.push((at, relief));
                continue;
            }
            match relief {
                Relief::Bounce => {
                    self.sim.bounce(SERVER);
                    self.down = false;
                }
                Relief::Repair(client) => self.sim.repair(SERVER, client.as_str()),
                Relief::Release(client) => self.sim.release(SERVER, client.as_str()),
                Relief::FastDisk => self.disk.set_latency(Latency::default()),
            }
        }
    }
}

fn wall() -> Wall {
    let since = turmoil::sim_elapsed().unwrap_or_default();
    Wall(nanos(EPOCH + since))
}

fn options(seed: u64) -> ServeOptions {
    let mut config = Options {
        server_name: Some("simulated".into()),
        ping_interval: Duration::from_secs(10),
        ..Options::default()
    };
    config.jetstream.enabled = true;
    config.jetstream.memory_max = Some(1 << 30);
    config.jetstream.file_max = Some(1 << 30);
    ServeOptions {
        secret: secret(seed),
        config,
        listeners: vec![(Listen::any(PORT), broker::Rules::Nats)],
        config_digest: String::new(),
        store: StoreOptions {
            log_file_len: 1 << 20,
            log_file_len_first: 64 << 10,
            ..StoreOptions::default()
        },
        room: broker::Room::UNLIMITED,
        seed,
    }
}

/// Returns what a simulated server's keys are made from.
fn secret(seed: u64) -> [u8; 32] {
    let mut secret = [0; 32];
    secret[..8].copy_from_slice(&seed.to_le_bytes());
    secret
}

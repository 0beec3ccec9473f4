//! Clients with a purpose: what they do is drawn from the seed, what they see goes into the history.
//!
//! Driven by the explorer or by a turmoil task: bytes and time in, bytes out. *Invariant:* an actor
//! knows only what a real client could know.

pub mod auditor;
pub mod caretaker;
pub mod consumer;
pub mod plan;
pub mod publisher;
pub mod register;

use core::time::Duration;

use bytes::BytesMut;
use protocol::rng::Rng;
use protocol::time::Instant;

use crate::client::{Client, Event, Unanswered};
use crate::history::History;

use auditor::Auditor;
use caretaker::Caretaker;
use consumer::Consumer;
use plan::Plan;
use publisher::Publisher;
use register::Register;

/// How long a publish or an acknowledgement may take before its outcome counts as unknown.
const REQUEST_MAX: Duration = Duration::from_secs(2);
/// How long an API call may take.
const CALL_MAX: Duration = Duration::from_secs(4);

/// How far a run is. Faults happen in the first phase only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// Everything happens.
    Run,
    /// Publishers finish what they have begun, and each must succeed once more.
    Settle,
    /// Consumers get what is left.
    Drain,
    /// Everything is read.
    Audit,
}

/// What an actor works with.
#[derive(Debug)]
pub struct Cx<'a> {
    /// The present.
    pub now: Instant,
    /// How far the run is.
    pub phase: Phase,
    /// Its client.
    pub client: &'a mut Client,
    /// Where everything is noted.
    pub history: &'a mut History,
    /// Its randomness.
    pub rng: &'a mut Rng,
}

/// What an actor does.
#[derive(Debug)]
pub enum Role {
    /// Publishes unique values.
    Publisher(Publisher),
    /// Competes for a register with conditional publishes.
    Register(Register),
    /// Fetches and acknowledges.
    Consumer(Consumer),
    /// Creates the streams, asks about them, and removes some messages.
    Caretaker(Caretaker),
    /// Reads everything at the end.
    Auditor(Auditor),
}

/// A client and what it does.
#[derive(Debug)]
pub struct Actor {
    client: Client,
    /// What it does.
    pub role: Role,
    rng: Rng,
}

impl Actor {
    /// Returns an actor that is not connected.
    #[must_use]
    pub fn new(name: &str, role: Role, rng: Rng) -> Self {
        Self {
            client: Client::new(name),
            role,
            rng,
        }
    }

    /// Returns the actors of a plan; the last one is the auditor.
    #[must_use]
    pub fn cast(plan: &Plan) -> Vec<Self> {
        /// The streams of randomness of actors begin here.
        const RNG_ACTORS: u64 = 1000;
        let mut roles = vec![(
            "caretaker".to_owned(),
            Role::Caretaker(Caretaker::new(plan)),
        )];
        for publisher in &plan.publishers {
            let name = format!("publisher{}", publisher.number);
            roles.push((name, Role::Publisher(Publisher::new(publisher.clone()))));
        }
        for register in &plan.registers {
            let name = format!("register{}", register.number);
            roles.push((name, Role::Register(Register::new(register.clone()))));
        }
        for consumer in &plan.consumers {
            let name = format!("consumer-{}", consumer.name);
            roles.push((name, Role::Consumer(Consumer::new(consumer.clone()))));
        }
        roles.push(("auditor".to_owned(), Role::Auditor(Auditor::new(plan))));
        let cast = (RNG_ACTORS..).zip(roles);
        cast.map(|(stream, (name, role))| Self::new(&name, role, Rng::new(plan.seed, stream)))
            .collect()
    }

    /// Returns the client, for the transport's decisions.
    #[must_use]
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// A connection has been made.
    pub fn link_up(&mut self, now: Instant) {
        self.client.link_up(now);
    }

    /// The connection is gone.
    pub fn link_down(&mut self, now: Instant, phase: Phase, history: &mut History) {
        self.client.link_down();
        self.run(now, phase, history);
    }

    /// Bytes have arrived.
    pub fn on_bytes(&mut self, bytes: &[u8], now: Instant, phase: Phase, history: &mut History) {
        self.client.on_bytes(bytes);
        self.run(now, phase, history);
    }

    /// Time has passed, or the phase has changed.
    pub fn on_time(&mut self, now: Instant, phase: Phase, history: &mut History) {
        self.client.on_time(now);
        self.run(now, phase, history);
    }

    fn run(&mut self, now: Instant, phase: Phase, history: &mut History) {
        while let Some(event) = self.client.poll() {
            let mut cx = Cx {
                now,
                phase,
                client: &mut self.client,
                history,
                rng: &mut self.rng,
            };
            match &mut self.role {
                Role::Publisher(role) => role.on_event(event, &mut cx),
                Role::Register(role) => role.on_event(&event, &mut cx),
                Role::Consumer(role) => role.on_event(event, &mut cx),
                Role::Caretaker(role) => role.on_event(&event, &mut cx),
                Role::Auditor(role) => role.on_event(&event, &mut cx),
            }
        }
        if !self.client.is_up() {
            return;
        }
        let mut cx = Cx {
            now,
            phase,
            client: &mut self.client,
            history,
            rng: &mut self.rng,
        };
        match &mut self.role {
            Role::Publisher(role) => role.act(&mut cx),
            Role::Register(role) => role.act(&mut cx),
            Role::Consumer(role) => role.act(&mut cx),
            Role::Caretaker(role) => role.act(&mut cx),
            Role::Auditor(role) => role.act(&mut cx),
        }
    }

    /// Returns when [`Actor::on_time`] is wanted.
    #[must_use]
    pub fn due(&self, phase: Phase) -> Instant {
        let role = if self.client.is_up() {
            match &self.role {
                Role::Publisher(role) => role.due(phase),
                Role::Register(role) => role.due(phase),
                Role::Consumer(role) => role.due(phase),
                Role::Caretaker(role) => role.due(phase),
                Role::Auditor(_) => Instant::NEVER,
            }
        } else {
            Instant::NEVER
        };
        role.min(self.client.due())
    }

    /// Takes what is to be written.
    pub fn take_out(&mut self) -> BytesMut {
        self.client.take_out()
    }

    /// Says whether it has nothing left to do in a phase.
    #[must_use]
    pub fn is_settled(&self, phase: Phase) -> bool {
        match &self.role {
            Role::Publisher(role) => role.is_settled(phase),
            Role::Register(role) => role.is_settled(phase),
            Role::Consumer(role) => role.is_settled(phase),
            Role::Caretaker(role) => role.is_settled(phase),
            Role::Auditor(role) => role.is_settled(phase),
        }
    }
}

/// Notes that a request has waited in vain although its connection was there.
fn note_late(why: Unanswered, what: &str, cx: &mut Cx<'_>) {
    if why == Unanswered::Late {
        let name = cx.client.name();
        let text = format!("{name}: {what} had no answer at {:?}", cx.now);
        cx.history.late.push(text);
    }
}

/// Notes a server's complaint that no actor gives cause for.
fn on_complaint(event: &Event, cx: &mut Cx<'_>) {
    /// What a server may say that is about to stop, or that has been waited for too long.
    const EXPECTED: [&str; 2] = ["Server Shutdown", "Stale Connection"];
    if let Event::ServerError(text) = event
        && !EXPECTED
            .iter()
            .any(|known| text.eq_ignore_ascii_case(known))
    {
        let name = cx.client.name().to_owned();
        cx.history
            .violate("no_complaints", format!("{name} was told {text:?}"));
    }
}

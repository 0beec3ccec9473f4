//! What single features promise, over many lives of a server: each feature does random things with it,
//! the process is killed or the power fails between any two disk operations, and after each start what the
//! feature has been told must hold.
//!
//! The explorer looks at everything together; here each feature has an oracle that knows its own rules.
//! *Invariant:* a run is a function of its seed.

mod atomic;
mod config;
mod copies;
mod creates;
mod early;
mod fast;
mod lifetimes;
mod paused;
mod pinned;
mod process;
mod schedules;
mod switched;

pub use process::{Cheat, End, Life, Server};

/// How many things a feature does in a run.
const STEPS: u64 = 40;

/// A feature: what is done with it, and what must hold.
trait Feature {
    /// Makes what it needs, as far as it is not there.
    fn prepare(&mut self, server: &mut Server) -> Life;

    /// Does one random thing.
    fn step(&mut self, server: &mut Server) -> Life;

    /// Looks at everything: what was promised holds.
    fn check(&mut self, server: &mut Server) -> Life;

    /// Faults are over: whatever is still to happen happens, and holds.
    fn finish(&mut self, server: &mut Server) -> Life {
        self.check(server)
    }
}

/// What a run came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// How often the process was started.
    pub lives: u64,
    /// How many requests were answered.
    pub answers: u64,
    /// A hash of everything that the client heard.
    pub hash: u64,
}

/// The features by name.
pub const FEATURES: [&str; 10] = [
    "atomic_batches",
    "copies",
    "early_acks",
    "fast_batches",
    "lifetimes",
    "paused_consumers",
    "pinned_clients",
    "schedules",
    "shared_creates",
    "switched_streams",
];

/// Runs a feature with a seed.
///
/// # Errors
/// What did not hold.
///
/// # Panics
/// If there is no such feature.
pub fn live(feature: &str, seed: u64) -> Result<Summary, String> {
    live_with(feature, Server::new(seed, None))
}

/// Runs a feature with a seed on a server that breaks promises.
///
/// # Errors
/// What did not hold, as it should not.
///
/// # Panics
/// If there is no such feature.
pub fn deceived(feature: &str, seed: u64, cheat: Cheat) -> Result<Summary, String> {
    live_with(feature, Server::new(seed, Some(cheat)))
}

fn live_with(feature: &str, server: Server) -> Result<Summary, String> {
    match feature {
        "atomic_batches" => run(&mut atomic::Atomic::default(), server),
        "copies" => run(&mut copies::Copies::default(), server),
        "early_acks" => run(&mut early::Early::default(), server),
        "fast_batches" => run(&mut fast::Fast::default(), server),
        "lifetimes" => run(&mut lifetimes::Lifetimes::default(), server),
        "paused_consumers" => run(&mut paused::Paused::default(), server),
        "pinned_clients" => run(&mut pinned::Pinned::default(), server),
        "schedules" => run(&mut schedules::Schedules::default(), server),
        "shared_creates" => run(&mut creates::Creates::default(), server),
        "switched_streams" => run(&mut switched::Switched::default(), server),
        _ => panic!("no feature is called {feature}"),
    }
}

fn run(feature: &mut impl Feature, mut server: Server) -> Result<Summary, String> {
    let mut steps = STEPS;
    while steps > 0 {
        match life(feature, &mut server, &mut steps) {
            Ok(()) | Err(End::Dark) => {}
            Err(End::Wrong(text)) => return Err(text),
        }
    }
    server.calm();
    let end = server
        .boot()
        .and_then(|()| feature.prepare(&mut server))
        .and_then(|()| feature.finish(&mut server));
    match end {
        Ok(()) => Ok(server.summary()),
        Err(End::Dark) => Err(String::from("a calm server died")),
        Err(End::Wrong(text)) => Err(text),
    }
}

/// One life of the process.
fn life(feature: &mut impl Feature, server: &mut Server, steps: &mut u64) -> Life {
    server.draw_fate();
    server.boot()?;
    feature.prepare(server)?;
    feature.check(server)?;
    while *steps > 0 {
        *steps -= 1;
        feature.step(server)?;
        if server.rng.one_in(8) {
            feature.check(server)?;
        }
    }
    Ok(())
}

/// Fails with a text unless `holds`.
fn ensure(holds: bool, text: impl FnOnce() -> String) -> Life {
    if holds {
        Ok(())
    } else {
        Err(End::Wrong(text()))
    }
}

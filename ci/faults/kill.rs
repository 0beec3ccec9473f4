//! SIGKILL under load, again and again over the same directory.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use ci::load::server::{Candidate, Server, free_port};

use crate::Args;
use crate::history::History;
use crate::load::{Load, create_stream, fetch_again};
use crate::outcome::Outcome;

pub(crate) fn run(candidate: &Candidate, args: &Args) -> Result<Outcome> {
    let dir = tempfile::Builder::new()
        .prefix("faultcheck")
        .tempdir_in(&args.dir)?;
    let mut history = History::default();
    let mut slowest = Duration::ZERO;
    for round in 0..args.rounds {
        let started = Instant::now();
        let mut server = Server::start_in(candidate, dir.path(), free_port()?, &[])
            .with_context(|| format!("start after round {round}"))?;
        if round == 0 {
            create_stream(&server)?;
        } else {
            slowest = slowest.max(started.elapsed());
        }
        let first = history.acked.keys().next_back().map_or(1, |last| last + 1);
        let load = Load::start(&server, round);
        // Seeded, so that a round that fails is tried again at about the same moment.
        let spread = (args.seed ^ round).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56;
        thread::sleep(Duration::from_millis(400 + spread));
        server.kill()?;
        load.collect(&mut history)?;
        drop(server);
        let mut server = Server::start_in(candidate, dir.path(), free_port()?, &[])?;
        history.verify(&server, first)?;
        server.kill()?;
    }
    let server = Server::start_in(candidate, dir.path(), free_port()?, &[])?;
    fetch_again(&server, &mut history)?;
    ensure!(!history.acked.is_empty(), "nothing was acknowledged");
    let rounds = args.rounds;
    let slowest = slowest.as_millis();
    Ok(history.outcome(vec![
        format!("{rounds} kills"),
        format!("slowest start {slowest} ms"),
    ]))
}

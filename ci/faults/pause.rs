//! The process is stopped and continued under load, as by a debugger or a virtual machine's host, and at
//! last stopped and killed.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use ci::load::server::{Candidate, Server, free_port};

use crate::Args;
use crate::history::History;
use crate::load::{Load, create_stream, fetch_again};
use crate::mounts::run as command;
use crate::outcome::Outcome;
use crate::probe::{health, serves_again};

/// How often at most; each takes seconds.
const ROUNDS: u64 = 5;
/// Longer than the consumer's ack wait.
const STOPPED: Duration = Duration::from_millis(1_500);
/// How long service may take to return.
const RETURNS: Duration = Duration::from_secs(10);

pub(crate) fn run(candidate: &Candidate, args: &Args) -> Result<Outcome> {
    let dir = tempfile::Builder::new()
        .prefix("faultcheck")
        .tempdir_in(&args.dir)?;
    let (mut history, mut broken) = (History::default(), Vec::new());
    let mut slowest = Duration::ZERO;
    let rounds = args.rounds.min(ROUNDS);
    for round in 0..rounds {
        let mut server = Server::start_in(candidate, dir.path(), free_port()?, &[])
            .with_context(|| format!("start after round {round}"))?;
        if round == 0 {
            create_stream(&server)?;
        }
        let first = history.acked.keys().next_back().map_or(1, |last| last + 1);
        let load = Load::start(&server, round);
        let spread = (args.seed ^ round).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56;
        thread::sleep(Duration::from_millis(400 + spread));
        signal(&server, "-STOP")?;
        thread::sleep(STOPPED);
        signal(&server, "-CONT")?;
        let continued = Instant::now();
        match serves_again(&server, RETURNS) {
            Some((_, answers)) => {
                slowest = slowest.max(continued.elapsed());
                history.take(answers.acked);
            }
            None => broken.push("does not serve again without a restart".to_owned()),
        }
        if let (status @ (0 | 201..), _) = health(&server) {
            broken.push(format!("health {status} when it goes on"));
        }
        // What is in flight when a stopped process dies is what was in flight when it was stopped.
        signal(&server, "-STOP")?;
        thread::sleep(Duration::from_millis(100));
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
    let slowest = slowest.as_millis();
    let mut notes = vec![
        format!("{rounds} rounds"),
        format!("serves again {slowest} ms after it goes on"),
    ];
    notes.extend(broken.iter().cloned());
    Ok(history.outcome(notes).breaking(broken))
}

fn signal(server: &Server, signal: &str) -> Result<()> {
    command("kill", &[signal, &server.pid().to_string()])
}

//! System calls that fail or take long, made so by `strace`.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use ci::load::server::{Candidate, Place, Server, free_port};

use crate::Args;
use crate::history::History;
use crate::load::create_stream;
use crate::outcome::Outcome;
use crate::probe::publish_singly;

/// A fault that strace injects.
pub(crate) struct Injection {
    /// The rule, as strace's `-e inject` takes it.
    rule: &'static str,
    /// How long publishers go on at most.
    lasts: Duration,
}

/// From its 40th sync on each thread's syncs fail.
pub(crate) const SYNC_FAILS: Injection = Injection {
    rule: "fdatasync,fsync:error=EIO:when=40+",
    lasts: Duration::from_secs(10),
};

/// From its 40th on each thread's writes at an offset fail; all of Beale's and nats-server's are such
/// that go to logs and blocks.
pub(crate) const WRITE_FAILS: Injection = Injection {
    rule: "pwrite64,pwritev,pwritev2:error=EIO:when=40+",
    lasts: Duration::from_secs(10),
};

/// Every sync takes 200 ms longer.
pub(crate) const SYNC_IS_SLOW: Injection = Injection {
    rule: "fdatasync,fsync:delay_enter=200000",
    lasts: Duration::from_secs(5),
};

pub(crate) fn run(candidate: &Candidate, args: &Args, injection: &Injection) -> Result<Outcome> {
    let dir = tempfile::Builder::new()
        .prefix("faultcheck")
        .tempdir_in(&args.dir)?;
    let store = dir.path().join("store");
    let rule = format!("inject={}", injection.rule);
    let calls = injection.rule.split(':').next().unwrap_or_default();
    let trace = format!("trace={calls}");
    let silent = [
        "strace",
        "-f",
        "-qq",
        "-o",
        "/dev/null",
        "-e",
        &trace,
        "-e",
        &rule,
    ];
    let place = |wrapper| Place {
        dir: dir.path(),
        store: &store,
        wrapper,
    };
    let mut history = History::default();
    // What the server does at its first start is not the fault's concern.
    let mut server = Server::start_at(candidate, place(&[]), free_port()?)?;
    create_stream(&server)?;
    server.kill()?;
    drop(server);
    let mut server =
        Server::start_at(candidate, place(&silent), free_port()?).context("start under strace")?;
    let start = Instant::now();
    let answers = publish_singly(&server, "inject", 200, |answers| {
        answers.is_refused() && answers.acked.len() > 20 || start.elapsed() > injection.lasts
    });
    let (mut notes, broken) = answers.judge(&server);
    notes.extend(broken.iter().cloned());
    history.take(answers.acked);
    server.kill()?;
    drop(server);
    let server = Server::start_at(candidate, place(&[]), free_port()?)?;
    history.verify(&server, 1)?;
    Ok(history.outcome(notes).breaking(broken))
}

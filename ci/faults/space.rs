//! A file system that fills up, and gets space again while the server runs.

use std::time::Duration;

use anyhow::{Context, Result};

use ci::load::server::{Candidate, Place, Server, free_port};

use crate::Args;
use crate::history::History;
use crate::load::create_stream;
use crate::mounts::Mount;
use crate::outcome::Outcome;
use crate::probe::{publish_singly, serves_again};

const SMALL_MIB: u64 = 48;
const LARGE_MIB: u64 = 400;
const BODY_LEN: usize = 8 << 10;
/// More bodies than fit.
const BODIES: usize = 20_000;

pub(crate) fn run(candidate: &Candidate, args: &Args) -> Result<Outcome> {
    let dir = tempfile::Builder::new()
        .prefix("faultcheck")
        .tempdir_in(&args.dir)?;
    let mount = Mount::small(dir.path().join("small"), SMALL_MIB)
        .context("no file system of our own here")?;
    let store = mount.path.join("store");
    let place = Place {
        dir: dir.path(),
        store: &store,
        wrapper: &[],
    };
    // Without a limit of its own a server may keep to a part of the disk, and never meet its end.
    let mut candidate = candidate.clone();
    candidate.jetstream.push_str("\n  max_file_store: 1GB");
    let candidate = &candidate;
    let mut history = History::default();
    let mut server = Server::start_at(candidate, place, free_port()?)?;
    create_stream(&server)?;
    let answers = publish_singly(&server, "fill", BODY_LEN, |answers| {
        answers.is_refused() || answers.acked.len() >= BODIES
    });
    let (mut notes, mut broken) = answers.judge(&server);
    history.take(answers.acked);
    mount.grow(LARGE_MIB)?;
    match serves_again(&server, Duration::from_secs(10)) {
        Some((after, answers)) => {
            notes.push(format!(
                "serves again {:.1} s after there is space",
                after.as_secs_f64()
            ));
            history.take(answers.acked);
        }
        None => broken.push("does not serve again without a restart".to_owned()),
    }
    server.kill()?;
    drop(server);
    let server = Server::start_at(candidate, place, free_port()?)?;
    history.verify(&server, 1)?;
    notes.extend(broken.iter().cloned());
    Ok(history.outcome(notes).breaking(broken))
}

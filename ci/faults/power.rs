//! Power loss: an ext4 file system is shut down under load, so that nothing reaches the disk any more
//! that was not synced; then the process is killed, the journal replayed, the server started anew.

use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use ci::load::server::{Candidate, Place, Server, free_port};

use crate::Args;
use crate::history::History;
use crate::load::{Load, create_stream, fetch_again};
use crate::mounts::Mount;
use crate::outcome::Outcome;

const ROUNDS: u64 = 3;

pub(crate) fn run(candidate: &Candidate, args: &Args) -> Result<Outcome> {
    let dir = tempfile::Builder::new()
        .prefix("faultcheck")
        .tempdir_in(&args.dir)?;
    let mount = Mount::ext4(dir.path()).context("no file system of our own here")?;
    let store = mount.path.join("store");
    let place = Place {
        dir: dir.path(),
        store: &store,
        wrapper: &[],
    };
    let mut history = History::default();
    for round in 0..ROUNDS {
        let mut server = Server::start_at(candidate, place, free_port()?)
            .with_context(|| format!("start after power loss {round}"))?;
        if history.acked.is_empty() || history.lost > 0 {
            // Of a stream that is gone the rest of the rounds would tell nothing.
            if round > 0 {
                break;
            }
            create_stream(&server)?;
        }
        let first = history.acked.keys().next_back().map_or(1, |last| last + 1);
        let load = Load::start(&server, round);
        let spread = (args.seed ^ round).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 54;
        thread::sleep(Duration::from_millis(3_000 + spread));
        mount.cut()?;
        // What is acknowledged now is as lost as what was just before.
        thread::sleep(Duration::from_millis(50));
        server.kill()?;
        load.collect(&mut history)?;
        drop(server);
        mount.restore()?;
        let server = Server::start_at(candidate, place, free_port()?)
            .with_context(|| format!("start after power loss {round}"))?;
        history.verify(&server, first)?;
        if history.lost == 0 {
            fetch_again(&server, &mut history)?;
        }
    }
    ensure!(!history.acked.is_empty(), "nothing was acknowledged");
    Ok(history.outcome(vec![format!("up to {ROUNDS} power losses")]))
}

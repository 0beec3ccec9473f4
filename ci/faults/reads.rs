//! Reading what is stored fails for a while: once in each thread, or every time.
//!
//! What cannot be read now may well be readable later: nobody may be told that it is not there, no
//! consumer may pass it over, and when reads succeed again all of it is to be had without a restart.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};

use ci::load::server::{Candidate, Place, Server, free_port};

use crate::Args;
use crate::attach::{Attached, Calls};
use crate::history::{Caller, History, number};
use crate::load::create_stream;
use crate::outcome::Outcome;
use crate::probe::{PATIENCE, health_note, publish_singly};
use crate::publisher::consume_until;

/// So much that most of it has left the log, and memory after a restart.
const BODY_LEN: usize = 32 << 10;
const BODIES: usize = 1_500;
/// How long the filling goes on for a server that is slow.
const FILL_MAX: Duration = Duration::from_secs(15);
/// How long after one the next is asked for; together they take as long as the fault lasts.
const BETWEEN: Duration = Duration::from_millis(100);
/// How many messages are asked for meanwhile.
const ASKED: usize = 40;
/// How long the consumer may take to get all of it afterwards.
const CONSUMED: Duration = Duration::from_secs(20);

/// The third read of each thread that reads fails.
pub(crate) fn one(candidate: &Candidate, args: &Args) -> Result<Outcome> {
    run(candidate, args, "error=EIO:when=3")
}

/// Every read fails.
pub(crate) fn all(candidate: &Candidate, args: &Args) -> Result<Outcome> {
    run(candidate, args, "error=EIO")
}

fn run(candidate: &Candidate, args: &Args, effect: &str) -> Result<Outcome> {
    let dir = tempfile::Builder::new()
        .prefix("faultcheck")
        .tempdir_in(&args.dir)?;
    let store = dir.path().join("store");
    let place = Place {
        dir: dir.path(),
        store: &store,
        wrapper: &[],
    };
    let mut history = History::default();
    let mut server = Server::start_at(candidate, place, free_port()?)?;
    create_stream(&server)?;
    let start = Instant::now();
    let filled = publish_singly(&server, "fill", BODY_LEN, |answers| {
        answers.acked.len() >= BODIES || answers.is_refused() || start.elapsed() > FILL_MAX
    });
    history.take(filled.acked);
    server.kill()?;
    drop(server);
    let mut server = Server::start_at(candidate, place, free_port()?)?;
    let (mut notes, mut broken) = (Vec::new(), Vec::new());
    let stop = Arc::new(AtomicBool::new(false));
    let (addr, flag) = (server.addr.clone(), Arc::clone(&stop));
    let files = files_below(&store)?;
    let calls = Calls {
        names: "read,pread64,readv,preadv,preadv2",
        effect,
        files: &files,
        trace: dir.path().join("trace"),
    };
    let attached = Attached::to(server.pid(), &calls)?;
    let consumer = thread::spawn(move || consume_until(&addr, &flag));
    let asked = ask_while_it_lasts(&server, &history)?;
    let answers = publish_singly(&server, "meanwhile", 200, |answers| {
        answers.acked.len() >= 20 || answers.is_refused()
    });
    notes.push(asked.note());
    notes.push(answers.note());
    notes.push(health_note(&server));
    broken.extend(asked.judge());
    history.take(answers.acked);
    notes.insert(0, attached.end()?);
    wait_until_consumed(&server)?;
    stop.store(true, Ordering::Relaxed);
    let (delivered, confirmed) = consumer
        .join()
        .map_err(|_| anyhow!("the consumer panicked"))?;
    history.confirmed = confirmed;
    let mut skipped = history.acked.clone();
    skipped.retain(|seq, _| !delivered.contains(seq));
    if !skipped.is_empty() {
        broken.push(format!("{} not delivered", skipped.len()));
    }
    let mut now = History::default();
    now.take(history.acked.clone());
    now.verify(&server, 1)?;
    if now.lost > 0 {
        broken.push(format!("{} unreadable until a restart", now.lost));
    }
    server.kill()?;
    drop(server);
    let server = Server::start_at(candidate, place, free_port()?)?;
    history.verify(&server, 1)?;
    notes.extend(broken.iter().cloned());
    Ok(history.outcome(notes).breaking(broken))
}

/// Returns the store's files by their full names.
fn files_below(store: &Path) -> Result<Vec<String>> {
    let (mut found, mut open) = (Vec::new(), vec![store.canonicalize()?]);
    while let Some(dir) = open.pop() {
        for entry in fs::read_dir(&dir)? {
            let path = entry?.path();
            if path.is_dir() {
                open.push(path);
            } else {
                found.push(path.display().to_string());
            }
        }
    }
    Ok(found)
}

/// What those were answered who asked for messages that are there.
#[derive(Debug, Default)]
struct Asked {
    given: u64,
    /// Error codes and how often each came.
    errors: BTreeMap<u64, u64>,
    silences: u64,
}

/// "No message found".
const NO_MESSAGE: u64 = 10_037;

impl Asked {
    fn note(&self) -> String {
        let mut parts = vec![format!("{} read", self.given)];
        for (code, count) in &self.errors {
            parts.push(format!("{count} × error {code}"));
        }
        if self.silences > 0 {
            parts.push(format!("{} × no answer", self.silences));
        }
        format!("readers: {}", parts.join(", "))
    }

    /// Returns what readers may not be told.
    fn judge(&self) -> Vec<String> {
        let mut broken = Vec::new();
        if let Some(count) = self.errors.get(&NO_MESSAGE) {
            broken.push(format!("{count} of them are told to be nowhere"));
        }
        if self.silences > 0 {
            broken.push("readers have no answer".to_owned());
        }
        broken
    }
}

/// Asks for messages all over the stream, spread over the time that the fault lasts.
fn ask_while_it_lasts(server: &Server, history: &History) -> Result<Asked> {
    let mut asked = Asked::default();
    let mut caller = Caller::connect(&server.addr, "reader")?;
    caller.client.set_patience(PATIENCE)?;
    let step = history.acked.len().div_ceil(ASKED).max(1);
    for seq in history.acked.keys().step_by(step) {
        let request = format!("{{\"seq\":{seq}}}");
        match caller.ask("STREAM.MSG.GET.FAULT", &request) {
            Ok(answer) => match number(&answer, "err_code") {
                Some(code) => *asked.errors.entry(code).or_default() += 1,
                None => asked.given += 1,
            },
            // A late answer would be taken for the next one's.
            Err(_) => {
                asked.silences += 1;
                let name = format!("reader{}", asked.silences);
                caller = Caller::connect(&server.addr, &name)?;
                caller.client.set_patience(PATIENCE)?;
            }
        }
        if asked.silences >= 3 {
            break;
        }
        thread::sleep(BETWEEN);
    }
    Ok(asked)
}

/// Waits until the consumer has got everything, or for so long.
fn wait_until_consumed(server: &Server) -> Result<()> {
    let deadline = Instant::now() + CONSUMED;
    let mut caller = Caller::connect(&server.addr, "info")?;
    caller.client.set_patience(PATIENCE)?;
    while Instant::now() < deadline {
        let info = caller.ask("CONSUMER.INFO.FAULT.check", "")?;
        let left = ["num_pending", "num_ack_pending"].map(|key| number(&info, key));
        if left == [Some(0), Some(0)] {
            break;
        }
        thread::sleep(Duration::from_millis(100));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn readers_may_be_refused_but_not_told_that_nothing_is_there() {
        let asked = |code| Asked {
            given: 3,
            errors: [(code, 2)].into(),
            silences: 0,
        };
        assert!(asked(10_028).judge().is_empty());
        assert_eq!(asked(NO_MESSAGE).judge().len(), 1);
        assert_eq!(asked(7).note(), "readers: 3 read, 2 × error 7");
    }
}

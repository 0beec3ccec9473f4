//! A fault that begins while the server runs, keeps it from storing, and ends: publishers are to be told
//! at once, health is to say so, and service is to return by itself.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use rustix::process::{Pid, Resource, Rlimit, prlimit};

use ci::load::server::{Candidate, Place, Server, free_port};

use crate::Args;
use crate::attach::{Attached, Calls};
use crate::history::{Caller, History};
use crate::load::create_stream;
use crate::mounts::Mount;
use crate::outcome::Outcome;
use crate::probe::{Answers, publish_on, serves_again};

/// So long that a few hundred need files that do not exist yet.
const BODY_LEN: usize = 128 << 10;
const BODIES: usize = 1_500;
/// How many publishes are refused before the fault ends.
const REFUSED: u64 = 5;
/// How long publishers go on at most while it lasts.
const LASTS: Duration = Duration::from_secs(15);
/// How long service may take to return.
const RETURNS: Duration = Duration::from_secs(10);
/// What is acknowledged before it begins.
const BEFORE: usize = 50;

/// No file can be opened, made, renamed or removed for a while.
pub(crate) fn names(candidate: &Candidate, args: &Args) -> Result<Outcome> {
    let dir = directory(args)?;
    let store = dir.path().join("store");
    let calls = Calls {
        names: "open,openat,creat,mkdir,mkdirat,rename,renameat,renameat2,unlink,unlinkat",
        effect: "error=EIO",
        files: &[],
        trace: dir.path().join("trace"),
    };
    let begin = |server: &Server| Attached::to(server.pid(), &calls);
    endure(candidate, (dir.path(), &store), begin, Attached::end)
}

/// No descriptor is left for another file or connection for a while.
pub(crate) fn descriptors(candidate: &Candidate, args: &Args) -> Result<Outcome> {
    let dir = directory(args)?;
    let store = dir.path().join("store");
    let begin = |server: &Server| Limited::to_what_is_open(server.pid());
    endure(candidate, (dir.path(), &store), begin, Limited::end)
}

/// The file system becomes read-only, as ext4 does by itself when it has met an error; the server is
/// started again when it can be written to.
pub(crate) fn read_only(candidate: &Candidate, args: &Args) -> Result<Outcome> {
    let dir = directory(args)?;
    let mount = Mount::ext4(dir.path()).context("no file system of our own here")?;
    let store = mount.path.join("store");
    let place = place(dir.path(), &store);
    let mut history = History::default();
    let mut server = Server::start_at(candidate, place, free_port()?)?;
    create_stream(&server)?;
    let mut caller = Caller::connect(&server.addr, "trouble")?;
    let before = publish_on(&mut caller, "before", BODY_LEN, |answers| {
        answers.acked.len() >= BEFORE || answers.is_refused()
    });
    history.take(before.acked);
    mount.abort()?;
    let answers = publish_while_it_lasts(&mut caller);
    let (mut notes, mut broken) = answers.judge(&server);
    history.take(answers.acked);
    server.kill()?;
    drop(server);
    mount.restore()?;
    let server = Server::start_at(candidate, place, free_port()?)?;
    history.verify(&server, 1)?;
    if serves_again(&server, RETURNS).is_none() {
        broken.push("does not serve when it is started again".to_owned());
    }
    notes.extend(broken.iter().cloned());
    Ok(history.outcome(notes).breaking(broken))
}

fn directory(args: &Args) -> Result<tempfile::TempDir> {
    let dir = tempfile::Builder::new()
        .prefix("faultcheck")
        .tempdir_in(&args.dir)?;
    Ok(dir)
}

fn place<'a>(dir: &'a Path, store: &'a Path) -> Place<'a> {
    Place {
        dir,
        store,
        wrapper: &[],
    }
}

/// Publishes while a fault lasts, from its beginning to its end, and afterwards.
fn endure<F>(
    candidate: &Candidate,
    (dir, store): (&Path, &Path),
    begin: impl FnOnce(&Server) -> Result<F>,
    end: impl FnOnce(F) -> Result<String>,
) -> Result<Outcome> {
    let place = place(dir, store);
    let mut history = History::default();
    let mut server = Server::start_at(candidate, place, free_port()?)?;
    create_stream(&server)?;
    // What a process before has made ahead has not been opened by this one.
    server.kill()?;
    drop(server);
    let mut server = Server::start_at(candidate, place, free_port()?)?;
    // Another connection may not be had while it lasts.
    let mut caller = Caller::connect(&server.addr, "trouble")?;
    let before = publish_on(&mut caller, "before", BODY_LEN, |answers| {
        answers.acked.len() >= BEFORE || answers.is_refused()
    });
    history.take(before.acked);
    let fault = begin(&server)?;
    let answers = publish_while_it_lasts(&mut caller);
    let (mut notes, mut broken) = answers.judge(&server);
    history.take(answers.acked);
    notes.insert(0, end(fault)?);
    match serves_again(&server, RETURNS) {
        Some((after, answers)) => {
            let after = after.as_secs_f64();
            notes.push(format!("serves again {after:.1} s after its end"));
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

fn publish_while_it_lasts(caller: &mut Caller) -> Answers {
    let start = Instant::now();
    publish_on(caller, "trouble", BODY_LEN, |answers| {
        answers.refused() >= REFUSED || answers.acked.len() >= BODIES || start.elapsed() > LASTS
    })
}

/// A process that may open nothing until this is dropped.
struct Limited {
    process: Pid,
    limit: u64,
    before: Rlimit,
}

impl Limited {
    fn to_what_is_open(pid: u32) -> Result<Self> {
        let process = Pid::from_raw(i32::try_from(pid)?).context("it has an id")?;
        let numbers = fs::read_dir(format!("/proc/{pid}/fd"))?.flatten();
        let numbers = numbers.filter_map(|entry| entry.file_name().to_str()?.parse::<u64>().ok());
        // A limit above the lowest free number would leave that free.
        let mut open: Vec<u64> = numbers.collect();
        open.sort_unstable();
        let free = (0..).zip(&open).find(|(number, open)| number != *open);
        let limit = free.map_or(open.len() as u64, |(number, _)| number);
        let limits = fs::read_to_string(format!("/proc/{pid}/limits"))?;
        let line = limits.lines().find(|l| l.starts_with("Max open files"));
        let maximum = line.and_then(|line| line.split_whitespace().nth(4));
        let limited = Rlimit {
            current: Some(limit),
            maximum: maximum.and_then(|number| number.parse().ok()),
        };
        let before = prlimit(Some(process), Resource::Nofile, limited)?;
        Ok(Self {
            process,
            limit,
            before,
        })
    }

    /// Lifts the limit; says what was used up.
    fn end(self) -> Result<String> {
        let limit = self.limit;
        Ok(format!("limit {limit}, all in use"))
    }
}

impl Drop for Limited {
    fn drop(&mut self) {
        // It may be gone.
        let _ = prlimit(Some(self.process), Resource::Nofile, self.before);
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn a_process_may_open_as_much_as_before_when_its_limit_is_lifted() {
        let mut child = Command::new("sleep").arg("60").spawn().unwrap();
        let limits = || fs::read_to_string(format!("/proc/{}/limits", child.id())).unwrap();
        let before = limits();
        let limited = Limited::to_what_is_open(child.id()).unwrap();
        let meanwhile = limits();
        drop(limited);
        let after = limits();
        child.kill().unwrap();
        child.wait().unwrap();
        assert_ne!(before, meanwhile);
        assert_eq!(before, after);
    }
}

//! A fault in the system calls of a running server, which begins when `strace` is attached to it and
//! ends when that lets go.

use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

/// How long attaching and letting go may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Which calls fail, and how.
pub(crate) struct Calls<'a> {
    /// Their names, as strace takes them.
    pub(crate) names: &'a str,
    /// What becomes of them, such as `error=EIO`.
    pub(crate) effect: &'a str,
    /// Only those on these files; all if there are none.
    pub(crate) files: &'a [String],
    /// Where what the tracer sees goes.
    pub(crate) trace: PathBuf,
}

/// Lets calls of a process fail until it is dropped.
pub(crate) struct Attached {
    tracer: Child,
    trace: PathBuf,
}

impl Attached {
    /// Attaches to all threads of the process.
    pub(crate) fn to(pid: u32, calls: &Calls<'_>) -> Result<Self> {
        let mut command = Command::new("strace");
        command.args(["-f", "-qq", "-s", "0", "-p", &pid.to_string()]);
        command.arg("-o").arg(&calls.trace);
        command.args(["-e", &format!("trace={}", calls.names)]);
        command.args(["-e", &format!("inject={}:{}", calls.names, calls.effect)]);
        for file in calls.files {
            command.args(["-P", file]);
        }
        let command = command.stdout(Stdio::null()).stderr(Stdio::null());
        let tracer = command.spawn().context("attach strace")?;
        let trace = calls.trace.clone();
        let mut attached = Self { tracer, trace };
        let deadline = Instant::now() + PATIENCE;
        while !is_traced(pid) {
            if Instant::now() > deadline || attached.tracer.try_wait()?.is_some() {
                bail!("attach strace");
            }
            sleep(Duration::from_millis(5));
        }
        Ok(attached)
    }

    /// Lets go; says how many calls have failed; where none has, nothing is known of the fault.
    pub(crate) fn end(self) -> Result<String> {
        let trace = self.trace.clone();
        drop(self);
        let count = fs::read_to_string(trace)?.matches("(INJECTED)").count();
        ensure!(count > 0, "no call failed");
        Ok(format!("failed calls: {count}"))
    }
}

impl Drop for Attached {
    fn drop(&mut self) {
        // It lets go of the process when it is asked to end; killed it does, too.
        let id = self.tracer.id().to_string();
        let _ = Command::new("kill").args(["-TERM", &id]).status();
        let deadline = Instant::now() + PATIENCE;
        while matches!(self.tracer.try_wait(), Ok(None)) && Instant::now() < deadline {
            sleep(Duration::from_millis(5));
        }
        let _ = self.tracer.kill();
        let _ = self.tracer.wait();
    }
}

/// Whether every thread of the process has a tracer.
fn is_traced(pid: u32) -> bool {
    let Ok(threads) = fs::read_dir(format!("/proc/{pid}/task")) else {
        return false;
    };
    threads.flatten().all(|thread| {
        // A thread that has ended since has no need of one.
        let status = fs::read_to_string(thread.path().join("status")).unwrap_or_default();
        let tracer = status.lines().find_map(|l| l.strip_prefix("TracerPid:"));
        tracer.is_none_or(|pid| pid.trim() != "0")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_without_a_tracer_is_not_traced() {
        // Who runs the tests below a tracer sees that.
        let mut child = Command::new("sleep").arg("60").spawn().unwrap();
        let of_child = is_traced(child.id());
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(of_child, is_traced(std::process::id()));
        assert!(!is_traced(child.id()), "it is gone");
    }
}

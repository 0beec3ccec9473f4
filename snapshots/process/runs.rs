//! What the program says besides serving: to a configuration that it checks or refuses, to arguments,
//! to signals, in its log.

use core::time::Duration;
use std::fs;
use std::io::{self, Read as _};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::Instant;

use super::{Process, START_PATIENCE};
use crate::conn::PATIENCE;

const POLL: Duration = Duration::from_millis(10);

impl Process {
    /// Makes a file in the server's folder.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write(&self, name: &str, text: &str) -> io::Result<()> {
        fs::write(self.folder.path().join(name), self.resolve(text))
    }

    /// Returns what `-t` says about a configuration, in alphabetical order: nats-server reports the keys
    /// of a block in the order of a hash map.
    ///
    /// # Errors
    /// When the program cannot be run.
    pub fn check(&self, text: &str) -> io::Result<Vec<String>> {
        self.write("check.conf", text)?;
        let said = self.run(&["-t", "-c", "check.conf"])?;
        let varies = text.contains("${");
        let mut said: Vec<String> = said
            .iter()
            .map(|line| match line.split_once(" (sha256:") {
                Some((before, _)) if varies => before.to_owned(),
                _ => line.trim_start_matches("nats-server: ").to_owned(),
            })
            .filter(|line| !line.is_empty())
            .collect();
        said.sort();
        Ok(said)
    }

    /// Returns what a start with this configuration ends with, or that it serves.
    ///
    /// # Errors
    /// When the program cannot be run.
    pub fn try_start(&self, text: &str) -> io::Result<Vec<String>> {
        self.write("start.conf", text)?;
        let said = self.folder.path().join("start.log");
        let log = fs::File::create(&said)?;
        let mut child = self
            .command(&["-c", "start.conf", "-a", "127.0.0.1", "-p", "-1"])
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()?;
        let deadline = Instant::now() + START_PATIENCE;
        loop {
            // The log is read after the child is looked at: what it said last is in it.
            let ended = child.try_wait()?;
            let log = fs::read_to_string(&said)?;
            if let Some(status) = ended {
                let mut lines = self.shown(&log);
                lines.retain(|l| {
                    !l.is_empty() && !l.starts_with("[INF]") && !l.starts_with("[WRN]")
                });
                lines.push(exit(status));
                return Ok(lines);
            }
            if log.contains("Server is ready") {
                child.kill()?;
                child.wait()?;
                return Ok(vec![String::from("(serves)")]);
            }
            if Instant::now() > deadline {
                child.kill()?;
                child.wait()?;
                return Err(io::Error::other(format!("neither serves nor ends:\n{log}")));
            }
            thread::sleep(POLL);
        }
    }

    /// Runs the program with these arguments in the server's folder, and returns what it says on both
    /// outputs and its exit code.
    ///
    /// # Errors
    /// When it cannot be run or does not end.
    pub fn run(&self, args: &[&str]) -> io::Result<Vec<String>> {
        let mut child = self
            .command(args)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        let status = ended(&mut child)?;
        let (mut out, mut err) = (String::new(), String::new());
        if let (Some(mut stdout), Some(mut stderr)) = (child.stdout.take(), child.stderr.take()) {
            stdout.read_to_string(&mut out)?;
            stderr.read_to_string(&mut err)?;
        }
        let mut said = self.shown(&out);
        said.extend(self.shown(&err));
        said.push(exit(status));
        Ok(said)
    }

    /// Sends the server a signal.
    ///
    /// # Errors
    /// When `kill` cannot be run.
    pub fn signal(&self, name: &str) -> io::Result<()> {
        let pid = self.child.id().to_string();
        Command::new("kill")
            .args([&format!("-{name}"), &pid])
            .status()?;
        Ok(())
    }

    /// Waits until a line of the log holds `text`, and returns it without process id and time.
    ///
    /// # Errors
    /// When none does in time.
    pub fn logged(&self, text: &str) -> io::Result<String> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let log = fs::read_to_string(self.folder.path().join("log"))?;
            if let Some(line) = log.lines().find(|line| line.contains(text)) {
                let line = shown(line, self);
                return Ok(line
                    .split(" (sha256:")
                    .next()
                    .unwrap_or_default()
                    .to_owned());
            }
            if Instant::now() > deadline {
                return Ok(String::from("(never)"));
            }
            thread::sleep(POLL);
        }
    }

    /// Returns a line without what differs from run to run.
    #[must_use]
    pub fn shown_line(&self, line: &str) -> String {
        shown(line, self)
    }

    fn command(&self, args: &[&str]) -> Command {
        let args = args.iter().map(|arg| self.resolve(arg));
        let mut command = Command::new(&self.binary);
        command
            .arg0(super::NAME)
            .args(args)
            .current_dir(self.folder.path())
            .stdin(Stdio::null());
        command
    }

    fn resolve(&self, text: &str) -> String {
        super::resolve(text, self.folder.path(), self.http)
    }

    fn shown(&self, text: &str) -> Vec<String> {
        // How to use it each program says in words of its own.
        text.lines()
            .take_while(|line| !line.starts_with("Usage:"))
            .map(|line| shown(line, self))
            .filter(|line| !line.is_empty())
            .collect()
    }
}

/// Leaves out what differs from run to run: process id and time, the folder, ports and ids.
fn shown(line: &str, process: &Process) -> String {
    let folder = process.folder.path().to_string_lossy().into_owned();
    let mut text = match (line.starts_with('['), line.find(" [")) {
        (true, Some(at)) => line.get(at + 1..).unwrap_or(line).to_owned(),
        _ => line.to_owned(),
    };
    text = text.replace(&folder, "<folder>");
    let pid = process.child.id().to_string();
    text = text.replace(&format!("pid {pid}"), "pid <pid>");
    for port in [process.addr.port(), process.http.port()] {
        text = text.replace(&format!(":{port}"), ":<port>");
    }
    text
}

fn exit(status: ExitStatus) -> String {
    match status.code() {
        Some(code) => format!("(exit {code})"),
        None => String::from("(killed)"),
    }
}

/// What it says fits the pipes' buffers.
fn ended(child: &mut Child) -> io::Result<ExitStatus> {
    let deadline = Instant::now() + START_PATIENCE;
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(status);
        }
        if Instant::now() > deadline {
            child.kill()?;
            return child.wait();
        }
        thread::sleep(POLL);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_exit_code_is_shown_and_a_signal_too() {
        let run = |script: &str| Command::new("sh").args(["-c", script]).status().unwrap();
        assert_eq!(exit(run("exit 3")), "(exit 3)");
        assert_eq!(exit(run("kill -9 $$")), "(killed)");
    }
}

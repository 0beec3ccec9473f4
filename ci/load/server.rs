//! A server under test: started on a free port with a directory of its own, its CPU time and memory
//! read from /proc, stopped and cleaned up when dropped.

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::client::Client;

/// What to start.
#[derive(Clone)]
pub struct Candidate {
    /// The column's name.
    pub name: String,
    /// The binary; it takes nats-server's flags.
    pub binary: PathBuf,
    /// Lines of the `jetstream` block, such as `sync_interval: always`.
    pub jetstream: String,
}

/// How to start it.
#[derive(Clone, Copy)]
pub struct Place<'a> {
    /// Where its configuration and its log go.
    pub dir: &'a Path,
    /// Where it stores.
    pub store: &'a Path,
    /// A command to run it below, such as a tracer; empty for none.
    pub wrapper: &'a [&'a str],
}

/// A running server.
pub struct Server {
    child: Child,
    /// Where clients connect.
    pub addr: String,
    /// Where monitoring is served.
    pub http: String,
    dir: PathBuf,
    /// Removed with the server, unless the caller owns the directory.
    _temporary: Option<tempfile::TempDir>,
}

/// What a server has used so far.
#[derive(Clone, Copy, Default)]
pub struct Usage {
    /// User and system time, in seconds.
    pub cpu_s: f64,
    /// Resident memory, in MiB.
    pub rss_mib: f64,
    /// The most that it has been.
    pub rss_peak_mib: f64,
}

impl Server {
    /// Starts `candidate` with JetStream in a new directory below `parent` and waits until it answers.
    pub fn start(candidate: &Candidate, parent: &Path) -> Result<Self> {
        let dir = tempfile::Builder::new()
            .prefix("beale")
            .tempdir_in(parent)?;
        let mut server = Self::start_in(candidate, dir.path(), free_port()?, &[])?;
        server._temporary = Some(dir);
        Ok(server)
    }

    /// Starts `candidate` over what `dir` holds, on `port`, below the command `wrapper` if there is
    /// one (such as a tracer), and waits until it answers.
    pub fn start_in(
        candidate: &Candidate,
        dir: &Path,
        port: u16,
        wrapper: &[&str],
    ) -> Result<Self> {
        let place = Place {
            dir,
            store: dir,
            wrapper,
        };
        Self::start_at(candidate, place, port)
    }

    /// Starts `candidate` at a place, on `port`, and waits until it answers.
    pub fn start_at(candidate: &Candidate, place: Place<'_>, port: u16) -> Result<Self> {
        let dir = place.dir;
        let config = dir.join("server.conf");
        let http = format!("127.0.0.1:{}", free_port()?);
        // A file of an earlier process would name the wrong one.
        let _ = fs::remove_file(dir.join("pid"));
        fs::write(
            &config,
            format!(
                "listen: \"127.0.0.1:{port}\"\nhttp: \"{http}\"\nmax_payload: 8MB\n\
                 pid_file: \"{}\"\njetstream {{\n  store_dir: \"{}\"\n  {}\n}}\n",
                dir.join("pid").display(),
                place.store.display(),
                candidate.jetstream
            ),
        )?;
        let mut command = match place.wrapper {
            [program, args @ ..] => {
                let mut command = Command::new(program);
                command.args(args).arg(&candidate.binary);
                command
            }
            [] => Command::new(&candidate.binary),
        };
        let child = command
            .arg("-c")
            .arg(&config)
            .stdout(Stdio::null())
            .stderr(fs::File::create(dir.join("log"))?)
            .spawn()
            .with_context(|| format!("start {}", candidate.binary.display()))?;
        let mut server = Self {
            child,
            addr: format!("127.0.0.1:{port}"),
            http,
            dir: dir.to_owned(),
            _temporary: None,
        };
        server.wait_ready()?;
        Ok(server)
    }

    /// Ends the process with SIGKILL and waits for it.
    pub fn kill(&mut self) -> Result<()> {
        self.kill_traced();
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// A tracer's death would let the process below it go on. Its directory is free only when it is
    /// gone, which its tracer has to see first; then the tracer writes what it has seen, and ends.
    fn kill_traced(&mut self) {
        let Ok(text) = fs::read_to_string(self.dir.join("pid")) else {
            return;
        };
        let pid = text.trim();
        if pid.is_empty() || pid == self.child.id().to_string() {
            return;
        }
        // It may be gone already.
        let _ = Command::new("kill").args(["-9", pid]).status();
        let process = Path::new("/proc").join(pid);
        let deadline = Instant::now() + Duration::from_secs(10);
        while process.exists() && Instant::now() < deadline {
            sleep(Duration::from_millis(5));
        }
        while matches!(self.child.try_wait(), Ok(None)) && Instant::now() < deadline {
            sleep(Duration::from_millis(5));
        }
    }

    fn wait_ready(&mut self) -> Result<()> {
        let deadline = Instant::now() + Duration::from_secs(20);
        while Instant::now() < deadline {
            if Client::connect(&self.addr).is_ok() {
                return Ok(());
            }
            if let Some(status) = self.child.try_wait()? {
                let log = fs::read_to_string(self.dir.join("log")).unwrap_or_default();
                bail!("server ended with {status}:\n{log}");
            }
            sleep(Duration::from_millis(5));
        }
        bail!("server did not answer within 20 s")
    }

    /// Returns the process's id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Reads CPU time and memory.
    pub fn usage(&self) -> Result<Usage> {
        let pid = self.child.id();
        let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
        // The fields after the command name, which is in parentheses and may hold spaces.
        let fields: Vec<&str> = stat
            .rsplit(')')
            .next()
            .unwrap_or_default()
            .split_whitespace()
            .collect();
        let ticks = |i: usize| {
            fields
                .get(i)
                .and_then(|f| f.parse::<f64>().ok())
                .unwrap_or(0.0)
        };
        let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
        let mib = |field| {
            let line = status.lines().find_map(|line| line.strip_prefix(field));
            let kib = line.and_then(|line| line.split_whitespace().next());
            kib.and_then(|kib| kib.parse::<f64>().ok()).unwrap_or(0.0) / 1024.0
        };
        // USER_HZ is 100 on every Linux the bench runs on.
        Ok(Usage {
            cpu_s: (ticks(11) + ticks(12)) / 100.0,
            rss_mib: mib("VmRSS:"),
            rss_peak_mib: mib("VmHWM:"),
        })
    }
}

/// Returns a port that nobody listens on at the moment.
pub fn free_port() -> Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

impl Drop for Server {
    fn drop(&mut self) {
        // The process may be gone already; the row's own error says so.
        if matches!(self.child.try_wait(), Ok(None)) {
            self.kill_traced();
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

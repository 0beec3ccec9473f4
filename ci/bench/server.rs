//! A server under test: started on a free port with a directory of its own, its CPU time and memory
//! read from /proc, stopped and cleaned up when dropped.

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::client::Client;

/// What to start.
#[derive(Clone)]
pub(crate) struct Candidate {
    /// The column's name.
    pub(crate) name: String,
    /// The binary; it takes nats-server's flags.
    pub(crate) binary: PathBuf,
    /// Lines of the `jetstream` block, such as `sync_interval: always`.
    pub(crate) jetstream: String,
}

/// A running server.
pub(crate) struct Server {
    child: Child,
    /// Where clients connect.
    pub(crate) addr: String,
    dir: tempfile::TempDir,
}

/// What a server has used so far.
#[derive(Clone, Copy, Default)]
pub(crate) struct Usage {
    /// User and system time, in seconds.
    pub(crate) cpu_s: f64,
    /// Resident memory, in MiB.
    pub(crate) rss_mib: f64,
}

impl Server {
    /// Starts `candidate` with JetStream in a new directory below `parent`.
    pub(crate) fn start(candidate: &Candidate, parent: &Path) -> Result<Self> {
        let dir = tempfile::Builder::new()
            .prefix("bench")
            .tempdir_in(parent)?;
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let config = dir.path().join("server.conf");
        fs::write(
            &config,
            format!(
                "listen: \"127.0.0.1:{port}\"\nmax_payload: 8MB\njetstream {{\n  store_dir: \"{}\"\n  {}\n}}\n",
                dir.path().display(),
                candidate.jetstream
            ),
        )?;
        let child = Command::new(&candidate.binary)
            .arg("-c")
            .arg(&config)
            .stdout(Stdio::null())
            .stderr(fs::File::create(dir.path().join("log"))?)
            .spawn()
            .with_context(|| format!("start {}", candidate.binary.display()))?;
        let mut server = Self {
            child,
            addr: format!("127.0.0.1:{port}"),
            dir,
        };
        server.wait_ready()?;
        Ok(server)
    }

    fn wait_ready(&mut self) -> Result<()> {
        let deadline = Instant::now() + Duration::from_secs(20);
        while Instant::now() < deadline {
            if Client::connect(&self.addr).is_ok() {
                return Ok(());
            }
            if let Some(status) = self.child.try_wait()? {
                let log = fs::read_to_string(self.dir.path().join("log")).unwrap_or_default();
                bail!("server ended with {status}:\n{log}");
            }
            sleep(Duration::from_millis(20));
        }
        bail!("server did not answer within 20 s")
    }

    /// Reads CPU time and memory.
    pub(crate) fn usage(&self) -> Result<Usage> {
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
        let rss_kib = status
            .lines()
            .find_map(|l| l.strip_prefix("VmRSS:"))
            .and_then(|l| l.split_whitespace().next())
            .and_then(|n| n.parse::<f64>().ok())
            .unwrap_or(0.0);
        // USER_HZ is 100 on every Linux the bench runs on.
        Ok(Usage {
            cpu_s: (ticks(11) + ticks(12)) / 100.0,
            rss_mib: rss_kib / 1024.0,
        })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // The process may be gone already; the row's own error says so.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

//! A server process with a configuration and a store of its own, on a free port.

use core::net::{Ipv4Addr, SocketAddr};
use core::ops::Range;
use core::sync::atomic::{AtomicU32, Ordering};
use core::time::Duration;
use std::fs;
use std::io;
use std::net::{TcpListener, TcpStream};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Instant;

use tempfile::TempDir;

use crate::case::Case;

mod runs;

/// How long a server may take until it listens.
const START_PATIENCE: Duration = Duration::from_secs(30);

/// How long one that accepts connections may take until it says so in its log.
const SILENT_PATIENCE: Duration = Duration::from_secs(5);

/// Under its name the program is a drop-in, whoever made it.
const NAME: &str = "nats-server";

/// A running server. Dropping it kills the process and removes its files.
#[derive(Debug)]
pub struct Process {
    binary: PathBuf,
    child: Child,
    folder: TempDir,
    starts: usize,
    /// Where clients connect.
    pub addr: SocketAddr,
    /// Where the monitoring port is, for cases that configure one.
    pub http: SocketAddr,
}

impl Process {
    /// Starts `binary` as `case` wants it.
    ///
    /// # Errors
    /// When it does not listen in time; with the end of its log.
    pub fn start(binary: &Path, case: &Case) -> io::Result<Process> {
        let folder = tempfile::Builder::new().prefix("beale-case-").tempdir()?;
        // Both are held until both are known, so that they differ.
        let (clients, monitor) = (listen()?, listen()?);
        let (addr, http) = (clients.local_addr()?, monitor.local_addr()?);
        drop((clients, monitor));
        let text = config(case, folder.path(), addr, http);
        fs::write(folder.path().join("server.conf"), text)?;
        let child = spawn(binary, folder.path())?;
        let mut process = Process {
            binary: binary.to_owned(),
            child,
            folder,
            starts: 1,
            addr,
            http,
        };
        process.wait_ready()?;
        Ok(process)
    }

    /// Stops the server, with SIGKILL if `abruptly`, and starts it again on the same store.
    ///
    /// # Errors
    /// When it does not stop or start.
    pub fn restart(&mut self, abruptly: bool) -> io::Result<()> {
        if abruptly {
            self.child.kill()?;
        } else {
            self.signal("TERM")?;
        }
        self.child.wait()?;
        self.starts += 1;
        self.child = spawn(&self.binary, self.folder.path())?;
        self.wait_ready()
    }

    /// Puts `config` in the place of the case's own block, tells the server to read it, and returns
    /// what the log says came of it.
    ///
    /// # Errors
    /// When the file cannot be written, or the log says nothing in time.
    pub fn reload(&self, case: &Case, config: &str) -> io::Result<Vec<String>> {
        let log = self.folder.path().join("log");
        let before = fs::read_to_string(&log)?.len();
        let text = configuration(case, config, self.folder.path(), self.addr, self.http);
        fs::write(self.folder.path().join("server.conf"), text)?;
        self.signal("HUP")?;
        let deadline = Instant::now() + START_PATIENCE;
        loop {
            let now = fs::read_to_string(&log)?;
            let new = now.get(before..).unwrap_or_default();
            let told: Vec<String> = new.lines().filter_map(of_reload).collect();
            let ends = ["Reloaded server configuration", "Failed to reload"];
            if told
                .iter()
                .any(|l| ends.iter().any(|end| l.starts_with(end)))
            {
                return Ok(told);
            }
            if Instant::now() > deadline {
                return Err(io::Error::other(format!("no word of a reload:\n{new}")));
            }
            thread::sleep(Duration::from_millis(10));
        }
    }

    fn wait_ready(&mut self) -> io::Result<()> {
        let deadline = Instant::now() + START_PATIENCE;
        let mut accepts = None;
        loop {
            let log = fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
            if accepts.is_none() && TcpStream::connect(self.addr).is_ok() {
                accepts = Some(Instant::now());
            }
            // nats-server accepts connections before its API has subscribed to its subjects.
            let said_so = log.matches("Server is ready").count() == self.starts;
            if accepts.is_some_and(|since| said_so || since.elapsed() > SILENT_PATIENCE) {
                return Ok(());
            }
            if self.child.try_wait()?.is_some() || Instant::now() > deadline {
                return Err(io::Error::other(format!(
                    "the server did not start:\n{log}"
                )));
            }
            thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself, which is no news at this point.
        let _gone = self.child.kill();
        let _reaped = self.child.wait();
    }
}

fn spawn(binary: &Path, folder: &Path) -> io::Result<Child> {
    let log = fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(folder.join("log"))?;
    Command::new(binary)
        .arg0(NAME)
        .arg("-c")
        .arg(folder.join("server.conf"))
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .spawn()
        .map_err(|e| io::Error::new(e.kind(), format!("{}: {e}", binary.display())))
}

/// Takes a port below those that the system gives to outgoing connections, which could take it between
/// here and the server's start. Each call tries other ones.
fn listen() -> io::Result<TcpListener> {
    const PORTS: Range<u16> = 10_000..32_000;
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let count = u32::from(PORTS.end - PORTS.start);
    loop {
        // Processes begin at different places.
        let tried = NEXT.fetch_add(1, Ordering::Relaxed);
        let offset = std::process::id().wrapping_mul(64).wrapping_add(tried) % count;
        let port = PORTS.start + u16::try_from(offset).unwrap_or_default();
        match TcpListener::bind((Ipv4Addr::LOCALHOST, port)) {
            Err(e) if e.kind() == io::ErrorKind::AddrInUse && tried < count => {}
            other => return other,
        }
    }
}

/// Returns the text of a log line that tells of a reload, without the digest of the file.
fn of_reload(line: &str) -> Option<String> {
    let (_, text) = line.split_once("[INF] ").or(line.split_once("[ERR] "))?;
    let starts = ["Reload", "Failed to reload"];
    let text = text.split(" (sha256:").next().unwrap_or_default();
    let is_one = starts.iter().any(|start| text.starts_with(start));
    is_one.then(|| text.to_owned())
}

fn config(case: &Case, folder: &Path, addr: SocketAddr, http: SocketAddr) -> String {
    configuration(case, &case.config, folder, addr, http)
}

fn configuration(
    case: &Case,
    block: &str,
    folder: &Path,
    addr: SocketAddr,
    http: SocketAddr,
) -> String {
    let mut text = format!(
        "host: \"127.0.0.1\"\nport: {}\nserver_name: test\n",
        addr.port()
    );
    if case.jetstream {
        text.push_str("jetstream { store_dir: \"${folder}/store\" }\n");
    }
    text.push_str(block);
    resolve(&text, folder, http)
}

fn resolve(text: &str, folder: &Path, http: SocketAddr) -> String {
    let text = text.replace("${http}", &http.port().to_string());
    text.replace("${folder}", &folder.to_string_lossy())
}

/// What `binary -v` prints, such as `nats-server: v2.15.1`.
///
/// # Errors
/// When it can not be run.
pub fn version(binary: &Path) -> io::Result<String> {
    let output = Command::new(binary).arg("-v").output()?;
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

//! Instructions instead of time: the server runs below valgrind's callgrind, which counts what it executes.
//! CPU time grows with the memory that is not at hand, and with what else the machine does; instructions
//! say what an operation makes the server do.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use ci::load::server::{Candidate, Server, free_port};

/// Where callgrind writes, in the server's directory; each dump gets a number.
const OUT: &str = "callgrind";

/// Starts a server whose instructions can be counted; they are not yet.
pub(crate) fn start(candidate: &Candidate, dir: &Path) -> Result<Server> {
    let out = format!("--callgrind-out-file={}", dir.join(OUT).display());
    let wrapper = ["valgrind", "--tool=callgrind", "--instr-atstart=no", &out];
    Server::start_in(candidate, dir, free_port()?, &wrapper)
}

/// Returns how many instructions the server executes for each operation that `run` does.
pub(crate) fn per_operation(
    server: &Server,
    dir: &Path,
    run: impl FnOnce() -> Result<u64>,
) -> Result<f64> {
    control(server, &["-i", "on"])?;
    control(server, &["-z"])?;
    let operations = run()?;
    control(server, &["-d"])?;
    control(server, &["-i", "off"])?;
    let dump = fs::read_to_string(dir.join(OUT).with_extension("1"))?;
    let counted: u64 = dump
        .lines()
        .find_map(|line| line.strip_prefix("summary: "))
        .and_then(|count| count.trim().parse().ok())
        .context("callgrind counted nothing")?;
    #[allow(clippy::cast_precision_loss, reason = "counts below 2^53")]
    Ok(counted as f64 / operations as f64)
}

fn control(server: &Server, arguments: &[&str]) -> Result<()> {
    let output = Command::new("callgrind_control")
        .args(arguments)
        .arg(server.pid().to_string())
        .output()
        .context("callgrind_control, which comes with valgrind")?;
    ensure!(output.status.success(), "callgrind_control {arguments:?}");
    Ok(())
}

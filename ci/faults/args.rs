//! What the command line asks for.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use ci::load::server::Candidate;
use clap::{ArgMatches, CommandFactory, FromArgMatches, Parser};

use crate::ROWS;

/// Breaks something below each server in turn, and prints what it kept of its promises.
#[derive(Parser)]
#[command(name = "faultcheck")]
pub(crate) struct Args {
    /// A server that takes nats-server's flags and configuration; once for each
    #[arg(long = "server", value_name = "PATH", required = true)]
    servers: Vec<PathBuf>,
    /// What the table calls the server before it
    #[arg(long = "name", value_name = "NAME")]
    names: Vec<String>,
    /// Lines of the `jetstream` block of the server before it, such as `sync_interval: always`
    #[arg(long = "jetstream", value_name = "LINES")]
    lines: Vec<String>,
    /// Only these faults
    #[arg(long, alias = "row", value_name = "ROW", value_delimiter = ',',
        value_parser = ROWS.map(|(key, ..)| key))]
    pub(crate) rows: Vec<String>,
    /// Fail if the last server breaks a promise
    #[arg(long)]
    pub(crate) strict: bool,
    /// How often a fault that has many moments comes
    #[arg(long, value_name = "N", default_value_t = 10)]
    pub(crate) rounds: u64,
    /// What the moments are drawn from
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(crate) seed: u64,
    /// Where the servers store
    #[arg(long, value_name = "DIR", default_value_os_t = std::env::temp_dir())]
    pub(crate) dir: PathBuf,
}

impl Args {
    /// Reads the command line; returns with it what is to be started.
    pub(crate) fn read() -> Result<(Self, Vec<Candidate>)> {
        Self::of(&Self::command().get_matches())
    }

    fn of(matches: &ArgMatches) -> Result<(Self, Vec<Candidate>)> {
        let args = Self::from_arg_matches(matches)?;
        let places = |id| matches.indices_of(id).into_iter().flatten();
        let mut candidates: Vec<(usize, Candidate)> = places("servers")
            .zip(&args.servers)
            .map(|(at, binary)| (at, candidate(binary)))
            .collect();
        for (at, name) in places("names").zip(&args.names) {
            before(&mut candidates, at, "name")?.name.clone_from(name);
        }
        for (at, lines) in places("lines").zip(&args.lines) {
            before(&mut candidates, at, "jetstream")?
                .jetstream
                .clone_from(lines);
        }
        let candidates = candidates.into_iter().map(|(_, candidate)| candidate);
        let candidates = candidates.collect();
        Ok((args, candidates))
    }

    /// Whether a row is asked for by its key, or none is.
    pub(crate) fn wants(&self, key: &str) -> bool {
        self.rows.is_empty() || self.rows.iter().any(|row| row == key)
    }
}

/// Returns the server that a flag at a place of the command line is about.
fn before<'a>(
    candidates: &'a mut [(usize, Candidate)],
    at: usize,
    flag: &str,
) -> Result<&'a mut Candidate> {
    let found = candidates.iter_mut().rfind(|(server, _)| *server < at);
    let (_, candidate) = found.with_context(|| format!("--{flag} comes behind a --server"))?;
    Ok(candidate)
}

fn candidate(binary: &Path) -> Candidate {
    let name = binary.file_name().unwrap_or_default();
    Candidate {
        name: name.to_string_lossy().into_owned(),
        binary: binary.to_path_buf(),
        jetstream: String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Result<(Args, Vec<Candidate>)> {
        Args::of(&Args::command().try_get_matches_from(line.split(' '))?)
    }

    #[test]
    fn names_and_lines_are_of_the_server_before_them() {
        let line = "faultcheck --rows kill,rot --server bin/one --server two --name Two --jetstream x:1 --server three";
        let (args, candidates) = read(line).expect("it is fine");
        let found = candidates.iter().map(|c| (&*c.name, &*c.jetstream));
        let wanted = [("one", ""), ("Two", "x:1"), ("three", "")];
        assert!(found.eq(wanted));
        assert!(args.wants("rot") && !args.wants("power"));
        assert!(read("faultcheck --server one").is_ok_and(|(args, _)| args.wants("power")));
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for line in [
            "faultcheck",
            "faultcheck --name one --server two",
            "faultcheck --server one --rows none",
            "faultcheck --server one --rounds many",
        ] {
            assert!(read(line).is_err(), "{line}");
        }
    }
}

//! From a command line to what the process is to do: the one entry that the server calls.
//!
//! Three ways in, told apart by how the program is started: without arguments (what Memphis' users
//! expect), with nats-server's flags or file or under its name (nats-server's behaviour), and with
//! `--memphis` or a `memphis` block (both over the same streams).

use alloc::boxed::Box;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use crate::check::memphis::Draft;
use crate::check::{self, Inconsistent, Unsupported};
use crate::cli::help::{self, NATS_SERVER};
use crate::cli::pages;
use crate::cli::{CliFlag, CommandLine, FlagError};
use crate::error::{Finding, ParseError};
use crate::options::{Encryption, Listen, Options};
use crate::parse::parse_file;
use crate::{Surroundings, digest};

#[cfg(test)]
mod tests;

/// The largest message of a server that only serves Memphis, as Memphis has it.
const MEMPHIS_PAYLOAD_MAX: u32 = 8 << 20;
/// Where a server that is started without arguments stores.
const MEMPHIS_STORE_DIR: &str = "./beale-data";

/// What the process is to do.
#[derive(Debug)]
pub enum Launch {
    /// Print this to standard output and exit with 0.
    Print(String),
    /// Print this to standard error and exit with 0.
    Report(String),
    /// Send a signal to a running server.
    Signal {
        /// What it shall do.
        command: String,
        /// A process id, or the path of a pid file; the one running server when not given.
        target: Option<String>,
    },
    /// Check a store that nobody uses.
    CheckStore(CheckStore),
    /// Serve.
    Serve(Box<Setup>),
}

/// How a store is to be checked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CheckStore {
    /// Its directory, or the one that streams are stored in.
    pub directory: String,
    /// Whether what is damaged is to be given up, so that the rest can be served.
    pub repair: bool,
    /// Whether to answer in JSON.
    pub json: bool,
    /// What opens it if it is encrypted.
    pub encryption: Encryption,
}

/// How to serve.
#[derive(Debug)]
pub struct Setup {
    /// The merged options.
    pub options: Options,
    /// The configuration file.
    pub config: Option<ConfigFile>,
    /// What is odd but no mistake: to be printed at the start.
    pub warnings: Vec<Finding>,
    /// What has no effect yet: to be logged at the start.
    pub unsupported: Vec<Unsupported>,
}

/// A configuration file that has been read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigFile {
    /// Its path as given.
    pub path: String,
    /// The digest of its values.
    pub digest: String,
}

/// Why the process cannot do what it is asked to.
#[derive(Debug, thiserror::Error)]
pub enum LaunchError {
    /// A flag is wrong; the usage is printed with it, and the exit code is 0, as nats-server's is.
    #[error("{error}")]
    Flags {
        /// The flag.
        error: FlagError,
        /// The usage, for standard output.
        usage: String,
    },
    /// There is something behind the flags.
    #[error("unrecognized command: {0:?}")]
    Command(String),
    /// `check` without a directory, or with something that it does not know.
    #[error("usage: check [--repair] [--json] [--config <file>] <dir>")]
    CheckUsage,
    /// A file breaks the grammar or cannot be read.
    #[error(transparent)]
    Parse(#[from] ParseError),
    /// Values are wrong.
    #[error("{}", lines(.0))]
    Values(Vec<Finding>),
    /// Settings do not go together.
    #[error(transparent)]
    Inconsistent(#[from] Inconsistent),
    /// `-t` without a file.
    #[error("must specify [-c, --config] option to check configuration file syntax")]
    NothingToCheck,
    /// TLS flags without a certificate.
    #[error("TLS Server certificate must be present and valid")]
    TlsCertificate,
    /// TLS flags without a key.
    #[error("TLS Server private key must be present and valid")]
    TlsKey,
    /// Certificates that flags name and that are no good; the text is nats-server's.
    #[error("{0}")]
    TlsFiles(String),
    /// Routes to other servers, but none may come from them.
    #[error("solicited routes require cluster capabilities, e.g. --cluster")]
    RoutesWithoutCluster,
    /// A name that clients could not use.
    #[error("server name cannot contain spaces")]
    ServerName,
    /// The same, of a cluster.
    #[error("cluster name cannot contain spaces")]
    ClusterName,
    /// Where a cluster listens is no URL.
    #[error("parse {0:?}: first path segment in URL cannot contain colon")]
    ClusterUrl(String),
    /// It lacks a port.
    #[error("{}missing port in address", prefix(.0))]
    ClusterPort(String),
    /// More than a command and whom it is for.
    #[error("invalid signal parameters: [{0}]")]
    Signal(String),
    /// Settings that the server must not go on without.
    #[error("{}", refusal(.0))]
    Refused(Vec<Unsupported>),
}

/// Works out what the process is to do. `program` is the file name it was started under, `args` what
/// follows it.
///
/// # Errors
/// What is wrong with the command line or the configuration.
pub fn load(
    program: &str,
    args: &[String],
    around: &mut dyn Surroundings,
) -> Result<Launch, LaunchError> {
    if args.is_empty() && program != NATS_SERVER {
        return serve(without_arguments(around));
    }
    let line = CommandLine::parse(args).map_err(|error| LaunchError::Flags {
        error,
        usage: help::usage(program),
    })?;
    if let [word, rest @ ..] = line.words.as_slice()
        && word == "check"
        && program != NATS_SERVER
    {
        return check_store(rest, line.text(CliFlag::Config), around).map(Launch::CheckStore);
    }
    if let Some(text) = asked_to_print(program, &line)? {
        return Ok(Launch::Print(text));
    }
    if let Some(signal) = line.text(CliFlag::Signal) {
        let mut parts = signal.split('=');
        let command = parts.next().unwrap_or_default();
        let target = parts.next().filter(|target| !target.is_empty());
        let target = target.map(ToString::to_string);
        let more: Vec<&str> = parts.collect();
        if !more.is_empty() {
            return Err(LaunchError::Signal(more.join(" ")));
        }
        return Ok(Launch::Signal {
            command: command.to_string(),
            target,
        });
    }
    let check_only = line.is_on(CliFlag::Check);
    let mut setup = match line.text(CliFlag::Config) {
        Some(path) => from_file(path, check_only, line.text(CliFlag::StoreDir), around)?,
        None if check_only => return Err(LaunchError::NothingToCheck),
        None => Setup {
            options: Options::default(),
            config: None,
            warnings: Vec::new(),
            unsupported: Vec::new(),
        },
    };
    let from_file = setup.options.tls.clone();
    line.apply(&mut setup.options, &mut setup.unsupported)?;
    if let Some(tls) = &mut setup.options.tls
        && from_file.as_ref() != Some(tls)
    {
        let files = around.check_tls(tls);
        tls.files_digest = files.map_err(LaunchError::TlsFiles)?;
    }
    if line.wants_memphis() && setup.options.memphis.is_none() {
        setup.options.memphis = Some(Draft::default().finish(around));
    }
    if let Some(memphis) = &mut setup.options.memphis {
        line.apply_rest(memphis)?;
    }
    match setup.config {
        // What does not go together is found at the start, here as there.
        Some(ConfigFile { path, digest }) if check_only => Ok(Launch::Report(alloc::format!(
            "{program}: configuration file {path} is valid ({digest})\n"
        ))),
        _ => serve(setup),
    }
}

fn check_store<'a>(
    words: &'a [String],
    mut config: Option<&'a str>,
    around: &mut dyn Surroundings,
) -> Result<CheckStore, LaunchError> {
    let mut check = CheckStore::default();
    let mut words = words.iter();
    while let Some(word) = words.next() {
        match word.as_str() {
            "--config" | "-config" | "-c" => {
                config = Some(words.next().ok_or(LaunchError::CheckUsage)?);
            }
            "--repair" | "-repair" => check.repair = true,
            "--json" | "-json" => check.json = true,
            directory if check.directory.is_empty() && !directory.starts_with('-') => {
                check.directory = String::from(directory);
            }
            _ => return Err(LaunchError::CheckUsage),
        }
    }
    if check.directory.is_empty() {
        return Err(LaunchError::CheckUsage);
    }
    if let Some(path) = config {
        check.encryption = from_file(path, false, None, around)?
            .options
            .jetstream
            .encryption;
    }
    Ok(check)
}

fn serve(mut setup: Setup) -> Result<Launch, LaunchError> {
    check::settle(&mut setup.options)?;
    let refused: Vec<_> = setup.unsupported.iter().filter(|u| u.refuse).collect();
    if !refused.is_empty() {
        let refused = refused.into_iter().cloned().collect();
        return Err(LaunchError::Refused(refused));
    }
    Ok(Launch::Serve(Box::new(setup)))
}

fn asked_to_print(program: &str, line: &CommandLine) -> Result<Option<String>, LaunchError> {
    if line.is_on(CliFlag::Version) {
        return Ok(Some(help::version(program)));
    }
    if line.is_on(CliFlag::Help) {
        return Ok(Some(help::usage(program)));
    }
    if line.is_on(CliFlag::HelpTls) {
        return Ok(Some(String::from(help::TLS)));
    }
    match line.words.first() {
        None => Ok(None),
        Some(word) if word.eq_ignore_ascii_case("version") => Ok(Some(help::version(program))),
        Some(word) if word.eq_ignore_ascii_case("help") => Ok(Some(help::usage(program))),
        // nats-server has no such commands.
        Some(word) if program != NATS_SERVER => pages::command(program, &line.words)
            .ok_or_else(|| LaunchError::Command(word.clone()))
            .map(Some),
        Some(word) => Err(LaunchError::Command(word.clone())),
    }
}

fn from_file(
    path: &str,
    check_only: bool,
    store_dir: Option<&str>,
    around: &mut dyn Surroundings,
) -> Result<Setup, LaunchError> {
    let map = parse_file(path, around)?;
    let mut checked = check::check_beside(&map, store_dir, around);
    // Who asks whether the file is right wants to hear of what is only odd, too.
    if check_only || !checked.errors.is_empty() {
        checked.errors.append(&mut checked.warnings);
    }
    if !checked.errors.is_empty() {
        return Err(LaunchError::Values(checked.errors));
    }
    // What does not go together is found at the start, here as there.
    if let Some(error) = checked.inconsistent
        && !check_only
    {
        return Err(error.into());
    }
    Ok(Setup {
        options: checked.options,
        config: Some(ConfigFile {
            path: path.to_string(),
            digest: digest(&map),
        }),
        warnings: checked.warnings,
        unsupported: checked.unsupported,
    })
}

/// What Memphis' users expect: its ports, its user, its payload size; nothing else listens but
/// monitoring.
fn without_arguments(around: &mut dyn Surroundings) -> Setup {
    let mut options = Options {
        listen: None,
        memphis: Some(Draft::as_memphis().finish(around)),
        http: Some(Listen {
            host: String::new(),
            port: 8222,
        }),
        ..Options::default()
    };
    options.limits.payload_max = MEMPHIS_PAYLOAD_MAX;
    options.jetstream.store_dir = Some(String::from(MEMPHIS_STORE_DIR));
    Setup {
        options,
        config: None,
        warnings: Vec::new(),
        unsupported: Vec::new(),
    }
}

fn prefix(host: &str) -> String {
    match host {
        "" => String::new(),
        host => alloc::format!("address {host}: "),
    }
}

fn lines(findings: &[Finding]) -> String {
    let lines: Vec<String> = findings.iter().map(ToString::to_string).collect();
    lines.join("\n")
}

fn refusal(unsupported: &[Unsupported]) -> String {
    let keys: Vec<String> = unsupported.iter().map(ToString::to_string).collect();
    alloc::format!(
        "not supported yet, and unsafe to ignore: {}",
        keys.join(", ")
    )
}

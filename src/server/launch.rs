//! From the process' arguments, files and environment to what it does: prints, signals another
//! process, or serves. The decisions are `config::load`'s.
//!
//! *Invariant:* nothing has been started or changed when [`launch`] returns [`Next::Serve`].

use std::io::Write as _;
use std::path::Path;

use config::error::ParseError;
use config::options::Tls;
use config::{Launch, LaunchError, Setup, Surroundings};

use crate::{check, import, reason, signal_sender, tls, token_files};

/// What `main` does next.
#[derive(Debug)]
pub enum Next {
    /// Serve.
    Serve(Box<Setup>, CommandLine),
    /// End with this exit code.
    Exit(u8),
}

/// How the process was started, which it needs again when the configuration is read again.
#[derive(Clone, Debug)]
pub struct CommandLine {
    /// The file name that the program was started under.
    pub program: String,
    /// What followed it.
    pub args: Vec<String>,
}

/// Works out what the process is to do, and does all of it that is not serving.
#[must_use]
pub fn launch() -> Next {
    let args = std::env::args_os().skip(1);
    let args: Vec<String> = args.map(|arg| arg.to_string_lossy().into_owned()).collect();
    let program = program_name();
    if let [word, rest @ ..] = args.as_slice()
        && word == "import"
        && program != config::NATS_SERVER
    {
        return Next::Exit(import::run(rest));
    }
    match config::load(&program, &args, &mut Process) {
        Ok(Launch::Serve(setup)) => {
            for warning in &setup.warnings {
                complain(&format!("{program}: {warning}\n"));
            }
            Next::Serve(setup, CommandLine { program, args })
        }
        Ok(Launch::Print(text)) => {
            print(&text);
            Next::Exit(0)
        }
        Ok(Launch::Report(text)) => {
            complain(&text);
            Next::Exit(0)
        }
        Ok(Launch::CheckStore(check)) => {
            let (said, code) = check::run(&check);
            match said {
                Ok(text) => print(&text),
                Err(error) => complain(&format!("{program}: {error}\n")),
            }
            Next::Exit(code)
        }
        Ok(Launch::Signal { command, target }) => {
            match signal_sender::send(&program, &command, target.as_deref()) {
                Ok(()) => Next::Exit(0),
                Err(error) => fail(&program, &error),
            }
        }
        // nats-server ends with 0 after it has shown how it is used.
        Err(LaunchError::Flags { error, usage }) => {
            complain(&format!("{error}\n"));
            print(&usage);
            Next::Exit(0)
        }
        // As nats-server, which ends its list of findings itself.
        Err(error @ (LaunchError::Values(_) | LaunchError::Parse(ParseError::Empty(_)))) => {
            fail(&program, &format_args!("{error}\n"))
        }
        Err(error) => fail(&program, &error),
    }
}

fn fail(program: &str, error: &dyn core::fmt::Display) -> Next {
    complain(&format!("{program}: {error}\n"));
    Next::Exit(1)
}

/// Returns the file name that the program was started under.
pub(crate) fn program_name() -> String {
    let arg0 = std::env::args_os().next().unwrap_or_default();
    name_of(Path::new(&arg0))
}

fn name_of(arg0: &Path) -> String {
    let name = arg0.file_stem();
    name.map_or_else(|| "beale".to_owned(), |n| n.to_string_lossy().into_owned())
}

/// A closed output is no reason to fail: there is nobody left to tell.
fn print(text: &str) {
    drop(std::io::stdout().lock().write_all(text.as_bytes()));
}

fn complain(text: &str) {
    drop(std::io::stderr().lock().write_all(text.as_bytes()));
}

/// The real files and variables.
pub(crate) struct Process;

impl Surroundings for Process {
    fn read(&mut self, path: &str) -> Result<String, String> {
        let bytes = std::fs::read(path).map_err(|e| reason(&e))?;
        String::from_utf8(bytes).map_err(|_| "not UTF-8 text".to_owned())
    }

    fn variable(&mut self, name: &str) -> Option<String> {
        std::env::var(name).ok()
    }

    fn seconds(&mut self) -> i64 {
        let seconds = crate::clock::system_wall().0 / 1_000_000_000;
        i64::try_from(seconds).unwrap_or(i64::MAX)
    }

    fn tokens(&mut self, directory: &str) -> Result<Vec<String>, String> {
        token_files::read(Path::new(directory)).map_err(|e| reason(&e))
    }

    fn check_tls(&mut self, tls: &Tls) -> Result<String, String> {
        tls::check(tls).map_err(|error| error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_program_is_known_by_its_file_name() {
        assert_eq!(name_of(Path::new("/usr/bin/nats-server")), "nats-server");
        assert_eq!(name_of(Path::new("./beale")), "beale");
        assert_eq!(name_of(Path::new("")), "beale");
    }

    #[test]
    fn files_that_cannot_be_read_are_told_in_lower_case() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let missing = dir.path().join("nope.conf");
        let read = Process.read(&missing.to_string_lossy());
        assert_eq!(read, Err("no such file or directory".to_owned()));
    }
}

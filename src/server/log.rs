//! The log: on standard error, in a file or in syslog, in nats-server's format, because tools wait for
//! its lines.

use core::cell::RefCell;
use core::fmt::Display;
use std::io::{self, Write};
use std::rc::Rc;

use broker::{Level, LogLine};
use config::options::Logging;
use protocol::text::rfc3339::Rfc3339;
use protocol::time::Wall;

use crate::clock::system_wall;
use crate::log_file::LogFile;
use crate::reason;
use crate::syslog::{Severity, Syslog};

/// Writes lines.
#[derive(Clone, Debug)]
pub struct Logger {
    pid: u32,
    /// What a reload of the configuration changes.
    output: Rc<RefCell<Output>>,
}

#[derive(Debug)]
struct Output {
    options: Logging,
    sink: Sink,
}

/// Where lines go.
#[derive(Debug)]
enum Sink {
    Stderr,
    File(LogFile),
    Syslog(Syslog),
}

impl Sink {
    fn open(options: &Logging, program: &str) -> io::Result<Self> {
        let because = |what: &str, error: io::Error| {
            io::Error::new(error.kind(), format!("error {what}: {}", reason(&error)))
        };
        if let Some(path) = &options.file {
            let file = LogFile::open(path, options);
            let what = format!("opening file: open {path}");
            return file.map(Self::File).map_err(|e| because(&what, e));
        }
        let syslog = match &options.remote_syslog {
            Some(url) => Syslog::remote(url, program),
            None if options.syslog => Syslog::local(program),
            None => return Ok(Self::Stderr),
        };
        let syslog = syslog.map(Self::Syslog);
        syslog.map_err(|e| because("connecting to syslog", e))
    }
}

/// What a line is for, as nats-server tags it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tag {
    Info,
    Warn,
    Error,
    Fatal,
    Debug,
    Trace,
}

impl Tag {
    fn text(self) -> &'static str {
        match self {
            Self::Info => "INF",
            Self::Warn => "WRN",
            Self::Error => "ERR",
            Self::Fatal => "FTL",
            Self::Debug => "DBG",
            Self::Trace => "TRC",
        }
    }

    fn severity(self) -> Severity {
        match self {
            Self::Info | Self::Trace => Severity::Notice,
            Self::Warn => Severity::Warning,
            Self::Error => Severity::Error,
            Self::Fatal => Severity::Critical,
            Self::Debug => Severity::Debug,
        }
    }
}

impl Logger {
    /// Returns the logger that the configuration asks for.
    ///
    /// # Errors
    /// When the file or syslog cannot be opened.
    pub fn open(options: &Logging, program: &str) -> io::Result<Self> {
        let sink = Sink::open(options, program)?;
        Ok(Self::with(sink, options))
    }

    /// Says on standard error why there is no log.
    pub(crate) fn complain(why: impl Display) {
        let now = stamp(system_wall());
        let seconds = now.split('.').next().unwrap_or_default();
        let line = format!("{seconds} {why}\n");
        // Nobody is left to tell when that is closed.
        drop(io::stderr().lock().write_all(line.as_bytes()));
    }

    fn with(sink: Sink, options: &Logging) -> Self {
        let options = options.clone();
        Self {
            pid: std::process::id(),
            output: Rc::new(RefCell::new(Output { options, sink })),
        }
    }

    /// Goes on as another configuration says. Lines stay where they are when the new place cannot be
    /// opened.
    pub fn change(&self, options: &Logging, program: &str) {
        let mut output = self.output.borrow_mut();
        let place = |o: &Logging| (o.file.clone(), o.syslog, o.remote_syslog.clone());
        let moves = place(&output.options) != place(options);
        output.options = options.clone();
        if !moves {
            return;
        }
        match Sink::open(options, program) {
            Ok(sink) => output.sink = sink,
            Err(error) => {
                drop(output);
                self.error(error);
            }
        }
    }

    /// Opens the file again, because somebody has moved it away.
    pub fn reopen(&self) {
        let mut output = self.output.borrow_mut();
        match &mut output.sink {
            Sink::File(file) => file.reopen(),
            Sink::Stderr | Sink::Syslog(_) => {
                drop(output);
                return self.info("File log re-open ignored, not a file logger");
            }
        }
        drop(output);
        self.info("File log re-opened");
    }

    /// Writes a line for operators.
    pub fn info(&self, text: impl Display) {
        self.write(Tag::Info, &text);
    }

    /// Writes a line that somebody may want to look at.
    pub fn warn(&self, text: impl Display) {
        self.write(Tag::Warn, &text);
    }

    /// Writes a line about something that failed.
    pub fn error(&self, text: impl Display) {
        self.write(Tag::Error, &text);
    }

    /// Writes the last line before the process gives up.
    pub fn fatal(&self, text: impl Display) {
        self.write(Tag::Fatal, &text);
    }

    /// Writes a line for whoever debugs.
    pub fn debug(&self, text: impl Display) {
        if self.output.borrow().options.debug {
            self.write(Tag::Debug, &text);
        }
    }

    /// Writes a line of the shard's.
    pub fn line(&self, line: &LogLine) {
        match line.level {
            Level::Info => self.info(&line.text),
            Level::Warn => self.warn(&line.text),
            Level::Error => self.error(&line.text),
            Level::Debug => self.debug(&line.text),
            Level::Trace => self.write(Tag::Trace, &line.text),
        }
    }

    fn write(&self, tag: Tag, text: &dyn Display) {
        let mut output = self.output.borrow_mut();
        let now = system_wall();
        let stamp = match output.options.logtime {
            true => stamp(now),
            false => String::new(),
        };
        let pid = self.pid;
        let line = || format!("[{pid}] {stamp}[{}] {text}\n", tag.text());
        match &mut output.sink {
            // A closed standard error is no reason to stop serving.
            Sink::Stderr => drop(io::stderr().lock().write_all(line().as_bytes())),
            Sink::File(file) => file.write(&line(), &file_stamp(now)),
            Sink::Syslog(syslog) => syslog.write(tag.severity(), &text.to_string(), now),
        }
    }
}

/// Returns `2006/01/02 15:04:05.000000 ` in UTC.
fn stamp(now: Wall) -> String {
    const SECOND_NS: u64 = 1_000_000_000;
    let whole = Rfc3339(Wall(now.0 / SECOND_NS * SECOND_NS)).to_string();
    let date_time = whole.trim_end_matches('Z').replace('-', "/");
    let micros = now.0 % SECOND_NS / 1000;
    format!("{}.{micros:06} ", date_time.replace('T', " "))
}

/// Returns `2006.01.02.15.04.05.000000000`, which names a rotated file.
fn file_stamp(now: Wall) -> String {
    let whole = stamp(now);
    let date_time = whole.split('.').next().unwrap_or_default();
    let date_time = date_time.replace(['/', ' ', ':'], ".");
    format!("{date_time}.{:09}", now.0 % 1_000_000_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rotated_files_are_named_by_their_time() {
        let at = Wall(1_136_214_245_000_123_456);
        assert_eq!(file_stamp(at), "2006.01.02.15.04.05.000123456");
    }

    #[test]
    fn times_look_like_nats_servers() {
        let at = Wall(1_136_214_245_000_123_456);
        assert_eq!(stamp(at), "2006/01/02 15:04:05.000123 ");
    }

    #[test]
    fn lines_go_where_another_configuration_sends_them() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = |name: &str| folder.path().join(name).to_string_lossy().into_owned();
        let into = |name: &str| Logging {
            file: Some(path(name)),
            logtime: false,
            ..Logging::default()
        };
        let log = Logger::open(&into("a"), "beale").expect("opens");
        log.info("one");
        log.debug("left out");
        log.change(&into("b"), "beale");
        log.info("two");
        log.change(&into("no/such/folder"), "beale");
        let read = |name: &str| std::fs::read_to_string(path(name)).expect("reads");
        let pid = std::process::id();
        assert_eq!(read("a"), format!("[{pid}] [INF] one\n"));
        let start = format!("[{pid}] [INF] two\n[{pid}] [ERR] error opening file: ");
        assert!(read("b").starts_with(&start), "{}", read("b"));
    }
}

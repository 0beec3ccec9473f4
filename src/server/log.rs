//! The log on standard error or in a file, in nats-server's format, because tools wait for its lines.

use core::cell::RefCell;
use core::fmt::Display;
use std::io::Write;
use std::rc::Rc;

use broker::{Level, LogLine};
use protocol::text::rfc3339::Rfc3339;
use protocol::time::Wall;

use crate::clock::system_wall;
use crate::log_file::LogFile;

/// Writes lines.
#[derive(Clone, Debug)]
pub struct Logger {
    pid: u32,
    /// Whether lines carry the time.
    time: bool,
    /// Whether lines for debugging are written.
    debug: bool,
    /// Where lines go instead of standard error.
    file: Option<Rc<RefCell<LogFile>>>,
}

impl Logger {
    /// Returns the logger that the configuration asks for.
    #[must_use]
    pub fn new(options: &config::options::Logging) -> Self {
        let mut logger = Self {
            pid: std::process::id(),
            time: options.logtime,
            debug: options.debug || options.trace,
            file: None,
        };
        if let Some(path) = &options.file {
            match LogFile::open(path, options) {
                Ok(file) => logger.file = Some(Rc::new(RefCell::new(file))),
                Err(error) => logger.error(format!("Opening the log file {path}: {error}")),
            }
        }
        logger
    }

    /// Opens the file again, because somebody has moved it away.
    pub fn reopen(&self) {
        if let Some(file) = &self.file {
            file.borrow_mut().reopen();
        }
    }

    /// Writes a line for operators.
    pub fn info(&self, text: impl Display) {
        self.write("INF", &text);
    }

    /// Writes a line that somebody may want to look at.
    pub fn warn(&self, text: impl Display) {
        self.write("WRN", &text);
    }

    /// Writes a line about something that failed.
    pub fn error(&self, text: impl Display) {
        self.write("ERR", &text);
    }

    /// Writes the last line before the process gives up.
    pub fn fatal(&self, text: impl Display) {
        self.write("FTL", &text);
    }

    /// Writes a line of the shard's.
    pub fn line(&self, line: &LogLine) {
        match line.level {
            Level::Info => self.info(&line.text),
            Level::Warn => self.warn(&line.text),
            Level::Error => self.error(&line.text),
            Level::Debug if self.debug => self.write("DBG", &line.text),
            Level::Debug => {}
        }
    }

    fn write(&self, tag: &str, text: &dyn Display) {
        let mut line = format!("[{}] ", self.pid);
        if self.time {
            line.push_str(&stamp(system_wall()));
        }
        line.push_str(&format!("[{tag}] {text}\n"));
        if let Some(file) = &self.file {
            file.borrow_mut().write(&line, &file_stamp(system_wall()));
            return;
        }
        // A closed standard error is no reason to stop serving.
        drop(std::io::stderr().lock().write_all(line.as_bytes()));
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
}

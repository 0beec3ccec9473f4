//! System logs: what the process says, and what the gateways of a tenant say of themselves.
//!
//! *Invariant:* a tenant sees what concerns it and nothing else; only the first one, whose root runs the
//! server, sees what the process says. What is kept is bounded, and ends with the process.

use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use protocol::id::AccountId;
use protocol::text::rfc3339::Rfc3339;
use protocol::time::Wall;
use serde_json::{Value, json};

use crate::request::Fields;

/// How many lines of an account can be looked at.
const LINES_MAX: usize = 1000;
/// How many lines are shown at a time, as in Memphis.
const SHOWN_MAX: usize = 100;
/// How long a line may be.
const TEXT_BYTES_MAX: usize = 4096;
/// How long the name of a source may be.
const SOURCE_BYTES_MAX: usize = 32;
/// What the broker is called as a source.
const BROKER: &str = "broker";

/// How much a line matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// For operators.
    Info,
    /// Somebody may want to look.
    Warn,
    /// Something was refused or has failed.
    Error,
}

impl Severity {
    const ALL: [Self; 3] = [Self::Info, Self::Warn, Self::Error];

    const fn name(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warn => "warn",
            Self::Error => "err",
        }
    }

    fn of(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

/// A line.
#[derive(Debug)]
struct Line {
    number: u64,
    at: Wall,
    severity: Severity,
    source: String,
    text: String,
}

/// What one account can look at.
#[derive(Debug, Default)]
pub(crate) struct Log {
    lines: VecDeque<Line>,
    last: u64,
}

/// The lines of all accounts.
#[derive(Debug, Default)]
pub(crate) struct Logs(BTreeMap<AccountId, Log>);

impl Logs {
    pub(crate) fn of(&self, account: AccountId) -> Option<&Log> {
        self.0.get(&account)
    }

    /// Takes what the broker says.
    pub(crate) fn broker(&mut self, account: AccountId, severity: Severity, text: &str, at: Wall) {
        let log = self.0.entry(account).or_default();
        log.push(severity, BROKER, text, at);
    }

    /// Takes what something else says under a name of its own: the part of the subject behind
    /// `$memphis_syslogs.`, `<source>.extern.<kind>`.
    pub(crate) fn outsider(&mut self, account: AccountId, topic: &str, body: &[u8], at: Wall) {
        let mut tokens = topic.split('.');
        let said = (tokens.next(), tokens.next(), tokens.next(), tokens.next());
        let (Some(source), Some("extern"), Some(kind), None) = said else {
            return;
        };
        let Some(severity) = Severity::of(kind) else {
            return;
        };
        // Nobody speaks in the broker's name.
        if source != BROKER && source.len() <= SOURCE_BYTES_MAX {
            let text = String::from_utf8_lossy(body);
            let log = self.0.entry(account).or_default();
            log.push(severity, source, text.trim_end(), at);
        }
    }
}

impl Log {
    fn push(&mut self, severity: Severity, source: &str, text: &str, at: Wall) {
        if self.lines.len() >= LINES_MAX {
            self.lines.pop_front();
        }
        self.last += 1;
        let end = text.floor_char_boundary(TEXT_BYTES_MAX);
        self.lines.push_back(Line {
            number: self.last,
            at,
            severity,
            source: source.into(),
            text: text.get(..end).unwrap_or_default().into(),
        });
    }

    /// Shows lines of a kind and a source, from a number on or else the newest.
    fn shown(&self, fields: &Fields) -> Vec<Value> {
        let severity = Severity::of(fields.text("log_type"));
        let source = fields.text("log_source");
        let wanted = self.lines.iter().filter(|line| {
            severity.is_none_or(|severity| line.severity == severity)
                && (source.is_empty() || line.source == source)
        });
        let from = fields.integer_if_set("start_index").unwrap_or(-1);
        let mut lines: Vec<&Line> = if let Ok(from) = u64::try_from(from) {
            let later = wanted.filter(|line| line.number >= from);
            later.take(SHOWN_MAX).collect()
        } else {
            wanted.rev().take(SHOWN_MAX).collect()
        };
        lines.sort_unstable_by_key(|line| line.number);
        lines.into_iter().map(Line::shown).collect()
    }
}

impl Line {
    fn shown(&self) -> Value {
        json!({
            "message_seq": self.number,
            "type": self.severity.name(),
            "source": self.source,
            "data": self.text,
            "created_at": format!("{}", Rfc3339(self.at)),
        })
    }
}

/// Shows the lines that are asked for.
pub(crate) fn shown(log: Option<&Log>, fields: &Fields) -> Value {
    let logs = log.map(|log| log.shown(fields));
    json!({"logs": logs.unwrap_or_default()})
}

/// Returns all lines as one text.
pub(crate) fn text(log: Option<&Log>) -> Value {
    let lines = log.into_iter().flat_map(|log| &log.lines);
    let text: String = lines
        .map(|line| {
            let (at, kind, text) = (Rfc3339(line.at), line.severity.name(), &line.text);
            match line.source.as_str() {
                BROKER => format!("{at} [{kind}] {text}\n"),
                source => format!("{at} [{kind}] {source}: {text}\n"),
            }
        })
        .collect();
    json!({ "text": text })
}

/// Returns what lines can be filtered by.
pub(crate) fn filters(log: Option<&Log>) -> Value {
    let lines = log.into_iter().flat_map(|log| &log.lines);
    let mut sources: BTreeSet<&str> = lines.map(|line| line.source.as_str()).collect();
    sources.insert(BROKER);
    json!({"type": Severity::ALL.map(Severity::name), "source": sources})
}

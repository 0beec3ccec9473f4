//! What can be wrong with a configuration.

use alloc::boxed::Box;
use alloc::string::String;

use crate::value::Pos;

/// A file that does not follow the grammar, or that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    /// The text breaks a rule of the grammar.
    #[error("Parse error on line {line}: '{reason}'")]
    Syntax {
        /// The line, from 1.
        line: u32,
        /// The rule.
        reason: String,
    },
    /// A file ends after a key.
    #[error("config is invalid ({0})")]
    KeyWithoutValue(Pos),
    /// A file holds nothing.
    #[error("{0}: config has no values or is empty")]
    Empty(String),
    /// An integer is beyond 64 bits.
    #[error("integer '{0}' is out of the range")]
    IntegerRange(String),
    /// A time is not one of the calendar.
    #[error("expected Zulu formatted DateTime, but got '{0}'")]
    Time(String),
    /// A variable is defined nowhere.
    #[error("variable reference for '{name}' on line {line} can not be found")]
    VariableMissing {
        /// The variable.
        name: String,
        /// The line, from 1.
        line: u32,
    },
    /// An environment variable's text is no value.
    #[error("variable reference for '{name}' on line {line} could not be parsed: {cause}")]
    Variable {
        /// The variable.
        name: String,
        /// The line, from 1.
        line: u32,
        /// What is wrong with it.
        cause: Box<ParseError>,
    },
    /// An environment variable refers to itself.
    #[error("variable reference cycle for '{0}'")]
    VariableCycle(String),
    /// An included file is not right.
    #[error("error parsing include file '{name}', {cause}")]
    Include {
        /// The name after `include`.
        name: String,
        /// What is wrong with it.
        cause: Box<ParseError>,
    },
    /// A file cannot be read; the text is the system's.
    #[error("{} {path}: {reason}", step(.reason))]
    Unreadable {
        /// The path.
        path: String,
        /// The system's reason.
        reason: String,
    },
}

/// A folder can be opened, but not read.
fn step(reason: &str) -> &'static str {
    match reason {
        "is a directory" => "read",
        _ => "open",
    }
}

/// Something about a value, with its place.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{at}: {reason}")]
pub struct Finding {
    /// The place.
    pub at: Pos,
    /// What is wrong.
    pub reason: String,
}

//! The command line of nats-server: long flags behind one dash or two (`-sd DIR`, `--sd=DIR`),
//! switches that take a value only after `=`, words such as `version` after the flags.
//!
//! An own parser, because clap reads `-sd` as the two flags `-s -d`, and scripts that start
//! nats-server depend on the spelling. *Invariant:* flags are applied in the order given, over what
//! the file says.

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::num::IntErrorKind;

mod apply;
mod flags;
pub(crate) mod help;
pub(crate) mod pages;
#[cfg(test)]
mod tests;

use flags::{FLAGS, Flag, Kind};

/// Why a command line cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FlagError {
    /// There is no such flag.
    #[error("flag provided but not defined: -{0}")]
    Undefined(String),
    /// The last flag lacks its value.
    #[error("flag needs an argument: -{0}")]
    NeedsArgument(String),
    /// The value is no number.
    #[error("invalid value {value:?} for flag -{flag}: parse error")]
    Number {
        /// The value.
        value: String,
        /// The flag.
        flag: String,
    },
    /// The value is a number beyond 64 bits.
    #[error("invalid value {value:?} for flag -{flag}: value out of range")]
    Range {
        /// The value.
        value: String,
        /// The flag.
        flag: String,
    },
    /// The value is neither true nor false.
    #[error("invalid boolean value {value:?} for -{flag}: parse error")]
    Switch {
        /// The value.
        value: String,
        /// The flag.
        flag: String,
    },
    /// There are too many dashes, or nothing before `=`.
    #[error("bad flag syntax: {0}")]
    Syntax(String),
}

/// A flag's value.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Given {
    Switch(bool),
    Number(i64),
    Text(String),
}

/// A command line, taken apart.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct CommandLine {
    given: Vec<(Flag, Given)>,
    /// What stands behind the flags.
    pub(crate) words: Vec<String>,
}

impl CommandLine {
    /// Takes the arguments apart, the program's name not among them.
    pub(crate) fn parse(args: &[String]) -> Result<Self, FlagError> {
        let mut line = Self::default();
        let mut rest = args.iter();
        while let Some(arg) = rest.next() {
            let dashes = arg.len() - arg.trim_start_matches('-').len();
            match (dashes, arg.as_str()) {
                (_, "--") => break,
                (0, _) | (_, "-") => {
                    line.words.push(arg.clone());
                    break;
                }
                (1 | 2, _) => {}
                _ => return Err(FlagError::Syntax(arg.clone())),
            }
            let body = arg.trim_start_matches('-');
            let (name, value) = match body.split_once('=') {
                Some((name, value)) => (name, Some(value)),
                None => (body, None),
            };
            if name.is_empty() {
                return Err(FlagError::Syntax(arg.clone()));
            }
            let spec = FLAGS.iter().find(|spec| spec.0 == name);
            let &(_, flag, kind) = spec.ok_or_else(|| FlagError::Undefined(name.to_owned()))?;
            let given = match (kind, value) {
                (Kind::Switch, None) => Given::Switch(true),
                (Kind::Switch, Some(value)) => switch(name, value)?,
                (Kind::Number | Kind::Text, Some(value)) => argument(kind, name, value)?,
                (Kind::Number | Kind::Text, None) => {
                    let value = rest.next();
                    let value = value.ok_or_else(|| FlagError::NeedsArgument(name.to_owned()))?;
                    argument(kind, name, value)?
                }
            };
            line.given.push((flag, given));
        }
        line.words.extend(rest.cloned());
        Ok(line)
    }

    /// Tells whether a switch is on; the last mention counts.
    pub(crate) fn is_on(&self, flag: Flag) -> bool {
        self.last(flag) == Some(&Given::Switch(true))
    }

    /// Returns a flag's text when it has one that is not empty.
    pub(crate) fn text(&self, flag: Flag) -> Option<&str> {
        match self.last(flag) {
            Some(Given::Text(text)) if !text.is_empty() => Some(text),
            _ => None,
        }
    }

    fn last(&self, flag: Flag) -> Option<&Given> {
        let found = self.given.iter().rev().find(|(f, _)| *f == flag);
        found.map(|(_, given)| given)
    }
}

pub(crate) use flags::Flag as CliFlag;

fn switch(name: &str, value: &str) -> Result<Given, FlagError> {
    match value {
        "1" | "t" | "T" | "TRUE" | "true" | "True" => Ok(Given::Switch(true)),
        "0" | "f" | "F" | "FALSE" | "false" | "False" => Ok(Given::Switch(false)),
        _ => Err(FlagError::Switch {
            value: value.to_owned(),
            flag: name.to_owned(),
        }),
    }
}

fn argument(kind: Kind, name: &str, value: &str) -> Result<Given, FlagError> {
    if kind == Kind::Text {
        return Ok(Given::Text(value.to_owned()));
    }
    number(value).map(Given::Number).map_err(|why| match why {
        NotANumber::Syntax => FlagError::Number {
            value: value.to_owned(),
            flag: name.to_owned(),
        },
        NotANumber::Range => FlagError::Range {
            value: value.to_owned(),
            flag: name.to_owned(),
        },
    })
}

/// Why a text is no number.
enum NotANumber {
    Syntax,
    Range,
}

/// Reads a number as it is written in Go: with a base before it, and with `_` between digits.
fn number(value: &str) -> Result<i64, NotANumber> {
    let (sign, digits) = match value.strip_prefix(['-', '+']) {
        Some(digits) => (value.split_at(1).0, digits),
        None => ("", value),
    };
    let lower = digits.to_ascii_lowercase();
    let (base, digits) = match lower.as_bytes() {
        [b'0', b'x', ..] => (16, lower.split_at(2).1),
        [b'0', b'o', ..] => (8, lower.split_at(2).1),
        [b'0', b'b', ..] => (2, lower.split_at(2).1),
        [b'0', _, ..] => (8, lower.split_at(1).1),
        _ => (10, lower.as_str()),
    };
    let between = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric());
    // Behind a base there may be one at once.
    let grouped = digits
        .strip_prefix('_')
        .filter(|_| base != 10)
        .unwrap_or(digits);
    if !grouped.split('_').all(between) {
        return Err(NotANumber::Syntax);
    }
    let digits = grouped.replace('_', "");
    let read = i64::from_str_radix(&format!("{sign}{digits}"), base);
    read.map_err(|error| {
        let too_large = [IntErrorKind::PosOverflow, IntErrorKind::NegOverflow];
        match too_large.contains(error.kind()) {
            true => NotANumber::Range,
            false => NotANumber::Syntax,
        }
    })
}

//! Whether a subject transform can work: `a.*` to `b.{{wildcard(1)}}`.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use crate::subject;

/// Why a transform cannot work.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TransformError {
    /// Source and destination are no subjects, or do not fit each other.
    #[error("invalid subject")]
    Subject,
    /// A token of the destination is wrong.
    #[error("invalid mapping destination: {reason} in {token}")]
    Destination {
        /// What is wrong.
        reason: &'static str,
        /// The token.
        token: String,
    },
    /// The destination is wrong as a whole.
    #[error("invalid mapping destination: invalid transform")]
    Whole,
}

const UNKNOWN_FUNCTION: &str = "unknown function";
const OUT_OF_RANGE: &str = "wildcard index out of range";
const NOT_ENOUGH_ARGS: &str = "not enough arguments passed to the function";
const TOO_MANY_ARGS: &str = "too many arguments passed to the function";
const INVALID_ARG: &str = "function argument is invalid or in the wrong format";

/// Checks a transform. An empty source is every subject; an empty destination changes nothing.
///
/// # Errors
/// When the destination is no subject, calls a function that does not exist or calls it wrongly, or
/// needs wildcards that the source does not have.
pub fn check_transform(src: &str, dest: &str) -> Result<(), TransformError> {
    if dest.is_empty() {
        return Ok(());
    }
    check_destination(dest)?;
    check_placeholders(src, dest)
}

/// Checks only what a transform needs to be made, as republishing does.
pub(super) fn check_placeholders(src: &str, dest: &str) -> Result<(), TransformError> {
    if dest.is_empty() {
        return Ok(());
    }
    let src = if src.is_empty() { ">" } else { src };
    let ends = |pattern: &str| pattern == ">" || pattern.ends_with(".>");
    let well_formed =
        subject::is_well_formed(src.as_bytes()) && subject::is_well_formed(dest.as_bytes());
    if !well_formed || dest.split('.').any(|token| token == "*") || ends(src) != ends(dest) {
        return Err(TransformError::Subject);
    }
    let wildcards = src.split('.').filter(|token| *token == "*").count();
    let has_wildcards = wildcards > 0 || ends(src);
    for token in dest.split('.') {
        check_token(token, wildcards, has_wildcards)?;
    }
    Ok(())
}

fn check_destination(dest: &str) -> Result<(), TransformError> {
    let mut ended = false;
    for token in dest.split('.') {
        if token.is_empty() {
            return Err(TransformError::Whole);
        }
        if ended {
            return Err(refuse("invalid transform", token));
        }
        if let Some(call) = Call::parse(token) {
            if call.is_none() {
                return Err(refuse(UNKNOWN_FUNCTION, token));
            }
        } else if token == ">" {
            ended = true;
        } else if token.contains(['\t', '\n', '\u{c}', '\r', ' ']) {
            return Err(TransformError::Whole);
        }
    }
    Ok(())
}

fn check_token(token: &str, wildcards: usize, has_wildcards: bool) -> Result<(), TransformError> {
    let in_range = |index: i64| usize::try_from(index).is_ok_and(|index| index <= wildcards);
    let (indexes, is_partition) = match token.strip_prefix('$') {
        // Other tokens that start so are plain text.
        Some(digits) => (digits.parse().ok().into_iter().collect(), false),
        None => match Call::parse(token) {
            Some(None) => return Err(refuse(UNKNOWN_FUNCTION, token)),
            Some(Some(call)) => (
                call.wildcard_indexes(token)?,
                call.function == Function::Partition,
            ),
            None => return Ok(()),
        },
    };
    for index in indexes {
        if !has_wildcards && !is_partition {
            return Err(refuse(OUT_OF_RANGE, token));
        }
        if has_wildcards && index > 0 && !in_range(index) {
            return Err(refuse(OUT_OF_RANGE, &format!("{token}: [{index}]")));
        }
    }
    Ok(())
}

fn refuse(reason: &'static str, token: &str) -> TransformError {
    TransformError::Destination {
        reason,
        token: token.into(),
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Function {
    Wildcard,
    Partition,
    /// A wildcard and a number.
    Indexed,
    Split,
    Random,
}

/// A function in double braces.
struct Call<'a> {
    function: Function,
    args: Vec<&'a str>,
}

impl<'a> Call<'a> {
    /// Returns nothing if the token is no call, and `Some(None)` if no such function exists.
    fn parse(token: &'a str) -> Option<Option<Self>> {
        if token.len() <= 4 {
            return None;
        }
        let inner = token.strip_prefix("{{")?.strip_suffix("}}")?;
        Some(Self::parse_inner(inner.trim()))
    }

    fn parse_inner(inner: &'a str) -> Option<Self> {
        let (name, args) = inner.strip_suffix(')')?.split_once('(')?;
        let function = match name.trim_end() {
            "wildcard" | "Wildcard" => Function::Wildcard,
            "partition" | "Partition" => Function::Partition,
            "split" | "Split" => Function::Split,
            "random" | "Random" => Function::Random,
            "left" | "Left" | "right" | "Right" => Function::Indexed,
            other => match other.to_ascii_lowercase().as_str() {
                "splitfromleft" | "splitfromright" | "slicefromleft" | "slicefromright" => {
                    Function::Indexed
                }
                _ => return None,
            },
        };
        let args = args.split(',').enumerate();
        let args = args
            .map(|(i, arg)| if i == 0 { arg } else { arg.trim_start() })
            .collect();
        Some(Self { function, args })
    }

    /// Checks the arguments and returns those that are wildcards of the source.
    fn wildcard_indexes(&self, token: &str) -> Result<Vec<i64>, TransformError> {
        let number = |arg: &str| {
            arg.trim_matches(' ')
                .parse::<i64>()
                .map_err(|_| refuse(INVALID_ARG, token))
        };
        let small = |arg: &str| {
            number(arg).and_then(|n| i32::try_from(n).map_err(|_| refuse(INVALID_ARG, token)))
        };
        let numbers = |args: &[&str]| args.iter().map(|arg| number(arg)).collect();
        match (self.function, self.args.as_slice()) {
            (Function::Wildcard, [""]) => Err(refuse(NOT_ENOUGH_ARGS, token)),
            (Function::Wildcard, [index]) => numbers(&[*index]),
            (Function::Partition, [count, indexes @ ..]) => {
                small(count)?;
                numbers(indexes)
            }
            (Function::Random, [max]) => small(max).map(|_| Vec::new()),
            (Function::Random, _) => Err(refuse(NOT_ENOUGH_ARGS, token)),
            (Function::Split, [index, delimiter]) => {
                let indexes = numbers(&[*index])?;
                if delimiter.contains([' ', '.']) {
                    return Err(refuse(INVALID_ARG, token));
                }
                Ok(indexes)
            }
            (Function::Indexed, [index, value]) => {
                let indexes = numbers(&[*index])?;
                small(value)?;
                Ok(indexes)
            }
            (_, [] | [_]) => Err(refuse(NOT_ENOUGH_ARGS, token)),
            (_, [_, _, ..]) => Err(refuse(TOO_MANY_ARGS, token)),
        }
    }
}

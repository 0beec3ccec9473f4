//! The tokens of a destination: plain text, `$1`, and functions in double braces.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

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

pub(super) const UNKNOWN_FUNCTION: &str = "unknown function";
pub(super) const OUT_OF_RANGE: &str = "wildcard index out of range";
const NOT_ENOUGH_ARGS: &str = "not enough arguments passed to the function";
const TOO_MANY_ARGS: &str = "too many arguments passed to the function";
const INVALID_ARG: &str = "function argument is invalid or in the wrong format";

/// What is done with one wildcard's token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Cut {
    /// It is copied.
    Whole,
    /// A dot after that many characters.
    SplitFromLeft(usize),
    /// A dot before the last that many characters.
    SplitFromRight(usize),
    /// A dot after every that many characters.
    SliceFromLeft(usize),
    /// The same, counted from the end.
    SliceFromRight(usize),
    /// The first that many characters.
    Left(usize),
    /// The last that many characters.
    Right(usize),
    /// Dots instead of the delimiter.
    Split(Box<str>),
}

/// A token of the destination that is not plain text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Function {
    /// Something made from a wildcard's token.
    Wildcard { index: i64, cut: Cut },
    /// A hash of wildcards, or of the whole subject.
    Partition { count: i32, indexes: Vec<i64> },
    /// A random number.
    Random { count: i32 },
}

pub(super) fn refuse(reason: &'static str, token: &str) -> TransformError {
    TransformError::Destination {
        reason,
        token: token.into(),
    }
}

impl Function {
    /// Returns the function that a token calls; nothing for plain text.
    ///
    /// # Errors
    /// If there is no such function, or its arguments are wrong.
    pub(super) fn parse(token: &str) -> Result<Option<Self>, TransformError> {
        if let Some(digits) = token.strip_prefix('$') {
            // Other tokens that start so are plain text.
            let index = digits.parse().ok();
            return Ok(index.map(|index| Self::Wildcard {
                index,
                cut: Cut::Whole,
            }));
        }
        match Call::parse(token) {
            None => Ok(None),
            Some(None) => Err(refuse(UNKNOWN_FUNCTION, token)),
            Some(Some(call)) => call.resolve(token).map(Some),
        }
    }

    /// Checks that the source has the wildcards; without any, only the subject as a whole can be used.
    ///
    /// # Errors
    /// If it does not.
    pub(super) fn check(
        &self,
        token: &str,
        wildcards: usize,
        has_wildcards: bool,
    ) -> Result<(), TransformError> {
        let (indexes, needs_wildcards) = match self {
            Self::Wildcard { index, .. } => (core::slice::from_ref(index), true),
            Self::Partition { indexes, .. } => (indexes.as_slice(), false),
            Self::Random { .. } => (&[][..], false),
        };
        if !has_wildcards {
            return if needs_wildcards {
                Err(refuse(OUT_OF_RANGE, token))
            } else {
                Ok(())
            };
        }
        for &index in indexes {
            if index > 0 && usize::try_from(index).is_ok_and(|index| index > wildcards) {
                return Err(refuse(OUT_OF_RANGE, &format!("{token}: [{index}]")));
            }
        }
        Ok(())
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Name {
    Wildcard,
    Partition,
    Random,
    Split,
    SplitFromLeft,
    SplitFromRight,
    SliceFromLeft,
    SliceFromRight,
    Left,
    Right,
}

/// A function in double braces.
pub(super) struct Call<'a> {
    name: Name,
    args: Vec<&'a str>,
}

impl<'a> Call<'a> {
    /// Returns nothing if the token is no call, and `Some(None)` if no such function exists.
    pub(super) fn parse(token: &'a str) -> Option<Option<Self>> {
        if token.len() <= 4 {
            return None;
        }
        let inner = token.strip_prefix("{{")?.strip_suffix("}}")?;
        Some(Self::parse_inner(inner.trim()))
    }

    fn parse_inner(inner: &'a str) -> Option<Self> {
        let (name, args) = inner.strip_suffix(')')?.split_once('(')?;
        let name = match name.trim_end() {
            "wildcard" | "Wildcard" => Name::Wildcard,
            "partition" | "Partition" => Name::Partition,
            "split" | "Split" => Name::Split,
            "random" | "Random" => Name::Random,
            "left" | "Left" => Name::Left,
            "right" | "Right" => Name::Right,
            other => match other.to_ascii_lowercase().as_str() {
                "splitfromleft" => Name::SplitFromLeft,
                "splitfromright" => Name::SplitFromRight,
                "slicefromleft" => Name::SliceFromLeft,
                "slicefromright" => Name::SliceFromRight,
                _ => return None,
            },
        };
        let args = args.split(',').enumerate();
        let args = args
            .map(|(i, arg)| if i == 0 { arg } else { arg.trim_start() })
            .collect();
        Some(Self { name, args })
    }

    fn resolve(&self, token: &str) -> Result<Function, TransformError> {
        let number = |arg: &str| {
            arg.trim_matches(' ')
                .parse::<i64>()
                .map_err(|_| refuse(INVALID_ARG, token))
        };
        let small = |arg: &str| {
            number(arg).and_then(|n| i32::try_from(n).map_err(|_| refuse(INVALID_ARG, token)))
        };
        match (self.name, self.args.as_slice()) {
            (Name::Wildcard, [""]) => Err(refuse(NOT_ENOUGH_ARGS, token)),
            (Name::Wildcard, [index]) => Ok(Function::Wildcard {
                index: number(index)?,
                cut: Cut::Whole,
            }),
            (Name::Partition, [count, indexes @ ..]) => Ok(Function::Partition {
                count: small(count)?,
                indexes: indexes
                    .iter()
                    .map(|i| number(i))
                    .collect::<Result<_, _>>()?,
            }),
            (Name::Random, [count]) => Ok(Function::Random {
                count: small(count)?,
            }),
            (Name::Random, _) | (_, [] | [_]) => Err(refuse(NOT_ENOUGH_ARGS, token)),
            (Name::Wildcard, [_, _, ..]) | (_, [_, _, _, ..]) => Err(refuse(TOO_MANY_ARGS, token)),
            (name, [index, value]) => {
                let index = number(index)?;
                let cut = if name == Name::Split {
                    if value.contains([' ', '.']) {
                        return Err(refuse(INVALID_ARG, token));
                    }
                    Cut::Split(Box::from(*value))
                } else {
                    // Nothing is cut at a negative place, nor at zero.
                    cut(name, usize::try_from(small(value)?).unwrap_or(0))
                };
                Ok(Function::Wildcard { index, cut })
            }
        }
    }
}

fn cut(name: Name, at: usize) -> Cut {
    match name {
        Name::SplitFromLeft => Cut::SplitFromLeft(at),
        Name::SplitFromRight => Cut::SplitFromRight(at),
        Name::SliceFromLeft => Cut::SliceFromLeft(at),
        Name::SliceFromRight => Cut::SliceFromRight(at),
        Name::Left => Cut::Left(at),
        Name::Right => Cut::Right(at),
        Name::Wildcard | Name::Partition | Name::Random | Name::Split => Cut::Whole,
    }
}

//! Subject transforms: `a.*` to `b.{{wildcard(1)}}`. Mappings, streams and republishing use them.
//!
//! *Invariant:* the result is nats-server's, byte for byte; clients calculate partitions themselves.
//! What a transform needs is found when it is made; applying one allocates nothing of its own.

mod call;

use alloc::boxed::Box;
use alloc::vec::Vec;

use crate::rng::Rng;
use crate::subject;

pub use call::TransformError;
use call::{Call, Cut, Function, UNKNOWN_FUNCTION, refuse};

/// A transform that can be applied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transform {
    source: Box<[u8]>,
    parts: Vec<Part>,
    /// How many tokens of the source come before its `>`; what follows them is appended.
    rest_from: Option<usize>,
}

/// A token of the destination. Positions count the subject's tokens from zero.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Text(Box<[u8]>),
    Token { at: usize, cut: Cut },
    Partition { count: u32, of: Vec<usize> },
    Random { count: u32 },
}

impl Transform {
    /// Returns the transform from `source` to `destination`; an empty source is every subject.
    ///
    /// # Errors
    /// When source or destination is no subject, or the destination needs wildcards that the source
    /// does not have.
    pub fn new(source: &str, destination: &str) -> Result<Self, TransformError> {
        let source = if source.is_empty() { ">" } else { source };
        let well_formed = subject::is_well_formed(source.as_bytes())
            && subject::is_well_formed(destination.as_bytes());
        let fits = ends_open(source) == ends_open(destination);
        if !well_formed || !fits || destination.split('.').any(|token| token == "*") {
            return Err(TransformError::Subject);
        }
        let wildcards: Vec<usize> = (0..)
            .zip(source.split('.'))
            .filter_map(|(at, token)| (token == "*").then_some(at))
            .collect();
        let has_wildcards = !wildcards.is_empty() || ends_open(source);
        let mut parts = Vec::new();
        for token in destination.split('.') {
            let Some(function) = Function::parse(token)? else {
                if token != ">" {
                    parts.push(Part::Text(Box::from(token.as_bytes())));
                }
                continue;
            };
            function.check(token, wildcards.len(), has_wildcards)?;
            parts.push(Part::new(function, &wildcards));
        }
        let rest_from = ends_open(source).then(|| source.split('.').count() - 1);
        Ok(Self {
            source: Box::from(source.as_bytes()),
            parts,
            rest_from,
        })
    }

    /// Returns what subjects are transformed.
    #[must_use]
    pub fn source(&self) -> &[u8] {
        &self.source
    }

    /// Returns whether `subject` is transformed.
    #[must_use]
    pub fn matches(&self, subject: &[u8]) -> bool {
        subject::matches(&self.source, subject)
    }

    /// Appends what becomes of `subject`, which has to match the source, to `out`.
    pub fn apply(&self, subject: &[u8], rng: &mut Rng, out: &mut Vec<u8>) {
        for (i, part) in self.parts.iter().enumerate() {
            if i > 0 {
                out.push(b'.');
            }
            part.apply(subject, rng, out);
        }
        let Some(rest_from) = self.rest_from else {
            return;
        };
        for (i, token) in subject::tokens(subject).skip(rest_from).enumerate() {
            if i > 0 || !self.parts.is_empty() {
                out.push(b'.');
            }
            out.extend_from_slice(token);
        }
    }
}

/// Checks a transform as configurations are checked. An empty source is every subject; an empty
/// destination changes nothing.
///
/// # Errors
/// When the destination is no subject, calls a function that does not exist or calls it wrongly, or
/// needs wildcards that the source does not have.
pub fn check_transform(src: &str, dest: &str) -> Result<(), TransformError> {
    if dest.is_empty() {
        return Ok(());
    }
    check_destination(dest)?;
    Transform::new(src, dest).map(|_| ())
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

fn ends_open(pattern: &str) -> bool {
    pattern == ">" || pattern.ends_with(".>")
}

impl Part {
    fn new(function: Function, wildcards: &[usize]) -> Self {
        // Numbers that name no wildcard mean the first token, as in NATS.
        let position = |index: i64| {
            let at = usize::try_from(index)
                .ok()
                .and_then(|index| index.checked_sub(1));
            at.and_then(|at| wildcards.get(at).copied()).unwrap_or(0)
        };
        match function {
            Function::Wildcard { index, cut } => Self::Token {
                at: position(index),
                cut,
            },
            Function::Partition { count, indexes } => Self::Partition {
                count: count.cast_unsigned(),
                // A source without wildcards has only itself to be hashed.
                of: if wildcards.is_empty() {
                    Vec::new()
                } else {
                    indexes.into_iter().map(position).collect()
                },
            },
            Function::Random { count } => Self::Random {
                count: count.cast_unsigned(),
            },
        }
    }

    fn apply(&self, subject: &[u8], rng: &mut Rng, out: &mut Vec<u8>) {
        match self {
            Self::Text(text) => out.extend_from_slice(text),
            Self::Token { at, cut } => cut.apply(token(subject, *at), out),
            Self::Partition { count, of } => {
                let mut hash = FNV_OFFSET;
                if of.is_empty() {
                    hash = fnv1a(hash, subject);
                }
                for &at in of {
                    hash = fnv1a(hash, token(subject, at));
                }
                put_number(hash.checked_rem(*count).unwrap_or(0), out);
            }
            Self::Random { count } => {
                let drawn = rng.below(u64::from(*count));
                put_number(u32::try_from(drawn).unwrap_or(0), out);
            }
        }
    }
}

impl Cut {
    fn apply(&self, token: &[u8], out: &mut Vec<u8>) {
        let len = token.len();
        // Where nothing can be cut, the token stays whole.
        let inside = |at: usize| (at > 0 && at < len).then_some(at);
        let pieces = match self {
            Self::Whole => None,
            Self::Left(n) => {
                return out
                    .extend_from_slice(token.get(..inside(*n).unwrap_or(len)).unwrap_or(token));
            }
            Self::Right(n) => {
                let from = len - inside(*n).unwrap_or(len);
                return out.extend_from_slice(token.get(from..).unwrap_or(token));
            }
            Self::Split(delimiter) => return split(token, delimiter.as_bytes(), out),
            Self::SplitFromLeft(n) => inside(*n).map(|n| (n, len)),
            Self::SplitFromRight(n) => inside(*n).map(|n| (len - n, len)),
            Self::SliceFromLeft(n) => inside(*n).map(|n| (n, n)),
            Self::SliceFromRight(n) => inside(*n).map(|n| match len % n {
                0 => (n, n),
                odd => (odd, n),
            }),
        };
        let Some((first, step)) = pieces else {
            return out.extend_from_slice(token);
        };
        let (head, tail) = token.split_at(first);
        out.extend_from_slice(head);
        for piece in tail.chunks(step) {
            out.push(b'.');
            out.extend_from_slice(piece);
        }
    }
}

/// Puts dots where the delimiter is. Empty pieces leave no dots, but for a second one at the start.
fn split(token: &[u8], delimiter: &[u8], out: &mut Vec<u8>) {
    let mut rest = token;
    let mut index = 0u32;
    loop {
        let (piece, after) = next_piece(rest, delimiter);
        out.extend_from_slice(piece);
        let Some(after) = after else { return };
        let leads = index == 0 && piece.is_empty();
        if !next_piece(after, delimiter).0.is_empty() && !leads {
            out.push(b'.');
        }
        rest = after;
        index += 1;
    }
}

/// Returns what is before the delimiter and what is behind it. An empty delimiter is between any two
/// characters.
fn next_piece<'a>(rest: &'a [u8], delimiter: &[u8]) -> (&'a [u8], Option<&'a [u8]>) {
    if delimiter.is_empty() {
        let starts = |b: &u8| *b & 0xc0 != 0x80;
        let end = rest.iter().skip(1).position(starts).map(|at| at + 1);
        return match end {
            Some(end) => (rest.get(..end).unwrap_or(rest), rest.get(end..)),
            None => (rest, None),
        };
    }
    match memchr::memmem::find(rest, delimiter) {
        Some(at) => (
            rest.get(..at).unwrap_or(rest),
            rest.get(at + delimiter.len()..),
        ),
        None => (rest, None),
    }
}

fn token(subject: &[u8], at: usize) -> &[u8] {
    subject::tokens(subject).nth(at).unwrap_or_default()
}

/// Where FNV-1a of 32 bits starts, and what it multiplies with (Fowler, Noll, Vo).
const FNV_OFFSET: u32 = 0x811c_9dc5;
const FNV_PRIME: u32 = 0x0100_0193;

fn fnv1a(hash: u32, bytes: &[u8]) -> u32 {
    bytes.iter().fold(hash, |hash, &byte| {
        (hash ^ u32::from(byte)).wrapping_mul(FNV_PRIME)
    })
}

fn put_number(number: u32, out: &mut Vec<u8>) {
    out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
}

#[cfg(test)]
mod tests;

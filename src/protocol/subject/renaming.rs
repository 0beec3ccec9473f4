//! How an imported subject reads on both sides: in the account that exports it, and in the one that
//! imports it.
//!
//! *Invariant:* a renaming loses nothing: each wildcard of one side is on the other, so that messages
//! can go one way and subscriptions the other.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use crate::rng::Rng;
use crate::subject;
use crate::subject::transform::{Transform, TransformError};

/// Why two subjects cannot name the same thing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RenamingError {
    /// One of them cannot be made from the other.
    #[error(transparent)]
    Transform(#[from] TransformError),
    /// Something else than a wildcard's text is asked for.
    #[error(
        "invalid mapping destination: the only mapping function allowed for import transforms is {{{{Wildcard()}}}} in {0}"
    )]
    NotReversible(String),
    /// A wildcard would be lost.
    #[error("invalid mapping destination: not using all of the token wildcard(s) in {0}")]
    LosesWildcard(String),
}

/// The two names of what is imported.
#[derive(Clone, Debug)]
pub struct Renaming {
    /// The exporter's, with wildcards.
    theirs: Box<[u8]>,
    /// The importer's, with wildcards.
    ours: Box<[u8]>,
    how: How,
}

#[derive(Clone, Debug)]
enum How {
    /// Both call it the same.
    Same,
    /// One literal of the exporter, whatever the importer calls it.
    Fixed,
    /// By wildcards.
    Wild {
        to_ours: Transform,
        to_theirs: Transform,
    },
}

impl Renaming {
    /// Returns the renaming of the exporter's `theirs` to the importer's `ours`, in which `$1` or
    /// `{{wildcard(1)}}` stands for the first wildcard, as a bare `*` does in its order.
    ///
    /// # Errors
    /// When a wildcard would be lost, or a subject is none.
    pub fn new(theirs: &str, ours: &str) -> Result<Self, RenamingError> {
        let (starred, places) = starred(ours);
        let how = if !subject::has_wildcard(theirs.as_bytes()) {
            How::Fixed
        } else if theirs == ours {
            How::Same
        } else {
            let numbered = numbered(ours);
            check(theirs, &numbered)?;
            let back = substituted(theirs, &places, &starred);
            How::Wild {
                to_ours: Transform::new(theirs, &numbered)?,
                to_theirs: Transform::new(&starred, &back)?,
            }
        };
        Ok(Self {
            theirs: Box::from(theirs.as_bytes()),
            ours: Box::from(starred.as_bytes()),
            how,
        })
    }

    /// Returns what the importer calls it, with `*` for each wildcard.
    #[must_use]
    pub fn ours(&self) -> &[u8] {
        &self.ours
    }

    /// Returns what the exporter calls it.
    #[must_use]
    pub fn theirs(&self) -> &[u8] {
        &self.theirs
    }

    /// Appends what the importer calls the exporter's `subject`.
    pub fn to_ours(&self, subject: &[u8], rng: &mut Rng, out: &mut Vec<u8>) {
        match &self.how {
            How::Same => out.extend_from_slice(subject),
            How::Fixed => out.extend_from_slice(&self.ours),
            How::Wild { to_ours, .. } => to_ours.apply(subject, rng, out),
        }
    }

    /// Appends what the exporter calls the importer's `subject`.
    pub fn to_theirs(&self, subject: &[u8], rng: &mut Rng, out: &mut Vec<u8>) {
        match &self.how {
            How::Same => out.extend_from_slice(subject),
            How::Fixed => out.extend_from_slice(&self.theirs),
            How::Wild { to_theirs, .. } => to_theirs.apply(subject, rng, out),
        }
    }

    /// Returns what the exporter calls that part of the import which the importer's `pattern` covers;
    /// none when it covers nothing of it.
    #[must_use]
    pub fn covered(&self, pattern: &[u8], rng: &mut Rng) -> Option<Vec<u8>> {
        let common = intersection(pattern, &self.ours)?;
        let mut theirs = Vec::new();
        self.to_theirs(&common, rng, &mut theirs);
        Some(theirs)
    }
}

/// Returns the pattern of what both patterns match; none when that is nothing.
fn intersection(a: &[u8], b: &[u8]) -> Option<Vec<u8>> {
    let (mut left, mut right) = (subject::tokens(a), subject::tokens(b));
    let mut common: Vec<&[u8]> = Vec::new();
    loop {
        match (left.next(), right.next()) {
            (None, None) => return Some(common.join(&b'.')),
            (None, Some(_)) | (Some(_), None) => return None,
            (Some(b">"), Some(token)) => {
                common.push(token);
                common.extend(right);
                return Some(common.join(&b'.'));
            }
            (Some(token), Some(b">")) => {
                common.push(token);
                common.extend(left);
                return Some(common.join(&b'.'));
            }
            (Some(b"*"), Some(token)) | (Some(token), Some(b"*")) => common.push(token),
            (Some(x), Some(y)) if x == y => common.push(x),
            (Some(_), Some(_)) => return None,
        }
    }
}

/// Replaces each `*` by the number of the wildcard.
fn numbered(pattern: &str) -> String {
    let mut number = 0;
    let tokens = pattern.split('.').map(|token| {
        if token == "*" {
            number += 1;
            format!("${number}")
        } else {
            String::from(token)
        }
    });
    tokens.collect::<Vec<_>>().join(".")
}

/// Replaces each reference to a wildcard by `*`, and returns the references in order.
#[must_use]
pub fn starred(pattern: &str) -> (String, Vec<u32>) {
    let mut places = Vec::new();
    let mut bare = 0;
    let tokens = pattern.split('.').map(|token| {
        if token == "*" {
            bare += 1;
            places.push(bare);
        } else if let Some(number) = reference(token) {
            places.push(number);
        } else {
            return token;
        }
        "*"
    });
    (tokens.collect::<Vec<_>>().join("."), places)
}

/// Returns the wildcard that a token stands for.
fn reference(token: &str) -> Option<u32> {
    if let Some(digits) = token.strip_prefix('$') {
        return digits.parse().ok().filter(|number| *number > 0);
    }
    let inside = token.strip_prefix("{{")?.strip_suffix("}}")?.trim();
    let argument = inside
        .strip_prefix("wildcard")
        .or_else(|| inside.strip_prefix("Wildcard"))?
        .trim();
    let argument = argument.strip_prefix('(')?.strip_suffix(')')?.trim();
    argument.parse().ok().filter(|number| *number > 0)
}

/// Fails unless every wildcard of the exporter is named, and nothing but wildcards is asked for.
fn check(theirs: &str, ours: &str) -> Result<(), RenamingError> {
    let wanted = theirs.split('.').filter(|token| *token == "*").count();
    let mut seen = Vec::new();
    for token in ours.split('.') {
        match reference(token) {
            Some(number) if !seen.contains(&number) => seen.push(number),
            Some(_) => {}
            None if token.starts_with("{{") => {
                return Err(RenamingError::NotReversible(String::from(token)));
            }
            None => {}
        }
    }
    // What is out of range is told by the transform itself.
    if seen.len() < wanted {
        Transform::new(theirs, ours)?;
        return Err(RenamingError::LosesWildcard(String::from(ours)));
    }
    Ok(())
}

/// Returns `theirs` with each wildcard replaced by the place where the importer's subject has it.
fn substituted(theirs: &str, places: &[u32], starred: &str) -> String {
    debug_assert_eq!(
        starred.split('.').filter(|t| *t == "*").count(),
        places.len()
    );
    let mut number = 0;
    let tokens = theirs.split('.').map(|token| {
        if token != "*" {
            return String::from(token);
        }
        number += 1;
        let place = places.iter().position(|place| *place == number);
        format!("${}", place.map_or(0, |place| place + 1))
    });
    tokens.collect::<Vec<_>>().join(".")
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;

    use super::*;

    fn renaming(theirs: &str, ours: &str) -> Renaming {
        Renaming::new(theirs, ours).expect("reversible")
    }

    fn text(bytes: Vec<u8>) -> String {
        String::from_utf8(bytes).expect("text")
    }

    #[test]
    fn a_subject_goes_to_the_other_side_and_back() {
        for (theirs, ours, subject, expected) in [
            ("news.>", "news.>", "news.eu.x", "news.eu.x"),
            ("news.>", "from.news.>", "news.eu.x", "from.news.eu.x"),
            ("news.eu", "europe", "news.eu", "europe"),
            ("a.*.*", "b.$2.$1", "a.1.2", "b.2.1"),
            ("a.*.*", "b.*.c.*", "a.1.2", "b.1.c.2"),
            ("a.*.>", "b.{{wildcard(1)}}.>", "a.1.2.3", "b.1.2.3"),
        ] {
            let renaming = renaming(theirs, ours);
            let rng = &mut Rng::new(1, 1);
            let (mut there, mut here) = (Vec::new(), Vec::new());
            renaming.to_ours(subject.as_bytes(), rng, &mut here);
            assert_eq!(text(here.clone()), expected, "{theirs} {ours}");
            renaming.to_theirs(&here, rng, &mut there);
            assert_eq!(text(there), subject, "{theirs} {ours}");
        }
    }

    #[test]
    fn a_subscription_covers_what_it_has_in_common_with_the_import() {
        for (theirs, ours, pattern, expected) in [
            ("news.>", "from.news.>", "from.news.>", Some("news.>")),
            ("news.>", "from.news.>", "from.news.eu", Some("news.eu")),
            ("news.>", "from.news.>", "from.*.eu.*", Some("news.eu.*")),
            ("news.>", "from.news.>", ">", Some("news.>")),
            ("news.>", "from.news.>", "news.>", None),
            ("news.eu", "europe", "*", Some("news.eu")),
            ("news.eu", "europe", "asia", None),
            ("a.*.*", "b.$2.$1", "b.x.*", Some("a.*.x")),
            ("a.*.*", "b.$2.$1", "b.x.>", Some("a.*.x")),
        ] {
            let covered = renaming(theirs, ours).covered(pattern.as_bytes(), &mut Rng::new(1, 1));
            let expected = expected.map(String::from);
            assert_eq!(covered.map(text), expected, "{theirs} {ours} {pattern}");
        }
    }

    #[test]
    fn what_loses_a_wildcard_is_refused() {
        for (theirs, ours) in [
            ("a.*.*", "x.$2"),
            ("a.*", "x"),
            ("a.*.*", "x.{{partition(3,1)}}.$1"),
            ("a.>", "x"),
            ("a.*", "x.$2"),
        ] {
            let refused = Renaming::new(theirs, ours);
            assert!(refused.is_err(), "{theirs} {ours}");
        }
        let lost = Renaming::new("a.*.*", "x.$2").map(|_| ()).unwrap_err();
        assert!(lost.to_string().contains("not using all"), "{lost}");
    }
}

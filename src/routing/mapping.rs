//! Subject mappings of an account: what is published on one subject is routed as if on another.
//!
//! *Invariant:* a message is mapped once; what it is mapped to is not looked up again.

use alloc::boxed::Box;
use alloc::vec::Vec;

use protocol::rng::Rng;
use protocol::subject::transform::{Transform, TransformError};
use protocol::subject::{has_wildcard, matches};

/// The mappings of an account.
#[derive(Debug, Default)]
pub struct Mappings {
    /// Those without wildcards first: the more exact one wins.
    list: Vec<Mapping>,
}

/// What becomes of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mapped {
    /// No mapping takes it: it keeps its subject.
    Unchanged,
    /// It gets the subject that was written.
    Changed,
    /// Nobody gets it: the shares of the destinations leave this part out.
    Dropped,
}

/// One destination and its share in per cent.
#[derive(Clone, Copy, Debug)]
pub struct Share<'a> {
    /// The subject, with mapping functions.
    pub destination: &'a str,
    /// How many of hundred messages go there.
    pub percent: u8,
}

#[derive(Debug)]
struct Mapping {
    source: Box<[u8]>,
    /// Each with the sum of the shares up to it.
    destinations: Vec<(u64, Transform)>,
    /// Whether the source was given a share itself, so that the rest is lost on purpose.
    drops_rest: bool,
}

impl Mappings {
    /// Adds the mapping of `source`.
    ///
    /// # Errors
    /// When a destination cannot be made from the source.
    pub fn add(&mut self, source: &str, shares: &[Share<'_>]) -> Result<(), TransformError> {
        let mut destinations = Vec::new();
        let mut sum = 0;
        for share in shares {
            sum += u64::from(share.percent);
            destinations.push((sum, Transform::new(source, share.destination)?));
        }
        let mapping = Mapping {
            source: Box::from(source.as_bytes()),
            destinations,
            drops_rest: shares.iter().any(|share| share.destination == source),
        };
        let at = if has_wildcard(source.as_bytes()) {
            self.list.len()
        } else {
            0
        };
        self.list.insert(at, mapping);
        Ok(())
    }

    /// Returns whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Maps `subject`; a new one is appended to `out`.
    pub fn apply(&self, subject: &[u8], rng: &mut Rng, out: &mut Vec<u8>) -> Mapped {
        let Some(mapping) = self.list.iter().find(|m| matches(&m.source, subject)) else {
            return Mapped::Unchanged;
        };
        let chosen = match mapping.destinations.as_slice() {
            // Nothing is drawn where there is no choice.
            [(100, only)] => Some(only),
            many => {
                let drawn = rng.below(100);
                many.iter().find(|(sum, _)| drawn < *sum).map(|(_, to)| to)
            }
        };
        match chosen {
            Some(destination) => {
                destination.apply(subject, rng, out);
                Mapped::Changed
            }
            None if mapping.drops_rest => Mapped::Dropped,
            None => Mapped::Unchanged,
        }
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::String;

    use super::*;

    fn mappings(list: &[(&str, &[(&str, u8)])]) -> Mappings {
        let mut mappings = Mappings::default();
        for (source, shares) in list {
            let shares: Vec<_> = shares
                .iter()
                .map(|&(destination, percent)| Share {
                    destination,
                    percent,
                })
                .collect();
            mappings.add(source, &shares).unwrap();
        }
        mappings
    }

    fn apply(mappings: &Mappings, subject: &str, rng: &mut Rng) -> (Mapped, String) {
        let mut out = Vec::new();
        let mapped = mappings.apply(subject.as_bytes(), rng, &mut out);
        (mapped, String::from_utf8(out).unwrap())
    }

    #[test]
    fn a_message_is_mapped_once_by_the_most_exact_mapping() {
        let mappings = mappings(&[
            ("o.*", &[("o.wild", 100)]),
            ("o.x", &[("o.y", 100)]),
            ("o.y", &[("o.z", 100)]),
        ]);
        let mut rng = Rng::new(1, 1);
        let to = |subject: &str| (Mapped::Changed, String::from(subject));
        assert_eq!(apply(&mappings, "o.x", &mut rng), to("o.y"));
        assert_eq!(apply(&mappings, "o.a", &mut rng), to("o.wild"));
        let (mapped, _) = apply(&mappings, "p.a", &mut rng);
        assert_eq!(mapped, Mapped::Unchanged);
    }

    #[test]
    fn shares_hold_on_the_average_and_the_rest_stays_or_is_dropped() {
        let mappings = mappings(&[
            ("stay", &[("a", 20), ("b", 30)]),
            ("lossy", &[("lossy", 40)]),
            ("none", &[]),
        ]);
        let mut rng = Rng::new(1, 1);
        let mut count = |subject: &str, wanted: (Mapped, &str)| {
            (0..10_000)
                .filter(|_| {
                    let (mapped, to) = apply(&mappings, subject, &mut rng);
                    (mapped, to.as_str()) == wanted
                })
                .count()
        };
        assert!((1_800..2_200).contains(&count("stay", (Mapped::Changed, "a"))));
        assert!((2_700..3_300).contains(&count("stay", (Mapped::Changed, "b"))));
        assert!((4_600..5_400).contains(&count("stay", (Mapped::Unchanged, ""))));
        assert!((3_700..4_300).contains(&count("lossy", (Mapped::Changed, "lossy"))));
        assert!((5_700..6_300).contains(&count("lossy", (Mapped::Dropped, ""))));
        assert_eq!(count("none", (Mapped::Unchanged, "")), 10_000);
    }
}

//! Relations of subjects against their definition: the sets of literals that they match.

use proptest::prelude::*;
use protocol::subject;

/// One letter more than patterns use stands for all others, one token more for all longer subjects.
const LETTERS: [&str; 3] = ["a", "b", "c"];
const DEPTH: usize = 4;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn relations_of_patterns_are_those_of_the_literals_they_match(a in pattern(), b in pattern()) {
        let (mut common, mut only_a) = (false, false);
        for literal in literals() {
            let (in_a, in_b) = (naive_match(&a, &literal), naive_match(&b, &literal));
            prop_assert_eq!(subject::matches(a.as_bytes(), literal.as_bytes()), in_a);
            common |= in_a && in_b;
            only_a |= in_a && !in_b;
        }
        prop_assert_eq!(subject::overlaps(a.as_bytes(), b.as_bytes()), common);
        prop_assert_eq!(subject::is_subset(a.as_bytes(), b.as_bytes()), !only_a);
    }

    #[test]
    fn arbitrary_bytes_never_panic(a in any::<Vec<u8>>(), b in any::<Vec<u8>>()) {
        let _ = (subject::is_valid(&a), subject::has_wildcard(&a), subject::is_subset(&a, &b));
        prop_assert_eq!(subject::overlaps(&a, &b), subject::overlaps(&b, &a));
    }
}

/// Matching by its definition, token by token.
pub(crate) fn naive_match(pattern: &str, literal: &str) -> bool {
    fn tail(pattern: &[&str], literal: &[&str]) -> bool {
        match (pattern.split_first(), literal.split_first()) {
            (None, None) => true,
            (Some((&">", [])), Some(_)) => true,
            (Some((&"*", pattern)), Some((_, literal))) => tail(pattern, literal),
            (Some((p, pattern)), Some((l, literal))) => p == l && tail(pattern, literal),
            (None, Some(_)) | (Some(_), None) => false,
        }
    }
    let pattern: Vec<&str> = pattern.split('.').collect();
    let literal: Vec<&str> = literal.split('.').collect();
    tail(&pattern, &literal)
}

/// Overlap by its definition: some literal is matched by both.
pub(crate) fn naive_overlap(a: &str, b: &str) -> bool {
    literals().any(|literal| naive_match(a, &literal) && naive_match(b, &literal))
}

/// A pattern of up to three tokens.
pub(crate) fn pattern() -> impl Strategy<Value = String> {
    let token = || prop::sample::select(vec!["a", "a", "b", "*"]);
    (
        prop::collection::vec(token(), 0..3),
        prop::sample::select(vec!["a", "b", "*", ">"]),
    )
        .prop_map(|(mut tokens, last)| {
            tokens.push(last);
            tokens.join(".")
        })
}

/// A literal of up to four tokens.
pub(crate) fn literal() -> impl Strategy<Value = String> {
    let token = prop::sample::select(vec!["a", "a", "b", "c"]);
    prop::collection::vec(token, 1..=DEPTH).prop_map(|tokens| tokens.join("."))
}

fn literals() -> impl Iterator<Item = String> {
    (1..=DEPTH).flat_map(|depth| {
        (0..LETTERS.len().pow(u32::try_from(depth).unwrap_or(0))).map(move |mut number| {
            let tokens: Vec<&str> = (0..depth)
                .map(|_| {
                    let letter = LETTERS[number % LETTERS.len()];
                    number /= LETTERS.len();
                    letter
                })
                .collect();
            tokens.join(".")
        })
    })
}

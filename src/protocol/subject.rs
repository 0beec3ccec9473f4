//! Subjects: tokens between dots, with `*` for one token and `>` for one or more at the end.
//!
//! *Invariant:* a wildcard stands alone in its token; `a*` and `>b` are ordinary text. Subjects are
//! bytes, compared as such.

mod compare;
pub mod renaming;
pub mod transform;

pub use compare::{is_subset, matches, overlaps};

/// Returns the tokens of `subject`. An empty token shows that the subject is not valid.
pub fn tokens(subject: &[u8]) -> impl DoubleEndedIterator<Item = &[u8]> + Clone {
    subject.split(|&b| b == b'.')
}

/// Counts the tokens of `subject`.
#[must_use]
pub fn token_count(subject: &[u8]) -> usize {
    1 + memchr::memchr_iter(b'.', subject).count()
}

/// Reports whether `subject` may name a stream's subjects, a filter, a permission: no empty token,
/// no white space, `>` only at the end.
#[must_use]
pub fn is_valid(subject: &[u8]) -> bool {
    is_well_formed(subject) && !subject.iter().any(|&b| is_space(b))
}

/// Reports whether `subject` is valid and has no wildcard.
#[must_use]
pub fn is_valid_literal(subject: &[u8]) -> bool {
    is_valid(subject) && !has_wildcard(subject)
}

/// Reports whether one can subscribe to `subject`: no empty token, `>` only at the end. nats-server
/// lets control characters pass here that it refuses elsewhere; most cannot arrive in a control line.
#[must_use]
pub fn is_well_formed(subject: &[u8]) -> bool {
    let mut ended = false;
    for token in tokens(subject) {
        if token.is_empty() || ended {
            return false;
        }
        ended = token == b">";
    }
    true
}

/// Reports whether `subject` has a token `*` or `>`.
#[must_use]
pub fn has_wildcard(subject: &[u8]) -> bool {
    // Most subjects hold neither character anywhere.
    memchr::memchr2(b'*', b'>', subject).is_some()
        && tokens(subject).any(|t| matches!(t, b"*" | b">"))
}

/// Reports whether `subject` has no wildcard.
#[must_use]
pub fn is_literal(subject: &[u8]) -> bool {
    !has_wildcard(subject)
}

/// Reports whether only the system account may publish to `subject`: gateways and replication use it.
#[must_use]
pub fn is_reserved_for_publish(subject: &[u8]) -> bool {
    const PREFIXES: [&[u8]; 3] = [b"$GR.", b"_GR_.", b"$NRG."];
    starts_with_any(subject, PREFIXES)
}

/// Reports whether clients may not ask for answers on `reply`, because the server itself does.
#[must_use]
pub fn is_reserved_for_reply(reply: &[u8]) -> bool {
    const PREFIXES: [&[u8]; 3] = [b"_R_.", b"_GR_.", b"$JS.ACK."];
    starts_with_any(reply, PREFIXES)
}

fn starts_with_any(subject: &[u8], prefixes: [&[u8]; 3]) -> bool {
    // The first byte decides for nearly all subjects.
    matches!(subject.first(), Some(b'$' | b'_'))
        && prefixes.iter().any(|prefix| subject.starts_with(prefix))
}

fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | b'\x0c')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn empty_tokens_and_white_space_make_a_subject_invalid() {
        for subject in ["a", "a.b", "*", ">", "a.*.>", "a*", ">b.c", "$JS.>", "é"] {
            assert!(is_valid(subject.as_bytes()), "{subject:?}");
        }
        for subject in [
            "", ".", "a.", ".a", "a..b", "a.>.b", ">.a", "a b", "a\tb", "a\x0cb",
        ] {
            assert!(!is_valid(subject.as_bytes()), "{subject:?}");
        }
        assert!(is_well_formed(b"a\x0cb"));
    }

    #[test]
    fn a_wildcard_stands_alone_in_its_token() {
        for subject in ["*", ">", "a.*", "*.a", "a.>"] {
            assert!(has_wildcard(subject.as_bytes()), "{subject:?}");
            assert!(!is_valid_literal(subject.as_bytes()), "{subject:?}");
        }
        for subject in ["a", "a*", "*a.b", ">>", "a.>b"] {
            assert!(is_valid_literal(subject.as_bytes()), "{subject:?}");
        }
    }

    #[test]
    fn reserved_subjects_are_known_by_their_prefix() {
        assert!(is_reserved_for_publish(b"$NRG.x"));
        assert!(!is_reserved_for_publish(b"$JS.ACK.x"));
        assert!(is_reserved_for_reply(b"$JS.ACK.x"));
        assert!(!is_reserved_for_reply(b"_INBOX.x"));
    }
}

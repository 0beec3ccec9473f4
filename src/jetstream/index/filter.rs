//! Which subjects a consumer or a request means.

use alloc::boxed::Box;

/// A subject filter, sorted by how it is looked up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Filter {
    /// Every message.
    All,
    /// One subject.
    Literal(Box<[u8]>),
    /// A pattern with wildcards.
    Wild(Box<[u8]>),
}

impl Filter {
    /// Returns the filter of `pattern`; an empty one means all.
    #[must_use]
    pub fn new(pattern: &[u8]) -> Self {
        if pattern.is_empty() || pattern == b">" {
            return Self::All;
        }
        if is_literal(pattern) {
            Self::Literal(Box::from(pattern))
        } else {
            Self::Wild(Box::from(pattern))
        }
    }

    /// Returns whether a message on `subject` is meant.
    #[must_use]
    pub fn matches(&self, subject: &[u8]) -> bool {
        match self {
            Self::All => true,
            Self::Literal(literal) => **literal == *subject,
            Self::Wild(pattern) => subject_matches(pattern, subject),
        }
    }
}

/// Returns whether `pattern` matches the literal `subject`.
#[must_use]
pub fn subject_matches(pattern: &[u8], subject: &[u8]) -> bool {
    let mut tokens = subject.split(|&b| b == b'.');
    let mut wanted = pattern.split(|&b| b == b'.').peekable();
    loop {
        match (wanted.next(), tokens.next()) {
            (None, None) => return true,
            (Some(b">"), Some(_)) if wanted.peek().is_none() => return true,
            (Some(b"*"), Some(_)) => {}
            (Some(want), Some(token)) if want == token => {}
            (Some(_) | None, Some(_) | None) => return false,
        }
    }
}

fn is_literal(pattern: &[u8]) -> bool {
    !pattern
        .split(|&b| b == b'.')
        .any(|token| token == b"*" || token == b">")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_token_by_token() {
        for (pattern, subject, expected) in [
            ("a.b", "a.b", true),
            ("a.b", "a.bc", false),
            ("a.*", "a.b", true),
            ("a.*", "a", false),
            ("a.*", "a.b.c", false),
            ("a.>", "a", false),
            ("a.>", "a.b.c", true),
            ("*.b.>", "a.b.c", true),
            (">", "a", true),
            ("a.>.c", "a.b.c", false),
            ("a*", "ab", false),
        ] {
            let found = subject_matches(pattern.as_bytes(), subject.as_bytes());
            assert_eq!(found, expected, "{pattern} {subject}");
        }
    }

    #[test]
    fn a_star_inside_a_token_is_no_wildcard() {
        assert_eq!(Filter::new(b"a*.b"), Filter::Literal(Box::from(*b"a*.b")));
        assert_eq!(Filter::new(b"a.*"), Filter::Wild(Box::from(*b"a.*")));
        assert_eq!(Filter::new(b">"), Filter::All);
    }
}

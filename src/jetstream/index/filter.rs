//! Which subjects a consumer or a request means.

use alloc::boxed::Box;

use protocol::subject;

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
        if subject::is_literal(pattern) {
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
            Self::Wild(pattern) => subject::matches(pattern, subject),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_inside_a_token_is_no_wildcard() {
        assert_eq!(Filter::new(b"a*.b"), Filter::Literal(Box::from(*b"a*.b")));
        assert_eq!(Filter::new(b"a.*"), Filter::Wild(Box::from(*b"a.*")));
        assert_eq!(Filter::new(b">"), Filter::All);
    }
}

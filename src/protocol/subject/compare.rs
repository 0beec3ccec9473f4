//! How two subjects relate: matching, overlap, inclusion.

use super::tokens;

/// Reports whether the pattern `pattern` matches the literal `subject`.
#[must_use]
pub fn matches(pattern: &[u8], subject: &[u8]) -> bool {
    is_subset(subject, pattern)
}

/// Reports whether every literal that `subject` matches is matched by `of` too.
#[must_use]
pub fn is_subset(subject: &[u8], of: &[u8]) -> bool {
    let mut mine = tokens(subject);
    let mut theirs = tokens(of);
    loop {
        match (mine.next(), theirs.next()) {
            (None, None) => return true,
            (Some(_), Some(b">")) => return true,
            (Some(b">"), Some(_)) | (None, Some(_)) | (Some(_), None) => return false,
            (Some(_), Some(b"*")) => {}
            (Some(m), Some(t)) if m == t => {}
            (Some(_), Some(_)) => return false,
        }
    }
}

/// Reports whether some literal is matched by both.
#[must_use]
pub fn overlaps(a: &[u8], b: &[u8]) -> bool {
    let mut left = tokens(a);
    let mut right = tokens(b);
    loop {
        match (left.next(), right.next()) {
            (None, None) => return true,
            (Some(_), Some(b">")) | (Some(b">"), Some(_)) => return true,
            (None, Some(_)) | (Some(_), None) => return false,
            (Some(b"*"), Some(_)) | (Some(_), Some(b"*")) => {}
            (Some(l), Some(r)) if l == r => {}
            (Some(_), Some(_)) => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_token_by_token() {
        for (pattern, subject, expected) in [
            ("a.b", "a.b", true),
            ("a.*", "a.b", true),
            ("*.b", "a.b", true),
            ("a.>", "a.b", true),
            ("a.>", "a.b.c", true),
            (">", "a", true),
            ("a.>", "a", false),
            ("a.*", "a", false),
            ("a.*", "a.b.c", false),
            ("a.b", "a.c", false),
            ("a*", "ab", false),
            ("a*", "a*", true),
        ] {
            assert_eq!(
                matches(pattern.as_bytes(), subject.as_bytes()),
                expected,
                "{pattern} {subject}"
            );
        }
    }

    #[test]
    fn overlap_needs_one_common_literal() {
        for (a, b, expected) in [
            ("a.*", "*.b", true),
            ("a.>", "a.b.c", true),
            ("a.>", "*.*.c", true),
            ("a.>", "a", false),
            ("a.*", "b.*", false),
            ("a.*", "a.*.*", false),
            (">", "*", true),
        ] {
            assert_eq!(overlaps(a.as_bytes(), b.as_bytes()), expected, "{a} {b}");
            assert_eq!(overlaps(b.as_bytes(), a.as_bytes()), expected, "{b} {a}");
        }
    }

    #[test]
    fn a_subset_is_matched_wholly() {
        for (subject, of, expected) in [
            ("a.b", "a.*", true),
            ("a.*", "a.*", true),
            ("a.*", "a.>", true),
            ("a.>", "a.>", true),
            ("a.>", ">", true),
            ("a.*", "a.b", false),
            ("a.>", "a.*", false),
            ("*.b", "a.*", false),
            ("a", "a.>", false),
        ] {
            assert_eq!(
                is_subset(subject.as_bytes(), of.as_bytes()),
                expected,
                "{subject} {of}"
            );
        }
    }
}

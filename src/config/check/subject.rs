//! The shape of subjects that stand in a configuration.

/// Tells whether `subject` may be subscribed: tokens separated by dots, none empty, no whitespace,
/// `>` only at the end.
pub(super) fn is_valid(subject: &str) -> bool {
    let mut after_full_wildcard = false;
    subject.split('.').all(|token| {
        let valid =
            !after_full_wildcard && !token.is_empty() && !token.contains(char::is_whitespace);
        after_full_wildcard = token == ">";
        valid
    })
}

/// Tells whether `text` is a subject, or a subject and a queue separated by a space.
pub(super) fn is_valid_with_queue(text: &str) -> bool {
    let mut parts = text.split_ascii_whitespace();
    let subject = parts.next().is_some_and(is_valid);
    let queue = parts.next().is_none_or(is_valid);
    subject && queue && parts.next().is_none()
}

//! The bounds of what routing remembers.

/// Subjects whose subscribers are remembered, per account.
pub const CACHED_SUBJECTS_MAX: usize = 4096;
/// Subscribers remembered for all cached subjects of an account together (8 MiB of 8-byte values).
pub const CACHED_VALUES_MAX: usize = 1 << 20;
/// Subjects remembered as seen once. A subject is cached when it is seen again while it is here, so
/// that subjects used only once cost no cache entry.
pub const SEEN_SUBJECTS: usize = 2048;
/// Decisions about subjects remembered per connection and kind.
pub const DECISIONS: usize = 64;
/// Reply subjects that one connection may answer; the oldest is forgotten.
pub const REPLIES_MAX: usize = 4096;

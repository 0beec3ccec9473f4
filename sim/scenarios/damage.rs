//! A file is damaged while the process is away: whatever cannot be read is told, nothing changes its
//! number, and what the damage did not hit can be read.

use super::holds;

#[test]
fn log_rot() {
    holds("log_rot", 1..6);
}

/// The newest file as well, of which nothing that follows can tell.
#[test]
fn log_cut() {
    holds("log_cut", 1..9);
}

#[test]
fn log_lost() {
    holds("log_lost", 1..9);
}

/// A lost or a misdirected write inside the log.
#[test]
fn log_block() {
    holds("log_stale_block", 1..6);
    holds("log_foreign_block", 1..6);
}

#[test]
fn segment_rot() {
    holds("segment_rot", 1..6);
}

#[test]
fn segment_cut_or_lost() {
    holds("segment_cut", 4..6);
    holds("segment_lost", 4..6);
}

#[test]
fn segment_block() {
    holds("segment_stale_block", 4..6);
    holds("segment_foreign_block", 4..6);
}

#[test]
fn checkpoint() {
    holds("checkpoint_lost", 5..7);
}

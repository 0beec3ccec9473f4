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
    // All of the log, before the first checkpoint: a segment was all that was left.
    for seed in [
        1_795_345_195_000_268,
        1_795_345_195_000_341,
        1_795_345_195_000_593,
    ] {
        holds("log_lost", seed..seed + 1);
    }
}

/// Several of the newest files at once.
#[test]
fn logs_lost() {
    holds("logs_lost", 1..6);
}

/// A lost or a misdirected write inside the log.
#[test]
fn log_block() {
    holds("log_stale_block", 1..6);
    holds("log_foreign_block", 1..6);
    // The log's last block, behind which files lie that are kept to be used again: nothing can tell.
    holds("log_stale_block", 700_000_126..700_000_129);
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
    holds("checkpoint_rot", 5..8);
    holds("checkpoint_stale_block", 5..7);
    holds("checkpoint_foreign_block", 5..7);
}

/// Both of the newest, and perhaps those before that hold the rest.
#[test]
fn checkpoints_lost() {
    holds("checkpoints_lost", 5..9);
}

/// Whatever happens to a process, and then whatever happens to a file.
#[test]
fn everything_then_damage() {
    holds("everything_then_damage", 1..5);
    // A message was refused at the start, since what it expected lay in the damaged block: those behind it took
    // lower numbers than they had had.
    holds("everything_then_damage", 2026112958..2026112959);
}

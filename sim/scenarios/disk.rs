//! A disk that fails, fills up, is slow or hangs.

use super::holds;

/// After a failed sync or write nothing is stored until the process starts anew, and nothing that was
/// acknowledged is lost.
#[test]
fn io_error() {
    holds("io_error", 1..9);
    // Parts of the log that cannot be read when a process starts.
    for seed in [1023, 1038, 1051, 1069, 1094] {
        holds("io_error", seed..seed + 1);
    }
    // Messages that cannot be read when they are to be delivered, again or for the first time.
    for seed in [1_795_332_793_001_041, 1_795_332_793_001_792] {
        holds("io_error", seed..seed + 1);
    }
}

#[test]
fn disk_full() {
    holds("disk_full", 1..9);
}

#[test]
fn slow_disk() {
    holds("slow_disk", 1..7);
    // Blocks read near the log's end, over records that were not written yet.
    for seed in [1_795_332_793_000_500, 1_795_332_793_001_243] {
        holds("slow_disk", seed..seed + 1);
    }
}

#[test]
fn stuck_disk() {
    holds("stuck_disk", 1..7);
}

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

/// The kernel has dropped what it was to keep: nothing more is stored on top of that, publishers are
/// told at once, and a restart has everything that was acknowledged.
#[test]
fn sync_error() {
    holds("sync_error", 1..5);
}

/// A write that ends in the middle, in the log or in a segment.
#[test]
fn write_error() {
    holds("write_error", 1..5);
}

#[test]
fn read_error() {
    holds("read_error", 1..5);
}

/// No read succeeds for seconds, at a start or in service.
#[test]
fn unreadable() {
    holds("unreadable", 1..5);
}

/// Files cannot be made, renamed or removed once; the process gets over it.
#[test]
fn name_error() {
    holds("name_error", 1..5);
}

/// Publishers are refused with an error and at once, health says why, and service returns with the
/// space, without a restart.
#[test]
fn disk_full() {
    holds("disk_full", 1..9);
    // Refused while the health check was well.
    holds("disk_full", 40..41);
    // A request about a work queue waited, until there was space, for acks that could not be synced.
    holds("disk_full", 91_000_373..91_000_374);
    holds("disk_full", 91_001_304..91_001_305);
    // A message that came while the next file was tried again waited for it without an answer.
    holds("disk_full", 2_026_113_097..2_026_113_098);
}

#[test]
fn read_only_disk() {
    holds("read_only_disk", 1..5);
}

#[test]
fn too_many_files() {
    holds("too_many_files", 1..5);
    // A flush gave entries up that it could not read for ten seconds.
    holds("too_many_files", 93_000_902..93_000_903);
}

/// The least sizes that work, and operations that fail at random: what is rare elsewhere is common here.
#[test]
fn rare_paths() {
    holds("rare_paths", 1..6);
    holds("everything_rare", 1..4);
    // A start could not make durable again what it had replayed, and showed it to readers.
    holds(
        "everything_rare",
        1_795_500_000_000_201..1_795_500_000_000_202,
    );
    // The log's first file could not be made and the second could: no file was lost.
    holds("rare_paths", 1_795_500_000_000_182..1_795_500_000_000_183);
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

/// Several kinds of failures of one disk.
#[test]
fn full_and_failing_disk() {
    holds("full_and_failing_disk", 1..5);
}

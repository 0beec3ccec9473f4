//! Single features over many lives of a server: power loss and kills between any two disk operations,
//! slow disks, cut connections, each feature with rules of its own.

use sim::lives::{Cheat, FEATURES, deceived, live};

/// Seeds of each feature; fresh ones are the sweep's.
const SEEDS: core::ops::Range<u64> = 1..13;

#[track_caller]
fn holds(feature: &str) {
    let (mut lives, mut answers) = (0, 0);
    for seed in SEEDS {
        let run = live(feature, seed);
        let summary = run.unwrap_or_else(|text| panic!("{feature} seed {seed}: {text}"));
        lives += summary.lives;
        answers += summary.answers;
    }
    let runs = SEEDS.end - SEEDS.start;
    assert!(lives > 2 * runs, "{lives} lives in {runs} runs");
    assert!(answers > 20 * runs, "{answers} answers in {runs} runs");
}

#[test]
fn atomic_batches_are_whole_or_absent() {
    holds("atomic_batches");
}

#[test]
fn copies_are_the_beginning_of_their_origins_and_in_the_end_all_of_it() {
    holds("copies");
}

#[test]
fn early_acks_are_followed_by_what_was_sent_in_its_order() {
    holds("early_acks");
}

#[test]
fn fast_batches_keep_what_their_publishers_were_told() {
    holds("fast_batches");
}

#[test]
fn messages_live_as_long_as_they_were_told_to_and_leave_a_marker() {
    holds("lifetimes");
}

#[test]
fn paused_consumers_get_nothing_and_then_everything() {
    holds("paused_consumers");
}

#[test]
fn pinned_clients_are_alone() {
    holds("pinned_clients");
}

#[test]
fn schedules_fire_once_and_in_time() {
    holds("schedules");
}

#[test]
fn what_was_created_together_stays() {
    holds("shared_creates");
}

/// Returns what the oracle of a feature says of a server that cheats; none if it sees nothing
/// within some seeds.
fn caught(feature: &str, cheat: Cheat) -> Option<String> {
    // A server that does not come up again is noticed before any oracle looks.
    let is_told = |text: &String| !text.starts_with("after a start");
    let mut seeds = SEEDS;
    seeds.find_map(|seed| deceived(feature, seed, cheat).err().filter(is_told))
}

#[test]
fn a_disk_that_keeps_nothing_of_what_it_syncs_is_noticed_by_every_oracle() {
    for feature in FEATURES {
        let caught = caught(feature, Cheat::DiskLies);
        assert!(caught.is_some(), "{feature}");
    }
}

#[test]
fn a_clock_that_runs_is_noticed_wherever_time_is_promised() {
    for feature in [
        "lifetimes",
        "paused_consumers",
        "pinned_clients",
        "schedules",
    ] {
        let caught = caught(feature, Cheat::ClockRuns);
        assert!(caught.is_some(), "{feature}");
    }
}

#[test]
fn the_same_seed_is_the_same_life() {
    for feature in FEATURES {
        assert_eq!(live(feature, 77), live(feature, 77), "{feature}");
    }
}

#[test]
fn streams_that_are_switched_off_and_on_again_are_as_they_were() {
    holds("switched_streams");
}

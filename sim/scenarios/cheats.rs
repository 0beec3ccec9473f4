//! Deceptions that the oracle must see through, and within a few seeds: a check that does not notice
//! a broken promise is worth nothing.

use sim::explorer::{Cheat, Scenario, explore};
use sim::trace::Keep;

/// Returns the invariants that a cheat breaks within some seeds.
fn caught(name: &str, cheat: Cheat, seeds: u64) -> Vec<&'static str> {
    let mut scenario = Scenario::named(name).expect("the scenario exists");
    scenario.cheat = Some(cheat);
    let runs = (1..=seeds).map(|seed| explore(&scenario, seed, Keep::Hash));
    runs.flat_map(|report| report.violations)
        .map(|violation| violation.invariant)
        .collect()
}

#[test]
fn a_disk_that_keeps_nothing_of_what_it_syncs_is_caught() {
    let caught = caught("power_loss", Cheat::DiskLies, 5);
    let lost = ["no_loss", "sequence_is_forever", "everything_is_readable"];
    assert!(
        caught.iter().any(|caught| lost.contains(caught)),
        "{caught:?}"
    );
}

#[test]
fn acknowledgements_before_the_sync_are_caught_when_they_leave() {
    let caught = caught("no_faults", Cheat::AckBeforeSync, 2);
    assert!(caught.contains(&"ack_means_synced"), "{caught:?}");
}

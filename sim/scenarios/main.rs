//! One node under each fault of the matrix, with fixed seeds: promises hold, everything converges, and
//! each run is the same when it is run again.
//!
//! Each file is named after its row. Fresh seeds are the sweep's (`examples/sweep.rs`).

mod cheats;
mod clock;
mod damage;
mod disk;
mod driver;
mod lives;
mod network;
mod power_loss;
mod process;
mod stations;

use sim::explorer::{Report, Scenario, explore};
use sim::trace::Keep;

/// Runs a scenario with each seed, twice.
#[track_caller]
fn holds(name: &str, seeds: core::ops::Range<u64>) {
    let scenario = Scenario::named(name).expect("the scenario exists");
    let mut struck = 0;
    let mut acked = 0;
    let mut damaged = 0;
    for seed in seeds {
        let report = explore(&scenario, seed, Keep::Hash);
        assert!(report.violations.is_empty(), "{}", explained(&report));
        let again = explore(&scenario, seed, Keep::Hash);
        if report.trace.hash() != again.trace.hash() {
            let (first, second) = (
                explore(&scenario, seed, Keep::Lines),
                explore(&scenario, seed, Keep::Lines),
            );
            let difference = first.trace.first_difference(&second.trace);
            panic!("{name} seed {seed} is not the same twice: {difference:?}");
        }
        struck += report.struck.values().sum::<u64>() + report.damaged;
        damaged += report.damaged;
        acked += report.acked;
    }
    assert!(acked > 0, "a run without acknowledgements proves nothing");
    assert_eq!(damaged > 0, scenario.damage.is_some());
    let strikes = !scenario.faults.is_empty();
    assert_eq!(
        struck > 0,
        strikes,
        "a run without its faults proves nothing"
    );
}

fn explained(report: &Report) -> String {
    format!("{:#?}\nagain: {}", report.violations, report.command())
}

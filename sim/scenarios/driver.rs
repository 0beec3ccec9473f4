//! The real driver in turmoil, under the faults that concern it.

use sim::hosts::{HostFault, run};

/// Runs the driver with each seed; the first one twice.
#[track_caller]
fn holds(faults: &[HostFault], seeds: core::ops::Range<u64>) {
    let first = seeds.start;
    let mut digest = 0;
    for seed in seeds {
        let report = run(faults, seed);
        assert!(
            report.violations.is_empty(),
            "seed {seed}: {:#?}",
            report.violations
        );
        assert!(
            report.acked > 0,
            "a run without acknowledgements proves nothing"
        );
        assert_eq!(report.struck > 0, !faults.is_empty());
        if seed == first {
            digest = report.digest;
        }
    }
    assert_eq!(
        run(faults, first).digest,
        digest,
        "a seed is the same twice"
    );
}

#[test]
fn driver_without_faults() {
    holds(&[], 1..2);
}

#[test]
fn driver_process_kill() {
    holds(&[HostFault::Kill], 1..3);
}

#[test]
fn driver_power_loss() {
    holds(&[HostFault::PowerLoss], 1..3);
}

#[test]
fn driver_partition() {
    holds(&[HostFault::Partition, HostFault::Hold], 1..3);
}

#[test]
fn driver_slow_disk() {
    holds(&[HostFault::SlowDisk], 1..2);
}

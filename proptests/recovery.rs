//! The store against power losses, kills, rot and a disk that fails: what was acknowledged is there
//! again, nothing else is, and what is damaged is said to be.

mod world;

use protocol::rng::Rng;
use sim::disk::{Fault, Rates, SimDisk};
use storage::DiskError;
use world::{Sealing, World, body};

/// What a crash does to the disk.
#[derive(Clone, Copy, Debug)]
enum Crash {
    Kill,
    PowerLoss,
}

fn crash(disk: &SimDisk, how: Crash, seed: u64) -> SimDisk {
    let mut disk = disk.clone();
    disk.reseed(seed);
    match how {
        Crash::Kill => disk.kill(),
        Crash::PowerLoss => disk.lose_power(),
    }
    disk
}

/// Checks a restart on `disk` against what the process before had acknowledged and sent; says what is
/// wrong.
fn check_restart(disk: SimDisk, before: &World) -> Result<World, String> {
    let mut world = World::open(disk, before.sealing);
    let Some(report) = world.report.clone() else {
        return Err("it did not recover".into());
    };
    if !report.damage.is_empty() || report.lost > 0 {
        return Err(format!("no damage was done: {report:?}"));
    }
    if world.acked < before.acked {
        return Err(format!(
            "{} of {} acknowledged entries are there",
            world.acked, before.acked
        ));
    }
    if world.acked > before.next {
        return Err(format!(
            "{} entries, {} were sent",
            world.acked, before.next
        ));
    }
    if report.tail <= before.acked_pos {
        return Err(format!("{:?} is used again", report.tail));
    }
    for number in (0..world.acked).rev().step_by(7) {
        let read = world.read(number);
        if read.as_deref() != Some(&body(number)[..]) {
            return Err(format!("entry {number} cannot be read: {read:?}"));
        }
    }
    if !world.lost.is_empty() || !before.lost.is_empty() {
        return Err(format!("a flush lost {:?}", world.lost));
    }
    Ok(world)
}

/// Crashes a copy of the disk at every operation of a workload.
fn crash_everywhere(how: Crash, seed: u64) {
    let mut rng = Rng::new(seed, 1);
    let mut world = World::open(SimDisk::new(seed), Sealing::of(seed));
    let mut crashes = 0;
    world.work(260, &mut rng, |before| {
        crashes += 1;
        let disk = crash(&before.disk, how, crashes);
        let mut after = check_restart(disk, before)
            .unwrap_or_else(|error| panic!("seed {seed}, crash {crashes}, {how:?}: {error}"));
        if crashes % 4 == 0 {
            // A second life that acknowledges something and crashes too.
            after.work(after.next + 5, &mut Rng::new(crashes, 2), |_| {});
            let disk = crash(&after.disk, Crash::PowerLoss, crashes);
            check_restart(disk, &after)
                .unwrap_or_else(|error| panic!("seed {seed}, second crash {crashes}: {error}"));
        }
    });
    assert!(world.checkpoints >= 2, "{} checkpoints", world.checkpoints);
    assert!(crashes > 300, "{crashes} crashes");
}

#[test]
fn power_loss_at_any_operation_loses_nothing_acknowledged_and_invents_nothing() {
    for seed in 0..3 {
        crash_everywhere(Crash::PowerLoss, seed);
    }
}

#[test]
fn kill_at_any_operation_loses_nothing_acknowledged_and_invents_nothing() {
    for seed in 7..9 {
        crash_everywhere(Crash::Kill, seed);
    }
}

/// Without this the tests above could pass because they see nothing.
#[test]
fn disk_that_lies_about_syncs_is_found_out() {
    let found = (0..20).any(|seed| {
        let mut disk = SimDisk::new(seed);
        disk.set_lying(true);
        let mut world = World::open(disk, Sealing::of(seed));
        world.work(50, &mut Rng::new(seed, 1), |_| {});
        let disk = crash(&world.disk, Crash::PowerLoss, seed);
        check_restart(disk, &world).is_err()
    });
    assert!(found);
}

/// A disk with two checkpoints, segments and some log, at rest.
fn settled(seed: u64) -> World {
    let mut world = World::open(SimDisk::new(seed), Sealing::of(seed));
    world.work(300, &mut Rng::new(seed, 1), |_| {});
    world.settle();
    world.tick();
    world.settle();
    assert!(world.checkpoints >= 2);
    world
}

/// Checks that whatever is not as it was is reported or fails to be read, and that nothing is
/// wrong without being noticed. Returns whether anything was noticed.
fn check_damaged(disk: SimDisk, before: &World, what: &str) -> bool {
    let mut world = World::open(disk, before.sealing);
    let report = world
        .report
        .clone()
        .unwrap_or_else(|| panic!("{what}: it did not recover"));
    assert!(report.tail > before.acked_pos, "{what}: {report:?}");
    let mut noticed = !report.damage.is_empty();
    let mut missing = Vec::new();
    for number in 0..before.acked {
        match world.read(number) {
            Some(bytes) => assert_eq!(bytes, body(number), "{what}: wrong bytes"),
            None => missing.push(number),
        }
    }
    noticed |= missing
        .iter()
        .any(|number| world.state.contains_key(number));
    assert!(
        missing.is_empty() || noticed,
        "{what}: {missing:?} are gone, {report:?}"
    );
    noticed
}

#[test]
fn flipped_bit_is_noticed_or_harms_nothing() {
    flip_bits(3);
    flip_bits(2);
}

fn flip_bits(seed: u64) {
    let before = settled(seed);
    let mut rng = Rng::new(seed, 9);
    let files = before.disk.files();
    let mut noticed = 0;
    for round in 0..400 {
        let at = usize::try_from(rng.below(files.len() as u64)).expect("small");
        let (file, len) = files[at];
        let (offset, bit) = (rng.below(len), u8::try_from(rng.below(8)).expect("small"));
        let mut disk = before.disk.clone();
        disk.flip(file, offset, bit);
        let what = format!("round {round}: bit {bit} at {offset} of {file} flipped");
        noticed += usize::from(check_damaged(disk, &before, &what));
    }
    assert!(noticed > 100, "{noticed} of 400 flips hit something");
}

#[test]
fn lost_file_and_cut_file_are_noticed_or_harm_nothing() {
    lose_files(4);
    lose_files(5);
}

fn lose_files(seed: u64) {
    let before = settled(seed);
    for (file, len) in before.disk.files() {
        let mut disk = before.disk.clone();
        disk.remove(file);
        check_damaged(disk, &before, &format!("{file} removed"));
        for part in 1..8 {
            let mut disk = before.disk.clone();
            disk.truncate(file, len * part / 8);
            check_damaged(disk, &before, &format!("{file} cut to {part}/8"));
        }
    }
}

#[test]
fn lost_or_misdirected_write_is_noticed_or_harms_nothing() {
    misdirect_writes(4);
    misdirect_writes(5);
}

fn misdirect_writes(seed: u64) {
    let before = settled(seed);
    let total = before.disk.executed();
    for fault in [Fault::LoseWrite, Fault::MisdirectWrite] {
        for at in (0..total).step_by(2) {
            let mut disk = SimDisk::new(seed);
            disk.plan(at, fault);
            let mut world = World::open(disk, before.sealing);
            world.work(300, &mut Rng::new(seed, 1), |_| {});
            world.settle();
            world.tick();
            world.settle();
            let disk = crash(&world.disk, Crash::PowerLoss, at);
            check_damaged(disk, &world, &format!("{fault:?} at operation {at}"));
        }
    }
}

#[test]
fn failing_disk_costs_nothing_that_was_acknowledged() {
    let mut poisoned = 0;
    for seed in 0..60 {
        let mut world = World::open(SimDisk::new(seed), Sealing::of(seed));
        world.disk.set_rates(Rates {
            write_fails: 300,
            sync_fails: 200,
            name_fails: 8,
            ..Rates::default()
        });
        world.work(250, &mut Rng::new(seed, 1), |_| {});
        poisoned += usize::from(world.poisoned);
        world.disk.set_rates(Rates::default());
        for how in [Crash::Kill, Crash::PowerLoss] {
            let disk = crash(&world.disk, how, seed);
            let after = check_restart(disk, &world)
                .unwrap_or_else(|error| panic!("seed {seed}, {how:?}: {error}"));
            // What a kill left in the page cache only must not be served and then lost.
            let disk = crash(&after.disk, Crash::PowerLoss, seed);
            check_restart(disk, &after)
                .unwrap_or_else(|error| panic!("seed {seed}, after {how:?}: {error}"));
        }
    }
    assert!(poisoned > 20, "{poisoned} of 60 runs met an error");
}

#[test]
fn full_disk_loses_nothing_and_service_returns() {
    for seed in 0..20 {
        let mut world = World::open(SimDisk::new(seed), Sealing::of(seed));
        world.disk.set_capacity(Some(20_000 + seed * 1500));
        let mut rng = Rng::new(seed, 1);
        let mut rounds = 0;
        while world.store.refuses(308) != Some(DiskError::NoSpace) {
            world.work(world.next + 1, &mut rng, |_| {});
            rounds += 1;
            assert!(rounds < 5000, "seed {seed}: the disk is never full");
        }
        world.settle();
        assert!(!world.poisoned, "seed {seed}");
        let disk = crash(&world.disk, Crash::PowerLoss, seed);
        check_restart(disk, &world).unwrap_or_else(|error| panic!("seed {seed}: {error}"));
        world.disk.set_capacity(None);
        world.tick();
        world.settle();
        assert_eq!(world.store.refuses(308), None, "seed {seed}");
        let goal = world.next + 100;
        world.work(goal, &mut rng, |_| {});
        world.settle();
        assert_eq!(world.acked, world.next, "seed {seed}");
        assert!(world.acked >= goal, "seed {seed}");
    }
}

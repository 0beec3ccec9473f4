//! The faults that the simulated disk makes, each shown to happen.

use storage::OpId;

use super::*;

const FILE: FileName = FileName::Log(0);
const OP: OpId = OpId(1);

fn run(disk: &mut SimDisk, op: DiskOp) -> Result<DiskAnswer, DiskError> {
    disk.submit(&mut vec![op]);
    disk.step().expect("an answer").result
}

fn with_file(len: u64) -> SimDisk {
    let mut disk = SimDisk::new(1);
    run(
        &mut disk,
        DiskOp::Create {
            op: OP,
            file: FILE,
            len,
        },
    )
    .unwrap();
    disk
}

fn write(offset: u64, data: &'static [u8]) -> DiskOp {
    let data = Bytes::from_static(data);
    DiskOp::Write {
        op: OP,
        file: FILE,
        offset,
        data,
    }
}

const SYNC: DiskOp = DiskOp::Sync { op: OP, file: FILE };

#[test]
fn synced_bytes_survive_every_power_loss() {
    let mut disk = with_file(4096);
    run(&mut disk, write(100, b"kept")).unwrap();
    run(&mut disk, SYNC).unwrap();
    for seed in 0..50 {
        let mut disk = disk.clone();
        disk.reseed(seed);
        disk.lose_power();
        assert_eq!(&disk.contents(FILE).unwrap()[100..104], b"kept");
    }
}

#[test]
fn unsynced_sectors_are_kept_or_lost_one_by_one() {
    let mut disk = with_file(4096);
    run(&mut disk, write(0, &[7; 2048])).unwrap();
    let mut seen = std::collections::BTreeSet::new();
    for seed in 0..200 {
        let mut disk = disk.clone();
        disk.reseed(seed);
        disk.lose_power();
        let bytes = disk.contents(FILE).unwrap();
        let kept: Vec<bool> = bytes[..2048].chunks(512).map(|s| s == [7; 512]).collect();
        assert!(
            bytes[..2048]
                .chunks(512)
                .all(|s| s == [7; 512] || s == [0; 512])
        );
        seen.insert(kept);
    }
    assert!(seen.len() > 8, "{} of 16 subsets", seen.len());
}

#[test]
fn unsynced_bytes_survive_a_kill() {
    let mut disk = with_file(4096);
    run(&mut disk, write(0, b"cached")).unwrap();
    disk.kill();
    assert_eq!(&disk.contents(FILE).unwrap()[..6], b"cached");
}

#[test]
fn failed_sync_drops_the_pages_and_the_next_one_succeeds() {
    let mut disk = with_file(4096);
    run(&mut disk, write(0, b"gone")).unwrap();
    disk.plan(disk.executed(), Fault::Fail(DiskError::Io(5)));
    assert!(run(&mut disk, SYNC).is_err());
    assert!(run(&mut disk, SYNC).is_ok());
    assert_eq!(
        &disk.contents(FILE).unwrap()[..4],
        b"gone",
        "the page cache has it"
    );
    disk.lose_power();
    assert_eq!(&disk.contents(FILE).unwrap()[..4], &[0; 4]);
}

#[test]
fn lying_disk_loses_what_it_said_it_had_synced() {
    let mut disk = with_file(4096);
    disk.set_lying(true);
    run(&mut disk, write(0, b"gone")).unwrap();
    run(&mut disk, SYNC).unwrap();
    let lost = (0..20).any(|seed| {
        let mut disk = disk.clone();
        disk.reseed(seed);
        disk.lose_power();
        disk.contents(FILE).unwrap()[..4] == [0; 4]
    });
    assert!(lost);
}

#[test]
fn lost_and_misdirected_writes_show_after_a_power_loss() {
    for fault in [Fault::LoseWrite, Fault::MisdirectWrite] {
        let mut disk = with_file(4096);
        disk.plan(disk.executed(), fault);
        run(&mut disk, write(0, b"where?")).unwrap();
        run(&mut disk, SYNC).unwrap();
        assert_eq!(&disk.contents(FILE).unwrap()[..6], b"where?");
        disk.lose_power();
        assert_ne!(&disk.contents(FILE).unwrap()[..6], b"where?");
    }
}

#[test]
fn full_disk_refuses_what_grows_and_nothing_else() {
    let mut disk = with_file(4096);
    disk.set_capacity(Some(5000));
    let other = FileName::Log(4096);
    let create = DiskOp::Create {
        op: OP,
        file: other,
        len: 4096,
    };
    assert_eq!(run(&mut disk, create).unwrap_err(), DiskError::NoSpace);
    assert!(run(&mut disk, write(0, b"in place")).is_ok());
    assert!(run(&mut disk, write(4096, &[1; 2000])).is_err());
}

#[test]
fn stuck_operation_is_never_answered_and_other_lanes_go_on() {
    let mut disk = with_file(4096);
    disk.plan(disk.executed(), Fault::Stick);
    disk.submit(&mut vec![write(0, b"never")]);
    assert!(disk.step().is_none());
    let read = DiskOp::Read {
        op: OpId(2),
        file: FILE,
        offset: 0,
        len: 1,
    };
    assert!(run(&mut disk, read).is_ok());
    disk.kill();
    assert!(run(&mut disk, write(0, b"after")).is_ok());
}

#[test]
fn creation_under_way_at_a_power_loss_is_whole_or_absent() {
    let mut lens = std::collections::BTreeSet::new();
    for seed in 0..50 {
        let mut disk = SimDisk::new(seed);
        disk.submit(&mut vec![DiskOp::Create {
            op: OP,
            file: FILE,
            len: 1024,
        }]);
        disk.lose_power();
        lens.insert(disk.contents(FILE).map(<[u8]>::len));
    }
    assert_eq!(lens.into_iter().collect::<Vec<_>>(), [None, Some(1024)]);
}

#[tokio::test(start_paused = true)]
async fn answers_come_in_virtual_time_and_the_same_each_time() {
    use server::disk::{Disk as _, DiskAnswers as _, DiskQueue as _};
    let mut traces = Vec::new();
    for _ in 0..2 {
        let handle = SimHandle::new(with_file(4096), Latency::default(), 9);
        let (queue, mut answers) = handle.clone().split();
        let begin = tokio::time::Instant::now();
        queue.submit(&mut vec![
            write(0, b"x"),
            SYNC,
            DiskOp::List { op: OpId(3) },
        ]);
        let mut trace = Vec::new();
        while trace.len() < 3 {
            let mut done = Vec::new();
            answers.next(&mut done).await;
            trace.extend(done.iter().map(|done| (done.op, begin.elapsed())));
        }
        traces.push(trace);
    }
    assert_eq!(traces[0], traces[1]);
    assert!(traces[0][2].1 > core::time::Duration::ZERO);
}

#[test]
fn a_fault_waits_for_its_kind_of_operation_and_hits_once() {
    let mut disk = with_file(1024);
    let error = DiskError::Io(5);
    disk.plan_next(OpClass::LogSync, Fault::Fail(error));
    assert!(run(&mut disk, write(0, b"abc")).is_ok());
    assert_eq!(run(&mut disk, SYNC).err(), Some(error));
    assert!(run(&mut disk, SYNC).is_ok());
}

#[test]
fn a_condition_denies_until_it_is_over_and_changes_nothing() {
    let mut disk = with_file(4);
    let create = |file| DiskOp::Create {
        op: OP,
        file,
        len: 1,
    };
    disk.set_condition(Condition::ReadOnly);
    let denied = Some(DiskError::ReadOnly);
    assert_eq!(run(&mut disk, write(0, b"abc")).err(), denied);
    assert_eq!(run(&mut disk, create(FileName::Log(9))).err(), denied);
    assert_eq!(disk.contents(FILE), Some(&[0; 4][..]));
    disk.set_condition(Condition::TooManyFiles);
    assert!(run(&mut disk, write(0, b"abc")).is_ok());
    let denied = Some(DiskError::TooManyFiles);
    assert_eq!(run(&mut disk, create(FileName::Log(9))).err(), denied);
    disk.calm();
    assert!(run(&mut disk, create(FileName::Log(9))).is_ok());
}

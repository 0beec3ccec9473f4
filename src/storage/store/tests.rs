//! The log through writes, faults and restarts.

mod sealed;

use alloc::format;
use alloc::vec;
use alloc::vec::Vec;

use protocol::id::{LogPos, StreamId};
use protocol::store::{Loc, ReadError, ReadOutcome};

use crate::marks::Commit;
use crate::record::HEAD;
use crate::test_disk::{Rig, TestDisk, small};
use crate::{DiskError, DiskOp, FileName, StoreEvent, StoreOptions};

const STREAM: StreamId = StreamId(1);

fn rig() -> Rig {
    Rig::open(small(), TestDisk::default())
}

fn bodies(count: usize) -> Vec<Vec<u8>> {
    let body = |i| format!("entry {i:04} {}", "x".repeat(i * 7 % 90));
    (0..count).map(|i| body(i).into_bytes()).collect()
}

fn read_now(rig: &mut Rig, loc: Loc) -> Result<Vec<u8>, ReadError> {
    let read = match rig.store.read(STREAM, loc) {
        ReadOutcome::Hit(bytes) => return Ok(bytes.to_vec()),
        ReadOutcome::Failed(error) => return Err(error),
        ReadOutcome::Pending(read) => read,
    };
    rig.pump();
    for event in &rig.events {
        if let StoreEvent::ReadDone { read: done, result } = event
            && *done == read
        {
            return result.clone().map(|bytes| bytes.to_vec());
        }
    }
    panic!("the read was not answered");
}

#[test]
fn entry_is_reported_only_after_the_sync_that_covers_it() {
    let mut rig = rig();
    rig.store.append(|out| out.extend_from_slice(b"a"));
    let mut ops = Vec::new();
    rig.store.pump(&mut ops);
    let (last, first) = ops.split_last().unwrap();
    assert!(matches!(last, DiskOp::Sync { .. }));
    rig.run(first.to_vec());
    assert_eq!(rig.entries().len(), 0, "written, not synced");
    rig.run(vec![last.clone()]);
    assert_eq!(rig.entries(), ["a"]);
}

#[test]
fn one_sync_covers_everything_that_arrived_while_the_last_one_ran() {
    let mut rig = rig();
    rig.store.append(|out| out.extend_from_slice(b"first"));
    let mut in_flight = Vec::new();
    rig.store.pump(&mut in_flight);
    for i in 0..5u8 {
        rig.store.append(|out| out.extend_from_slice(&[i]));
        let mut ops = Vec::new();
        rig.store.pump(&mut ops);
        assert!(ops.is_empty(), "one batch in flight at a time");
    }
    rig.run(in_flight);
    assert_eq!(rig.entries().len(), 1);
    let before = rig.disk.syncs;
    rig.pump();
    assert_eq!(rig.entries().len(), 6);
    assert_eq!(rig.shown_max, 5, "the whole batch is seen ahead");
    assert_eq!(rig.disk.syncs - before, 1);
}

#[test]
fn what_may_wait_goes_with_what_may_not_and_no_later_than_the_next_pump() {
    let mut rig = rig();
    rig.pump();
    let before = rig.disk.syncs;
    let lazily = |rig: &mut Rig, body: &'static [u8]| {
        rig.store.append_lazily(|out| out.extend_from_slice(body));
        let mut ops = Vec::new();
        rig.store.pump_busily(&mut ops);
        rig.run(ops);
    };
    lazily(&mut rig, b"a");
    assert_eq!((rig.entries().len(), rig.store.lacks_pump()), (0, true));
    rig.store.append(|out| out.extend_from_slice(b"b"));
    lazily(&mut rig, b"c");
    assert_eq!(rig.entries(), ["a", "b", "c"]);
    lazily(&mut rig, b"d");
    rig.store.hurry();
    lazily(&mut rig, b"e");
    assert_eq!(rig.entries().len(), 5);
    lazily(&mut rig, b"f");
    assert_eq!(rig.disk.syncs - before, 2);
    rig.pump();
    assert_eq!(rig.entries(), ["a", "b", "c", "d", "e", "f"]);
}

#[test]
fn entries_of_many_files_are_replayed_in_order_after_a_kill() {
    let mut rig = rig();
    let bodies = bodies(500);
    let mut positions = Vec::new();
    for body in &bodies {
        positions.push(rig.put(body));
    }
    assert!(rig.disk.files.len() > 3, "{} files", rig.disk.files.len());
    assert!(positions.is_sorted());
    let rig = rig.reopen();
    assert_eq!(rig.entries(), bodies);
    let report = rig.report();
    assert_eq!((report.lost, report.damage.len(), report.cut), (0, 0, 0));
    assert_eq!(report.replayed, 500);
}

#[test]
fn every_entry_can_be_read_from_the_cache_or_from_the_disk() {
    let mut rig = rig();
    let bodies = bodies(300);
    let positions: Vec<LogPos> = bodies.iter().map(|body| rig.put(body)).collect();
    for (pos, body) in positions.iter().zip(&bodies) {
        assert_eq!(read_now(&mut rig, Loc::log(*pos)).as_ref(), Ok(body));
    }
    let mut rig = rig.reopen();
    for (pos, body) in positions.iter().zip(&bodies) {
        assert_eq!(read_now(&mut rig, Loc::log(*pos)).as_ref(), Ok(body));
    }
}

#[test]
fn block_that_was_read_near_the_end_of_the_log_hides_nothing_written_later() {
    let bodies = bodies(300);
    // Every read asks the disk, for more than has been written.
    let options = StoreOptions {
        tail_cache_max: 0,
        ..small()
    };
    let mut rig = Rig::open(options, TestDisk::default());
    let mut positions = vec![rig.put(&bodies[0])];
    let first = read_now(&mut rig, Loc::log(positions[0]));
    assert_eq!(first.as_ref(), Ok(&bodies[0]));
    positions.extend(bodies.iter().skip(1).map(|body| rig.put(body)));
    for (pos, body) in positions.iter().zip(&bodies) {
        assert_eq!(read_now(&mut rig, Loc::log(*pos)).as_ref(), Ok(body));
    }
}

#[test]
fn entry_longer_than_a_buffer_is_stored_and_read() {
    let mut rig = rig();
    let body = vec![7; usize::try_from(small().log_file_len / 2).unwrap()];
    rig.put(b"before");
    let pos = rig.put(&body);
    rig.put(b"after");
    for i in 0..100u8 {
        rig.put(&[i; 60]);
    }
    assert_eq!(read_now(&mut rig, Loc::log(pos)), Ok(body.clone()));
    let mut rig = rig.reopen();
    assert_eq!(rig.entries()[1], body);
    assert_eq!(read_now(&mut rig, Loc::log(pos)), Ok(body));
}

#[test]
fn torn_batch_is_cut_silently_and_its_place_is_written_anew() {
    let mut rig = rig();
    rig.put(b"acknowledged");
    // As long as what the next life will write in its place: the marks of its epoch and of that
    // batch, a new entry, the marks behind it.
    let torn = [0; 160 - HEAD];
    let torn_at = rig.store.append(|out| out.extend_from_slice(&torn));
    rig.store
        .append(|out| out.extend_from_slice(b"whole but behind"));
    let mut ops = Vec::new();
    rig.store.pump(&mut ops);
    let tail = rig.store.tail();
    // Only the write runs; then its first sector is lost, as in a power failure.
    rig.disk.run(&ops[0]);
    let DiskOp::Write { file, offset, .. } = ops[0] else {
        panic!("{ops:?}");
    };
    rig.disk.flip(file, offset + HEAD as u64, 0);
    let mut rig = rig.reopen();
    assert_eq!(rig.entries(), ["acknowledged"]);
    let report = rig.report();
    assert_eq!((report.lost, report.damage.len()), (0, 0));
    assert!(report.cut > 0);
    assert!(report.tail < tail);
    rig.store.append(|out| out.extend_from_slice(b"new entry"));
    rig.pump();
    let behind = torn_at.0 + 160;
    assert_eq!(
        rig.store.tail(),
        LogPos(behind),
        "the old entry follows the new one directly"
    );
    let rig = rig.reopen();
    assert_eq!(rig.entries(), ["acknowledged", "new entry"]);
    assert_eq!(rig.report().damage, []);
}

#[test]
fn rotten_entry_is_reported_and_everything_else_is_replayed() {
    let mut rig = rig();
    let bodies = bodies(20);
    let positions: Vec<LogPos> = bodies.iter().map(|body| rig.put(body)).collect();
    for victim in [0, 11, 19] {
        let mut disk = rig.disk.clone();
        disk.flip(FileName::Log(0), positions[victim].0 + HEAD as u64 + 3, 5);
        let mut rotten = Rig::open(small(), disk);
        let report = rotten.report();
        assert_eq!(report.lost, 1, "entry {victim}: {report:?}");
        assert_eq!(report.damage[0].from, positions[victim].0);
        assert_eq!(rotten.entries().len(), 19);
        assert!(report.tail > positions[19], "positions are never reused");
        let read = read_now(&mut rotten, Loc::log(positions[victim]));
        assert_eq!(read, Err(ReadError::Damaged));
        let last = (victim + 1) % 20;
        assert_eq!(
            read_now(&mut rotten, Loc::log(positions[last])),
            Ok(bodies[last].clone())
        );
    }
}

#[test]
fn read_that_fails_at_a_start_is_tried_again_and_costs_nothing() {
    let mut rig = rig();
    let bodies = bodies(200);
    for body in &bodies {
        rig.put(body);
    }
    rig.disk.fail_read = Some((FileName::Log(4096), 4096 + 100));
    let mut rig = rig.reopen();
    for _ in 3..small().recovery_read_attempts {
        rig.tick();
    }
    assert!(rig.entries().len() < 200, "the rest cannot be read yet");
    assert!(rig.store.poisoned().is_none());
    rig.disk.fail_read = None;
    rig.tick();
    assert_eq!(rig.entries(), bodies);
    assert_eq!(rig.report().damage, []);
}

#[test]
fn store_stays_closed_when_a_part_of_its_log_cannot_be_read() {
    let mut rig = rig();
    let positions: Vec<LogPos> = bodies(20).iter().map(|body| rig.put(body)).collect();
    rig.disk.fail_read = Some((FileName::Log(0), positions[19].0));
    let before = rig.disk.files.clone();
    let mut rig = rig.reopen();
    for _ in 0..small().recovery_read_attempts {
        rig.tick();
    }
    let mut told = Vec::new();
    for event in &rig.events {
        if let StoreEvent::Unreadable { part, error } = event {
            told.push((*part, *error));
        }
    }
    assert_eq!(told.len(), 1);
    let (part, error) = told[0];
    let part = part.expect("a part of the log");
    assert_eq!((part.file, error), (FileName::Log(0), DiskError::Io(5)));
    assert!((part.from..part.to).contains(&positions[19].0));
    let recovered = |event: &StoreEvent| matches!(event, StoreEvent::Recovered(_));
    assert!(!rig.events.iter().any(recovered));
    assert_eq!(rig.disk.files, before, "nothing is written");
    rig.disk.fail_read = None;
    assert_eq!(
        rig.reopen().entries().len(),
        20,
        "the next start has it all"
    );
}

#[test]
fn hole_is_told_between_the_entries_around_it() {
    let mut rig = rig();
    let bodies = bodies(20);
    let positions: Vec<LogPos> = bodies.iter().map(|body| rig.put(body)).collect();
    rig.disk
        .flip(FileName::Log(0), positions[11].0 + HEAD as u64 + 3, 5);
    let rig = rig.reopen();
    let entry = |event: &StoreEvent| matches!(event, StoreEvent::Entry { .. });
    let is_hole = |event: &StoreEvent| matches!(event, StoreEvent::Hole(hole) if hole.from == positions[11].0);
    let hole = rig.events.iter().position(is_hole).expect("it is told");
    let (before, after) = rig.events.split_at(hole);
    assert_eq!(before.iter().filter(|event| entry(event)).count(), 11);
    assert_eq!(after.iter().filter(|event| entry(event)).count(), 8);
}

#[test]
fn unreadable_entry_does_not_cost_its_neighbours() {
    let mut rig = rig();
    let bodies = bodies(100);
    let positions: Vec<LogPos> = bodies.iter().map(|body| rig.put(body)).collect();
    rig.disk.fail_read = Some((FileName::Log(0), positions[10].0 + 20));
    for (at, (pos, body)) in positions.iter().zip(&bodies).enumerate() {
        let read = read_now(&mut rig, Loc::log(*pos));
        let want = if at == 10 {
            Err(ReadError::Io(5))
        } else {
            Ok(body.clone())
        };
        assert_eq!(read, want, "entry {at}");
    }
}

#[test]
fn missing_newest_file_is_reported_and_its_positions_are_not_reused() {
    let mut rig = rig();
    let positions: Vec<LogPos> = bodies(150).iter().map(|body| rig.put(body)).collect();
    let last = *positions.last().unwrap();
    let covering = |name: &&FileName| matches!(name, FileName::Log(base) if *base <= last.0);
    let newest = *rig.disk.files.keys().rfind(covering).unwrap();
    rig.disk.files.remove(&newest);
    let rig = rig.reopen();
    let report = rig.report();
    assert_eq!(report.damage.len(), 1, "{report:?}");
    assert_eq!(report.damage[0].file, newest);
    assert!(report.tail > last);
}

#[test]
fn shortened_newest_file_is_reported_and_its_positions_are_not_reused() {
    let mut rig = rig();
    let positions: Vec<LogPos> = bodies(20).iter().map(|body| rig.put(body)).collect();
    let last = positions[19].0;
    let file = rig.disk.files.get_mut(&FileName::Log(0)).unwrap();
    file.truncate(2000);
    let mut rig = rig.reopen();
    let report = rig.report();
    assert_eq!(report.damage.len(), 1, "{report:?}");
    assert!(report.tail.0 > last);
    rig.put(b"goes on");
    let rig = rig.reopen();
    assert_eq!(rig.entries().last().unwrap(), "goes on");
}

#[test]
fn failed_sync_poisons_the_store_for_good() {
    let mut rig = rig();
    rig.put(b"stored");
    rig.disk.fail_sync = true;
    rig.put(b"lost");
    assert_eq!(rig.store.poisoned(), Some(DiskError::Io(5)));
    assert!(matches!(rig.events.last(), Some(StoreEvent::Poisoned(_))));
    rig.disk.fail_sync = false;
    let syncs = rig.disk.syncs;
    rig.put(b"refused");
    rig.tick();
    assert_eq!(rig.disk.syncs, syncs, "never synced again");
    assert_eq!(rig.entries(), ["stored"]);
    assert_eq!(rig.store.refuses(1), Some(DiskError::Io(5)));
}

#[test]
fn poisoned_store_gives_positions_that_grow_and_reads_what_it_has() {
    let mut rig = rig();
    let stored = rig.put(b"stored");
    rig.disk.fail_sync = true;
    let mut last = rig.put(b"lost");
    for _ in 0..500 {
        let pos = rig.put(&[1; 50]);
        assert!(pos > last);
        last = pos;
    }
    assert_eq!(
        read_now(&mut rig, Loc::log(stored)).as_deref(),
        Ok(&b"stored"[..])
    );
    rig.disk.fail_sync = false;
    assert!(
        rig.reopen().entries().len() <= 2,
        "nothing was written afterwards"
    );
}

#[test]
fn what_no_mark_proves_is_written_and_synced_again_before_the_store_opens() {
    let mut rig = rig();
    rig.store
        .append(|out| out.extend_from_slice(b"in the page cache only"));
    let mut ops = Vec::new();
    rig.store.pump(&mut ops);
    rig.disk.run(&ops[0]);
    let mut rig = rig.reopen();
    assert_eq!(rig.entries(), ["in the page cache only"]);
    rig.disk.lose_power();
    let rig = rig.reopen();
    assert_eq!(rig.entries(), ["in the page cache only"]);
}

#[test]
fn store_stays_closed_when_what_no_mark_proves_cannot_be_made_durable() {
    let mut rig = rig();
    rig.store
        .append(|out| out.extend_from_slice(b"in the page cache only"));
    let mut ops = Vec::new();
    rig.store.pump(&mut ops);
    rig.disk.run(&ops[0]);
    rig.disk.fail_sync = true;
    let rig = rig.reopen();
    let closed = |event: &StoreEvent| matches!(event, StoreEvent::Unreadable { .. });
    assert!(rig.events.iter().any(closed), "{:?}", rig.events);
    let recovered = |event: &StoreEvent| matches!(event, StoreEvent::Recovered(_));
    assert!(!rig.events.iter().any(recovered));
}

#[test]
fn an_idle_store_leaves_the_disk_alone() {
    let mut rig = rig();
    rig.put(b"entry");
    rig.tick();
    let (syncs, files) = (rig.disk.syncs, rig.disk.files.clone());
    for _ in 0..3 {
        rig.tick();
    }
    assert_eq!(rig.disk.syncs, syncs);
    assert_eq!(rig.disk.files, files);
}

#[test]
fn a_mark_that_lands_on_the_batch_that_it_proves_does_not_hide_it() {
    for which in 0..2 {
        let mut rig = rig();
        rig.put(b"one");
        rig.tick();
        let batch = rig.store.tail();
        rig.put(&[7; 100]);
        let first = rig.store.tail().0 - Commit::TOTAL;
        rig.tick();
        let acked = rig.store.tail();
        assert_eq!(acked.0, first + 2 * Commit::TOTAL, "there are two marks");
        let mark = usize::try_from(first + which * Commit::TOTAL).unwrap();
        let len = usize::try_from(Commit::TOTAL).unwrap();
        let at = usize::try_from(batch.0).unwrap();
        let file = rig.disk.files.get_mut(&FileName::Log(0)).unwrap();
        file.copy_within(mark..mark + len, at);
        file[mark..mark + len].fill(0);
        let rig = rig.reopen();
        let report = rig.report();
        assert_eq!(rig.entries().len(), 1, "{which}");
        assert_eq!(report.damage.len(), 1, "{which}: {report:?}");
        assert!(report.tail >= LogPos(first), "{which}: {report:?}");
    }
}

#[test]
fn full_disk_refuses_publishers_first_and_serves_again_when_space_returns() {
    let mut rig = rig();
    rig.disk.fail_create = Some(DiskError::NoSpace);
    let mut stored = 0;
    while rig.store.refuses(100).is_none() {
        rig.put(&[1; 100]);
        stored += 1;
        assert!(stored < 1000, "the files that are there fill up");
    }
    assert_eq!(rig.store.refuses(100), Some(DiskError::NoSpace));
    assert_eq!(rig.store.is_full(60), None, "deletes still have room");
    assert_eq!(rig.store.poisoned(), None);
    assert_eq!(rig.entries().len(), stored);
    rig.tick();
    assert_eq!(rig.store.refuses(100), Some(DiskError::NoSpace));
    rig.disk.fail_create = None;
    rig.tick();
    assert_eq!(rig.store.refuses(100), None);
    rig.put(b"served");
    let rig = rig.reopen();
    assert_eq!(rig.entries().len(), stored + 1);
    assert_eq!(rig.report().damage, []);
}

#[test]
fn file_that_cannot_be_made_is_not_synced() {
    for len in (400..1_000).step_by(8) {
        let mut rig = rig();
        rig.disk.fail_create = Some(DiskError::Io(5));
        let (mut put, mut stored) = (0, 0);
        while put == stored {
            rig.put(&vec![7; len]);
            put += 1;
            stored = rig.entries().len();
        }
        // The mark of the batch before is not durable yet.
        rig.tick();
        assert_eq!(rig.store.poisoned(), None, "{len}");
        rig.disk.fail_create = None;
        rig.tick();
        rig.pump();
        assert_eq!(rig.reopen().entries().len(), put);
    }
}

#[test]
fn entries_that_wait_for_a_file_are_stored_when_it_can_be_made() {
    let mut rig = rig();
    rig.disk.fail_create = Some(DiskError::NoSpace);
    for i in 0..100u8 {
        rig.put(&[i; 100]);
    }
    let stored = rig.entries().len();
    assert!(stored < 100);
    rig.disk.fail_create = None;
    rig.tick();
    rig.pump();
    assert_eq!(rig.entries().len(), 100);
    assert_eq!(rig.reopen().entries().len(), 100);
}

#[test]
fn old_contents_of_a_reused_file_are_not_taken_for_entries() {
    let mut rig = rig();
    for body in bodies(60) {
        rig.put(&body);
    }
    let newest = *rig.disk.files.keys().next_back().unwrap();
    let old = rig.disk.files[&FileName::Log(0)].clone();
    rig.disk.files.insert(newest, old);
    let rig = rig.reopen();
    assert_eq!(rig.entries().len(), 60);
    assert_eq!(rig.report().damage, []);
}

#[test]
fn kills_in_a_row_lose_nothing_and_need_no_new_file_each_time() {
    let mut rig = rig();
    for i in 0..10u8 {
        rig.put(&[i]);
        rig = rig.reopen();
    }
    assert_eq!(rig.entries().len(), 10);
    assert_eq!(rig.disk.files.len(), 2);
    assert_eq!(rig.report().damage, []);
}

//! Files that are gone, of the log or checkpoints, all of them or some: what is left tells that
//! they were there.

use super::*;

/// Removes the log's files that begin at `from` or behind it.
fn lose_log(user: &mut User, from: u64) {
    let files = &mut user.rig.disk.files;
    files.retain(|file, _| !matches!(file, FileName::Log(base) if *base >= from));
}

/// Asserts that a start tells one hole, which begins at `from`, counts as many entries as are missing and
/// uses no position again.
fn assert_told(user: User, missing: u64, last: LogPos) {
    let mut user = user.reopen();
    let report = user.rig.report();
    assert_eq!(report.damage.len(), 1, "{report:?}");
    assert!(report.lost_max >= missing, "{missing}: {report:?}");
    assert!(report.tail >= last, "{last:?}: {report:?}");
    let holes = |event: &&StoreEvent| matches!(event, StoreEvent::Hole(_));
    assert_eq!(user.rig.events.iter().filter(holes).count(), 1);
    user.rig.put(b"goes on");
    let user = user.reopen();
    assert_eq!(user.rig.entries().last(), Some(&Bytes::from("goes on")));
}

#[test]
fn log_that_is_gone_before_the_first_checkpoint_is_missed_if_a_segment_is_left() {
    let mut user = User::new();
    user.publish(A, 30);
    let last = user.rig.store.tail();
    user.flush(last);
    lose_log(&mut user, 0);
    assert!(!user.rig.disk.files.is_empty());
    assert_told(user, 30, last);
}

#[test]
fn first_checkpoint_is_due_at_once_and_tells_of_a_log_that_is_gone() {
    let mut user = User::new();
    assert!(user.rig.events.contains(&StoreEvent::CheckpointWanted));
    user.rig
        .store
        .write_checkpoint(vec![], LogPos(0), LogPos(0));
    user.rig.pump();
    user.publish(A, 30);
    let last = user.rig.store.tail();
    lose_log(&mut user, 0);
    assert_told(user, 30, last);
}

#[test]
fn nothing_is_missed_in_a_directory_without_a_store() {
    let user = User::new();
    assert_eq!(user.rig.report().damage, []);
}

#[test]
fn several_newest_log_files_that_are_gone_count_as_much_as_they_may_have_held() {
    for files in 1..4 {
        let mut user = User::new();
        user.publish(A, 20);
        user.flush_all_and_checkpoint();
        let from = user.rig.store.tail().0;
        // As long as the next checkpoint is not due.
        while user.rig.store.tail().0 < from + options().checkpoint_step {
            user.publish(A, 1);
        }
        let last = user.rig.store.tail();
        let logs = user.rig.disk.files.keys().filter_map(|file| match file {
            FileName::Log(base) => Some(*base),
            _ => None,
        });
        let first = logs.rev().nth(files - 1).expect("there are more");
        let in_log = user.streams[0].iter();
        let missing = in_log.filter(|(_, loc, _)| match loc.place() {
            Place::Log(pos) => pos.0 >= first.max(from),
            Place::Segment { .. } => false,
        });
        let missing = missing.count() as u64;
        lose_log(&mut user, first);
        if missing > 0 {
            assert_told(user, missing, last);
        }
    }
}

/// Removes checkpoints of a store that has two and a log from its beginning; returns what the start tells.
fn without_checkpoints(gone: &[u64]) -> (User, Vec<FileName>) {
    let mut user = User::new();
    user.publish(A, 5);
    user.checkpoint();
    user.publish(A, 5);
    user.checkpoint();
    user.publish(A, 5);
    user.rig.tick();
    for &number in gone {
        let file = FileName::Checkpoint(number);
        assert!(user.rig.disk.files.remove(&file).is_some());
    }
    let mut user = user.reopen();
    user.assert_all_readable();
    let report = user.rig.report();
    assert_eq!((report.lost, report.lost_max), (0, 0), "{report:?}");
    let told = report.damage.iter().map(|damage| damage.file).collect();
    (user, told)
}

#[test]
fn checkpoint_that_is_gone_is_told_though_nothing_is_missing() {
    assert_eq!(without_checkpoints(&[]).1, []);
    assert_eq!(without_checkpoints(&[1]).1, [FileName::Checkpoint(1)]);
    assert_eq!(without_checkpoints(&[2]).1, [FileName::Checkpoint(2)]);
    assert_eq!(without_checkpoints(&[1, 2]).1, [FileName::Checkpoint(2)]);
}

#[test]
fn number_of_a_checkpoint_that_is_gone_is_not_used_again() {
    let (mut user, _) = without_checkpoints(&[1, 2]);
    user.checkpoint();
    user.checkpoint();
    let user = user.reopen();
    let report = user.rig.report();
    assert_eq!((report.checkpoint, &*report.damage), (Some(4), &[][..]));
}

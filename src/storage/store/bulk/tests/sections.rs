//! Sections: what a checkpoint writes, where it stays, and what damage costs.

use super::*;

#[test]
fn a_checkpoint_is_wanted_when_enough_has_changed() {
    let mut user = User::new();
    let mut checkpoints = 0;
    for _ in 0..60 {
        user.publish(A, 20);
        let events = core::mem::take(&mut user.rig.events);
        if events.contains(&StoreEvent::CheckpointWanted) {
            user.checkpoint_of(vec![put(key(1, 0), "small")]);
            checkpoints += 1;
        }
    }
    assert!((8..=24).contains(&checkpoints), "{checkpoints} checkpoints");
    let user = user.reopen();
    let replayed = user.rig.report().replayed;
    assert!(replayed < 150, "{replayed} of 1200 entries were replayed");
}

#[test]
fn sections_come_back_as_they_were_written_last() {
    let mut user = User::new();
    let long = "l".repeat(3000);
    user.checkpoint_of(vec![
        put(key(2, 1), "old"),
        put(key(2, 2), &long),
        put(key(3, 0), "c"),
        put(key(4, 0), "gone"),
        put(key(4, 9), "gone, too"),
    ]);
    user.publish(A, 1);
    user.checkpoint_of(vec![
        put(key(1, 7), "first"),
        put(key(2, 1), "new"),
        SectionChange::Drop(key(3, 0)),
        SectionChange::DropGroup(4),
    ]);
    let first = user.rig.disk.written(FileName::Checkpoint(1));
    let second = user.rig.disk.written(FileName::Checkpoint(2));
    assert!(first > 3000 && second < 600, "{first} {second}");
    let user = user.reopen();
    let expected = [
        (key(1, 7), String::from("first")),
        (key(2, 1), "new".into()),
        (key(2, 2), long),
    ];
    assert_eq!(user.sections(), BTreeMap::from(expected));
    assert_eq!(user.rig.report().damage, []);
}

#[test]
fn a_damaged_section_of_both_checkpoints_is_the_only_one_that_is_lost() {
    let mut user = User::new();
    user.checkpoint_of(vec![
        put(key(1, 1), &"a".repeat(600)),
        put(key(1, 2), &"b".repeat(600)),
    ]);
    user.publish(A, 3);
    user.checkpoint_of(vec![put(key(1, 3), "c")]);
    let first = FileName::Checkpoint(1);
    let len = user.rig.disk.written(first);
    // In the last section of the first checkpoint.
    user.rig.disk.ruin(first, (len - 200, len - 100), true);
    let mut user = user.reopen();
    let report = user.rig.report();
    assert_eq!(report.checkpoint, Some(2), "the newer one has more");
    assert_eq!(report.damage.len(), 1);
    assert_eq!(report.damage[0].file, FileName::Checkpoint(1));
    let found: Vec<_> = user.sections().into_keys().collect();
    assert_eq!(found, [key(1, 1), key(1, 3)]);
    let lost = StoreEvent::SectionLost(key(1, 2));
    assert!(user.rig.events.contains(&lost));
    // The next checkpoint does without.
    user.checkpoint_of(Vec::new());
    let user = user.reopen();
    assert_eq!(user.rig.report().damage, []);
    assert_eq!(user.sections().len(), 2);
}

/// Two checkpoints that share a section of 30,000 bytes and a short one, which damage to the file of the older
/// hits.
fn shared_section(damage: impl FnOnce(&mut TestDisk, FileName)) {
    let mut user = User::new();
    let page = "a page ".repeat(4300);
    user.checkpoint_of(vec![put(key(1, 1), &page), put(key(1, 2), "short")]);
    user.publish(A, 3);
    user.checkpoint_of(vec![put(key(1, 3), "c")]);
    damage(&mut user.rig.disk, FileName::Checkpoint(1));
    let mut user = user.reopen();
    assert_eq!(user.rig.report().checkpoint, Some(2));
    assert_eq!(user.sections()[&key(1, 1)], page);
    assert_eq!(user.sections()[&key(1, 2)], "short");
    assert_eq!(user.rig.report().damage.len(), 1, "it is told");
    // It is written again at once, so that the next start does not need it.
    assert!(user.rig.events.contains(&StoreEvent::CheckpointWanted));
    assert_eq!(user.rig.store.stale_sections(), [key(1, 1)]);
    user.checkpoint_of(vec![put(key(1, 1), &page)]);
    assert_eq!(user.reopen().rig.report().damage, []);
}

#[test]
fn a_damaged_block_of_a_section_of_both_checkpoints_costs_nothing() {
    for block in 1..7 {
        shared_section(|disk, first| disk.ruin(first, (block * 4096, block * 4096 + 4096), false));
    }
    // Nor does all of the page, but for its beginning and its end.
    shared_section(|disk, first| disk.ruin(first, (4096, 28_672), false));
}

#[test]
fn a_flipped_bit_in_a_section_of_both_checkpoints_costs_nothing() {
    shared_section(|disk, first| disk.flip(first, 20_000, 3));
    // Nor where the parity is gone, with the end of the file; but that takes a while for long sections.
    let mut user = User::new();
    user.checkpoint_of(vec![put(key(1, 1), &"a".repeat(600))]);
    user.publish(A, 3);
    user.checkpoint_of(vec![put(key(1, 3), "c")]);
    let first = FileName::Checkpoint(1);
    let len = user.rig.disk.written(first);
    user.rig.disk.flip(first, len - 300, 3);
    user.rig
        .disk
        .files
        .get_mut(&first)
        .unwrap()
        .truncate(len as usize);
    let user = user.reopen();
    assert_eq!(user.rig.report().damage.len(), 1, "it is told");
    assert_eq!(user.sections()[&key(1, 1)], "a".repeat(600));
}

#[test]
fn of_two_checkpoints_that_are_damaged_the_older_gives_what_is_left_of_it() {
    for torn_head in [false, true] {
        let mut user = User::new();
        // Long enough that the log's beginning has been given up.
        for _ in 0..2 {
            user.publish(A, 150);
            user.flush_all_and_checkpoint();
        }
        let sections = |user: &mut User, name: &str| {
            let body = name.repeat(600);
            user.checkpoint_of(vec![put(key(1, 1), &body), put(key(1, 2), &body)]);
        };
        sections(&mut user, "o");
        user.publish(A, 3);
        sections(&mut user, "n");
        let (older, newer) = (FileName::Checkpoint(3), FileName::Checkpoint(4));
        let len = user.rig.disk.written(older);
        // The last section of each, or of the newer one everything.
        user.rig.disk.ruin(older, (len - 200, len - 100), true);
        let at = if torn_head { 40 } else { len - 100 };
        user.rig.disk.ruin(newer, (at - 16, at), true);
        let user = user.reopen();
        let report = user.rig.report();
        assert_eq!(report.checkpoint, Some(3), "{report:?}");
        assert_eq!(report.damage.len(), 2, "{report:?}");
        assert_eq!(user.sections()[&key(1, 1)], "o".repeat(600));
        assert!(!user.sections().contains_key(&key(1, 2)));
        assert!(
            user.rig
                .events
                .contains(&StoreEvent::SectionLost(key(1, 2)))
        );
        assert_eq!(user.rig.entries().len(), 3, "the log behind it is there");
    }
}

#[test]
fn files_that_hold_little_are_given_up() {
    let mut user = User::new();
    let bodies: Vec<String> = (0..40).map(|n| format!("{n}").repeat(20_000)).collect();
    for round in 0..60u64 {
        let mut changes = Vec::new();
        for key in user.rig.store.stale_sections() {
            changes.push(put(key, &bodies[key.number as usize % 40]));
        }
        changes.push(put(key(1, round), &bodies[round as usize % 40]));
        // Half of the sections last.
        if round % 2 == 1 {
            changes.push(SectionChange::Drop(key(1, round - 1)));
        }
        changes.push(put(
            key(2, round % 3),
            &bodies[round as usize % 40].repeat(12),
        ));
        user.checkpoint_of(changes);
    }
    let files = user.rig.disk.files.iter();
    let files = files.filter(|(name, _)| matches!(name, FileName::Checkpoint(_)));
    let total: usize = files.map(|(_, bytes)| bytes.len()).sum();
    let user = user.reopen();
    let live: usize = user.sections().values().map(String::len).sum();
    assert!(total < live * 2 + (6 << 20), "{total} for {live}");
    assert_eq!(user.sections().len(), 33);
    assert_eq!(user.rig.report().damage, []);
}

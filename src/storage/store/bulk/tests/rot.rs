//! Damage in segments, checkpoints and the log behind one: what is told, and what does not suffer.

use super::*;

/// Lets enough ticks pass for a whole lap of the scrub, and answers what it asks for.
fn scrub(user: &mut User) {
    for _ in 0..400 {
        user.rig.tick();
        user.rig.pump();
    }
}

#[test]
fn rot_is_found_though_nobody_reads() {
    let mut user = User::new();
    user.publish(A, 150);
    user.publish(B, 20);
    user.flush_all_and_checkpoint();
    scrub(&mut user);
    let rotten = |user: &User| {
        let events = user.rig.events.iter().filter_map(|event| match event {
            StoreEvent::Rotten { damage, lost } => Some((*damage, lost.clone())),
            _ => None,
        });
        events.collect::<Vec<_>>()
    };
    assert_eq!(rotten(&user), [], "nothing is damaged");
    let (seq, loc, _) = user.streams[0][10];
    let Place::Segment { number, offset } = loc.place() else {
        panic!("not flushed");
    };
    let file = FileName::Segment { stream: A, number };
    user.rig.disk.flip(file, offset + 20, 4);
    scrub(&mut user);
    let found = rotten(&user);
    let (damage, lost) = found.first().expect("it is found");
    assert_eq!((damage.file, damage.from), (file, offset));
    assert_eq!(lost, &Some((A, vec![(seq, loc)])), "and nothing else");
}

#[test]
fn rot_in_the_log_is_found_and_a_start_is_kept_from_needing_it() {
    let mut user = User::new();
    user.publish(A, 200);
    let (_, loc, _) = user.streams[0][10];
    let Place::Log(pos) = loc.place() else {
        panic!("not flushed");
    };
    scrub(&mut user);
    user.rig.events.clear();
    user.rig.disk.flip(FileName::Log(0), pos.0 + 20, 4);
    user.checkpoint();
    user.rig.events.clear();
    scrub(&mut user);
    let found = user.rig.events.iter().find_map(|event| match event {
        StoreEvent::Rotten { damage, lost } => Some((*damage, lost.clone())),
        _ => None,
    });
    let (damage, lost) = found.expect("it is found");
    assert_eq!((damage.file, damage.from), (FileName::Log(0), pos.0));
    assert!(
        damage.to <= user.streams[0][11].1.to_bits(),
        "and nothing else"
    );
    assert_eq!(lost, None);
    assert!(user.rig.events.contains(&StoreEvent::CheckpointWanted));
}

#[test]
fn rotten_section_is_written_again_from_memory() {
    let mut user = User::new();
    user.checkpoint_of(vec![put(key(1, 1), &"a".repeat(500)), put(key(1, 2), "b")]);
    let len = user.rig.disk.written(FileName::Checkpoint(1));
    user.rig.disk.flip(FileName::Checkpoint(1), len - 100, 1);
    user.rig.events.clear();
    scrub(&mut user);
    assert!(user.rig.events.contains(&StoreEvent::CheckpointWanted));
    let stale = user.rig.store.stale_sections();
    assert_eq!(stale, [key(1, 1)]);
    user.checkpoint_of(vec![put(key(1, 1), "again")]);
    let user = user.reopen();
    assert_eq!(user.sections()[&key(1, 1)], "again");
    assert_eq!(user.rig.report().damage, []);
}

#[test]
fn number_of_a_segment_that_is_gone_is_not_used_again() {
    let mut user = User::new();
    user.publish(A, 40);
    user.flush_all_and_checkpoint();
    let (_, gone, _) = user.streams[0][0];
    let Place::Segment { number, .. } = gone.place() else {
        panic!("not flushed");
    };
    let file = FileName::Segment { stream: A, number };
    user.rig.disk.files.remove(&file);
    // The second start knows of it only what the first one has written.
    for _ in 0..2 {
        user = user.reopen();
        user.publish(A, 40);
        user.flush_all_and_checkpoint();
        user.checkpoint();
        assert_eq!(user.read(A, gone), Err(ReadError::Missing));
    }
}

#[test]
fn rot_in_a_segment_fails_that_read_only() {
    let mut user = User::new();
    user.publish(A, 50);
    user.flush_all_and_checkpoint();
    let Place::Segment { number, offset } = user.streams[0][10].1.place() else {
        panic!("not flushed");
    };
    user.rig
        .disk
        .flip(FileName::Segment { stream: A, number }, offset + 20, 4);
    let mut user = user.reopen();
    let (_, loc, _) = user.streams[0].remove(10);
    assert_eq!(user.read(A, loc), Err(ReadError::Damaged));
    user.assert_all_readable();
}

#[test]
fn rot_found_by_a_flush_is_told_as_lost() {
    let mut user = User::new();
    user.publish(A, 100);
    let Place::Log(pos) = user.streams[0][3].1.place() else {
        panic!("flushed");
    };
    user.rig.disk.flip(FileName::Log(0), pos.0 + 17, 0);
    let entries = user.streams[0]
        .iter()
        .map(|(seq, loc, _)| (*seq, *loc))
        .collect();
    user.rig.store.flush(A, entries);
    user.rig.pump();
    let flushed = user.rig.events.iter().find_map(|event| match event {
        StoreEvent::Flushed { moved, lost, .. } => Some((moved.len(), lost.clone())),
        _ => None,
    });
    assert_eq!(flushed, Some((99, vec![Seq(4)])));
}

#[test]
fn entry_that_a_flush_cannot_read_is_lost_only_if_it_stays_so() {
    let mut user = User::new();
    user.publish(A, 100);
    let Place::Log(pos) = user.streams[0][3].1.place() else {
        panic!("flushed");
    };
    let entries: Vec<_> = user.streams[0]
        .iter()
        .map(|(seq, loc, _)| (*seq, *loc))
        .collect();
    let flushed = |user: &User| {
        let mut events = user.rig.events.iter();
        events.find_map(|event| match event {
            StoreEvent::Flushed { moved, lost, .. } => Some((moved.len(), lost.clone())),
            _ => None,
        })
    };
    user.rig.disk.fail_read = Some((FileName::Log(0), pos.0 + 17));
    user.rig.store.flush(A, entries.clone());
    user.rig.pump();
    assert_eq!(flushed(&user), None, "it waits");
    user.rig.disk.fail_read = None;
    user.rig.tick();
    assert_eq!(flushed(&user), Some((100, vec![])));
    user.rig.events.clear();
    user.rig.disk.fail_read = Some((FileName::Log(0), pos.0 + 17));
    user.rig.store.flush(A, entries);
    user.rig.pump();
    for _ in 0..20 {
        user.rig.tick();
    }
    assert_eq!(flushed(&user), Some((99, vec![Seq(4)])));
}

#[test]
fn flush_that_can_open_no_file_to_read_waits_as_long_as_that_lasts() {
    let mut user = User::new();
    user.publish(A, 100);
    let entries = user.streams[0].iter();
    let entries = entries.map(|(seq, loc, _)| (*seq, *loc)).collect();
    user.rig.disk.too_many_files = true;
    user.rig.store.flush(A, entries);
    user.rig.pump();
    for _ in 0..100 {
        user.rig.tick();
    }
    user.rig.disk.too_many_files = false;
    user.rig.tick();
    let mut events = user.rig.events.iter();
    let flushed = events.find_map(|event| match event {
        StoreEvent::Flushed { moved, lost, .. } => Some((moved.len(), lost.len())),
        _ => None,
    });
    assert_eq!(flushed, Some((100, 0)));
}

#[test]
fn missing_segment_is_reported_and_nothing_else_suffers() {
    let mut user = User::new();
    user.publish(A, 50);
    user.publish(B, 50);
    user.flush_all_and_checkpoint();
    let gone = FileName::Segment {
        stream: A,
        number: 0,
    };
    user.rig.disk.files.remove(&gone);
    let mut user = user.reopen();
    assert_eq!(user.rig.report().damage[0].file, gone);
    let (_, loc, _) = user.streams[0][0];
    assert_eq!(user.read(A, loc), Err(ReadError::Missing));
    user.streams[0].clear();
    user.assert_all_readable();
}

#[test]
fn damaged_newest_checkpoint_is_reported_and_the_one_before_gives_the_same() {
    let mut user = User::new();
    user.publish(A, 150);
    user.flush_all_and_checkpoint();
    user.publish(A, 150);
    user.flush_all_and_checkpoint();
    user.publish(A, 5);
    user.rig.disk.flip(FileName::Checkpoint(2), 3000, 1);
    let user = user.reopen();
    let report = user.rig.report();
    assert_eq!(report.checkpoint, Some(1));
    assert_eq!(report.damage.len(), 1);
    assert_eq!(report.damage[0].file, FileName::Checkpoint(2));
    assert_eq!(
        user.rig.entries().len(),
        155,
        "the log since the older one is there"
    );
}

#[test]
fn newest_log_file_that_is_gone_behind_a_checkpoint_is_told_and_its_positions_are_not_reused() {
    for cut_to in [None, Some(0), Some(100)] {
        let mut user = User::new();
        user.publish(A, 50);
        user.flush_all_and_checkpoint();
        let from = user.rig.store.tail();
        user.checkpoint();
        user.publish(A, 3);
        let last = user.rig.store.tail();
        let files = &mut user.rig.disk.files;
        // As if none had been made ahead.
        files.retain(|file, _| !matches!(file, FileName::Log(base) if *base > last.0));
        let is_log = |file: &&FileName| matches!(file, FileName::Log(_));
        let newest = *files.keys().rfind(is_log).expect("the log has a file");
        match cut_to {
            None => drop(files.remove(&newest)),
            Some(len) => files.get_mut(&newest).expect("it is there").truncate(len),
        }
        let mut user = user.reopen();
        let report = user.rig.report();
        let [damage] = report.damage.as_slice() else {
            panic!("one hole: {report:?}");
        };
        assert_eq!(
            damage.from, from.0,
            "what the checkpoint holds is not missed"
        );
        assert!(report.lost_max >= 3, "{report:?}");
        assert!(report.tail >= last, "{report:?}");
        let holes = user.rig.events.iter();
        let holes = holes.filter(|event| matches!(event, StoreEvent::Hole(_)));
        assert_eq!(holes.count(), 1);
        let position = user.rig.put(b"goes on");
        assert!(position >= report.tail);
        let user = user.reopen();
        assert_eq!(user.rig.entries(), ["goes on"]);
    }
}

#[test]
fn newest_log_file_in_an_older_version_is_told_and_its_positions_are_not_reused() {
    for is_empty in [false, true] {
        let mut user = User::new();
        user.publish(A, 50);
        user.flush_all_and_checkpoint();
        user.publish(A, 2);
        let is_log = |(file, _): &(&FileName, &Vec<u8>)| matches!(file, FileName::Log(_));
        let begins = |base: u64, tail: LogPos| base <= tail.0;
        let newest = |user: &User| {
            let tail = user.rig.store.tail();
            let logs = user.rig.disk.files.iter().filter(is_log);
            let mut logs = logs.map(|(file, bytes)| (*file, bytes.clone()));
            logs.rfind(|(file, _)| matches!(file, FileName::Log(base) if begins(*base, tail)))
        };
        let (file, mut older) = newest(&user).expect("the log has a file");
        user.publish(A, 2);
        user.checkpoint();
        user.publish(A, 3);
        user.rig.tick();
        assert_eq!(newest(&user).map(|(newest, _)| newest), Some(file));
        let last = user.rig.store.tail();
        if is_empty {
            older.fill(0);
        }
        user.rig.disk.files.insert(file, older);
        let mut user = user.reopen();
        let report = user.rig.report();
        assert!(report.lost_max >= 3, "{report:?}");
        assert!(report.tail >= last, "{report:?}");
        let position = user.rig.put(b"goes on");
        assert!(position >= report.tail);
        let user = user.reopen();
        assert_eq!(user.rig.entries().last(), Some(&Bytes::from("goes on")));
    }
}

#[test]
fn log_file_cut_off_below_a_checkpoint_counts_as_much_as_it_may_have_held() {
    let mut user = User::new();
    user.publish(A, 50);
    user.flush_all_and_checkpoint();
    let from = user.rig.store.tail();
    user.checkpoint();
    let logs = |user: &User| {
        let files = user.rig.disk.files.iter();
        let logs = files.filter_map(|(file, bytes)| match file {
            FileName::Log(base) => Some((*base, bytes.len() as u64)),
            _ => None,
        });
        logs.collect::<Vec<_>>()
    };
    let covers = |&(base, len): &(u64, u64)| base <= from.0 && from.0 < base + len;
    let (base, len) = logs(&user).into_iter().find(covers).unwrap();
    let mut lost = 0;
    while user.rig.store.tail().0 < base + len {
        user.publish(A, 1);
        lost += 1;
    }
    // Marks follow that count from the next file on.
    for _ in 0..3 {
        user.publish(A, 1);
        user.rig.tick();
    }
    let cut = user.rig.disk.files.get_mut(&FileName::Log(base));
    cut.expect("it is there").truncate(40);
    let user = user.reopen();
    let report = user.rig.report();
    assert_eq!(report.damage.len(), 1, "{report:?}");
    assert!(report.lost_max >= lost - 1, "{lost} are gone: {report:?}");
}

#[test]
fn log_file_cut_off_within_its_head_is_told_though_nothing_else_is_there() {
    for len in [0, 1, 16, 31] {
        let mut user = User::new();
        user.publish(A, 3);
        let last = user.rig.store.tail();
        let files = &mut user.rig.disk.files;
        files.retain(|file, _| *file == FileName::Log(0));
        files.get_mut(&FileName::Log(0)).unwrap().truncate(len);
        let mut user = user.reopen();
        let report = user.rig.report();
        assert_eq!(report.damage.len(), 1, "{len}: {report:?}");
        assert!(report.lost_max >= 3 && report.tail >= last, "{report:?}");
        user.rig.put(b"goes on");
        let user = user.reopen();
        assert_eq!(user.rig.entries(), ["goes on"]);
    }
}

#[test]
fn log_file_cut_off_before_it_was_used_is_made_again() {
    let mut user = User::new();
    user.publish(A, 3);
    let files = &mut user.rig.disk.files;
    let ahead = *files
        .keys()
        .rfind(|file| matches!(file, FileName::Log(_)))
        .unwrap();
    assert_ne!(ahead, FileName::Log(0));
    files.get_mut(&ahead).unwrap().truncate(10);
    let mut user = user.reopen();
    user.publish(A, 500);
    let mut user = user.reopen();
    assert!(user.rig.report().damage.is_empty());
    user.assert_all_readable();
}

#[test]
fn what_a_checkpoint_refers_to_in_the_log_is_missed_at_a_start_though_it_is_not_replayed() {
    for (messages, remove) in [(10, false), (200, true)] {
        let mut user = User::new();
        user.publish(A, messages);
        user.checkpoint();
        let (_, loc, _) = user.streams[0][4];
        let Place::Log(pos) = loc.place() else {
            panic!("not flushed");
        };
        if remove {
            user.rig.disk.files.remove(&FileName::Log(0));
        } else {
            user.rig.disk.flip(FileName::Log(0), pos.0 + 17, 1);
        }
        let mut user = user.reopen();
        let report = user.rig.report();
        let [damage] = report.damage.as_slice() else {
            panic!("one place: {report:?}");
        };
        assert!((damage.from..damage.to).contains(&pos.0), "{damage:?}");
        assert_eq!(report.lost_max, 0, "no entry is missing: {report:?}");
        let holes = |event: &&StoreEvent| matches!(event, StoreEvent::Hole(_));
        assert_eq!(user.rig.events.iter().filter(holes).count(), 0);
        assert!(user.read(A, loc).is_err());
    }
}

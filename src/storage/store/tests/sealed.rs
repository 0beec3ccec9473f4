//! Stores with a key: what lies on the disk, and what is there again.

use alloc::vec::Vec;
use core::iter;

use bytes::Bytes;
use protocol::id::Seq;
use protocol::store::{Loc, SectionChange, SectionKey};

use super::{STREAM, bodies, read_now};
use crate::record::HEAD;
use crate::test_disk::{Rig, TestDisk, small};
use crate::vault::LIFE_LEN;
use crate::{
    Check, CheckReport, Cipher, DiskError, DiskOp, FileName, Packing, StoreEvent, StoreKey,
    StoreOptions,
};

/// Every entry and section of these tests begins with this.
const MARK: &[u8] = b"entry ";

fn keyed(cipher: Cipher, life: u8) -> StoreOptions {
    StoreOptions {
        key: Some(StoreKey::new([42; 32], cipher, [life; LIFE_LEN])),
        ..small()
    }
}

fn options(life: u8) -> StoreOptions {
    keyed(Cipher::default(), life)
}

/// Returns the files that hold something of users as it is.
fn in_the_clear(disk: &TestDisk) -> Vec<FileName> {
    let files = disk.files.iter();
    let readable = files.filter(|(_, bytes)| bytes.windows(MARK.len()).any(|part| part == MARK));
    readable.map(|(&file, _)| file).collect()
}

fn checkpoint(rig: &mut Rig) {
    let key = SectionKey {
        group: 1,
        number: 2,
    };
    let change = SectionChange::Put(key, Bytes::from_static(b"entry of the state"));
    let tail = rig.store.tail();
    rig.store
        .write_checkpoint([change].into(), tail, protocol::id::LogPos(0));
    rig.pump();
}

/// Flushes these entries and returns where they lie then.
fn flush(rig: &mut Rig, places: &[Loc], packing: Packing) -> Vec<Loc> {
    let entries = (1..).map(Seq).zip(places.iter().copied()).collect();
    rig.store.flush_packed(STREAM, entries, packing);
    rig.pump();
    let flushed = rig
        .events
        .iter()
        .rposition(|event| matches!(event, StoreEvent::Flushed { .. }));
    let StoreEvent::Flushed { moved, lost, .. } = rig.events.swap_remove(flushed.unwrap()) else {
        unreachable!("that is what was looked for");
    };
    assert_eq!(lost, []);
    moved.into_iter().map(|(_, loc)| loc).collect()
}

fn fill(rig: &mut Rig, bodies: &[Vec<u8>]) -> Vec<Loc> {
    bodies.iter().map(|body| Loc::log(rig.put(body))).collect()
}

/// Checks a store whose key these tests have.
fn checked(disk: &TestDisk) -> CheckReport {
    let (mut disk, mut check) = (disk.clone(), Check::new(options(9)));
    let mut ops: Vec<DiskOp> = Vec::new();
    check.start(&mut ops);
    while let Some(op) = ops.pop() {
        check.handle(disk.run(&op), &mut ops);
    }
    check.outcome().unwrap().unwrap().clone()
}

#[test]
fn nothing_of_users_lies_in_the_clear_and_all_of_it_is_read_again() {
    let bodies = bodies(60);
    for cipher in [Cipher::ChaCha20Poly1305, Cipher::Aes256Gcm] {
        for packing in [Packing::Plain, Packing::Compressed] {
            let mut rig = Rig::open(keyed(cipher, 1), TestDisk::default());
            let in_log = fill(&mut rig, &bodies);
            let in_segment = flush(&mut rig, &in_log, packing);
            checkpoint(&mut rig);
            assert_eq!(in_the_clear(&rig.disk), []);
            assert!(checked(&rig.disk).clear.is_empty());
            let mut rig = Rig::open(keyed(cipher, 2), rig.disk);
            assert_eq!(rig.report().damage, []);
            assert!(rig.events.iter().any(|event| matches!(
                event,
                StoreEvent::Section { body, .. } if body == "entry of the state"
            )));
            for (body, (&log, &segment)) in bodies.iter().zip(iter::zip(&in_log, &in_segment)) {
                assert_eq!(read_now(&mut rig, log).as_ref(), Ok(body));
                assert_eq!(read_now(&mut rig, segment).as_ref(), Ok(body));
            }
            // And from the segment, by now, to the next one.
            let again = flush(&mut rig, &in_segment, packing);
            for (body, &loc) in iter::zip(&bodies, &again) {
                assert_eq!(read_now(&mut rig, loc).as_ref(), Ok(body));
            }
            assert_eq!(in_the_clear(&rig.disk), []);
        }
    }
}

#[test]
fn log_is_replayed_and_flushed_from_memory_as_it_was() {
    let bodies = bodies(9);
    let mut rig = Rig::open(options(1), TestDisk::default());
    let places = fill(&mut rig, &bodies);
    let mut rig = Rig::open(options(2), rig.disk);
    assert_eq!(rig.entries(), bodies);
    let segment = flush(&mut rig, &places, Packing::Plain);
    for (body, &loc) in iter::zip(&bodies, &segment) {
        assert_eq!(read_now(&mut rig, loc).as_ref(), Ok(body));
    }
}

#[test]
fn cipher_may_change_between_two_starts() {
    let bodies = bodies(40);
    let (first, second) = bodies.split_at(20);
    let mut rig = Rig::open(keyed(Cipher::ChaCha20Poly1305, 1), TestDisk::default());
    fill(&mut rig, first);
    let mut rig = Rig::open(keyed(Cipher::Aes256Gcm, 2), rig.disk);
    fill(&mut rig, second);
    let rig = Rig::open(keyed(Cipher::ChaCha20Poly1305, 3), rig.disk);
    assert_eq!(rig.entries(), bodies);
}

#[test]
fn what_a_store_without_a_key_has_written_is_read_and_sealed_when_it_is_moved() {
    let bodies = bodies(30);
    let (first, second) = bodies.split_at(15);
    let mut rig = Rig::open(small(), TestDisk::default());
    let mut places = fill(&mut rig, first);
    let mut rig = Rig::open(options(1), rig.disk);
    assert_eq!(rig.entries(), first);
    places.extend(fill(&mut rig, second));
    // A check with the key names the files that are readable without.
    let clear: Vec<FileName> = checked(&rig.disk).clear.into_iter().collect();
    assert_eq!(clear, in_the_clear(&rig.disk));
    assert!(!clear.is_empty());
    let places = flush(&mut rig, &places, Packing::Plain);
    let segment = FileName::Segment {
        stream: STREAM,
        number: 0,
    };
    assert!(!in_the_clear(&rig.disk).contains(&segment));
    checkpoint(&mut rig);
    let mut rig = Rig::open(options(2), rig.disk);
    for (body, &loc) in iter::zip(&bodies, &places) {
        assert_eq!(read_now(&mut rig, loc).as_ref(), Ok(body));
    }
}

#[test]
fn store_whose_key_is_missing_stays_closed_and_changes_nothing() {
    for checkpoints in [false, true] {
        let mut rig = Rig::open(options(1), TestDisk::default());
        fill(&mut rig, &bodies(10));
        if checkpoints {
            checkpoint(&mut rig);
        }
        let before = rig.disk.files.clone();
        let mut rig = Rig::open(small(), rig.disk);
        rig.tick();
        assert!(rig.events.iter().any(|event| matches!(
            event,
            StoreEvent::Unreadable {
                error: DiskError::Locked,
                ..
            }
        )));
        assert!(!rig.events.iter().any(|event| matches!(
            event,
            StoreEvent::Recovered(_)
                | StoreEvent::Hole(_)
                | StoreEvent::CheckpointGivenUp
                | StoreEvent::SectionLost(_)
        )));
        assert_eq!(rig.disk.files, before);
        let mut check = Check::new(small());
        let mut ops: Vec<DiskOp> = Vec::new();
        check.start(&mut ops);
        while let Some(op) = ops.pop() {
            check.handle(rig.disk.run(&op), &mut ops);
        }
        assert_eq!(
            check.outcome().unwrap().unwrap_err().error,
            DiskError::Locked
        );
    }
}

#[test]
fn flipped_bit_of_a_sealed_entry_costs_that_entry_and_is_told() {
    let bodies = bodies(12);
    let mut rig = Rig::open(options(1), TestDisk::default());
    let places = fill(&mut rig, &bodies);
    let segment = flush(&mut rig, &places, Packing::Plain);
    checkpoint(&mut rig);
    let protocol::store::Place::Segment { number, offset } = segment[4].place() else {
        panic!("flushed");
    };
    let stream = STREAM;
    let file = FileName::Segment { stream, number };
    rig.disk.flip(file, offset + HEAD as u64, 3);
    let mut rig = Rig::open(options(2), rig.disk);
    for (at, (body, &loc)) in iter::zip(&bodies, &segment).enumerate() {
        let expected = (at != 4).then(|| body.clone());
        assert_eq!(read_now(&mut rig, loc).ok(), expected, "{at}");
    }
    let mut check = Check::new(options(3));
    let mut ops = Vec::new();
    check.start(&mut ops);
    while let Some(op) = ops.pop() {
        check.handle(rig.disk.run(&op), &mut ops);
    }
    let report = check.outcome().unwrap().unwrap();
    let [finding] = report.findings.as_slice() else {
        panic!("{report:?}");
    };
    assert_eq!((finding.damage.file, finding.damage.from), (file, offset));
}

#[test]
fn another_store_s_key_makes_damage_of_it_and_no_messages() {
    let mut rig = Rig::open(options(1), TestDisk::default());
    fill(&mut rig, &bodies(10));
    let other = StoreOptions {
        key: Some(StoreKey::new([1; 32], Cipher::default(), [9; LIFE_LEN])),
        ..small()
    };
    let rig = Rig::open(other, rig.disk);
    assert_eq!(rig.entries().len(), 0);
    assert_ne!(rig.report().damage, []);
}

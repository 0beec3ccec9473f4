//! One test per kind of damage, on a small store with two checkpoints, segments and some log.

use alloc::format;
use alloc::vec::Vec;

use bytes::Bytes;
use protocol::id::{LogPos, Seq, StreamId};
use protocol::store::{Loc, SectionChange, SectionKey};

use super::{Check, CheckReport, Finding, Flaw};
use crate::test_disk::{Rig, TestDisk, small};
use crate::{DiskError, FileName, StoreEvent};

const STREAM: StreamId = StreamId(7);
const SEGMENT: FileName = FileName::Segment {
    stream: STREAM,
    number: 0,
};

/// A store at rest: ten entries in a segment, two checkpoints that share a section, ten more in the log.
struct Kept {
    disk: TestDisk,
    /// Where the entries lie.
    segment: Vec<Loc>,
    log: Vec<LogPos>,
}

fn entry(number: usize) -> Vec<u8> {
    format!("entry {number} {}", "z".repeat(number * 7)).into_bytes()
}

fn put(number: u64, body: &'static str) -> SectionChange {
    let key = SectionKey { group: 1, number };
    SectionChange::Put(key, Bytes::from_static(body.as_bytes()))
}

fn checkpoint(rig: &mut Rig, changes: Vec<SectionChange>) {
    let tail = rig.store.tail();
    rig.store.write_checkpoint(changes, tail, tail);
    rig.pump();
}

fn kept() -> Kept {
    let mut rig = Rig::open(small(), TestDisk::default());
    let entries: Vec<_> = (0..10)
        .map(|number| (Seq(number + 1), Loc::log(rig.put(&entry(number as usize)))))
        .collect();
    rig.store.flush(STREAM, entries);
    rig.pump();
    let moved = rig.events.iter().find_map(|event| match event {
        StoreEvent::Flushed { moved, .. } => Some(moved.clone()),
        _ => None,
    });
    checkpoint(&mut rig, [put(0, "never changed"), put(1, "old")].into());
    rig.put(b"between");
    checkpoint(&mut rig, [put(1, "new")].into());
    let log = (10..20).map(|number| rig.put(&entry(number))).collect();
    rig.tick();
    Kept {
        disk: rig.disk,
        segment: moved.unwrap().into_iter().map(|(_, loc)| loc).collect(),
        log,
    }
}

fn run(disk: &TestDisk) -> Check {
    let (mut disk, mut check) = (disk.clone(), Check::new(small()));
    let mut ops = Vec::new();
    check.start(&mut ops);
    while let Some(op) = ops.pop() {
        check.handle(disk.run(&op), &mut ops);
    }
    check
}

fn checked(disk: &TestDisk) -> CheckReport {
    run(disk).outcome().unwrap().unwrap().clone()
}

fn only(disk: &TestDisk) -> Finding {
    let report = checked(disk);
    let [finding] = report.findings.as_slice() else {
        panic!("{report:?}");
    };
    *finding
}

/// Returns where `text` lies in a file.
fn find(disk: &TestDisk, file: FileName, text: &[u8]) -> u64 {
    let bytes = &disk.files[&file];
    let at = bytes.windows(text.len()).position(|part| part == text);
    at.unwrap() as u64
}

fn log_file(disk: &TestDisk, pos: LogPos) -> (FileName, u64) {
    let bases = disk.files.keys().filter_map(|file| match file {
        FileName::Log(base) if *base <= pos.0 => Some(*base),
        _ => None,
    });
    let base = bases.max().unwrap();
    (FileName::Log(base), pos.0 - base)
}

#[test]
fn undamaged_store_has_no_findings() {
    let report = checked(&kept().disk);
    assert_eq!(report.findings, []);
    assert_eq!((report.checkpoint, report.cut), (Some(2), 0));
    assert!(report.entries >= 10, "{report:?}");
    assert!(report.bytes > 0 && report.files >= 4, "{report:?}");
}

#[test]
fn empty_directory_has_no_findings() {
    assert_eq!(checked(&TestDisk::default()), CheckReport::default());
}

#[test]
fn torn_tail_is_no_damage() {
    let mut kept = kept();
    let (file, at) = log_file(&kept.disk, kept.log[9]);
    // The idle mark behind the last entry is what proves it.
    let end = at as usize + crate::record::padded(entry(19).len());
    let bytes = kept.disk.files.get_mut(&file).unwrap();
    bytes[at as usize + 20..end + 200].fill(0xaa);
    assert_eq!(checked(&kept.disk).findings, []);
}

#[test]
fn rotten_entry_of_a_segment_is_named_and_no_other() {
    let mut kept = kept();
    let at = find(&kept.disk, SEGMENT, b"entry 3 ");
    kept.disk.flip(SEGMENT, at, 2);
    let report = checked(&kept.disk);
    assert_eq!(report.findings.len(), 1, "{report:?}");
    let damaged: Vec<bool> = (kept.segment.iter())
        .map(|loc| report.places().contains(STREAM, *loc))
        .collect();
    let expected: Vec<bool> = (0..10).map(|number| number == 3).collect();
    assert_eq!(damaged, expected);
}

#[test]
fn segment_that_is_cut_off_is_named_from_there() {
    let mut kept = kept();
    let len = kept.disk.files[&SEGMENT].len() as u64;
    kept.disk.files.get_mut(&SEGMENT).unwrap().truncate(64);
    let Finding { damage, flaw } = checked(&kept.disk).findings[0];
    assert_eq!((damage.file, damage.from, damage.to), (SEGMENT, 64, len));
    assert_eq!(flaw, Flaw::Missing);
}

#[test]
fn missing_segment_is_named() {
    let mut kept = kept();
    kept.disk.files.remove(&SEGMENT);
    let Finding { damage, flaw } = only(&kept.disk);
    assert_eq!((damage.file, damage.from), (SEGMENT, 0));
    assert_eq!(flaw, Flaw::Missing);
}

#[test]
fn rotten_entry_of_the_log_is_named_and_no_other() {
    let mut kept = kept();
    let (file, at) = log_file(&kept.disk, kept.log[4]);
    kept.disk.flip(file, at + 17, 1);
    let report = checked(&kept.disk);
    assert_eq!((report.findings.len(), report.lost), (1, 1), "{report:?}");
    for (number, pos) in kept.log.iter().enumerate() {
        let damaged = report.places().contains(STREAM, Loc::log(*pos));
        assert_eq!(damaged, number == 4, "{number}");
    }
}

#[test]
fn log_file_that_is_missing_or_cut_is_named() {
    let kept = kept();
    let (file, at) = log_file(&kept.disk, kept.log[9]);
    let mut disk = kept.disk.clone();
    disk.files.remove(&file);
    assert!(!checked(&disk).findings.is_empty());
    let mut disk = kept.disk.clone();
    disk.files.get_mut(&file).unwrap().truncate(at as usize);
    let report = checked(&disk);
    assert!(
        report.places().contains(STREAM, Loc::log(kept.log[9])),
        "{report:?}"
    );
}

#[test]
fn rotten_section_is_named_whichever_checkpoint_it_lies_in() {
    for (number, text) in [(1, "never changed"), (1, "old"), (2, "new")] {
        let mut kept = kept();
        let file = FileName::Checkpoint(number);
        let at = find(&kept.disk, file, text.as_bytes());
        kept.disk.flip(file, at, 5);
        let Finding { damage, flaw } = only(&kept.disk);
        assert_eq!(damage.file, file, "{text}");
        assert!((damage.from..damage.to).contains(&at), "{text}: {damage:?}");
        assert_eq!(flaw, Flaw::Rotten);
    }
}

#[test]
fn checkpoint_without_its_beginning_is_named_since_the_log_says_that_it_was_finished() {
    let mut kept = kept();
    kept.disk.flip(FileName::Checkpoint(2), 30, 0);
    let finding = only(&kept.disk);
    assert_eq!(finding.damage.file, FileName::Checkpoint(2));
    assert_eq!(checked(&kept.disk).checkpoint, Some(1));
}

#[test]
fn newest_checkpoint_that_is_gone_is_named_since_the_log_says_that_it_was_finished() {
    let mut kept = kept();
    kept.disk.files.remove(&FileName::Checkpoint(2));
    let Finding { damage, flaw } = only(&kept.disk);
    assert_eq!(damage.file, FileName::Checkpoint(2));
    assert_eq!(flaw, Flaw::Missing);
}

#[test]
fn older_checkpoint_that_is_gone_or_cut_is_named() {
    let mut kept = kept();
    let older = FileName::Checkpoint(1);
    kept.disk.files.get_mut(&older).unwrap().truncate(40);
    let named = |disk: &TestDisk| {
        let findings = checked(disk).findings;
        findings.iter().any(|finding| finding.damage.file == older)
    };
    assert!(named(&kept.disk));
    kept.disk.files.remove(&older);
    assert!(named(&kept.disk));
}

#[test]
fn checkpoint_that_was_never_finished_is_no_damage() {
    let mut kept = kept();
    let begun = kept.disk.files[&FileName::Checkpoint(2)][..100].to_vec();
    kept.disk.files.insert(FileName::Checkpoint(3), begun);
    let report = checked(&kept.disk);
    assert_eq!((report.findings.len(), report.checkpoint), (0, Some(2)));
}

#[test]
fn what_the_disk_refuses_to_read_is_no_finding_but_an_answer_of_its_own() {
    let mut kept = kept();
    kept.disk.fail_read = Some((SEGMENT, 5));
    let unreadable = run(&kept.disk).outcome().unwrap().unwrap_err();
    assert_eq!(unreadable.error, DiskError::Io(5));
    assert_eq!(unreadable.part.unwrap().file, SEGMENT);
}

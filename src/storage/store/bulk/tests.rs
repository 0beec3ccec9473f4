//! Tests of flushes, checkpoints and what they remove.

mod gone;
mod packed;
mod rot;
mod sections;

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use bytes::Bytes;
use protocol::id::{LogPos, Seq, StreamId};
use protocol::store::{Loc, Place, ReadError, ReadOutcome, SectionChange, SectionKey};

use crate::test_disk::{Rig, TestDisk, small};
use crate::{DiskError, FileName, StoreEvent, StoreOptions};

const A: StreamId = StreamId(1);
const B: StreamId = StreamId(2);

fn key(group: u64, number: u64) -> SectionKey {
    SectionKey { group, number }
}

fn put(key: SectionKey, body: &str) -> SectionChange {
    SectionChange::Put(key, Bytes::copy_from_slice(body.as_bytes()))
}

fn options() -> StoreOptions {
    StoreOptions {
        flush_threshold: 16 << 10,
        checkpoint_step: 6 << 10,
        segment_len_max: 32 << 10,
        ..small()
    }
}

/// A store with a user that keeps the places of two streams' entries, as the broker does.
struct User {
    rig: Rig,
    streams: [Vec<(Seq, Loc, Vec<u8>)>; 2],
}

impl User {
    fn new() -> Self {
        Self {
            rig: Rig::open(options(), TestDisk::default()),
            streams: [Vec::new(), Vec::new()],
        }
    }

    fn stream(&mut self, stream: StreamId) -> &mut Vec<(Seq, Loc, Vec<u8>)> {
        &mut self.streams[usize::from(stream == B)]
    }

    fn publish(&mut self, stream: StreamId, count: usize) {
        for _ in 0..count {
            let seq = Seq(self.stream(stream).len() as u64 + 1);
            let body = format!("{} {} {}", stream.0, seq.0, "y".repeat(seq.0 as usize % 80));
            let pos = self.rig.put(body.as_bytes());
            self.stream(stream)
                .push((seq, Loc::log(pos), body.into_bytes()));
        }
    }

    /// Does what `FlushWanted` asks for.
    fn flush(&mut self, below: LogPos) {
        for stream in [A, B] {
            let in_log = |loc: Loc| matches!(loc.place(), Place::Log(pos) if pos < below);
            let entries = self.stream(stream).iter();
            let entries = entries.filter(|(_, loc, _)| in_log(*loc));
            let entries: Vec<_> = entries.map(|(seq, loc, _)| (*seq, *loc)).collect();
            self.rig.store.flush(stream, entries);
        }
        self.rig.pump();
        self.take_moves();
        self.rig.store.finish_flushing(below);
    }

    fn take_moves(&mut self) {
        for event in core::mem::take(&mut self.rig.events) {
            if let StoreEvent::Flushed {
                stream,
                moved,
                lost,
            } = event
            {
                assert_eq!(lost, []);
                for (seq, loc) in moved {
                    self.stream(stream)[seq.0 as usize - 1].1 = loc;
                }
            }
        }
    }

    /// Returns up to where a flush is wanted.
    fn wanted(&self) -> Option<LogPos> {
        self.rig.events.iter().find_map(|event| match event {
            StoreEvent::FlushWanted { below } => Some(*below),
            _ => None,
        })
    }

    fn checkpoint(&mut self) {
        let state = format!("state {}", "s".repeat(5000));
        self.checkpoint_of(vec![put(key(1, 0), &state)]);
    }

    fn checkpoint_of(&mut self, changes: Vec<SectionChange>) {
        let tail = self.rig.store.tail();
        let all = self.streams.iter().flatten();
        let in_log = all.filter_map(|(_, loc, _)| match loc.place() {
            Place::Log(pos) => Some(pos),
            Place::Segment { .. } => None,
        });
        let keep = in_log.min().unwrap_or(tail);
        assert!(self.rig.store.takes_checkpoint());
        self.rig.store.write_checkpoint(changes, tail, keep);
        self.rig.pump();
    }

    /// Returns the sections that the start has given, since the last checkpoint that was given up.
    fn sections(&self) -> BTreeMap<SectionKey, String> {
        let mut sections = BTreeMap::new();
        for event in &self.rig.events {
            match event {
                StoreEvent::Section { key, body } => {
                    let text = core::str::from_utf8(body).expect("as it was written");
                    let twice = sections.insert(*key, text.into());
                    assert!(twice.is_none(), "{key:?} came twice");
                }
                StoreEvent::CheckpointGivenUp => sections.clear(),
                _ => {}
            }
        }
        sections
    }

    fn flush_all_and_checkpoint(&mut self) {
        let tail = self.rig.store.tail();
        self.flush(tail);
        self.checkpoint();
    }

    fn reopen(self) -> Self {
        Self {
            rig: self.rig.reopen(),
            streams: self.streams,
        }
    }

    fn read(&mut self, stream: StreamId, loc: Loc) -> Result<Bytes, ReadError> {
        let read = match self.rig.store.read(stream, loc) {
            ReadOutcome::Hit(bytes) => return Ok(bytes),
            ReadOutcome::Failed(error) => return Err(error),
            ReadOutcome::Pending(read) => read,
        };
        self.rig.pump();
        let done = self.rig.events.iter().find_map(|event| match event {
            StoreEvent::ReadDone { read: done, result } if *done == read => Some(result.clone()),
            _ => None,
        });
        done.expect("the read was not answered")
    }

    fn assert_all_readable(&mut self) {
        for stream in [A, B] {
            for (seq, loc, body) in self.stream(stream).clone() {
                assert_eq!(
                    self.read(stream, loc).as_deref(),
                    Ok(&body[..]),
                    "{seq:?} at {loc:?}"
                );
            }
        }
    }

    fn log_files(&self) -> usize {
        let names = self.rig.disk.files.keys();
        names
            .filter(|name| matches!(name, FileName::Log(_)))
            .count()
    }

    fn segments(&self) -> Vec<FileName> {
        let names = self.rig.disk.files.keys().copied();
        names
            .filter(|name| matches!(name, FileName::Segment { .. }))
            .collect()
    }
}

#[test]
fn flushed_entries_are_readable_at_their_new_places() {
    let mut user = User::new();
    user.publish(A, 100);
    user.publish(B, 50);
    user.publish(A, 100);
    let tail = user.rig.store.tail();
    user.flush(tail);
    assert!(
        user.streams
            .iter()
            .flatten()
            .all(|(_, loc, _)| matches!(loc.place(), Place::Segment { .. }))
    );
    user.assert_all_readable();
    user.publish(A, 20);
    let tail = user.rig.store.tail();
    user.flush(tail);
    assert_eq!(user.segments().len(), 2, "a segment is continued");
    user.assert_all_readable();
}

#[test]
fn recovery_begins_at_the_checkpoint_and_reads_flushed_entries() {
    let mut user = User::new();
    user.publish(A, 200);
    user.publish(B, 100);
    user.flush_all_and_checkpoint();
    user.publish(A, 7);
    let mut user = user.reopen();
    assert!(matches!(&user.rig.events[0], StoreEvent::Section { body, .. } if body.len() == 5006));
    assert_eq!(user.rig.entries().len(), 7);
    let report = user.rig.report();
    assert_eq!(
        (report.damage.len(), report.lost, report.replayed),
        (0, 0, 7)
    );
    assert_eq!(report.checkpoint, Some(1));
    user.assert_all_readable();
}

#[test]
fn checkpoint_of_a_state_that_was_only_restored_replays_nothing_twice() {
    let mut user = User::new();
    user.publish(A, 50);
    user.flush_all_and_checkpoint();
    let mut user = user.reopen();
    let changes = vec![put(key(1, 0), "restored")];
    user.rig
        .store
        .write_checkpoint(changes, LogPos(0), LogPos(0));
    user.rig.pump();
    let user = user.reopen();
    assert_eq!(user.rig.report().checkpoint, Some(2));
    assert_eq!(user.rig.entries().len(), 0);
}

#[test]
fn log_and_checkpoints_do_not_grow_without_end() {
    let mut user = User::new();
    for _ in 0..12 {
        user.publish(A, 500);
        assert!(
            user.wanted().is_some(),
            "the log has grown past the threshold"
        );
        user.flush_all_and_checkpoint();
        assert!(user.log_files() <= 16, "{} log files", user.log_files());
    }
    let names = user.rig.disk.files.keys();
    let checkpoints = names.filter(|name| matches!(name, FileName::Checkpoint(_)));
    assert_eq!(checkpoints.count(), 2);
    user.assert_all_readable();
    let mut user = user.reopen();
    assert_eq!(user.rig.report().damage, []);
    user.assert_all_readable();
}

#[test]
fn a_long_log_is_flushed_but_for_its_newest_part() {
    let mut user = User::new();
    user.publish(A, 1500);
    let mut user = user.reopen();
    let below = user.wanted().expect("the log is long");
    user.flush(below);
    user.checkpoint();
    let mut user = user.reopen();
    user.assert_all_readable();
    assert_eq!(user.wanted(), None);
    let in_log = |(_, loc, _): &&(Seq, Loc, Vec<u8>)| matches!(loc.place(), Place::Log(_));
    let left = user.streams[0].iter().filter(in_log).count();
    assert!((50..400).contains(&left), "{left} messages are left");
}

#[test]
fn log_files_are_used_again() {
    let mut user = User::new();
    let mut reused = 0;
    for _ in 0..6 {
        user.publish(A, 150);
        user.flush_all_and_checkpoint();
        reused += core::mem::take(&mut user.rig.disk.recycled);
    }
    assert!(reused > 4, "{reused} files were used again");
    let mut user = user.reopen();
    assert_eq!(user.rig.report().damage, []);
    user.assert_all_readable();
}

#[test]
fn segment_that_no_checkpoint_knows_goes_if_nothing_is_damaged() {
    let mut user = User::new();
    user.publish(A, 50);
    user.checkpoint();
    let tail = user.rig.store.tail();
    user.flush(tail);
    let mut damaged = Rig::open(options(), {
        let mut disk = user.rig.disk.clone();
        disk.flip(FileName::Checkpoint(1), 40, 0);
        disk
    });
    assert_eq!(
        damaged.report().orphans,
        1,
        "it may be the last copy of something"
    );
    user.streams[0].clear();
    user = user.reopen();
    assert_eq!(user.rig.report().damage, []);
    for _ in 0..3 {
        user.publish(B, 1);
        user.checkpoint();
    }
    assert_eq!(user.segments().len(), 0);
    damaged.tick();
    assert_eq!(
        damaged
            .disk
            .files
            .keys()
            .filter(|f| matches!(f, FileName::Segment { .. }))
            .count(),
        1
    );
}

#[test]
fn unfinished_checkpoint_is_no_damage() {
    let mut user = User::new();
    user.publish(A, 150);
    user.flush_all_and_checkpoint();
    user.publish(A, 5);
    user.rig
        .disk
        .files
        .insert(FileName::Checkpoint(2), vec![0; 100]);
    let user = user.reopen();
    assert_eq!(user.rig.report().damage, []);
    assert_eq!(user.rig.report().checkpoint, Some(1));
}

#[test]
fn removed_segments_go_only_when_no_checkpoint_needs_them() {
    let mut user = User::new();
    user.publish(A, 50);
    user.flush_all_and_checkpoint();
    user.rig.put(b"stream A is deleted");
    user.rig.store.remove_stream(A);
    user.streams[0].clear();
    user.publish(B, 10);
    assert_eq!(user.segments().len(), 1);
    user.checkpoint();
    assert_eq!(
        user.segments().len(),
        1,
        "the older checkpoint refers to it"
    );
    user.checkpoint();
    assert_eq!(user.segments().len(), 0);
}

#[test]
fn segments_that_were_to_go_at_a_crash_go_later() {
    let mut user = User::new();
    user.publish(A, 50);
    user.flush_all_and_checkpoint();
    user.rig.store.remove_stream(A);
    user.streams[0].clear();
    user.publish(B, 10);
    user.checkpoint();
    let mut user = user.reopen();
    assert_eq!(user.rig.report().damage, []);
    assert_eq!(user.segments().len(), 1);
    user.checkpoint();
    user.checkpoint();
    assert_eq!(user.segments().len(), 0);
}

#[test]
fn full_disk_stops_flush_and_checkpoint_until_space_returns() {
    let mut user = User::new();
    user.publish(A, 50);
    user.rig.disk.fail_create = Some(DiskError::NoSpace);
    let entries = user.streams[0]
        .iter()
        .map(|(seq, loc, _)| (*seq, *loc))
        .collect();
    user.rig.store.flush(A, entries);
    user.rig.pump();
    let tail = user.rig.store.tail();
    let changes = vec![put(key(7, 7), "kept")];
    user.rig.store.write_checkpoint(changes, tail, LogPos(0));
    user.rig.pump();
    let refused = StoreEvent::CheckpointRefused(DiskError::NoSpace);
    assert!(user.rig.events.contains(&refused));
    assert_eq!(user.rig.store.poisoned(), None);
    user.rig.disk.fail_create = None;
    user.rig.tick();
    user.rig.pump();
    user.take_moves();
    assert!(matches!(
        user.streams[0][0].1.place(),
        Place::Segment { .. }
    ));
    user.checkpoint();
    let mut user = user.reopen();
    assert_eq!(user.rig.report().checkpoint, Some(2));
    assert_eq!(user.sections()[&key(7, 7)], "kept");
    user.assert_all_readable();
}

#[test]
fn segment_is_rewritten_with_what_is_alive() {
    let mut user = User::new();
    user.publish(A, 60);
    user.flush_all_and_checkpoint();
    user = user.reopen();
    user.streams[0].retain(|(seq, ..)| seq.0 % 3 == 0);
    let alive: Vec<_> = user.streams[0]
        .iter()
        .map(|(seq, loc, _)| (*seq, *loc))
        .collect();
    user.rig.store.flush(A, alive);
    user.rig.pump();
    for event in core::mem::take(&mut user.rig.events) {
        if let StoreEvent::Flushed { moved, .. } = event {
            for (entry, (seq, loc)) in user.streams[0].iter_mut().zip(moved) {
                assert_eq!(entry.0, seq);
                entry.1 = loc;
            }
        }
    }
    user.rig.store.remove_segment(A, 0);
    user.checkpoint();
    user.checkpoint();
    assert_eq!(
        user.segments(),
        [FileName::Segment {
            stream: A,
            number: 1
        }]
    );
    user.assert_all_readable();
}

#[test]
fn flush_that_cannot_open_its_file_waits_and_poisons_nothing() {
    for error in [DiskError::NoSpace, DiskError::TooManyFiles] {
        let mut user = User::new();
        user.publish(A, 50);
        user.rig.disk.fail_bulk_write = Some(error);
        let entries = user.streams[0].iter();
        let entries = entries.map(|(seq, loc, _)| (*seq, *loc)).collect();
        user.rig.store.flush(A, entries);
        user.rig.pump();
        user.checkpoint();
        let refused = StoreEvent::CheckpointRefused(error);
        assert!(user.rig.events.contains(&refused));
        assert_eq!(user.rig.store.poisoned(), None);
        user.rig.disk.fail_bulk_write = None;
        user.rig.tick();
        user.rig.pump();
        user.take_moves();
        let (_, loc, _) = user.streams[0][0];
        assert!(matches!(loc.place(), Place::Segment { .. }), "{error:?}");
        user.assert_all_readable();
    }
}

/// Whether the user has been asked to flush since.
fn is_asked(rig: &mut Rig) -> bool {
    let asked = |event: &StoreEvent| matches!(event, StoreEvent::FlushWanted { .. });
    let found = rig.events.iter().any(asked);
    rig.events.clear();
    found
}

#[test]
fn long_entries_are_flushed_when_fewer_come_or_too_much_waits() {
    let options = StoreOptions {
        log_file_len: 256 << 10,
        log_file_len_first: 128 << 10,
        flush_threshold: 32 << 10,
        flush_backlog_max: 200 << 10,
        ..small()
    };
    let long = vec![7; 10 << 10];
    let mut rig = Rig::open(options, TestDisk::default());
    for _ in 0..10 {
        rig.put(&long);
    }
    assert!(!is_asked(&mut rig), "they pour in");
    rig.tick();
    rig.put(&long);
    assert!(!is_asked(&mut rig), "they still do");
    for _ in 0..2 {
        rig.tick();
        rig.pump();
    }
    assert!(is_asked(&mut rig), "they have ceased to");

    let mut rig = Rig::open(options, TestDisk::default());
    for _ in 0..25 {
        rig.put(&long);
    }
    assert!(is_asked(&mut rig), "too much waits");

    let mut rig = Rig::open(options, TestDisk::default());
    for _ in 0..200 {
        rig.put(&[7; 200]);
    }
    assert!(is_asked(&mut rig), "short ones are flushed at once");
}

//! The disk threads on real files.

mod fallen;

use bytes::Bytes;
use protocol::id::{Seq, StreamId};
use protocol::store::{Loc, ReadOutcome, SectionChange, SectionKey};
use storage::{DiskAnswer, DiskError, OpId, Store, StoreEvent, StoreOptions};

use super::*;

const FILE: FileName = FileName::Log(0);
const OP: OpId = OpId(1);

async fn run(
    queue: &FileQueue,
    answers: &mut FileAnswers,
    op: DiskOp,
) -> Result<DiskAnswer, DiskError> {
    queue.submit(&mut vec![op]);
    let mut done = Vec::new();
    answers.next(&mut done).await;
    assert_eq!(done.len(), 1);
    done.pop().unwrap().result
}

#[tokio::test]
async fn file_is_created_written_read_renamed_listed_and_removed() {
    let dir = tempfile::tempdir().unwrap();
    let (queue, mut answers) = FileDisk::open(dir.path()).unwrap().split();
    let mut ask = async |op| run(&queue, &mut answers, op).await;
    ask(DiskOp::Create {
        op: OP,
        file: FILE,
        len: 10_000,
    })
    .await
    .unwrap();
    let data = Bytes::from_static(b"hello");
    ask(DiskOp::Write {
        op: OP,
        file: FILE,
        offset: 9_998,
        data,
    })
    .await
    .unwrap();
    ask(DiskOp::Sync { op: OP, file: FILE }).await.unwrap();
    let to = FileName::Log(64);
    ask(DiskOp::Recycle {
        op: OP,
        from: FILE,
        to,
    })
    .await
    .unwrap();
    let read = ask(DiskOp::Read {
        op: OP,
        file: to,
        offset: 9_996,
        len: 100,
    })
    .await;
    assert!(matches!(read, Ok(DiskAnswer::Read(bytes)) if bytes == "\0\0hello"));
    let listed = ask(DiskOp::List { op: OP }).await;
    assert!(matches!(listed, Ok(DiskAnswer::Listed(files)) if files == [(to, 10_003)]));
    ask(DiskOp::Remove { op: OP, file: to }).await.unwrap();
    ask(DiskOp::Remove { op: OP, file: to }).await.unwrap();
    let read = ask(DiskOp::Read {
        op: OP,
        file: to,
        offset: 0,
        len: 1,
    })
    .await;
    assert_eq!(read.unwrap_err(), DiskError::NotFound);
}

#[test]
fn directory_in_use_is_refused_with_its_name_until_it_is_free() {
    let dir = tempfile::tempdir().unwrap();
    let first = FileDisk::open(dir.path()).unwrap();
    let error = FileDisk::open(dir.path()).unwrap_err().to_string();
    assert!(error.contains(&dir.path().display().to_string()), "{error}");
    assert!(error.contains("already in use"), "{error}");
    drop(first);
    FileDisk::open(dir.path()).unwrap();
}

#[test]
fn unfinished_files_are_removed_and_foreign_ones_left() {
    let dir = tempfile::tempdir().unwrap();
    let unfinished = dir.path().join(format!("{FILE}.new"));
    let foreign = dir.path().join("notes.new");
    fs::write(&unfinished, "x").unwrap();
    fs::write(&foreign, "x").unwrap();
    drop(FileDisk::open(dir.path()).unwrap());
    assert!(!unfinished.exists());
    assert!(foreign.exists());
}

/// Drives a store until it has nothing to wait for and `entries` entries are durable.
async fn drive(
    store: &mut Store,
    queue: &FileQueue,
    answers: &mut FileAnswers,
    mut ops: Vec<DiskOp>,
    entries: usize,
) -> usize {
    let (mut seen, mut recovered) = (0, store.tail().0 > 0);
    loop {
        store.pump(&mut ops);
        queue.submit(&mut ops);
        if recovered && seen >= entries {
            return seen;
        }
        let mut done = Vec::new();
        answers.next(&mut done).await;
        for done in done {
            store.handle(done, &mut ops);
            while let Some(event) = store.poll() {
                seen += usize::from(matches!(event, StoreEvent::Entry { .. }));
                recovered |= matches!(event, StoreEvent::Recovered(_));
            }
        }
    }
}

#[tokio::test]
async fn store_on_files_finds_its_entries_again() {
    let dir = tempfile::tempdir().unwrap();
    let options = StoreOptions {
        log_file_len_first: 64 << 10,
        log_file_len: 128 << 10,
        ..StoreOptions::default()
    };
    for round in 0..3 {
        let (queue, mut answers) = FileDisk::open(dir.path()).unwrap().split();
        let mut store = Store::new(options);
        let mut ops = Vec::new();
        store.start(&mut ops);
        let found = drive(&mut store, &queue, &mut answers, ops, round * 1000).await;
        assert_eq!(found, round * 1000);
        for i in 0..1000u32 {
            store.append(|out| out.extend_from_slice(&[7; 100 + 7][..100 + i as usize % 7]));
        }
        drive(&mut store, &queue, &mut answers, Vec::new(), 1000).await;
    }
}

/// A store and its disk.
struct Driven {
    store: Store,
    queue: FileQueue,
    answers: FileAnswers,
}

impl Driven {
    async fn open(dir: &Path) -> (Self, Vec<StoreEvent>) {
        let (queue, answers) = FileDisk::open(dir).unwrap().split();
        let mut store = Store::new(StoreOptions::default());
        let mut ops = Vec::new();
        store.start(&mut ops);
        queue.submit(&mut ops);
        let mut driven = Self {
            store,
            queue,
            answers,
        };
        let recovered = |event: &StoreEvent| matches!(event, StoreEvent::Recovered(_));
        let events = driven.wait_for(recovered).await;
        (driven, events)
    }

    /// Drives the store until an event is the one waited for; returns all up to it.
    async fn wait_for(&mut self, is_last: impl Fn(&StoreEvent) -> bool) -> Vec<StoreEvent> {
        let mut events = Vec::new();
        let mut ops = Vec::new();
        loop {
            while let Some(event) = self.store.poll() {
                let last = is_last(&event);
                events.push(event);
                if last {
                    return events;
                }
            }
            self.store.pump(&mut ops);
            self.queue.submit(&mut ops);
            let mut answered = Vec::new();
            self.answers.next(&mut answered).await;
            for answer in answered {
                self.store.handle(answer, &mut ops);
            }
        }
    }

    async fn read(&mut self, stream: StreamId, loc: Loc) -> Bytes {
        let read = match self.store.read(stream, loc) {
            ReadOutcome::Hit(bytes) => return bytes,
            ReadOutcome::Failed(error) => panic!("{error}"),
            ReadOutcome::Pending(read) => read,
        };
        let done = |event: &StoreEvent| matches!(event, StoreEvent::ReadDone { .. });
        match self.wait_for(done).await.pop() {
            Some(StoreEvent::ReadDone { read: done, result }) if done == read => result.unwrap(),
            other => panic!("{other:?}"),
        }
    }
}

fn entry(Seq(seq): Seq) -> Vec<u8> {
    vec![7; 60_000 + usize::try_from(seq).unwrap()]
}

#[tokio::test]
async fn flushed_entries_and_checkpoint_are_found_again_on_files() {
    let dir = tempfile::tempdir().unwrap();
    let stream = StreamId(4);
    let (mut life, _) = Driven::open(dir.path()).await;
    let mut places = Vec::new();
    for seq in (0..3).map(Seq) {
        let pos = life.store.append(|out| out.extend_from_slice(&entry(seq)));
        places.push((seq, Loc::log(pos)));
    }
    let is_entry = |event: &StoreEvent| matches!(event, StoreEvent::Entry { .. });
    life.wait_for(is_entry).await;
    life.store.flush(stream, places);
    let is_flushed = |event: &StoreEvent| matches!(event, StoreEvent::Flushed { .. });
    let Some(StoreEvent::Flushed { moved, .. }) = life.wait_for(is_flushed).await.pop() else {
        panic!("the last event is the one waited for");
    };
    let applied = life.store.tail();
    let key = SectionKey {
        group: 1,
        number: 2,
    };
    let changes = vec![SectionChange::Put(key, "state".into())];
    life.store.write_checkpoint(changes, applied, applied);
    let is_written = |event: &StoreEvent| matches!(event, StoreEvent::CheckpointWritten { .. });
    life.wait_for(is_written).await;
    drop(life);

    let (mut life, events) = Driven::open(dir.path()).await;
    let section = StoreEvent::Section {
        key,
        body: "state".into(),
    };
    assert_eq!(events[0], section);
    assert_eq!(events.len(), 2, "nothing is replayed: {events:?}");
    for (seq, loc) in moved {
        assert_eq!(life.read(stream, loc).await, entry(seq));
    }
}

//! The disk threads on real files.

use bytes::Bytes;
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

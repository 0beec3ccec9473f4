//! A file system that goes down while a sync is under way, and calls the sync a success all the
//! same: every write is refused from then on, also one of nothing.

use std::collections::VecDeque;

use super::*;
use crate::disk::directory::Directory;

/// Drives a store on a directory until nothing is left to do; `before` comes ahead of each operation.
fn drive(
    store: &mut Store,
    directory: &Directory,
    mut ops: Vec<DiskOp>,
    mut before: impl FnMut(&DiskOp),
) -> Vec<StoreEvent> {
    let mut events = Vec::new();
    store.pump(&mut ops);
    let mut ops = VecDeque::from(ops);
    while let Some(op) = ops.pop_front() {
        before(&op);
        let done = DiskDone {
            op: op.id(),
            result: directory.run(&op),
        };
        let mut more = Vec::new();
        store.handle(done, &mut more);
        store.pump(&mut more);
        ops.extend(more);
        events.extend(core::iter::from_fn(|| store.poll()));
    }
    events
}

#[test]
fn a_sync_that_a_dead_file_system_claims_acknowledges_nothing_and_ends_storing() {
    let dir = tempfile::tempdir().unwrap();
    let directory = Directory::open(dir.path(), lock::lock(dir.path()).unwrap()).unwrap();
    let mut store = Store::new(StoreOptions {
        log_file_len_first: 64 << 10,
        log_file_len: 64 << 10,
        ..StoreOptions::default()
    });
    let mut ops = Vec::new();
    store.start(&mut ops);
    drive(&mut store, &directory, ops, |_| {});
    let is_entry = |event: &StoreEvent| matches!(event, StoreEvent::Entry { .. });
    store.append(|out| out.extend_from_slice(b"while it lives"));
    let events = drive(&mut store, &directory, Vec::new(), |_| {});
    assert!(events.iter().any(is_entry), "{events:?}");

    store.append(|out| out.extend_from_slice(b"while it dies"));
    let mut syncs = 0;
    let events = drive(&mut store, &directory, Vec::new(), |op| {
        if let DiskOp::Sync { file, .. } = op {
            syncs += 1;
            directory.fall(*file);
            let path = dir.path().join(file.to_string());
            fs::File::open(path)
                .unwrap()
                .sync_data()
                .expect("it is said to be durable");
        }
    });
    assert_eq!(syncs, 1, "nothing is synced behind the one that told");
    assert!(!events.iter().any(is_entry), "{events:?}");
    let poisoned = events
        .iter()
        .any(|event| matches!(event, StoreEvent::Poisoned(_)));
    assert!(poisoned, "{events:?}");
    assert!(store.refuses(0).is_some(), "publishers are told");
}

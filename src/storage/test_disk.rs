//! A disk in memory for the unit tests: obeys at once, keeps what is durable apart, fails on request.

use alloc::collections::BTreeMap;
use alloc::vec;
use alloc::vec::Vec;

use bytes::Bytes;

use crate::checkpoint::Parity;
use crate::op::{DiskAnswer, DiskDone, DiskError, DiskOp, FileName};
use crate::{RecoveryReport, Store, StoreEvent, StoreOptions};

#[derive(Clone, Debug, Default)]
pub(crate) struct TestDisk {
    pub(crate) files: BTreeMap<FileName, Vec<u8>>,
    durable: BTreeMap<FileName, Vec<u8>>,
    pub(crate) fail_sync: bool,
    pub(crate) fail_create: Option<DiskError>,
    /// Of writes to segments and checkpoints.
    pub(crate) fail_bulk_write: Option<DiskError>,
    pub(crate) fail_read: Option<(FileName, u64)>,
    /// Nothing can be opened for reading.
    pub(crate) too_many_files: bool,
    pub(crate) syncs: u64,
    pub(crate) recycled: u64,
}

impl TestDisk {
    pub(crate) fn run(&mut self, op: &DiskOp) -> DiskDone {
        DiskDone {
            op: op.id(),
            result: self.result(op),
        }
    }

    fn result(&mut self, op: &DiskOp) -> Result<DiskAnswer, DiskError> {
        match op {
            DiskOp::List { .. } => {
                let files = self.files.iter();
                let listed = files.map(|(&name, bytes)| (name, bytes.len() as u64));
                return Ok(DiskAnswer::Listed(listed.collect()));
            }
            DiskOp::Read {
                file, offset, len, ..
            } => {
                let bytes = self.files.get(file).ok_or(DiskError::NotFound)?;
                let end = bytes.len().min(*offset as usize + *len as usize);
                let start = (*offset as usize).min(end);
                if self.too_many_files {
                    return Err(DiskError::TooManyFiles);
                }
                if let Some((bad, at)) = self.fail_read
                    && bad == *file
                    && (start..end).contains(&(at as usize))
                {
                    return Err(DiskError::Io(5));
                }
                return Ok(DiskAnswer::Read(Bytes::copy_from_slice(&bytes[start..end])));
            }
            DiskOp::Create { file, len, .. } => {
                if let Some(error) = self.fail_create {
                    return Err(error);
                }
                self.files.insert(*file, vec![0; *len as usize]);
                self.durable.insert(*file, vec![0; *len as usize]);
            }
            DiskOp::Write {
                file, offset, data, ..
            } => {
                if let Some(error) = self.fail_bulk_write
                    && !matches!(file, FileName::Log(_))
                {
                    return Err(error);
                }
                let bytes = self.files.get_mut(file).ok_or(DiskError::NotFound)?;
                let end = *offset as usize + data.len();
                if bytes.len() < end {
                    bytes.resize(end, 0);
                }
                bytes[*offset as usize..end].copy_from_slice(data);
            }
            DiskOp::Sync { file, .. } => {
                if self.fail_sync {
                    return Err(DiskError::Io(5));
                }
                self.syncs += 1;
                let bytes = self.files.get(file).ok_or(DiskError::NotFound)?;
                self.durable.insert(*file, bytes.clone());
            }
            DiskOp::Recycle { from, to, .. } => {
                self.recycled += 1;
                let bytes = self.files.remove(from).ok_or(DiskError::NotFound)?;
                self.durable.remove(from);
                self.files.insert(*to, bytes.clone());
                self.durable.insert(*to, bytes);
            }
            DiskOp::Remove { file, .. } => {
                self.files.remove(file);
                self.durable.remove(file);
            }
        }
        Ok(DiskAnswer::Done)
    }

    /// Loses everything that is not durable.
    pub(crate) fn lose_power(&mut self) {
        self.files = self.durable.clone();
    }

    /// Returns how much has been written to a file, without the zeroes behind it and a checkpoint's parity.
    pub(crate) fn written(&self, file: FileName) -> u64 {
        let bytes = self.files.get(&file).map_or(&[][..], Vec::as_slice);
        let parity = Parity::of_file(bytes.len() as u64);
        let end = parity
            .first()
            .map_or(bytes.len(), |parity| parity.begin() as usize);
        let last = bytes[..end].iter().rposition(|&byte| byte != 0);
        last.map_or(0, |last| last as u64 + 1)
    }

    /// Overwrites a block, also of what is durable; of a checkpoint's parity as well if nothing is to make it good.
    pub(crate) fn ruin(&mut self, file: FileName, (from, to): (u64, u64), with_parity: bool) {
        for side in [&mut self.files, &mut self.durable] {
            let bytes = side.get_mut(&file).expect("it is there");
            bytes[from as usize..to as usize].fill(0xa5);
            if with_parity && let Some(parity) = Parity::of_file(bytes.len() as u64).first() {
                bytes[parity.begin() as usize..].fill(0);
            }
        }
    }

    /// Flips one bit, also of what is durable.
    pub(crate) fn flip(&mut self, file: FileName, byte: u64, bit: u8) {
        for side in [&mut self.files, &mut self.durable] {
            if let Some(byte) = side.get_mut(&file).and_then(|f| f.get_mut(byte as usize)) {
                *byte ^= 1 << bit;
            }
        }
    }
}

/// A store on a disk, driven until nothing is left to do.
pub(crate) struct Rig {
    pub(crate) store: Store,
    pub(crate) disk: TestDisk,
    pub(crate) events: Vec<StoreEvent>,
    /// The most entries that were shown ahead.
    pub(crate) shown_max: usize,
}

impl Rig {
    pub(crate) fn open(options: StoreOptions, disk: TestDisk) -> Self {
        let mut rig = Self {
            store: Store::new(options),
            disk,
            events: Vec::new(),
            shown_max: 0,
        };
        let mut ops = Vec::new();
        rig.store.start(&mut ops);
        rig.run(ops);
        rig
    }

    /// Obeys operations, and those that follow from them, and collects the events.
    pub(crate) fn run(&mut self, mut ops: Vec<DiskOp>) {
        while !ops.is_empty() {
            let mut next = Vec::new();
            for op in ops {
                let done = self.disk.run(&op);
                self.store.handle(done, &mut next);
                while let Some(event) = self.next_event() {
                    self.events.push(event);
                }
            }
            ops = next;
        }
    }

    /// Pumps until nothing is left to do, as the driver does after each answer.
    pub(crate) fn pump(&mut self) {
        loop {
            let mut ops = Vec::new();
            self.store.pump(&mut ops);
            if ops.is_empty() {
                return;
            }
            self.run(ops);
        }
    }

    /// What is shown of entries ahead is what comes then.
    fn next_event(&mut self) -> Option<StoreEvent> {
        let shown = self.store.upcoming(usize::MAX).count();
        self.shown_max = self.shown_max.max(shown);
        assert_eq!(self.store.upcoming(2).count(), shown.min(2));
        let ahead = self.store.upcoming(1).next().map(<[u8]>::to_vec);
        let event = self.store.poll();
        if let Some(ahead) = ahead {
            assert!(matches!(&event, Some(StoreEvent::Entry { entry, .. }) if **entry == *ahead));
        }
        event
    }

    pub(crate) fn tick(&mut self) {
        let mut ops = Vec::new();
        self.store.tick(&mut ops);
        self.run(ops);
    }

    /// Appends an entry, makes it durable and returns where it is.
    pub(crate) fn put(&mut self, entry: &[u8]) -> protocol::id::LogPos {
        let pos = self.store.append(|out| out.extend_from_slice(entry));
        self.pump();
        pos
    }

    pub(crate) fn entries(&self) -> Vec<Bytes> {
        let entries = self.events.iter().filter_map(|event| match event {
            StoreEvent::Entry { entry, .. } => Some(entry.clone()),
            StoreEvent::Section { .. }
            | StoreEvent::SectionLost(_)
            | StoreEvent::CheckpointGivenUp
            | StoreEvent::CheckpointWanted
            | StoreEvent::Recovered(_)
            | StoreEvent::ReadDone { .. }
            | StoreEvent::FlushWanted { .. }
            | StoreEvent::Flushed { .. }
            | StoreEvent::CheckpointWritten { .. }
            | StoreEvent::CheckpointRefused(_)
            | StoreEvent::Hole(_)
            | StoreEvent::Unreadable { .. }
            | StoreEvent::Rotten { .. }
            | StoreEvent::Poisoned(_) => None,
        });
        entries.collect()
    }

    pub(crate) fn report(&self) -> RecoveryReport {
        let report = self.events.iter().find_map(|event| match event {
            StoreEvent::Recovered(report) => Some(report.clone()),
            StoreEvent::Section { .. }
            | StoreEvent::SectionLost(_)
            | StoreEvent::CheckpointGivenUp
            | StoreEvent::CheckpointWanted
            | StoreEvent::Entry { .. }
            | StoreEvent::ReadDone { .. }
            | StoreEvent::FlushWanted { .. }
            | StoreEvent::Flushed { .. }
            | StoreEvent::CheckpointWritten { .. }
            | StoreEvent::CheckpointRefused(_)
            | StoreEvent::Hole(_)
            | StoreEvent::Unreadable { .. }
            | StoreEvent::Rotten { .. }
            | StoreEvent::Poisoned(_) => None,
        });
        report.expect("the store opens")
    }

    /// Starts anew on the same disk, as after a kill.
    pub(crate) fn reopen(self) -> Self {
        Self::open(self.store.options(), self.disk)
    }
}

/// Small files and buffers, so that the tests cross their borders.
pub(crate) fn small() -> StoreOptions {
    StoreOptions {
        log_file_len: 8192,
        log_file_len_first: 4096,
        log_reserve: 256,
        chunk_len: 1024,
        recovery_read_len: 2048,
        read_len: 512,
        tail_cache_max: 2048,
        read_cache_max: 2048,
        scrub_rate: 4096,
        scrub_pause: 100,
        ..StoreOptions::default()
    }
}

//! A store on a simulated disk with a user that does what the broker does: keeps the places of its
//! entries, flushes and writes checkpoints when asked, and remembers what was acknowledged.

use core::sync::atomic::{AtomicU64, Ordering};
use std::collections::{BTreeMap, BTreeSet};

use bytes::{Buf, BufMut, Bytes, BytesMut};
use protocol::id::{LogPos, Seq, StreamId};
use protocol::rng::Rng;
use protocol::store::{Loc, Place, ReadOutcome, SectionChange, SectionKey};
use sim::disk::SimDisk;
use storage::{
    Cipher, DiskOp, LIFE_LEN, Packing, RecoveryReport, Store, StoreEvent, StoreKey, StoreOptions,
};

/// Small enough that a few hundred entries cross every border.
pub(crate) const OPTIONS: StoreOptions = StoreOptions {
    log_file_len: 8 << 10,
    log_file_len_first: 4 << 10,
    log_files_ahead: 1,
    log_reserve: 512,
    tail_cache_max: 4 << 10,
    read_cache_max: 8 << 10,
    read_len: 1 << 10,
    chunk_len: 2 << 10,
    recovery_read_len: 4 << 10,
    recovery_read_attempts: 3,
    flush_threshold: 12 << 10,
    flush_backlog_max: 48 << 10,
    checkpoint_step: 3 << 10,
    scrub_rate: 1 << 10,
    scrub_pause: 20,
    segment_len_max: 16 << 10,
    key: None,
};

/// Whether a store is encrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sealing {
    Clear,
    Sealed,
}

impl Sealing {
    /// Half of all seeds are for encrypted stores.
    pub(crate) fn of(seed: u64) -> Self {
        match seed % 2 {
            0 => Self::Clear,
            _ => Self::Sealed,
        }
    }

    /// Returns the options of one more life, which no other is like; its cipher differs from the last one's.
    fn options(self) -> StoreOptions {
        static LIVES: AtomicU64 = AtomicU64::new(0);
        let number = LIVES.fetch_add(1, Ordering::Relaxed);
        let cipher = match number % 2 {
            0 => Cipher::ChaCha20Poly1305,
            _ => Cipher::Aes256Gcm,
        };
        let mut life = [0; LIFE_LEN];
        life[..8].copy_from_slice(&number.to_le_bytes());
        let key = match self {
            Self::Clear => None,
            Self::Sealed => Some(StoreKey::new([1; 32], cipher, life)),
        };
        StoreOptions { key, ..OPTIONS }
    }
}

/// What sealed records say of themselves, by the name that a record is sealed under: no two are to have
/// one.
#[derive(Debug, Default)]
struct Names(BTreeMap<Vec<u8>, Vec<u8>>);

impl Names {
    /// How long a record's head is, and what a seal consists of.
    const HEAD: usize = 16;
    const NAME: usize = 16;
    const TAG: usize = 16;

    /// Looks at rows of records that are written; what is written again at a start may begin or end within
    /// a record.
    fn take(&mut self, op: &DiskOp) {
        let DiskOp::Write { data, .. } = op else {
            return;
        };
        let mut rest = &data[..];
        while let [_, _, _, _, _, _, _, _, a, b, c, d, _, _, tag, _, ..] = *rest {
            let end = Self::HEAD + u32::from_le_bytes([a, b, c, d]) as usize;
            let seal = end.saturating_sub(Self::NAME + Self::TAG);
            if matches!(tag, 0x1a..=0x1c)
                && let Some(seal) = rest.get(seal..end)
            {
                let (name, tag) = seal.split_at(Self::NAME);
                let known = self.0.insert(name.to_vec(), tag.to_vec());
                // The same record may be written again, to be made durable.
                assert!(known.is_none_or(|known| known == tag), "a nonce twice");
            }
            rest = rest.get(end.next_multiple_of(8)..).unwrap_or_default();
        }
    }
}

/// The entry with this number: it says which it is.
pub(crate) fn body(number: u64) -> Vec<u8> {
    let mut body = number.to_le_bytes().to_vec();
    body.resize(
        8 + usize::try_from(number * 37 % 300).expect("small"),
        number.to_le_bytes()[0],
    );
    body
}

fn stream_of(number: u64) -> StreamId {
    StreamId(1 + number % 2)
}

/// What a user knows about its entries: where they are.
pub(crate) type State = BTreeMap<u64, Loc>;

/// How many entries a section of the state holds.
const SECTION_LEN: u64 = 16;

fn section_of(number: u64) -> SectionKey {
    SectionKey {
        group: 1,
        number: number / SECTION_LEN,
    }
}

fn encode(state: &State, key: SectionKey) -> SectionChange {
    let first = key.number * SECTION_LEN;
    let mut out = BytesMut::new();
    for (number, loc) in state.range(first..first + SECTION_LEN) {
        out.put_u64_le(*number);
        out.put_u64_le(loc.to_bits());
    }
    SectionChange::Put(key, out.freeze())
}

/// One life of a process.
pub(crate) struct World {
    pub(crate) disk: SimDisk,
    pub(crate) store: Store,
    pub(crate) state: State,
    /// The number of the next entry to append.
    pub(crate) next: u64,
    /// Entries below this number have been acknowledged, in this life or an earlier one.
    pub(crate) acked: u64,
    /// The position of the last one.
    pub(crate) acked_pos: LogPos,
    pub(crate) report: Option<RecoveryReport>,
    pub(crate) poisoned: bool,
    pub(crate) checkpoints: usize,
    /// Entries that flushes could not read.
    pub(crate) lost: Vec<Seq>,
    flushing: usize,
    below: LogPos,
    /// Sections that have changed since the last checkpoint.
    changed: BTreeSet<SectionKey>,
    reads: BTreeMap<u64, Result<Bytes, protocol::store::ReadError>>,
    pub(crate) sealing: Sealing,
    names: Names,
}

impl World {
    /// Starts a process on `disk` and lets it recover.
    pub(crate) fn open(disk: SimDisk, sealing: Sealing) -> Self {
        let mut world = Self {
            disk,
            store: Store::new(sealing.options()),
            state: State::new(),
            next: 0,
            acked: 0,
            acked_pos: LogPos(0),
            report: None,
            poisoned: false,
            checkpoints: 0,
            lost: Vec::new(),
            flushing: 0,
            below: LogPos(0),
            changed: BTreeSet::new(),
            reads: BTreeMap::new(),
            sealing,
            names: Names::default(),
        };
        let mut ops = Vec::new();
        world.store.start(&mut ops);
        world.submit(&mut ops);
        while world.report.is_none() && world.step() {}
        world.next = world.acked;
        world
    }

    /// Appends the next entry.
    pub(crate) fn append(&mut self) {
        let body = body(self.next);
        self.store.append(|out| out.extend_from_slice(&body));
        self.next += 1;
    }

    fn submit(&mut self, ops: &mut Vec<DiskOp>) {
        for op in &*ops {
            self.names.take(op);
        }
        self.disk.submit(ops);
    }

    pub(crate) fn pump(&mut self) {
        let mut ops = Vec::new();
        self.store.pump(&mut ops);
        self.submit(&mut ops);
    }

    pub(crate) fn tick(&mut self) {
        let mut ops = Vec::new();
        self.store.tick(&mut ops);
        self.submit(&mut ops);
    }

    /// Lets the disk do one thing; false if there is nothing to do.
    pub(crate) fn step(&mut self) -> bool {
        let Some(done) = self.disk.step() else {
            return false;
        };
        let mut ops: Vec<DiskOp> = Vec::new();
        self.store.handle(done, &mut ops);
        while let Some(event) = self.store.poll() {
            self.take(event);
        }
        self.submit(&mut ops);
        self.pump();
        true
    }

    /// Lets the disk do everything there is.
    pub(crate) fn settle(&mut self) {
        self.pump();
        while self.step() {}
    }

    fn take(&mut self, event: StoreEvent) {
        match event {
            StoreEvent::Section { mut body, .. } => {
                while body.has_remaining() {
                    let (number, loc) = (body.get_u64_le(), Loc::from_bits(body.get_u64_le()));
                    self.state.insert(number, loc);
                }
                self.acked = self.state.keys().next_back().map_or(0, |last| last + 1);
            }
            StoreEvent::SectionLost(_) => {}
            StoreEvent::CheckpointGivenUp => self.state.clear(),
            StoreEvent::CheckpointWanted => self.checkpoint(),
            StoreEvent::Entry { pos, loc, entry } => {
                let number = entry.as_ref().get_u64_le();
                assert_eq!(entry, body(number), "an entry that nobody wrote");
                let gap = self.report.is_none() && number > self.acked;
                assert!(
                    gap || number == self.acked,
                    "entry {number} after {}",
                    self.acked
                );
                assert!(pos > self.acked_pos, "{pos:?} was used before");
                self.state.insert(number, loc);
                self.changed.insert(section_of(number));
                (self.acked, self.acked_pos) = (number + 1, pos);
            }
            StoreEvent::Recovered(report) => self.report = Some(report),
            StoreEvent::ReadDone { read, result } => {
                self.reads.insert(read.0, result);
            }
            StoreEvent::FlushWanted { below } => self.flush(below),
            StoreEvent::Flushed { moved, lost, .. } => {
                self.lost.extend(lost);
                for (Seq(number), loc) in moved {
                    self.state.insert(number, loc);
                    self.changed.insert(section_of(number));
                }
                self.flushing -= 1;
                if self.flushing == 0 {
                    self.store.finish_flushing(self.below);
                }
            }
            StoreEvent::CheckpointWritten { .. } => self.checkpoints += 1,
            StoreEvent::CheckpointRefused(_) | StoreEvent::Rotten { .. } => {}
            StoreEvent::Hole(_) => {}
            StoreEvent::Unreadable { .. } | StoreEvent::Poisoned(_) => self.poisoned = true,
        }
    }

    fn flush(&mut self, below: LogPos) {
        (self.flushing, self.below) = (2, below);
        for stream in [StreamId(1), StreamId(2)] {
            let due = |(number, loc): (&u64, &Loc)| {
                let in_log = matches!(loc.place(), Place::Log(pos) if pos < below);
                (in_log && stream_of(*number) == stream).then_some((Seq(*number), *loc))
            };
            let entries = self.state.iter().filter_map(due).collect();
            // Half of what is stored is compressed.
            let packing = match stream {
                StreamId(1) => Packing::Compressed,
                StreamId(_) => Packing::Plain,
            };
            self.store.flush_packed(stream, entries, packing);
        }
    }

    fn checkpoint(&mut self) {
        let applied = LogPos(self.acked_pos.0 + 1);
        let in_log = self.state.values().filter_map(|loc| match loc.place() {
            Place::Log(pos) => Some(pos),
            Place::Segment { .. } => None,
        });
        let keep = in_log.min().unwrap_or(applied);
        if self.store.takes_checkpoint() {
            self.changed.extend(self.store.stale_sections());
            let changed = core::mem::take(&mut self.changed).into_iter();
            let changes = changed.map(|key| encode(&self.state, key)).collect();
            self.store.write_checkpoint(changes, applied, keep);
        }
    }

    /// Reads an entry: its bytes, or none if the store says that it cannot be had.
    pub(crate) fn read(&mut self, number: u64) -> Option<Bytes> {
        let loc = *self.state.get(&number)?;
        let read = match self.store.read(stream_of(number), loc) {
            ReadOutcome::Hit(bytes) => return Some(bytes),
            ReadOutcome::Failed(_) => return None,
            ReadOutcome::Pending(read) => read,
        };
        self.pump();
        while !self.reads.contains_key(&read.0) && self.step() {}
        self.reads.remove(&read.0).expect("reads are answered").ok()
    }

    /// Appends and flushes at random until `count` entries are there, and calls `each` before and
    /// after each answer of the disk.
    pub(crate) fn work(&mut self, count: u64, rng: &mut Rng, mut each: impl FnMut(&Self)) {
        while self.next < count && !self.poisoned {
            for _ in 0..=rng.below(3) {
                if self.store.refuses(308).is_none() {
                    self.append();
                }
            }
            self.pump();
            each(self);
            for _ in 0..=rng.below(4) {
                if !self.step() {
                    self.tick();
                }
                each(self);
            }
        }
    }
}

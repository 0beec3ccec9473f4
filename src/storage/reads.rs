//! Reads of entries that are not in the tail cache: whole blocks are fetched and kept for a while, as
//! consumers read on; several readers share one fetch.
//!
//! *Invariant:* an entry is handed out only after its record has been verified for the place it was
//! asked at.

use alloc::collections::{BTreeMap, VecDeque};
use alloc::vec::Vec;

use bytes::Bytes;
use protocol::store::{ReadError, ReadId};

use crate::ids::OpIds;
use crate::op::{DiskError, DiskOp, FileName, OpId};
use crate::options::StoreOptions;
use crate::packing::unpack;
use crate::places::Target;
use crate::record::{HEAD, Kind, Parsed, Site, parse};
use crate::vault::Vault;

/// A read that fails is repeated with a record's head, which tells the record's length, and then with
/// the record alone: one bad sector must not cost its neighbours.
#[expect(clippy::cast_possible_truncation, reason = "16")]
const RETRY_LEN: u32 = HEAD as u32;

#[derive(Debug)]
struct Block {
    bytes: Bytes,
    used: u64,
}

#[derive(Debug)]
struct Fetch {
    file: FileName,
    offset: u64,
    len: u32,
    why: Why,
    waiters: Vec<(ReadId, Target)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Why {
    /// The first try: what lies behind is fetched as well.
    Ahead,
    /// The first try has failed: no more than needed.
    Retry,
    /// For one record whose length is known.
    Whole,
}

impl Fetch {
    fn covers(&self, file: FileName, offset: u64) -> bool {
        self.file == file && (self.offset..self.offset + u64::from(self.len)).contains(&offset)
    }
}

/// What a block says about a record.
enum Look {
    Entry(Bytes),
    Longer(usize),
    Damaged,
}

/// Fetches under way and blocks kept.
#[derive(Debug)]
pub(crate) struct Reads {
    blocks: BTreeMap<(FileName, u64), Block>,
    bytes: usize,
    bytes_max: usize,
    read_len: u32,
    clock: u64,
    fetches: BTreeMap<OpId, Fetch>,
    next: u64,
    /// Answers not yet taken.
    pub(crate) done: VecDeque<(ReadId, Result<Bytes, ReadError>)>,
    pub(crate) damaged: u64,
}

impl Reads {
    pub(crate) fn new(options: &StoreOptions) -> Self {
        Self {
            blocks: BTreeMap::new(),
            bytes: 0,
            bytes_max: options.read_cache_max,
            read_len: options.read_len,
            clock: 0,
            fetches: BTreeMap::new(),
            next: 0,
            done: VecDeque::new(),
            damaged: 0,
        }
    }

    /// Looks for the entry in the blocks kept.
    pub(crate) fn cached(
        &mut self,
        target: Target,
        vault: &mut Vault,
    ) -> Option<Result<Bytes, ReadError>> {
        self.clock += 1;
        let mut before = self
            .blocks
            .range_mut((target.file, 0)..=(target.file, target.offset));
        let (&(_, start), block) = before.next_back()?;
        block.used = self.clock;
        let at = usize::try_from(target.offset - start).ok()?;
        let rest = block.bytes.get(at..).filter(|rest| !rest.is_empty())?;
        match look(&block.bytes, rest, target.site, vault) {
            Look::Entry(entry) => Some(Ok(entry)),
            Look::Longer(_) => None,
            Look::Damaged => {
                self.damaged += 1;
                Some(Err(ReadError::Damaged))
            }
        }
    }

    /// Asks the disk for the entry.
    pub(crate) fn fetch(
        &mut self,
        target: Target,
        ids: &mut OpIds,
        ops: &mut Vec<DiskOp>,
    ) -> ReadId {
        self.next += 1;
        let read = ReadId(self.next);
        let Target { file, offset, .. } = target;
        let mut fetches = self.fetches.values_mut();
        match fetches.find(|fetch| fetch.covers(file, offset)) {
            Some(fetch) => fetch.waiters.push((read, target)),
            None => self.ask(target, read, (self.read_len, Why::Ahead), ids, ops),
        }
        read
    }

    fn ask(
        &mut self,
        target: Target,
        read: ReadId,
        (len, why): (u32, Why),
        ids: &mut OpIds,
        ops: &mut Vec<DiskOp>,
    ) {
        let Target { file, offset, .. } = target;
        let rest = target.file_len.saturating_sub(offset);
        let len = u32::try_from(rest).map_or(len, |rest| rest.min(len));
        let op = ids.take();
        ops.push(DiskOp::Read {
            op,
            file,
            offset,
            len,
        });
        let waiters = [(read, target)].into();
        self.fetches.insert(
            op,
            Fetch {
                file,
                offset,
                len,
                why,
                waiters,
            },
        );
    }

    /// Takes the answer to a fetch; false if it is none.
    pub(crate) fn on_done(
        &mut self,
        op: OpId,
        result: &Result<Bytes, DiskError>,
        vault: &mut Vault,
        ids: &mut OpIds,
        ops: &mut Vec<DiskOp>,
    ) -> bool {
        let Some(fetch) = self.fetches.remove(&op) else {
            return false;
        };
        let bytes = match result {
            Ok(bytes) => bytes,
            Err(error) => {
                self.on_failed(fetch, *error, ids, ops);
                return true;
            }
        };
        for (read, target) in fetch.waiters {
            let at = usize::try_from(target.offset - fetch.offset).unwrap_or(usize::MAX);
            let rest = bytes.get(at..).unwrap_or_default();
            let answer = match look(bytes, rest, target.site, vault) {
                Look::Entry(entry) => Ok(entry),
                // Ask again for the whole record, unless the file ends before it does.
                Look::Longer(total)
                    if target.offset + total as u64 <= target.file_len
                        && (at > 0 || (fetch.len as usize) < total) =>
                {
                    let len = u32::try_from(total).unwrap_or(u32::MAX);
                    self.ask(target, read, (len, Why::Whole), ids, ops);
                    continue;
                }
                Look::Longer(_) | Look::Damaged => {
                    self.damaged += 1;
                    Err(ReadError::Damaged)
                }
            };
            self.done.push_back((read, answer));
        }
        self.keep(fetch.file, fetch.offset, bytes.clone());
        true
    }

    fn on_failed(
        &mut self,
        fetch: Fetch,
        error: DiskError,
        ids: &mut OpIds,
        ops: &mut Vec<DiskOp>,
    ) {
        for (read, target) in fetch.waiters {
            if fetch.why == Why::Ahead && error != DiskError::NotFound {
                self.ask(target, read, (RETRY_LEN, Why::Retry), ids, ops);
            } else {
                self.done.push_back((read, Err(read_error(error))));
            }
        }
    }

    fn keep(&mut self, file: FileName, offset: u64, bytes: Bytes) {
        self.clock += 1;
        self.bytes += bytes.len();
        let used = self.clock;
        if let Some(old) = self.blocks.insert((file, offset), Block { bytes, used }) {
            self.bytes -= old.bytes.len();
        }
        while self.bytes > self.bytes_max {
            // A few hundred blocks at most, looked through once per fetch.
            let oldest = self.blocks.iter().min_by_key(|(_, block)| block.used);
            let Some(key) = oldest.map(|(key, _)| *key) else {
                break;
            };
            self.drop_block(key);
        }
    }

    fn drop_block(&mut self, key: (FileName, u64)) {
        if let Some(block) = self.blocks.remove(&key) {
            self.bytes -= block.bytes.len();
        }
    }

    /// Forgets the blocks of a file that is given up.
    pub(crate) fn forget(&mut self, file: FileName) {
        let range = (file, 0)..=(file, u64::MAX);
        let keys: Vec<_> = self.blocks.range(range).map(|(key, _)| *key).collect();
        for key in keys {
            self.drop_block(key);
        }
    }

    /// Whether a read of the file is under way.
    pub(crate) fn uses(&self, file: FileName) -> bool {
        self.fetches.values().any(|fetch| fetch.file == file)
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }
}

/// Verifies the record at `rest`, a part of `block`.
fn look(block: &Bytes, rest: &[u8], site: Site, vault: &mut Vault) -> Look {
    match parse(rest, site) {
        Parsed::Valid(record) => {
            let contents = vault.contents(block, &record, site);
            let entry = match record.kind {
                Kind::Entry => contents,
                Kind::Packed => contents.and_then(|packed| unpack(&packed)),
                Kind::Commit
                | Kind::End
                | Kind::Epoch
                | Kind::File
                | Kind::Index
                | Kind::Part
                | Kind::Checkpointed => None,
            };
            entry.map_or(Look::Damaged, Look::Entry)
        }
        Parsed::Short { total } => Look::Longer(total),
        Parsed::Invalid => Look::Damaged,
    }
}

fn read_error(error: DiskError) -> ReadError {
    match error {
        DiskError::NotFound => ReadError::Missing,
        DiskError::Io(errno) => ReadError::Io(errno),
        DiskError::NoSpace => ReadError::Io(28),
        DiskError::ReadOnly => ReadError::Io(30),
        // Such a store does not open.
        DiskError::Locked => ReadError::Io(13),
        DiskError::TooManyFiles => ReadError::Io(24),
    }
}

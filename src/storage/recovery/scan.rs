//! Reading the log: which records are valid, what they prove, and where the next valid one begins.
//!
//! *Invariant:* pure functions of bytes and of what was read before; the disk is the caller's.

use alloc::vec::Vec;

use bytes::{Bytes, BytesMut};
use protocol::id::LogPos;

use crate::marks::{Commit, End, Epoch, FileHead};
use crate::record::{ALIGN, EpochNo, Form, Kind, Parsed, Record, Site, parse};
use crate::vault::Vault;

/// What has been learned from the records read so far.
#[derive(Debug)]
pub(crate) struct Scan {
    /// The epoch that the next record must belong to, or a later one must begin.
    pub(crate) epoch: EpochNo,
    /// Where epochs begin, for reading records later.
    pub(crate) epochs: Vec<(LogPos, EpochNo)>,
    /// Everything below was durable at some time: what is missing there is damage.
    pub(crate) proven: LogPos,
    /// Entries seen, those known to be lost included.
    pub(crate) entries: u64,
    /// Entries that marks counted and that were not there.
    pub(crate) lost: u64,
    /// Bytes that were not there and that no mark has counted the entries of.
    uncounted: u64,
    /// Bytes that were not there and that no mark will count the entries of.
    before: u64,
    /// Whether `entries` is known yet.
    counting: bool,
    /// The end mark of the file being read, once it has been seen.
    pub(crate) end: Option<End>,
    /// The head of the file being read.
    pub(crate) head: Option<FileHead>,
    /// The newest checkpoint that was finished, as far as the log says.
    pub(crate) checkpointed: Option<u64>,
}

/// Why a row of valid records ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    /// The buffer ends within a record, or before the next.
    Short {
        /// How long the record is.
        total: usize,
    },
    /// What follows is not a valid record.
    Invalid,
    /// The file's end mark.
    End,
}

impl Scan {
    pub(crate) fn new(epoch: EpochNo, proven: LogPos) -> Self {
        Self {
            epoch,
            epochs: Vec::new(),
            proven,
            entries: 0,
            lost: 0,
            uncounted: 0,
            before: 0,
            counting: false,
            end: None,
            head: None,
            checkpointed: None,
        }
    }

    /// Forgets what belongs to the file read before.
    pub(crate) fn begin_file(&mut self) {
        self.end = None;
        self.head = None;
    }

    /// Reads valid records from the start of `buf`, which lies at `at`; returns their length and why
    /// they end.
    /// Sealed ones are opened: then what was read is returned as it was before that.
    pub(crate) fn run(
        &mut self,
        buf: &Bytes,
        at: LogPos,
        vault: &mut Vault,
    ) -> (usize, Stop, Option<BytesMut>) {
        let (mut done, mut opened) = (0, None);
        let stop = self.walk(buf, at, &mut done, |record, site, done| {
            if record.form == Form::Clear {
                return vault.can_read(record, site);
            }
            let rows = opened.get_or_insert_with(|| BytesMut::from(buf.as_ref()));
            let rest = rows.get_mut(done..).unwrap_or_default();
            vault.open_in_place(rest, record, site)
        });
        (done, stop, opened)
    }

    fn walk(
        &mut self,
        buf: &[u8],
        at: LogPos,
        done: &mut usize,
        mut open: impl FnMut(&Record<'_>, Site, usize) -> bool,
    ) -> Stop {
        loop {
            let rest = buf.get(*done..).unwrap_or_default();
            let pos = LogPos(at.0 + *done as u64);
            let site = Site::log(pos.0, self.epoch);
            match parse(rest, site) {
                Parsed::Short { total } => return Stop::Short { total },
                Parsed::Invalid => return Stop::Invalid,
                Parsed::Valid(record) => {
                    if !self.accepts(&record) || !open(&record, site, *done) {
                        return Stop::Invalid;
                    }
                    *done += record.total;
                    self.note(pos, &record);
                    if record.kind == Kind::End {
                        return Stop::End;
                    }
                }
            }
        }
    }

    /// A record of a later epoch must be one that can begin it: the epoch's mark, or, where that did
    /// not fit, the end of the file and the head of the next.
    fn accepts(&self, record: &Record<'_>) -> bool {
        record.epoch == self.epoch || matches!(record.kind, Kind::Epoch | Kind::End | Kind::File)
    }

    fn note(&mut self, pos: LogPos, record: &Record<'_>) {
        self.enter(pos, record.epoch);
        match record.kind {
            Kind::Entry => self.entries += 1,
            Kind::Commit => self.note_commit(Commit::decode(record.body)),
            Kind::End => {
                self.end = End::decode(record.body);
                self.note_commit(self.end.map(|end| end.commit));
            }
            Kind::Epoch => {
                self.proven = self.proven.max(pos);
                if let Some(epoch) = Epoch::decode(record.body) {
                    self.count(epoch.entries);
                }
            }
            Kind::File => {
                self.head = FileHead::decode(record.body);
                if let Some(head) = self.head {
                    self.count(head.entries);
                }
            }
            Kind::Checkpointed => {
                let number = record.body.first_chunk().map(|b| u64::from_le_bytes(*b));
                self.checkpointed = self.checkpointed.max(number);
            }
            Kind::Index | Kind::Part | Kind::Packed => {}
        }
    }

    fn note_commit(&mut self, commit: Option<Commit>) {
        if let Some(commit) = commit {
            self.proven = self.proven.max(commit.synced);
            self.count(commit.entries);
        }
    }

    /// Notes that so many bytes are not there.
    pub(crate) fn skip(&mut self, bytes: u64) {
        self.uncounted += bytes;
    }

    /// Notes that entries are not there which are not missed.
    pub(crate) fn forgive(&mut self) {
        self.counting = false;
    }

    /// Returns how many entries may be missing, at most.
    pub(crate) fn lost_max(&self) -> u64 {
        let least = crate::record::padded(1) as u64;
        self.lost + (self.before + self.uncounted).div_ceil(least)
    }

    fn count(&mut self, entries: u64) {
        if self.counting {
            self.lost += entries.saturating_sub(self.entries);
        } else {
            // Of what was not there before the first mark the marks behind it say nothing.
            self.before += self.uncounted;
        }
        self.uncounted = 0;
        self.counting = true;
        self.entries = self.entries.max(entries);
    }

    /// Notes that records from `pos` on belong to `epoch`.
    pub(crate) fn enter(&mut self, pos: LogPos, epoch: EpochNo) {
        if self.epochs.is_empty() || epoch > self.epoch {
            self.epochs.push((pos, epoch));
        }
        self.epoch = epoch;
    }

    /// Looks for the first valid record in `buf`, which lies at `at`. A record must be of the present
    /// epoch or of a later one: what earlier lives left behind the end proves nothing.
    pub(crate) fn find(&self, buf: &[u8], at: LogPos, vault: &mut Vault) -> Found {
        let mut offset = 0;
        while let Some(rest) = buf.get(offset..).filter(|rest| !rest.is_empty()) {
            let pos = at.0 + offset as u64;
            let site = Site::log(pos, self.epoch);
            match parse(rest, site) {
                Parsed::Valid(record) if !vault.can_read(&record, site) => {
                    offset += record.total;
                }
                Parsed::Valid(record) => {
                    return Found::Record {
                        at: LogPos(pos),
                        epoch: record.epoch,
                        proves: proves(&record, LogPos(pos)),
                        total: record.total,
                    };
                }
                Parsed::Short { total } => {
                    return Found::Short {
                        at: LogPos(pos),
                        total,
                    };
                }
                Parsed::Invalid => offset += ALIGN,
            }
        }
        Found::Nothing
    }
}

/// Returns the position below which `record` proves everything durable.
fn proves(record: &Record<'_>, pos: LogPos) -> LogPos {
    let commit = match record.kind {
        Kind::Commit => Commit::decode(record.body),
        Kind::End => End::decode(record.body).map(|end| end.commit),
        Kind::Epoch => return pos,
        Kind::Entry | Kind::File | Kind::Index | Kind::Part | Kind::Checkpointed | Kind::Packed => {
            None
        }
    };
    commit.map_or(LogPos(0), |commit| commit.synced)
}

/// What a search finds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    Nothing,
    /// A valid record.
    Record {
        at: LogPos,
        epoch: EpochNo,
        proves: LogPos,
        total: usize,
    },
    /// Perhaps a record, but the buffer ends before it does.
    Short {
        at: LogPos,
        total: usize,
    },
}

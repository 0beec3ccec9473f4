//! The search behind an invalid record: is it a torn tail, or rot?
//!
//! *Invariant:* what lies there was durable if, and only if, something valid behind it says so: then it is told
//! as damage and reading goes on; otherwise nobody was told of it, and the log is cut.

use bytes::Bytes;
use protocol::id::LogPos;

use super::scan::Found;
use super::{Mode, Next, Recovery};
use crate::log::files::Extent;
use crate::marks::FileHead;
use crate::op::FileName;
use crate::record::{self, EpochNo};
use crate::vault::Vault;

/// The search behind an invalid record.
#[derive(Clone, Copy, Debug)]
pub(super) struct Probe {
    /// The file and position of the invalid record.
    file: Extent,
    hole: u64,
    /// The first valid record behind it, if one has been seen.
    found: Option<(Extent, u64, EpochNo)>,
    /// Where the last valid record seen ends.
    seen_to: u64,
}

impl Recovery {
    pub(super) fn begin_probe(&mut self) -> Next {
        self.continue_probe(Probe {
            file: self.file,
            hole: self.cursor,
            found: None,
            seen_to: self.cursor,
        })
    }

    /// Reads on from the cursor, or in the next file if the cursor has left this one.
    fn continue_probe(&mut self, probe: Probe) -> Next {
        self.mode = Mode::Probe(probe);
        // Of files behind the one that is torn only the beginning is searched: a file is begun after
        // the one before it is durable to its end mark, so two records would have to be damaged.
        let beginning = self.file.base.saturating_add(self.piece);
        let searched = self.file.base != probe.file.base && self.cursor >= beginning;
        if self.cursor < self.file.end() && !searched {
            return self.read();
        }
        match self.files.range(self.file.base + 1..).next() {
            Some((&base, &len)) => {
                self.file = Extent { base, len };
                self.cursor = base;
                self.read()
            }
            None => self.conclude(probe),
        }
    }

    pub(super) fn probe(&mut self, bytes: &Bytes, mut probe: Probe, vault: &mut Vault) -> Next {
        let start = self.cursor;
        let mut at = 0;
        while let Some(rest) = bytes.get(at..).filter(|rest| !rest.is_empty()) {
            let pos = start + at as u64;
            match self.scan.find(rest, LogPos(pos), vault) {
                Found::Nothing => break,
                Found::Short {
                    at: LogPos(short),
                    total,
                } => {
                    let fits = short + total as u64 <= self.file.end();
                    if fits && (short > start || self.asked < total as u64) {
                        self.cursor = short;
                        self.mode = Mode::Probe(probe);
                        return self.read_len(self.piece.max(total as u64));
                    }
                    at = step(start, short) + record::ALIGN;
                }
                Found::Record {
                    at: LogPos(found),
                    epoch,
                    proves,
                    total,
                } => {
                    probe.found.get_or_insert((self.file, found, epoch));
                    probe.seen_to = found + total as u64;
                    self.scan.proven = self.scan.proven.max(proves);
                    if self.scan.proven.0 > probe.hole {
                        return self.resume(probe);
                    }
                    at = step(start, found) + total;
                }
            }
        }
        // An empty answer means that the file is shorter than listed.
        self.cursor = match bytes.len() {
            0 => self.file.end(),
            len => start + len as u64,
        };
        self.continue_probe(probe)
    }

    /// Reports the hole and reads on at the first valid record behind it.
    fn resume(&mut self, probe: Probe) -> Next {
        let Some((file, at, epoch)) = probe.found else {
            return self.conclude(probe);
        };
        self.add_hole(FileName::Log(probe.file.base), probe.hole, at);
        if file.base != probe.file.base {
            self.scan.begin_file();
        }
        self.scan.enter(LogPos(at), epoch);
        (self.file, self.cursor, self.mode) = (file, at, Mode::Replay);
        self.read()
    }

    /// Nothing that follows proves that the hole was durable.
    fn conclude(&mut self, probe: Probe) -> Next {
        let Probe { file, hole, .. } = probe;
        let name = FileName::Log(file.base);
        let whole = match self.scan.head {
            Some(head) => head.len,
            // Files get their names in their full length: this one says not even what that was.
            None if file.len < FileHead::TOTAL => self.longest_end(file.base) - file.base,
            None => file.len,
        };
        let proven = self.scan.proven.0;
        if whole > file.len {
            // Cut off from outside: what is missing may have been acknowledged.
            let end = file.base.saturating_add(whole).max(proven);
            let is_last = self.files.range(file.base + 1..).next().is_none();
            let end = if is_last { self.end_of_lost(end) } else { end };
            self.add_hole(name, hole, end);
            return self.finish(LogPos(end));
        }
        if proven > hole {
            // Not even the note is there that the checkpoint was finished: this is not the file that was
            // written, but an older one or none of ours, and that one may have been full.
            let end = file.end().max(proven);
            self.add_hole(name, hole, end);
            return self.finish(LogPos(end));
        }
        self.cut = probe.seen_to - hole;
        self.finish(LogPos(hole))
    }
}

fn step(from: u64, to: u64) -> usize {
    usize::try_from(to - from).unwrap_or(usize::MAX)
}

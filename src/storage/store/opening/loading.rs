//! Reading the checkpoint that recovery begins from, section by section.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use bytes::Bytes;

use super::super::bulk::Durable;
use super::super::{Phase, Store};
use super::{ReadAt, Step};
use crate::checkpoint::{Head, Read, Reader, SectionPlace};
use crate::events::StoreEvent;
use crate::op::{DiskOp, FileName};
use crate::report::Damage;

impl Store {
    /// Begins with the newest checkpoint that has not been tried, or with what can be had of one, or with
    /// the log.
    pub(super) fn load_next(&mut self, ops: &mut Vec<DiskOp>) {
        let Phase::Opening(opening) = &mut self.phase else {
            return;
        };
        let Some((number, rule)) = opening.choose() else {
            self.begin_replay(ops);
            return;
        };
        let files: BTreeMap<u64, u64> = self.bulk.files.clone();
        let mut reader = Reader::new(number, files, self.options.recovery_read_len, rule);
        let read = reader.begin();
        opening.reader = Some(reader);
        self.drive_loading(read, ops);
    }

    pub(super) fn on_checkpoint_piece(&mut self, bytes: Bytes, ops: &mut Vec<DiskOp>) {
        let Phase::Opening(opening) = &mut self.phase else {
            return;
        };
        if let Some(reader) = &mut opening.reader {
            let read = reader.handle(bytes, &mut self.vault);
            if !self.is_locked() {
                self.drive_loading(read, ops);
            }
        }
    }

    fn drive_loading(&mut self, read: Read, ops: &mut Vec<DiskOp>) {
        let Phase::Opening(opening) = &mut self.phase else {
            return;
        };
        let Some(reader) = &mut opening.reader else {
            return;
        };
        let number = reader.number;
        for (key, place) in reader.lost.drain(..) {
            // In the order of the keys: what is lost of a group may say what the rest of it is worth.
            let before = reader.found.partition_point(|(found, _)| *found < key);
            for (key, body) in reader.found.drain(..before) {
                self.events.push(StoreEvent::Section { key, body });
            }
            opening.report.note(damage_of(place));
            if read != Read::Damaged {
                self.events.push(StoreEvent::SectionLost(key));
                self.bulk.sections_lost.push(key);
            }
        }
        for (key, body) in reader.found.drain(..) {
            self.events.push(StoreEvent::Section { key, body });
        }
        for (key, place) in reader.corrected.drain(..) {
            opening.report.note(damage_of(place));
            self.bulk.rotten.insert(key);
        }
        match read {
            Read::More { file, offset, len } => {
                let read = ReadAt { file, offset, len };
                opening.ask_read(read, Step::Loading, &mut self.ids, ops);
            }
            Read::Broken => {
                if reader.has_begun() {
                    opening.readable.push(number);
                }
                opening.broken.push((number, reader.len()));
                self.events.push(StoreEvent::CheckpointGivenUp);
                self.load_next(ops);
            }
            Read::Damaged => {
                opening.readable.push(number);
                opening.damaged.push((number, reader.take_head().previous));
                self.events.push(StoreEvent::CheckpointGivenUp);
                self.load_next(ops);
            }
            Read::Done => {
                let head = reader.take_head();
                self.on_loaded(number, head, ops);
            }
        }
    }

    fn on_loaded(&mut self, number: u64, mut head: Head, ops: &mut Vec<DiskOp>) {
        let Phase::Opening(opening) = &mut self.phase else {
            return;
        };
        opening.report.checkpoint = Some(number);
        opening.from = head.applied;
        opening.reader = None;
        self.bulk.newest = Some(Durable {
            number,
            applied: head.applied,
            keep: head.keep,
            len: 0,
        });
        self.bulk.flushed = head.keep.min(head.applied);
        self.bulk.sections = core::mem::take(&mut head.sections);
        for key in self.bulk.sections_lost.drain(..) {
            self.bulk.sections.remove(key);
        }
        opening.head = Some(head);
        self.begin_replay(ops);
    }
}

/// Returns the part of its file that a section takes.
fn damage_of(place: SectionPlace) -> Damage {
    Damage {
        file: FileName::Checkpoint(place.file),
        from: place.offset,
        to: place.end(),
    }
}

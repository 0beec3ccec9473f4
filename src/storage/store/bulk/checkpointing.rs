//! Writing checkpoints: one at a time, each of what has changed since the one before.
//!
//! *Invariant:* files that hold little of the state any more are given up before they cost more than
//! the state itself.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;

use protocol::id::LogPos;
use protocol::store::{SectionChange, SectionKey};

use super::super::Store;
use super::Durable;
use crate::checkpoint::{self, Head, Sections, Writer};
use crate::events::StoreEvent;
use crate::places::epoch_at;

/// How many times as long as the state may the files be that it lies in.
const WASTE_MAX: u64 = 2;

/// How many bytes of files may be wasted in any case.
const WASTE_FREE: u64 = 4 << 20;

/// How many files the state may lie in before the smallest are merged.
const FILES_MAX: usize = 128;

impl Store {
    /// Whether [`Store::write_checkpoint`] can be called: nothing is being written.
    #[must_use]
    pub fn takes_checkpoint(&self) -> bool {
        self.poisoned.is_none() && self.bulk.writer.is_none() && self.log.is_some()
    }

    /// Writes a checkpoint if [`Store::takes_checkpoint`] says so: with these changes since the last call
    /// the state holds every entry below `applied` and none from there on, and refers to entries in the
    /// log from `keep` on only. [`StoreEvent::CheckpointWritten`] or
    /// [`StoreEvent::CheckpointRefused`] follows.
    pub fn write_checkpoint(&mut self, changes: Vec<SectionChange>, applied: LogPos, keep: LogPos) {
        self.bulk.changes.extend(changes);
        if !self.takes_checkpoint() {
            return;
        }
        let bulk = &mut self.bulk;
        // A user that has applied nothing since it was restored has still applied what it was
        // restored from.
        let applied = bulk
            .newest
            .map_or(applied, |newest| newest.applied.max(applied));
        let needs = keep.min(applied);
        let mut epochs = self.epochs.clone();
        let covering = epoch_at(&epochs, needs);
        epochs.retain(|&(pos, epoch)| pos > needs || epoch == covering);
        let head = Head {
            applied,
            keep,
            previous: bulk.newest.map_or(0, |newest| newest.number),
            end: 0,
            epochs,
            segments: bulk.segments.iter().collect(),
            doomed: bulk.segments.doomed().collect(),
            sections: Sections::default(),
        };
        let number = bulk.next_number;
        bulk.next_number += 1;
        bulk.asked_checkpoint = true;
        bulk.writer = Some(Writer::begin(
            number,
            head,
            &bulk.sections,
            &bulk.changes,
            self.vault.form(),
            &mut self.ids,
            &mut self.wanted,
        ));
    }

    /// Asks for a checkpoint, unless one has been asked for.
    pub(in crate::store) fn want_checkpoint(&mut self) {
        if !core::mem::replace(&mut self.bulk.asked_checkpoint, true) {
            self.events.push(StoreEvent::CheckpointWanted);
        }
    }

    /// Returns sections that the next checkpoint should write again, changed or not: those that have
    /// rotted, and those of files that hold little else and can go then.
    #[must_use]
    pub fn stale_sections(&mut self) -> Vec<SectionKey> {
        let mut stale = self.wasting_sections();
        stale.extend(core::mem::take(&mut self.bulk.rotten));
        stale
    }

    fn wasting_sections(&self) -> Vec<SectionKey> {
        let bulk = &self.bulk;
        let used = bulk.sections.used();
        let (live, total) = (used.values().sum::<u64>(), bulk.files.values().sum::<u64>());
        let wasteful = total > live.saturating_mul(WASTE_MAX).saturating_add(WASTE_FREE);
        if !wasteful && used.len() <= FILES_MAX {
            return Vec::new();
        }
        // Those that take the least writing to be rid of.
        let mut files: Vec<(u64, u64)> = used.iter().map(|(&file, &len)| (len, file)).collect();
        files.sort_unstable();
        let mut room = WASTE_FREE.max(bulk.newest.map_or(0, |newest| newest.len));
        let chosen: BTreeSet<u64> = files
            .into_iter()
            .take_while(|(len, _)| {
                let fits = *len <= room;
                room = room.saturating_sub(*len);
                fits
            })
            .map(|(_, file)| file)
            .collect();
        let sections = bulk.sections.iter();
        let sections = sections.filter(|(_, place)| chosen.contains(&place.file));
        sections.map(|(key, _)| key).collect()
    }

    pub(super) fn on_checkpoint(&mut self, outcome: checkpoint::Outcome) {
        match outcome {
            checkpoint::Outcome::Going => {}
            checkpoint::Outcome::Failed(error) => self.poison(error),
            checkpoint::Outcome::Full(error) => {
                if let Some(writer) = self.bulk.writer.take() {
                    self.remove_checkpoint(writer.number);
                }
                self.events.push(StoreEvent::CheckpointRefused(error));
            }
            checkpoint::Outcome::Done => {
                if let Some(writer) = self.bulk.writer.take() {
                    self.on_checkpoint_durable(writer);
                }
            }
        }
    }

    fn on_checkpoint_durable(&mut self, writer: Writer) {
        let newest = Durable {
            number: writer.number,
            applied: writer.head.applied,
            keep: writer.head.keep,
            len: writer.len(),
        };
        let file_len = writer.file_len();
        let bulk = &mut self.bulk;
        let previous = bulk.newest.replace(newest);
        let mut used = bulk.sections.files();
        bulk.sections = writer.head.sections;
        used.extend(bulk.sections.files());
        used.extend(previous.map(|previous| previous.number));
        used.insert(newest.number);
        bulk.changes.clear();
        bulk.asked_checkpoint = false;
        bulk.files.insert(newest.number, file_len);
        let files: Vec<u64> = bulk.files.keys().copied().collect();
        for number in files.into_iter().filter(|number| !used.contains(number)) {
            self.remove_checkpoint(number);
        }
        if let Some(log) = &mut self.log {
            log.note_checkpoint(newest.number);
        }
        if let Some(previous) = previous {
            self.trim(previous.needs());
            self.sweep(previous.applied);
        }
        self.events.push(StoreEvent::CheckpointWritten {
            applied: newest.applied,
        });
        self.check_bulk();
    }
}

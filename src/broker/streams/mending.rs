//! A store that is looked at, or repaired, while nobody is served.
//!
//! It is opened as at any start, but for this: what damage has taken is gone on without. A repair then
//! gives up what cannot be read, moves what can out of damaged files and out of the log, and writes
//! the whole state anew, twice: after that nothing refers to any file that was there before, but for
//! segments without damage. *Invariant:* the steps are the store's usual ones, so that a crash at any
//! of them leaves a store that can be repaired again.

use alloc::collections::VecDeque;
use alloc::format;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;

use bytes::Bytes;
use protocol::id::StreamId;
use protocol::store::{SectionChange, SectionKey};
use storage::{DamagedPlaces, DiskOp, StoreEvent};

use super::checkpoint::{self, MEMPHIS};
use super::flushing::packing;
use super::{Storage, Streams, copies};
use crate::router::Router;

/// Most messages that one flush moves.
const MESSAGES_PER_FLUSH: usize = 65_536;
/// A checkpoint is needless when two newer ones are durable.
const CHECKPOINTS: u32 = 2;

/// How far a repair is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress {
    /// What is stored is being read.
    Opening,
    /// It has been read; nothing has been changed but the mark of a new start.
    Opened,
    /// It is being written anew.
    Mending,
    /// It has been.
    Mended,
    /// It cannot be read, or written.
    Failed(String),
}

/// A look at a store, or its repair.
#[derive(Debug)]
pub(super) struct Mending {
    progress: Progress,
    /// What is gone on without, for people.
    without: Vec<String>,
    places: DamagedPlaces,
    /// Streams whose messages are still to be moved.
    queue: VecDeque<StreamId>,
    /// Whether a flush is under way.
    flushing: bool,
    /// Whether the damaged segments have been given up.
    swept: bool,
    /// How many checkpoints have been written, and whether one is being written.
    checkpoints: u32,
    writing: bool,
}

impl Mending {
    pub(super) fn new() -> Self {
        Self {
            progress: Progress::Opening,
            without: Vec::new(),
            places: DamagedPlaces::default(),
            queue: VecDeque::new(),
            flushing: false,
            swept: false,
            checkpoints: 0,
            writing: false,
        }
    }

    fn fail(&mut self, why: String) {
        if !matches!(self.progress, Progress::Failed(_)) {
            self.progress = Progress::Failed(why);
        }
    }
}

impl Streams {
    /// Begins recovery for a look at the store, or its repair: nobody will be served.
    pub(crate) fn start_mending(&mut self, router: &mut Router, ops: &mut Vec<DiskOp>) {
        self.mending = Some(Mending::new());
        self.start(router, ops);
    }

    /// Returns how far a repair is; none in a server.
    pub(crate) fn mending(&self) -> Option<&Progress> {
        self.mending.as_ref().map(|mending| &mending.progress)
    }

    /// Returns what the store was gone on without.
    pub(crate) fn without(&self) -> &[String] {
        self.mending
            .as_ref()
            .map_or(&[], |mending| &mending.without)
    }

    /// Takes an event while the store is looked at; returns it if it is to be taken as ever.
    pub(super) fn on_event_mending(
        &mut self,
        router: &mut Router,
        event: StoreEvent,
    ) -> Option<StoreEvent> {
        let mending = self.mending.as_mut()?;
        if matches!(
            event,
            StoreEvent::Entry { .. } | StoreEvent::Hole(_) | StoreEvent::Recovered(_)
        ) {
            mending.without.append(&mut self.machine.reopen_closed());
        }
        match event {
            StoreEvent::Section { key, body } => self.restore_what_is_left(key, &body),
            StoreEvent::SectionLost(key) => self.go_on_without(key),
            StoreEvent::Recovered(report) => {
                let (machine, mut world) = self.split(router);
                machine.close_holes(report.lost_max, &mut world);
                self.storage = Storage::Live;
                self.report = Some(report);
                if let Some(mending) = &mut self.mending
                    && mending.progress == Progress::Opening
                {
                    mending.progress = Progress::Opened;
                }
            }
            StoreEvent::Flushed {
                stream,
                moved,
                lost,
            } => {
                mending.flushing = false;
                self.machine.relocated(stream, &moved);
                self.machine.give_up(stream, &lost);
            }
            StoreEvent::CheckpointWritten { .. } => {
                mending.writing = false;
                mending.checkpoints += 1;
            }
            StoreEvent::CheckpointRefused(error) | StoreEvent::Poisoned(error) => {
                mending.fail(error.to_string());
            }
            StoreEvent::Unreadable { part, error } => {
                let part = part.map_or_else(
                    || String::from("the directory"),
                    |part| format!("{} from byte {} to {}", part.file, part.from, part.to),
                );
                mending.fail(format!("{part}: {error}"));
            }
            StoreEvent::CheckpointGivenUp => {
                mending.without.clear();
                return Some(event);
            }
            StoreEvent::FlushWanted { .. } | StoreEvent::CheckpointWanted => {}
            StoreEvent::Entry { .. }
            | StoreEvent::Hole(_)
            | StoreEvent::ReadDone { .. }
            | StoreEvent::Rotten { .. } => return Some(event),
        }
        None
    }

    fn restore_what_is_left(&mut self, key: SectionKey, body: &Bytes) {
        let restored = if key == MEMPHIS {
            checkpoint::restore(key, body, self)
        } else {
            let restored = self.machine.restore_what_is_left(key, body);
            restored.map_err(|error| error.to_string())
        };
        // Its checksum holds, so that this is no damage: another version has written it.
        if let (Err(error), Some(mending)) = (restored, &mut self.mending) {
            let SectionKey { group, number } = key;
            mending.fail(format!("checkpoint: section {group}/{number:x}: {error}"));
        }
    }

    fn go_on_without(&mut self, key: SectionKey) {
        let text = if key == MEMPHIS {
            let all = "users, schemas and all else that only Memphis has is lost";
            Some(String::from(all))
        } else {
            self.machine.go_on_without(key)
        };
        if let Some(mending) = &mut self.mending {
            mending.without.extend(text);
        }
    }

    /// Begins a repair, when the store has been opened.
    pub(crate) fn begin_mending(&mut self, places: DamagedPlaces) {
        let damaged = |stream, loc| places.contains(stream, loc);
        self.machine.give_up_damaged(damaged);
        let queue = self.machine.stored_streams().into();
        if let Some(mending) = &mut self.mending {
            mending.queue = queue;
            mending.places = places;
            mending.progress = Progress::Mending;
        }
    }

    /// Takes the next steps of a repair, as far as the store is ready for them.
    pub(super) fn drive_mending(&mut self) {
        let Some(mending) = &mut self.mending else {
            return;
        };
        if mending.progress != Progress::Mending || mending.flushing || mending.writing {
            return;
        }
        while let Some(stream) = mending.queue.pop_front() {
            let must_go = |number| mending.places.is_hit(stream, number);
            let mut messages = self.machine.to_be_moved(stream, must_go);
            if messages.len() > MESSAGES_PER_FLUSH {
                messages.truncate(MESSAGES_PER_FLUSH);
                mending.queue.push_front(stream);
            }
            if !messages.is_empty() {
                mending.flushing = true;
                let packing = packing(&self.machine, stream);
                self.store.flush_packed(stream, messages, packing);
                return;
            }
        }
        let Some(tail) = self.store.resting_at() else {
            return;
        };
        if !core::mem::replace(&mut mending.swept, true) {
            for (stream, number) in mending.places.segments() {
                // Where the state did not know of the segment, its number has just been used again.
                let holds = self.machine.to_be_moved(stream, |other| other == number);
                if holds.is_empty() {
                    self.store.remove_segment(stream, number);
                }
            }
        }
        if mending.checkpoints == CHECKPOINTS {
            mending.progress = Progress::Mended;
            return;
        }
        mending.writing = true;
        let groups = self.store.section_groups().into_iter();
        let mut changes: Vec<_> = groups.map(SectionChange::DropGroup).collect();
        let sections = self.machine.sections().into_iter();
        let sections = sections.filter(|(_, body)| !body.is_empty());
        changes.extend(sections.map(|(key, body)| SectionChange::Put(key, body)));
        let memphis = Bytes::from(self.stations.machine.snapshot());
        changes.push(SectionChange::Put(MEMPHIS, memphis));
        copies::add(&mut changes);
        self.store.write_checkpoint(changes, tail, tail);
    }
}

//! What the store tells: entries that are synced, reads that have ended, what is to be written out, and
//! what is damaged.
//!
//! *Invariant:* while a store is mended, nothing of this reaches the machine but what mending asks for.

use alloc::format;

use bytes::Bytes;
use consensus::Committed;
use jetstream::entry::{Entry, is_publish};
use protocol::id::{LogPos, Seq, StreamId};
use protocol::store::Loc;
use storage::{RecoveryReport, StoreEvent};

use super::{Storage, Streams, TICK, checkpoint, log};
use crate::effects::Level;
use crate::router::Router;

impl Streams {
    pub(super) fn on_event(&mut self, router: &mut Router, event: StoreEvent) {
        if !self.copies.concerns(&event) {
            return self.on_event_sorted(router, event);
        }
        for event in self.copies.sort_out(event).into_iter().flatten() {
            self.on_event_sorted(router, event);
        }
    }

    fn on_event_sorted(&mut self, router: &mut Router, event: StoreEvent) {
        let event = match self.mending {
            Some(_) => self.on_event_mending(router, event),
            None => Some(event),
        };
        if let Some(event) = event {
            self.on_usual_event(router, event);
        }
    }

    fn on_usual_event(&mut self, router: &mut Router, event: StoreEvent) {
        match event {
            StoreEvent::Entry { pos, loc, entry } => self.on_entry(router, pos, loc, &entry),
            StoreEvent::ReadDone { read, result } => {
                let (machine, mut world) = self.split(router);
                machine.read_done(&mut world, read, result);
            }
            StoreEvent::Section { key, body } => {
                if let Err(error) = checkpoint::restore(key, &body, self) {
                    // Its checksum holds: a later version may have written it.
                    self.incomplete |= key.group == 0;
                    self.on_section_lost(router, key, &error);
                }
            }
            StoreEvent::SectionLost(key) => self.on_section_lost(router, key, "it is damaged"),
            StoreEvent::CheckpointGivenUp => self.machine.forget(),
            StoreEvent::Hole(_) => {
                let (machine, mut world) = self.split(router);
                machine.hole(&mut world);
            }
            StoreEvent::Unreadable { part, error } => self.on_unreadable(router, part, error),
            StoreEvent::Recovered(report) => self.on_recovered(router, report),
            StoreEvent::FlushWanted { .. } if self.storage != Storage::Live => {}
            StoreEvent::FlushWanted { below } => {
                self.flushing
                    .begin(below, &mut self.machine, &mut self.store);
            }
            StoreEvent::CheckpointWanted if self.storage != Storage::Live => {}
            StoreEvent::CheckpointWanted => {
                let (machine, store) = (&mut self.machine, &mut self.store);
                self.flushing.checkpoint(machine, &self.stations, store);
            }
            StoreEvent::Flushed {
                stream,
                moved,
                lost,
            } => self.on_flushed(router, stream, &moved, &lost),
            StoreEvent::CheckpointWritten { .. } => {}
            StoreEvent::CheckpointRefused(error) => {
                log(
                    router,
                    Level::Warn,
                    format!("JetStream checkpoint refused: {error}"),
                );
            }
            StoreEvent::Rotten { damage, lost } => self.on_rotten(router, damage, lost),
            StoreEvent::Poisoned(error) => {
                let reason = format!("{error}");
                log(
                    router,
                    Level::Error,
                    format!("JetStream storage failed, nothing is stored any more: {reason}"),
                );
                self.stop_storing(router, Storage::Poisoned, &reason);
            }
        }
    }

    fn on_flushed(
        &mut self,
        router: &mut Router,
        stream: StreamId,
        moved: &[(Seq, Loc)],
        lost: &[Seq],
    ) {
        if !lost.is_empty() {
            let (id, count) = (stream.0, lost.len());
            let text = format!("JetStream stream {id}: {count} messages are damaged");
            log(router, Level::Error, text);
        }
        self.machine.note_lost(stream, lost);
        self.machine.relocated(stream, moved);
        let (machine, store) = (&self.machine, &mut self.store);
        self.flushing.flushed(stream, moved.len(), machine, store);
    }

    #[inline]
    fn on_entry(&mut self, router: &mut Router, pos: LogPos, loc: Loc, entry: &Bytes) {
        if self.incomplete {
            return;
        }
        let Committed(pos) = self.group.on_synced(pos);
        let (machine, mut world) = self.split(router);
        if let Some(entry) = machine.apply(&mut world, pos, loc, entry) {
            self.on_memphis_entry(router, pos, &entry);
        }
        // A batch is applied with its last entry; until then the log must give all of it again.
        if !self.machine.is_inside_batch() {
            self.flushing.applied(pos);
        }
        if !is_publish(entry)
            && let Ok(Entry::StreamDelete(stream)) = Entry::decode(entry)
        {
            self.store.remove_stream(stream);
            let (machine, store) = (&self.machine, &mut self.store);
            self.flushing.forget(stream, machine, store);
        }
    }

    fn on_recovered(&mut self, router: &mut Router, report: RecoveryReport) {
        self.storage = Storage::Live;
        self.flushing.recovered(self.store.flushed(), report.tail);
        for key in self.copies.take_stale() {
            self.machine.touch(key);
        }
        self.next_tick = router.now.mono + TICK;
        let (machine, mut world) = self.split(router);
        machine.close_holes(report.lost_max, &mut world);
        machine.recovered(&mut world);
        self.with_stations(router, |memphis, host| memphis.recovered(host));
        let streams = self.machine.streams().count();
        let replayed = report.replayed;
        let text = format!("JetStream recovered {streams} streams, {replayed} entries replayed");
        log(router, Level::Info, text);
        for damage in &report.damage {
            let text = format!(
                "JetStream storage is damaged: {} from byte {} to {}",
                damage.file, damage.from, damage.to
            );
            log(router, Level::Error, text);
        }
        if self.incomplete {
            self.on_damaged(router, &report);
        }
        self.report = Some(report);
    }
}

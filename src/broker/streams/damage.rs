//! Damage that a start, a read or the scrub has found: what is told, and whether anything is stored on.
//!
//! *Invariant:* what cannot be had is told; nothing is stored in a stream of which a part is missing.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use protocol::id::{LogPos, Seq, StreamId};
use protocol::store::{Loc, SectionKey};
use storage::{Damage, DiskError, FileName, RecoveryReport};

use super::{Storage, Streams, checkpoint, log};
use crate::effects::Level;
use crate::router::Router;

impl Streams {
    /// Reading again what is stored has found rot.
    pub(super) fn on_rotten(
        &mut self,
        router: &mut Router,
        Damage { file, from, to }: Damage,
        lost: Option<(StreamId, Vec<(Seq, Loc)>)>,
    ) {
        let text = format!("JetStream storage is damaged: {file} from byte {from} to {to}");
        log(router, Level::Error, text);
        if let Some((stream, lost)) = lost {
            self.machine.note_rotten(stream, &lost);
        }
        if let FileName::Log(_) = file {
            self.machine.note_rotten_log(LogPos(from), LogPos(to));
        }
    }

    /// A part of what the checkpoint holds cannot be had. That closes the stream that it concerns; without what
    /// the Memphis layer keeps, nothing is stored.
    pub(super) fn on_section_lost(&mut self, router: &mut Router, key: SectionKey, why: &str) {
        let SectionKey { group, number } = key;
        let text = format!("JetStream checkpoint: section {group}/{number:x}: {why}");
        log(router, Level::Error, text);
        let is_of_stream = key != checkpoint::MEMPHIS;
        self.incomplete |= !(is_of_stream && self.machine.section_lost(key));
    }

    /// Entries are neither taken nor written from here on; what is known can be read.
    pub(super) fn stop_storing(&mut self, router: &mut Router, storage: Storage, reason: &str) {
        self.storage = storage;
        let (machine, mut world) = self.split(router);
        machine.poison(&mut world, reason);
        self.with_stations(router, |memphis, host| memphis.poison(reason, host));
    }

    /// Recovery has given up: JetStream stays closed, everything else goes on.
    pub(super) fn on_unreadable(
        &mut self,
        router: &mut Router,
        part: Option<Damage>,
        error: DiskError,
    ) {
        let text = match part {
            Some(Damage { file, from, to }) => {
                format!("JetStream is closed: {file} from byte {from} to {to}: {error}")
            }
            None => format!("JetStream is closed: its directory: {error}"),
        };
        log(router, Level::Error, text.clone());
        self.stop_storing(router, Storage::Unreadable, &text);
        self.machine.close();
        self.failure = Some(text);
    }

    /// What the checkpoint holds of the other streams is all that can be served.
    pub(super) fn on_damaged(&mut self, router: &mut Router, report: &RecoveryReport) {
        let what = report.damage.first().map_or_else(
            || String::from("a checkpoint is damaged"),
            |Damage { file, from, to }| format!("{file} is damaged from position {from} to {to}"),
        );
        let text =
            format!("JetStream stores nothing: {what}, only what was stored before is served");
        log(router, Level::Error, text.clone());
        self.store.seal();
        self.stop_storing(router, Storage::Damaged, &text);
        self.failure = Some(text);
    }
}

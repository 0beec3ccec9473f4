//! A shard that serves nobody: to look at what is stored, and to repair it.
//!
//! Driven like this: [`Shard::start_mending`], then [`crate::Input::Disk`] and
//! [`crate::Input::Settle`] as ever and
//! [`crate::Input::Timeout`] when it is due, until [`Shard::mending`] says [`Progress::Opened`]; for a repair
//! [`Shard::mend`], then the same until it says [`Progress::Mended`].

use alloc::string::String;
use alloc::vec::Vec;

use jetstream::StreamLosses;
use protocol::time::Now;
use storage::DamagedPlaces;

use super::Shard;
use crate::effects::Effects;
use crate::streams::{Progress, Streams};

impl Shard {
    /// Begins to read what the disk holds, whatever of it is lost.
    pub fn start_mending(&mut self, now: Now, fx: &mut Effects) {
        self.router.now = now;
        self.with_streams(Streams::start_mending);
        core::mem::swap(&mut self.router.fx, fx);
    }

    /// Returns how far that is; none where it has not been begun.
    #[must_use]
    pub fn mending(&self) -> Option<&Progress> {
        self.streams.as_ref()?.mending()
    }

    /// Returns what was gone on without, in words.
    #[must_use]
    pub fn without(&self) -> &[String] {
        self.streams.as_ref().map_or(&[], Streams::without)
    }

    /// Returns what each stream holds and has lost, where these parts of files are damaged.
    #[must_use]
    pub fn losses(&self, places: &DamagedPlaces) -> Vec<StreamLosses> {
        let machine = self.jetstream();
        let losses = machine.map(|machine| machine.losses(|id, loc| places.contains(id, loc)));
        losses.unwrap_or_default()
    }

    /// Begins to write everything anew but what lies in these parts of files.
    pub fn mend(&mut self, places: DamagedPlaces) {
        if let Some(streams) = &mut self.streams {
            streams.begin_mending(places);
        }
    }
}

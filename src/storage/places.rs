//! From a location to the bytes on the disk.

use protocol::id::{LogPos, StreamId};
use protocol::store::{Loc, Place};

use crate::log::files::Files;
use crate::op::FileName;
use crate::record::{EpochNo, Site};
use crate::segments::Segments;

/// Where an entry lies on the disk.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Target {
    pub(crate) file: FileName,
    pub(crate) offset: u64,
    pub(crate) site: Site,
    /// How much of the file has its final contents: reads do not go further, since a block that is
    /// kept would show later what lay there before it was written.
    pub(crate) file_len: u64,
}

/// The tables that locations are looked up in.
#[derive(Debug)]
pub(crate) struct Places<'a> {
    pub(crate) files: &'a Files,
    /// Everything in the log below is durable.
    pub(crate) synced: LogPos,
    pub(crate) epochs: &'a [(LogPos, EpochNo)],
    pub(crate) segments: &'a Segments,
}

impl Places<'_> {
    /// Returns where the entry at `loc` of `stream` lies; none if its file is gone.
    pub(crate) fn locate(&self, stream: StreamId, loc: Loc) -> Option<Target> {
        match loc.place() {
            Place::Log(pos) => {
                let file = self.files.covering(pos.0)?;
                Some(Target {
                    file: FileName::Log(file.base),
                    offset: pos.0 - file.base,
                    site: Site::log(pos.0, epoch_at(self.epochs, pos)),
                    file_len: file.len.min(self.synced.0.saturating_sub(file.base)),
                })
            }
            Place::Segment { number, offset } => Some(Target {
                file: FileName::Segment { stream, number },
                offset,
                site: Site::segment(stream, number, offset),
                file_len: self.segments.len_of((stream, number))?,
            }),
        }
    }
}

/// Returns the epoch in which the record at `pos` was written.
pub(crate) fn epoch_at(epochs: &[(LogPos, EpochNo)], pos: LogPos) -> EpochNo {
    let after = epochs.partition_point(|&(start, _)| start <= pos);
    let at = after.saturating_sub(1);
    epochs.get(at).map_or(EpochNo(0), |&(_, epoch)| epoch)
}

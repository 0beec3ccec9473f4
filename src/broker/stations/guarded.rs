//! The guards of streams by their ids, as long as the book says the same.

use alloc::collections::BTreeMap;

use memphis::machine::{Guard, Memphis, Misfit as Shown};
use protocol::id::StreamId;

use super::Misfit;

/// What guards streams that were published to. Bounded by the streams.
#[derive(Debug, Default)]
pub(crate) struct Guarded {
    epoch: u64,
    by_stream: BTreeMap<StreamId, Option<Guard>>,
}

impl Guarded {
    /// Returns what guards a stream; `name` names its account and the stream, and is asked once.
    pub(crate) fn guard<'a>(
        &'a mut self,
        machine: &mut Memphis,
        stream: StreamId,
        name: impl FnOnce() -> Option<(&'a str, &'a str)>,
    ) -> Option<&'a Guard> {
        if self.epoch != machine.guards_epoch() {
            self.by_stream.clear();
            self.epoch = machine.guards_epoch();
        }
        let known = self.by_stream.entry(stream).or_insert_with(|| {
            let (account, stream) = name()?;
            machine.guard(account, stream)
        });
        known.as_ref()
    }
}

impl Misfit {
    pub(crate) fn shown(&self) -> Shown<'_> {
        Shown {
            stream: &self.stream,
            reply: &self.reply,
            headers: &self.headers,
            payload: &self.payload,
            client: &self.client,
            reason: &self.reason,
        }
    }
}

//! Atomic batches in the log: the entries of a batch lie one behind the other, each says how many
//! follow, and nothing happens before the last one has been read.
//!
//! *Invariant:* all messages of a batch are checked before the first of them is stored. A batch whose
//! last entry never came to the log was never acknowledged, and is dropped when anything else follows.

use alloc::vec::Vec;

use bytes::Bytes;
use protocol::headers::Headers;
use protocol::id::AccountId;
use protocol::store::Loc;

use super::{BATCH_ID, BATCH_SEQUENCE, number};
use crate::JetStream;
use crate::entry::Stored;
use crate::env::Env;
use crate::ingest::{Publisher, answer, no_responders, take_in};

/// The entries of a batch that have been read from the log, the last one not among them.
#[derive(Debug, Default)]
pub(crate) struct Parts(Vec<(Loc, Bytes)>);

/// What the ack of a batch names.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BatchAck<'a> {
    /// The batch's id.
    pub(crate) id: &'a str,
    /// How many messages it has.
    pub(crate) count: u64,
}

impl Parts {
    /// Drops a batch whose end will not come.
    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    /// Returns whether the end of a batch is outstanding.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds an entry, unless it begins another batch: then that one is all there is.
    fn push(&mut self, loc: Loc, entry: &Bytes, msg: &Stored<'_>) {
        let before = self.0.last().and_then(|(_, entry)| Stored::of(entry).ok());
        let continues =
            before.is_some_and(|b| b.stream == msg.stream && b.following() > msg.following());
        if !continues {
            self.0.clear();
        }
        self.0.push((loc, entry.clone()));
    }
}

impl<'a> BatchAck<'a> {
    /// Reads what the ack names from the headers of the batch's last message.
    pub(crate) fn of(headers: &'a [u8]) -> Option<Self> {
        let headers = Headers::new(headers);
        let id = core::str::from_utf8(headers.get(BATCH_ID)?).ok()?;
        let count = headers.get(BATCH_SEQUENCE).and_then(number)?;
        Some(Self { id, count })
    }
}

impl JetStream {
    /// Returns whether the entry applied last is part of a batch whose end is outstanding: a checkpoint
    /// must not count it as applied.
    #[must_use]
    pub fn is_inside_batch(&self) -> bool {
        !self.parts.is_empty()
    }

    /// Applies the entry of a message of a batch: the last one brings all of them in.
    pub(crate) fn apply_part(
        &mut self,
        loc: Loc,
        entry: &Bytes,
        publisher: Option<(AccountId, &[u8])>,
        env: &mut impl Env,
    ) {
        let Ok(last) = Stored::of(entry) else {
            return;
        };
        self.shared.clock.observe(last.time);
        self.parts.push(loc, entry, &last);
        if last.following() != Some(0) {
            return;
        }
        let parts = core::mem::take(&mut self.parts).0;
        let Some(stream) = self.streams.get_mut(&last.stream) else {
            return no_responders(publisher, env);
        };
        if !self.shared.live {
            let first = parts.first().and_then(|(_, entry)| Stored::of(entry).ok());
            stream.core.keep_up(first.and_then(|first| first.mark));
        }
        // Together, as they are stored: a message that is proposed in between comes after all of them.
        let count = u32::try_from(parts.len()).unwrap_or(u32::MAX);
        stream.core.landed(count);
        let checked = stream.core.check_batch(&parts);
        if let Err(error) = checked {
            if let Some((account, reply)) = publisher {
                let (core, shared) = (&stream.core, &mut self.shared);
                answer(core, account, reply, Err(&*error), None, shared, env);
            }
            return;
        }
        let batch = BatchAck::of(last.headers);
        let publisher = publisher.map(|(account, reply)| Publisher {
            account,
            reply,
            batch,
        });
        for (loc, entry) in &parts {
            let Ok(msg) = Stored::of(entry) else {
                continue;
            };
            let publisher = publisher.filter(|_| msg.following() == Some(0));
            take_in(stream, &msg, *loc, publisher, &mut self.shared, env);
        }
    }
}

//! Reading a stored message back.

use bytes::Bytes;
use protocol::id::Seq;
use protocol::store::{Loc, ReadError, ReadId, ReadOutcome};

use super::StreamCore;
use crate::entry::Stored;
use crate::env::Env;

/// What asking for a message gives.
#[derive(Clone, Debug)]
pub enum MsgRead {
    /// Its entry; [`Stored::of`] cannot fail on it.
    Hit(Bytes),
    /// The disk has been asked; the answer comes through `JetStream::read_done`.
    Pending(ReadId),
    /// There is no live message of this sequence.
    Gone,
    /// It is there but cannot be had.
    Failed(ReadError),
}

impl StreamCore {
    /// Asks for a message.
    pub fn read(&self, seq: Seq, env: &mut impl Env) -> MsgRead {
        match self.index.meta(seq) {
            Some(meta) => self.read_at(seq, meta.loc, env),
            None => MsgRead::Gone,
        }
    }

    /// Asks for a message that has left and is kept until it was copied elsewhere.
    pub(crate) fn read_parked(&self, seq: Seq, env: &mut impl Env) -> MsgRead {
        match self.index.parked_at(seq) {
            Some(loc) => self.read_at(seq, loc, env),
            None => MsgRead::Gone,
        }
    }

    fn read_at(&self, seq: Seq, loc: Loc, env: &mut impl Env) -> MsgRead {
        let outcome = match &self.memory {
            Some(entries) => match entries.get(&seq.0) {
                Some(entry) => ReadOutcome::Hit(entry.clone()),
                None => return MsgRead::Gone,
            },
            None => env.read(self.id, loc),
        };
        match outcome {
            ReadOutcome::Hit(entry) if Stored::of(&entry).is_ok() => MsgRead::Hit(entry),
            ReadOutcome::Hit(_) => MsgRead::Failed(ReadError::Damaged),
            ReadOutcome::Pending(read) => MsgRead::Pending(read),
            ReadOutcome::Failed(error) => MsgRead::Failed(error),
        }
    }
}

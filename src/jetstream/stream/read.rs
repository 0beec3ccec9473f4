//! Reading a stored message back.

use bytes::Bytes;
use protocol::id::Seq;
use protocol::store::{ReadError, ReadId, ReadOutcome};

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
        let Some(meta) = self.index.meta(seq) else {
            return MsgRead::Gone;
        };
        let outcome = match &self.memory {
            Some(entries) => match entries.get(&seq.0) {
                Some(entry) => ReadOutcome::Hit(entry.clone()),
                None => return MsgRead::Gone,
            },
            None => env.read(self.id, meta.loc),
        };
        match outcome {
            ReadOutcome::Hit(entry) if Stored::of(&entry).is_ok() => MsgRead::Hit(entry),
            ReadOutcome::Hit(_) => MsgRead::Failed(ReadError::Damaged),
            ReadOutcome::Pending(read) => MsgRead::Pending(read),
            ReadOutcome::Failed(error) => MsgRead::Failed(error),
        }
    }
}

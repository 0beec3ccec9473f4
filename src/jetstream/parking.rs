//! Messages that retention has let go and that are kept until they were copied elsewhere, for whoever copies
//! them.
//!
//! *Invariant:* a message is kept from the entry that lets it go until the entry that says that it was copied:
//! a crash in between has it copied twice, never not at all. Nobody else can read it.

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use bytes::Bytes;
use protocol::id::{AccountId, Seq, StreamId};
use protocol::store::ReadError;

use crate::JetStream;
use crate::entry::{Entry, Released, Stored};
use crate::env::Env;
use crate::shared::Reader;
use crate::stream::{MsgRead, Stream};

/// The accounts for whose streams somebody copies such messages, by name.
pub(crate) type Outlets = BTreeSet<Box<str>>;

/// Reads of such messages: under way, or ended and kept until the message goes for good.
#[derive(Debug, Default)]
pub(crate) struct Reads(BTreeMap<(StreamId, Seq), Read>);

#[derive(Clone, Debug)]
enum Read {
    Waiting,
    Done(Bytes),
    Failed(ReadError),
}

impl Reads {
    /// Forgets the reads of a stream that is gone.
    pub(crate) fn forget(&mut self, stream: StreamId) {
        if !self.0.is_empty() {
            self.0.retain(|(of, _), _| *of != stream);
        }
    }
}

/// What asking for such a message gives.
#[derive(Clone, Debug)]
pub enum ParkedRead {
    /// Its entry; [`Stored::of`] cannot fail on it.
    Hit(Bytes),
    /// The disk has been asked: to be asked again soon.
    Later,
    /// It cannot be had any more.
    Lost,
}

impl JetStream {
    /// Says for which accounts, by name and in order, somebody copies what retention lets go; of others it is
    /// not kept, whatever their streams ask for. It must follow from the log up to here: it decides what
    /// entries do.
    pub fn set_outlets<'a>(&mut self, accounts: impl Iterator<Item = &'a str> + Clone) {
        if accounts.clone().eq(self.outlets.iter().map(|name| &**name)) {
            return;
        }
        self.outlets = accounts.map(Box::from).collect();
        let served = self.streams.values_mut();
        for stream in served {
            let account = self.shared.accounts.get(stream.core.account());
            let has_outlet = account.is_some_and(|account| self.outlets.contains(&account.name));
            stream.core.set_outlet(has_outlet);
        }
    }

    pub(crate) fn has_outlet(&self, account: AccountId) -> bool {
        // Most servers have none.
        if self.outlets.is_empty() {
            return false;
        }
        let account = self.shared.accounts.get(account);
        account.is_some_and(|account| self.outlets.contains(&account.name))
    }

    /// Returns the streams of an account that keep messages which have left.
    pub fn parking(&self, account: AccountId) -> impl Iterator<Item = &Stream> {
        let streams = self.streams();
        streams.filter(move |s| s.core.account() == account && s.core.index.parked_count() > 0)
    }

    /// Asks for a message that has left.
    pub fn read_parked(&mut self, stream: StreamId, seq: Seq, env: &mut impl Env) -> ParkedRead {
        let key = (stream, seq);
        match self.parked_reads.0.get(&key) {
            Some(Read::Done(entry)) => return ParkedRead::Hit(entry.clone()),
            Some(Read::Waiting) => return ParkedRead::Later,
            Some(Read::Failed(error)) if !error.may_pass() => return ParkedRead::Lost,
            Some(Read::Failed(_)) | None => {}
        }
        let Some(stream) = self.streams.get(&stream) else {
            return ParkedRead::Lost;
        };
        match stream.core.read_parked(seq, env) {
            MsgRead::Hit(entry) => ParkedRead::Hit(entry),
            MsgRead::Pending(read) => {
                self.parked_reads.0.insert(key, Read::Waiting);
                let reader = Reader::Parked(stream.core.id(), seq);
                self.shared.reads.insert(read, reader);
                ParkedRead::Later
            }
            MsgRead::Failed(error) if error.may_pass() => ParkedRead::Later,
            MsgRead::Failed(_) | MsgRead::Gone => ParkedRead::Lost,
        }
    }

    pub(crate) fn on_parked_read(
        &mut self,
        stream: StreamId,
        seq: Seq,
        result: Result<Bytes, ReadError>,
    ) {
        if let Some(read) = self.parked_reads.0.get_mut(&(stream, seq)) {
            *read = match result {
                Ok(entry) if Stored::of(&entry).is_ok() => Read::Done(entry),
                Ok(_) => Read::Failed(ReadError::Damaged),
                Err(error) => Read::Failed(error),
            };
        }
    }

    /// Lets messages that have left go for good: they were copied, or never will be. Those of a stream on
    /// disk go when the log says so.
    pub fn release_parked(&mut self, stream: StreamId, seqs: &[Seq], env: &mut impl Env) {
        let Some(served) = self.streams.get(&stream) else {
            return;
        };
        let released = Released::new(stream, seqs);
        if served.core.is_memory() {
            return self.apply_released(&released);
        }
        if self.poisoned.is_some() {
            return;
        }
        let entry = Entry::Released(released);
        let pos = env.propose_lazily(|out| entry.encode(out));
        self.shared.replies.proposed(pos);
    }

    pub(crate) fn apply_released(&mut self, released: &Released) {
        let seqs: Vec<Seq> = released.seqs().collect();
        for seq in &seqs {
            self.parked_reads.0.remove(&(released.stream, *seq));
        }
        if let Some(stream) = self.streams.get_mut(&released.stream) {
            stream.unsaved = true;
            stream.core.release_parked(seqs.into_iter());
        }
    }

    /// Lets a message go that a consumer outside of the log has settled.
    pub(crate) fn apply_consumed(&mut self, id: StreamId, seq: Seq) {
        let Some(stream) = self.streams.get_mut(&id) else {
            return;
        };
        stream.unsaved = true;
        let Stream {
            core, consumers, ..
        } = stream;
        let shared = &mut self.shared;
        core.let_go(seq, &mut crate::Removals { consumers, shared });
        if self.shared.live {
            self.shared.mark_dirty(id);
        }
    }
}

//! Streams and consumers as deterministic state machines, applied from a log.
//!
//! *Invariant:* state that survives a restart changes only in `apply`, in log order; an answer that
//! depends on an entry leaves only after that entry has been applied, which is after it was synced.
//! Driven by the broker: requests in, committed entries in, and once per batch [`JetStream::pump`].

#![no_std]

extern crate alloc;

mod ahead;
mod api;
mod apply;
mod atomic;
mod backup;
mod broken;
mod checkpoint;
pub mod consumer;
mod counters;
mod decimal;
mod dedup;
pub mod entry;
pub mod env;
mod fast;
mod fire;
mod follow;
mod foresee;
mod holes;
mod index;
mod ingest;
mod mending;
mod parking;
mod prepare;
mod pump;
mod republish;
mod room;
mod schedule;
mod shared;
pub mod stream;
mod table;
#[cfg(test)]
pub mod testing;
#[cfg(test)]
mod tests;
mod timeout;

use protocol::id::{AccountId, StreamId};
use protocol::js::errors::ApiError;
use protocol::js::info::AccountLimits;

pub use ahead::AHEAD;
pub use backup::BackupId;
pub use backup::archive;
pub use checkpoint::{RestoreError, SECTIONS_VERSION};
use env::Env;
pub use foresee::Foresight;
pub use mending::{Row, StreamLosses};
pub use parking::ParkedRead;
use shared::Shared;
pub use shared::{BatchLimits, Options, TimerKind};
use stream::{Removal, Stream};
use table::Streams;

/// All streams and consumers of a shard.
///
/// Requests ([`JetStream::api`], [`JetStream::publish`], [`JetStream::ack`]) propose entries to the log
/// of the [`Env`] they are given; [`JetStream::apply`] takes them when they are committed, changes the
/// state and answers.
#[derive(Debug)]
pub struct JetStream {
    shared: Shared,
    streams: Streams,
    /// Set when the store can take no more entries: what everyone who asks for one is told.
    poisoned: Option<ApiError>,
    /// What the store holds could not be read to its end: nothing is served.
    closed: bool,
    /// Batches whose messages are still coming: never logged, gone after a restart.
    open: atomic::OpenBatches,
    /// The streams that copy from others.
    followers: follow::Followers,
    /// The entries of a committed batch, as far as they have been read from the log.
    parts: atomic::Parts,
    /// Totals of counters that are under way: never logged, gone after a restart.
    counters: counters::Counters,
    /// Streams that have been deleted since the last checkpoint was taken.
    gone: alloc::vec::Vec<StreamId>,
    /// Streams that are being written out or taken in: never logged, gone after a restart.
    backups: backup::Backups,
    /// Messages of fast batches that wait for what is under way: never logged, gone after a restart.
    fast_held: fast::Held,
    /// Reads of messages that have left: never logged, gone after a restart.
    parked_reads: parking::Reads,
    /// For whom such messages are copied.
    outlets: parking::Outlets,
    /// What damage of the log has left open.
    holes: holes::Holes,
    /// Streams of which too much is lost.
    broken: broken::Broken,
    /// In a repair: streams that stand in for others, of which neither name nor configuration is known.
    stand_ins: alloc::collections::BTreeSet<StreamId>,
    /// Entries of the log that could not be read; they are skipped, and health tells.
    unreadable: u64,
}

impl JetStream {
    /// Returns a machine without accounts and streams.
    #[must_use]
    pub fn new(options: Options) -> Self {
        Self {
            shared: Shared::new(options),
            streams: Streams::default(),
            poisoned: None,
            closed: false,
            open: atomic::OpenBatches::default(),
            followers: follow::Followers::default(),
            parts: atomic::Parts::default(),
            counters: counters::Counters::default(),
            gone: alloc::vec::Vec::new(),
            backups: backup::Backups::default(),
            fast_held: fast::Held::default(),
            parked_reads: parking::Reads::default(),
            outlets: parking::Outlets::new(),
            holes: holes::Holes::default(),
            broken: broken::Broken::default(),
            stand_ins: alloc::collections::BTreeSet::new(),
            unreadable: 0,
        }
    }

    /// Changes the limits over all accounts. What is there already stays.
    pub fn change_options(&mut self, options: Options) {
        self.shared.options = options;
    }

    /// Names an account, or changes its limits; without limits JetStream is off for it. Comes before
    /// recovery for every account of the configuration.
    pub fn configure_account(&mut self, id: AccountId, name: &str, limits: Option<AccountLimits>) {
        self.shared.room.forget();
        let Some(before) = self.shared.accounts.configure(id, name, limits) else {
            return;
        };
        let served = self.streams.values_mut();
        for stream in served.chain(self.broken.known_mut()) {
            if stream.core.account() == before {
                stream.core.set_account(id);
            }
        }
    }

    /// Makes the streams of all accounts that may use JetStream listen, and no others: after accounts
    /// were configured again.
    pub fn accounts_changed(&mut self, env: &mut impl Env) {
        let served = self.streams.values_mut();
        let all = served.chain(self.broken.known_mut());
        for stream in all.filter(|stream| !stream.is_hidden) {
            let account = self.shared.accounts.get(stream.core.account());
            if account.is_some_and(|account| account.limits.is_some()) {
                stream.bind(env);
            } else {
                stream.unbind(env);
            }
        }
    }

    /// Recovery is over: subscriptions are made, timers set, and deliveries begin.
    pub fn recovered(&mut self, env: &mut impl Env) {
        self.shared.live = true;
        // What the last run did not get to log whole was never acknowledged.
        self.parts.clear();
        self.drop_hidden(env);
        self.find_followers();
        self.accounts_changed(env);
        for stream in self.streams.values_mut().filter(|s| !s.is_hidden) {
            let Stream {
                core, consumers, ..
            } = stream;
            consumers.on_recovered(core, &mut self.shared, env);
            self.shared.mark_dirty(core.id());
        }
        let ids: alloc::vec::Vec<_> = self.streams().map(|stream| stream.core.id()).collect();
        for id in ids {
            self.arm_expiry(id, env);
            self.arm_schedules(id, env);
        }
    }

    /// The server is about to stop: who waits for messages is told, so that clients ask elsewhere at
    /// once, or again when the server is back.
    pub fn shut_down(&mut self, env: &mut impl Env) {
        for stream in self.streams.values_mut() {
            stream.consumers.shut_down(env);
        }
    }

    /// Returns all streams in the order of their ids.
    pub fn streams(&self) -> impl Iterator<Item = &Stream> {
        let streams = self.streams.values();
        streams.filter(|stream| !stream.is_hidden)
    }

    /// Returns the stream called `name`.
    #[must_use]
    pub fn stream(&self, account: AccountId, name: &str) -> Option<&Stream> {
        let id = self.shared.accounts.stream(account, name)?;
        self.streams.get(&id)
    }

    /// Returns the stream of an id.
    #[must_use]
    pub fn stream_by_id(&self, id: StreamId) -> Option<&Stream> {
        self.streams.get(&id)
    }

    /// Returns what streams and consumers share: accounts, answers under way, API counts.
    #[must_use]
    pub fn shared(&self) -> &Shared {
        &self.shared
    }

    /// Returns how many entries of the log could not be read.
    #[must_use]
    pub fn unreadable(&self) -> u64 {
        self.unreadable
    }
}

/// Tells the consumers of one stream about messages that go.
struct Removals<'a> {
    consumers: &'a mut consumer::Consumers,
    shared: &'a mut Shared,
}

impl Removal for Removals<'_> {
    fn on_removed(&mut self, seq: protocol::id::Seq, subject: &[u8]) {
        self.consumers.on_removed(seq, subject, self.shared);
    }

    fn on_replaced(&mut self, seq: protocol::id::Seq, subject: &[u8]) {
        self.consumers.on_replaced(seq, subject, self.shared);
    }

    fn on_rolled_up(&mut self, cleared: stream::Cleared) {
        self.consumers.on_rolled_up(cleared, self.shared);
    }
}

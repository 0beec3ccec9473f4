//! One stream: its configuration, the index of its messages, and (for memory streams) the messages.
//!
//! *Invariant:* [`StreamCore`] knows nothing of consumers; [`Stream`] holds both side by side, so that
//! a consumer's code can borrow the core. Everything but `proposed`, `in_flight`,
//! `memory`, `aging_from` and `lost` is a function of the applied log and its holes.

mod batch;
mod checkpoint;
mod copy;
mod expiry;
mod headers;
mod lifetimes;
mod limits;
mod publish;
mod read;
mod remove;
mod restored;
mod rules;
mod schedules;
mod state;

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;
use alloc::vec::Vec;
use core::hint::black_box;

use bytes::Bytes;
use foldhash::fast::FixedState;
use hashbrown::HashMap;
use protocol::id::{AccountId, LogPos, Seq, StreamId};
use protocol::js::config::StreamConfig;
use protocol::subject;
use protocol::time::Wall;

use crate::consumer::Consumers;
use crate::dedup::{Dedup, MsgIdHash};
use crate::entry::{Mark, SourceKey};
use crate::env::{Env, JsTarget};
use crate::index::{Filter, Index, Overhead};

pub(crate) use expiry::Round;
pub use headers::PublishHeaders;
use lifetimes::Lifetimes;
pub(crate) use lifetimes::Ttl;
pub use publish::{Applied, Interest, Refusal};
pub use read::MsgRead;
pub use remove::{Cleared, Purged, Removal};
pub(crate) use rules::Rules;
use schedules::Schedules;

/// The length of a stream's identity, as in nats-server.
const IDENTITY_LEN: usize = 8;

/// What nats-server's file store counts per message: `state.bytes` is visible to clients.
const OVERHEAD_FILE: Overhead = Overhead {
    fixed: 30,
    headers: 4,
};

/// What nats-server's memory store counts per message.
const OVERHEAD_MEMORY: Overhead = Overhead {
    fixed: 16,
    headers: 0,
};

/// How many messages that cannot be read a stream remembers.
const LOST_NOTED_MAX: usize = 10_000;

/// A stream and its consumers. It begins where a line of memory does, so that what is read of it for every
/// message takes no more of them than it has to.
#[derive(Debug)]
#[repr(C, align(64))]
pub struct Stream {
    /// Whether it is only being restored: nobody can see it yet.
    pub(crate) is_hidden: bool,
    /// Whether messages on its subjects come here now.
    bound: bool,
    /// What checkpoints do not hold yet.
    pub(crate) unsaved: bool,
    /// The messages.
    pub core: StreamCore,
    /// Who reads them.
    pub consumers: Consumers,
}

impl Stream {
    /// Returns a stream that does not listen yet.
    #[must_use]
    pub fn new(core: StreamCore, consumers: Consumers) -> Self {
        Self {
            core,
            consumers,
            is_hidden: false,
            bound: false,
            unsaved: true,
        }
    }

    /// Looks at what is read of the stream before a message is proposed for it.
    pub(crate) fn look_as_taker(&self) {
        let core = &self.core;
        black_box((core.id, core.account, core.index.last_seq()));
    }

    /// Looks at what a message of the stream will read first.
    pub(crate) fn look(&self) {
        let Self {
            core, consumers, ..
        } = self;
        // The first look is for where the rest lies; then one at each of its lines.
        black_box((
            core.in_flight,
            core.rules.max_msg_size,
            core.last_msg_id.len(),
        ));
        black_box((core.lifetimes.is_empty(), consumers.count()));
        core.index.look();
    }

    /// Looks at what that leads to.
    pub(crate) fn look_beyond(&self) {
        black_box(self.core.name().as_bytes().first().copied());
        self.core.index.look_at_end();
    }

    /// Subscribes the stream to its subjects.
    pub(crate) fn bind(&mut self, env: &mut impl Env) {
        if core::mem::replace(&mut self.bound, true) {
            return;
        }
        let (account, target) = (self.core.account, JsTarget::Stream(self.core.id));
        for subject in &self.core.config.subjects {
            env.bind(account, subject.as_bytes(), target);
        }
    }

    /// Ends what [`Stream::bind`] began.
    pub(crate) fn unbind(&mut self, env: &mut impl Env) {
        if !core::mem::replace(&mut self.bound, false) {
            return;
        }
        let (account, target) = (self.core.account, JsTarget::Stream(self.core.id));
        for subject in &self.core.config.subjects {
            env.unbind(account, subject.as_bytes(), target);
        }
    }
}

/// A stream without its consumers. What every message reads comes first and lies together: of ten thousand
/// streams none is at hand, and each line of memory that a message touches is waited for.
#[derive(Debug)]
#[repr(C)]
pub struct StreamCore {
    id: StreamId,
    /// What of the configuration every message asks, or has to be made ready before it can be used.
    rules: Rules,
    /// Where the last message that was proposed for this stream lies.
    proposed: Option<LogPos>,
    /// Where the last one lies that may be refused when it is applied.
    unsure: Option<LogPos>,
    /// How many of them have not been applied.
    in_flight: u32,
    account: AccountId,
    /// The id of the last message that had one.
    last_msg_id: Vec<u8>,
    lifetimes: Lifetimes,
    /// Where the messages are.
    pub index: Index,
    config: StreamConfig,
    /// Whether somebody copies what the account's streams let go.
    has_outlet: bool,
    created: Wall,
    /// All subjects that the stream ever listened to: messages may lie on any of them.
    subjects_ever: Vec<Box<[u8]>>,
    /// Whether the stream has a first sequence though it never had a message.
    has_first: bool,
    schedules: Schedules,
    /// No message below this can reach the age limit; those that are there live for ever.
    aging_from: Seq,
    dedup: Dedup,
    /// How far each source has come.
    copied: BTreeMap<SourceKey, Seq>,
    /// The entries of a memory stream by sequence; nothing for a stream on disk.
    memory: Option<HashMap<u64, Bytes, FixedState>>,
    /// Where the last entry by consumers is that may take messages out.
    consumed: Option<LogPos>,
    /// Messages that are there but could not be read: what damage took.
    lost: BTreeSet<Seq>,
    /// Sequences that were given out, or may have been, to messages that are gone: what damage of the log
    /// took. The first and the last of each row.
    missing: Vec<(Seq, Seq)>,
}

impl StreamCore {
    /// Returns a stream without messages.
    #[must_use]
    pub fn new(id: StreamId, account: AccountId, config: StreamConfig, created: Wall) -> Self {
        let rules = Rules::new(&config);
        let is_memory = rules.is_memory;
        let overhead = if is_memory {
            OVERHEAD_MEMORY
        } else {
            OVERHEAD_FILE
        };
        let mut core = Self {
            id,
            account,
            created,
            subjects_ever: Vec::new(),
            has_first: config.first_seq > 0,
            index: Index::new(Seq(config.first_seq), overhead),
            lifetimes: Lifetimes::default(),
            schedules: Schedules::default(),
            aging_from: Seq(0),
            dedup: Dedup::new(window_ns(&config)),
            copied: BTreeMap::new(),
            last_msg_id: Vec::new(),
            memory: is_memory.then(HashMap::default),
            proposed: None,
            consumed: None,
            in_flight: 0,
            unsure: None,
            lost: BTreeSet::new(),
            missing: Vec::new(),
            rules,
            has_outlet: false,
            config,
        };
        core.note_subjects();
        core
    }

    /// Returns the stream's id.
    #[must_use]
    pub fn id(&self) -> StreamId {
        self.id
    }

    /// Returns the stream's account.
    #[must_use]
    pub fn account(&self) -> AccountId {
        self.account
    }

    /// Moves the stream to the id that its account has got.
    pub(crate) fn set_account(&mut self, account: AccountId) {
        self.account = account;
    }

    /// Notes whether somebody copies what the account's streams let go.
    pub(crate) fn set_outlet(&mut self, has_outlet: bool) {
        self.has_outlet = has_outlet;
    }

    /// Says whether messages that retention lets go are kept until they were copied elsewhere.
    pub(crate) fn is_parking(&self) -> bool {
        self.has_outlet && self.rules.is_tiered()
    }

    /// Returns the stream's name.
    #[must_use]
    pub fn name(&self) -> &str {
        self.rules.name()
    }

    /// Returns the stream's configuration.
    #[must_use]
    pub fn config(&self) -> &StreamConfig {
        &self.config
    }

    /// Returns the parts of the configuration that were made ready.
    pub(crate) fn rules(&self) -> &Rules {
        &self.rules
    }

    /// Returns when the stream was made.
    #[must_use]
    pub fn created(&self) -> Wall {
        self.created
    }

    /// Returns a text that no other stream has had: one of the same name was made at another time.
    pub(crate) fn identity(&self) -> [u8; IDENTITY_LEN] {
        let created = alloc::format!("{} {}", self.name(), self.created.0);
        let seed = MsgIdHash::of(created.as_bytes()).to_bits();
        let mut text = [0; IDENTITY_LEN];
        protocol::rng::Rng::new(seed, 0).fill_base62(&mut text);
        text
    }

    /// Returns the filter of a pattern: [`Filter::All`] if no message of the stream can lie outside.
    #[must_use]
    pub(crate) fn filter(&self, pattern: &[u8]) -> Filter {
        let all = !self.subjects_ever.is_empty()
            && self
                .subjects_ever
                .iter()
                .all(|s| subject::is_subset(s, pattern));
        if all {
            Filter::All
        } else {
            Filter::new(pattern)
        }
    }

    /// Returns whether the stream keeps its messages in memory only.
    #[must_use]
    pub fn is_memory(&self) -> bool {
        self.rules.is_memory
    }

    /// Returns where the last entry that was proposed for this stream lies.
    #[must_use]
    pub(crate) fn proposed(&self) -> Option<LogPos> {
        self.proposed
    }

    /// Returns where the last entry lies by which consumers may take messages out of this stream.
    #[must_use]
    pub fn consumed(&self) -> Option<LogPos> {
        self.consumed
    }

    /// Notes where the last entry lies by which consumers may take messages out of this stream.
    pub(crate) fn set_consumed(&mut self, pos: Option<LogPos>) {
        self.consumed = pos;
    }

    /// Notes that a message was proposed for this stream.
    pub(crate) fn set_proposed(&mut self, pos: LogPos) {
        self.proposed = Some(pos);
        self.unsure = Some(pos);
        self.in_flight += 1;
    }

    /// Notes that a message was proposed that will have the next sequence, whatever else happens.
    pub(crate) fn set_proposed_surely(&mut self, pos: LogPos) {
        self.proposed = Some(pos);
        self.in_flight += 1;
    }

    /// Returns where the last message lies whose sequence is not known before it is applied.
    pub(crate) fn unsure(&self) -> Option<LogPos> {
        self.unsure
    }

    /// Returns the sequence of the next message, if all that are under way are stored.
    pub(crate) fn seq_ahead(&self) -> Seq {
        Seq(self.index.last_seq().0 + u64::from(self.in_flight) + 1)
    }

    /// Notes that so many proposed messages have been applied.
    pub(crate) fn landed(&mut self, messages: u32) {
        self.in_flight = self.in_flight.saturating_sub(messages);
    }

    /// Returns the id and how far the stream is, for the next message that is proposed.
    pub(crate) fn mark(&self) -> (StreamId, Mark) {
        let mark = Mark {
            last: self.index.last_seq(),
            ahead: self.in_flight,
        };
        (self.id, mark)
    }

    /// Returns the pages of message ids that checkpoints hold.
    pub(crate) fn message_id_pages(&self) -> impl Iterator<Item = u64> + use<> {
        self.dedup.pages()
    }

    /// Returns the pages of message ids that have changed since the last call.
    pub(crate) fn take_changed_message_ids(&mut self) -> impl Iterator<Item = u64> + use<> {
        self.dedup.take_changed()
    }

    /// Has a page of message ids written again by the next checkpoint.
    pub(crate) fn touch_message_ids(&mut self, page: u64) {
        self.dedup.touch(page);
    }

    /// Returns whether the stream has a first sequence though it never had a message.
    pub(crate) fn has_first(&self) -> bool {
        self.has_first
    }

    /// Takes that over from a checkpoint.
    pub(crate) fn set_has_first(&mut self, has_first: bool) {
        self.has_first = has_first;
    }

    /// Takes over a changed configuration; removes what it leaves no room for.
    pub fn update(&mut self, config: StreamConfig, removal: &mut impl Removal) {
        self.rules = Rules::new(&config);
        self.config = config;
        self.dedup.set_window(window_ns(&self.config));
        self.note_subjects();
        self.enforce_limits(removal);
    }

    /// Notes that a live message cannot be read; stream info tells.
    pub fn note_lost(&mut self, seq: Seq) {
        if self.lost.len() < LOST_NOTED_MAX {
            self.lost.insert(seq);
        }
    }

    /// Notes sequences whose messages are lost, as far as they were given out.
    pub(crate) fn note_missing(&mut self, first: Seq, last: Seq) {
        let last = last.min(self.index.last_seq());
        if first <= last {
            self.missing.push((first, last));
            self.missing.sort_unstable();
        }
    }

    /// Gives up live messages that cannot be had, in these rows; what was missing before stays so.
    pub(crate) fn give_up(&mut self, lost: &[Seq], rows: &[(Seq, Seq)]) {
        let missing = core::mem::take(&mut self.missing);
        for &seq in lost {
            self.remove_consumed(seq);
            self.release_parked(core::iter::once(seq));
        }
        self.missing = missing;
        for &(first, last) in rows {
            self.note_missing(first, last);
        }
    }

    /// Returns the sequences whose messages are gone, as rows.
    pub(crate) fn missing_rows(&self) -> &[(Seq, Seq)] {
        &self.missing
    }

    /// Before a message of the log is applied that was proposed when the stream had come as far as `mark`: where
    /// damage has taken what messages before it depended on, those were refused, and their numbers stay theirs.
    pub(crate) fn keep_up(&mut self, mark: Option<Mark>) {
        if let Some(mark) = mark {
            self.skip_lost(mark.last);
        }
    }

    /// Gives up the sequences up to `last`: their messages are lost.
    pub(crate) fn skip_lost(&mut self, last: Seq) {
        let first = self.index.last_seq().next();
        if last < first {
            return;
        }
        match self.missing.last_mut() {
            Some(row) if row.1.next() == first => row.1 = last,
            _ => self.missing.push((first, last)),
        }
        self.index.skip_to(last.next());
    }

    fn note_subjects(&mut self) {
        // What a transform makes of a subject may lie anywhere, and so may what others have.
        let copies = self.config.mirror.is_some() || !self.config.sources.is_empty();
        let anywhere = (copies || self.rules.transform().is_some()).then_some(">");
        let subjects = self.config.subjects.iter().map(String::as_str);
        for subject in subjects.chain(anywhere) {
            let bytes = subject.as_bytes();
            if !self.subjects_ever.iter().any(|s| **s == *bytes) {
                self.subjects_ever.push(Box::from(bytes));
            }
        }
    }
}

/// Mirrors never look for duplicates: their origin has done so.
fn window_ns(config: &StreamConfig) -> u64 {
    if config.mirror.is_some() {
        return 0;
    }
    u64::try_from(config.duplicate_window.0).unwrap_or(0)
}

//! Streams that are closed: a checkpoint has lost their configuration, their state or their consumers.
//!
//! *Invariants:* the other streams go on. Nothing of a closed stream is applied or forgotten: its sections
//! stay as they are, the messages that lie in the log move to its segments like those of others, and where
//! to is noted for a repair; its name is not free. Whoever asks for it is told; it can only be deleted.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use bytes::Bytes;
use protocol::id::{AccountId, LogPos, Seq, StreamId};
use protocol::js::config::StreamConfig;
use protocol::js::errors::{self, ApiError};
use protocol::js::pub_ack::encode_refusal;
use protocol::store::Loc;
use protocol::time::Wall;

use crate::JetStream;
use crate::checkpoint::Part;
use crate::entry::{DecodeError, Reader, put_varint};
use crate::env::{Env, Inbound};
use crate::index::{in_log, parked_in_log};
use crate::shared::{send, send_status};
use crate::stream::{Stream, StreamCore};

/// What is told of them.
const REASON: &str = "JetStream stream is closed: a part of its checkpoint is damaged";
/// The answer to a publish whose stream is gone.
const NO_RESPONDERS: &[u8] = b"NATS/1.0 503\r\n\r\n";

/// Numbers from here on tell messages apart that have not been applied; they are no sequences.
const UNNUMBERED: u64 = 1 << 62;

/// The streams that are closed.
#[derive(Debug, Default)]
pub(crate) struct Broken {
    closed: BTreeMap<StreamId, Closed>,
    /// Those that a repair opens again.
    reopening: BTreeMap<StreamId, Closed>,
}

#[derive(Debug, Default)]
struct Closed {
    /// The stream, without anything but its configuration; none if that is lost.
    stream: Option<Box<Stream>>,
    /// Whether this start has found it out.
    is_new: bool,
    /// The last sequence that was given out, as far as what has not been applied tells.
    last: Seq,
    /// Where messages lie that have been moved since.
    moved: BTreeMap<Seq, Loc>,
}

impl Broken {
    #[inline]
    pub(crate) fn is_any(&self) -> bool {
        !self.closed.is_empty()
    }

    pub(crate) fn has(&self, id: StreamId) -> bool {
        self.closed.contains_key(&id)
    }

    /// Returns the streams of which the configuration is known.
    pub(crate) fn known_mut(&mut self) -> impl Iterator<Item = &mut Stream> {
        let streams = self.closed.values_mut();
        streams.filter_map(|closed| closed.stream.as_deref_mut())
    }

    /// Takes a stream that is being deleted; none of it if that is all that was known.
    pub(crate) fn take(&mut self, id: StreamId) -> Option<Option<Box<Stream>>> {
        self.closed.remove(&id).map(|closed| closed.stream)
    }

    pub(crate) fn take_all(&mut self) -> impl Iterator<Item = Box<Stream>> + use<> {
        let all = core::mem::take(&mut self.closed).into_values();
        all.filter_map(|closed| closed.stream)
    }

    /// Notes that messages have moved.
    pub(crate) fn relocated(&mut self, id: StreamId, moved: &[(Seq, Loc)]) {
        if let Some(closed) = self.closed.get_mut(&id) {
            let moved = moved.iter().filter(|(seq, _)| seq.0 < UNNUMBERED);
            closed.moved.extend(moved.copied());
        }
    }

    /// Lets a repair open them again.
    pub(crate) fn reopen(&mut self) {
        self.reopening = core::mem::take(&mut self.closed);
    }

    pub(crate) fn snapshot(&self, out: &mut Vec<u8>) {
        let count = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
        put_varint(out, count(self.closed.len()));
        for (id, closed) in &self.closed {
            put_varint(out, id.0);
            put_varint(out, closed.last.0);
            put_varint(out, count(closed.moved.len()));
            for (seq, loc) in &closed.moved {
                put_varint(out, seq.0);
                put_varint(out, loc.to_bits());
            }
        }
    }

    pub(crate) fn restore(&mut self, from: &mut Reader) -> Result<(), DecodeError> {
        for _ in 0..from.varint()? {
            let id = StreamId(from.varint()?);
            let mut closed = Closed {
                last: Seq(from.varint()?),
                ..Closed::default()
            };
            for _ in 0..from.varint()? {
                let seq = Seq(from.varint()?);
                closed.moved.insert(seq, Loc::from_bits(from.varint()?));
            }
            self.closed.insert(id, closed);
        }
        Ok(())
    }
}

impl JetStream {
    /// Returns the streams that are closed, with their accounts and names as far as those are known.
    pub fn closed_streams(&self) -> impl Iterator<Item = (StreamId, Option<(AccountId, &str)>)> {
        self.broken.closed.iter().map(|(id, closed)| {
            let core = closed.stream.as_ref().map(|stream| &stream.core);
            (*id, core.map(|core| (core.account(), core.name())))
        })
    }

    /// Closes a stream of which a section is lost.
    pub(crate) fn close_stream(&mut self, id: StreamId) {
        self.shared.next_stream = self.shared.next_stream.max(id.0 + 1);
        let stream = self.streams.remove(&id);
        let mut found = Vec::new();
        if let Some(stream) = &stream {
            let index = &stream.core.index;
            index.unflushed(LogPos(u64::MAX), usize::MAX, &mut found);
        }
        self.keep_for_segments(id, found);
        let closed = self.broken.closed.entry(id).or_insert_with(|| Closed {
            is_new: true,
            ..Closed::default()
        });
        closed.stream = closed.stream.take().or(stream);
    }

    fn keep_for_segments(&mut self, id: StreamId, found: Vec<(Seq, Loc)>) {
        if found.is_empty() {
            return;
        }
        let orphan = self.holes.orphans.entry(id).or_default();
        orphan.in_log.extend(found);
    }

    /// Keeps an entry of a closed stream, which is not applied.
    pub(crate) fn keep_unapplied(
        &mut self,
        id: StreamId,
        loc: Loc,
        entry: &Bytes,
        given_out: Option<Seq>,
    ) {
        if let (Some(closed), Some(seq)) = (self.broken.closed.get_mut(&id), given_out) {
            closed.last = closed.last.max(seq);
        }
        let orphan = self.holes.orphans.entry(id).or_default();
        orphan.messages = orphan.messages.max(UNNUMBERED);
        self.keep_orphan(id, loc, entry);
    }

    /// Gives closed streams back what has been kept of them, when all sections have been restored for a
    /// repair; says what is lost of each. Comes before any entry is applied.
    pub fn reopen_closed(&mut self) -> Vec<String> {
        let mut told = Vec::new();
        for (id, closed) in core::mem::take(&mut self.broken.reopening) {
            self.holes.orphans.remove(&id);
            self.stand_in(id);
            let Some(stream) = self.streams.get_mut(&id) else {
                continue;
            };
            let moved: Vec<_> = closed.moved.into_iter().collect();
            stream.core.index.relocated(&moved);
            stream.core.skip_lost(closed.last);
            stream.unsaved = true;
            told.push(format!(
                "stream {}: it was closed since a part of a checkpoint is lost; what was published last, \
                 and acknowledged by its consumers last, is lost",
                stream.core.name()
            ));
        }
        self.tell_stand_ins(&mut told);
        told
    }

    /// Opens a stream again of which this start has found that its configuration is lost, and
    /// nothing else: its state holds it, too. False if that does not.
    pub(crate) fn regain(&mut self, id: StreamId, state: &Bytes) -> bool {
        let closed = self.broken.closed.get(&id);
        if !closed.is_some_and(|closed| closed.is_new && closed.stream.is_none()) {
            return false;
        }
        let Some(config) = config_in(id, state) else {
            return false;
        };
        self.broken.closed.remove(&id);
        self.regain_config(id, config)
    }

    /// Makes a stream of the configuration that its state holds.
    pub(crate) fn regain_config(&mut self, id: StreamId, config: Bytes) -> bool {
        let restored = self.restore_config(id, &mut Reader::new(config));
        if let Some(stream) = self.streams.get_mut(&id) {
            // The next checkpoint writes it where it belongs.
            stream.unsaved = true;
        }
        restored.is_ok()
    }

    /// Takes from a section of a closed stream what it is known by, and which messages are to be moved.
    pub(crate) fn restore_closed(
        &mut self,
        id: StreamId,
        part: Part,
        body: &Bytes,
    ) -> Result<(), DecodeError> {
        let Some(closed) = self.broken.closed.get(&id) else {
            return Ok(());
        };
        match part {
            Part::Config if closed.stream.is_none() => {
                self.restore_config(id, &mut Reader::new(body.clone()))?;
                self.close_stream(id);
            }
            // What was found before has been moved since, or is still known.
            Part::Messages(page) if closed.is_new => {
                let found = in_log(page, &mut Reader::new(body.clone()))?;
                self.keep_for_segments(id, found);
            }
            Part::Parked if closed.is_new => {
                let found = parked_in_log(&mut Reader::new(body.clone()))?;
                self.keep_for_segments(id, found);
            }
            Part::Config
            | Part::State
            | Part::Ids(_)
            | Part::Messages(_)
            | Part::Consumers
            | Part::Parked => {}
        }
        Ok(())
    }

    /// Returns why a stream of this name cannot be served though it may be there. A stream whose
    /// configuration is lost may have any name that no other has.
    pub(crate) fn is_closed(&self, account: AccountId, name: &str) -> Option<ApiError> {
        if self.broken.closed.is_empty() || name.is_empty() {
            return None;
        }
        let is_closed = match self.shared.accounts.stream(account, name) {
            Some(id) => self.broken.has(id),
            None => self
                .broken
                .closed
                .values()
                .any(|closed| closed.stream.is_none()),
        };
        is_closed.then(|| errors::CLUSTER_NOT_AVAIL.with(REASON))
    }

    /// Returns the closed stream of this name.
    pub(crate) fn closed_by_name(&self, account: AccountId, name: &str) -> Option<StreamId> {
        let id = self.shared.accounts.stream(account, name);
        id.filter(|id| self.broken.has(*id))
    }

    /// Answers a message for a stream that is not served.
    #[cold]
    pub(crate) fn refuse_publish(
        &mut self,
        account: AccountId,
        id: StreamId,
        msg: &Inbound<'_>,
        env: &mut impl Env,
    ) {
        let closed = self.broken.closed.get(&id);
        let Some(stream) = closed.and_then(|closed| closed.stream.as_ref()) else {
            return send_status(account, msg.reply, NO_RESPONDERS, env);
        };
        let error = errors::CLUSTER_NOT_AVAIL.with(REASON);
        let (name, options) = (stream.core.name(), &self.shared.options);
        self.shared.scratch.clear();
        encode_refusal(name, &options.domain, &error, &mut self.shared.scratch);
        send(account, msg.reply, &self.shared.scratch, env);
    }
}

/// Returns the configuration that a stream's state holds.
pub(crate) fn config_in(id: StreamId, state: &Bytes) -> Option<Bytes> {
    let mut from = Reader::new(state.clone());
    // Its account does not matter here.
    let mut core = StreamCore::new(id, AccountId(0), StreamConfig::default(), Wall(0));
    core.restore_state(&mut from).ok()?;
    from.bytes().ok()
}

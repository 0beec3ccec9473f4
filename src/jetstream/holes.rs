//! Behind a hole in the log: which sequence each message that is left was acknowledged under.
//!
//! A stream numbers its messages as they are applied, so where entries are missing the count does not
//! tell. Each message says how far its stream was when it was proposed ([`Mark`]): behind a hole
//! entries wait until a later one tells the last sequence that was given out up to them.
//! *Invariants:* no message is given a sequence that it might not have had, none is given twice;
//! what cannot be numbered, and what is missing, is told as lost. Only recovery comes here: it is the same
//! for a stream of which a checkpoint has lost a page, since what a message depended on may lie there.

use alloc::collections::{BTreeMap, VecDeque};
use alloc::vec::Vec;

use bytes::Bytes;
use protocol::id::{LogPos, Seq, StreamId};
use protocol::store::{Loc, Place};

use crate::JetStream;
use crate::entry::{DecodeError, Entry, Mark, Reader, Role, Stored, is_publish, put_varint};
use crate::env::Env;
use crate::stream::StreamCore;

/// Of a message of an earlier version, which did not say how far its stream was: as if it were under way
/// for ever.
const UNKNOWN: Mark = Mark {
    last: Seq(0),
    ahead: u32::MAX,
};

/// What the damage so far has left open.
#[derive(Debug, Default)]
pub(crate) struct Holes {
    /// The streams that were there at the hole.
    behind: BTreeMap<StreamId, Behind>,
    /// Streams from this id on may have been made in the hole.
    known_below: Option<u64>,
    /// Streams whose making is missing: their messages are kept where they are.
    pub(crate) orphans: BTreeMap<StreamId, Orphan>,
}

/// Messages of a stream that nothing is known of.
#[derive(Debug, Default)]
pub(crate) struct Orphan {
    /// How many there are.
    pub(crate) messages: u64,
    /// Those that are in the log; the others are in the stream's segments. The numbers only tell them
    /// apart.
    pub(crate) in_log: BTreeMap<Seq, Loc>,
}

/// The entries of a stream that wait for a sequence.
#[derive(Debug, Default)]
struct Behind {
    /// The stream's last sequence before the first of them; none if entries are missing in between.
    base: Option<Seq>,
    waiting: VecDeque<Waiting>,
    messages: usize,
}

#[derive(Debug)]
struct Waiting {
    pos: LogPos,
    loc: Loc,
    entry: Bytes,
    kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// A message that was stored whatever was there before it.
    Certain(Mark),
    /// A message that may have been refused.
    Perhaps(Mark),
    /// Another entry.
    Change,
}

impl Kind {
    fn mark(self) -> Option<Mark> {
        match self {
            Self::Certain(mark) | Self::Perhaps(mark) => Some(mark),
            Self::Change => None,
        }
    }
}

impl JetStream {
    /// Between the entries applied so far and those that follow, some may be missing.
    pub fn hole(&mut self, env: &mut impl Env) {
        self.parts.clear();
        self.settle_all(Seq(0), env);
        let next = self.shared.next_stream;
        self.holes.known_below.get_or_insert(next);
        let streams = self.streams.values().filter(|s| !s.core.is_memory());
        let behind = streams.map(|stream| (stream.core.id(), Behind::default()));
        self.holes.behind = behind.collect();
    }

    /// A page of a stream is lost that the entries to come may depend on: some that were stored may be
    /// refused now, and others taken that were not.
    pub(crate) fn doubt(&mut self, id: StreamId) {
        if let Some(stream) = self.streams.get(&id) {
            let base = Some(stream.core.index.last_seq());
            let behind = Behind {
                base,
                ..Behind::default()
            };
            self.holes.behind.entry(id).or_insert(behind);
        }
    }

    /// The same where not even the stream's last sequence is known.
    pub(crate) fn doubt_all(&mut self, id: StreamId) {
        self.holes.behind.insert(id, Behind::default());
    }

    /// The log has been read to its end, and at most `lost` entries are missing in the holes that were told.
    pub fn close_holes(&mut self, lost: u64, env: &mut impl Env) {
        let had_hole = self.holes.known_below.take().is_some();
        self.settle_all(Seq(lost), env);
        if !had_hole {
            return;
        }
        // Ids may have been given to streams and consumers of which nothing is left.
        self.shared.next_stream = self.shared.next_stream.saturating_add(lost);
        self.shared.next_consumer = self.shared.next_consumer.saturating_add(lost);
    }

    /// Returns how many streams are known by their messages only, and how many messages those are.
    #[must_use]
    pub fn orphans(&self) -> (u64, u64) {
        let orphans = self.holes.orphans.iter();
        let orphans = orphans.filter(|(id, _)| !self.broken.has(**id));
        orphans.fold((0, 0), |(streams, messages), (_, orphan)| {
            (streams + 1, messages + orphan.messages)
        })
    }

    /// Keeps an entry that cannot be applied yet; false if it can.
    pub(crate) fn set_aside(
        &mut self,
        pos: LogPos,
        loc: Loc,
        entry: &Bytes,
        env: &mut impl Env,
    ) -> bool {
        if !self.holes.is_open() && !self.broken.is_any() {
            return false;
        }
        let Some((id, mark)) = stream_of(entry) else {
            return false;
        };
        if self.broken.has(id) {
            let goes = matches!(Entry::decode(entry), Ok(Entry::StreamDelete(_)));
            if !goes {
                let given_out = mark.filter(|mark| *mark != UNKNOWN).map(Mark::seq_max);
                self.keep_unapplied(id, loc, entry, given_out);
            }
            return !goes;
        }
        if let Ok(Entry::StreamDelete(_)) = Entry::decode(entry) {
            // What waits goes with the stream, and a stream made next may have its name.
            self.holes.behind.remove(&id);
            return false;
        }
        let Some(behind) = self.holes.behind.get_mut(&id) else {
            let known_below = self.holes.known_below;
            let unknown =
                known_below.is_some_and(|below| id.0 >= below) && !self.streams.contains_key(&id);
            if unknown {
                self.keep_orphan(id, loc, entry);
            }
            return unknown;
        };
        let Some(stream) = self.streams.get(&id) else {
            return false;
        };
        let kind = match mark {
            Some(mark) if is_certain(&stream.core, entry) => Kind::Certain(mark),
            Some(mark) => Kind::Perhaps(mark),
            None => Kind::Change,
        };
        let known = kind.mark().and_then(|mark| {
            behind
                .messages
                .checked_sub(usize::try_from(mark.ahead).ok()?)
        });
        let waiting = Waiting {
            pos,
            loc,
            entry: entry.clone(),
            kind,
        };
        if let (Some(known), Some(mark)) = (known, kind.mark()) {
            let settled = behind.take(known);
            let base = behind.base.replace(mark.last);
            behind.push(waiting);
            self.settle(id, settled, (base, mark.last), env);
        } else {
            behind.push(waiting);
        }
        true
    }

    pub(crate) fn keep_orphan(&mut self, id: StreamId, loc: Loc, entry: &Bytes) {
        let next = &mut self.shared.next_stream;
        *next = (*next).max(id.0 + 1);
        let orphan = self.holes.orphans.entry(id).or_default();
        if is_publish(entry) {
            orphan.messages += 1;
            orphan.in_log.insert(Seq(orphan.messages), loc);
        }
    }

    /// Applies entries behind which the stream's last sequence was `last`; `base` is the one before them
    /// if that is known.
    fn settle(
        &mut self,
        id: StreamId,
        entries: VecDeque<Waiting>,
        (base, last): (Option<Seq>, Seq),
        env: &mut impl Env,
    ) {
        let messages = |kind: &Kind| u64::from(kind.mark().is_some());
        let count: u64 = entries.iter().map(|waiting| messages(&waiting.kind)).sum();
        let all_stored = match base {
            Some(base) => base.0.checked_add(count) == Some(last.0),
            None => entries.iter().all(|w| !matches!(w.kind, Kind::Perhaps(_))),
        };
        let is_perhaps = |waiting: &Waiting| matches!(waiting.kind, Kind::Perhaps(_));
        let (head, tail) = if all_stored {
            (0, 0)
        } else {
            let first = entries.iter().position(is_perhaps);
            let after = entries.iter().rposition(is_perhaps).map(|at| at + 1);
            (first.unwrap_or(0), after.unwrap_or(0))
        };
        let behind: u64 = entries.iter().skip(tail).map(|w| messages(&w.kind)).sum();
        let (mut from_base, mut to_last) = (base, last.0.checked_sub(behind).map(Seq));
        for (at, waiting) in entries.into_iter().enumerate() {
            let seq = if waiting.kind == Kind::Change {
                None
            } else if at >= tail {
                to_last = to_last.map(Seq::next);
                to_last
            } else if at < head {
                from_base = from_base.map(Seq::next);
                from_base
            } else {
                None
            };
            if waiting.kind == Kind::Change || seq.is_some() {
                self.apply_at(id, &waiting, seq, env);
            }
        }
        self.parts.clear();
        self.skip_lost(id, last);
    }

    fn skip_lost(&mut self, id: StreamId, last: Seq) {
        if let Some(stream) = self.streams.get_mut(&id) {
            stream.unsaved = true;
            stream.core.skip_lost(last);
        }
    }

    /// Applies a message under the sequence that it had, or another entry.
    fn apply_at(&mut self, id: StreamId, waiting: &Waiting, seq: Option<Seq>, env: &mut impl Env) {
        // The messages of a batch come in with its last one.
        let begins = seq.filter(|_| !self.is_inside_batch());
        if let Some(seq) = begins {
            let last = self.streams.get(&id).map(|s| s.core.index.last_seq());
            if last.is_none_or(|last| seq <= last) {
                return;
            }
            self.skip_lost(id, Seq(seq.0 - 1));
        }
        // Entries of the Memphis layer never wait.
        let _none = self.apply_now(waiting.pos, waiting.loc, &waiting.entry, env);
        let ends = seq.filter(|_| !self.is_inside_batch());
        if let Some(seq) = ends {
            // What it depends on is missing, so that it would be refused: its place stays empty.
            self.skip_lost(id, seq);
        }
    }

    /// Applies what waits though nothing that follows tells its sequences. `lost` sequences may have been
    /// given out of which nothing is left.
    fn settle_all(&mut self, Seq(lost): Seq, env: &mut impl Env) {
        for (id, behind) in core::mem::take(&mut self.holes.behind) {
            let marks = behind.waiting.iter().filter_map(|w| w.kind.mark());
            let known = marks.filter(|mark| *mark != UNKNOWN);
            let bound = known.map(Mark::seq_max).max();
            let Some(base) = behind.base else {
                for waiting in behind.waiting {
                    if waiting.kind == Kind::Change {
                        self.apply_at(id, &waiting, None, env);
                    }
                }
                let last = self.streams.get(&id).map(|s| s.core.index.last_seq());
                let all = Seq(last.unwrap_or_default().0.saturating_add(lost));
                self.skip_lost(id, bound.unwrap_or(all));
                continue;
            };
            // One that may have been refused is the last whose sequence is known: if it was, nothing else
            // has had that one.
            let mut at = Some(base);
            for waiting in behind.waiting {
                let perhaps = matches!(waiting.kind, Kind::Perhaps(_));
                let seq = waiting.kind.mark().and(at).map(Seq::next);
                if waiting.kind == Kind::Change || seq.is_some() {
                    self.apply_at(id, &waiting, seq, env);
                }
                at = if perhaps { None } else { seq.or(at) };
            }
            self.parts.clear();
            if let (None, Some(bound)) = (at, bound) {
                self.skip_lost(id, bound);
            }
        }
    }
}

impl Behind {
    fn push(&mut self, waiting: Waiting) {
        self.messages += usize::from(waiting.kind.mark().is_some());
        self.waiting.push_back(waiting);
    }

    /// Takes the first so many messages and what lies before and between them.
    fn take(&mut self, messages: usize) -> VecDeque<Waiting> {
        let mut taken = VecDeque::new();
        let mut left = messages;
        while let Some(waiting) = self.waiting.pop_front() {
            let is_message = waiting.kind.mark().is_some();
            if is_message && left == 0 {
                self.waiting.push_front(waiting);
                break;
            }
            left -= usize::from(is_message);
            taken.push_back(waiting);
        }
        self.messages -= messages;
        taken
    }
}

/// Returns the stream that an entry concerns and, for a message, how far it was; nothing if the entry
/// depends on no stream.
fn stream_of(entry: &Bytes) -> Option<(StreamId, Option<Mark>)> {
    if is_publish(entry) {
        let msg = Stored::of(entry).ok()?;
        let mark = match msg.role {
            // It says itself which sequence it has.
            Role::Restored(_) => None,
            Role::Plain
            | Role::Part { .. }
            | Role::Marker { .. }
            | Role::Copy(_)
            | Role::Fired(_) => Some(msg.mark.unwrap_or(UNKNOWN)),
        };
        return Some((msg.stream, mark));
    }
    let stream = match Entry::decode(entry).ok()? {
        Entry::StreamUpdate(update) => update.stream,
        Entry::StreamDelete(stream)
        | Entry::Expire { stream, .. }
        | Entry::EndLives { stream, .. }
        | Entry::Consumed { stream, .. }
        | Entry::ConsumerDelete { stream, .. }
        | Entry::ConsumerDelta { stream, .. } => stream,
        Entry::Purge(purge) => purge.stream,
        Entry::MsgDelete(delete) => delete.stream,
        Entry::ConsumerCreate(create) | Entry::ConsumerUpdate(create) => create.stream,
        Entry::RestoreConsumer(restore) => restore.create.stream,
        Entry::RestoreEnd(end) => end.stream,
        Entry::Released(released) => released.stream,
        Entry::Publish(_) | Entry::StreamCreate(_) | Entry::RestoreBegin(_) | Entry::Memphis(_) => {
            return None;
        }
    };
    Some((stream, None))
}

/// Returns whether a stream takes a message whatever it has taken before.
fn is_certain(core: &StreamCore, entry: &Bytes) -> bool {
    Stored::of(entry).is_ok_and(|msg| core.takes_always(&msg))
}

impl Holes {
    /// Whether entries may have to wait.
    #[inline]
    fn is_open(&self) -> bool {
        self.known_below.is_some() || !self.behind.is_empty()
    }

    /// Appends what a checkpoint holds of it: the streams of which only messages are left.
    pub(crate) fn snapshot(&self, out: &mut Vec<u8>) {
        put_varint(out, u64::try_from(self.orphans.len()).unwrap_or(u64::MAX));
        for (id, orphan) in &self.orphans {
            put_varint(out, id.0);
            put_varint(out, orphan.messages);
            let in_log = u64::try_from(orphan.in_log.len()).unwrap_or(u64::MAX);
            put_varint(out, in_log);
            for (seq, loc) in &orphan.in_log {
                put_varint(out, seq.0);
                put_varint(out, loc.to_bits());
            }
        }
    }

    /// Takes over what a checkpoint holds of it.
    pub(crate) fn restore(&mut self, from: &mut Reader) -> Result<(), DecodeError> {
        for _ in 0..from.varint()? {
            let id = StreamId(from.varint()?);
            let mut orphan = Orphan {
                messages: from.varint()?,
                in_log: BTreeMap::new(),
            };
            for _ in 0..from.varint()? {
                let seq = Seq(from.varint()?);
                orphan.in_log.insert(seq, Loc::from_bits(from.varint()?));
            }
            self.orphans.insert(id, orphan);
        }
        Ok(())
    }
}

impl Orphan {
    /// Returns the messages that are in the log below `below`.
    pub(crate) fn unflushed(&self, below: LogPos, out: &mut Vec<(Seq, Loc)>) {
        let in_log = self.in_log.iter().map(|(&seq, &loc)| (seq, loc));
        out.extend(in_log.filter(|(_, loc)| match loc.place() {
            Place::Log(pos) => pos < below,
            Place::Segment { .. } => false,
        }));
    }
}

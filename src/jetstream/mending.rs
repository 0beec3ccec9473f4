//! What damage has taken of each stream, and going on without it: for a look at a store, and its
//! repair, while nobody is served.
//!
//! *Invariants:* a sequence that was given out is not given out again, whatever of its stream is lost;
//! what is given up is noted as missing, so that stream info tells it for as long as the stream lives.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use bytes::Bytes;
use protocol::id::{Seq, StreamId};
use protocol::js::config::StreamConfig;
use protocol::store::{Loc, Place, SectionKey};
use protocol::time::Wall;

use crate::JetStream;
use crate::broken::config_in;
use crate::checkpoint::{Part, RestoreError};
use crate::consumer::Consumers;
use crate::index::Page;
use crate::stream::{Stream, StreamCore};

/// The account of a stream of which no section says whose it is.
const GLOBAL: &str = "$G";
/// How many ids may have been given out, at most, since the last one that is known.
const IDS_UNKNOWN: u64 = 1 << 32;

/// A row of sequences, the last one included.
pub type Row = (Seq, Seq);

/// What a stream holds, and what it has lost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamLosses {
    /// Its account.
    pub account: String,
    /// Its name.
    pub name: String,
    /// How many messages it holds, the damaged ones included.
    pub messages: u64,
    /// The sequence of the first of them.
    pub first: Seq,
    /// The last sequence given out.
    pub last: Seq,
    /// Messages that it holds and that lie in a damaged part of a file.
    pub damaged: Vec<Row>,
    /// Sequences that were given out, or may have been, and whose messages are gone: the stream knows it.
    pub missing: Vec<Row>,
}

impl JetStream {
    /// Returns what each stream on disk holds, in the order of their ids.
    pub fn losses(&self, is_damaged: impl Fn(StreamId, Loc) -> bool) -> Vec<StreamLosses> {
        let streams = self.streams.values().filter(|s| !s.core.is_memory());
        let losses = streams.map(|stream| {
            let core = &stream.core;
            let account = self.shared.accounts.get(core.account());
            StreamLosses {
                account: account.map_or_else(String::new, |account| account.name.clone().into()),
                name: String::from(core.name()),
                messages: core.index.messages(),
                first: core.index.first_seq(),
                last: core.index.last_seq(),
                damaged: rows(&damaged(core, &is_damaged)),
                missing: core.missing_rows().to_vec(),
            }
        });
        losses.collect()
    }

    /// Gives up the messages that lie in damaged parts.
    pub fn give_up_damaged(&mut self, is_damaged: impl Fn(StreamId, Loc) -> bool) {
        let streams = self.streams.values_mut();
        for stream in streams.filter(|stream| !stream.core.is_memory()) {
            let lost = damaged(&stream.core, &is_damaged);
            stream.core.give_up(&lost, &rows(&lost));
        }
    }

    /// Gives up messages that could not be copied.
    pub fn give_up(&mut self, stream: StreamId, lost: &[Seq]) {
        if let Some(stream) = self.streams.get_mut(&stream) {
            stream.core.give_up(lost, &rows(lost));
        }
    }

    /// Returns the messages of a stream whose places must change: those in the log, and those in segments
    /// that `must_go` names.
    pub fn to_be_moved(&self, stream: StreamId, must_go: impl Fn(u32) -> bool) -> Vec<(Seq, Loc)> {
        let mut moved = Vec::new();
        if let Some(stream) = self.streams.get(&stream) {
            stream.core.index.each_place(|seq, loc| {
                let moves = match loc.place() {
                    Place::Log(_) => true,
                    Place::Segment { number, .. } => must_go(number),
                };
                if moves {
                    moved.push((seq, loc));
                }
            });
        } else if let Some(orphan) = self.holes.orphans.get(&stream) {
            moved.extend(orphan.in_log.iter().map(|(&seq, &loc)| (seq, loc)));
        }
        moved
    }

    /// Returns the ids of all streams on disk, and of those that are known by their messages only.
    #[must_use]
    pub fn stored_streams(&self) -> Vec<StreamId> {
        let streams = self.streams.values().filter(|s| !s.core.is_memory());
        let ids = streams.map(|stream| stream.core.id());
        ids.chain(self.holes.orphans.keys().copied()).collect()
    }

    /// Takes over a section of a checkpoint of which others may be lost.
    ///
    /// # Errors
    /// As [`JetStream::restore`], where the loss of others does not explain it.
    pub fn restore_what_is_left(
        &mut self,
        key: SectionKey,
        body: &Bytes,
    ) -> Result<(), RestoreError> {
        let part = Part::of(key).filter(|_| key.group != 0);
        if part == Some(Part::State) {
            self.replace_stand_in(StreamId(key.group), body);
        }
        if part.is_some_and(|part| part != Part::Config) {
            self.stand_in(StreamId(key.group));
        }
        match part {
            Some(Part::Messages(page)) => {
                self.reach(StreamId(key.group), page);
                self.restore(key, body)
            }
            Some(_) => self.restore(key, body),
            None => {
                self.restore(key, body)?;
                self.broken.reopen();
                Ok(())
            }
        }
    }

    /// Goes on without a section of a checkpoint; says what that means, if that is known by now.
    pub fn go_on_without(&mut self, key: SectionKey) -> Option<String> {
        let id = StreamId(key.group);
        let Some(part) = Part::of(key).filter(|_| key.group != 0) else {
            self.leave_ids();
            return Some(String::from(
                "what concerns all streams is lost: new ids are far from old ones",
            ));
        };
        self.stand_in(id);
        let name = self
            .streams
            .get(&id)
            .map_or("", |stream| stream.core.name());
        let name = String::from(name);
        Some(match part {
            // Its state may have it.
            Part::Config => return None,
            Part::State => {
                self.doubt_all(id);
                format!(
                    "stream {name}: what it knew of its messages as a whole is lost (message ids, \
                     schedules, progress of sources); it goes on behind a gap"
                )
            }
            Part::Ids(_) => {
                self.doubt(id);
                format!("stream {name}: message ids are lost, repeats may be stored")
            }
            Part::Consumers => format!("stream {name}: its consumers are lost"),
            Part::Parked => format!(
                "stream {name}: messages that had left it and were still to be copied elsewhere are lost"
            ),
            Part::Messages(page) => {
                let (first, last) = (page.first(), page.last());
                if let Some(stream) = self.streams.get_mut(&id) {
                    stream.core.note_missing(first, last);
                }
                self.doubt(id);
                format!(
                    "stream {name}: messages from {first} to {last} are lost",
                    first = first.0.max(1),
                    last = last.0
                )
            }
        })
    }

    /// Leaves out the ids that may have been given before.
    pub(crate) fn leave_ids(&mut self) {
        let shared = &mut self.shared;
        shared.next_stream = shared.next_stream.saturating_add(IDS_UNKNOWN);
        shared.next_consumer = shared.next_consumer.saturating_add(IDS_UNKNOWN);
    }

    /// Puts a stream in the place of one that stands in for it, if its state says how it is configured.
    fn replace_stand_in(&mut self, id: StreamId, state: &Bytes) {
        if !self.stand_ins.contains(&id) {
            return;
        }
        let Some(config) = config_in(id, state) else {
            return;
        };
        self.stand_ins.remove(&id);
        if let Some(stream) = self.streams.remove(&id)
            && let Some(account) = self.shared.accounts.get_mut(stream.core.account())
        {
            account.remove(&stream.core);
        }
        self.regain_config(id, config);
    }

    /// Says which streams others stand in for.
    pub(crate) fn tell_stand_ins(&mut self, told: &mut Vec<String>) {
        for id in core::mem::take(&mut self.stand_ins) {
            let stream = self.streams.get(&id);
            let name = stream.map_or("", |stream| stream.core.name());
            told.push(format!(
                "stream {id}: its name and configuration are lost; its messages are kept as {name}",
                id = id.0
            ));
        }
    }

    /// Makes a stream for sections whose configuration is lost; nothing if there is one.
    pub(crate) fn stand_in(&mut self, id: StreamId) {
        if self.streams.contains_key(&id) {
            return;
        }
        self.stand_ins.insert(id);
        let account = self.shared.accounts.by_name(GLOBAL);
        let config = StreamConfig {
            name: format!("RECOVERED_{}", id.0),
            ..StreamConfig::default()
        };
        let mut core = StreamCore::new(id, account, config, Wall(0));
        core.set_outlet(self.has_outlet(account));
        self.shared.next_stream = self.shared.next_stream.max(id.0 + 1);
        if let Some(account) = self.shared.accounts.get_mut(account) {
            account.streams.insert(Box::from(core.name()), id);
        }
        let stream = Stream::new(core, Consumers::default());
        self.streams.insert(id, Box::new(stream));
    }

    /// Lets a stream whose state is lost go to the end of a page, so that the page can be restored: what
    /// lay behind the last message that is left may have been removed. With its state it is there already.
    fn reach(&mut self, id: StreamId, page: Page) {
        if let Some(stream) = self.streams.get_mut(&id) {
            let index = &mut stream.core.index;
            if index.last_seq() < page.first().max(Seq(1)) {
                index.skip_to(page.last().next());
            }
        }
    }
}

fn damaged(core: &StreamCore, is_damaged: &impl Fn(StreamId, Loc) -> bool) -> Vec<Seq> {
    let mut damaged = Vec::new();
    core.index.each_place(|seq, loc| {
        if is_damaged(core.id(), loc) {
            damaged.push(seq);
        }
    });
    damaged
}

/// Joins sequences that follow one another.
fn rows(seqs: &[Seq]) -> Vec<Row> {
    let mut rows: Vec<Row> = Vec::new();
    for &seq in seqs {
        match rows.last_mut() {
            Some((_, last)) if last.next() == seq => *last = seq,
            Some(_) | None => rows.push((seq, seq)),
        }
    }
    rows
}

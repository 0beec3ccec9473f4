//! A source that a stream had before and gets again: it goes on behind the last message that the stream
//! still holds of it. One of which nothing is left begins where its configuration says.
//!
//! *Invariant:* nothing of this is durable: a restart before the first copy goes on behind the last one.

use alloc::vec::Vec;

use protocol::headers::Headers;
use protocol::id::Seq;

use super::copy::{STREAM_SOURCE, source_names};
use super::{Followers, Upstream};
use crate::entry::{Origin, SourceKey, Stored};
use crate::env::Env;
use crate::index::Filter;
use crate::stream::{MsgRead, StreamCore};

/// Most sequences that are looked at for the last message of a source.
const LOOKED_AT_MAX: u64 = 10_000;

/// Where a source goes on that has brought more than its stream still holds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Again {
    /// The sequence of the last message that is still there; zero for none.
    held: Seq,
    /// The sequence that copies go on behind; zero to begin anew.
    behind: Seq,
}

impl Followers {
    /// Takes over what an update says about mirror and sources.
    pub(crate) fn reconfigure(&mut self, core: &StreamCore, env: &mut impl Env) {
        let before = self.upstreams.get(&core.id()).into_iter().flatten();
        let before: Vec<SourceKey> = before.map(|upstream| upstream.key).collect();
        self.configure(core);
        let now = self.upstreams.get_mut(&core.id()).into_iter().flatten();
        for upstream in now.filter(|upstream| !before.contains(&upstream.key)) {
            upstream.again = upstream.begin_again(core, env);
        }
    }
}

impl Upstream {
    /// Returns the sequence of the last message that it has brought, as far as the stream `core` knows.
    pub(super) fn held(&self, core: &StreamCore) -> Seq {
        self.again.map_or(core.copied(self.key), |again| again.held)
    }

    /// Returns the sequence that copies go on behind.
    pub(super) fn behind(&self, core: &StreamCore) -> Seq {
        self.again
            .map_or(core.copied(self.key), |again| again.behind)
    }

    /// Returns what the next copy says was copied before it.
    pub(super) fn last_copied(&self, core: &StreamCore) -> Seq {
        self.again.map_or(core.copied(self.key), |_| Origin::ANEW)
    }

    fn begin_again(&self, core: &StreamCore, env: &mut impl Env) -> Option<Again> {
        let copied = core.copied(self.key);
        if self.is_mirror || copied.0 == 0 {
            return None;
        }
        let held = self.last_held(core, env)?;
        let goes_on = self.start_time().is_some() || core.index.first_seq() > Seq(1);
        let behind = if held.0 == 0 && self.source.opt_start_seq == 0 && goes_on {
            // What the stream has lost is not fetched again.
            copied
        } else {
            held
        };
        (held != copied).then_some(Again { held, behind })
    }

    /// Returns the sequence of the last message from this source in the stream, zero for none; nothing if
    /// that takes too long to find out.
    fn last_held(&self, core: &StreamCore, env: &mut impl Env) -> Option<Seq> {
        let filter = Filter::new(self.source.filter_subject.as_bytes());
        let (first, last) = (core.index.first_seq().0, core.index.last_seq().0);
        for (looked_at, seq) in (0..).zip((first..=last).rev()) {
            if looked_at >= LOOKED_AT_MAX {
                return None;
            }
            let Some(meta) = core.index.meta(Seq(seq)) else {
                continue;
            };
            if !filter.matches(core.index.subject(meta.subject)) {
                continue;
            }
            match core.read(Seq(seq), env) {
                MsgRead::Hit(entry) => {
                    if let Some(found) = self.seq_of(&entry) {
                        return Some(found);
                    }
                }
                MsgRead::Gone => {}
                MsgRead::Pending(_) | MsgRead::Failed(_) => return None,
            }
        }
        Some(Seq(0))
    }

    /// Returns where in the origin a message was, if this source has brought it.
    fn seq_of(&self, entry: &bytes::Bytes) -> Option<Seq> {
        let msg = Stored::of(entry).ok()?;
        let value = Headers::new(msg.headers).get(STREAM_SOURCE)?;
        let value = core::str::from_utf8(value).ok()?;
        let mut words = value.split(' ');
        let (name, seq) = (words.next()?, words.next()?);
        let (filter, dest) = (words.next()?, words.next()?);
        let (its_name, its_filter, its_dest) = source_names(&self.source);
        let is_same = its_name == name && its_filter == filter && its_dest == dest;
        seq.parse().ok().filter(|_| is_same).map(Seq)
    }
}

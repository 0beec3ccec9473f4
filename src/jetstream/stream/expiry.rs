//! Messages that have grown old: by the stream's age limit, or by a time to live of their own.
//!
//! *Invariant:* what goes is decided by log entries: the leader proposes a round, and applying it
//! depends on the log alone. A marker takes the place of a subject's last message only if that is
//! still its last message when the marker is applied.

use alloc::collections::BTreeSet;

use bytes::BytesMut;
use protocol::headers::HeaderWriter;
use protocol::id::Seq;
use protocol::js::errors;
use protocol::store::Loc;
use protocol::time::Wall;

use super::publish::{Applied, Refusal, refuse};
use super::{PublishHeaders, Removal, StreamCore, Ttl};
use crate::entry::Stored;
use crate::index::Filter;

/// Most markers of one round: each is a log entry.
const MARKERS_PER_ROUND: usize = 256;

/// What the leader proposes when something is due.
#[derive(Debug, Default)]
pub(crate) struct Round {
    /// Messages whose place a marker takes.
    pub(crate) markers: BTreeSet<Seq>,
    /// Messages stored at or before this go.
    pub(crate) cutoff: Option<Wall>,
    /// Messages whose own time ended at or before this go.
    pub(crate) ended: Option<Wall>,
}

impl StreamCore {
    /// Returns when the next message is due to go.
    #[must_use]
    pub(crate) fn next_expiry(&self) -> Option<Wall> {
        if self.index.messages() == 0 || self.config.sealed {
            return None;
        }
        let aged = self.next_aged();
        let ended = self.lifetimes.first().map(|(end, _)| end);
        aged.into_iter().chain(ended).min()
    }

    /// Returns what is to go at `now`.
    pub(crate) fn expiry_round(&self, now: Wall) -> Round {
        let aged = self.next_aged().is_some_and(|at| at <= now);
        let ended = self.lifetimes.first().is_some_and(|(end, _)| end <= now);
        let mut round = Round {
            markers: BTreeSet::new(),
            cutoff: self
                .age_max()
                .filter(|_| aged)
                .map(|age| Wall(now.0.saturating_sub(age))),
            ended: ended.then_some(now),
        };
        if self.config.subject_delete_marker_ttl.0 > 0 {
            self.choose_markers(now, &mut round);
        }
        round
    }

    /// Notes which messages of a round leave a marker; the round ends before the first one too many.
    fn choose_markers(&self, now: Wall, round: &mut Round) {
        let leaves_marker = |seq: Seq| {
            let subject = self.index.meta(seq).map(|meta| meta.subject);
            let info = subject.and_then(|subject| self.index.subject_info_of(subject));
            info.is_some_and(|info| info.last == seq) && !self.lifetimes.is_marker(seq)
        };
        if let Some(cutoff) = round.cutoff {
            let mut from = self.aging_from;
            while let Some((seq, time)) = self.first_aging(from)
                && time <= cutoff
            {
                if leaves_marker(seq) {
                    if round.markers.len() >= MARKERS_PER_ROUND {
                        round.cutoff = Some(Wall(time.0.saturating_sub(1)));
                        break;
                    }
                    round.markers.insert(seq);
                }
                from = seq.next();
            }
        }
        for (end, seq) in self.lifetimes.ended(now) {
            if !round.markers.contains(&seq) && leaves_marker(seq) {
                if round.markers.len() >= MARKERS_PER_ROUND {
                    round.ended = Some(Wall(end.0.saturating_sub(1)));
                    break;
                }
                round.markers.insert(seq);
            }
        }
    }

    /// Appends the header block of a marker to `out`.
    pub(crate) fn put_marker(&self, out: &mut BytesMut) {
        let ttl = self.config.subject_delete_marker_ttl;
        let mut lines = HeaderWriter::new(out);
        lines
            .push(b"Nats-Marker-Reason", b"MaxAge")
            .push(b"Nats-TTL", alloc::format!("{ttl}").as_bytes())
            .push(b"Nats-Rollup", b"sub");
        lines.finish();
    }

    /// Puts a marker in the place of the message `last`.
    pub(super) fn apply_marker(
        &mut self,
        msg: &Stored<'_>,
        loc: Loc,
        last: Seq,
        removal: &mut impl Removal,
    ) -> Result<Applied, Refusal> {
        let found = self.index.last(&Filter::new(msg.subject));
        if found != Some(last) {
            // Somebody has published since.
            let found = found.unwrap_or_default();
            return refuse(errors::STREAM_WRONG_LAST_SEQUENCE.with(found.0));
        }
        let headers = PublishHeaders::parse(msg.headers);
        self.last_msg_id.clear();
        self.store(msg, loc, &headers, removal).map(Applied::Stored)
    }

    /// Notes what a message that has just been stored says about its end.
    pub(super) fn note_lifetime(&mut self, seq: Seq, time: Wall, headers: &PublishHeaders<'_>) {
        if let Some(ttl) = headers.ttl.and_then(Ttl::parse) {
            self.lifetimes.set(seq, time, ttl);
        }
        if headers.is_marker && self.config.subject_delete_marker_ttl.0 > 0 {
            self.lifetimes.set_marker(seq);
        }
    }

    /// Removes the messages that were stored at or before `cutoff`.
    pub fn expire(&mut self, cutoff: Wall, removal: &mut impl Removal) {
        while let Some((seq, time)) = self.first_aging(self.aging_from)
            && time <= cutoff
        {
            self.aging_from = seq;
            self.let_go(seq, removal);
        }
    }

    /// Removes the messages whose own time ended at or before `until`.
    pub(crate) fn end_lives(&mut self, until: Wall, removal: &mut impl Removal) {
        while let Some((end, seq)) = self.lifetimes.first()
            && end <= until
        {
            self.let_go(seq, removal);
        }
    }

    /// Returns whether any message's life differs from what the age limit gives it.
    #[must_use]
    pub(crate) fn has_lifetimes(&self) -> bool {
        !self.lifetimes.is_empty()
    }

    /// Returns whether a message ends by a time to live of its own.
    #[must_use]
    pub(crate) fn has_end(&self, seq: Seq) -> bool {
        self.lifetimes.has_end(seq)
    }

    fn age_max(&self) -> Option<u64> {
        u64::try_from(self.config.max_age.0)
            .ok()
            .filter(|&age| age > 0)
    }

    /// Returns when the next message reaches the age limit.
    fn next_aged(&self) -> Option<Wall> {
        let age = self.age_max()?;
        let (_, time) = self.first_aging(self.aging_from)?;
        Some(Wall(time.0.saturating_add(age)))
    }

    /// Returns the first message at or after `from` that the age limit can take, and its time.
    fn first_aging(&self, mut from: Seq) -> Option<(Seq, Wall)> {
        loop {
            let seq = self.index.next(&Filter::All, from)?;
            if !self.lifetimes.is_never(seq) {
                return Some((seq, self.index.meta(seq)?.time));
            }
            from = seq.next();
        }
    }
}

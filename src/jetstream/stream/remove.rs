//! Taking messages out: delete, purge, rollup.

use alloc::boxed::Box;

use protocol::id::Seq;

use super::StreamCore;
use crate::entry::Purge;
use crate::index::Filter;

/// Is told of every message that goes while consumers may still count on it.
pub trait Removal {
    /// The message `seq` on `subject` goes away.
    fn on_removed(&mut self, seq: Seq, subject: &[u8]);

    /// The message `seq` on `subject` goes away because a later one stands for it.
    fn on_replaced(&mut self, seq: Seq, subject: &[u8]);

    /// Messages have gone away that a later one stands for.
    fn on_rolled_up(&mut self, cleared: Cleared);
}

/// For when nobody cares.
impl Removal for () {
    fn on_removed(&mut self, _: Seq, _: &[u8]) {}

    fn on_replaced(&mut self, _: Seq, _: &[u8]) {}

    fn on_rolled_up(&mut self, _: Cleared) {}
}

/// What a stream looks like after a purge, or a roll-up, which is one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cleared {
    /// What was purged; empty for everything.
    pub subject: Box<[u8]>,
    /// Where the stream begins.
    pub first: Seq,
    /// The first message left that the purge was about.
    pub first_matching: Option<Seq>,
    /// Where the stream ends.
    pub last: Seq,
    /// The message that went, if it was just one and was looked for by its subject or its place.
    pub only: Option<Seq>,
}

/// What a purge did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Purged {
    /// How many messages went.
    pub messages: u64,
    /// The message that went, if it was just one and was looked for by its subject or its place.
    pub only: Option<Seq>,
}

impl StreamCore {
    /// Removes one message; false if it is not there.
    pub fn remove(&mut self, seq: Seq, removal: &mut impl Removal) -> bool {
        let Some(meta) = self.index.meta(seq) else {
            return false;
        };
        removal.on_removed(seq, self.index.subject(meta.subject));
        self.remove_consumed(seq)
    }

    /// Removes a message whose time in the stream retention has ended; false if it is not there.
    pub(crate) fn let_go(&mut self, seq: Seq, removal: &mut impl Removal) -> bool {
        let Some(meta) = self.index.meta(seq) else {
            return false;
        };
        removal.on_removed(seq, self.index.subject(meta.subject));
        self.let_go_consumed(seq)
    }

    /// Removes a message that its consumers have consumed, as interest and work queue retention do.
    pub(crate) fn let_go_consumed(&mut self, seq: Seq) -> bool {
        if !self.is_parking() || self.index.meta(seq).is_none() {
            return self.remove_consumed(seq);
        }
        self.forget_about(seq);
        for surplus in self.index.park(seq) {
            self.forget_parked(surplus);
        }
        true
    }

    /// Lets messages go for good that had left and were kept until they were copied elsewhere.
    pub(crate) fn release_parked(&mut self, seqs: impl Iterator<Item = Seq>) {
        for seq in seqs {
            if self.index.unpark(seq) {
                self.forget_parked(seq);
            }
        }
    }

    fn forget_parked(&mut self, seq: Seq) {
        if let Some(entries) = &mut self.memory {
            entries.remove(&seq.0);
        }
    }

    /// Removes a message of which consumers need not be told.
    pub(crate) fn remove_consumed(&mut self, seq: Seq) -> bool {
        self.forget_about(seq);
        let was_there = self.index.remove(seq).is_some();
        // What has left before may still be wanted.
        if was_there && let Some(entries) = &mut self.memory {
            entries.remove(&seq.0);
        }
        was_there
    }

    /// Forgets what is noted about a message that goes.
    fn forget_about(&mut self, seq: Seq) {
        if !self.lifetimes.is_empty() {
            self.lifetimes.remove(seq);
        }
        if !self.schedules.is_empty() {
            self.forget_schedule(seq);
        }
        if !self.missing.is_empty() && seq == self.index.first_seq() {
            // What was lost before it would be gone by now, too.
            self.missing.retain(|&(_, last)| last > seq);
        }
    }

    /// Removes a range of messages. Consumers are told by the caller, once and not per message.
    pub fn purge(&mut self, purge: &Purge) -> Purged {
        if purge.keep == Purge::KEEP_ALL && purge.below.0 > 0 {
            self.index.skip_to(purge.below);
            return Purged {
                messages: 0,
                only: None,
            };
        }
        let (before, first) = (self.index.messages(), self.index.first_seq());
        let filter = self.filter(&purge.filter);
        let is_all = purge.filter.is_empty() || *purge.filter == *b">";
        let unbounded = purge.below.0 == 0 && purge.keep == 0;
        let last_gone = if unbounded && (is_all || filter == Filter::All) {
            // A filter that happens to mean everything leaves a stream as it was before its first message.
            self.has_first |= is_all;
            self.clear();
            (!is_all).then_some(first)
        } else if purge.below.0 > 0 {
            self.purge_below(&filter, purge).filter(|_| !is_all)
        } else {
            let matching = self
                .index
                .num_pending(core::slice::from_ref(&filter), Seq(0));
            self.purge_first(&filter, matching.saturating_sub(purge.keep))
        };
        let messages = before - self.index.messages();
        Purged {
            messages,
            only: last_gone.filter(|_| messages == 1),
        }
    }

    /// Returns how the stream looks after messages on `subject` were purged, of which `only` was perhaps the
    /// only one.
    #[must_use]
    pub(crate) fn cleared(&self, subject: &[u8], only: Option<Seq>) -> Cleared {
        let first = self.index.first_seq();
        let first_matching = if subject.is_empty() {
            Some(first)
        } else {
            self.index.next(&self.filter(subject), first)
        };
        Cleared {
            subject: subject.into(),
            first,
            first_matching,
            last: self.index.last_seq(),
            only,
        }
    }

    /// Removes what the message `seq` on `subject` stands for: everything before it on `subject`, which
    /// is every subject if it is empty.
    pub(super) fn roll_up_below(&mut self, subject: &[u8], seq: Seq, removal: &mut impl Removal) {
        let filter = Filter::new(subject);
        let mut from = Seq(0);
        let mut gone = 0_u64;
        while let Some(found) = self.index.next(&filter, from)
            && found < seq
        {
            gone += 1;
            if let Some(meta) = self.index.meta(found) {
                removal.on_replaced(found, self.index.subject(meta.subject));
            }
            self.remove_consumed(found);
            from = found.next();
        }
        let last_gone = Seq(from.0.saturating_sub(1));
        let only = (gone == 1).then_some(last_gone);
        removal.on_rolled_up(self.cleared(subject, only));
    }

    /// Removes every message below `seq` whose subject matches `subject`: nothing keeps clients from
    /// publishing to a subject with wildcards, and key-value stores purge many keys that way.
    pub(super) fn remove_matching_below(
        &mut self,
        subject: &[u8],
        seq: Seq,
        removal: &mut impl Removal,
    ) {
        let filter = Filter::new(subject);
        let mut from = Seq(0);
        while let Some(found) = self.index.next(&filter, from)
            && found < seq
        {
            self.remove(found, removal);
            from = found.next();
        }
    }

    fn clear(&mut self) {
        self.index.clear(Seq(0));
        self.lifetimes.clear();
        self.schedules.clear();
        self.missing.clear();
        self.clear_memory();
    }

    fn clear_memory(&mut self) {
        if let Some(entries) = &mut self.memory {
            let index = &self.index;
            if index.parked_count() == 0 {
                entries.clear();
            }
            entries.retain(|&seq, _| index.parked_at(Seq(seq)).is_some());
        }
    }

    /// Removes what lies below a sequence; returns the last message that it found.
    fn purge_below(&mut self, filter: &Filter, purge: &Purge) -> Option<Seq> {
        let below = purge.below;
        let is_all = purge.filter.is_empty() || *purge.filter == *b">";
        if is_all && below > self.index.last_seq() {
            // Beyond the end, the next message gets the sequence that was asked for.
            self.index.clear(below);
            self.lifetimes.clear();
            self.schedules.clear();
            self.missing.clear();
            self.clear_memory();
            return None;
        }
        let mut gone = None;
        while let Some(seq) = self.index.next(filter, gone.map_or(Seq(0), Seq::next))
            && seq < below
        {
            self.remove_consumed(seq);
            gone = Some(seq);
        }
        gone
    }

    /// Removes the first messages; returns the last of them.
    fn purge_first(&mut self, filter: &Filter, count: u64) -> Option<Seq> {
        let mut gone = None;
        for _ in 0..count {
            let Some(seq) = self.index.next(filter, gone.map_or(Seq(0), Seq::next)) else {
                break;
            };
            self.remove_consumed(seq);
            gone = Some(seq);
        }
        gone
    }
}

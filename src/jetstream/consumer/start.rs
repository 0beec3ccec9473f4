//! Where a consumer begins, and what follows when its stream loses messages.

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use protocol::id::Seq;
use protocol::js::config::ConsumerConfig;
use protocol::js::enums::DeliverPolicy;

use super::machine::Consumer;
use super::replay::Replay;
use super::state::ConsumerState;
use crate::index::Filter;
use crate::stream::StreamCore;

/// The messages that come first when a consumer starts with the last one of each subject.
///
/// *Invariant:* ascending; once it is empty, delivery goes on after `resume`.
#[derive(Clone, Debug, Default)]
pub(super) struct SkipList {
    seqs: VecDeque<Seq>,
    resume: Seq,
}

impl SkipList {
    pub(super) fn is_empty(&self) -> bool {
        self.seqs.is_empty()
    }

    /// Returns the last message that the list stands for.
    pub(super) fn resume(&self) -> Seq {
        self.resume
    }

    pub(super) fn front(&self) -> Option<Seq> {
        self.seqs.front().copied()
    }

    pub(super) fn pop(&mut self) {
        self.seqs.pop_front();
    }

    pub(super) fn contains(&self, seq: Seq) -> bool {
        self.seqs.binary_search(&seq).is_ok()
    }
}

impl Consumer {
    /// Begins where the configuration says.
    pub(super) fn start(&mut self, core: &StreamCore) {
        self.next = starting_seq(&self.config, &self.settings.filters, core);
        if wants_last_per_subject(&self.config, core) {
            self.skip_to_last_per_subject(Seq(1), core);
            // Where no subject has a last message, the stream's stands for it.
            let last = core.index.last_seq();
            let first = core.index.first_seq();
            self.next = self.skip.front().unwrap_or(last.max(first));
        }
        self.state = ConsumerState::new(self.settings.acks, self.next);
        self.replay = Replay::new(&self.config, core.index.last_seq());
        self.recount(core);
    }

    /// Goes on behind the last delivery, after the state was read back.
    pub(super) fn resume(&mut self, core: &StreamCore) {
        let delivered = self.state.delivered();
        self.next = delivered.stream.next();
        self.skip = SkipList::default();
        if wants_last_per_subject(&self.config, core) {
            self.skip_to_last_per_subject(self.next, core);
        }
        self.recount(core);
    }

    fn skip_to_last_per_subject(&mut self, from: Seq, core: &StreamCore) {
        let mut seqs = Vec::new();
        core.index
            .last_per_subject(&self.settings.filters, &mut seqs);
        seqs.retain(|seq| *seq >= from);
        self.skip = SkipList {
            seqs: seqs.into(),
            resume: core.index.last_seq(),
        };
    }

    /// Moves on after the message `seq` was delivered for the first time.
    pub(super) fn pass(&mut self, seq: Seq, core: &StreamCore) {
        self.count_now(core);
        self.ahead.take();
        self.pass_gone(seq);
    }

    /// Moves on from a message that is gone; it is no longer counted.
    pub(super) fn pass_gone(&mut self, seq: Seq) {
        self.next = seq.next();
        if self.skip.is_empty() {
            return;
        }
        self.skip.pop();
        if self.skip.is_empty() {
            self.next = self.skip.resume().next();
        }
    }

    /// Forgets a message that is gone and was not delivered yet.
    pub(super) fn forget_ahead(&mut self) {
        self.ahead.take();
    }
}

fn wants_last_per_subject(config: &ConsumerConfig, core: &StreamCore) -> bool {
    // With one message per subject, every message is the last one of its subject.
    config.deliver_policy == DeliverPolicy::LastPerSubject
        && core.config().max_msgs_per_subject != 1
}

/// Returns the first message to look at.
fn starting_seq(config: &ConsumerConfig, filters: &[Filter], core: &StreamCore) -> Seq {
    let index = &core.index;
    let (first, last) = (index.first_seq(), index.last_seq());
    let wanted = match config.deliver_policy {
        DeliverPolicy::All | DeliverPolicy::LastPerSubject => first,
        DeliverPolicy::New => last.next(),
        DeliverPolicy::Last if filters.is_empty() => last,
        DeliverPolicy::Last => filters
            .iter()
            .filter_map(|f| index.last(f))
            .max()
            .unwrap_or(Seq(0)),
        // A sequence of the future is waited for.
        DeliverPolicy::ByStartSequence => return Seq(config.opt_start_seq).max(first),
        DeliverPolicy::ByStartTime => index.first_since(config.opt_start_time.unwrap_or_default()),
    };
    wanted.max(first).min(last.next())
}

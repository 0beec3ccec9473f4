//! One consumer on the leader: its logged state, and what the leader knows beyond it.
//!
//! *Invariant:* the logged state changes only through [`Consumer::change`], which records what it
//! does. What lies ahead of it can be told at any time without a scan ([`Ahead`]).

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::string::String;
use alloc::vec::Vec;

use bytes::{Bytes, BytesMut};
use protocol::id::{ConsumerId, LogPos, Seq};
use protocol::js::config::ConsumerConfig;
use protocol::js::enums::{DeliverPolicy, Retention};
use protocol::store::{ReadError, ReadId};
use protocol::time::{Instant, Wall};

use super::ahead::Ahead;
use super::cx::Cx;
use super::deadlines::Deadlines;
use super::delta::{Op, Recorder};
use super::pending::Stage;
use super::pull::Pull;
use super::push::Push;
use super::replay::Replay;
use super::settings::{Settings, ns};
use super::start::SkipList;
use super::state::ConsumerState;
use crate::entry::{Entry, MsgDelete, encode_consumer_delta};
use crate::env::{Env, Outgoing};
use crate::shared::{TimerKind, Waiter};
use crate::stream::StreamCore;

/// A consumer.
#[derive(Debug)]
pub struct Consumer {
    pub(super) id: ConsumerId,
    pub(super) name: Box<str>,
    pub(super) created: Wall,
    pub(super) config: ConsumerConfig,
    pub(super) settings: Settings,
    /// Whether its progress goes into the log: not if it or its stream lives in memory.
    pub(super) logged: bool,
    pub(super) state: ConsumerState,
    recorder: Recorder,
    /// Deltas in the log that are not applied yet.
    in_flight: VecDeque<LogPos>,
    /// Reply subjects of acks that the next delta confirms.
    confirms: Vec<Box<[u8]>>,
    /// Settled messages that the stream may let go of; only if nothing is logged.
    pub(super) released: Vec<Seq>,
    /// Where the search for new messages goes on.
    pub(super) next: Seq,
    /// The last message of each subject, if these come first.
    pub(super) skip: SkipList,
    pub(super) ahead: Ahead,
    /// Messages to be delivered again, in order; those no longer in stage `Queued` are passed over.
    pub(super) redeliver: VecDeque<Seq>,
    /// Messages that were given back after their last delivery: they are given up when somebody asks for
    /// messages.
    pub(super) spent: Vec<Seq>,
    /// How many of those to be delivered again are in stage `Queued`.
    pub(super) queued: usize,
    pub(super) deadlines: Deadlines,
    /// The latest deadline that any message got.
    pub(super) last_due: Instant,
    pub(super) mode: Mode,
    /// While messages are sent with the pauses they came with.
    pub(super) replay: Option<Replay>,
    pub(super) loading: Loading,
    /// The ack subject up to the numbers.
    pub(super) ack_prefix: Box<[u8]>,
    /// When the timer fires; earlier events only move it.
    armed: Instant,
    /// How long the consumer stays without clients.
    pub(super) inactive_ns: Option<u64>,
    /// Since when it lives in this process; what happened before is not shown as its activity.
    pub(super) live_since: Wall,
    /// Where the last reset went.
    pub(super) reset_seq: Seq,
    /// Something may have come up to deliver.
    pub(super) ready: bool,
    /// It is in the list of consumers that the pump visits.
    pub(super) touched: bool,
    /// It is in the list of those that wait for the next message, whichever it is.
    pub(super) hungry: bool,
    /// It is in the list of those that a message that goes may concern.
    pub(super) holding: bool,
    /// Its end is in the log.
    pub(super) ending: bool,
}

/// What stays the same through all changes of a consumer.
#[derive(Clone, Debug)]
pub(super) struct Identity {
    pub(super) id: ConsumerId,
    pub(super) name: String,
    pub(super) created: Wall,
}

/// Who takes the first step.
#[derive(Debug)]
pub(super) enum Mode {
    /// The client asks.
    Pull(Box<Pull>),
    /// The consumer sends.
    Push(Box<Push>),
}

/// The bytes of the next message.
#[derive(Debug, Default)]
pub(super) enum Loading {
    /// Not asked for.
    #[default]
    Idle,
    /// The disk has been asked.
    Asked(ReadId, Seq),
    /// They are here, or cannot be had.
    Done(Seq, Result<Bytes, ReadError>),
}

impl Consumer {
    /// Returns a consumer that starts where its configuration says.
    pub(super) fn new(
        id: ConsumerId,
        name: &str,
        created: Wall,
        config: ConsumerConfig,
        core: &StreamCore,
    ) -> Self {
        let settings = Settings::new(&config, core);
        let mode = if config.is_pull() {
            Mode::Pull(Box::new(Pull::new(&config)))
        } else {
            Mode::Push(Box::new(Push::new(&config)))
        };
        let mut consumer = Self {
            id,
            name: name.into(),
            created,
            logged: is_logged(&config, core),
            state: ConsumerState::new(settings.acks, Seq(1)),
            settings,
            recorder: Recorder::default(),
            in_flight: VecDeque::new(),
            confirms: Vec::new(),
            released: Vec::new(),
            next: Seq(1),
            skip: SkipList::default(),
            ahead: Ahead::default(),
            redeliver: VecDeque::new(),
            spent: Vec::new(),
            queued: 0,
            deadlines: Deadlines::default(),
            last_due: Instant(0),
            mode,
            replay: None,
            loading: Loading::Idle,
            ack_prefix: alloc::format!("$JS.ACK.{}.{name}.", core.name())
                .into_bytes()
                .into(),
            armed: Instant::NEVER,
            inactive_ns: None,
            live_since: Wall(0),
            reset_seq: Seq(0),
            ready: false,
            touched: false,
            hungry: false,
            holding: false,
            ending: false,
            config,
        };
        consumer.start(core);
        consumer
    }

    /// Begins to live: clocks are set, and clients are looked for.
    pub(super) fn activate<E: Env>(&mut self, cx: &mut Cx<'_, E>) {
        self.live_since = cx.env.now().wall;
        self.begin_pause(cx);
        self.begin_inactivity(cx);
        self.listen(cx);
        self.refresh_interest(cx);
        self.restore_deadlines(cx);
        self.ready = true;
        self.arm_all(cx);
    }

    /// Takes a new configuration.
    pub(super) fn configure<E: Env>(&mut self, config: ConsumerConfig, cx: &mut Cx<'_, E>) {
        let threshold_changed = self.config.inactive_threshold != config.inactive_threshold;
        let settings = self.settings.renewed(&config, cx.core);
        let before = core::mem::replace(&mut self.settings, settings);
        self.begin_pause(cx);
        self.move_deadlines(&before);
        self.stop_listening(cx);
        match &mut self.mode {
            Mode::Pull(pull) => pull.configure(&config),
            Mode::Push(push) => push.configure(&config),
        }
        self.config = config;
        if cx.shared.live {
            self.listen(cx);
        }
        if threshold_changed {
            self.begin_inactivity(cx);
        }
        self.recount(cx.core);
        self.refresh_interest(cx);
        self.ready = true;
        self.arm_all(cx);
    }

    /// Looks at the filters again: what its stream can hold has changed. What starts with the last message
    /// of each subject goes on counting, as nats-server's does.
    pub(super) fn refilter(&mut self, core: &StreamCore) {
        let mut settings = self.settings.renewed(&self.config, core);
        settings.pause_until = self.settings.pause_until;
        let before = core::mem::replace(&mut self.settings, settings);
        let counts_on = self.config.deliver_policy == DeliverPolicy::LastPerSubject;
        if !counts_on && before.filters != self.settings.filters {
            self.recount(core);
        }
    }

    /// From now on the consumer has to be used within its threshold. A random part keeps thousands of
    /// consumers from ending in the same moment.
    fn begin_inactivity<E: Env>(&mut self, cx: &mut Cx<'_, E>) {
        const JITTER_MIN_NS: u64 = 100_000_000;
        const JITTER_NS: u64 = 900_000_000;
        let threshold = ns(self.config.inactive_threshold);
        let now = cx.env.now().mono;
        let jitter = match &mut self.mode {
            Mode::Pull(pull) => {
                pull.active_at = now;
                JITTER_MIN_NS + cx.env.rng().below(JITTER_NS)
            }
            Mode::Push(push) => {
                push.inactive_since = now;
                0
            }
        };
        self.inactive_ns = (threshold > 0).then(|| threshold.saturating_add(jitter));
    }

    /// Changes the state, and records it if the state is logged.
    pub(super) fn change(&mut self, op: Op, time: Wall) {
        if self.logged {
            self.recorder.record(op, time);
        }
        self.state.apply(Op::Time(time));
        self.state.apply(op);
    }

    /// Settles a message: it is acknowledged, terminated or gone.
    pub(super) fn settle<E: Env>(&mut self, seq: Seq, cx: &mut Cx<'_, E>) {
        let was_full = self.is_full();
        if self
            .state
            .pending(seq)
            .is_some_and(|p| p.stage == Stage::Queued)
        {
            self.queued -= 1;
        }
        let op = Op::Settle {
            first: seq,
            count: 1,
        };
        self.change(op, cx.env.now().wall);
        self.release(seq, cx.core);
        self.ready |= was_full;
    }

    /// Notes that the stream may let go of a message. The log tells it if there is one.
    pub(super) fn release(&mut self, seq: Seq, core: &StreamCore) {
        if !self.logged && core.config().retention != Retention::Limits {
            self.released.push(seq);
        }
    }

    /// Returns whether no further message may be handed out before an ack comes.
    pub(super) fn is_full(&self) -> bool {
        self.state.num_pending_acks() >= self.settings.pending_acks_max
    }

    /// Returns whether the message lies ahead: it was not delivered and will be if it matches.
    pub(super) fn is_ahead(&self, seq: Seq) -> bool {
        if self.skip.is_empty() {
            seq >= self.next
        } else {
            self.skip.contains(seq) || seq > self.skip.resume()
        }
    }

    /// Makes sure that the timer fires at `at` or before.
    pub(super) fn arm<E: Env>(&mut self, at: Instant, cx: &mut Cx<'_, E>) {
        if at < self.armed {
            self.armed = at;
            cx.shared.timers.set(self.timer(cx.core), at);
        }
    }

    /// Notes that the timer has fired.
    pub(super) fn disarm(&mut self) {
        self.armed = Instant::NEVER;
    }

    pub(super) fn timer(&self, core: &StreamCore) -> TimerKind {
        TimerKind::Consumer(core.id(), self.id)
    }

    /// Returns whether there is something for the pump to do.
    pub(super) fn wants_pump(&self) -> bool {
        self.ready || !self.recorder.is_empty() || !self.released.is_empty()
    }

    /// Answers an ack that asked for it, once the progress it stands for is synced.
    pub(super) fn confirm<E: Env>(&mut self, reply: &[u8], cx: &mut Cx<'_, E>) {
        if reply.is_empty() {
            return;
        }
        if !self.recorder.is_empty() {
            // One small allocation per confirmed ack, bounded by what is in flight.
            self.confirms.push(reply.into());
            return;
        }
        let account = cx.core.account();
        match cx.shared.replies.barrier() {
            Some(pos) if !self.in_flight.is_empty() => {
                let reply = reply.into();
                cx.shared.replies.push(pos, Waiter::Ack { account, reply });
            }
            Some(_) | None => {
                let msg = Outgoing {
                    subject: reply,
                    ..Outgoing::default()
                };
                cx.env.deliver(account, reply, msg);
            }
        }
    }

    /// Puts what has changed into the log as one entry; returns where it lies, if there is one.
    pub(super) fn flush<E: Env>(&mut self, cx: &mut Cx<'_, E>) -> Option<LogPos> {
        if self.recorder.is_empty() {
            return None;
        }
        let (stream, id, account) = (cx.core.id(), self.id, cx.core.account());
        // Nobody learns of this progress before a restart, unless messages go with it.
        let lazily = self.confirms.is_empty() && cx.core.config().retention == Retention::Limits;
        let pos = self.recorder.take(|delta| {
            let encode = |out: &mut BytesMut| encode_consumer_delta(out, stream, id, delta);
            match lazily {
                true => cx.env.propose_lazily(encode),
                false => cx.env.propose(encode),
            }
        });
        cx.shared.replies.proposed(pos);
        self.in_flight.push_back(pos);
        for reply in self.confirms.drain(..) {
            cx.shared.replies.push(pos, Waiter::Ack { account, reply });
        }
        Some(pos)
    }

    /// Takes note of an applied delta; returns whether its changes were made when it was recorded.
    pub(super) fn on_delta(&mut self, pos: LogPos) -> Known {
        if self.in_flight.front() == Some(&pos) {
            self.in_flight.pop_front();
            return Known::Yes;
        }
        Known::No
    }

    /// Asks the log for the consumer's end; nobody waits for the answer.
    pub(super) fn end<E: Env>(&mut self, cx: &mut Cx<'_, E>) {
        if self.ending {
            return;
        }
        self.ending = true;
        if !self.logged {
            return;
        }
        let entry = Entry::ConsumerDelete {
            stream: cx.core.id(),
            consumer: self.id,
        };
        let pos = cx.env.propose(|out| entry.encode(out));
        cx.shared.replies.proposed(pos);
    }

    /// Returns the consumer's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the consumer's configuration.
    #[must_use]
    pub fn config(&self) -> &ConsumerConfig {
        &self.config
    }

    /// Returns the sequence that it looks at next.
    pub(crate) fn next(&self) -> Seq {
        self.next
    }

    /// Returns the consumer's state.
    #[must_use]
    pub fn state(&self) -> &ConsumerState {
        &self.state
    }

    pub(super) fn identity(&self) -> Identity {
        Identity {
            id: self.id,
            name: self.owned_name(),
            created: self.created,
        }
    }

    pub(super) fn owned_name(&self) -> String {
        String::from(&*self.name)
    }
}

/// Returns whether a consumer's progress goes into the log.
pub(super) fn is_logged(config: &ConsumerConfig, core: &StreamCore) -> bool {
    !(core.is_memory() || config.mem_storage || config.direct)
}

/// Whether a delta comes from this leader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Known {
    Yes,
    No,
}

/// Asks the log to remove a message that a consumer outside of the log has settled.
pub(super) fn propose_removal<E: Env>(seq: Seq, cx: &mut Cx<'_, E>) {
    let stream = cx.core.id();
    let entry = if cx.core.is_parking() {
        Entry::Consumed { stream, seq }
    } else {
        Entry::MsgDelete(MsgDelete { stream, seq })
    };
    let pos = cx.env.propose(|out| entry.encode(out));
    cx.shared.replies.proposed(pos);
}

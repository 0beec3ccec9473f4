//! The receiving end of a push consumer: is anyone there, how much is under way, how fast may it go.
//!
//! *Invariant:* flow control never blocks for good: whatever is outstanding when a token is sent is
//! released when the token comes back.

use alloc::boxed::Box;
use alloc::vec::Vec;

use protocol::id::AccountId;
use protocol::js::config::ConsumerConfig;
use protocol::rng::Rng;
use protocol::time::Instant;

use super::settings::ns;
use crate::env::Env;

/// The largest window of unconfirmed bytes.
const WINDOW_MAX: u64 = 32 << 20;
/// The window that a flow starts with.
const WINDOW_START: u64 = WINDOW_MAX / 16;
/// Bytes that a rate limited consumer may send at once: the largest usual message.
const BURST_BYTES: u64 = 1 << 20;

/// The state of a push consumer's delivery.
#[derive(Clone, Debug)]
pub(super) struct Push {
    pub(super) subject: Box<[u8]>,
    /// The queue group that has to listen; empty for none.
    group: Box<[u8]>,
    /// Whether someone subscribes.
    pub(super) active: bool,
    /// Since when nobody does.
    pub(super) inactive_since: Instant,
    pub(super) heartbeat_ns: u64,
    /// When something was last sent.
    pub(super) sent_at: Instant,
    pub(super) flow: Option<Flow>,
    rate: Option<Rate>,
}

/// How much is under way.
#[derive(Clone, Debug)]
pub(super) struct Flow {
    window: u64,
    outstanding: u64,
    /// The question that waits for its answer, and what it will release.
    asked: Option<(Box<[u8]>, u64)>,
}

/// A limit of bytes per second.
#[derive(Clone, Copy, Debug)]
struct Rate {
    bytes_per_second: u64,
    /// When all that was sent is paid for.
    paid_at: Instant,
}

impl Push {
    pub(super) fn new(config: &ConsumerConfig) -> Self {
        let mut push = Self {
            subject: Box::default(),
            group: Box::default(),
            active: false,
            inactive_since: Instant(0),
            heartbeat_ns: 0,
            sent_at: Instant(0),
            flow: config.flow_control.then_some(Flow {
                window: WINDOW_START,
                outstanding: 0,
                asked: None,
            }),
            rate: None,
        };
        push.configure(config);
        push
    }

    pub(super) fn configure(&mut self, config: &ConsumerConfig) {
        self.subject = config.deliver_subject.as_bytes().into();
        self.group = config.deliver_group.as_bytes().into();
        self.heartbeat_ns = ns(config.idle_heartbeat);
        self.rate = (config.rate_limit_bps >= 8).then(|| Rate {
            bytes_per_second: config.rate_limit_bps / 8,
            paid_at: self.rate.map_or(Instant(0), |r| r.paid_at),
        });
    }

    /// Returns whether someone subscribes: with a group, one of its members. Who gets messages by a
    /// wildcard alone does not count, as in nats-server.
    pub(super) fn has_interest(&self, account: AccountId, env: &mut impl Env) -> bool {
        if self.group.is_empty() {
            env.has_exact_interest(account, &self.subject)
        } else {
            env.has_queue_interest(account, &self.subject, &self.group)
        }
    }

    /// Returns whether nothing may be sent before an answer comes.
    pub(super) fn is_stalled(&self) -> bool {
        self.flow.as_ref().is_some_and(|f| f.outstanding > f.window)
    }

    /// Returns when the next message may be sent.
    pub(super) fn paid_at(&self) -> Instant {
        self.rate.map_or(Instant(0), |r| r.paid_at)
    }

    /// Counts a message that was sent; returns whether it is time to ask how far the client is.
    pub(super) fn on_sent(&mut self, size: u64, now: Instant) -> Ask {
        self.sent_at = now;
        if let Some(rate) = &mut self.rate {
            rate.charge(size, now);
        }
        self.flow
            .as_mut()
            .map_or(Ask::No, |flow| flow.on_sent(size))
    }

    /// Returns when the next heartbeat is due.
    pub(super) fn heartbeat_at(&self) -> Option<Instant> {
        (self.heartbeat_ns > 0).then(|| Instant(self.sent_at.0.saturating_add(self.heartbeat_ns)))
    }
}

/// Whether to ask the client how far it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ask {
    Yes,
    No,
}

impl Flow {
    fn on_sent(&mut self, size: u64) -> Ask {
        self.outstanding += size;
        match &mut self.asked {
            None if self.outstanding > self.window / 2 => return Ask::Yes,
            // Far beyond the window: the answer to come releases this, too.
            Some((_, release)) if self.outstanding.saturating_sub(*release) >= self.window => {
                *release += size;
            }
            Some(_) | None => {}
        }
        Ask::No
    }

    /// Makes the subject of a question; its answer releases all that is outstanding.
    pub(super) fn ask(&mut self, stream: &str, consumer: &str, rng: &mut Rng) -> &[u8] {
        let mut subject = Vec::with_capacity(stream.len() + consumer.len() + 14);
        subject.extend_from_slice(b"$JS.FC.");
        subject.extend_from_slice(stream.as_bytes());
        subject.push(b'.');
        subject.extend_from_slice(consumer.as_bytes());
        subject.push(b'.');
        let mut token = [0; 4];
        rng.fill_base62(&mut token);
        subject.extend_from_slice(&token);
        let (subject, _) = self.asked.insert((subject.into(), self.outstanding));
        subject
    }

    /// Returns the subject of the question that waits for its answer.
    pub(super) fn asked(&self) -> Option<&[u8]> {
        self.asked.as_ref().map(|(subject, _)| &**subject)
    }

    /// Takes the answer to the question that waits for it.
    pub(super) fn answered(&mut self) {
        if let Some((_, release)) = self.asked.take() {
            self.window = (self.window * 2).min(WINDOW_MAX);
            self.outstanding = self.outstanding.saturating_sub(release);
        }
    }
}

impl Rate {
    fn charge(&mut self, size: u64, now: Instant) {
        let cost = |bytes: u64| {
            let ns = u128::from(bytes) * 1_000_000_000 / u128::from(self.bytes_per_second);
            u64::try_from(ns).unwrap_or(u64::MAX)
        };
        let from = self.paid_at.0.max(now.0.saturating_sub(cost(BURST_BYTES)));
        self.paid_at = Instant(from.saturating_add(cost(size)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_window_doubles_with_every_answer_up_to_its_limit() {
        let mut flow = flow();
        let mut rng = Rng::new(1, 1);
        for window in [4 << 20, 8 << 20, 16 << 20, 32 << 20, 32 << 20] {
            assert_eq!(flow.on_sent(flow.window), Ask::Yes);
            let asked = flow.ask("S", "c", &mut rng).to_vec();
            assert!(asked.starts_with(b"$JS.FC.S.c."));
            flow.answered();
            assert_eq!((flow.window, flow.outstanding), (window, 0));
        }
    }

    #[test]
    fn one_question_is_asked_at_a_time() {
        let mut flow = flow();
        assert_eq!(flow.on_sent(10), Ask::No);
        assert_eq!(flow.on_sent(WINDOW_START / 2), Ask::Yes);
        flow.ask("S", "c", &mut Rng::new(1, 1));
        assert_eq!(flow.on_sent(WINDOW_START / 2), Ask::No);
    }

    #[test]
    fn a_rate_limit_spreads_messages_after_a_burst() {
        let mut rate = Rate {
            bytes_per_second: 1000,
            paid_at: Instant(0),
        };
        let now = Instant(3_600_000_000_000);
        rate.charge(BURST_BYTES, now);
        assert_eq!(rate.paid_at, now);
        rate.charge(500, now);
        assert_eq!(rate.paid_at, Instant(now.0 + 500_000_000));
    }

    fn flow() -> Flow {
        Flow {
            window: WINDOW_START,
            outstanding: 0,
            asked: None,
        }
    }
}
